//! An identity provider of its own, in the shapes of GitHub Actions, Kubernetes and Azure Pipelines: for assertions
//! that federated credentials trust, without GitHub, a cluster or Azure DevOps. It publishes metadata and keys under
//! its own paths, and Entra's side of this server reads them there over HTTP like any other issuer's.

mod github;
mod kubernetes;
mod pipelines;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use apptoken_jose::{KeyError, base64url};
use aws_lc_rs::{constant_time, rand};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use github::GithubJob;
pub use pipelines::PipelinesJob;

use crate::clock::EmulatorClock;
use crate::directory::TokenVersion;
use crate::seed::SeedFederatedCredential;
use crate::signing_keys::{SigningKeys, TokenKey};
use crate::store::{Kind, Row, Store};

/// Whose name stands in `iss` of the assertions that the emulator mints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkloadIssuers {
    /// The emulator's own addresses: `https://localhost:PORT/issuer/github`, …
    #[default]
    Local,
    /// The providers' own names, for example `https://token.actions.githubusercontent.com`, so that an application's
    /// federated credentials are here what they are in the cloud. The real providers' metadata is then not asked for:
    /// their real tokens are refused.
    Real,
}

/// The emulator's own identity provider: [`Emulator::issuer`](crate::Emulator::issuer).
#[derive(Clone)]
pub struct WorkloadIssuer(pub(crate) Arc<Workloads>);

impl WorkloadIssuer {
    /// A job of GitHub Actions.
    #[must_use]
    pub fn github(&self, job: &GithubJob) -> Workload {
        self.workload(Provider::GitHub, job.subject(), job.claims(), job.default_audience())
    }

    /// Pods of a service account in a Kubernetes namespace.
    #[must_use]
    pub fn kubernetes(&self, namespace: &str, service_account: &str) -> Workload {
        let (subject, claims) = kubernetes::describe(namespace, service_account);
        self.workload(Provider::Kubernetes, subject, claims, EXCHANGE.into())
    }

    /// A job of Azure Pipelines that may use one service connection.
    #[must_use]
    pub fn azure_pipelines(&self, job: &PipelinesJob) -> Workload {
        let mut workload = self.workload(Provider::Pipelines, job.subject(), Map::new(), EXCHANGE.into());
        workload.service_connection = Some(job.service_connection_id);
        workload
    }

    /// Signs with a new key from now on; the old one stays published. Both are in the data folder, if there is one, when
    /// [`Emulator::saved`](crate::Emulator::saved) is done.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn rotate_key(&self) -> Result<(), KeyError> {
        let newest = TokenKey::generate(EmulatorClock::new(0).now())?;
        self.0.keys()?.rotate(newest, |keys| self.0.save(keys));
        Ok(())
    }

    fn workload(
        &self,
        provider: Provider,
        subject: String,
        claims: Map<String, Value>,
        default_audience: String,
    ) -> Workload {
        Workload {
            home: Arc::clone(&self.0),
            provider,
            subject,
            claims,
            default_audience,
            lifetime: provider.lifetime(),
            service_connection: None,
        }
    }
}

/// Something that has an identity at a provider: a job, a pod.
#[derive(Clone)]
pub struct Workload {
    home: Arc<Workloads>,
    provider: Provider,
    subject: String,
    claims: Map<String, Value>,
    default_audience: String,
    lifetime: Duration,
    service_connection: Option<Uuid>,
}

