//! `servicePrincipals`: the applications that are present in the caller's tenant.

use http::Method;
use uuid::Uuid;

use super::call::{Answer, Call};
use super::error::{GraphError, shown};
use super::fields::Fields;
use super::guard::Need;
use super::path::{Key, Target};
use super::query::schema;
use super::{assignments, objects, owners, people};
use crate::directory::{Application, Owned, PrincipalChange, ServicePrincipal, guid};
use crate::seed::SeedServicePrincipal;

pub(super) fn serve(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    let Some(key) = &target.key else {
        return match (call.method, &target.rest()[..]) {
            (&Method::POST, []) => create(call),
            (_, []) if call.is_read() => {
                call.caller.needs(Need::ReadApplications)?;
                call.list(&schema::SERVICE_PRINCIPAL, "servicePrincipals", all(call))
            }
            (_, ["$count"]) if call.is_read() => {
                call.caller.needs(Need::ReadApplications)?;
                call.count(&schema::SERVICE_PRINCIPAL, &all(call))
            }
            (_, [] | ["$count"]) => Err(GraphError::wrong_method()),
            (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
        };
    };
    let tenant = call.caller.tenant.id;
    match (call.method, &target.rest()[..]) {
        (_, []) if call.is_read() => {
            call.caller.needs(Need::ReadApplications)?;
            let (principal, app) = find(call, key)?;
            call.one(&schema::SERVICE_PRINCIPAL, "servicePrincipals", objects::service_principal(principal, app))
        }
        (&Method::PATCH, []) => {
            let (_, app) = changeable(call, key)?;
            let change = change(Fields::new(call.object()?), app)?;
            Answer::of(call.state.directory.update_service_principal(tenant, app.app_id, change))
        }
        (&Method::DELETE, []) => {
            let (_, app) = changeable(call, key)?;
            if app.first_party || app.managed_identity.is_some() {
                return Err(GraphError::denied());
            }
            let app = app.app_id.to_string();
            Answer::of(call.state.directory.remove_service_principal(&tenant.to_string(), &app))
        }
        (_, ["appRoleAssignments", rest @ ..]) => {
            assignments::may(call)?;
            assignments::of_client(call, find(call, key)?, rest)
        }
        (_, ["appRoleAssignedTo", rest @ ..]) => {
            assignments::may(call)?;
            assignments::of_api(call, find(call, key)?, rest)
        }
        (_, ["owners", rest @ ..]) => {
            let (principal, app) = if call.is_read() {
                call.caller.needs(Need::ReadApplications)?;
                find(call, key)?
            } else {
                changeable(call, key)?
            };
            owners::serve(call, Owned::Principal(tenant, app.app_id), &principal.owners, rest)
        }
        (_, ["memberOf" | "transitiveMemberOf"]) if call.is_read() => {
            call.caller.needs(Need::ReadApplications)?;
            people::groups_of(call, find(call, key)?.0.id)
        }
        (_, [] | ["memberOf" | "transitiveMemberOf"]) => Err(GraphError::wrong_method()),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

/// A service principal and what it is the presence of.
pub(super) type Present<'a> = (&'a ServicePrincipal, &'a Application);

fn all(call: &Call<'_>) -> Vec<super::query::Item> {
    let present = call.caller.tenant.service_principals();
    let known = present.filter_map(|principal| Some((principal, call.directory.application(principal.app_id)?)));
    known.map(|(principal, app)| objects::named(objects::service_principal(principal, app))).collect()
}

/// By object id or by `appId`.
fn find<'a>(call: &Call<'a>, key: &Key) -> Result<Present<'a>, GraphError> {
    let found = match key {
        Key::Id(id) => {
            let id = guid(id).ok_or_else(|| GraphError::bad(format!("Invalid object identifier '{}'.", shown(id))))?;
            by_id(call, id)
        }
        Key::By(property, id) if property == "appId" => {
            let principal = guid(id).and_then(|id| call.caller.tenant.service_principal(id));
            principal.and_then(|principal| Some((principal, call.directory.application(principal.app_id)?)))
        }
        Key::By(property, _) => {
            return Err(GraphError::malformed(format!("'{}' is no key of a service principal.", shown(property))));
        }
    };
    found.ok_or_else(|| GraphError::not_found(key.shown()))
}

pub(super) fn by_id<'a>(call: &Call<'a>, id: Uuid) -> Option<Present<'a>> {
    let principal = call.caller.tenant.service_principals().find(|principal| principal.id == id)?;
    Some((principal, call.directory.application(principal.app_id)?))
}

