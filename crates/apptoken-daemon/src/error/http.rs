//! An API's answer other than success.

use std::fmt;
use std::time::Duration;

use ::http::{Method, StatusCode};

/// What the API answered instead of 2xx: see [`Error::Http`](crate::Error::Http).
#[derive(Clone)]
pub struct HttpError(Box<Parts>);

/// What an [`HttpError`] is made of.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    pub(crate) www_authenticate: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl HttpError {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Box::new(parts))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The address that was called, without its query.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The beginning of the answer's body, at most 4096 characters, as text. Where it repeats the token that was sent,
    /// `[the token]` stands.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.0.body
    }

    /// The `WWW-Authenticate` header: why a token was not accepted (RFC 6750 §3).
    #[must_use]
    pub fn www_authenticate(&self) -> Option<&str> {
        self.0.www_authenticate.as_deref()
    }

    /// How long the API asks to be left alone: `Retry-After` in seconds (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same call may succeed later: 408, 429 and 5xx but 501.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let status = self.0.status;
        matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
    }

    /// What to do next, for the statuses an app-only caller meets for reasons of identity.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self.0.status {
            StatusCode::UNAUTHORIZED => Some(
                "the API did not accept the token: compare the API's audience (its App ID URI or client id) and tenant \
                 with the Scopes and TenantId used here",
            ),
            StatusCode::FORBIDDEN => Some(
                "the token was accepted but lacks a permission: declare the API's app role under API permissions of the \
                 calling app (application permission), have an administrator grant consent, then get a new token",
            ),
            status if status.is_redirection() => Some(
                "a redirect is not followed, so that the token goes nowhere unasked: set BaseUrl and RelativePath to \
                 the final address",
            ),
            _ => None,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { method, url, status, body, www_authenticate, location, retry_after } = &*self.0;
        write!(f, "{method} {url} answered {status}")?;
        if let Some(location) = location {
            write!(f, " to {location}, which is not followed with a token")?;
        }
        if let Some(reason) = reason(body).or_else(|| www_authenticate.as_deref().map(one_line)) {
            write!(f, ": {reason}")?;
        }
        if let Some(after) = retry_after {
            write!(f, " (retry after {} s)", after.as_secs())?;
        }
        Ok(())
    }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpError({:?})", self.to_string())
    }
}

impl std::error::Error for HttpError {}

/// One line out of an error body: the fields of problem details (RFC 9457), of Graph's envelope or of OAuth, or the
/// beginning of the text. HTML says nothing to a log.
fn reason(body: &str) -> Option<String> {
    let body = body.trim();
    if body.is_empty() || body.starts_with('<') {
        return None;
    }
    let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else { return Some(one_line(body)) };
    let text = |pointer: &str| json.pointer(pointer).and_then(serde_json::Value::as_str).map(one_line);
    for (code, message) in [
        ("/error/code", "/error/message"),
        ("/error", "/error_description"),
        ("/title", "/detail"),
        ("/code", "/message"),
    ] {
        match (text(code), text(message)) {
            (Some(code), Some(message)) => return Some(format!("{code}: {message}")),
            (Some(only), None) | (None, Some(only)) => return Some(only),
            (None, None) => {}
        }
    }
    Some(one_line(body))
}

/// Control characters to blanks, cut to what fits a log line.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE).collect();
    if text.chars().nth(LINE).is_some() {
        line.push('…');
    }
    line
}

/// Characters of an answer's body that `Display` shows.
const LINE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> HttpError {
        HttpError::new(Parts {
            method: Method::GET,
            url: "https://api.example/todo".into(),
            status: StatusCode::from_u16(status).unwrap(),
            body: body.into(),
            www_authenticate: None,
            location: None,
            retry_after: None,
        })
    }

    #[test]
    fn says_what_the_api_said() {
        let head = "GET https://api.example/todo answered 403 Forbidden";
        for (body, tail) in [
            ("", ""),
            ("<html>…</html>", ""),
            (
                r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges"}}"#,
                ": Authorization_RequestDenied: Insufficient privileges",
            ),
            (r#"{"type":"about:blank","title":"Forbidden","detail":"role missing"}"#, ": Forbidden: role missing"),
            (r#"{"title":"Forbidden"}"#, ": Forbidden"),
            (r#"{"error":"invalid_token","error_description":"late"}"#, ": invalid_token: late"),
            ("no\nway", ": no way"),
            (r#"{"odd":1}"#, r#": {"odd":1}"#),
        ] {
            assert_eq!(error(403, body).to_string(), format!("{head}{tail}"));
        }
    }

    #[test]
    fn transient_is_what_may_pass() {
        for (status, transient) in
            [(400, false), (401, false), (403, false), (408, true), (429, true), (500, true), (501, false), (503, true)]
        {
            assert_eq!(error(status, "").is_transient(), transient, "{status}");
        }
    }
}