impl Workload {
    /// `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.home.issuer(self.provider)
    }

    /// `sub` of its tokens.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The federated credential that trusts it, to be registered with an application.
    #[must_use]
    pub fn credential(&self, name: &str) -> SeedFederatedCredential {
        SeedFederatedCredential::new(name, self.issuer(), self.subject())
    }

    /// Sets a claim of its tokens, or takes it away with `null`, whatever the provider would say: for tokens that must
    /// be refused.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// How long its tokens live, whole seconds; the provider's own habit unless said otherwise.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// A token of its, for `audience`: `api://AzureADTokenExchange` is Entra's.
    ///
    /// # Errors
    /// When no key could be made.
    pub fn token(&self, audience: &str) -> Result<String, KeyError> {
        let now = self.home.clock.now_unix();
        let audience = match self.provider {
            Provider::Kubernetes => vec![audience].into(),
            Provider::GitHub | Provider::Pipelines => Value::from(audience),
        };
        let mut claims = Map::new();
        for (name, value) in [
            ("jti", Value::from(Uuid::new_v4().to_string())),
            ("sub", self.subject.as_str().into()),
            ("aud", audience),
            ("iss", self.issuer().into()),
            ("nbf", now.into()),
            ("iat", now.into()),
            ("exp", now.saturating_add(i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)).into()),
        ] {
            claims.insert(name.into(), value);
        }
        claims.extend(self.claims.clone());
        claims.retain(|_, value| !value.is_null());
        let key = self.home.keys()?.current().ok_or(KeyError::Signing)?;
        key.sign(TokenVersion::V1, &claims)
    }

    /// The variables that the provider gives to a job, for getting tokens over HTTP until the emulator stops: GitHub's
    /// `ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN`, Azure Pipelines' `SYSTEM_OIDCREQUESTURI` and `SYSTEM_ACCESSTOKEN`.
    /// None for a pod: Kubernetes writes [`Self::token`] into a file. The newest 256 jobs are remembered.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let names = match self.provider {
            Provider::GitHub => ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
            Provider::Pipelines => ["SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"],
            Provider::Kubernetes => return Vec::new(),
        };
        let mut bytes = Zeroizing::new([0_u8; 30]);
        if rand::fill(&mut *bytes).is_err() {
            return Vec::new();
        }
        let (id, token) = (Uuid::new_v4(), base64url::encode(&*bytes));
        let path = match self.provider {
            Provider::GitHub => format!("{id}/idtoken?api-version=2.0"),
            _ => format!("{id}/oidctoken"),
        };
        let url = format!("{}/jobs/{path}", self.home.metadata_base(self.provider));
        self.home.admit(Job { id, token: Zeroizing::new(token.clone()), workload: self.described() });
        names.map(str::to_owned).into_iter().zip([url, token]).collect()
    }

    fn described(&self) -> Described {
        Described {
            provider: self.provider,
            subject: self.subject.clone(),
            claims: self.claims.clone(),
            default_audience: self.default_audience.clone(),
            lifetime: self.lifetime,
            service_connection: self.service_connection,
        }
    }
}

/// A workload without the server, which keeps it.
#[derive(Clone, Debug)]
struct Described {
    provider: Provider,
    subject: String,
    claims: Map<String, Value>,
    default_audience: String,
    lifetime: Duration,
    service_connection: Option<Uuid>,
}

/// A job that may ask for tokens.
pub(crate) struct Job {
    id: Uuid,
    token: Zeroizing<String>,
    workload: Described,
}

impl Job {
    /// Whether this is the job's request token; takes the same time whatever it is.
    pub(crate) fn opens(&self, token: &str) -> bool {
        constant_time::verify_slices_are_equal(self.token.as_bytes(), token.as_bytes()).is_ok()
    }

    pub(crate) fn service_connection(&self) -> Option<Uuid> {
        self.workload.service_connection
    }

    pub(crate) fn default_audience(&self) -> &str {
        &self.workload.default_audience
    }

    pub(crate) fn workload(&self, home: &Arc<Workloads>) -> Workload {
        let Described { provider, subject, claims, default_audience, lifetime, service_connection } =
            self.workload.clone();
        Workload { home: Arc::clone(home), provider, subject, claims, default_audience, lifetime, service_connection }
    }
}

/// What the provider keeps.
pub(crate) struct Workloads {
    /// Where this server is: `https://localhost:8443`.
    base: String,
    issuers: WorkloadIssuers,
    clock: EmulatorClock,
    /// Made when first needed, unless the data folder has them: a key costs milliseconds.
    keys: OnceLock<SigningKeys>,
    /// Where they are kept, if they are.
    store: Option<Arc<Store>>,
    jobs: Mutex<VecDeque<Arc<Job>>>,
}

