//! From a seed to the directory. A seed that contradicts itself is refused whole, with the JSON path of the reason.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::model::{
    AppRole, Application, CONSUMERS, DEFAULT_ACCESS, Group, KeyCredential, RequiredResourceAccess, Secret,
    ServicePrincipal, Tenant, TokenVersion, User, resource_key, sha256,
};
use super::properties::{self, Properties, Unfit};
use super::{CertificateAuthority, FederatedCredential, Snapshot, admin_application, certificates, guid};
use crate::seed::{
    Seed, SeedAppRole, SeedApplication, SeedAssignment, SeedCertificate, SeedFederatedCredential, SeedGroup,
    SeedResourceAccess, SeedSecret, SeedServicePrincipal, SeedTenant, SeedUser,
};

/// What is wrong with a seed, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed: {}{message}", at(path))]
pub struct SeedError {
    path: String,
    message: String,
    taken: bool,
}

/// A syntax error says line and column, and has no path.
fn at(path: &str) -> String {
    if path == "." { String::new() } else { format!("{path}: ") }
}

impl SeedError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), taken: false }
    }

    /// Another object has this already.
    pub(crate) fn taken(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { taken: true, ..Self::new(path, message) }
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }

    /// What is wrong there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON path, for example `applications[0].appRoles[1].value`; `.` for the whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Snapshot {
    /// Tenants, then applications, then what refers to applications: a seed may name them in any order.
    pub(super) fn import(&mut self, seed: &Seed, now: i64) -> Result<(), SeedError> {
        for (i, tenant) in seed.tenants.iter().enumerate() {
            self.import_tenant(tenant, &format!("tenants[{i}]"), now)?;
        }
        self.import_applications(&seed.applications, "applications", now)?;
        for (i, tenant) in seed.tenants.iter().enumerate() {
            let Some(admin) = &tenant.admin_application else { continue };
            let secret = SeedSecret { secret_text: admin.secret_text.clone(), ..SeedSecret::default() };
            let admin = admin_application(&tenant.default_domain, admin.app_id, vec![secret]);
            self.import_applications(&[admin], &format!("tenants[{i}].adminApplication"), now)?;
        }
        for (i, identity) in seed.managed_identities.iter().enumerate() {
            self.import_managed_identity(identity, &format!("managedIdentities[{i}]"), now)?;
        }
        Ok(())
    }

    pub(super) fn import_applications(
        &mut self,
        seeds: &[SeedApplication],
        path: &str,
        now: i64,
    ) -> Result<(), SeedError> {
        let mut ids = Vec::with_capacity(seeds.len());
        for (i, seed) in seeds.iter().enumerate() {
            ids.push(self.import_application(seed, &format!("{path}[{i}]"), now)?);
        }
        for (i, (seed, &app_id)) in seeds.iter().zip(&ids).enumerate() {
            let wishes = self.wishes(app_id, seed, &format!("{path}[{i}].requiredResourceAccess"))?;
            self.edit_application(app_id, |application| application.required_resource_access = wishes);
        }
        let (mut consents, mut grants) = (Vec::new(), Vec::new());
        for (i, (seed, &app_id)) in seeds.iter().zip(&ids).enumerate() {
            let home = self.application(app_id).and_then(|application| application.home_tenant);
            let at_home = home.map(|id| SeedServicePrincipal::new(id.to_string()));
            let principals = seed.service_principals.as_deref().unwrap_or(at_home.as_slice());
            for (j, principal) in principals.iter().enumerate() {
                let path = format!("{path}[{i}].servicePrincipals[{j}]");
                let tenant = self.import_principal(app_id, principal, &path, now)?;
                for (k, granted) in principal.app_role_assignments.iter().enumerate() {
                    grants.push((tenant, app_id, granted.clone(), format!("{path}.appRoleAssignments[{k}]")));
                }
                if principal.admin_consent {
                    consents.push((tenant, app_id, format!("{path}.adminConsent")));
                }
            }
        }
        for (tenant, app_id, granted, path) in grants {
            self.grant_of_seed(tenant, app_id, &granted, &path, now)?;
        }
        for (tenant, app_id, path) in consents {
            self.consent(tenant, app_id, now).map_err(|error| SeedError::new(path, error.to_string()))?;
        }
        Ok(())
    }

    pub(super) fn import_tenant(&mut self, seed: &SeedTenant, path: &str, now: i64) -> Result<Uuid, SeedError> {
        let id = seed.tenant_id.unwrap_or_else(Uuid::new_v4);
        if id.is_nil() || id == CONSUMERS {
            let message = format!("{id} names no organisation at Entra: nobody could ask for a token there");
            return Err(SeedError::new(format!("{path}.tenantId"), message));
        }
        if self.tenants.contains_key(&id) {
            return Err(SeedError::new(format!("{path}.tenantId"), format!("{id} is used twice")));
        }
        let mut domains = vec![seed.default_domain.to_ascii_lowercase()];
        domains.extend(seed.domains.iter().map(|domain| domain.to_ascii_lowercase()));
        domains.dedup();
        for domain in &domains {
            if !is_domain(domain) {
                return Err(SeedError::new(path, format!("{domain:?} is not a domain name such as contoso.com")));
            }
            if self.domains.insert(domain.clone(), id).is_some() {
                return Err(SeedError::new(path, format!("the domain {domain} is used twice")));
            }
        }
        let created = made(seed.created_date_time, now);
        let mut tenant = Tenant {
            id,
            display_name: seed.display_name.clone().unwrap_or_else(|| seed.default_domain.clone()),
            default_domain: domains[0].clone(),
            domains,
            created,
            country_letter_code: two_letters(
                seed.country_letter_code.as_deref(),
                &format!("{path}.countryLetterCode"),
            )?
            .map(|code| code.to_ascii_uppercase()),
            preferred_language: two_letters(seed.preferred_language.as_deref(), &format!("{path}.preferredLanguage"))?
                .map(|code| code.to_ascii_lowercase()),
            users: Vec::with_capacity(seed.users.len()),
            groups: Vec::new(),
            certificate_authorities: CertificateAuthority::of_seeds(&seed.trusted_certificate_authorities, path)?,
            principals: Default::default(),
            resources: Default::default(),
        };
        for (i, user) in seed.users.iter().enumerate() {
            tenant.users.push(User::of_seed(user, &format!("{path}.users[{i}]"))?);
        }
        for (i, group) in seed.groups.iter().enumerate() {
            let group = tenant.group_of_seed(group, &format!("{path}.groups[{i}]"))?;
            tenant.groups.push(group);
        }
        for application in self.applications.values().filter(|application| application.first_party) {
            tenant.admit_first_party(application, created);
        }
        for (i, principal) in seed.microsoft_service_principals.iter().enumerate() {
            let there = tenant.principals.get_mut(&principal.app_id);
            let there = there.ok_or_else(|| {
                let path = format!("{path}.microsoftServicePrincipals[{i}].appId");
                SeedError::new(path, format!("{} is none of Microsoft's own applications", principal.app_id))
            })?;
            let there = Arc::make_mut(there);
            there.account_enabled = principal.account_enabled;
            there.app_role_assignment_required = principal.app_role_assignment_required;
        }
        self.tenants.insert(id, Arc::new(tenant));
        Ok(id)
    }

    fn import_application(&mut self, seed: &SeedApplication, path: &str, now: i64) -> Result<Uuid, SeedError> {
        let app_id = seed.app_id.unwrap_or_else(Uuid::new_v4);
        if app_id.is_nil() {
            return Err(SeedError::new(format!("{path}.appId"), "the empty GUID names no application"));
        }
        if self.application(app_id).is_some_and(|there| there.first_party) {
            let message = format!(
                "{app_id} is Microsoft's own {}, which is here already",
                self.applications[&app_id].display_name
            );
            return Err(SeedError::new(format!("{path}.appId"), message));
        }
        if self.applications.contains_key(&app_id) {
            return Err(SeedError::new(format!("{path}.appId"), format!("{app_id} is used twice")));
        }
        let home_tenant = self.home(seed.home_tenant.as_deref(), &format!("{path}.homeTenant"))?;
        let token_version = match seed.requested_access_token_version {
            None | Some(1) => TokenVersion::V1,
            Some(2) => TokenVersion::V2,
            Some(other) => {
                let path = format!("{path}.requestedAccessTokenVersion");
                return Err(SeedError::new(path, format!("{other} is neither 1 nor 2")));
            }
        };
        let secrets = seed.password_credentials.iter().enumerate().map(|(i, secret)| {
            let text = secret.secret_text.as_str();
            if text.is_empty() && secret.secret_sha256.is_none() {
                let path = format!("{path}.passwordCredentials[{i}].secretText");
                return Err(SeedError::new(path, "an empty secret"));
            }
            let key_id = secret.key_id.unwrap_or_else(Uuid::new_v4);
            let start = secret.start_date_time.map_or_else(|| now.saturating_sub(SKEW), |time| time.as_second());
            let end = secret.end_date_time.map_or_else(|| now.saturating_add(TWO_YEARS), |time| time.as_second());
            let Some(digest) = &secret.secret_sha256 else {
                return Ok(Secret::new(key_id, &secret.display_name, text, start, end));
            };
            let hint = secret.hint.as_deref().unwrap_or_default();
            let known = Secret::of_digest(key_id, &secret.display_name, digest, hint, (start, end));
            known.filter(|_| text.is_empty()).ok_or_else(|| {
                let path = format!("{path}.passwordCredentials[{i}].secretSha256");
                SeedError::new(path, "is not the base64url of a SHA-256, or stands beside a secretText")
            })
        });
        let certificates = seed
            .key_credentials
            .iter()
            .enumerate()
            .map(|(i, seed)| certificate(seed, &format!("{path}.keyCredentials[{i}].certificate")));
        let mut app_roles: Vec<AppRole> = Vec::new();
        for (i, role) in seed.app_roles.iter().enumerate() {
            if role.value.is_empty() || app_roles.iter().any(|other| other.value == role.value) {
                let path = format!("{path}.appRoles[{i}].value");
                return Err(SeedError::new(path, format!("{:?} is empty or used twice", role.value)));
            }
            if let Some(id) = role.id.filter(|id| app_roles.iter().any(|other| other.id == *id)) {
                return Err(SeedError::new(format!("{path}.appRoles[{i}].id"), format!("{id} is used twice")));
            }
            app_roles.push(AppRole::of_seed(role));
        }
        let trusted_subject_names =
            self.subject_names_of_seed(home_tenant, &seed.trusted_subject_name_and_issuers, path)?;
        let mut application = Application {
            app_id,
            id: seed.id.unwrap_or_else(Uuid::new_v4),
            display_name: seed.display_name.clone(),
            home_tenant: Some(home_tenant),
            sign_in_audience: seed.sign_in_audience,
            identifier_uris: seed.identifier_uris.clone(),
            token_version,
            optional_claims: seed.optional_claims.clone(),
            app_roles,
            required_resource_access: Vec::new(),
            secrets: secrets.collect::<Result<_, _>>()?,
            certificates: certificates.collect::<Result<_, _>>()?,
            trusted_subject_names,
            federated: Vec::new(),
            single_use_assertions: seed.single_use_assertions,
            agent_blueprint: seed.agent_identity_blueprint_id,
            managed_identity: None,
            first_party: false,
            slash_strict: false,
            created: made(seed.created_date_time, now),
            owners: seed.owners.clone(),
            further: further(properties::APPLICATION, &seed.further, path)?,
        };
        application.federate(&seed.federated_identity_credentials, path)?;
        self.applications.insert(app_id, Arc::new(application));
        Ok(app_id)
    }

    /// The tenant of this name, or the only one.
    pub(super) fn home(&self, name: Option<&str>, path: &str) -> Result<Uuid, SeedError> {
        if let Some(name) = name {
            let found = self.tenant(name).map(|tenant| tenant.id);
            return found.ok_or_else(|| SeedError::new(path, format!("no tenant {name:?} in this directory")));
        }
        let mut ids = self.tenants.keys();
        match (ids.next(), ids.next()) {
            (Some(only), None) => Ok(*only),
            _ => Err(SeedError::new(path, "say which tenant: it can be left out only when there is exactly one")),
        }
    }

    fn wishes(
        &self,
        app_id: Uuid,
        seed: &SeedApplication,
        path: &str,
    ) -> Result<Vec<RequiredResourceAccess>, SeedError> {
        let home = self.application(app_id).and_then(|application| application.home_tenant);
        let wishes = self.app_roles(&seed.required_resource_access, home, path)?;
        match wishes.iter().position(|wish| wish.app_roles.contains(&DEFAULT_ACCESS)) {
            Some(i) => Err(SeedError::new(format!("{path}[{i}].appRoles"), "the empty GUID is no app role to ask for")),
            None => Ok(wishes),
        }
    }

    /// What can be assigned of APIs, as a seed names it.
    pub(super) fn app_roles(
        &self,
        seeds: &[SeedResourceAccess],
        home: Option<Uuid>,
        path: &str,
    ) -> Result<Vec<RequiredResourceAccess>, SeedError> {
        let wish = |(i, wish): (usize, &SeedResourceAccess)| {
            let api = self.api_named(&wish.resource, home).ok_or_else(|| {
                let message = format!("no application has the App ID URI or id {:?}", wish.resource);
                SeedError::new(format!("{path}[{i}].resource"), message)
            })?;
            let role = |(j, role): (usize, &String)| {
                api.assignable(role).ok_or_else(|| {
                    let message = format!("{} has no app role {role:?}", api.display_name);
                    SeedError::new(format!("{path}[{i}].appRoles[{j}]"), message)
                })
            };
            let app_roles = wish.app_roles.iter().enumerate().map(role).collect::<Result<_, _>>()?;
            Ok(RequiredResourceAccess { resource: api.app_id, app_roles, scopes: wish.scopes.clone() })
        };
        seeds.iter().enumerate().map(wish).collect()
    }

    /// An API by id or App ID URI; the same URI may be in use in several tenants, and then home goes first.
    fn api_named(&self, name: &str, home: Option<Uuid>) -> Option<&Application> {
        if let Some(id) = guid(name) {
            return self.application(id);
        }
        let key = resource_key(name);
        let mut named: Vec<_> =
            self.applications().filter(|api| api.identifier_uris.iter().any(|uri| resource_key(uri) == key)).collect();
        named.sort_by_key(|api| (api.home_tenant != home, api.app_id));
        named.first().copied()
    }

    pub(super) fn import_principal(
        &mut self,
        app_id: Uuid,
        seed: &SeedServicePrincipal,
        path: &str,
        now: i64,
    ) -> Result<Uuid, SeedError> {
        let tenant = self.tenant(&seed.tenant).ok_or_else(|| {
            SeedError::new(format!("{path}.tenant"), format!("no tenant {:?} in this directory", seed.tenant))
        })?;
        let (id, mut tenant) = (tenant.id, tenant.clone());
        let Some(application) = self.application(app_id) else {
            return Err(SeedError::new(path, format!("no application {app_id} in this directory")));
        };
        let single = application.sign_in_audience.is_one_tenant();
        if single && application.home_tenant.is_some_and(|home| home != id) {
            let message = "a single-tenant application lives in its home tenant only (signInAudience)";
            return Err(SeedError::new(format!("{path}.tenant"), message));
        }
        if tenant.principals.contains_key(&app_id) {
            return Err(SeedError::taken(path, "the application has a service principal in this tenant already"));
        }
        if let Some(uri) = application.identifier_uris.iter().find(|uri| tenant.has_resource(uri)) {
            return Err(SeedError::taken(path, format!("another application has the App ID URI {uri} in this tenant")));
        }
        tenant.admit(
            application,
            ServicePrincipal {
                account_enabled: seed.account_enabled,
                app_role_assignment_required: seed.app_role_assignment_required,
                owners: seed.owners.clone(),
                further: further(properties::SERVICE_PRINCIPAL, &seed.further, path)?,
                ..ServicePrincipal::new(seed.id.unwrap_or_else(Uuid::new_v4), app_id, made(seed.created_date_time, now))
            },
        );
        self.tenants.insert(id, Arc::new(tenant));
        Ok(id)
    }

    fn grant_of_seed(
        &mut self,
        tenant: Uuid,
        app_id: Uuid,
        seed: &SeedAssignment,
        path: &str,
        now: i64,
    ) -> Result<(), SeedError> {
        let access = SeedResourceAccess {
            resource: seed.resource.clone(),
            app_roles: vec![seed.app_role.clone()],
            ..SeedResourceAccess::default()
        };
        // paths of one element are those of the member
        let found = self.app_roles(std::slice::from_ref(&access), Some(tenant), path).map_err(|error| {
            let member = if error.path().contains("appRoles") { "appRole" } else { "resource" };
            SeedError::new(format!("{path}.{member}"), error.message())
        })?;
        for access in &found {
            for &role in &access.app_roles {
                self.edit_tenant(tenant, |tenant| {
                    if let Some(principal) = tenant.principals.get_mut(&app_id) {
                        let granted = made(seed.created_date_time, now);
                        Arc::make_mut(principal).grant(access.resource, role, granted);
                    }
                });
            }
        }
        Ok(())
    }

    /// Turns an application's wishes into assignments; the values of all roles it now has by its wishes.
    pub(super) fn consent(
        &mut self,
        tenant: Uuid,
        app_id: Uuid,
        now: i64,
    ) -> Result<Vec<String>, super::DirectoryError> {
        let no_principal = |app| super::DirectoryError::NoServicePrincipal { app, tenant };
        let application =
            self.application(app_id).ok_or_else(|| super::DirectoryError::NoApplication(app_id.to_string()))?;
        let here =
            self.tenants.get(&tenant).ok_or_else(|| super::DirectoryError::NoTenant(tenant.to_string()))?.clone();
        let mut principal = here.service_principal(app_id).cloned().ok_or_else(|| no_principal(app_id))?;
        let mut granted = Vec::new();
        for wish in application.required_resource_access.iter().filter(|wish| !wish.app_roles.is_empty()) {
            here.service_principal(wish.resource).ok_or_else(|| no_principal(wish.resource))?;
            for &app_role in &wish.app_roles {
                let api = self.application(wish.resource);
                if let Some(role) = api.and_then(|api| api.app_roles.iter().find(|role| role.id == app_role)) {
                    principal.grant(wish.resource, app_role, now);
                    granted.push(role.value.clone());
                }
            }
        }
        self.edit_tenant(tenant, |tenant| {
            tenant.principals.insert(app_id, Arc::new(principal));
        });
        Ok(granted)
    }

    pub(super) fn edit_application(&mut self, app_id: Uuid, edit: impl FnOnce(&mut Application)) {
        if let Some(application) = self.applications.get_mut(&app_id) {
            edit(Arc::make_mut(application));
        }
    }

    pub(super) fn edit_tenant(&mut self, id: Uuid, edit: impl FnOnce(&mut Tenant)) {
        if let Some(tenant) = self.tenants.get_mut(&id) {
            edit(Arc::make_mut(tenant));
        }
    }
}

