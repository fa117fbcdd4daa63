//! `/issuer/…`: metadata and keys of the emulator's own identity provider, and the addresses at which jobs of GitHub
//! Actions and Azure Pipelines get their tokens.

use std::sync::Arc;

use apptoken_jose::jwk::JwkSet;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde_json::json as value;
use uuid::Uuid;

use super::{Exchange, Response, json, set, text};
use crate::workload::{EXCHANGE, Job, Provider};

/// Answers what comes after `/issuer`.
pub(super) async fn answer(exchange: &Exchange, segments: &[&str]) -> Response {
    let nothing = || text(StatusCode::NOT_FOUND, "The local identity provider has nothing at this path.\n");
    let Some((provider, rest)) = segments.split_first() else { return nothing() };
    let Some(provider) = Provider::parse(provider) else { return nothing() };
    match (provider, rest) {
        (_, [".well-known", "openid-configuration"]) => metadata(exchange, provider),
        (_, ["keys"]) => keys(exchange).await,
        (Provider::GitHub, ["jobs", id, "idtoken"]) => github(exchange, id).await,
        (Provider::Pipelines, ["jobs", id, "oidctoken"]) => pipelines(exchange, id).await,
        _ => nothing(),
    }
}

fn metadata(exchange: &Exchange, provider: Provider) -> Response {
    let workloads = &exchange.state.workloads;
    let document = value!({
        "issuer": workloads.issuer(provider),
        "jwks_uri": format!("{}/keys", workloads.metadata_base(provider)),
        "subject_types_supported": ["public"],
        "response_types_supported": ["id_token"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    });
    json(StatusCode::OK, &document)
}

async fn keys(exchange: &Exchange) -> Response {
    let workloads = Arc::clone(&exchange.state.workloads);
    // The first time makes a key.
    let computing = tokio::task::spawn_blocking(move || {
        let published = workloads.keys().ok()?.published();
        Some(JwkSet { keys: published.iter().map(|key| key.jwk.clone()).collect() })
    });
    let computed = computing.await;
    on_disk(exchange).await;
    match computed {
        Ok(Some(set)) => json(StatusCode::OK, &set),
        _ => text(StatusCode::INTERNAL_SERVER_ERROR, "No key could be made.\n"),
    }
}

/// `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…`.
async fn github(exchange: &Exchange, id: &str) -> Response {
    let job = match admitted(exchange, Provider::GitHub, id) {
        Ok(job) => job,
        Err(status) => return json(status, &value!({ "message": "the request token is not that of a running job" })),
    };
    if !exchange.is_read() {
        return not_allowed("GET");
    }
    if exchange.query("api-version").is_none() {
        return json(StatusCode::BAD_REQUEST, &value!({ "message": "the parameter api-version is missing" }));
    }
    let audience = exchange.query("audience").unwrap_or_else(|| job.default_audience().to_owned());
    match token(exchange, job, audience).await {
        Some(token) => json(StatusCode::OK, &value!({ "count": token.len(), "value": token })),
        None => text(StatusCode::INTERNAL_SERVER_ERROR, "No key could be made.\n"),
    }
}

/// `POST $SYSTEM_OIDCREQUESTURI?api-version=7.1&serviceConnectionId=…`.
async fn pipelines(exchange: &Exchange, id: &str) -> Response {
    let refuse = |status, message: &str| json(status, &value!({ "$id": "1", "message": message, "errorCode": 0 }));
    let job = match admitted(exchange, Provider::Pipelines, id) {
        Ok(job) => job,
        // Azure DevOps shows a sign-in page to who does not say that a program is asking.
        Err(_) if exchange.header("x-tfs-fedauthredirect") != Some("Suppress") => {
            let mut response = text(StatusCode::FOUND, "Object moved.\n");
            let sign_in = HeaderValue::from_static("https://spsprodeus27.vssps.visualstudio.com/_signin");
            response.headers_mut().insert(header::LOCATION, sign_in);
            return response;
        }
        Err(status) => return refuse(status, "the access token is not that of a running job"),
    };
    if exchange.head.method != http::Method::POST {
        return not_allowed("POST");
    }
    if exchange.query("api-version").is_none_or(|version| !version.starts_with("7.1")) {
        return refuse(StatusCode::BAD_REQUEST, "the parameter api-version must be 7.1");
    }
    let asked = exchange.query("serviceConnectionId").unwrap_or_default();
    if Uuid::try_parse(&asked).ok() != job.service_connection() {
        return refuse(StatusCode::NOT_FOUND, "the job has no service connection of this id");
    }
    match token(exchange, job, EXCHANGE.into()).await {
        Some(token) => json(StatusCode::OK, &value!({ "oidcToken": token })),
        None => text(StatusCode::INTERNAL_SERVER_ERROR, "No key could be made.\n"),
    }
}

/// The job of this id, if the bearer token is its own.
fn admitted(exchange: &Exchange, provider: Provider, id: &str) -> Result<Arc<Job>, StatusCode> {
    let header = exchange.header(header::AUTHORIZATION.as_str()).unwrap_or_default();
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    let job = exchange.state.workloads.job(provider, id);
    job.filter(|job| job.opens(token)).ok_or(StatusCode::UNAUTHORIZED)
}

async fn token(exchange: &Exchange, job: Arc<Job>, audience: String) -> Option<String> {
    let workloads = Arc::clone(&exchange.state.workloads);
    // The first time makes a key.
    let minting = tokio::task::spawn_blocking(move || job.workload(&workloads).token(&audience).ok());
    let token = minting.await.ok().flatten();
    on_disk(exchange).await;
    token
}

/// The key that was perhaps made is kept before anybody sees it. A disk in trouble, which is in the log, stops no job.
async fn on_disk(exchange: &Exchange) {
    let _ = exchange.state.saved().await;
}

fn not_allowed(method: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("Use {method}.\n"));
    set(response.headers_mut(), &[("allow", method)]);
    response
}