impl Workloads {
    pub(crate) fn new(base: &str, issuers: WorkloadIssuers, clock: EmulatorClock) -> Self {
        Self { base: base.into(), issuers, clock, keys: OnceLock::new(), store: None, jobs: Mutex::default() }
    }

    /// With the keys of an earlier run, if it had any; those to come are kept too.
    pub(crate) fn kept(self, keys: Option<SigningKeys>, store: Option<Arc<Store>>) -> Self {
        Self { keys: keys.map(OnceLock::from).unwrap_or_default(), store, ..self }
    }

    /// Computes for a while when it is called first.
    pub(crate) fn keys(&self) -> Result<&SigningKeys, KeyError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let first = SigningKeys::new(TokenKey::generate(EmulatorClock::new(0).now())?);
        Ok(self.keys.get_or_init(|| {
            self.save(&first);
            first
        }))
    }

    fn save(&self, keys: &SigningKeys) {
        if let Some(store) = &self.store {
            store.save(vec![Row::put(Kind::Own, KEPT_KEYS, &keys.keep())]);
        }
    }

    pub(crate) fn issuer(&self, provider: Provider) -> String {
        match self.issuers {
            WorkloadIssuers::Local => format!("{}{}", self.metadata_base(provider), provider.slash()),
            WorkloadIssuers::Real => provider.real_name().into(),
        }
    }

    /// Where a provider's metadata is, when its issuers' names do not lead there.
    pub(crate) fn elsewhere(&self) -> Vec<(String, String)> {
        match self.issuers {
            WorkloadIssuers::Local => Vec::new(),
            WorkloadIssuers::Real => {
                Provider::ALL.map(|provider| (self.issuer(provider), self.metadata_base(provider))).into()
            }
        }
    }

    pub(crate) fn metadata_base(&self, provider: Provider) -> String {
        format!("{}/issuer/{}", self.base, provider.segment())
    }

    pub(crate) fn job(&self, provider: Provider, id: &str) -> Option<Arc<Job>> {
        let id = Uuid::try_parse(id).ok()?;
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.iter().find(|job| job.id == id && job.workload.provider == provider).cloned()
    }

    fn admit(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= MOST_JOBS {
            jobs.pop_front();
        }
        jobs.push_back(Arc::new(job));
    }
}

/// Whose shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    GitHub,
    Kubernetes,
    Pipelines,
}

impl Provider {
    const ALL: [Self; 3] = [Self::GitHub, Self::Kubernetes, Self::Pipelines];

    pub(crate) fn parse(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.segment() == segment)
    }

    fn segment(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Kubernetes => "kubernetes",
            Self::Pipelines => "pipelines",
        }
    }

    /// The names of AKS issuers end in a slash.
    fn slash(self) -> &'static str {
        if self == Self::Kubernetes { "/" } else { "" }
    }

    fn real_name(self) -> &'static str {
        match self {
            Self::GitHub => "https://token.actions.githubusercontent.com",
            Self::Kubernetes => kubernetes::REAL_ISSUER,
            Self::Pipelines => pipelines::REAL_ISSUER,
        }
    }

    fn lifetime(self) -> Duration {
        Duration::from_secs(match self {
            Self::GitHub => 300,
            Self::Kubernetes => 3600,
            Self::Pipelines => 600,
        })
    }
}

impl fmt::Debug for WorkloadIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadIssuer").field("base", &self.0.base).finish_non_exhaustive()
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workloads").field("base", &self.base).field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

/// Entra's audience for assertions.
pub(crate) const EXCHANGE: &str = "api://AzureADTokenExchange";
/// What a data folder calls the issuer's signing keys.
pub(crate) const KEPT_KEYS: &str = "workload signing keys";
const MOST_JOBS: usize = 256;
