//! A Service Fabric cluster: over HTTPS with a certificate that programs know by its thumbprint.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Ask, Identity, Problem, Source, method, required, version};
use crate::endpoints::Exchange;
use crate::sts::Granted;

pub(super) fn read(exchange: &Exchange) -> Result<Ask, Problem> {
    if !exchange.state.machine.opens(Source::ServiceFabric, exchange.header("secret").unwrap_or_default()) {
        let message = "The header 'Secret' is missing, or not the value of IDENTITY_HEADER";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "SecretHeaderNotFound", message));
    }
    method(exchange, &Method::GET)?;
    version(exchange, &["2019-07-01-preview", "2020-05-01"])?;
    let identity = Identity::of(exchange, &[("principalId", Identity::Object)])?;
    Ok(Ask { resource: required(exchange, "resource")?, identity })
}

/// The one dialect that writes the time as a number.
pub(super) fn granted(granted: &Granted) -> Value {
    json!({
        "token_type": "Bearer",
        "access_token": granted.token,
        "expires_on": granted.expires_on,
        "resource": granted.resource,
    })
}
