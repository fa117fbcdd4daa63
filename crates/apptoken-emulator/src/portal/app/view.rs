//! An application in words.

use uuid::Uuid;

use crate::directory::{
    AppRole, Application, CertificateAuthority, OptionalClaims, Snapshot, TokenVersion, TrustedSubjectName,
};
use crate::portal::words;

/// What the page shows of an application.
pub(super) struct AppView {
    pub(super) id: String,
    pub(super) object_id: String,
    pub(super) name: String,
    pub(super) home: String,
    pub(super) home_id: String,
    pub(super) multiple: bool,
    pub(super) created: String,
    /// Registered here, and no managed identity.
    pub(super) editable: bool,
    pub(super) managed: Option<String>,
    pub(super) uris: Vec<String>,
    pub(super) v2: bool,
    pub(super) claims: Vec<Claim>,
    /// Optional claims that are kept and mean nothing to a daemon.
    pub(super) idle_claims: Vec<String>,
    pub(super) roles: Vec<AppRole>,
    pub(super) secrets: Vec<Credential>,
    pub(super) certificates: Vec<Credential>,
    pub(super) subject_names: Vec<SubjectName>,
    /// Authorities to choose from: id and name.
    pub(super) authorities: Vec<(String, String)>,
    pub(super) federated: Vec<crate::directory::FederatedCredential>,
    pub(super) permissions: Vec<Permission>,
    pub(super) presences: Vec<Presence>,
    /// How many permissions are wished for but not granted in the home tenant.
    pub(super) waiting: usize,
}

/// A secret or certificate.
pub(super) struct Credential {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) thumbprint: String,
    pub(super) thumbprint_s256: String,
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) state: String,
    pub(super) expired: bool,
}

/// Certificates that the application trusts by name.
pub(super) struct SubjectName {
    pub(super) name: String,
    pub(super) authority: String,
    pub(super) authority_id: String,
    pub(super) revoked: Vec<String>,
}

/// An app role that the application asks for.
pub(in crate::portal) struct Permission {
    pub(super) api: String,
    pub(super) api_id: String,
    pub(super) role: String,
    pub(super) role_id: String,
    pub(super) about: String,
    pub(super) granted: bool,
}

/// An optional claim that a daemon's token can carry.
pub(super) struct Claim {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) asked: bool,
}

/// A tenant where it has a service principal.
pub(super) struct Presence {
    pub(super) tenant: String,
    pub(super) tenant_id: String,
    pub(super) enabled: bool,
    pub(super) grants: usize,
}

/// An API with roles to ask for.
pub(super) struct Api {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) roles: Vec<AppRole>,
}

impl AppView {
    pub(super) fn of(app: &Application, directory: &Snapshot, now: i64) -> Self {
        let home = app.home_tenant.and_then(|id| directory.tenant(&id.to_string()));
        let mut presences: Vec<_> = directory
            .tenants()
            .filter_map(|tenant| tenant.service_principal(app.app_id).map(|principal| (tenant, principal)))
            .map(|(tenant, principal)| Presence {
                tenant: tenant.default_domain.clone(),
                tenant_id: tenant.id.to_string(),
                enabled: principal.account_enabled,
                grants: principal.app_role_assignments.len(),
            })
            .collect();
        presences.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        let permissions = permissions(app, directory, app.home_tenant);
        Self {
            id: app.app_id.to_string(),
            object_id: app.id.to_string(),
            name: app.display_name.clone(),
            home: home.map_or_else(|| "Microsoft".into(), |tenant| tenant.default_domain.clone()),
            home_id: app.home_tenant.map(|id| id.to_string()).unwrap_or_default(),
            multiple: !app.sign_in_audience.is_one_tenant(),
            created: words::time(app.created),
            editable: !app.first_party && app.managed_identity.is_none(),
            managed: app.managed_identity.as_ref().map(|identity| identity.resource_id.clone()),
            uris: app.identifier_uris.clone(),
            v2: app.token_version == TokenVersion::V2,
            claims: OptionalClaims::APP_ONLY
                .iter()
                .map(|&(name, about)| Claim { name, about, asked: asked(app, name) })
                .collect(),
            idle_claims: idle_claims(app),
            roles: app.app_roles.clone(),
            secrets: app.secrets.iter().map(|secret| secret_view(secret, now)).collect(),
            certificates: app.certificates.iter().map(|credential| certificate_view(credential, now)).collect(),
            subject_names: app.trusted_subject_names.iter().map(|one| subject_name(app, directory, one)).collect(),
            authorities: home.map_or_else(Vec::new, |tenant| {
                tenant.certificate_authorities.iter().map(|one| (one.id.to_string(), authority_name(one))).collect()
            }),
            federated: app.federated.clone(),
            waiting: permissions.iter().filter(|permission| !permission.granted).count(),
            permissions,
            presences,
        }
    }
}

