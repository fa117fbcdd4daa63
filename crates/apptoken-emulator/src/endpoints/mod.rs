//! What is served under which path, and what all answers share.

mod body;
pub(crate) mod graph;
mod managed_identity;
mod metadata;
pub(crate) mod token;
mod workload;

use std::borrow::Cow;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use url::form_urlencoded;
use uuid::Uuid;

pub(crate) use body::Body;

use crate::aadsts::{Ids, Refusal};
use crate::admin;
use crate::directory::TokenVersion;
use crate::hosts::is_graph_host;
use crate::managed_identity::ManagedIdentitySource;
use crate::portal;
use crate::state::State;

pub(crate) type Response = http::Response<Body>;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer(Box<Response>),
    /// Reset the connection.
    Reset,
    /// Keep the connection open and say nothing.
    Hang,
}

/// One request: who asks whom for what.
pub(crate) struct Exchange {
    pub(crate) state: Arc<State>,
    pub(crate) head: http::request::Parts,
    /// By what name the client calls this server: `https://localhost:8443`.
    pub(crate) base: String,
}

/// Paths, read once. Doubled slashes and one at the end do not count; letter case of the fixed parts does.
enum Route<'a> {
    Token(&'a str, TokenVersion),
    Configuration(&'a str, TokenVersion),
    Keys(&'a str, TokenVersion),
    InstanceDiscovery,
    Graph,
    Workload(&'a [&'a str]),
    Portal(&'a [&'a str]),
    Admin(&'a [&'a str]),
    Identity(ManagedIdentitySource),
    InstanceMetadata,
    Root,
    Nothing,
}

impl<'a> Route<'a> {
    fn of(segments: &'a [&'a str], graph_host: bool) -> Self {
        use TokenVersion::{V1, V2};
        match segments {
            ["v1.0" | "beta", ..] if graph_host => Self::Graph,
            ["graph", "v1.0" | "beta", ..] => Self::Graph,
            ["issuer", rest @ ..] => Self::Workload(rest),
            ["portal", rest @ ..] => Self::Portal(rest),
            ["admin", rest @ ..] => Self::Admin(rest),
            ["metadata", "identity", "oauth2", "token"] => Self::Identity(ManagedIdentitySource::Imds),
            ["metadata", ..] => Self::InstanceMetadata,
            ["msi", "token"] => Self::Identity(ManagedIdentitySource::AppService),
            ["arc", "metadata", "identity", "oauth2", "token"] => Self::Identity(ManagedIdentitySource::AzureArc),
            ["cloudshell", "token"] => Self::Identity(ManagedIdentitySource::CloudShell),
            ["ml", "token"] => Self::Identity(ManagedIdentitySource::MachineLearning),
            ["servicefabric", "token"] => Self::Identity(ManagedIdentitySource::ServiceFabric),
            [tenant, "oauth2", "v2.0", "token"] => Self::Token(tenant, V2),
            [tenant, "oauth2", "token"] => Self::Token(tenant, V1),
            [tenant, "v2.0", ".well-known", "openid-configuration"] => Self::Configuration(tenant, V2),
            [tenant, ".well-known", "openid-configuration"] => Self::Configuration(tenant, V1),
            [tenant, "discovery", "v2.0", "keys"] => Self::Keys(tenant, V2),
            [tenant, "discovery", "keys"] => Self::Keys(tenant, V1),
            [_, "discovery", "instance"] => Self::InstanceDiscovery,
            [] => Self::Root,
            _ => Self::Nothing,
        }
    }
}

