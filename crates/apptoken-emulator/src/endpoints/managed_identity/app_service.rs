//! App Service, Functions and Container Apps (2019-08-01): a secret header that only the app's own processes know.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Ask, Identity, Problem, Source, method, required, version};
use crate::directory::Application;
use crate::endpoints::Exchange;
use crate::sts::Granted;

pub(super) fn read(exchange: &Exchange) -> Result<Ask, Problem> {
    let header = exchange.header("x-identity-header").unwrap_or_default();
    if !exchange.state.machine.opens(Source::AppService, header) {
        let message = "The X-IDENTITY-HEADER is missing, or not the value of IDENTITY_HEADER";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
    }
    method(exchange, &Method::GET)?;
    version(exchange, &["2019-08-01"])?;
    let identity = Identity::of(
        exchange,
        &[
            ("client_id", Identity::Client),
            ("principal_id", Identity::Object),
            ("object_id", Identity::Object),
            ("mi_res_id", Identity::Resource),
        ],
    )?;
    Ok(Ask { resource: required(exchange, "resource")?, identity })
}

pub(super) fn granted(granted: &Granted, application: &Application) -> Value {
    json!({
        "access_token": granted.token,
        "expires_on": granted.expires_on.to_string(),
        "resource": granted.resource,
        "token_type": "Bearer",
        "client_id": application.app_id,
    })
}
