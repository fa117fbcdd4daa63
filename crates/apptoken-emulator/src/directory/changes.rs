//! What an administrator does: each change swaps in a new snapshot, which the next token request sees.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apptoken_jose::{Certificate, base64url};
use aws_lc_rs::rand;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::model::{AppRole, Application, DEFAULT_ACCESS, KeyCredential, Secret, ServicePrincipal, TokenVersion};
use super::{Directory, DirectoryError, MemberType, OptionalClaims, SeedError, Snapshot, guid};
use crate::seed::{SeedApplication, SeedServicePrincipal, SeedTenant};

/// A client secret just made: the only time that its text can be read.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewSecret {
    /// The secret's id, for [`Directory::remove_secret`].
    pub key_id: Uuid,
    /// The secret.
    pub text: Zeroizing<String>,
}

/// Tenants are named by id or domain, applications by `client_id`. Each fails, changing nothing, when there is no such
/// thing.
impl Directory {
    /// A new tenant; its id.
    pub fn add_tenant(&self, tenant: &SeedTenant) -> Result<Uuid, DirectoryError> {
        self.change(|next, now| Ok(next.import_tenant(tenant, "tenant", now)?))
    }

    /// A new application with its service principals; its `client_id`.
    pub fn add_application(&self, application: &SeedApplication) -> Result<Uuid, DirectoryError> {
        let mut application = application.clone();
        let app_id = *application.app_id.get_or_insert_with(Uuid::new_v4);
        self.change(|next, now| Ok(next.import_applications(&[application], "applications", now)?))?;
        Ok(app_id)
    }

