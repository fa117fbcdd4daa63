//! `/admin`: what a test or a script steers and reads while the server runs, as JSON. Graph has the directory; here is
//! what Graph has not: faults, clock, keys, revocations, the sign-in log, the seed. Each does what the portal's button
//! and the library's method do. Described in `docs/emulator-admin.md`.

mod seed;
mod sign_ins;

use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as value};
use uuid::Uuid;

use crate::directory::SeedError;
use crate::endpoints::{BodyError, Exchange, RequestBody, Response, json, read};
use crate::faults::{FaultRule, TooMuch};
use crate::seed::{SeedFault, SeedReplicationDelay, known_path};
use crate::state::State;

/// Answers what comes after `/admin`.
pub(crate) async fn answer(exchange: &Exchange, segments: &[&str], body: impl RequestBody) -> Response {
    let outcome = match admit(exchange) {
        Ok(()) => match text(exchange, body).await {
            Ok(body) => serve(exchange, segments, &body).await,
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    let mut response = outcome.unwrap_or_else(|problem| problem.response());
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Only who has the key, and no other site's page: a browser sends no `Authorization` of its own accord, and what it
/// says of where a request comes from counts too. (The `Host` header was checked before: `hosts`.)
fn admit(exchange: &Exchange) -> Result<(), Problem> {
    if !exchange.is_from_here() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "another site's page sent this; nothing was done"));
    }
    let header = exchange.header(header::AUTHORIZATION.as_str()).unwrap_or_default();
    let key = match header.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => "",
    };
    if exchange.state.admin_key.opens(key) {
        return Ok(());
    }
    let why = "send Authorization: Bearer with the admin key, which the local Entra ID gives at its start";
    Err(Problem::new(StatusCode::UNAUTHORIZED, why))
}

async fn text(exchange: &Exchange, body: impl RequestBody) -> Result<Vec<u8>, Problem> {
    let limits = &exchange.state.limits;
    match read(body, limits.seed_bytes, limits.body).await {
        Ok(body) => Ok(body.to_vec()),
        Err(BodyError::TooLong) => Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")),
        Err(BodyError::TooSlow) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
        Err(BodyError::Broken) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body broke off")),
    }
}

async fn serve(exchange: &Exchange, segments: &[&str], body: &[u8]) -> Result<Response, Problem> {
    let state = &*exchange.state;
    match (exchange.head.method.clone(), segments) {
        (Method::GET | Method::HEAD, []) => Ok(overview(exchange)),
        (Method::GET | Method::HEAD, ["faults"]) => Ok(ok(&list(state.faults.rules().iter().map(shown)))),
        (Method::POST, ["faults"]) => add_fault(state, body),
        (Method::DELETE, ["faults"]) => {
            state.faults.clear();
            Ok(done())
        }
        (Method::DELETE, ["faults", id]) => match id.parse().is_ok_and(|id| state.faults.remove(id)) {
            true => Ok(done()),
            false => Err(Problem::new(StatusCode::NOT_FOUND, "there is no such fault, or it is used up")),
        },
        (Method::GET | Method::HEAD, ["replication-delays"]) => Ok(ok(&list(state.faults.delays.rules().into_iter()))),
        (Method::PUT, ["replication-delays"]) => {
            let rules: Vec<SeedReplicationDelay> = parse(body)?;
            state.faults.admit_delays(rules)?;
            Ok(done())
        }
        (Method::GET | Method::HEAD, ["tokens"]) => Ok(ok(&Tokens::of(state))),
        (Method::PUT, ["tokens"]) => {
            parse::<Tokens>(body)?.apply(state);
            Ok(done())
        }
        (Method::GET | Method::HEAD, ["revocations"]) => Ok(ok(&list(state.faults.revoked().into_iter()))),
        (Method::POST, ["revocations"]) => {
            let Revocation { app } = parse(body)?;
            state.faults.admit_revocation(app, state.clock.now_unix())?;
            Ok(done())
        }
        (Method::DELETE, ["revocations", app]) => match app.parse().is_ok_and(|app| state.faults.end_revocation(app)) {
            true => Ok(done()),
            false => Err(Problem::new(StatusCode::NOT_FOUND, "this application's tokens are not revoked")),
        },
        (Method::GET | Method::HEAD, ["clock"]) => Ok(ok(&clock(state))),
        (Method::POST, ["clock"]) => {
            move_clock(state, &parse(body)?)?;
            Ok(ok(&clock(state)))
        }
        (Method::GET | Method::HEAD, ["signing-keys"]) => Ok(ok(&keys(state))),
        (Method::POST, ["signing-keys"]) => match state.rotate_signing_key().await {
            Ok(()) => Ok(ok(&keys(state))),
            Err(error) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        },
        (Method::GET | Method::HEAD, ["sign-ins"]) => sign_ins::find(exchange),
        (Method::GET, ["sign-ins", "stream"]) => Ok(sign_ins::follow(exchange)),
        (Method::GET | Method::HEAD, ["seed"]) => Ok(seed::export(state)),
        (Method::POST, ["seed"]) => seed::add(state, body),
        (Method::PUT, ["seed"]) => seed::replace(state, body),
        (Method::GET | Method::HEAD, ["seed", "schema"]) => Ok(seed::schema()),
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "there is nothing here with this method; GET /admin says what there is",
        )),
    }
}

fn overview(exchange: &Exchange) -> Response {
    let state = &exchange.state;
    let directory = state.directory.load();
    ok(&value!({
        "version": env!("CARGO_PKG_VERSION"),
        "authority": exchange.base,
        "now": time(state.clock.now_unix()),
        "tenants": directory.tenants().map(|tenant| tenant.id).collect::<Vec<_>>(),
        "tokenRequests": state.token_requests.load(std::sync::atomic::Ordering::Relaxed),
        "paths": PATHS,
    }))
}

