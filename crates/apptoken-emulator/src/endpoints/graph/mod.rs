//! Microsoft Graph v1.0 of the local directory, as automation uses it: applications, service principals, app role
//! assignments, credentials; users, groups and the sign-in log to be read. Of the beta version, federated credentials,
//! whose expressions only it has.

mod applications;
mod assignments;
mod batch;
mod call;
mod caller;
mod credentials;
mod error;
mod federated;
mod fields;
mod guard;
mod objects;
mod owners;
mod path;
mod people;
mod query;
mod service_principals;
mod sign_ins;

use std::error::Error;

use apptoken_jose::base64url;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;

use self::call::{Answer, Call, Content, GraphVersion, Input};
use self::caller::Caller;
use self::error::GraphError;
use self::path::Target;
use super::{Body, BodyError, Exchange, Response, json, read, set_id};
use crate::aadsts::Ids;
use crate::state::State;

/// Answers what comes under `/v1.0` and `/beta`.
pub(crate) async fn answer<B>(exchange: &Exchange, body: B) -> Response
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let ids = exchange.ids(None);
    let (version, root, path) = split(exchange);
    let authorization = exchange.header(header::AUTHORIZATION.as_str()).unwrap_or_default();
    let login = login_base(exchange);
    let desk = Desk { state: &exchange.state, version, root: &root, authorization, login, ids };
    let outcome = match input(exchange, body).await {
        Ok(input) => respond(exchange, &desk, path, &input),
        Err(error) => Err(error),
    };
    let mut response = outcome.unwrap_or_else(|error| {
        let mut response = json(error.status, &error.body(ids, exchange.state.clock.now_unix()));
        if let Some((name, challenge)) = error.challenge(desk.login) {
            response.headers_mut().insert(name, challenge);
        }
        response
    });
    let headers = response.headers_mut();
    set_id(headers, "request-id", ids.trace);
    set_id(headers, "client-request-id", ids.correlation);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        "x-ms-ags-diagnostic",
        HeaderValue::from_static(concat!(
            r#"{"ServerInfo":{"DataCenter":"Local","Slice":"E","Ring":"0","RoleInstance":"apptoken-emulator "#,
            env!("CARGO_PKG_VERSION"),
            r#""}}"#
        )),
    );
    response
}

fn respond(exchange: &Exchange, desk: &Desk<'_>, path: &str, input: &Input) -> Result<Response, GraphError> {
    if path.trim_matches('/') == "$batch" {
        if exchange.head.method != Method::POST {
            return Err(GraphError::wrong_method());
        }
        let directory = desk.state.directory.load();
        Caller::authenticate(desk.state, &directory, desk.authorization)?;
        return Ok(json(StatusCode::OK, &batch::answer(desk, input)?));
    }
    let eventual = exchange.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
    let query = exchange.head.uri.query().unwrap_or_default();
    let asked = Asked { method: &exchange.head.method, path, query, eventual, body: input };
    Ok(written(desk.serve(&asked)?))
}

/// Where requests are served, from outside or from a batch.
struct Desk<'a> {
    state: &'a State,
    version: GraphVersion,
    root: &'a str,
    authorization: &'a str,
    /// Where tokens for this Graph come from.
    login: &'a str,
    ids: Ids,
}

/// One request.
struct Asked<'a> {
    method: &'a Method,
    /// After the root, as it came.
    path: &'a str,
    query: &'a str,
    eventual: bool,
    body: &'a Input,
}

impl Desk<'_> {
    /// Who asks, what for, whether it may be, and then the answer.
    fn serve(&self, asked: &Asked<'_>) -> Result<Answer, GraphError> {
        let directory = self.state.directory.load();
        let caller = Caller::authenticate(self.state, &directory, self.authorization)?;
        let target = Target::parse(asked.path)?;
        let call = Call {
            state: self.state,
            directory: &directory,
            caller: &caller,
            version: self.version,
            root: self.root,
            method: asked.method,
            path: asked.path.trim_matches('/'),
            query: asked.query,
            eventual: asked.eventual,
            body: asked.body,
        };
        if self.version == GraphVersion::Beta && !target.is_federated_credential() {
            let message = "Of Graph's beta version, the local one has applications/{id}/federatedIdentityCredentials \
                           only. Use v1.0.";
            return Err(GraphError::malformed(message));
        }
        match target.collection.as_str() {
            "applications" => applications::serve(&call, &target),
            "servicePrincipals" => service_principals::serve(&call, &target),
            "organization" => people::organization(&call, &target),
            "users" => people::users(&call, &target),
            "groups" => people::groups(&call, &target),
            "directoryObjects" => people::any(&call, &target),
            "auditLogs/signIns" => sign_ins::serve(&call, &target),
            other => Err(GraphError::unknown_segment(other)),
        }
    }
}

fn written(answer: Answer) -> Response {
    let mut response = match answer.body {
        Content::Json(body) => json(answer.status, &body),
        Content::Text(text) => super::text(answer.status, text),
        Content::Nothing => {
            let mut response = Response::new(Body::whole(""));
            *response.status_mut() = answer.status;
            return response;
        }
    };
    let headers = response.headers_mut();
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ODATA_JSON));
    }
    headers.insert("odata-version", HeaderValue::from_static("4.0"));
    if let Some(location) = answer.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// The body, within bounds. It is looked at only if it is said to be JSON, as it then is.
async fn input<B>(exchange: &Exchange, body: B) -> Result<Input, GraphError>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if exchange.is_read() {
        return Ok(Input::Nothing);
    }
    let limits = &exchange.state.limits;
    let refused = |status, message: &str| Err(GraphError::new(status, "BadRequest", message));
    let bytes = match read(body, limits.body_bytes, limits.body).await {
        Ok(bytes) => bytes,
        Err(BodyError::TooLong) => {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "The request's payload is too large.");
        }
        Err(BodyError::TooSlow) => return refused(StatusCode::REQUEST_TIMEOUT, "The payload did not come in time."),
        Err(BodyError::Broken) => return refused(StatusCode::BAD_REQUEST, "The payload broke off."),
    };
    if bytes.is_empty() {
        return Ok(Input::Nothing);
    }
    let kind = exchange.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Ok(Input::NoJson);
    }
    Ok(serde_json::from_slice::<Value>(&bytes).map_or(Input::NoJson, Input::Json))
}

/// The version and its root, as this client calls it, and what comes after it.
fn split(exchange: &Exchange) -> (GraphVersion, String, &str) {
    let path = exchange.head.uri.path().trim_start_matches('/');
    let inner = path.strip_prefix("graph/");
    let graph = if inner.is_some() { "/graph" } else { "" };
    let rest = inner.unwrap_or(path).trim_start_matches('/');
    let (version, name, rest) = match rest.strip_prefix("beta") {
        Some(rest) => (GraphVersion::Beta, "beta", rest),
        None => (GraphVersion::V1, "v1.0", rest.strip_prefix("v1.0").unwrap_or(rest)),
    };
    (version, format!("{}{graph}/{name}/", exchange.base), rest)
}

/// Where tokens for this Graph come from.
fn login_base(exchange: &Exchange) -> &str {
    let by_its_name = crate::hosts::is_graph_host(exchange.base.split("//").nth(1).unwrap_or_default());
    if by_its_name { "https://login.microsoftonline.com" } else { &exchange.base }
}

/// With its own two characters and padding, as APIs write challenges and Graph writes bytes.
fn standard_base64(bytes: &[u8]) -> String {
    let mut text = base64url::encode(bytes).replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    text
}

/// What Graph says that its answers are.
const ODATA_JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
