//! The API that clients call with their tokens, guarded by apptoken-protect; and a switch, by which a client has its
//! own tokens revoked.

use std::sync::Arc;

use apptoken_emulator::Emulator;
use apptoken_protect::{Protect, RequireRoles};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::Result;
use crate::directory::{Apps, ROLE};

/// Starts it, over plain HTTP on loopback; its base URL.
pub(crate) async fn start(entra: &Arc<Emulator>, apps: &Apps) -> Result<String> {
    let guard = Protect::api("api://todolist")
        .client_id(apps.api.to_string())?
        .tenant(apps.tenant.to_string())
        .authority(entra.authority())
        .add_root_certificate_pem(entra.ca_pem())?
        .build()
        .await?;
    let guarded = Router::new().route("/api/todolist", get(list).layer(RequireRoles::any([ROLE]))).layer(guard);
    let switch = Router::new().route("/revoke/{app}", post(revoke)).with_state(Arc::clone(entra));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, guarded.merge(switch)).await });
    Ok(base)
}

async fn list() -> Json<Value> {
    Json(json!([{ "id": 1, "title": "call the API as a daemon" }]))
}

async fn revoke(State(entra): State<Arc<Emulator>>, Path(app): Path<Uuid>) -> StatusCode {
    entra.revoke_tokens(app);
    StatusCode::NO_CONTENT
}
