//! What the sources answer: one grant in several spellings, refusals in many shapes.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::http::StatusCode;
use ::http::header::DATE;
use serde::Deserialize;
use serde_json::Value;

use super::{Identity, ManagedIdentity, Source, date};
use crate::Error;
use crate::error::{Denied, ErrorKind};
use crate::http::{Response, TransportError, TransportErrorKind, retry_after};
use crate::token::{Scheme, header};
use crate::token_endpoint::{Grant, json, shortened};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    access_token: Cow<'a, str>,
    token_type: Option<String>,
    expires_on: Option<Value>,
    expires_in: Option<Value>,
    refresh_in: Option<Value>,
}

/// The grant in `response`, or why there is none.
pub(super) fn read(response: &Response, identity: &ManagedIdentity, now: SystemTime) -> Result<Grant, Error> {
    if response.status() == StatusCode::OK {
        return grant(response, identity, now);
    }
    Err(refusal(response, identity))
}

fn grant(response: &Response, identity: &ManagedIdentity, now: SystemTime) -> Result<Grant, Error> {
    let source = identity.source.kind();
    // serde's text may quote the token
    let body: Body<'_> = serde_json::from_slice(json(response)).map_err(|_| {
        Error::new(ErrorKind::Protocol, format!("{source}'s answer (HTTP 200) is not readable as a token"))
            .with_advice(format!("check that {} is the platform's identity endpoint", identity.endpoint()))
    })?;
    if body.access_token.is_empty() {
        return Err(Error::new(ErrorKind::Protocol, format!("{source}'s answer (HTTP 200) holds no access token")));
    }
    if body.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        // not shown: what stands in its place may be the token
        return Err(Error::new(ErrorKind::Protocol, format!("{source} gave a token of another type, not Bearer")));
    }
    // the endpoint's own time, when it tells it: this machine's clock may be wrong
    let date = response.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let now = unix(date.unwrap_or(now));
    // expires_on first: some count expires_in from when the token was issued, and give it again from their cache
    let expires_in = [&body.expires_on, &body.expires_in]
        .into_iter()
        .find_map(|member| remaining(member.as_ref()?, now))
        .ok_or_else(|| Error::new(ErrorKind::Protocol, format!("{source} does not tell when its token expires")))?;
    if expires_in < 1.0 {
        return Err(Error::new(ErrorKind::Protocol, format!("{source} gave a token that has already expired"))
            .with_advice("set this machine's clock right, or restart the platform's identity agent"));
    }
    let expires_in = Duration::from_secs_f64(expires_in.min(TEN_YEARS).trunc());
    let refresh_in = body.refresh_in.as_ref().and_then(seconds).filter(|refresh| (1.0..TEN_YEARS).contains(refresh));
    let refresh_in = refresh_in.map(Duration::from_secs_f64).filter(|refresh| *refresh < expires_in);
    let scheme = Scheme::Bearer;
    Ok(Grant {
        header: header(scheme, &[&body.access_token])?,
        scheme,
        expires_in,
        refresh_in,
        ext_expires_in: None,
        additional: Default::default(),
    })
}

/// Seconds from `now`: a small number is that already, a large one is a point in time, a text may be a date.
fn remaining(value: &Value, now: f64) -> Option<f64> {
    match seconds(value) {
        Some(number) if number >= YEAR_2001 => Some(number - now),
        Some(number) => Some(number),
        None => Some(date::parse(value.as_str()?)? as f64 - now),
    }
}

/// A number, or a text that holds one.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// An answer that is not 200.
fn refusal(response: &Response, identity: &ManagedIdentity) -> Error {
    let (status, source) = (response.status(), identity.source.kind());
    let words = Words::of(response, identity.source.secret());
    let told = words.told();
    let told = if told.is_empty() { String::new() } else { format!(": {told}") };
    let wait = retry_after(response.headers());
    let (which, code) = (&identity.identity, status.as_u16());
    let transient = |what: &str| {
        Error::new(ErrorKind::Transport, format!("{source} {what} (HTTP {code}){told}"))
            .transient()
            .with_retry_after(wait)
    };
    match code {
        429 => Error::new(ErrorKind::Throttled, format!("{source} throttles requests for tokens (HTTP 429){told}"))
            .transient()
            .with_retry_after(wait)
            .with_advice("ask less often: share one client in the process"),
        502 | 504 => transient("did not reach the identity service behind it"),
        410 => transient("is being updated"),
        404 => transient("has nothing at its identity endpoint").with_advice(format!(
            "if this persists, check that {} is the platform's identity endpoint{}",
            identity.endpoint(),
            note(identity)
        )),
        408 => transient("answered too late"),
        500..=599 => transient("is ill"),
        400 | 401 | 403 => {
            let message = format!("{source} refused a token for {which} (HTTP {code}){told}");
            let denied = words.denied(status);
            let known = denied.codes.iter().any(|&code| crate::advice::for_code(code).is_some());
            let error = Error::new(ErrorKind::Denied, message).with_denied(denied);
            if known { error } else { error.with_advice(advice(identity, status)) }
        }
        _ => Error::new(
            ErrorKind::Protocol,
            format!("{source} answered what no identity endpoint answers (HTTP {code}){told}"),
        )
        .with_advice(format!("check that {} is the platform's identity endpoint", identity.endpoint())),
    }
}

