//! IMDS as a strict peer, and a machine that has it.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use apptoken::clock::{Clock, ManualClock};
use apptoken::{Environment, ManagedIdentityClient, ManagedIdentityClientBuilder};
use axum::body::Body;
use http::Response;
use serde_json::json;
use testkit::CANARY;

use super::{Seen, Stub, json};

pub const VAULT: &str = "https://vault.azure.net";
pub const IMDS_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
pub const GUID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

pub fn platform_secret() -> String {
    format!("{CANARY}-platform")
}

pub fn unix_now() -> u64 {
    ManualClock::default().system_time().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A token as sources give it: every number a string.
pub fn grant(name: &str) -> Response<Body> {
    let expires_on = (unix_now() + 3600).to_string();
    let body = json!({
        "access_token": name, "client_id": GUID, "expires_in": "3599", "expires_on": expires_on,
        "ext_expires_in": "3599", "not_before": "1", "resource": VAULT, "token_type": "Bearer",
    });
    json(200, &body)
}

pub fn bad_request(why: &str) -> Response<Body> {
    json(400, &json!({ "error": "invalid_request", "error_description": why }))
}

/// IMDS: nothing without `Metadata: true`, the right version and a resource without `/.default`.
pub fn imds(request: &Seen) -> Response<Body> {
    let right = request.method == "GET"
        && request.path == "/metadata/identity/oauth2/token"
        && request.header("metadata") == Some("true")
        && request.header("x-forwarded-for").is_none()
        && request.header("x-ms-client-request-id").is_some_and(|id| id.len() == 36)
        && request.query("api-version") == Some("2018-02-01")
        && request.query("resource") == Some(VAULT);
    if right {
        grant(&format!("imds-{}", request.number))
    } else {
        bad_request("Required metadata header not specified")
    }
}

pub struct Machine {
    pub stub: Stub,
    pub clock: Arc<ManualClock>,
}

impl Machine {
    pub async fn with_imds(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self { stub: Stub::start(answer).await, clock: Arc::default() }
    }

    pub fn environment(&self) -> Environment {
        Environment::from_iter([(IMDS_HOST, self.stub.url(""))]).root("/nowhere")
    }

    pub fn on(&self, builder: ManagedIdentityClientBuilder) -> ManagedIdentityClient {
        builder.environment(self.environment()).clock(self.clock.clone()).build().unwrap()
    }

    pub fn client(&self) -> ManagedIdentityClient {
        self.on(ManagedIdentityClient::system_assigned())
    }
}
