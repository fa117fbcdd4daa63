//! From the directory to a seed that imports to the same. Structures are taken apart whole, so that a new member asks here
//! to be thought of.

use jiff::Timestamp;

use super::model::{
    AppRole, AppRoleAssignment, Application, Group, KeyCredential, ManagedIdentity, Secret, ServicePrincipal, Tenant,
    User,
};
use super::{FederatedCredential, RequiredResourceAccess, Snapshot, TokenVersion};
use crate::seed::{
    Seed, SeedAppRole, SeedApplication, SeedAssignment, SeedCertificate, SeedClaimsExpression, SeedFederatedCredential,
    SeedGroup, SeedManagedIdentity, SeedMicrosoftPrincipal, SeedResourceAccess, SeedSecret, SeedServicePrincipal,
    SeedTenant, SeedUser,
};

impl Snapshot {
    /// All of it, in an order that does not depend on chance. Secrets are their digests.
    pub(crate) fn export(&self) -> Seed {
        let mut tenants: Vec<_> = self.tenants().collect();
        tenants.sort_by_key(|tenant| (&tenant.default_domain, tenant.id));
        let mut applications: Vec<_> = self.applications().filter(|app| !app.first_party).collect();
        applications.sort_by_key(|app| (&app.display_name, app.app_id));
        let present = |app: &Application| -> Vec<(&Tenant, &ServicePrincipal)> {
            tenants.iter().filter_map(|&tenant| Some((tenant, tenant.service_principal(app.app_id)?))).collect()
        };
        let (identities, applications): (Vec<_>, Vec<_>) =
            applications.into_iter().partition(|app| app.managed_identity.is_some());
        Seed {
            tenants: tenants.iter().map(|tenant| self.tenant_to_seed(tenant)).collect(),
            applications: applications.iter().map(|app| app.to_seed(&present(app))).collect(),
            managed_identities: identities.iter().filter_map(|app| app.identity_to_seed(&present(app))).collect(),
            ..Seed::default()
        }
    }

    fn tenant_to_seed(&self, tenant: &Tenant) -> SeedTenant {
        let Tenant {
            id,
            display_name,
            default_domain,
            domains,
            created,
            country_letter_code,
            preferred_language,
            users,
            groups,
            certificate_authorities,
            principals,
            resources: _,
        } = tenant;
        let unusual =
            |principal: &ServicePrincipal| !principal.account_enabled || principal.app_role_assignment_required;
        let first_party =
            |principal: &ServicePrincipal| self.application(principal.app_id).is_some_and(|app| app.first_party);
        let mut microsofts: Vec<_> = principals
            .values()
            .filter(|principal| first_party(principal) && unusual(principal))
            .map(|principal| SeedMicrosoftPrincipal {
                app_id: principal.app_id,
                account_enabled: principal.account_enabled,
                app_role_assignment_required: principal.app_role_assignment_required,
            })
            .collect();
        microsofts.sort_by_key(|principal| principal.app_id);
        SeedTenant {
            tenant_id: Some(*id),
            display_name: Some(display_name.clone()),
            default_domain: default_domain.clone(),
            domains: domains.iter().filter(|domain| *domain != default_domain).cloned().collect(),
            created_date_time: time(*created),
            country_letter_code: country_letter_code.clone(),
            preferred_language: preferred_language.clone(),
            users: users.iter().map(User::to_seed).collect(),
            groups: groups.iter().map(Group::to_seed).collect(),
            trusted_certificate_authorities: certificate_authorities.iter().cloned().map(Into::into).collect(),
            // an application like any other by now
            admin_application: None,
            microsoft_service_principals: microsofts,
        }
    }
}

impl User {
    fn to_seed(&self) -> SeedUser {
        let Self { id, display_name, user_principal_name, further } = self.clone();
        SeedUser { id: Some(id), display_name, user_principal_name, further }
    }
}

impl Group {
    fn to_seed(&self) -> SeedGroup {
        let Self { id, display_name, members, further } = self.clone();
        SeedGroup { id: Some(id), display_name, members: members.iter().map(ToString::to_string).collect(), further }
    }
}

impl Application {
    fn to_seed(&self, present: &[(&Tenant, &ServicePrincipal)]) -> SeedApplication {
        let Self {
            app_id,
            id,
            display_name,
            home_tenant,
            sign_in_audience,
            identifier_uris,
            token_version,
            optional_claims,
            app_roles,
            required_resource_access,
            secrets,
            certificates,
            trusted_subject_names,
            federated,
            agent_blueprint,
            managed_identity: _,
            first_party: _,
            slash_strict: _,
            created,
            owners,
            further,
            single_use_assertions,
        } = self;
        SeedApplication {
            app_id: Some(*app_id),
            id: Some(*id),
            display_name: display_name.clone(),
            home_tenant: home_tenant.map(|tenant| tenant.to_string()),
            sign_in_audience: *sign_in_audience,
            identifier_uris: identifier_uris.clone(),
            requested_access_token_version: (*token_version == TokenVersion::V2).then_some(2),
            optional_claims: optional_claims.clone(),
            app_roles: app_roles.iter().map(AppRole::to_seed).collect(),
            required_resource_access: required_resource_access.iter().map(RequiredResourceAccess::to_seed).collect(),
            password_credentials: secrets.iter().map(Secret::to_seed).collect(),
            key_credentials: certificates.iter().map(KeyCredential::to_seed).collect(),
            trusted_subject_name_and_issuers: trusted_subject_names.iter().cloned().map(Into::into).collect(),
            federated_identity_credentials: federated.iter().map(FederatedCredential::to_seed).collect(),
            agent_identity_blueprint_id: *agent_blueprint,
            service_principals: Some(present.iter().map(|(tenant, principal)| principal.to_seed(tenant)).collect()),
            created_date_time: time(*created),
            owners: owners.clone(),
            further: further.clone(),
            single_use_assertions: *single_use_assertions,
        }
    }

