//! The tests' API and how it is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken_protect::{Caller, Protect, ProtectBuilder, RequireRoles};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::Value;
use tower::ServiceExt;

use crate::authority::Authority;
use crate::tokens::{API, NOW, TENANT};

/// A clock that stands until it is moved.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn function(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let seconds = Arc::clone(&self.0);
        move || UNIX_EPOCH + Duration::from_secs(seconds.load(Ordering::SeqCst).unsigned_abs())
    }
}

pub(crate) fn builder(authority: &Authority, clock: &TestClock) -> ProtectBuilder {
    Protect::api("api://todolist")
        .client_id(API)
        .unwrap()
        .tenant(TENANT)
        .authority(&authority.url)
        .allow_http_loopback(true)
        .clock(clock.function())
}

/// `/todo` needs a role, `/both` two, `/open` none.
pub(crate) fn api(protect: Protect) -> Router {
    async fn who(Extension(caller): Extension<Caller>) -> String {
        caller.app_id().to_owned()
    }
    Router::new()
        .route("/todo", get(who).layer(RequireRoles::any(["DaemonAppRole", "Admin"])))
        .route("/both", get(who).layer(RequireRoles::all(["DaemonAppRole", "Admin"])))
        .route("/open", get(who))
        .layer(protect)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The problem body, null if there is none.
    pub(crate) problem: Value,
}

impl Answer {
    pub(crate) fn challenge(&self) -> &str {
        self.headers.get(header::WWW_AUTHENTICATE).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn call(api: &Router, path: &str, authorization: &[String]) -> Answer {
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let is_problem = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    let problem = if is_problem { serde_json::from_str(&text).unwrap() } else { Value::Null };
    Answer { status: parts.status, headers: parts.headers, text, problem }
}

pub(crate) async fn call_with(api: &Router, path: &str, token: &str) -> Answer {
    call(api, path, &[format!("Bearer {token}")]).await
}
