//! `owners` of applications and service principals, and the references by which they are added and removed.

use http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::call::{Answer, Call};
use super::error::GraphError;
use super::fields::Fields;
use super::objects;
use super::query::schema;
use crate::directory::{Owned, guid};

/// What comes after the object; who may do it has been asked.
pub(super) fn serve(call: &Call<'_>, what: Owned, owners: &[Uuid], rest: &[&str]) -> Result<Answer, GraphError> {
    match (call.method, rest) {
        (_, []) if call.is_read() => {
            let found = owners.iter().filter_map(|id| objects::any(call.directory, call.caller.tenant, *id));
            let seen = found.map(|owner| call.caller.sees(owner));
            call.list(&schema::DIRECTORY_OBJECT, "directoryObjects", objects::numbered(seen))
        }
        (&Method::POST, ["$ref"]) => {
            let mut fields = Fields::new(raw_object(call)?);
            let reference = fields.text("@odata.id")?;
            let reference = fields.needed("@odata.id", reference)?;
            fields.end()?;
            let owner = referred(call, &reference)?;
            Answer::of(call.state.directory.add_owner(what, owner))
        }
        (&Method::DELETE, [id, "$ref"]) => {
            let id = guid(id).ok_or_else(|| GraphError::not_found(id))?;
            if call.state.directory.remove_owner(what, id)? {
                Ok(Answer::done())
            } else {
                Err(GraphError::not_found(&id.to_string()))
            }
        }
        (_, [] | ["$ref"] | [_, "$ref"]) => Err(GraphError::wrong_method()),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

/// `owners@odata.bind` of a new object.
pub(super) fn bound(call: &Call<'_>, references: Option<Value>) -> Result<Vec<Uuid>, GraphError> {
    let Some(references) = references else { return Ok(Vec::new()) };
    let references = references.as_array().cloned().ok_or_else(|| GraphError::invalid_value("owners@odata.bind"))?;
    let mut owners = Vec::new();
    for reference in &references {
        let reference = reference.as_str().ok_or_else(|| GraphError::invalid_value("owners@odata.bind"))?;
        let owner = referred(call, reference)?;
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    Ok(owners)
}

/// The user or service principal that a URL names, whatever the host: the object's id is its last part.
fn referred(call: &Call<'_>, reference: &str) -> Result<Uuid, GraphError> {
    let last = reference.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let id = guid(last).ok_or_else(|| GraphError::bad("Invalid object identifier in a reference."))?;
    let tenant = call.caller.tenant;
    let can_own = tenant.users.iter().any(|user| user.id == id)
        || tenant.service_principals().any(|principal| principal.id == id);
    if can_own { Ok(id) } else { Err(GraphError::not_found(last)) }
}

/// With its annotations: `@odata.id` is what it is about.
fn raw_object(call: &Call<'_>) -> Result<serde_json::Map<String, Value>, GraphError> {
    match call.body {
        super::call::Input::Json(Value::Object(object)) => Ok(object.clone()),
        _ => call.object(),
    }
}