/// One that the caller may change. Who may change none is told so, whether there is one or not.
fn changeable<'a>(call: &Call<'a>, key: &Key) -> Result<Present<'a>, GraphError> {
    call.caller.needs(Need::CreateApplications)?;
    let found = find(call, key)?;
    call.caller.may_change(&found.0.owners)?;
    Ok(found)
}

fn create(call: &Call<'_>) -> Result<Answer, GraphError> {
    call.caller.needs(Need::CreateApplications)?;
    let tenant = call.caller.tenant;
    let mut fields = Fields::new(call.object()?);
    let app_id = fields.id("appId")?;
    let app_id = fields.needed("appId", app_id)?;
    let owners = owners::bound(call, fields.take("owners@odata.bind"))?;
    let backing = call
        .directory
        .application(app_id)
        .filter(|app| app.home_tenant == Some(tenant.id) || !app.sign_in_audience.is_one_tenant());
    let app = backing.filter(|app| app.managed_identity.is_none()).ok_or_else(|| {
        let message =
            format!("The appId '{app_id}' of the service principal does not reference a valid application object.");
        GraphError::new(http::StatusCode::BAD_REQUEST, "NoBackingApplicationObject", message)
    })?;
    let mut seed =
        SeedServicePrincipal { id: Some(Uuid::new_v4()), owners, ..SeedServicePrincipal::new(tenant.id.to_string()) };
    if call.caller.owns_what_it_makes() {
        // its own applications only
        call.caller.may_change(&app.owners)?;
        if !seed.owners.contains(&call.caller.principal.id) {
            seed.owners.push(call.caller.principal.id);
        }
    }
    let change = change(fields, app)?;
    seed.account_enabled = change.account_enabled.unwrap_or(true);
    seed.app_role_assignment_required = change.app_role_assignment_required.unwrap_or(false);
    seed.further = change.further;
    call.state.directory.add_service_principal(&app_id.to_string(), &seed)?;
    let snapshot = call.state.directory.load();
    let made = snapshot.tenant(&tenant.id.to_string()).and_then(|tenant| tenant.service_principal(app_id));
    let made = made.ok_or_else(|| GraphError::not_found(&app_id.to_string()))?;
    let object = objects::service_principal(made, app);
    Ok(call.created("servicePrincipals", &format!("servicePrincipals/{}", made.id), object))
}

/// What `POST` and `PATCH` have in common.
fn change(mut fields: Fields, app: &Application) -> Result<PrincipalChange, GraphError> {
    fields.refuse_read_only(&["id", "createdDateTime", "deletedDateTime", "appOwnerOrganizationId"])?;
    // what the registration says can be repeated, and not changed
    for (name, own) in [("displayName", app.display_name.clone()), ("appId", app.app_id.to_string())] {
        if fields.text(name)?.is_some_and(|given| !given.eq_ignore_ascii_case(&own)) {
            let message = format!("Property '{name}' on the service principal does not match the application object.");
            return Err(GraphError::bad(message));
        }
    }
    if fields.text("servicePrincipalType")?.is_some_and(|kind| kind != "Application") {
        return Err(fields.invalid("servicePrincipalType"));
    }
    Ok(PrincipalChange {
        account_enabled: fields.flag("accountEnabled")?,
        app_role_assignment_required: fields.flag("appRoleAssignmentRequired")?,
        owners: None,
        further: fields.rest(),
    })
}
