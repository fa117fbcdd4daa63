//! Cloud Shell: a form with the resource, and nothing else to choose.

use http::Method;
use serde_json::{Value, json};

use super::{Ask, Identity, Problem, metadata_header, method};
use crate::endpoints::{Exchange, RequestBody, read as read_body};
use crate::sts::{Form, Granted};

pub(super) async fn read(exchange: &Exchange, body: impl RequestBody) -> Result<Ask, Problem> {
    metadata_header(exchange)?;
    method(exchange, &Method::POST)?;
    let limits = &exchange.state.limits;
    let body = read_body(body, limits.body_bytes, limits.body).await;
    let form = body.ok().and_then(|body| Form::parse(&body).ok());
    let form = form.ok_or_else(|| Problem::bad_request("The body cannot be read as a form"))?;
    let resource = form.get("resource").ok_or_else(|| Problem::bad_request("The form has no 'resource'"))?;
    Ok(Ask { resource: resource.to_owned(), identity: Identity::Unnamed })
}

pub(super) fn granted(granted: &Granted) -> Value {
    json!({
        "access_token": granted.token,
        "refresh_token": "",
        "expires_in": granted.expires_in.to_string(),
        "expires_on": granted.expires_on.to_string(),
        "not_before": granted.not_before.to_string(),
        "resource": granted.resource,
        "token_type": "Bearer",
    })
}