/// `aud` without `use_guid` changes nothing.
fn asked(app: &Application, name: &str) -> bool {
    if name == "aud" { app.audience_is_guid() } else { app.asks_for_claim(name) }
}

fn idle_claims(app: &Application) -> Vec<String> {
    let claims = app.optional_claims.iter().flat_map(|claims| &claims.access_token);
    let known = |name: &str| OptionalClaims::APP_ONLY.iter().any(|(known, _)| *known == name);
    claims.filter(|claim| claim.source.is_some() || !known(&claim.name)).map(|claim| claim.name.clone()).collect()
}

/// What an application asks for, and whether it was granted in one tenant.
pub(in crate::portal) fn permissions(app: &Application, directory: &Snapshot, tenant: Option<Uuid>) -> Vec<Permission> {
    let principal =
        tenant.and_then(|id| directory.tenant(&id.to_string())).and_then(|tenant| tenant.service_principal(app.app_id));
    let mut permissions = Vec::new();
    for wish in &app.required_resource_access {
        let api = directory.application(wish.resource);
        for role_id in &wish.app_roles {
            let role = api.and_then(|api| api.app_roles.iter().find(|role| role.id == *role_id));
            permissions.push(Permission {
                api: api.map_or_else(|| wish.resource.to_string(), |api| api.display_name.clone()),
                api_id: wish.resource.to_string(),
                role: role.map_or_else(|| role_id.to_string(), |role| role.value.clone()),
                role_id: role_id.to_string(),
                about: role.map_or("a role that the API does not offer (any more)", about).into(),
                granted: principal.is_some_and(|principal| {
                    let assignments = &principal.app_role_assignments;
                    assignments.iter().any(|a| a.grants(wish.resource, *role_id))
                }),
            });
        }
    }
    permissions
}

impl Permission {
    pub(in crate::portal) fn line(&self) -> (&str, &str, &str, bool) {
        (&self.api, &self.role, &self.about, self.granted)
    }
}

fn about(role: &AppRole) -> &str {
    if role.display_name == role.value { "" } else { &role.display_name }
}

impl Api {
    pub(super) fn all(directory: &Snapshot) -> Vec<Self> {
        let mut apis: Vec<_> = directory
            .applications()
            .filter(|app| !app.app_roles.is_empty())
            .map(|app| Self {
                id: app.app_id.to_string(),
                name: app.display_name.clone(),
                roles: app.app_roles.clone(),
            })
            .collect();
        apis.sort_by(|a, b| a.name.cmp(&b.name));
        apis
    }
}

fn named(name: &str) -> String {
    if name.is_empty() { "—".into() } else { name.into() }
}

fn subject_name(app: &Application, directory: &Snapshot, one: &TrustedSubjectName) -> SubjectName {
    let authority = directory.certificate_authority(app.home_tenant.unwrap_or_default(), one.authority_id);
    SubjectName {
        name: one.subject_name.clone(),
        authority: authority.map_or_else(|| one.authority_id.to_string(), authority_name),
        authority_id: one.authority_id.to_string(),
        revoked: one.revoked.clone(),
    }
}

fn authority_name(authority: &CertificateAuthority) -> String {
    match (authority.display_name.as_str(), authority.roots.first()) {
        ("", Some(root)) => root.subject().to_owned(),
        (name, _) => name.to_owned(),
    }
}

fn secret_view(secret: &crate::directory::Secret, now: i64) -> Credential {
    Credential {
        id: secret.key_id.to_string(),
        name: named(&secret.display_name),
        thumbprint: String::new(),
        thumbprint_s256: String::new(),
        subject: String::new(),
        from: words::date(secret.start),
        until: words::date(secret.end),
        state: words::until(secret.end, now),
        expired: secret.end <= now,
    }
}

fn certificate_view(credential: &crate::directory::KeyCredential, now: i64) -> Credential {
    let certificate = &credential.certificate;
    Credential {
        id: credential.key_id.to_string(),
        name: named(&credential.display_name),
        thumbprint: certificate.thumbprint_hex(),
        thumbprint_s256: certificate.x5t_s256(),
        subject: certificate.subject().to_owned(),
        from: words::date(certificate.not_before()),
        until: words::date(certificate.not_after()),
        state: words::until(certificate.not_after(), now),
        expired: certificate.not_after() <= now,
    }
}
