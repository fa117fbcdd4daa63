//! The instance-metadata service (`/metadata/identity/oauth2/token`, 2018-02-01): plain for programs on the machine,
//! closed to whoever can only make them send requests.

use http::Method;
use serde_json::{Value, json};

use super::{Ask, Identity, Problem, metadata_header, method, required, version};
use crate::directory::Application;
use crate::endpoints::Exchange;
use crate::sts::Granted;

pub(super) fn read(exchange: &Exchange) -> Result<Ask, Problem> {
    guard(exchange)?;
    method(exchange, &Method::GET)?;
    version(exchange, VERSIONS)?;
    let identity = Identity::of(
        exchange,
        &[
            ("client_id", Identity::Client),
            ("object_id", Identity::Object),
            ("msi_res_id", Identity::Resource),
            ("mi_res_id", Identity::Resource),
        ],
    )?;
    Ok(Ask { resource: required(exchange, "resource")?, identity })
}

/// The header that a program sets, and none of those that a proxy sets.
pub(super) fn guard(exchange: &Exchange) -> Result<(), Problem> {
    metadata_header(exchange)?;
    if exchange.header("x-forwarded-for").is_some() {
        return Err(Problem::bad_request("Requests with an X-Forwarded-For header are not answered"));
    }
    Ok(())
}

pub(super) fn granted(granted: &Granted, application: &Application) -> Value {
    json!({
        "access_token": granted.token,
        "client_id": application.app_id,
        "expires_in": granted.expires_in.to_string(),
        "expires_on": granted.expires_on.to_string(),
        "ext_expires_in": granted.expires_in.to_string(),
        "not_before": granted.not_before.to_string(),
        "resource": granted.resource,
        "token_type": "Bearer",
    })
}

const VERSIONS: &[&str] = &["2018-02-01", "2019-08-01", "2021-02-01", "2023-11-15"];