    /// Removes an application, its service principals and what was granted to and on it.
    pub fn remove_application(&self, app: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.applications.remove(&app_id);
            for tenant in next.tenants.values_mut() {
                Arc::make_mut(tenant).expel(app_id);
            }
            Ok(())
        })
    }

    /// What the portal's *Grant admin consent* does: every app role that the application asks for in
    /// `requiredResourceAccess` is assigned to it in this tenant. Gives the values of these roles.
    pub fn grant_admin_consent(&self, tenant: &str, app: &str) -> Result<Vec<String>, DirectoryError> {
        self.change(|next, now| {
            let (tenant, app_id) = (next.named_tenant(tenant)?, next.app(app)?.app_id);
            next.consent(tenant, app_id, now)
        })
    }

    /// Takes back everything that was granted to the application in this tenant.
    pub fn revoke_admin_consent(&self, tenant: &str, app: &str) -> Result<(), DirectoryError> {
        self.edit_principal(tenant, app, |principal| principal.app_role_assignments.clear())
    }

    /// Assigns one app role, by value or id, of an API (application id or App ID URI) to an application; whether it did
    /// not have it yet. A role that is disabled, or for users only, cannot be assigned. To an API that offers no role an
    /// application is assigned with the empty GUID: that lets it in where assignment is required.
    pub fn assign_app_role(&self, tenant: &str, app: &str, api: &str, role: &str) -> Result<bool, DirectoryError> {
        self.change(|next, now| {
            let (id, app_id) = (next.named_tenant(tenant)?, next.app(app)?.app_id);
            let (resource, role_id) = next.offered(tenant, api, role)?;
            let roles = next.application(resource).map_or(&[][..], |api| &api.app_roles);
            let fit = |known: &AppRole| known.enabled && known.allowed_member_types.contains(&MemberType::Application);
            let by_default = role_id == DEFAULT_ACCESS && roles.is_empty();
            if !by_default && !roles.iter().any(|known| known.id == role_id && fit(known)) {
                return Err(DirectoryError::NoAppRole { app: resource, role: role.into() });
            }
            let mut new = false;
            next.principal(id, app_id, |principal| new = principal.grant(resource, role_id, now))?;
            Ok(new)
        })
    }

    /// Takes one app role back.
    pub fn remove_app_role(&self, tenant: &str, app: &str, api: &str, role: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let (id, app_id) = (next.named_tenant(tenant)?, next.app(app)?.app_id);
            let (resource, role) = next.offered(tenant, api, role)?;
            next.principal(id, app_id, |principal| {
                principal.app_role_assignments.retain(|assignment| !assignment.grants(resource, role));
            })
        })
    }

    /// A wish: the application asks for an app role, by value or id, of an API. Granted only by
    /// [`Self::grant_admin_consent`].
    pub fn require_app_role(&self, tenant: &str, app: &str, api: &str, role: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            let (resource, id) = next.offered(tenant, api, role)?;
            if id == DEFAULT_ACCESS {
                return Err(DirectoryError::NoAppRole { app: resource, role: role.into() });
            }
            next.edit_application(app_id, |application| application.wish(resource, id));
            Ok(())
        })
    }

    /// Makes a client secret that is good for `valid_for`, from now.
    pub fn add_secret(&self, app: &str, name: &str, valid_for: Duration) -> Result<NewSecret, DirectoryError> {
        let text = random_secret()?;
        let key_id = self.add_secret_text(app, name, &text, valid_for)?;
        Ok(NewSecret { key_id, text })
    }

    /// Makes a client secret that is good from `start`, or now, until `end`, or two years after its start (Unix
    /// seconds).
    pub(crate) fn add_secret_between(
        &self,
        app: &str,
        name: &str,
        dates: (Option<i64>, Option<i64>),
    ) -> Result<NewSecret, DirectoryError> {
        self.change(|next, now| {
            let app_id = next.app(app)?.app_id;
            let (new, secret) = NewSecret::make(name, dates, now)?;
            next.add_secret(app_id, secret)?;
            Ok(new)
        })
    }

    /// Registers a client secret of one's own choice; its id.
    pub fn add_secret_text(
        &self,
        app: &str,
        name: &str,
        text: &str,
        valid_for: Duration,
    ) -> Result<Uuid, DirectoryError> {
        let key_id = Uuid::new_v4();
        self.change(|next, now| {
            let app_id = next.app(app)?.app_id;
            let end = now.saturating_add(i64::try_from(valid_for.as_secs()).unwrap_or(i64::MAX));
            next.add_secret(app_id, Secret::new(key_id, name, text, now, end).added_at(now))?;
            Ok(key_id)
        })
    }

    /// Removes a client secret.
    pub fn remove_secret(&self, app: &str, key_id: Uuid) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(app)?;
            let (app_id, known) = (application.app_id, application.secrets.iter().any(|s| s.key_id == key_id));
            if !known {
                return Err(DirectoryError::NoCredential { app: app_id, credential: key_id.to_string() });
            }
            next.edit_application(app_id, |application| application.secrets.retain(|s| s.key_id != key_id));
            Ok(())
        })
    }

    /// Registers a certificate; the credential's id.
    pub fn add_certificate(&self, app: &str, name: &str, certificate: &Certificate) -> Result<Uuid, DirectoryError> {
        let credential = KeyCredential::new(Uuid::new_v4(), name, certificate.clone())?;
        let key_id = credential.key_id;
        self.change(|next, now| {
            let app_id = next.app(app)?.app_id;
            next.add_key(app_id, credential, now)?;
            Ok(key_id)
        })
    }

    /// Registers a certificate under the id that it has.
    pub(crate) fn add_key(&self, app_id: Uuid, key: KeyCredential) -> Result<(), DirectoryError> {
        self.change(|next, now| next.add_key(app_id, key, now))
    }

    /// Removes one certificate, by the credential's id.
    pub(crate) fn remove_key(&self, app_id: Uuid, key_id: Uuid) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(&app_id.to_string())?;
            if application.certificates.iter().all(|key| key.key_id != key_id) {
                return Err(DirectoryError::NoCredential { app: app_id, credential: key_id.to_string() });
            }
            next.edit_application(app_id, |application| application.certificates.retain(|key| key.key_id != key_id));
            Ok(())
        })
    }

    /// Removes a certificate, by its SHA-1 thumbprint in hex.
    pub fn remove_certificate(&self, app: &str, thumbprint: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(app)?;
            let app_id = application.app_id;
            let other = |c: &KeyCredential| !c.certificate.thumbprint_hex().eq_ignore_ascii_case(thumbprint);
            if application.certificates.iter().all(other) {
                return Err(DirectoryError::NoCredential { app: app_id, credential: thumbprint.into() });
            }
            next.edit_application(app_id, |application| application.certificates.retain(other));
            Ok(())
        })
    }

    /// The version of the tokens issued for an API.
    pub fn set_token_version(&self, app: &str, version: TokenVersion) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.edit_application(app_id, |application| application.token_version = version);
            Ok(())
        })
    }

    /// What the tokens issued for an API carry besides (*Token configuration* in Azure's portal).
    pub fn set_optional_claims(&self, app: &str, claims: Option<OptionalClaims>) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.edit_application(app_id, |application| application.optional_claims = claims);
            next.fits(app_id)
        })
    }

    /// Makes an application present in a tenant.
    pub fn add_service_principal(&self, app: &str, principal: &SeedServicePrincipal) -> Result<(), DirectoryError> {
        self.change(|next, now| {
            let app_id = next.app(app)?.app_id;
            let tenant = next.import_principal(app_id, principal, "servicePrincipal", now)?;
            if principal.admin_consent {
                next.consent(tenant, app_id, now)?;
            }
            Ok(())
        })
    }

    /// Removes an application from a tenant, and what was granted to and on it there.
    pub fn remove_service_principal(&self, tenant: &str, app: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let (id, app_id) = (next.named_tenant(tenant)?, next.app(app)?.app_id);
            next.principal(id, app_id, |_| ())?;
            next.edit_tenant(id, |tenant| tenant.expel(app_id));
            Ok(())
        })
    }

    /// Enables or disables an application in a tenant.
    pub fn set_account_enabled(&self, tenant: &str, app: &str, enabled: bool) -> Result<(), DirectoryError> {
        self.edit_principal(tenant, app, |principal| principal.account_enabled = enabled)
    }

    /// Whether an API's tokens go only to who has one of its roles.
    pub fn set_assignment_required(&self, tenant: &str, app: &str, required: bool) -> Result<(), DirectoryError> {
        self.edit_principal(tenant, app, |principal| principal.app_role_assignment_required = required)
    }

    fn edit_principal(
        &self,
        tenant: &str,
        app: &str,
        edit: impl FnOnce(&mut ServicePrincipal),
    ) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let (tenant, app_id) = (next.named_tenant(tenant)?, next.app(app)?.app_id);
            next.principal(tenant, app_id, edit)
        })
    }
}

