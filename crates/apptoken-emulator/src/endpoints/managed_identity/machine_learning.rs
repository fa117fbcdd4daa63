//! Compute of Azure Machine Learning (2017-09-01).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Ask, Identity, Problem, Source, method, required, version};
use crate::directory::Application;
use crate::endpoints::Exchange;
use crate::sts::Granted;

pub(super) fn read(exchange: &Exchange) -> Result<Ask, Problem> {
    if !exchange.state.machine.opens(Source::MachineLearning, exchange.header("secret").unwrap_or_default()) {
        let message = "The header 'secret' is missing, or not the value of MSI_SECRET";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
    }
    method(exchange, &Method::GET)?;
    version(exchange, &["2017-09-01"])?;
    let identity = Identity::of(exchange, &[("clientid", Identity::Client)])?;
    Ok(Ask { resource: required(exchange, "resource")?, identity })
}

pub(super) fn granted(granted: &Granted, application: &Application) -> Value {
    json!({
        "access_token": granted.token,
        "client_id": application.app_id,
        "expires_on": granted.expires_on.to_string(),
        "resource": granted.resource,
        "token_type": "Bearer",
    })
}
