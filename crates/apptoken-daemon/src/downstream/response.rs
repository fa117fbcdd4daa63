//! An API's answer: read within bounds, and turned into what the caller asked for.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::http_client::failure;
use super::proof::Pass;
use crate::error::{Error, HttpError, HttpErrorParts, ResponseError};

/// The answer to [`call_for_app`](crate::DownstreamApi::call_for_app), whatever its status; its body is not read yet.
pub struct ApiResponse {
    pub(super) inner: reqwest::Response,
    pub(super) method: Method,
    /// Without its query.
    pub(super) url: String,
    /// Bytes.
    pub(super) limit: usize,
    /// What was sent, so that an API that echoes its requests puts it into no error.
    pub(super) pass: Pass,
}

impl ApiResponse {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The method of the request that it answers.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The address of the request that it answers, without its query.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The next piece of the body; `None` after the last. For bodies of any length: the bound is the caller's to keep.
    ///
    /// # Errors
    /// [`Error::Transport`] when the connection breaks or the time is up.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.inner.chunk().await.map_err(|error| failure(error, &self.method, &self.url))
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::Response`] when it is longer than the factory's bound; [`Error::Transport`] when the connection breaks.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        self.whole().await
    }

    /// The whole body as text. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).into_owned())
    }

    /// The whole body as a `T`: from JSON (`application/json`, anything `+json`, or no media type), or from text into
    /// a `String`. No body reads as `null`: right for `()` and `Option`. With `()`, any body will do.
    ///
    /// # Errors
    /// [`Error::Http`] when the status is not 2xx; [`Error::Response`] when the body is no `T`; as [`bytes`](Self::bytes).
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let mut this = self.error_for_status().await?;
        let bytes = this.whole().await?;
        let media_type = this.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        decode(media_type, &bytes).map_err(|problem| this.unusable(problem))
    }

    /// This answer if its status is 2xx.
    ///
    /// # Errors
    /// [`Error::Http`] with the beginning of the body if it is not.
    pub async fn error_for_status(mut self) -> Result<Self, Error> {
        if self.status().is_success() {
            return Ok(self);
        }
        let body = self.beginning().await;
        let text = |name| {
            self.headers().get::<HeaderName>(name).and_then(|value| value.to_str().ok()).map(|v| self.without_token(v))
        };
        Err(Error::Http(HttpError::new(HttpErrorParts {
            method: self.method.clone(),
            url: self.url.clone(),
            status: self.status(),
            body,
            www_authenticate: text(WWW_AUTHENTICATE),
            location: text(LOCATION).filter(|_| self.status().is_redirection()),
            retry_after: text(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs),
        })))
    }

    async fn whole(&mut self) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > self.limit {
                let limit = self.limit;
                return Err(self.unusable(format!(
                    "with a body of more than {limit} bytes: raise max_response_bytes, or read it in chunks with call_for_app"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// As much of the body as an error keeps. An error answer that breaks off still tells its status.
    async fn beginning(&mut self) -> String {
        let mut body = BytesMut::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            let room = ERROR_BODY * MAX_UTF8 - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == ERROR_BODY * MAX_UTF8 {
                break;
            }
        }
        self.without_token(&String::from_utf8_lossy(&body)).chars().take(ERROR_BODY).collect()
    }

    fn without_token(&self, text: &str) -> String {
        self.pass.taken_from(text)
    }

    fn unusable(&self, problem: String) -> Error {
        Error::Response(ResponseError {
            method: self.method.clone(),
            url: self.url.clone(),
            status: self.status(),
            problem,
        })
    }
}

impl fmt::Debug for ApiResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiResponse")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// # Errors
/// What is wrong, to follow "answered 200 OK,".
fn decode<T: DeserializeOwned>(media_type: Option<&str>, body: &[u8]) -> Result<T, String> {
    let nothing = || serde_json::from_value(serde_json::Value::Null);
    // a type without size has nothing to learn from a body: `()` is happy with any
    if size_of::<T>() == 0
        && let Ok(unit) = nothing()
    {
        return Ok(unit);
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return nothing().map_err(|_| "without a body: ask for () or Option to accept that".to_owned());
    }
    let essence =
        media_type.unwrap_or("application/json").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence == "text/json" || essence.ends_with("+json") {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        return serde_json::from_slice(body)
            .map_err(|error| format!("with JSON of another shape than asked for: {error}"));
    }
    let other = || format!("with {essence} where JSON was asked for");
    if !essence.starts_with("text/") {
        return Err(other());
    }
    let text = String::from_utf8_lossy(body).into_owned();
    serde_json::from_value(serde_json::Value::String(text)).map_err(|_| other())
}

/// Characters of an error's body that are kept, as in Microsoft.Identity.Web.
const ERROR_BODY: usize = 4096;

/// Bytes that a character can take.
const MAX_UTF8: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn json_by_any_of_its_names() {
        for media_type in [
            None,
            Some("application/json"),
            Some("application/json; charset=utf-8"),
            Some("Application/Vnd.Api+JSON"),
            Some("application/problem+json"),
            Some("text/json"),
        ] {
            assert_eq!(decode::<Value>(media_type, br#"{"a":1}"#), Ok(json!({"a":1})), "{media_type:?}");
        }
        assert_eq!(decode::<Value>(None, b"\xef\xbb\xbf[]"), Ok(json!([])));
        assert_eq!(
            decode::<Vec<u8>>(Some("application/json"), b"{}").unwrap_err(),
            "with JSON of another shape than asked for: invalid type: map, expected a sequence at line 1 column 0"
        );
    }

    #[test]
    fn no_body_is_null() {
        assert_eq!(decode::<()>(None, b""), Ok(()));
        assert_eq!(decode::<Option<u8>>(Some("application/json"), b" \r\n"), Ok(None));
        assert_eq!(decode::<Value>(None, b""), Ok(Value::Null));
        assert_eq!(decode::<Vec<u8>>(None, b"").unwrap_err(), "without a body: ask for () or Option to accept that");
    }

    #[test]
    fn unit_takes_anything() {
        assert_eq!(decode::<()>(Some("text/html"), b"<html>"), Ok(()));
        assert_eq!(decode::<()>(Some("application/json"), br#"{"id":1}"#), Ok(()));
    }

    #[test]
    fn text_is_for_strings() {
        assert_eq!(decode::<String>(Some("text/plain; charset=utf-8"), "grüß".as_bytes()), Ok("grüß".to_owned()));
        assert_eq!(
            decode::<Vec<u8>>(Some("text/html"), b"<html>").unwrap_err(),
            "with text/html where JSON was asked for"
        );
        assert_eq!(
            decode::<String>(Some("application/octet-stream"), b"x").unwrap_err(),
            "with application/octet-stream where JSON was asked for"
        );
    }
}
