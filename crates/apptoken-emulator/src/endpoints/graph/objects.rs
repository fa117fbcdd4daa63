//! The directory's objects as Graph v1.0 writes them.

use jiff::Timestamp;
use serde_json::{Value, json as value};

use crate::directory::{Application, Snapshot, Tenant, TokenVersion, User};

pub(super) fn organization(tenant: &Tenant) -> Value {
    let domains = tenant.domains.iter().map(|domain| {
        let first = *domain == tenant.default_domain;
        value!({
            "capabilities": "Email, OfficeCommunicationsOnline",
            "isDefault": first,
            "isInitial": domain.ends_with(".onmicrosoft.com"),
            "name": domain,
            "type": "Managed",
        })
    });
    value!({
        "id": tenant.id,
        "createdDateTime": date(tenant.created),
        "displayName": tenant.display_name,
        "tenantType": "AAD",
        "verifiedDomains": domains.collect::<Vec<_>>(),
    })
}

pub(super) fn user(user: &User) -> Value {
    value!({
        "businessPhones": [],
        "displayName": user.display_name,
        "givenName": null,
        "id": user.id,
        "jobTitle": null,
        "mail": null,
        "mobilePhone": null,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": null,
        "userPrincipalName": user.user_principal_name,
    })
}

/// Those registered in this tenant, by name.
pub(super) fn applications(directory: &Snapshot, tenant: &Tenant) -> Vec<Value> {
    let mut here: Vec<_> = directory.applications().filter(|app| registered(app, tenant)).collect();
    here.sort_by_key(|app| (&app.display_name, app.app_id));
    here.into_iter().map(application).collect()
}

/// A managed identity has a service principal and no registration.
fn registered(app: &Application, tenant: &Tenant) -> bool {
    app.home_tenant == Some(tenant.id) && app.managed_identity.is_none()
}

fn application(app: &Application) -> Value {
    let roles = app.app_roles.iter().map(|role| {
        value!({
            "allowedMemberTypes": ["Application"],
            "description": role.display_name,
            "displayName": role.display_name,
            "id": role.id,
            "isEnabled": true,
            "value": role.value,
        })
    });
    let wishes = app.required_resource_access.iter().map(|wish| {
        let roles = wish.app_roles.iter().map(|id| value!({ "id": id, "type": "Role" }));
        value!({ "resourceAppId": wish.resource, "resourceAccess": roles.collect::<Vec<_>>() })
    });
    let secrets = app.secrets.iter().map(|secret| {
        value!({
            "displayName": secret.display_name,
            "endDateTime": date(secret.end),
            "keyId": secret.key_id,
            "secretText": null,
            "startDateTime": date(secret.start),
        })
    });
    let certificates = app.certificates.iter().map(|key| {
        value!({
            "customKeyIdentifier": key.certificate.thumbprint_hex(),
            "displayName": key.display_name,
            "endDateTime": date(key.certificate.not_after()),
            "key": null,
            "keyId": key.key_id,
            "startDateTime": date(key.certificate.not_before()),
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        })
    });
    let version = match app.token_version {
        TokenVersion::V1 => Value::Null,
        TokenVersion::V2 => 2.into(),
    };
    value!({
        "id": app.id,
        "api": { "requestedAccessTokenVersion": version },
        "appId": app.app_id,
        "appRoles": roles.collect::<Vec<_>>(),
        "createdDateTime": date(app.created),
        "displayName": app.display_name,
        "identifierUris": app.identifier_uris,
        "keyCredentials": certificates.collect::<Vec<_>>(),
        "passwordCredentials": secrets.collect::<Vec<_>>(),
        "requiredResourceAccess": wishes.collect::<Vec<_>>(),
        "signInAudience": app.sign_in_audience,
    })
}

fn date(unix: i64) -> Option<String> {
    Some(Timestamp::from_second(unix).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
