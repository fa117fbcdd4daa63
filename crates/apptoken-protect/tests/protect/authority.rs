//! A small authority on loopback that answers as Entra does, counts, and misbehaves when told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::tokens::{Signer, TENANT};

/// What is published, to be changed while it runs.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) v1_issuer: String,
    pub(crate) v2_issuer: String,
    pub(crate) v1_keys: Vec<Value>,
    pub(crate) v2_keys: Vec<Value>,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) latency: Duration,
    /// In place of the real `jwks_uri` of both documents.
    pub(crate) jwks_uri: Option<String>,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Trouble {
    Status(u16, &'static str),
    Redirect,
    Huge,
    Body(&'static str),
    Hang,
}

#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) url: String,
    site: Arc<Mutex<Published>>,
    requests: Arc<Mutex<HashMap<String, usize>>>,
}

impl Authority {
    /// Publishes one signer's key in both versions.
    pub(crate) async fn start(signer: &Signer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let site = Published {
            v1_issuer: format!("https://sts.windows.net/{TENANT}/"),
            v2_issuer: format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            v1_keys: vec![signer.jwk()],
            v2_keys: vec![signer.jwk_with_issuer("https://login.microsoftonline.com/{tenantid}/v2.0")],
            trouble: None,
            latency: Duration::ZERO,
            jwks_uri: None,
        };
        let authority = Self { url, site: Arc::new(Mutex::new(site)), requests: Arc::default() };
        let router = Router::new().fallback(answer).with_state(authority.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        authority
    }

    pub(crate) fn publish(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.site.lock().unwrap());
    }

    /// How often a path that ends so was asked for.
    pub(crate) fn count(&self, suffix: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(path, _)| path.ends_with(suffix)).map(|(_, count)| count).sum()
    }

    /// How often version 2.0's keys were fetched.
    pub(crate) fn fetches(&self) -> usize {
        self.count("/discovery/v2.0/keys")
    }
}

async fn answer(State(authority): State<Authority>, uri: Uri) -> Response {
    *authority.requests.lock().unwrap().entry(uri.path().to_owned()).or_default() += 1;
    let site = authority.site.lock().unwrap().clone();
    tokio::time::sleep(site.latency).await;
    match site.trouble {
        None => {}
        Some(Trouble::Status(status, body)) => return (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Some(Trouble::Redirect) => {
            return (StatusCode::FOUND, [(header::LOCATION, format!("{}/elsewhere", authority.url))]).into_response();
        }
        Some(Trouble::Huge) => return " ".repeat(2 * 1024 * 1024).into_response(),
        Some(Trouble::Body(body)) => return body.into_response(),
        Some(Trouble::Hang) => std::future::pending().await,
    }
    let Some((tenant, path)) = uri.path().trim_start_matches('/').split_once('/') else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keys = |path| site.jwks_uri.clone().unwrap_or_else(|| format!("{}/{tenant}/{path}", authority.url));
    let body = match path {
        ".well-known/openid-configuration" => {
            json!({ "issuer": site.v1_issuer, "jwks_uri": keys("discovery/keys"), "extra": 1 })
        }
        "v2.0/.well-known/openid-configuration" => {
            json!({ "issuer": site.v2_issuer, "jwks_uri": keys("discovery/v2.0/keys"), "extra": 1 })
        }
        "discovery/keys" => json!({ "keys": site.v1_keys }),
        "discovery/v2.0/keys" => json!({ "keys": site.v2_keys }),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