fn advice(identity: &ManagedIdentity, status: StatusCode) -> Cow<'static, str> {
    match (&identity.source, &identity.identity, status.as_u16()) {
        (Source::AppService(_) | Source::MachineLearning(_) | Source::ServiceFabric(_), _, 401 | 403) => {
            "the platform's secret for this program is not accepted: restart it, so that it gets the present one".into()
        }
        (Source::AzureArc(_), _, 401 | 403) => {
            "the agent did not accept its own key: check its state with azcmagent show, and restart it".into()
        }
        (Source::Imds(_), Identity::System, 400) => "no identity is assigned to this machine, or several are: assign a system-assigned one (az vm identity assign), \
             or name the user-assigned one that it has; the resource must be one that the tenant knows"
            .into(),
        (_, Identity::User(_), _) => format!(
            "check that {} is assigned to this {}, and that the resource is one that the tenant knows",
            identity.identity,
            if matches!(identity.source, Source::Imds(_)) { "machine" } else { "app" }
        )
        .into(),
        (_, Identity::System, _) => {
            "switch the system-assigned identity on, or name a user-assigned one; check that the resource is one that the tenant knows".into()
        }
    }
}

/// No answer at all.
pub(super) fn unreachable(cause: TransportError, identity: &ManagedIdentity) -> Error {
    let (kind, source, endpoint) = (cause.kind(), identity.source.kind(), identity.endpoint());
    let error =
        Error::new(ErrorKind::Transport, format!("no answer from {source} at {endpoint}: {cause}")).with_source(cause);
    let note = note(identity);
    match (kind, &identity.source) {
        (TransportErrorKind::Connect | TransportErrorKind::Timeout, Source::Imds(_)) => {
            error.transient().with_advice(format!(
                "either this is no machine of Azure's, or a firewall or proxy keeps the program from {endpoint}{note}"
            ))
        }
        (TransportErrorKind::Connect | TransportErrorKind::Timeout | TransportErrorKind::Body, _) => error
            .transient()
            .with_advice(format!("the platform's identity agent does not run or is not reachable from here{note}")),
        (TransportErrorKind::Tls, Source::ServiceFabric(_)) => error.with_advice(format!(
            "{endpoint} shows another certificate than the platform announced: restart the program, so that it gets the present thumbprint"
        )),
        (TransportErrorKind::Tls, _) => error.with_advice(format!(
            "no CA is trusted for the platform's endpoints, which are plain http on the machine; check that {endpoint} is the platform's, and if it is, give a transport that trusts its certificate"
        )),
        _ => error,
    }
}

fn note(identity: &ManagedIdentity) -> String {
    identity.note.as_ref().map_or_else(String::new, |note| format!("; {note}"))
}

/// What a refusal says, wherever it says it.
#[derive(Default)]
struct Words {
    code: Option<String>,
    text: Option<String>,
    correlation_id: Option<String>,
}

impl Words {
    /// `{error, error_description}`, `{error: {code, message}}`, `{statusCode, message}` and mixtures of them.
    fn of(response: &Response, secret: Option<&str>) -> Self {
        let Ok(Value::Object(body)) = serde_json::from_slice(json(response)) else { return Self::default() };
        let inner = body.get("error").and_then(Value::as_object);
        let look = |names: &[&str]| {
            let found = names.iter().find_map(|name| {
                let value = inner.and_then(|inner| inner.get(*name)).or_else(|| body.get(*name))?;
                value.as_str().filter(|text| !text.trim().is_empty())
            })?;
            Some(shortened(&match secret {
                Some(secret) => found.replace(secret, "[redacted]"),
                None => found.to_owned(),
            }))
        };
        Self {
            code: look(&["error", "code", "errorCode"]),
            text: look(&["error_description", "message", "Message"]),
            correlation_id: look(&["correlation_id", "correlationId"]),
        }
    }

    fn told(&self) -> String {
        match (&self.code, &self.text) {
            (Some(code), Some(text)) => format!("{code}: {text}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }

    fn denied(self, status: StatusCode) -> Denied {
        let text = self.text.unwrap_or_default();
        let codes = text
            .split("AADSTS")
            .skip(1)
            .filter_map(|rest| rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok())
            .collect();
        Denied {
            http_status: status.as_u16(),
            error: self.code.unwrap_or_else(|| "managed_identity_request_failed".to_owned()),
            codes,
            description: text,
            correlation_id: self.correlation_id,
            ..Denied::default()
        }
    }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// From this number of seconds on it is a point in time, and below it a lifetime: 2001-01-01. Microsoft's figure.
const YEAR_2001: f64 = 978_307_200.0;
const TEN_YEARS: f64 = 315_360_000.0;