/// Answers one request. `secure` says whether it came over TLS.
pub(crate) async fn handle(state: Arc<State>, request: Request<impl RequestBody>, secure: bool) -> Reply {
    let (head, body) = request.into_parts();
    let mut body = pin!(body);
    let is_head = head.method == Method::HEAD;
    let most = state.limits.body_bytes;
    let mut reply = route(state, head, body.as_mut(), secure).await;
    if !body.is_end_stream() {
        // HTTP/2 clients may take an answer before their last byte for an error.
        let _ = read(body, most, LATE_BODY).await;
    }
    if let (true, Reply::Answer(response)) = (is_head, &mut reply) {
        let length = response.body_mut().take_length();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    reply
}

async fn route(state: Arc<State>, head: http::request::Parts, body: impl RequestBody, secure: bool) -> Reply {
    let host = match host(&head) {
        Some(host) if state.hosts.accept(host) => host.to_owned(),
        host => return Reply::from(wrong_host(host.unwrap_or_default())),
    };
    let scheme = if secure { "https" } else { "http" };
    let exchange = Exchange { state, base: format!("{scheme}://{host}"), head };
    let path = exchange.head.uri.path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let route = Route::of(&segments, is_graph_host(&host));
    let changes = matches!(route, Route::Graph | Route::Portal(_) | Route::Admin(_)) && !exchange.is_read();
    let reply = match route {
        Route::Token(tenant, version) => token::answer(&exchange, &decoded(tenant), version, body).await,
        Route::Configuration(tenant, version) => metadata::configuration(&exchange, &decoded(tenant), version).into(),
        Route::Keys(tenant, version) => metadata::keys(&exchange, &decoded(tenant), version).into(),
        Route::InstanceDiscovery => metadata::instance_discovery(&exchange).into(),
        Route::Graph => graph::answer(&exchange, body).await.into(),
        Route::Workload(segments) => workload::answer(&exchange, segments).await.into(),
        Route::Portal(segments) => portal::answer(&exchange, segments, body).await.into(),
        Route::Admin(segments) => admin::answer(&exchange, segments, body).await.into(),
        Route::Identity(source) => managed_identity::answer(&exchange, source, body).await,
        Route::InstanceMetadata => managed_identity::metadata(&exchange).into(),
        Route::Root => text(StatusCode::OK, ROOT).into(),
        Route::Nothing => text(StatusCode::NOT_FOUND, "The local Entra ID has nothing at this path.\n").into(),
    };
    // A change is acknowledged when it is on disk.
    match changes {
        true => exchange.state.saved().await.map_or_else(|why| not_saved(&why).into(), |()| reply),
        false => reply,
    }
}

/// A segment of a path in plain characters: a template's `{tenant}` comes percent-encoded.
fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

impl Exchange {
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.head.method, Method::GET | Method::HEAD)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What a browser says about where a request comes from: no other site's page. Programs say nothing.
    pub(crate) fn is_from_here(&self) -> bool {
        let same_site = self.header("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
        let same_origin = self.header("origin").is_none_or(|origin| origin.eq_ignore_ascii_case(&self.base));
        same_site && same_origin
    }

    /// The name, with its port, by which the client calls this server.
    pub(crate) fn host(&self) -> &str {
        self.base.split_once("//").map_or("", |(_, host)| host)
    }

    /// The first query parameter of this name.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.head.uri.query()?;
        form_urlencoded::parse(query.as_bytes()).find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
    }

    /// A new trace id, and the client's own id from where the client libraries put it: a header (MSAL Python, Go,
    /// .NET), the query or the body (MSAL Node), another header (the Azure SDKs).
    pub(crate) fn ids(&self, in_body: Option<&str>) -> Ids {
        let [trace, made_up] = two_ids();
        let named = |text: &str| Uuid::try_parse(text.trim()).ok();
        let correlation = self
            .header("client-request-id")
            .and_then(named)
            .or_else(|| self.query("client-request-id").as_deref().and_then(named))
            .or_else(|| in_body.and_then(named))
            .or_else(|| self.header("x-ms-client-request-id").and_then(named))
            .unwrap_or(made_up);
        Ids { trace, correlation }
    }
}

/// What a request brings: from a connection or from memory.
pub(crate) trait RequestBody:
    hyper::body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
{
}

impl<B: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>> RequestBody for B {}

/// Random (RFC 9562 §5.4), by AWS-LC's generator: `Uuid::new_v4` asks the kernel for each.
fn two_ids() -> [Uuid; 2] {
    let mut random = [[0; 16]; 2];
    match rand::fill(random.as_flattened_mut()) {
        Ok(()) => random.map(|bytes| uuid::Builder::from_random_bytes(bytes).into_uuid()),
        Err(_) => [Uuid::new_v4(), Uuid::new_v4()],
    }
}

/// Why a body could not be read.
pub(crate) enum BodyError {
    TooLong,
    TooSlow,
    /// The client went away, or sent what is no HTTP.
    Broken,
}

pub(crate) async fn read(body: impl RequestBody, most: usize, within: Duration) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(within, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// A refusal in Entra's envelope.
pub(crate) fn refuse(exchange: &Exchange, refusal: &Refusal, ids: Ids) -> Response {
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, &refusal.envelope(ids, exchange.state.clock.now_millis(), exchange.host()))
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::whole(bytes));
    *response.status_mut() = status;
    set(response.headers_mut(), COMMON);
    response
}

pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::whole(text));
    *response.status_mut() = status;
    set(response.headers_mut(), COMMON);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

pub(crate) fn set(headers: &mut HeaderMap, fixed: &[(&'static str, &'static str)]) {
    for &(name, value) in fixed {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

pub(crate) fn set_id(headers: &mut HeaderMap, name: &'static str, id: Uuid) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(name, value);
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

/// HTTP/2 has it in the request's target, HTTP/1.1 in the `Host` header, once. Two that differ are nobody's name
/// (RFC 9113 §8.3.1).
fn host(head: &http::request::Parts) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        let mut others = head.headers.get_all(header::HOST).iter();
        return others
            .all(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
            .then_some(authority.as_str());
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    }
}

fn wrong_host(host: &str) -> Response {
    let host: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
    let message = format!(
        "The local Entra ID does not answer to the name {host:?}. Use localhost or an IP address, or start it with that \
         host name.\n"
    );
    text(StatusCode::MISDIRECTED_REQUEST, message)
}

fn not_saved(why: &str) -> Response {
    let message = format!(
        "The change was made, but the data folder could not take it yet ({why}); it is tried again until the local Entra ID \
         ends.\n"
    );
    text(StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// How long an answer waits for the rest of a body that nobody needed.
const LATE_BODY: Duration = Duration::from_millis(250);

/// On every answer, as recorded from Entra. Not among them: Strict-Transport-Security, which a browser would hold
/// against everything else on localhost.
const COMMON: &[(&str, &str)] =
    &[("content-type", "application/json; charset=utf-8"), ("x-content-type-options", "nosniff")];

const ROOT: &str = "This is a local Microsoft Entra ID for development and tests, made by apptoken. It is not Microsoft's, \
                    and nothing that it issues is worth anything elsewhere.\nIts portal is at /portal.\n";
