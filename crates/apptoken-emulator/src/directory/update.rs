//! Changes of several properties at once, all or none, as Graph's `PATCH` and `POST` make them.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::changes::each_once;
use super::model::{KeyCredential, RequiredResourceAccess, Secret, ServicePrincipal, SignInAudience, TokenVersion};
use super::properties::{self, Properties, Unfit};
use super::{Directory, DirectoryError, OptionalClaims, SeedError, Snapshot};
use crate::seed::{SeedAppRole, SeedApplication};

/// What is to be different about an application; nothing said means as before.
#[derive(Debug, Default)]
pub(crate) struct ApplicationChange {
    pub(crate) display_name: Option<String>,
    pub(crate) sign_in_audience: Option<SignInAudience>,
    pub(crate) token_version: Option<TokenVersion>,
    /// `Some(None)` takes them away.
    pub(crate) optional_claims: Option<Option<OptionalClaims>>,
    pub(crate) identifier_uris: Option<Vec<String>>,
    /// All that there are to be, with their ids.
    pub(crate) app_roles: Option<Vec<SeedAppRole>>,
    pub(crate) required_resource_access: Option<Vec<RequiredResourceAccess>>,
    /// All that there are to be.
    pub(crate) keys: Option<Vec<Key>>,
    /// Ids of the secrets that stay.
    pub(crate) secrets: Option<Vec<Uuid>>,
    pub(crate) owners: Option<Vec<Uuid>>,
    pub(crate) further: Map<String, Value>,
}

/// One of the certificates that an application is to have.
#[derive(Debug)]
pub(crate) enum Key {
    /// One that it has.
    Kept(Uuid),
    New(Box<KeyCredential>),
}

/// What is to be different about a service principal.
#[derive(Debug, Default)]
pub(crate) struct PrincipalChange {
    pub(crate) account_enabled: Option<bool>,
    pub(crate) app_role_assignment_required: Option<bool>,
    pub(crate) owners: Option<Vec<Uuid>>,
    pub(crate) further: Map<String, Value>,
}

impl Directory {
    /// Registers an application in a tenant, with these secrets and without a service principal; its `client_id`.
    pub(crate) fn register(
        &self,
        tenant: Uuid,
        change: ApplicationChange,
        secrets: Vec<Secret>,
    ) -> Result<Uuid, DirectoryError> {
        let app_id = Uuid::new_v4();
        let seed = SeedApplication {
            app_id: Some(app_id),
            display_name: change.display_name.clone().unwrap_or_default(),
            home_tenant: Some(tenant.to_string()),
            service_principals: Some(Vec::new()),
            ..SeedApplication::default()
        };
        self.change(|next, now| {
            if next.applications().filter(|app| app.home_tenant == Some(tenant)).count() >= MOST_APPLICATIONS {
                return Err(DirectoryError::Full(tenant));
            }
            next.import_applications(&[seed], "applications", now)?;
            next.edit_application(app_id, |application| application.secrets = secrets);
            next.update(app_id, change, now)?;
            Ok(app_id)
        })
    }

    pub(crate) fn update_application(&self, app_id: Uuid, change: ApplicationChange) -> Result<(), DirectoryError> {
        self.change(|next, now| next.update(app_id, change, now))
    }

    pub(crate) fn update_service_principal(
        &self,
        tenant: Uuid,
        app_id: Uuid,
        change: PrincipalChange,
    ) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let mut outcome = Ok(());
            next.principal(tenant, app_id, |principal| outcome = change.apply(principal))?;
            outcome
        })
    }
}

impl Snapshot {
    fn update(&mut self, app_id: Uuid, change: ApplicationChange, now: i64) -> Result<(), DirectoryError> {
        let ApplicationChange {
            display_name,
            sign_in_audience,
            token_version,
            optional_claims,
            identifier_uris,
            app_roles,
            required_resource_access,
            keys,
            secrets,
            owners,
            further,
        } = change;
        let application = self.application(app_id).ok_or_else(|| DirectoryError::NoApplication(app_id.to_string()))?;
        if let Some(name) = further.get("uniqueName").filter(|name| !name.is_null()) {
            let same = |other: &super::Application| other.further.get("uniqueName") == Some(name);
            let beside = |other: &super::Application| other.home_tenant == application.home_tenant;
            if self.applications().any(|other| other.app_id != app_id && beside(other) && same(other)) {
                return Err(SeedError::taken("uniqueName", format!("{name} is another application's")).into());
            }
        }
        let further = merged(properties::APPLICATION, &application.further, &further)?;
        let certificates = match keys {
            None => application.certificates.clone(),
            Some(keys) => {
                let keys: Vec<_> = keys.into_iter().map(|key| key.of(application, now)).collect::<Result<_, _>>()?;
                each_once(&keys)?;
                keys
            }
        };
        let mut kept = application.secrets.clone();
        if let Some(ids) = secrets {
            if let Some(unknown) = ids.iter().find(|id| kept.iter().all(|secret| secret.key_id != **id)) {
                return Err(DirectoryError::NoCredential { app: app_id, credential: unknown.to_string() });
            }
            kept.retain(|secret| ids.contains(&secret.key_id));
        }
        self.edit_application(app_id, |application| {
            application.further = further;
            application.certificates = certificates;
            application.secrets = kept;
            display_name.into_iter().for_each(|name| application.display_name = name);
            sign_in_audience.into_iter().for_each(|audience| application.sign_in_audience = audience);
            token_version.into_iter().for_each(|version| application.token_version = version);
            optional_claims.into_iter().for_each(|claims| application.optional_claims = claims);
            required_resource_access.into_iter().for_each(|wishes| application.required_resource_access = wishes);
            owners.into_iter().for_each(|owners| application.owners = owners);
        });
        if let Some(uris) = identifier_uris {
            self.replace_uris(app_id, &uris)?;
        }
        if let Some(roles) = app_roles {
            self.replace_roles(app_id, &roles)?;
        }
        self.fits(app_id)
    }

