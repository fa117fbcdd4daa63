//! The directory: an immutable [`Snapshot`] that readers take without a lock, and changes that swap in the next one.

mod admin;
mod changes;
mod claims_expression;
mod export;
mod federated;
mod first_party;
mod import;
mod kept;
mod managed_identity;
mod model;
mod optional_claims;
mod owners;
pub(crate) mod properties;
mod registration;
mod subject_names;
mod update;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use uuid::Uuid;

pub use changes::NewSecret;
pub use claims_expression::ClaimsExpression;
pub use federated::FederatedCredential;
pub use import::SeedError;
pub(crate) use import::is_domain;
pub use model::{
    AppRole, AppRoleAssignment, Application, Group, KeyCredential, ManagedIdentity, MemberType, RequiredResourceAccess,
    Secret, ServicePrincipal, SignInAudience, Tenant, TokenVersion, User,
};
pub use optional_claims::{OptionalClaim, OptionalClaims};
pub use subject_names::{CertificateAuthority, TrustedSubjectName};

pub(crate) use admin::admin_application;
pub(crate) use claims_expression::Term;
pub(crate) use first_party::{GRAPH, TOKEN_EXCHANGE};
pub(crate) use model::{CONSUMERS, DEFAULT_ACCESS, guid, resource_key, sha256};
pub(crate) use owners::Owned;
pub(crate) use subject_names::certificates;
pub(crate) use update::{ApplicationChange, Key, PrincipalChange};

use crate::clock::EmulatorClock;
use crate::seed::Seed;
use crate::store::Store;

/// The directory of a running local Entra ID. Clones share it; every change is visible to the next token request.
#[derive(Clone, Debug)]
pub struct Directory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// Held by who changes the directory; readers never take it.
    one_writer: Mutex<()>,
    clock: EmulatorClock,
    /// Where changes go besides.
    store: Option<Arc<Store>>,
}

/// The directory at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    tenants: HashMap<Uuid, Arc<Tenant>>,
    /// Tenant ids by domain, lower case.
    domains: HashMap<String, Uuid>,
    applications: HashMap<Uuid, Arc<Application>>,
}

/// A change that the directory refuses. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// No tenant of that id or domain.
    #[error("no tenant {0:?} in this directory")]
    NoTenant(String),
    /// No application of that id.
    #[error("no application {0:?} in this directory")]
    NoApplication(String),
    /// The application has no service principal in the tenant.
    #[error("application {app} has no service principal in tenant {tenant}")]
    NoServicePrincipal {
        /// The application.
        app: Uuid,
        /// The tenant.
        tenant: Uuid,
    },
    /// The API offers no such role.
    #[error("application {app} has no app role {role:?}")]
    NoAppRole {
        /// The API.
        app: Uuid,
        /// The role's value or id, as given.
        role: String,
    },
    /// The application has no such credential.
    #[error("application {app} has no credential {credential:?}")]
    NoCredential {
        /// The application.
        app: Uuid,
        /// The credential, as given.
        credential: String,
    },
    /// A certificate that cannot be a credential.
    #[error("the certificate cannot be registered: {0}")]
    Certificate(#[from] apptoken_jose::KeyError),
    /// An app role that is enabled cannot be taken away or get another value.
    #[error("the app role {role:?} is enabled: disable it first")]
    EnabledAppRole {
        /// Its value.
        role: String,
    },
    /// Such objects have no such property.
    #[error("there is no property {0:?}")]
    NoProperty(String),
    /// The property cannot have this value.
    #[error("the value of the property {0:?} does not fit it")]
    PropertyValue(String),
    /// An application would have more than Entra lets one have.
    #[error("application {app} would have more roles, permissions, credentials and URIs than one can have")]
    TooLarge {
        /// The application.
        app: Uuid,
    },
    /// The tenant has as many applications as one can have.
    #[error("tenant {0} has as many applications as a tenant can have")]
    Full(Uuid),
    /// What was to be added does not fit.
    #[error(transparent)]
    Seed(#[from] SeedError),
}

impl Directory {
    /// In memory only.
    ///
    /// # Errors
    /// [`SeedError`] for a seed that contradicts itself.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn from_seed(seed: &Seed, clock: EmulatorClock) -> Result<Self, SeedError> {
        let snapshot = Snapshot::from_seed(seed, clock.now_unix())?;
        Ok(Self::new(&Snapshot::default(), snapshot, clock, None))
    }

    /// Begins with `now`; what it has over `kept` goes to the store, as all changes do from here on.
    pub(crate) fn new(kept: &Snapshot, now: Snapshot, clock: EmulatorClock, store: Option<Arc<Store>>) -> Self {
        if let Some(store) = &store {
            store.save(now.rows_since(kept));
        }
        let (current, one_writer) = (ArcSwap::from_pointee(now), Mutex::new(()));
        Self(Arc::new(Shared { current, one_writer, clock, store }))
    }

    /// The directory as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.current.load_full()
    }

    /// Reads without counting references: for the length of one request.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.current.load()
    }

    /// Adds what a seed declares.
    ///
    /// # Errors
    /// [`SeedError`] for a seed that contradicts itself or what is there.
    pub fn add(&self, seed: &Seed) -> Result<(), DirectoryError> {
        self.change(|next, now| Ok(next.import(seed, now)?))
    }

    /// Puts what a seed declares in the place of everything that is there.
    ///
    /// # Errors
    /// [`SeedError`] for a seed that contradicts itself.
    pub fn replace(&self, seed: &Seed) -> Result<(), DirectoryError> {
        self.replace_at(seed, self.0.clock.now_unix())
    }

    /// As [`Self::replace`]; what says nothing of its beginning begins `now`.
    pub(crate) fn replace_at(&self, seed: &Seed, now: i64) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            *next = Snapshot::from_seed(seed, now)?;
            Ok(())
        })
    }

    /// A seed that imports to this directory. Secrets are in it as their digests.
    #[must_use]
    pub fn export(&self) -> Seed {
        self.load().export()
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Snapshot, i64) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        let _one_writer = self.0.one_writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.0.current.load());
        let outcome = change(&mut next, self.0.clock.now_unix())?;
        if let Some(store) = &self.0.store {
            store.save(next.rows_since(&self.0.current.load()));
        }
        self.0.current.store(Arc::new(next));
        Ok(outcome)
    }
}