impl Tenant {
    pub(super) fn admit(&mut self, application: &Application, principal: ServicePrincipal) {
        for uri in &application.identifier_uris {
            self.resources.insert(resource_key(uri), application.app_id);
        }
        self.principals.insert(application.app_id, Arc::new(principal));
    }

    /// Microsoft's own application: its object id follows from the tenant's, so that it is the same in each new start.
    pub(super) fn admit_first_party(&mut self, application: &Application, now: i64) {
        let digest = sha256(&format!("{}/{}", self.id, application.app_id));
        let id = uuid::Builder::from_random_bytes(std::array::from_fn(|i| digest[i])).into_uuid();
        for uri in &application.identifier_uris {
            // what an older folder has under this name stays
            self.resources.entry(resource_key(uri)).or_insert(application.app_id);
        }
        self.principals.insert(application.app_id, Arc::new(ServicePrincipal::new(id, application.app_id, now)));
    }

    pub(super) fn has_resource(&self, uri: &str) -> bool {
        self.resources.contains_key(&resource_key(uri))
    }
}

impl Application {
    pub(super) fn federate(&mut self, seeds: &[SeedFederatedCredential], path: &str) -> Result<(), SeedError> {
        for (i, seed) in seeds.iter().enumerate() {
            let path = format!("{path}.federatedIdentityCredentials[{i}]");
            let credential = FederatedCredential::admit(seed, self, &path)?;
            self.federated.push(credential);
        }
        Ok(())
    }
}