    fn replace_uris(&mut self, app_id: Uuid, uris: &[String]) -> Result<(), DirectoryError> {
        let before = self.application(app_id).map(|app| app.identifier_uris.clone()).unwrap_or_default();
        for gone in before.iter().filter(|uri| !uris.contains(uri)) {
            self.remove_uri(app_id, gone);
        }
        for new in uris.iter().filter(|uri| !before.contains(uri)) {
            self.add_uri(app_id, new)?;
        }
        Ok(())
    }

    /// One that is enabled can neither go nor get another value: it must be disabled first, as in Entra.
    fn replace_roles(&mut self, app_id: Uuid, roles: &[SeedAppRole]) -> Result<(), DirectoryError> {
        let before = self.application(app_id).map(|app| app.app_roles.clone()).unwrap_or_default();
        let given = |id: Uuid| roles.iter().find(|role| role.id == Some(id));
        for role in &before {
            match given(role.id) {
                Some(same) if same.value == role.value => (),
                _ if role.enabled => return Err(DirectoryError::EnabledAppRole { role: role.value.clone() }),
                Some(_) => (),
                None => self.withdraw(app_id, role.id),
            }
        }
        let roles: Vec<_> = roles.iter().map(super::AppRole::of_seed).collect();
        for (i, role) in roles.iter().enumerate() {
            role.fits_beside(&roles[..i])?;
        }
        self.edit_application(app_id, |application| application.app_roles = roles);
        Ok(())
    }

    /// Entra bounds what one registration can hold.
    pub(super) fn fits(&self, app_id: Uuid) -> Result<(), DirectoryError> {
        let Some(app) = self.application(app_id) else { return Ok(()) };
        let wishes = app.required_resource_access.iter().map(|wish| 1 + wish.app_roles.len() + wish.scopes.len());
        let entries = app.app_roles.len()
            + app.secrets.len()
            + app.certificates.len()
            + app.identifier_uris.len()
            + app.optional_claims.as_ref().map_or(0, OptionalClaims::len)
            + wishes.sum::<usize>();
        if entries > MOST_ENTRIES { Err(DirectoryError::TooLarge { app: app_id }) } else { Ok(()) }
    }
}

impl Key {
    fn of(self, application: &super::Application, now: i64) -> Result<KeyCredential, DirectoryError> {
        let known = |id: Uuid| application.certificates.iter().find(|key| key.key_id == id);
        let id = match self {
            Self::New(key) => {
                // A client may send whole what it has read: that makes nothing new.
                let same = known(key.key_id).filter(|known| known.certificate == key.certificate);
                return Ok(KeyCredential { added: same.map_or(now, |known| known.added), ..*key });
            }
            Self::Kept(id) => id,
        };
        known(id)
            .cloned()
            .ok_or_else(|| DirectoryError::NoCredential { app: application.app_id, credential: id.to_string() })
    }
}

impl PrincipalChange {
    fn apply(self, principal: &mut ServicePrincipal) -> Result<(), DirectoryError> {
        principal.further = merged(properties::SERVICE_PRINCIPAL, &principal.further, &self.further)?;
        self.account_enabled.into_iter().for_each(|enabled| principal.account_enabled = enabled);
        let required = self.app_role_assignment_required;
        required.into_iter().for_each(|required| principal.app_role_assignment_required = required);
        self.owners.into_iter().for_each(|owners| principal.owners = owners);
        Ok(())
    }
}

fn merged(
    properties: Properties,
    before: &Map<String, Value>,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Unfit> {
    let mut all = before.clone();
    for (name, value) in given {
        properties.set(&mut all, name, value)?;
    }
    Ok(all)
}

impl From<Unfit> for DirectoryError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Unknown(path) => Self::NoProperty(path),
            Unfit::Value(path) => Self::PropertyValue(path),
        }
    }
}

/// Of one tenant, as of one without a verified domain.
const MOST_APPLICATIONS: usize = 50_000;
/// Of all collections of one application together, as in a manifest.
const MOST_ENTRIES: usize = 1_200;