impl NewSecret {
    /// And what the directory keeps of it. It is good from its start, or now, until its end, or two years later.
    pub(crate) fn make(
        name: &str,
        (start, end): (Option<i64>, Option<i64>),
        now: i64,
    ) -> Result<(Self, Secret), DirectoryError> {
        let (key_id, text) = (Uuid::new_v4(), random_secret()?);
        let start = start.unwrap_or(now);
        let end = end.unwrap_or_else(|| start.saturating_add(super::import::TWO_YEARS));
        if end <= start {
            return Err(SeedError::new("endDateTime", "the secret would end before it begins").into());
        }
        let secret = Secret::new(key_id, name, &text, start, end).added_at(now);
        Ok((Self { key_id, text }, secret))
    }
}

impl Snapshot {
    pub(super) fn add_secret(&mut self, app_id: Uuid, secret: Secret) -> Result<(), DirectoryError> {
        self.edit_application(app_id, |application| application.secrets.push(secret));
        self.fits(app_id)
    }

    fn add_key(&mut self, app_id: Uuid, key: KeyCredential, now: i64) -> Result<(), DirectoryError> {
        let mut keys = self.app(&app_id.to_string())?.certificates.clone();
        keys.push(KeyCredential { added: now, ..key });
        each_once(&keys)?;
        self.edit_application(app_id, |application| application.certificates = keys);
        self.fits(app_id)
    }