impl Tenant {
    /// Members are named by object id, or users by their sign-in name.
    fn group_of_seed(&self, seed: &SeedGroup, path: &str) -> Result<Group, SeedError> {
        let member = |(i, name): (usize, &String)| {
            let user = || self.users.iter().find(|user| user.user_principal_name.eq_ignore_ascii_case(name));
            guid(name).or_else(|| user().map(|user| user.id)).ok_or_else(|| {
                let message = format!("{name:?} is neither an object id nor the sign-in name of a user");
                SeedError::new(format!("{path}.members[{i}]"), message)
            })
        };
        Ok(Group {
            id: seed.id.unwrap_or_else(Uuid::new_v4),
            display_name: seed.display_name.clone(),
            members: seed.members.iter().enumerate().map(member).collect::<Result<_, _>>()?,
            further: further(properties::GROUP, &seed.further, path)?,
        })
    }
}

impl User {
    fn of_seed(seed: &SeedUser, path: &str) -> Result<Self, SeedError> {
        Ok(Self {
            id: seed.id.unwrap_or_else(Uuid::new_v4),
            display_name: seed.display_name.clone(),
            user_principal_name: seed.user_principal_name.clone(),
            further: further(properties::USER, &seed.further, path)?,
        })
    }
}

impl AppRole {
    pub(super) fn of_seed(seed: &SeedAppRole) -> Self {
        let display_name = seed.display_name.as_ref().unwrap_or(&seed.value);
        let role = Self::new(seed.id.unwrap_or_else(Uuid::new_v4), &seed.value, display_name);
        Self {
            description: seed.description.clone().unwrap_or(role.description),
            enabled: seed.is_enabled,
            allowed_member_types: seed.allowed_member_types.clone(),
            ..role
        }
    }
}

