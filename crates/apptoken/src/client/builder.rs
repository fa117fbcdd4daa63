use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::assertions::{AppAssertion, ManagedIdentityAssertion};
use super::{ConfidentialClient, ManagedIdentityClient};
use crate::Error;
use crate::acquire::{self, Inner};
use crate::authority::{Authority, PUBLIC_CLOUD};
use crate::cache::Memory;
use crate::clock::{Clock, SystemClock};
use crate::credential::{
    AssertionSource, Certificate, CertificateCredential, Credential, DynAssertionSource, PipelineOidc, TokenFile,
};
use crate::environment::Environment;
use crate::http::{DynTransport, RetryPolicy, Transport};
use crate::issuer::{App, Issuer};
use crate::scope::ScopeRule;

/// Settings of a [`ConfidentialClient`]. All are checked by [`build`](Self::build), which sends nothing.
#[must_use]
pub struct ConfidentialClientBuilder {
    client_id: String,
    authority: String,
    tenant: Option<String>,
    credentials: Vec<Given>,
    send_x5c: bool,
    scope_rule: ScopeRule,
    allow_http_loopback: bool,
    environment: Environment,
    max_entries: usize,
    roots: Vec<Vec<u8>>,
    transport: Option<Box<dyn DynTransport>>,
    retry: RetryPolicy,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

enum Given {
    Secret(SecretString),
    Certificate(Certificate),
    Assertion(Box<dyn DynAssertionSource>),
    GitHubActions,
    /// By the service connection's id.
    AzurePipelines(String),
}

impl ConfidentialClientBuilder {
    pub(super) fn new(client_id: String) -> Self {
        Self {
            client_id,
            authority: PUBLIC_CLOUD.to_owned(),
            tenant: None,
            credentials: Vec::new(),
            send_x5c: false,
            scope_rule: ScopeRule::OneDefault,
            allow_http_loopback: false,
            environment: Environment::process(),
            max_entries: 1_000_000,
            roots: Vec::new(),
            transport: None,
            retry: RetryPolicy::default(),
            timeout: acquire::TIMEOUT,
            clock: Arc::new(SystemClock),
        }
    }

    /// The tenant: its id (a GUID) or one of its domain names. Wins over one in the authority.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The authority: a cloud's host, with or without the tenant. Default: `https://login.microsoftonline.com`.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = authority.into();
        self
    }

