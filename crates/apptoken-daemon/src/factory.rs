//! From settings to acquirers and APIs: `TokenAcquirerFactory`'s counterpart.

mod builder;

pub use builder::TokenAcquirerFactoryBuilder;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apptoken::{ConfidentialClient, ConfidentialClientBuilder, ManagedIdentityClient};

use crate::azure_ad::{AzureAd, Surroundings};
use crate::configuration::Configuration;
use crate::downstream::section::Identity;
use crate::downstream::{Caller, DownstreamApi, HttpClient, section};
use crate::error::{ConfigurationError, Error, with_advice};
use crate::token_acquirer::TokenAcquirer;

/// The settings of a daemon, and what is made from them. Cloning it counts a reference; a process needs one.
///
/// Each section that describes an app gets one client, and with it one token cache, however often it is asked for; all
/// APIs share one HTTP client. An API on this machine is called without a proxy.
#[derive(Clone)]
pub struct TokenAcquirerFactory(Arc<Inner>);

/// The last word on each client's builder.
type Adjust = Box<dyn Fn(ConfidentialClientBuilder) -> ConfidentialClientBuilder + Send + Sync>;

struct Inner {
    configuration: Configuration,
    section: String,
    adjust: Adjust,
    surroundings: Surroundings,
    allow_http: bool,
    http: Arc<HttpClient>,
    /// By lower-cased section.
    clients: Mutex<HashMap<String, ConfidentialClient>>,
    /// By client id; none is the system-assigned one.
    identities: Mutex<HashMap<Option<String>, ManagedIdentityClient>>,
}

impl TokenAcquirerFactory {
    /// Reads `appsettings.json` of the current directory, or else of the program's own; the file of the environment
    /// beside it; and environment variables. Without such a file, variables alone will do.
    ///
    /// # Errors
    /// An unreadable or malformed file. What a section lacks is reported when that section is first needed.
    pub fn from_default_files() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Reads `path` instead, which must exist; the file of the environment beside it (`daemon.json` and
    /// `daemon.Production.json`); and environment variables.
    ///
    /// # Errors
    /// As [`from_default_files`](Self::from_default_files).
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder().file(path).build()
    }

    /// Begins a factory with other files, another section, private CAs or a clock.
    pub fn builder() -> TokenAcquirerFactoryBuilder {
        TokenAcquirerFactoryBuilder::new()
    }

    /// The acquirer of the app in the factory's section, `AzureAd` unless the builder said otherwise.
    ///
    /// # Errors
    /// [`Error::Configuration`]: what is missing or wrong in the section, or why no credential can be used.
    pub fn token_acquirer(&self) -> Result<TokenAcquirer, Error> {
        self.token_acquirer_of(&self.0.section)
    }

    /// The acquirer of the app in another section, for a daemon that is several apps.
    ///
    /// # Errors
    /// As [`token_acquirer`](Self::token_acquirer).
    pub fn token_acquirer_of(&self, section: &str) -> Result<TokenAcquirer, Error> {
        self.client(section).map(TokenAcquirer::new)
    }

    /// The API in the section `name` (`MyWebApi`; `DownstreamApis:MyWebApi` for one inside another).
    ///
    /// # Errors
    /// [`Error::Configuration`]: what is missing or wrong in this section or in the app's.
    pub fn downstream_api(&self, name: &str) -> Result<DownstreamApi, Error> {
        let inner = &*self.0;
        let section = inner.configuration.section(name)?;
        let settings = section::read(&section, inner.allow_http)?;
        let caller = match &settings.identity {
            Some(identity) => Caller::ManagedIdentity(self.identity(identity)?),
            None => Caller::App(self.client(settings.app.as_deref().unwrap_or(&inner.section))?),
        };
        settings.check(&caller)?;
        Ok(DownstreamApi::new(section.name().to_owned(), settings.options, caller, inner.http.clone()))
    }

    /// The names of the sections that describe an API: those with a `BaseUrl`.
    #[must_use]
    pub fn downstream_api_names(&self) -> Vec<String> {
        self.0.configuration.sections_with("BaseUrl")
    }

    /// The files that were read, in order.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        self.0.configuration.files()
    }

    fn client(&self, section: &str) -> Result<ConfidentialClient, Error> {
        let key = section.to_lowercase();
        if let Some(client) = self.clients().get(&key) {
            return Ok(client.clone());
        }
        // the map is not held: files are read, and the user's `adjust` may use this factory; of two first calls, the
        // sooner's client is kept
        let client =
            AzureAd::read(&self.0.configuration.section(section)?)?.client(&self.0.surroundings, &self.0.adjust)?;
        Ok(self.clients().entry(key).or_insert(client).clone())
    }

    fn identity(&self, wanted: &Identity) -> Result<ManagedIdentityClient, Error> {
        let mut identities = self.0.identities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = identities.get(&wanted.client_id) {
            return Ok(client.clone());
        }
        let made = self.0.surroundings.managed_identity(wanted.client_id.as_deref()).map_err(|error| {
            let problem = format!("cannot be used: {}", with_advice(&error));
            ConfigurationError::at(&wanted.origin, &wanted.key, problem).caused_by(error)
        })?;
        Ok(identities.entry(wanted.client_id.clone()).or_insert(made).clone())
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, ConfidentialClient>> {
        // a panic while the map was held leaves it as it was
        self.0.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TokenAcquirerFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAcquirerFactory")
            .field("configuration", &self.0.configuration)
            .field("section", &self.0.section)
            .field("http", &self.0.http)
            .finish_non_exhaustive()
    }
}