fn further(properties: Properties, given: &Map<String, Value>, path: &str) -> Result<Map<String, Value>, SeedError> {
    let mut all = Map::new();
    for (name, value) in given {
        properties.set(&mut all, name, value).map_err(|unfit| match unfit {
            Unfit::Unknown(name) => SeedError::new(format!("{path}.further.{name}"), "there is no such property"),
            Unfit::Value(name) => SeedError::new(format!("{path}.further.{name}"), "this is none of its values"),
        })?;
    }
    Ok(all)
}

/// A country or a language.
fn two_letters<'a>(code: Option<&'a str>, path: &str) -> Result<Option<&'a str>, SeedError> {
    match code {
        Some(code) if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_alphabetic()) => {
            Err(SeedError::new(path, format!("{code:?} is not two letters")))
        }
        code => Ok(code),
    }
}

/// Unix seconds.
pub(super) fn made(said: Option<jiff::Timestamp>, now: i64) -> i64 {
    said.map_or(now, |time| time.as_second())
}

/// Letters, digits, hyphens and at least one dot: what distinguishes `contoso.com` from `undefined`.
pub(crate) fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

fn certificate(seed: &SeedCertificate, path: &str) -> Result<KeyCredential, SeedError> {
    let wrong = |error: apptoken_jose::KeyError| SeedError::new(path, error.to_string());
    let certificate = certificates(&seed.certificate).map_err(|why| SeedError::new(path, why))?.swap_remove(0);
    KeyCredential::new(seed.key_id.unwrap_or_else(Uuid::new_v4), &seed.display_name, certificate).map_err(wrong)
}

/// A secret made this moment is good for a client whose clock is behind.
const SKEW: i64 = 300;
/// What the portal offers as the longest life of a secret, seconds.
pub(super) const TWO_YEARS: i64 = 2 * 365 * 86_400;
