//! `auditLogs/signIns`: the sign-in log in Graph's shape, newest first.

use serde_json::{Value, json as value};

use super::call::{Answer, Call};
use super::error::GraphError;
use super::guard::Need;
use super::objects::date;
use super::path::Target;
use super::query::{Item, schema};
use crate::directory::{Snapshot, Tenant};
use crate::sign_in::{CredentialKind, Outcome, SignIn};

pub(super) fn serve(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    if !call.is_read() {
        return Err(GraphError::wrong_method());
    }
    call.caller.needs(Need::ReadSignIns)?;
    let tenant = call.caller.tenant;
    let entries = call.state.sign_ins.shared();
    let mut here = entries.iter().filter(|entry| entry.tenant_id == Some(tenant.id));
    match (&target.key, &target.rest()[..]) {
        (None, []) => {
            let item = |entry: &std::sync::Arc<SignIn>| Item {
                // the newest has the lowest place
                place: vec![i64::try_from(entry.sequence).unwrap_or(i64::MAX).saturating_neg().into()],
                object: sign_in(entry, call.directory, tenant),
            };
            call.list(&schema::SIGN_IN, "auditLogs/signIns", here.map(item).collect())
        }
        (Some(key), []) => {
            let entry = here.find(|entry| entry.trace_id.to_string() == key.shown());
            let entry = entry.ok_or_else(|| GraphError::not_found(key.shown()))?;
            call.one(&schema::SIGN_IN, "auditLogs/signIns", sign_in(entry, call.directory, tenant))
        }
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

fn sign_in(entry: &SignIn, directory: &Snapshot, tenant: &Tenant) -> Value {
    let app = entry.app_id.as_deref().and_then(crate::directory::guid);
    let principal = app.and_then(|app| tenant.service_principal(app));
    let resource = entry.resource.as_deref().and_then(|name| directory.resource(tenant, name));
    let (kind, credential) = match entry.credential {
        Some(CredentialKind::ManagedIdentity) => ("managedIdentity", "managedIdentity"),
        Some(CredentialKind::Secret) => ("servicePrincipal", "clientSecret"),
        Some(CredentialKind::Certificate) => ("servicePrincipal", "certificate"),
        Some(CredentialKind::Federated) => ("servicePrincipal", "federatedIdentityCredential"),
        None => ("servicePrincipal", "none"),
    };
    // a fault is trouble of the service's, without a code of its own
    let code = entry.code.unwrap_or(if entry.outcome == Outcome::Granted { 0 } else { 90033 });
    let failed = entry.outcome != Outcome::Granted;
    let blocked = entry.code == Some(53003);
    value!({
        "id": entry.trace_id,
        "appDisplayName": entry.app_display_name,
        "appId": entry.app_id,
        "appliedConditionalAccessPolicies": [],
        "clientAppUsed": "",
        "clientCredentialType": credential,
        "conditionalAccessStatus": if blocked { "failure" } else { "notApplied" },
        "correlationId": entry.correlation_id,
        "createdDateTime": date(entry.time),
        "deviceDetail": {
            "browser": "", "deviceId": "", "displayName": "", "isCompliant": false, "isManaged": false,
            "operatingSystem": "", "trustType": "",
        },
        "ipAddress": "127.0.0.1",
        "isInteractive": false,
        "location": { "city": "", "countryOrRegion": "", "geoCoordinates": {}, "state": "" },
        "resourceDisplayName": resource.map(|(api, _)| &api.display_name),
        "resourceId": resource.map(|(api, _)| api.app_id),
        "riskDetail": "none",
        "riskEventTypes": [],
        "riskEventTypes_v2": [],
        "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none",
        "riskState": "none",
        "servicePrincipalId": principal.map(|principal| principal.id),
        "servicePrincipalName": entry.app_display_name,
        "signInEventTypes": [kind],
        "status": {
            "additionalDetails": null,
            "errorCode": code,
            "failureReason": if failed { entry.message.as_deref().unwrap_or_default() } else { "Other." },
        },
        "uniqueTokenIdentifier": apptoken_jose::base64url::encode(entry.trace_id.as_bytes()),
        "userDisplayName": "",
        "userId": "",
        "userPrincipalName": "",
    })
}
