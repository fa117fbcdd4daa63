//! The token endpoint's answers, read leniently where real ones differ and strictly where a wrong reading would hurt.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use ::http::StatusCode;
use ::http::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::TokenRequest;
use super::grant_body::GrantBody;
use crate::Error;
use crate::error::{Denied, ErrorKind};
use crate::http::{Response, Skew, is_ill, retry_after};
use crate::token::{Additional, Scheme, header};

/// A token as the authority granted it (RFC 6749 §5.1).
pub(crate) struct Grant {
    /// `Bearer <token>`, sensitive.
    pub(crate) header: HeaderValue,
    pub(crate) scheme: Scheme,
    pub(crate) expires_in: Duration,
    pub(crate) refresh_in: Option<Duration>,
    /// Entra's `ext_expires_in`, when it is longer than `expires_in`: how long the token may serve while the authority
    /// is down.
    pub(crate) ext_expires_in: Option<Duration>,
    pub(crate) additional: Additional,
}

/// `wanted` is what was asked for: a token of another type would be used wrongly.
pub(super) fn grant(response: &Response, wanted: Scheme) -> Result<Grant, Error> {
    let body: GrantBody<'_> = serde_json::from_slice(json(response)).map_err(|error| not_a_grant(response, &error))?;
    if !body.token_type.eq_ignore_ascii_case(wanted.token_type()) {
        // quoted only if it is a type: an endpoint that mixes up its members may give the token, or the secret, here
        let known = TOKEN_TYPES.into_iter().find(|known| body.token_type.eq_ignore_ascii_case(known));
        let (known, wanted_type) =
            (known.map_or_else(|| "unknown".into(), |known| format!("{known:?}")), wanted.token_type());
        return Err(Error::new(
            ErrorKind::Protocol,
            format!("the authority issued a token of type {known} where {wanted_type} was asked for"),
        )
        .with_advice(if wanted == Scheme::Bearer { OTHER_SERVER } else { NO_PROOFS }));
    }
    let expires_in = body.expires_in.0;
    Ok(Grant {
        header: header(wanted, &[&body.access_token])?,
        scheme: wanted,
        expires_in,
        refresh_in: lifetime(&body.refresh_in).filter(|refresh| *refresh < expires_in),
        ext_expires_in: lifetime(&body.ext_expires_in).filter(|extended| *extended > expires_in),
        additional: if body.has_others { additional(json(response)) } else { Additional::default() },
    })
}

/// Members besides the standard ones; a refresh or ID token is none of an app's. What does not fit is left out.
fn additional(body: &[u8]) -> Additional {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(body).unwrap_or_default();
    let mut room = ADDITIONAL;
    let members = members.into_iter().filter(|(name, _)| !STANDARD.contains(&&**name)).filter_map(|(name, value)| {
        let value = serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned());
        room = room.checked_sub(name.len() + value.len())?;
        Some((name.into(), value.into()))
    });
    members.collect()
}

/// The error for an answer that is not 200. An endpoint that repeats the credential in its answer does not get it into
/// an error.
pub(super) fn refusal(response: &Response, request: &TokenRequest<'_>, skew: Option<Skew>) -> Error {
    let status = response.status();
    let denied = denied(response, request.proof.secret());
    let words = denied.as_ref().map_or_else(String::new, |denied| format!(": {}", denied.description));
    let wait = retry_after(response.headers());
    let error = match &denied {
        _ if status == StatusCode::TOO_MANY_REQUESTS => {
            Error::new(ErrorKind::Throttled, format!("the authority throttles this app or tenant (HTTP 429){words}"))
                .transient()
                .with_advice("wait as long as Retry-After says; the client remembers it and sends nothing before then")
                .with_retry_after(wait.or(Some(UNSAID_WAIT)))
        }
        _ if is_ill(status) => {
            Error::new(ErrorKind::Transport, format!("the authority is ill (HTTP {}){words}", status.as_u16()))
                .transient()
                .with_advice("try again later; if it lasts, see the cloud's service health, and any proxy on the way")
                .with_retry_after(wait)
        }
        Some(denied) => {
            let (oauth, status) = (&denied.error, status.as_u16());
            let passing = denied.error == "temporarily_unavailable" || denied.codes.iter().any(|c| PASSING.contains(c));
            let kind = match denied.codes.iter().any(|code| THROTTLED.contains(code)) {
                true => ErrorKind::Throttled,
                false if passing => ErrorKind::Transport,
                false => ErrorKind::Denied,
            };
            let error = Error::new(kind, format!("the authority refused ({oauth}, HTTP {status}){words}"));
            let error = if kind == ErrorKind::Denied { error } else { error.transient() };
            match skew.and_then(|skew| clock_advice(denied, skew)) {
                Some(advice) => error.with_advice(advice),
                None => error,
            }
            .with_retry_after(wait)
        }
        None => foreign(response).with_retry_after(wait),
    };
    match denied {
        Some(denied) => error.with_denied(denied),
        None => error,
    }
}

