//! The directory's objects as Graph v1.0 writes them.

use jiff::Timestamp;
use serde_json::{Map, Value, json as value};
use uuid::Uuid;

use super::query::Item;
use super::standard_base64;
use crate::directory::properties::{self, Properties};
use crate::directory::{
    AppRole, AppRoleAssignment, Application, FederatedCredential, Group, KeyCredential, MemberType, OptionalClaim,
    OptionalClaims, Secret, ServicePrincipal, Snapshot, Tenant, TokenVersion, User, sha256,
};

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
        "countryLetterCode": tenant.country_letter_code,
        "createdDateTime": date(tenant.created),
        "deletedDateTime": null,
        "displayName": tenant.display_name,
        "preferredLanguage": tenant.preferred_language,
        "tenantType": "AAD",
        "verifiedDomains": domains.collect::<Vec<_>>(),
    })
}

pub(super) fn user(user: &User) -> Value {
    whole(
        properties::USER,
        &user.further,
        value!({
            "deletedDateTime": null,
            "displayName": user.display_name,
            "id": user.id,
            "userPrincipalName": user.user_principal_name,
        }),
    )
}

pub(super) fn group(group: &Group) -> Value {
    whole(
        properties::GROUP,
        &group.further,
        value!({
            "deletedDateTime": null,
            "displayName": group.display_name,
            "id": group.id,
        }),
    )
}

pub(super) fn application(app: &Application, tenant: &Tenant) -> Value {
    let wishes = app.required_resource_access.iter().map(|wish| {
        let of_type = |kind: &'static str| move |id: &Uuid| value!({ "id": id, "type": kind });
        let roles = wish.app_roles.iter().map(of_type("Role"));
        let access: Vec<_> = roles.chain(wish.scopes.iter().map(of_type("Scope"))).collect();
        value!({ "resourceAppId": wish.resource, "resourceAccess": access })
    });
    let mut object = whole(
        properties::APPLICATION,
        &app.further,
        value!({
            "id": app.id,
            "appId": app.app_id,
            "appRoles": app.app_roles.iter().map(app_role).collect::<Vec<_>>(),
            "createdDateTime": date(app.created),
            "deletedDateTime": null,
            "disabledByMicrosoftStatus": null,
            "displayName": app.display_name,
            "identifierUris": app.identifier_uris,
            "keyCredentials": app.certificates.iter().map(key_credential).collect::<Vec<_>>(),
            "optionalClaims": app.optional_claims.as_ref().map(optional_claims),
            "passwordCredentials": app.secrets.iter().map(password_credential).collect::<Vec<_>>(),
            "publisherDomain": tenant.default_domain,
            "requiredResourceAccess": wishes.collect::<Vec<_>>(),
            "signInAudience": app.sign_in_audience,
            "verifiedPublisher": { "displayName": null, "verifiedPublisherId": null, "addedDateTime": null },
        }),
    );
    object["api"]["requestedAccessTokenVersion"] = match app.token_version {
        TokenVersion::V1 => Value::Null,
        TokenVersion::V2 => 2.into(),
    };
    object
}

fn optional_claims(claims: &OptionalClaims) -> Value {
    let all = |claims: &[OptionalClaim]| -> Vec<Value> {
        let one = |claim: &OptionalClaim| {
            value!({
                "additionalProperties": claim.additional_properties,
                "essential": claim.essential,
                "name": claim.name,
                "source": claim.source,
            })
        };
        claims.iter().map(one).collect()
    };
    value!({
        "accessToken": all(&claims.access_token),
        "idToken": all(&claims.id_token),
        "saml2Token": all(&claims.saml2_token),
    })
}

pub(super) fn service_principal(principal: &ServicePrincipal, app: &Application) -> Value {
    let mut names = vec![app.app_id.to_string()];
    names.extend(app.identifier_uris.iter().cloned());
    let identity = app.managed_identity.as_ref();
    let alternative = identity.map(|identity| {
        vec![
            format!("isExplicit={}", if identity.system_assigned { "False" } else { "True" }),
            identity.resource_id.clone(),
        ]
    });
    // what the registration says, a service principal repeats
    let further = properties::APPLICATION.whole(&app.further);
    whole(
        properties::SERVICE_PRINCIPAL,
        &principal.further,
        value!({
            "id": principal.id,
            "accountEnabled": principal.account_enabled,
            "alternativeNames": alternative.unwrap_or_default(),
            "appDescription": further["description"],
            "appDisplayName": app.display_name,
            "appId": app.app_id,
            "appOwnerOrganizationId": if app.first_party { Some(MICROSOFT) } else { app.home_tenant },
            "appRoleAssignmentRequired": principal.app_role_assignment_required,
            "appRoles": app.app_roles.iter().map(app_role).collect::<Vec<_>>(),
            "applicationTemplateId": null,
            "createdDateTime": date(principal.created),
            "deletedDateTime": null,
            "disabledByMicrosoftStatus": null,
            "displayName": app.display_name,
            "info": further["info"],
            "keyCredentials": [],
            "oauth2PermissionScopes": further["api"]["oauth2PermissionScopes"],
            "passwordCredentials": [],
            "servicePrincipalNames": names,
            "servicePrincipalType": if identity.is_some() { "ManagedIdentity" } else { "Application" },
            "signInAudience": app.sign_in_audience,
            "verifiedPublisher": { "displayName": null, "verifiedPublisherId": null, "addedDateTime": null },
        }),
    )
}

