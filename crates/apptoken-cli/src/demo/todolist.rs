//! The TodoList web API: what a daemon's author would write, guarded by apptoken-protect.

use std::sync::{Arc, Mutex, PoisonError};

use apptoken_jose::issue::Ca;
use apptoken_protect::{Caller, Protect, RequireRoles};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::exit::Failure;
use crate::tls::TlsListener;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Todo {
    #[serde(default)]
    pub(super) id: usize,
    pub(super) title: String,
}

/// The running API; dropping it ends it.
pub(super) struct TodoList {
    url: String,
    serving: JoinHandle<()>,
}

impl TodoList {
    pub(super) async fn start(protect: Protect, ca: &Ca) -> Result<Self, Failure> {
        let listener = TlsListener::on_loopback(ca).await?;
        let url = format!("https://localhost:{}/", listener.port());
        let api = router(protect);
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, api).await {
                tracing::error!(%error, "the TodoList API ended");
            }
        });
        Ok(Self { url, serving })
    }

    /// `https://localhost:PORT/`
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TodoList {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn router(protect: Protect) -> Router {
    let todos = ["call the API as a daemon", "grant the app role", "rotate the secret"];
    let todos = todos.iter().zip(1..).map(|(title, id)| Todo { id, title: (*title).to_owned() }).collect();
    let todos: Todos = Arc::new(Mutex::new(todos));
    Router::new()
        .route("/api/todolist", get(list).post(add).layer(RequireRoles::any([ROLE])))
        .layer(protect)
        .with_state(todos)
}

type Todos = Arc<Mutex<Vec<Todo>>>;

async fn list(State(todos): State<Todos>, Extension(caller): Extension<Caller>) -> Json<Vec<Todo>> {
    tracing::info!(?caller, "the list is read");
    Json(todos.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

async fn add(State(todos): State<Todos>, Json(mut todo): Json<Todo>) -> Result<(StatusCode, Json<Todo>), StatusCode> {
    let mut todos = todos.lock().unwrap_or_else(PoisonError::into_inner);
    if todos.len() >= MOST {
        return Err(StatusCode::INSUFFICIENT_STORAGE);
    }
    todo.id = todos.len() + 1;
    todos.push(todo.clone());
    Ok((StatusCode::CREATED, Json(todo)))
}

/// The app role that the API demands.
pub(super) const ROLE: &str = "DaemonAppRole";

const MOST: usize = 1_000;