    fn identity_to_seed(&self, present: &[(&Tenant, &ServicePrincipal)]) -> Option<SeedManagedIdentity> {
        let ManagedIdentity { resource_id, system_assigned } = self.managed_identity.clone()?;
        let (tenant, principal) = present.first()?;
        Some(SeedManagedIdentity {
            display_name: self.display_name.clone(),
            tenant: Some(tenant.id.to_string()),
            client_id: Some(self.app_id),
            principal_id: Some(principal.id),
            resource_id: Some(resource_id),
            system_assigned,
            account_enabled: principal.account_enabled,
            created_date_time: time(self.created),
            app_role_assignments: grouped(&principal.app_role_assignments),
            federated_identity_credentials: self.federated.iter().map(FederatedCredential::to_seed).collect(),
        })
    }
}

impl ServicePrincipal {
    fn to_seed(&self, tenant: &Tenant) -> SeedServicePrincipal {
        let Self {
            id,
            app_id: _,
            account_enabled,
            app_role_assignment_required,
            app_role_assignments,
            created,
            owners,
            further,
        } = self;
        SeedServicePrincipal {
            id: Some(*id),
            account_enabled: *account_enabled,
            app_role_assignment_required: *app_role_assignment_required,
            admin_consent: false,
            app_role_assignments: app_role_assignments.iter().map(|assignment| assignment.to_seed()).collect(),
            created_date_time: time(*created),
            owners: owners.clone(),
            further: further.clone(),
            ..SeedServicePrincipal::new(tenant.id.to_string())
        }
    }
}

impl AppRoleAssignment {
    fn to_seed(self) -> SeedAssignment {
        let Self { resource, app_role, created } = self;
        SeedAssignment {
            resource: resource.to_string(),
            app_role: app_role.to_string(),
            created_date_time: time(created),
        }
    }
}

impl AppRole {
    fn to_seed(&self) -> SeedAppRole {
        let Self { id, value, display_name, description, enabled, allowed_member_types } = self.clone();
        SeedAppRole {
            id: Some(id),
            value,
            display_name: Some(display_name),
            description: Some(description),
            is_enabled: enabled,
            allowed_member_types,
        }
    }
}

impl RequiredResourceAccess {
    fn to_seed(&self) -> SeedResourceAccess {
        let Self { resource, app_roles, scopes } = self;
        SeedResourceAccess {
            resource: resource.to_string(),
            app_roles: app_roles.iter().map(ToString::to_string).collect(),
            scopes: scopes.clone(),
        }
    }
}

impl Secret {
    fn to_seed(&self) -> SeedSecret {
        SeedSecret {
            key_id: Some(self.key_id),
            display_name: self.display_name.clone(),
            secret_sha256: Some(self.digest_text()),
            hint: Some(self.hint.clone()),
            start_date_time: time(self.start),
            end_date_time: time(self.end),
            ..SeedSecret::default()
        }
    }
}

impl KeyCredential {
    fn to_seed(&self) -> SeedCertificate {
        let display_name = self.display_name.clone();
        SeedCertificate { key_id: Some(self.key_id), display_name, certificate: self.certificate.x5c() }
    }
}

impl FederatedCredential {
    pub(super) fn to_seed(&self) -> SeedFederatedCredential {
        SeedFederatedCredential {
            id: Some(self.id),
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            claims_matching_expression: self
                .claims_matching_expression
                .as_ref()
                .map(|expression| SeedClaimsExpression { value: expression.to_string(), language_version: 1 }),
            audiences: vec![self.audience.clone()],
            description: self.description.clone(),
        }
    }
}

/// By API, as the seed of a managed identity has them.
fn grouped(assignments: &[AppRoleAssignment]) -> Vec<SeedResourceAccess> {
    let mut all: Vec<SeedResourceAccess> = Vec::new();
    for assignment in assignments {
        let (resource, role) = (assignment.resource.to_string(), assignment.app_role.to_string());
        match all.iter_mut().find(|access| access.resource == resource) {
            Some(access) => access.app_roles.push(role),
            None => all.push(SeedResourceAccess { resource, app_roles: vec![role], ..SeedResourceAccess::default() }),
        }
    }
    all
}