    pub(super) fn named_tenant(&self, name: &str) -> Result<Uuid, DirectoryError> {
        self.tenant(name).map(|tenant| tenant.id).ok_or_else(|| DirectoryError::NoTenant(name.into()))
    }

    pub(super) fn app(&self, name: &str) -> Result<&Application, DirectoryError> {
        let found = guid(name).and_then(|id| self.application(id));
        found.ok_or_else(|| DirectoryError::NoApplication(name.into()))
    }

    /// The ids of an API and of what can be assigned of it.
    fn offered(&self, tenant: &str, api: &str, role: &str) -> Result<(Uuid, Uuid), DirectoryError> {
        let tenant = self.tenant(tenant).ok_or_else(|| DirectoryError::NoTenant(tenant.into()))?;
        let (api, _) = self.resource(tenant, api).ok_or_else(|| DirectoryError::NoApplication(api.into()))?;
        let found = api.assignable(role);
        let found = found.ok_or_else(|| DirectoryError::NoAppRole { app: api.app_id, role: role.into() })?;
        Ok((api.app_id, found))
    }

    pub(super) fn principal(
        &mut self,
        tenant: Uuid,
        app: Uuid,
        edit: impl FnOnce(&mut ServicePrincipal),
    ) -> Result<(), DirectoryError> {
        let here = self.tenants.get_mut(&tenant).ok_or_else(|| DirectoryError::NoTenant(tenant.to_string()))?;
        let principal = Arc::make_mut(here).principals.get_mut(&app);
        edit(Arc::make_mut(principal.ok_or(DirectoryError::NoServicePrincipal { app, tenant })?));
        Ok(())
    }
}

impl super::Tenant {
    fn expel(&mut self, app_id: Uuid) {
        self.principals.remove(&app_id);
        self.resources.retain(|_, id| *id != app_id);
        for principal in self.principals.values_mut() {
            if principal.app_role_assignments.iter().any(|a| a.resource == app_id) {
                Arc::make_mut(principal).app_role_assignments.retain(|a| a.resource != app_id);
            }
        }
    }
}

impl Application {
    fn wish(&mut self, resource: Uuid, app_role: Uuid) {
        match self.required_resource_access.iter_mut().find(|wish| wish.resource == resource) {
            Some(wish) if wish.app_roles.contains(&app_role) => (),
            Some(wish) => wish.app_roles.push(app_role),
            None => self.required_resource_access.push(super::RequiredResourceAccess {
                resource,
                app_roles: vec![app_role],
                scopes: Vec::new(),
            }),
        }
    }
}

/// Credentials are told apart by their ids.
pub(super) fn each_once(keys: &[KeyCredential]) -> Result<(), SeedError> {
    let again = keys.iter().enumerate().find(|(i, key)| keys[..*i].iter().any(|other| other.key_id == key.key_id));
    match again {
        Some((_, key)) => Err(SeedError::taken("keyCredentials", format!("the keyId {} is used twice", key.key_id))),
        None => Ok(()),
    }
}

/// As long as those that Entra makes.
fn random_secret() -> Result<Zeroizing<String>, DirectoryError> {
    let mut bytes = Zeroizing::new([0_u8; 30]);
    match rand::fill(&mut *bytes) {
        Ok(()) => Ok(Zeroizing::new(base64url::encode(&*bytes))),
        Err(_) => Err(DirectoryError::Certificate(apptoken_jose::KeyError::Generate("a secret"))),
    }
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecret").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