impl Snapshot {
    /// # Errors
    /// [`SeedError`] for a seed that contradicts itself.
    pub(crate) fn from_seed(seed: &Seed, now: i64) -> Result<Self, SeedError> {
        let mut snapshot = Self::with_first_parties();
        snapshot.import(seed, now)?;
        Ok(snapshot)
    }

    /// A tenant by id or domain, as it stands in a URL.
    #[must_use]
    pub fn tenant(&self, id_or_domain: &str) -> Option<&Tenant> {
        let id = match guid(id_or_domain) {
            Some(id) => id,
            None => *self.domains.get(&id_or_domain.to_ascii_lowercase())?,
        };
        self.tenants.get(&id).map(Arc::as_ref)
    }

    /// All tenants, in no order.
    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.values().map(Arc::as_ref)
    }

    /// An application by `client_id`.
    #[must_use]
    pub fn application(&self, app_id: Uuid) -> Option<&Application> {
        self.applications.get(&app_id).map(Arc::as_ref)
    }

    /// All applications, Microsoft's own among them, in no order.
    pub fn applications(&self) -> impl Iterator<Item = &Application> {
        self.applications.values().map(Arc::as_ref)
    }

    /// An API present in a tenant, by application id or App ID URI, with or without a slash at its end.
    #[must_use]
    pub fn resource<'a>(&'a self, tenant: &'a Tenant, name: &str) -> Option<(&'a Application, &'a ServicePrincipal)> {
        let app_id = guid(name)
            .or_else(|| tenant.resources.get(&model::resource_key(name)).copied())
            .or_else(|| first_party::by_account_url(name))?;
        Some((self.application(app_id)?, tenant.service_principal(app_id)?))
    }

    /// The values of the roles that `principal` was granted on `api`, in the API's order.
    pub(crate) fn roles<'a>(principal: &ServicePrincipal, api: &'a Application) -> Vec<&'a str> {
        let granted = principal.app_role_assignments.iter().filter(|assignment| assignment.resource == api.app_id);
        let granted: Vec<_> = granted.map(|assignment| assignment.app_role).collect();
        if granted.is_empty() {
            return Vec::new(); // Graph has hundreds of roles
        }
        api.app_roles.iter().filter(|role| granted.contains(&role.id)).map(|role| role.value.as_str()).collect()
    }
}
