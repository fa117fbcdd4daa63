//! How a factory is set up.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::{ConfidentialClientBuilder, Environment, ManagedIdentityClientBuilder};

use super::{Adjust, Inner, TokenAcquirerFactory};
use crate::azure_ad::Surroundings;
use crate::configuration::{Configuration, Source};
use crate::downstream::{HttpClient, HttpSettings};
use crate::error::Error;

/// Settings of a [`TokenAcquirerFactory`].
#[must_use]
pub struct TokenAcquirerFactoryBuilder {
    files: Vec<PathBuf>,
    variables: Option<Vec<(OsString, OsString)>>,
    section: String,
    adjust: Adjust,
    adjust_identity: Box<dyn Fn(ManagedIdentityClientBuilder) -> ManagedIdentityClientBuilder + Send + Sync>,
    roots: Vec<Vec<u8>>,
    allow_http: bool,
    http: HttpSettings,
}

impl TokenAcquirerFactoryBuilder {
    pub(super) fn new() -> Self {
        Self {
            files: Vec::new(),
            variables: None,
            section: "AzureAd".to_owned(),
            adjust: Box::new(|builder| builder),
            adjust_identity: Box::new(|builder| builder),
            roots: Vec::new(),
            allow_http: false,
            http: HttpSettings {
                roots: Vec::new(),
                connect_timeout: Duration::from_secs(10),
                timeout: Duration::from_secs(100),
                max_response_bytes: 16 * 1024 * 1024,
            },
        }
    }

    /// A file to read instead of the default ones. It must exist. Of several, the later wins, value by value.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Variables to use instead of the process's environment.
    pub fn environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        self.variables = Some(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect());
        self
    }

    /// The section that describes the app. Default: `AzureAd`.
    pub fn section(mut self, name: impl Into<String>) -> Self {
        self.section = name.into();
        self
    }

    /// Has the last word on the builder of each [`ConfidentialClient`](apptoken::ConfidentialClient): a clock, a
    /// transport, a retry policy. It is called once for each credential that is tried, and again if
    /// first calls coincide.
    pub fn client(
        mut self,
        adjust: impl Fn(ConfidentialClientBuilder) -> ConfidentialClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.adjust = Box::new(adjust);
        self
    }

    /// Has the last word on the builder of each [`ManagedIdentityClient`](apptoken::ManagedIdentityClient) that the
    /// settings ask for.
    pub fn managed_identity(
        mut self,
        adjust: impl Fn(ManagedIdentityClientBuilder) -> ManagedIdentityClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.adjust_identity = Box::new(adjust);
        self
    }

    /// Trusts a private CA, for token requests and for calls of APIs: the `CERTIFICATE` blocks of a PEM text, besides
    /// the machine's own roots. With a transport of its own set by [`client`](Self::client), use
    /// [`add_api_root_certificate_pem`](Self::add_api_root_certificate_pem) instead.
    pub fn add_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().to_vec());
        self.add_api_root_certificate_pem(pem)
    }

    /// Trusts a private CA for calls of APIs only.
    pub fn add_api_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.http.roots.push(pem.as_ref().to_vec());
        self
    }

    /// Whether APIs may be called over plain http on other machines too, where anyone on the way can take the token.
    /// Default: no, only on this machine.
    pub fn allow_http_apis(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// For a connection to an API, TLS included. Default: 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// For a call of an API, from its first byte to the answer's last. Default: 100 seconds, as in .NET.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.http.timeout = timeout;
        self
    }

    /// The longest answer of an API that is read in one piece. Default: 16 MiB.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.http.max_response_bytes = bytes;
        self
    }

    /// Reads the files.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a file that is missing, unreadable or malformed.
    pub fn build(self) -> Result<TokenAcquirerFactory, Error> {
        let sources = if self.files.is_empty() {
            default_files()
        } else {
            self.files.into_iter().map(|path| Source { path, required: true }).collect()
        };
        let environment = match &self.variables {
            Some(given) => {
                let unicode = |text: &OsString| text.to_str().map(str::to_owned);
                given.iter().filter_map(|(name, value)| Some((unicode(name)?, unicode(value)?))).collect()
            }
            None => Environment::process(),
        };
        let variables = self.variables.unwrap_or_else(|| std::env::vars_os().collect());
        let configuration = Configuration::load(&sources, &variables)?;
        let (adjust, roots) = (self.adjust, self.roots);
        let inner = Inner {
            configuration,
            section: self.section,
            adjust: Box::new(move |builder| {
                let trusting = roots.iter().fold(builder, ConfidentialClientBuilder::add_root_certificate_pem);
                adjust(trusting)
            }),
            surroundings: Surroundings { environment, adjust_identity: self.adjust_identity },
            allow_http: self.allow_http,
            http: Arc::new(HttpClient::new(self.http)),
            clients: Mutex::default(),
            identities: Mutex::default(),
        };
        Ok(TokenAcquirerFactory(Arc::new(inner)))
    }
}

impl fmt::Debug for TokenAcquirerFactoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAcquirerFactoryBuilder")
            .field("files", &self.files)
            .field("section", &self.section)
            .finish_non_exhaustive()
    }
}

/// `appsettings.json` of the current directory (.NET's generic host), or else beside the program (Microsoft.Identity.Web).
fn default_files() -> Vec<Source> {
    let beside_program = || Some(std::env::current_exe().ok()?.parent()?.join(NAME));
    let mut candidates = vec![PathBuf::from(NAME)];
    candidates.extend(beside_program());
    match candidates.iter().position(|path| path.exists()) {
        Some(found) => vec![Source { path: candidates.swap_remove(found), required: false }],
        None => candidates.into_iter().map(|path| Source { path, required: false }).collect(),
    }
}

const NAME: &str = "appsettings.json";
