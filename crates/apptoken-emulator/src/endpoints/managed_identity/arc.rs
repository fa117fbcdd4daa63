//! A machine with the Azure Connected Machine agent (2020-06-01): the answer is for who can read a file that the
//! challenge names.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Ask, Identity, Problem, metadata_header, method, required, version};
use crate::endpoints::Exchange;
use crate::sts::Granted;

pub(super) async fn read(exchange: &Exchange) -> Result<Ask, Problem> {
    if !exchange.state.machine.is_arc() {
        let message = "The local Entra ID was started without a folder for Azure Arc's key files";
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", message));
    }
    metadata_header(exchange)?;
    method(exchange, &Method::GET)?;
    version(exchange, &["2020-06-01", "2021-02-01"])?;
    let resource = required(exchange, "resource")?;
    let presented = exchange.header(AUTHORIZATION.as_str()).and_then(|header| header.strip_prefix("Basic "));
    if presented.is_some_and(|key| exchange.state.machine.arc_opens(key.trim())) {
        return Ok(Ask { resource, identity: Identity::Unnamed });
    }
    Err(challenge(exchange).await)
}

async fn challenge(exchange: &Exchange) -> Problem {
    let state = Arc::clone(&exchange.state);
    let written = tokio::task::spawn_blocking(move || state.machine.arc_challenge()).await;
    let realm = written.map_err(|_| None).and_then(|path| path.map_err(Some));
    let header =
        realm.as_ref().ok().and_then(|path| HeaderValue::from_str(&format!("Basic realm={}", path.display())).ok());
    match header {
        Some(header) => {
            let message = "The request must prove that it can read the file that WWW-Authenticate names";
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized_client", message);
            Problem { challenge: Some(header), ..problem }
        }
        None => {
            tracing::warn!(error = ?realm.err().flatten(), "no key file can be written for Azure Arc's challenge");
            let message = "The key file cannot be written";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
        }
    }
}

pub(super) fn granted(granted: &Granted) -> Value {
    json!({
        "access_token": granted.token,
        "expires_in": granted.expires_in.to_string(),
        "expires_on": granted.expires_on.to_string(),
        "ext_expires_in": granted.expires_in.to_string(),
        "not_before": granted.not_before.to_string(),
        "resource": granted.resource,
        "token_type": "Bearer",
    })
}