/// Entra's error envelope. Proxies and other endpoints leave members out, or write them in a way of their own.
fn denied(response: &Response, secret: &str) -> Option<Denied> {
    let body: Map<String, Value> = serde_json::from_slice(json(response)).ok()?;
    // the secret as it is, and as it stood in the form
    let encoded = Zeroizing::new(form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>());
    let clean = |text: &str| match secret {
        "" => text.to_owned(),
        secret => text.replace(secret, "[redacted]").replace(encoded.as_str(), "[redacted]"),
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(clean);
    let short = |name: &str| text(name).map(|text| shortened(&text));
    let error = short("error")?;
    let description = text("error_description").unwrap_or_default();
    Some(Denied {
        http_status: response.status().as_u16(),
        error,
        suberror: short("suberror"),
        codes: codes(body.get("error_codes"), &description),
        description: shortened(sentence(&description)),
        claims: text("claims"),
        trace_id: short("trace_id"),
        correlation_id: short("correlation_id"),
        timestamp: short("timestamp"),
    })
}

/// What a refusal for a time that is out of range comes from.
fn clock_advice(denied: &Denied, skew: Skew) -> Option<String> {
    if !denied.codes.iter().any(|code| TIME.contains(code)) {
        None
    } else if skew.is_wrong() {
        Some(format!("this machine's clock {skew}, by the Date of its answer: set it right (NTP)"))
    } else if denied.has_code(OUTSIDE_TIME_RANGE) {
        Some("this machine's clock is right: the assertion is stale, so fetch the federated token anew".to_owned())
    } else {
        None
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

/// A lifetime that has to be there.
pub(super) struct Seconds(Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lifetime(&Value::deserialize(deserializer)?).map(Self).ok_or_else(|| de::Error::custom("not a lifetime"))
    }
}

/// A number or, on v1 endpoints, a string; at least a second, at most ten years.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    seconds
        .filter(|seconds| (1.0..=TEN_YEARS).contains(seconds))
        .map(|seconds| Duration::from_secs_f64(seconds.trunc()))
}

/// `[700016]`, or the string `"[700016]"` that a managed identity's proxy writes; without either, the number that the
/// description begins with.
fn codes(member: Option<&Value>, description: &str) -> Vec<u32> {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|code| u32::try_from(code).ok()),
    };
    let listed = match member {
        Some(Value::Array(list)) => list.iter().filter_map(number).collect(),
        Some(Value::String(text)) => {
            text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
        }
        _ => Vec::new(),
    };
    if !listed.is_empty() {
        return listed;
    }
    let Some((_, rest)) = description.split_once("AADSTS") else { return listed };
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).into_iter().collect()
}

/// Of IANA's registry (RFC 6749 §11.1), and Entra's own.
const TOKEN_TYPES: [&str; 7] = ["Bearer", "DPoP", "mac", "mtls_pop", "N_A", "PoP", "ssh-cert"];
const OTHER_SERVER: &str =
    "check the authority's address, and whether a proxy or sign-in page on the way answers for it";
const NO_PROOFS: &str = "this authority does not bind tokens to keys: ask for a bearer token";
/// Of a token response (RFC 6749 §5.1), Entra's own among them.
const STANDARD: [&str; 8] =
    ["access_token", "expires_in", "ext_expires_in", "id_token", "refresh_in", "refresh_token", "scope", "token_type"];
/// Names and values of additional members, bytes in all.
const ADDITIONAL: usize = 16 * 1024;
const LONGEST_TEXT: usize = 1000;
const TEN_YEARS: f64 = 315_360_000.0;
/// For a 429 that does not say how long to wait. MSAL Python's figure.
const UNSAID_WAIT: Duration = Duration::from_secs(5);
/// AADSTS codes of a trouble that passes, whatever the HTTP status.
const PASSING: [u32; 5] = [50033, 90006, 90012, 90024, 90033];
/// AADSTS codes of an app or tenant that asks too often, whatever the HTTP status.
const THROTTLED: [u32; 2] = [50196, 90055];
/// AADSTS codes that a wrong clock explains.
const TIME: [u32; 3] = [OUTSIDE_TIME_RANGE, 500133, 1000502];
/// AADSTS: the assertion's.
const OUTSIDE_TIME_RANGE: u32 = 700024;