fn app_role(role: &AppRole) -> Value {
    let types = role.allowed_member_types.iter().map(|kind| match kind {
        MemberType::Application => "Application",
        MemberType::User => "User",
    });
    value!({
        "allowedMemberTypes": types.collect::<Vec<_>>(),
        "description": role.description,
        "displayName": role.display_name,
        "id": role.id,
        "isEnabled": role.enabled,
        "origin": "Application",
        "value": role.value,
    })
}

/// An assignment of a role, from the client's side and from the API's alike.
pub(super) fn assignment(
    assignment: &AppRoleAssignment,
    (principal, app): (&ServicePrincipal, &Application),
    (resource, api): (&ServicePrincipal, &Application),
) -> Value {
    value!({
        "id": assignment_id(assignment, principal),
        "appRoleId": assignment.app_role,
        "createdDateTime": date(assignment.created),
        "deletedDateTime": null,
        "principalDisplayName": app.display_name,
        "principalId": principal.id,
        "principalType": "ServicePrincipal",
        "resourceDisplayName": api.display_name,
        "resourceId": resource.id,
    })
}

/// As Graph's: it begins with the principal's id, and nobody can read the rest.
pub(super) fn assignment_id(assignment: &AppRoleAssignment, principal: &ServicePrincipal) -> String {
    let digest = sha256(&format!("{}/{}/{}", principal.id, assignment.resource, assignment.app_role));
    let mut bytes = principal.id.to_bytes_le().to_vec();
    bytes.extend(&digest[..16]);
    apptoken_jose::base64url::encode(&bytes)
}

pub(super) fn password_credential(secret: &Secret) -> Value {
    value!({
        "customKeyIdentifier": null,
        "displayName": secret.display_name,
        "endDateTime": date(secret.end),
        "hint": secret.hint,
        "keyId": secret.key_id,
        "secretText": null,
        "startDateTime": date(secret.start),
    })
}

pub(super) fn key_credential(key: &KeyCredential) -> Value {
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
}

/// The certificate itself, which is shown only where `$select` names it.
pub(super) fn with_key(mut object: Value, app: &Application) -> Value {
    for (shown, key) in object["keyCredentials"].as_array_mut().into_iter().flatten().zip(&app.certificates) {
        shown["key"] = standard_base64(key.certificate.der()).into();
    }
    object
}

pub(super) fn federated(credential: &FederatedCredential) -> Value {
    value!({
        "id": credential.id,
        "name": credential.name,
        "issuer": credential.issuer,
        "subject": if credential.subject.is_empty() { None } else { Some(&credential.subject) },
        "description": if credential.description.is_empty() { None } else { Some(&credential.description) },
        "audiences": [credential.audience],
    })
}

/// The same as the beta version has it.
pub(super) fn federated_beta(credential: &FederatedCredential) -> Value {
    let expression = credential.claims_matching_expression.as_ref();
    let mut object = federated(credential);
    object["claimsMatchingExpression"] =
        expression.map(|expression| value!({ "value": expression.to_string(), "languageVersion": 1 })).into();
    object
}

/// A user, group, application or service principal of a tenant, said to be of its type.
pub(super) fn any(directory: &Snapshot, tenant: &Tenant, id: Uuid) -> Option<Value> {
    let typed = |kind: &str, mut object: Value| {
        object["@odata.type"] = format!("#microsoft.graph.{kind}").into();
        object
    };
    if let Some(found) = tenant.users.iter().find(|user| user.id == id) {
        return Some(typed("user", user(found)));
    }
    if let Some(found) = tenant.groups.iter().find(|group| group.id == id) {
        return Some(typed("group", group(found)));
    }
    if let Some(found) = tenant.service_principals().find(|principal| principal.id == id) {
        return Some(typed("servicePrincipal", service_principal(found, directory.application(found.app_id)?)));
    }
    let found = directory.applications().find(|app| app.id == id && registered(app, tenant))?;
    Some(typed("application", application(found, tenant)))
}

/// A managed identity has a service principal and no registration.
pub(super) fn registered(app: &Application, tenant: &Tenant) -> bool {
    app.home_tenant == Some(tenant.id) && app.managed_identity.is_none()
}

/// By name.
pub(super) fn named(object: Value) -> Item {
    let name = object["displayName"].as_str().unwrap_or_default();
    let name: String = name.to_lowercase().chars().take(256).collect();
    Item { place: vec![name.into(), object["id"].clone()], object }
}

/// As they are listed.
pub(super) fn numbered(objects: impl Iterator<Item = Value>) -> Vec<Item> {
    objects.enumerate().map(|(i, object)| Item { place: vec![i.into(), object["id"].clone()], object }).collect()
}

pub(super) fn date(unix: i64) -> Option<String> {
    Some(Timestamp::from_second(unix).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn whole(properties: Properties, further: &Map<String, Value>, known: Value) -> Value {
    let mut object = properties.whole(further);
    if let Value::Object(known) = known {
        object.extend(known);
    }
    object.into()
}

/// Where Microsoft's own applications are registered.
const MICROSOFT: Uuid = uuid::uuid!("f8cdef31-a31e-4b4a-93e4-5f571e91255a");
