//! `appRoleAssignments` of a client and `appRoleAssignedTo` of an API: admin consent, one role at a time.

use http::Method;
use serde_json::Value;

use super::call::{Answer, Call};
use super::error::GraphError;
use super::fields::Fields;
use super::guard::Need;
use super::objects;
use super::query::{Item, schema};
use super::service_principals::{Present, by_id};
use crate::directory::{AppRoleAssignment, DirectoryError};

/// Asked before anything is looked for.
pub(super) fn may(call: &Call<'_>) -> Result<(), GraphError> {
    call.caller.needs(if call.is_read() { Need::ReadAssignments } else { Need::WriteAssignments })
}

/// What was granted to this service principal.
pub(super) fn of_client(call: &Call<'_>, client: Present<'_>, rest: &[&str]) -> Result<Answer, GraphError> {
    serve(call, &granted_to(call, client), client, Side::Client, rest)
}

/// What was granted on this service principal.
pub(super) fn of_api(call: &Call<'_>, api: Present<'_>, rest: &[&str]) -> Result<Answer, GraphError> {
    let mut all = Vec::new();
    for client in call.caller.tenant.service_principals() {
        if let Some(app) = call.directory.application(client.app_id) {
            let on_it = granted_to(call, (client, app)).into_iter();
            all.extend(on_it.filter(|grant| grant.assignment.resource == api.1.app_id));
        }
    }
    serve(call, &all, api, Side::Api, rest)
}

/// From which end an assignment is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Api,
}

/// An assignment and both its ends.
struct Grant<'a> {
    assignment: AppRoleAssignment,
    client: Present<'a>,
    api: Present<'a>,
}

impl Grant<'_> {
    fn id(&self) -> String {
        objects::assignment_id(&self.assignment, self.client.0)
    }

    fn object(&self) -> Value {
        objects::assignment(&self.assignment, self.client, self.api)
    }

    /// Its place is its own: pages hold while what was on the pages before is taken back.
    fn item(&self) -> Item {
        Item { place: vec![self.assignment.created.into(), self.id().into()], object: self.object() }
    }
}

fn granted_to<'a>(call: &Call<'a>, client: Present<'a>) -> Vec<Grant<'a>> {
    let both_ends = |&assignment: &AppRoleAssignment| {
        let api = call.directory.application(assignment.resource)?;
        let resource = call.caller.tenant.service_principal(assignment.resource)?;
        Some(Grant { assignment, client, api: (resource, api) })
    };
    client.0.app_role_assignments.iter().filter_map(both_ends).collect()
}

fn serve(
    call: &Call<'_>,
    grants: &[Grant<'_>],
    here: Present<'_>,
    side: Side,
    rest: &[&str],
) -> Result<Answer, GraphError> {
    let name = if side == Side::Client { "appRoleAssignments" } else { "appRoleAssignedTo" };
    let context = format!("servicePrincipals('{}')/{name}", here.0.id);
    match (call.method, rest) {
        (_, []) if call.is_read() => {
            call.list(&schema::APP_ROLE_ASSIGNMENT, &context, grants.iter().map(Grant::item).collect())
        }
        (_, ["$count"]) if call.is_read() => {
            call.count(&schema::APP_ROLE_ASSIGNMENT, &grants.iter().map(Grant::item).collect::<Vec<_>>())
        }
        (&Method::POST, []) => {
            let made = assign(call, here, side)?;
            let id = made["id"].as_str().unwrap_or_default();
            let path = format!("servicePrincipals/{}/{name}/{id}", here.0.id);
            Ok(call.created(&context, &path, made))
        }
        (_, [id]) if call.is_read() => {
            let grant = grants.iter().find(|grant| grant.id() == *id).ok_or_else(|| GraphError::not_found(id))?;
            call.one(&schema::APP_ROLE_ASSIGNMENT, &context, grant.object())
        }
        (&Method::DELETE, [id]) => {
            let grant = grants.iter().find(|grant| grant.id() == *id).ok_or_else(|| GraphError::not_found(id))?;
            let ids = (grant.client.1.app_id, grant.assignment.resource, grant.assignment.app_role);
            let (client, api, role) = (ids.0.to_string(), ids.1.to_string(), ids.2.to_string());
            let tenant = call.caller.tenant.id.to_string();
            Answer::of(call.state.directory.remove_app_role(&tenant, &client, &api, &role))
        }
        (_, [] | [_]) => Err(GraphError::wrong_method()),
        (_, [_, other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

fn assign(call: &Call<'_>, here: Present<'_>, side: Side) -> Result<Value, GraphError> {
    let mut fields = Fields::new(call.object()?);
    let (principal, resource, role) = (fields.id("principalId")?, fields.id("resourceId")?, fields.id("appRoleId")?);
    let principal = fields.needed("principalId", principal)?;
    let resource = fields.needed("resourceId", resource)?;
    let role = fields.needed("appRoleId", role)?;
    for read_only in
        ["id", "principalType", "principalDisplayName", "resourceDisplayName", "createdDateTime", "deletedDateTime"]
    {
        fields.take(read_only);
    }
    fields.end()?;
    if here.0.id != if side == Side::Client { principal } else { resource } {
        return Err(GraphError::bad("Not a valid reference update."));
    }
    let tenant = call.caller.tenant;
    if tenant.users.iter().any(|user| user.id == principal) || tenant.groups.iter().any(|group| group.id == principal) {
        return Err(GraphError::bad("The local directory assigns app roles to service principals only."));
    }
    let client = by_id(call, principal).ok_or_else(|| GraphError::not_found(&principal.to_string()))?;
    let api = by_id(call, resource).ok_or_else(|| GraphError::not_found(&resource.to_string()))?;
    let (app_id, api_id) = (client.1.app_id.to_string(), api.1.app_id.to_string());
    let tenant_id = tenant.id.to_string();
    match call.state.directory.assign_app_role(&tenant_id, &app_id, &api_id, &role.to_string()) {
        Ok(true) => (),
        Ok(false) => return Err(GraphError::bad("Permission being assigned already exists on the object")),
        Err(DirectoryError::NoAppRole { .. }) => {
            return Err(GraphError::bad(format!("Permission being assigned was not found on application '{api_id}'.")));
        }
        Err(other) => return Err(other.into()),
    }
    let snapshot = call.state.directory.load();
    let tenant = snapshot.tenant(&tenant_id);
    let made = tenant.and_then(|tenant| tenant.service_principal(client.1.app_id));
    let made = made.and_then(|made| made.app_role_assignments.iter().find(|a| a.grants(api.1.app_id, role)));
    let made = made.ok_or_else(|| GraphError::not_found(&principal.to_string()))?;
    Ok(objects::assignment(made, client, api))
}