fn time(unix: i64) -> Option<Timestamp> {
    Timestamp::from_second(unix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Directories with everything that a seed can say, by chance.
    fn seeds() -> impl Strategy<Value = Value> {
        let application = (
            any::<[bool; 8]>(),
            0_u8..3,
            "[a-z]{1,8}",
            prop::collection::vec(("[A-Za-z0-9~._-]{1,40}", 0_i64..4_000_000_000), 0..3),
        );
        (prop::collection::vec(application, 0..5), any::<[bool; 4]>()).prop_map(|(apps, [users, group, identity, off])| {
            let mut applications = vec![json!({ "displayName": "API", "identifierUris": ["api://a", "api://b/c"],
                "appRoles": [{ "value": "One", "description": "d" }, { "value": "Two", "isEnabled": false,
                                                                       "allowedMemberTypes": ["Application", "User"] }] })];
            for (i, (flags, version, name, secrets)) in apps.into_iter().enumerate() {
                let [multi, consent, enabled, required, federated, nowhere, direct, further] = flags;
                let assigned = json!([
                    { "resource": "api://a", "appRole": "Two" },
                    { "resource": "https://vault.azure.net", "appRole": uuid::Uuid::nil() },
                ]);
                let principal = json!({ "tenant": "a.example", "adminConsent": consent, "accountEnabled": enabled,
                    "appRoleAssignmentRequired": required,
                    "appRoleAssignments": if direct { assigned.clone() } else { json!([]) } });
                let elsewhere = json!({ "tenant": "b.example" });
                let principals = match (nowhere, multi) {
                    (true, _) => vec![],
                    (false, true) => vec![principal, elsewhere],
                    (false, false) => vec![principal],
                };
                let secrets: Vec<_> = secrets.iter().map(|(text, end)| {
                    json!({ "displayName": name, "secretText": text, "endDateTime": Timestamp::from_second(*end).unwrap() })
                }).collect();
                let trusted = json!({ "name": "fic", "issuer": "https://i.example", "subject": name, "description": "x" });
                let flexible = json!({ "name": "flexible", "issuer": "https://app.terraform.io",
                    "claimsMatchingExpression": { "value": format!("claims['sub'] matches '{name}*'"), "languageVersion": 1 } });
                applications.push(json!({
                    "displayName": format!("{name}-{i}"), "homeTenant": "a.example",
                    "signInAudience": if multi { "AzureADMultipleOrgs" } else { "AzureADMyOrg" },
                    "requestedAccessTokenVersion": (version > 0).then_some(version),
                    "requiredResourceAccess": [{ "resource": "api://b/c", "appRoles": ["One"] }],
                    "passwordCredentials": secrets, "servicePrincipals": principals,
                    "federatedIdentityCredentials": federated.then_some([trusted, flexible]).into_iter().flatten().collect::<Vec<_>>(),
                    "further": if further { json!({ "notes": name }) } else { json!({}) },
                    "optionalClaims": direct.then(|| json!({ "accessToken": [{ "name": "aud", "additionalProperties": ["use_guid"] },
                                                                             { "name": "extension_x", "source": "user", "essential": true }] })),
                }));
            }
            applications[0]["homeTenant"] = "a.example".into();
            json!({
                "tenants": [
                    { "defaultDomain": "a.example", "domains": ["c.example"], "countryLetterCode": "DE", "preferredLanguage": "de",
                      "users": when(users, json!({ "displayName": "Ada", "userPrincipalName": "ada@a.example" })),
                      "groups": when(users && group, json!({ "displayName": "G", "members": ["ada@a.example"] })),
                      "microsoftServicePrincipals": when(off, json!({ "appId": crate::directory::GRAPH, "accountEnabled": false })) },
                    { "defaultDomain": "b.example" },
                ],
                "applications": applications,
                "managedIdentities": when(identity, json!({ "displayName": "vm", "tenant": "b.example", "systemAssigned": true,
                    "appRoleAssignments": [{ "resource": "https://graph.microsoft.com", "appRoles": ["User.Read.All"] }] })),
            })
        })
    }

    /// A list of one, or of none.
    fn when(there: bool, one: Value) -> Value {
        Value::Array(there.then_some(one).into_iter().collect())
    }

    fn rows(snapshot: &Snapshot) -> std::collections::BTreeMap<String, Value> {
        let rows = snapshot.rows_since(&Snapshot::with_first_parties());
        let own = rows.into_iter().filter_map(|row| {
            let json: Value = serde_json::from_str(row.json.as_ref()?).unwrap();
            // Microsoft's own registrations are made anew in each snapshot
            (json["firstParty"] != true).then(|| (format!("{:?} {}", row.kind, row.key), json))
        });
        own.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_export_imports_to_the_same_directory(seed in seeds()) {
            let seed = Seed::from_json(&seed.to_string()).unwrap();
            let snapshot = Snapshot::from_seed(&seed, 1_795_384_015).unwrap();
            let text = serde_json::to_string(&snapshot.export()).unwrap();
            // at another time, elsewhere
            let again = Snapshot::from_seed(&Seed::from_json(&text).unwrap(), 1_900_000_000).unwrap();
            prop_assert_eq!(rows(&snapshot), rows(&again));
            prop_assert_eq!(serde_json::to_string(&again.export()).unwrap(), text);
        }
    }
}