    /// Proves the app by a client secret.
    pub fn client_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.credentials.push(Given::Secret(secret.into()));
        self
    }

    /// Proves the app by a certificate: assertions signed with PS256 under its SHA-256 thumbprint.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.credentials.push(Given::Certificate(certificate));
        self
    }

    /// Proves the app by assertions that `source` gives: signed elsewhere, or federated.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), apptoken::Error> {
    /// use apptoken::ConfidentialClient;
    ///
    /// let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
    ///     .tenant("contoso.onmicrosoft.com")
    ///     .client_assertion(|_request| async { std::fs::read_to_string("/var/run/secrets/token") })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn client_assertion(mut self, source: impl AssertionSource) -> Self {
        self.credentials.push(Given::Assertion(Box::new(source)));
        self
    }

    /// Proves the app by the assertion in a file that the platform keeps fresh: workload identity federation, as on
    /// Kubernetes (`AZURE_FEDERATED_TOKEN_FILE`). The file is read for each token request.
    pub fn federated_token_file(self, path: impl Into<PathBuf>) -> Self {
        self.client_assertion(TokenFile(path.into()))
    }

    /// Proves the app by the identity of the GitHub Actions job that the program runs in, which needs the permission
    /// `id-token: write`. The app's registration trusts the repository by a federated credential. The job's token is
    /// asked for with each token request, over this client's transport.
    pub fn github_actions_oidc(mut self) -> Self {
        self.credentials.push(Given::GitHubActions);
        self
    }

    /// Proves the app by a service connection (by its id) of the Azure Pipelines job that the program runs in, which
    /// maps `$(System.AccessToken)` to the variable
    /// [`SYSTEM_ACCESSTOKEN`](crate::env_vars::SYSTEM_ACCESSTOKEN). The connection's token is asked for with each token
    /// request, over this client's transport.
    pub fn azure_pipelines_oidc(mut self, service_connection_id: impl Into<String>) -> Self {
        self.credentials.push(Given::AzurePipelines(service_connection_id.into()));
        self
    }

    /// Proves the app by a managed identity that its registration trusts (a federated credential): no secret anywhere,
    /// and tokens of other tenants too.
    pub fn managed_identity_assertion(self, identity: ManagedIdentityClient) -> Self {
        self.client_assertion(ManagedIdentityAssertion(identity))
    }

    /// Proves the app by a token that another app gets for `scope`, which is most often
    /// `api://AzureADTokenExchange/.default`: the first of two legs.
    pub fn app_assertion(self, app: ConfidentialClient, scope: impl Into<String>) -> Self {
        self.client_assertion(AppAssertion { app, scope: scope.into() })
    }

    /// Where the variables of the pipeline that the program runs in are looked up. Default: the process's.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sends the certificate's chain with each assertion (`x5c`), for apps that are registered by subject name and
    /// issuer. Default: no.
    pub fn send_x5c(mut self, send: bool) -> Self {
        self.send_x5c = send;
        self
    }

    /// Lets scopes through that Entra would refuse, several included, for other identity providers. Default: no.
    pub fn allow_any_scope(mut self, allow: bool) -> Self {
        self.scope_rule = if allow { ScopeRule::Any } else { ScopeRule::OneDefault };
        self
    }

    /// Lets an `http://` authority through when its host is loopback, for a local test server. Default: no.
    pub fn allow_http_loopback(mut self, allow: bool) -> Self {
        self.allow_http_loopback = allow;
        self
    }

    /// The most tokens that are kept. Default: 1,000,000.
    pub fn max_cached_tokens(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// Trusts a private CA besides the machine's: `CERTIFICATE` blocks of a PEM text. Not with [`Self::transport`], which
    /// has its own.
    pub fn add_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().to_vec());
        self
    }

    /// Sends requests through `transport`. Default: [`ReqwestTransport`](crate::http::ReqwestTransport).
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// When a failed request is sent again. Default: once.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// For one acquisition in all: assertion callback, tries and the waits between them. Default: 2 minutes. What a
    /// single request may take is the transport's to bound.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes the time from `clock`. Default: the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Checks all settings and makes the client. Sends nothing, spawns nothing, needs no runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) or
    /// [`ErrorKind::Credential`](crate::ErrorKind::Credential), with what belongs in the place.
    pub fn build(self) -> Result<ConfidentialClient, Error> {
        if self.client_id.trim().is_empty() {
            return Err(Error::configuration("the client id is empty")
                .with_advice("give the Application (client) ID of the app registration"));
        }
        let authority = Authority::parse(&self.authority, self.tenant.as_deref(), self.allow_http_loopback)?;
        let credential = match only(self.credentials)? {
            Given::GitHubActions => {
                Credential::Pipeline(PipelineOidc::github_actions(&self.environment, self.allow_http_loopback)?)
            }
            Given::AzurePipelines(id) => {
                Credential::Pipeline(PipelineOidc::azure_pipelines(&self.environment, &id, self.allow_http_loopback)?)
            }
            Given::Assertion(source) => Credential::Assertion(source),
            Given::Certificate(certificate) => {
                certificate.check_validity(self.clock.system_time())?;
                Credential::Certificate(CertificateCredential::new(certificate, self.send_x5c))
            }
            Given::Secret(secret) if secret.expose_secret().trim().is_empty() => {
                return Err(Error::credential("the client secret is empty").with_advice(
                    "check where it comes from: an environment variable that is not set, a file without content",
                ));
            }
            Given::Secret(secret) => Credential::Secret(secret),
        };
        let transport = match self.transport {
            Some(_) if !self.roots.is_empty() => {
                return Err(Error::configuration(
                    "root certificates were added to a client with a transport of its own",
                )
                .with_advice("add them to the transport"));
            }
            Some(transport) => transport,
            None => default_transport(&self.roots)?,
        };
        let home = authority.tenant().clone();
        let app = Arc::new(App { client_id: self.client_id, authority, credential, transport, retry: self.retry });
        let inner = Inner {
            issuer: Issuer::Authority(app.clone()),
            home,
            scope_rule: self.scope_rule,
            memory: Memory::new(self.max_entries),
            timeout: self.timeout,
            clock: self.clock,
        };
        Ok(ConfidentialClient { inner: Arc::new(inner), app })
    }
}

fn only(mut given: Vec<Given>) -> Result<Given, Error> {
    const ADVICE: &str = "give one of client_secret, certificate, client_assertion, federated_token_file, \
         github_actions_oidc, azure_pipelines_oidc, managed_identity_assertion and app_assertion";
    match (given.pop(), given.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Error::credential("more than one credential was given").with_advice(ADVICE)),
        (None, _) => Err(Error::credential("no credential was given").with_advice(ADVICE)),
    }
}

#[cfg(feature = "reqwest")]
fn default_transport(roots: &[Vec<u8>]) -> Result<Box<dyn DynTransport>, Error> {
    let mut builder = crate::http::ReqwestTransport::builder();
    for pem in roots {
        builder = builder.add_root_certificate_pem(pem)?;
    }
    Ok(Box::new(builder.build()))
}

#[cfg(not(feature = "reqwest"))]
fn default_transport(_roots: &[Vec<u8>]) -> Result<Box<dyn DynTransport>, Error> {
    Err(Error::configuration("no transport was given").with_advice("give one, or switch on the feature `reqwest`"))
}

impl fmt::Debug for ConfidentialClientBuilder {
    /// Not the authority: before [`build`](Self::build) has looked at it, it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfidentialClientBuilder")
            .field("client_id", &self.client_id)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
