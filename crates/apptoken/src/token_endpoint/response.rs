//! The token endpoint's answers, read leniently where real ones differ and strictly where a wrong reading would hurt.

use std::borrow::Cow;
use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Deserializer, de};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::TokenRequest;
use crate::Error;
use crate::error::{Denied, ErrorKind};
use crate::http::{Response, retry_after};
use crate::token::{Scheme, header};

/// A token as the authority granted it (RFC 6749 §5.1).
pub(crate) struct Grant {
    /// `Bearer <token>`, sensitive.
    pub(crate) header: HeaderValue,
    pub(crate) scheme: Scheme,
    pub(crate) expires_in: Duration,
    pub(crate) refresh_in: Option<Duration>,
}

#[derive(Deserialize)]
struct GrantBody<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    token_type: String,
    expires_in: Seconds,
    #[serde(default)]
    refresh_in: Option<Seconds>,
}

/// Entra's error envelope. Proxies and other endpoints leave members out or write the codes as a string.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalBody {
    error: String,
    suberror: Option<String>,
    error_description: String,
    #[serde(deserialize_with = "codes")]
    error_codes: Vec<u32>,
    claims: Option<String>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
    timestamp: Option<String>,
}

/// `wanted` is what was asked for: a token of another type would be used wrongly.
pub(super) fn grant(response: &Response, wanted: Scheme) -> Result<Grant, Error> {
    let body: GrantBody<'_> = serde_json::from_slice(json(response)).map_err(|error| not_a_grant(response, &error))?;
    if !body.token_type.eq_ignore_ascii_case(wanted.token_type()) {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!(
                "the authority issued a token of type {:?} where {} was asked for",
                shortened(&body.token_type),
                wanted.token_type()
            ),
        )
        .with_advice(if wanted == Scheme::Bearer { OTHER_SERVER } else { NO_PROOFS }));
    }
    Ok(Grant {
        header: header(wanted, &[&body.access_token])?,
        scheme: wanted,
        expires_in: body.expires_in.0,
        refresh_in: body.refresh_in.map(|seconds| seconds.0).filter(|refresh| *refresh < body.expires_in.0),
    })
}

/// The error for an answer that is not 200. An endpoint that repeats the credential in its answer does not get it into
/// an error.
pub(super) fn refusal(response: &Response, request: &TokenRequest<'_>) -> Error {
    let status = response.status();
    let body: Option<RefusalBody> = serde_json::from_slice(json(response)).ok();
    let denied = body.filter(|body| !body.error.is_empty()).map(|body| body.denied(status, request.proof.secret()));
    let words = denied.as_ref().map_or_else(String::new, |denied| format!(": {}", denied.description));
    let wait = retry_after(response.headers());
    let error = if status == StatusCode::TOO_MANY_REQUESTS {
        Error::new(ErrorKind::Throttled, format!("the authority throttles this app or tenant (HTTP 429){words}"))
            .transient()
            .with_advice("wait as long as Retry-After says; the client remembers it and sends nothing before then")
    } else if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        Error::new(ErrorKind::Transport, format!("the authority is ill (HTTP {}){words}", status.as_u16()))
            .transient()
            .with_advice("try again later; if it lasts, see the cloud's service health, and any proxy on the way")
    } else if let Some(denied) = &denied {
        let oauth = &denied.error;
        Error::new(ErrorKind::Denied, format!("the authority refused ({oauth}, HTTP {}){words}", status.as_u16()))
    } else {
        foreign(response)
    };
    let error = error.with_retry_after(wait);
    match denied {
        Some(denied) => error.with_denied(denied),
        None => error,
    }
}

impl RefusalBody {
    fn denied(self, status: StatusCode, secret: &str) -> Denied {
        // as it is, and as it stood in the form
        let encoded = Zeroizing::new(form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>());
        let clean = |text: &str| match secret {
            "" => text.to_owned(),
            secret => text.replace(secret, "[redacted]").replace(encoded.as_str(), "[redacted]"),
        };
        let optional = |text: Option<String>| text.map(|text| shortened(&clean(&text)));
        Denied {
            http_status: status.as_u16(),
            error: shortened(&clean(&self.error)),
            suberror: optional(self.suberror),
            codes: self.error_codes,
            description: shortened(sentence(&clean(&self.error_description))),
            claims: self.claims.map(|claims| clean(&claims)),
            trace_id: optional(self.trace_id),
            correlation_id: optional(self.correlation_id),
            timestamp: optional(self.timestamp),
        }
    }
}

/// A 200 that is not a grant.
fn not_a_grant(response: &Response, cause: &serde_json::Error) -> Error {
    // serde's text may quote a value of the body, which may be the token: only where and what kind of trouble is told
    let what = match cause.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => {
            "a member that a token response needs is missing, doubled or of the wrong kind"
        }
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => return foreign(response),
    };
    Error::new(ErrorKind::Protocol, format!("the authority's answer (HTTP 200) is not a token response: {what}"))
        .with_advice(OTHER_SERVER)
}

/// Something else than a token endpoint answered.
fn foreign(response: &Response) -> Error {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no content type");
    let (status, length) = (response.status().as_u16(), response.body().len());
    let what = format!("the answer (HTTP {status}, {}, {length} bytes) is not a token endpoint's", shortened(kind));
    Error::new(ErrorKind::Protocol, what).with_advice(OTHER_SERVER)
}

/// The body without the byte order mark that some proxies put before it.
pub(crate) fn json(response: &Response) -> &[u8] {
    let body = &response.body()[..];
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// The description without the ids that Entra appends, after CR LF in old answers and a space in new ones.
fn sentence(description: &str) -> &str {
    let end = ["\r\n", "\n", " Trace ID:"].iter().filter_map(|mark| description.find(mark)).min();
    description[..end.unwrap_or(description.len())].trim_end()
}

/// Fit to be printed on one line.
pub(crate) fn shortened(text: &str) -> String {
    let mut printable = text.chars().filter(|c| !c.is_control());
    let mut short = printable.by_ref().take(LONGEST_TEXT).collect::<String>();
    if printable.next().is_some() {
        short.push('…');
    }
    short
}

/// A lifetime: a number or, on v1 endpoints, a string; at least a second, at most ten years.
struct Seconds(Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        seconds
            .filter(|seconds| (1.0..=TEN_YEARS).contains(seconds))
            .map(|seconds| Self(Duration::from_secs_f64(seconds.trunc())))
            .ok_or_else(|| de::Error::custom("not a lifetime"))
    }
}

/// `[700016]`, or the string `"[700016]"` that a managed identity's proxy writes, or nothing.
fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let code = |value: &serde_json::Value| value.as_u64().and_then(|code| u32::try_from(code).ok());
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Array(list) => list.iter().filter_map(code).collect(),
        serde_json::Value::String(text) => {
            text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
        }
        _ => Vec::new(),
    })
}

const OTHER_SERVER: &str =
    "check the authority's address, and whether a proxy or sign-in page on the way answers for it";
const NO_PROOFS: &str = "this authority does not bind tokens to keys: ask for a bearer token";
const LONGEST_TEXT: usize = 1000;
const TEN_YEARS: f64 = 315_360_000.0;