fn add_fault(state: &State, body: &[u8]) -> Result<Response, Problem> {
    let declared: SeedFault = parse(body)?;
    let id = state.faults.admit(FaultRule::declared(&declared, "fault")?)?;
    Ok(json(StatusCode::CREATED, &value!({ "id": id })))
}

/// A fault that waits, with the id by which it is taken away.
#[derive(Serialize)]
struct Shown {
    id: u64,
    #[serde(flatten)]
    fault: SeedFault,
}

fn shown(rule: &FaultRule) -> Shown {
    Shown { id: rule.id(), fault: rule.declare() }
}

/// How tokens are made. What is absent is as at Entra.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Tokens {
    lifetime_seconds: Option<u32>,
    refresh_in_seconds: Option<u32>,
    /// Of every token request.
    latency_milliseconds: Option<u32>,
}

impl Tokens {
    fn of(state: &State) -> Self {
        let seconds = |seconds: Option<i64>| seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let latency = state.faults.latency_of_all().and_then(|latency| u32::try_from(latency.as_millis()).ok());
        Self {
            lifetime_seconds: seconds(state.faults.lifetime_seconds()),
            refresh_in_seconds: seconds(state.faults.refresh_in_seconds()),
            latency_milliseconds: latency,
        }
    }

    fn apply(&self, state: &State) {
        let seconds = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
        state.faults.token_lifetime(seconds(self.lifetime_seconds));
        state.faults.refresh_in(seconds(self.refresh_in_seconds));
        state.faults.latency(Duration::from_millis(self.latency_milliseconds.unwrap_or(0).into()));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    app: Uuid,
}

/// One movement of the clock: one of these.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Movement {
    /// Back when negative.
    advance_seconds: Option<i64>,
    set: Option<Timestamp>,
    freeze: Option<bool>,
    reset: Option<bool>,
}

fn move_clock(state: &State, movement: &Movement) -> Result<(), Problem> {
    let refused = |why: &str| Problem::new(StatusCode::BAD_REQUEST, why);
    let clock = &state.clock;
    match *movement {
        Movement { advance_seconds: Some(seconds), set: None, freeze: None, reset: None } => {
            let then = clock.now_unix().checked_add(seconds).filter(|&then| time(then).is_some());
            then.ok_or_else(|| refused("that is beyond all dates").at("advanceSeconds"))?;
            clock.shift_seconds(seconds);
        }
        Movement { advance_seconds: None, set: Some(time), freeze: None, reset: None } => {
            clock.set_unix(time.as_second());
        }
        Movement { advance_seconds: None, set: None, freeze: Some(true), reset: None } => clock.freeze(),
        Movement { advance_seconds: None, set: None, freeze: None, reset: Some(true) } => clock.reset(),
        _ => {
            return Err(refused(
                "one of advanceSeconds, set, \"freeze\": true and \"reset\": true; reset makes a frozen clock go on",
            ));
        }
    }
    Ok(())
}

fn clock(state: &State) -> Value {
    value!({
        "now": time(state.clock.now_unix()),
        "aheadSeconds": state.clock.ahead_seconds(),
        "frozen": state.clock.is_frozen(),
    })
}

fn keys(state: &State) -> Value {
    list(state.keys.published().iter().map(|key| key.jwk.kid.clone()))
}

/// Why a request was not done.
struct Problem {
    status: StatusCode,
    message: String,
    path: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), path: None }
    }

    fn at(mut self, path: &str) -> Self {
        self.path = (path != ".").then(|| path.to_owned());
        self
    }

    fn response(&self) -> Response {
        let mut response = json(self.status, &value!({ "error": { "message": self.message, "path": self.path } }));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"local Entra ID, admin\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<SeedError> for Problem {
    fn from(error: SeedError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.message()).at(error.path())
    }
}

impl From<TooMuch> for Problem {
    fn from(error: TooMuch) -> Self {
        let status = match error {
            TooMuch::Text(_) => StatusCode::BAD_REQUEST,
            TooMuch::Faults(_) | TooMuch::Delays(_) | TooMuch::Revocations(_) => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, error.inner().to_string()).at(&known_path(error.path()))
    })?;
    json.end().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(parsed)
}

fn ok(value: &impl Serialize) -> Response {
    json(StatusCode::OK, value)
}

fn done() -> Response {
    let mut response = ok(&());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.body_mut().take_length();
    response
}

fn list<T: Serialize>(values: impl Iterator<Item = T>) -> Value {
    value!({ "value": values.collect::<Vec<_>>() })
}

fn time(unix: i64) -> Option<String> {
    Timestamp::from_second(unix).ok().map(|time| time.to_string())
}

/// What there is; a test holds the documentation to it.
pub(crate) const PATHS: &[&str] = &[
    "GET /admin",
    "GET /admin/faults",
    "POST /admin/faults",
    "DELETE /admin/faults",
    "DELETE /admin/faults/{id}",
    "GET /admin/replication-delays",
    "PUT /admin/replication-delays",
    "GET /admin/tokens",
    "PUT /admin/tokens",
    "GET /admin/revocations",
    "POST /admin/revocations",
    "DELETE /admin/revocations/{app}",
    "GET /admin/clock",
    "POST /admin/clock",
    "GET /admin/signing-keys",
    "POST /admin/signing-keys",
    "GET /admin/sign-ins",
    "GET /admin/sign-ins/stream",
    "GET /admin/seed",
    "POST /admin/seed",
    "PUT /admin/seed",
    "GET /admin/seed/schema",
];
