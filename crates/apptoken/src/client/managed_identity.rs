use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{AcquireToken, TokenSource};
use crate::Error;
use crate::acquire::{self, Inner};
use crate::authority::Tenant;
use crate::cache::{Bounds, Level, Memory, MemoryCounters, Owner, TokenCache};
use crate::clock::{Clock, SystemClock};
use crate::environment::Environment;
use crate::http::{DynTransport, Observed, ThumbprintPin, Transport};
use crate::issuer::Issuer;
use crate::managed_identity::{Identity, ManagedIdentity, ManagedIdentitySource, Source, UserAssignedId};
use crate::scope::{IntoScopes, ScopeRule};
use crate::telemetry::TARGET;

/// The identity that Azure gave to the machine, app or job that the program runs in, and the tokens that it holds: no
/// credential of one's own. Cloning it counts a reference; make one and keep it.
///
/// ```no_run
/// # async fn example() -> Result<(), apptoken::Error> {
/// use apptoken::{ManagedIdentityClient, UserAssignedId};
///
/// let client = ManagedIdentityClient::system_assigned().build()?;
/// let token = client.acquire_token("https://vault.azure.net/.default").await?;
///
/// let id = UserAssignedId::Client("00001111-aaaa-2222-bbbb-3333cccc4444".to_owned());
/// let other = ManagedIdentityClient::user_assigned(id).build()?.acquire_token("https://vault.azure.net").await?;
/// # let _ = (token, other); Ok(()) }
/// ```
#[derive(Clone)]
pub struct ManagedIdentityClient {
    inner: Arc<Inner>,
    source: ManagedIdentitySource,
}

impl ManagedIdentityClient {
    /// Begins a client for the identity that is switched on for the machine or app itself.
    pub fn system_assigned() -> ManagedIdentityClientBuilder {
        ManagedIdentityClientBuilder::new(Identity::System)
    }

    /// Begins a client for an identity that was made apart and assigned to the machine or app.
    pub fn user_assigned(id: UserAssignedId) -> ManagedIdentityClientBuilder {
        ManagedIdentityClientBuilder::new(Identity::User(id))
    }

    /// A token for one resource, `https://vault.azure.net`, or the same with `/.default` after it: kept, or from the
    /// platform. Awaiting what this returns runs it.
    ///
    /// What is promised is what
    /// [`acquire_token_for_client`](crate::ConfidentialClient::acquire_token_for_client) promises.
    ///
    /// # Errors
    /// [`Error`]: more than one resource is refused before anything is sent.
    pub fn acquire_token<'a>(&'a self, resource: impl IntoScopes<'a>) -> AcquireToken<'a> {
        AcquireToken::new(&self.inner, resource.into_scopes())
    }

    /// A handle for one resource, for whoever asks often: it skips even the lookup.
    ///
    /// # Errors
    /// More than one resource.
    pub fn token_source<'a>(&self, resource: impl IntoScopes<'a>) -> Result<TokenSource, Error> {
        TokenSource::new(&self.inner, &resource.into_scopes())
    }

    /// The platform that gives the tokens, as the environment told when the client was built.
    #[must_use]
    pub fn source(&self) -> ManagedIdentitySource {
        self.source
    }

    /// Forgets all tokens: the next calls ask for new ones. The platform may give the same again, from a cache of its own.
    pub fn clear_tokens(&self) {
        self.inner.memory.clear(None);
    }

    /// What its memory holds, and how it has fared.
    #[must_use]
    pub fn memory_counters(&self) -> MemoryCounters {
        self.inner.memory.counters()
    }

    /// How many tokens are kept, expired ones included.
    #[must_use]
    pub fn cached_tokens(&self) -> usize {
        self.inner.memory.tokens()
    }
}

/// Settings of a [`ManagedIdentityClient`]. All are checked by [`build`](Self::build), which sends nothing.
#[must_use]
pub struct ManagedIdentityClientBuilder {
    identity: Identity,
    environment: Environment,
    transport: Option<Box<dyn DynTransport>>,
    retry: bool,
    telemetry_headers: bool,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    token_cache: Option<TokenCache>,
    note: Option<String>,
}

impl ManagedIdentityClientBuilder {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            environment: Environment::process(),
            transport: None,
            retry: true,
            telemetry_headers: true,
            timeout: acquire::TIMEOUT,
            clock: Arc::new(SystemClock),
            bounds: Bounds { entries: 10_000, ..Bounds::default() },
            token_cache: None,
            note: None,
        }
    }

    /// Where the platform's variables are looked up. Default: the process's.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sends requests through `transport`. Default: a [`ReqwestTransport`](crate::http::ReqwestTransport) without
    /// proxies and trusted roots, since these endpoints are on the machine itself; for Service Fabric, one that trusts the
    /// certificate with the thumbprint that the platform told, which a transport given here has to see to itself.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Whether a source that is ill, busy or being updated is asked again within one call, by Microsoft's rules for it.
    /// Default: yes.
    pub fn retry(mut self, again: bool) -> Self {
        self.retry = again;
        self
    }

    /// Whether the instance-metadata service is told which library asks, in which version (`x-client-SKU`, `-Ver`; no
    /// other source is). Default: yes.
    pub fn telemetry_headers(mut self, send: bool) -> Self {
        self.telemetry_headers = send;
        self
    }

    /// For one acquisition in all: tries and the waits between them. Default: 2 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Takes the time from `clock`. Default: the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The most tokens that are kept. Default: 10,000.
    pub fn max_cached_tokens(mut self, entries: usize) -> Self {
        self.bounds.entries = entries;
        self
    }

    /// Shares tokens with other clients of the same identity, and with other processes if the cache has a second level,
    /// which needs an [`encryption_key`](crate::cache::TokenCacheBuilder::encryption_key): without one a folder keeps
    /// nothing, and a distributed cache is refused. Default: this client's memory alone.
    pub fn token_cache(mut self, cache: &TokenCache) -> Self {
        self.token_cache = Some(cache.clone());
        self
    }

    /// What somebody should know who finds that there is no managed identity here.
    pub(super) fn note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    /// Finds the source in the environment and makes the client. Sends nothing, probes nothing, needs no runtime.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): a variable of the platform is malformed, or the
    /// source cannot name this identity.
    pub fn build(self) -> Result<ManagedIdentityClient, Error> {
        let source = Source::detect(&self.environment)?;
        let kind = source.kind();
        tracing::debug!(name: "apptoken.managed_identity.source", target: TARGET, source = %kind, "the managed identity's source");
        let transport = match self.transport {
            Some(transport) => transport,
            None => platform_transport(source.pin())?,
        };
        let transport = Box::new(Observed::new(transport, self.clock.clone()));
        let notes = [source.half_announced(&self.environment), self.note];
        let notes = notes.into_iter().flatten().collect::<Vec<_>>();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let of_this_machine = matches!(self.identity, Identity::System);
        let identity = ManagedIdentity::new(source, self.identity, transport, self.retry, note)?;
        let identity = identity.telemetry_headers(self.telemetry_headers);
        let (memory, level) = match &self.token_cache {
            Some(cache) => {
                let owner = Owner {
                    client_id: identity.id().to_owned(),
                    authority: format!("managed identity {kind}"),
                    address: format!("managed identity {kind}"),
                    of_this_machine,
                    flavour: String::new(),
                    hosts: None,
                };
                (cache.memory(&owner), Level::new(cache, owner, None)?)
            }
            None => (Memory::new(self.bounds), None),
        };
        let home = Tenant::of_managed_identity();
        let inner = Inner {
            issuer: Issuer::ManagedIdentity(Box::new(identity)),
            home_hash: memory.tenant_hash(home.as_str()),
            home,
            scope_rule: ScopeRule::Resource,
            memory,
            level,
            timeout: self.timeout,
            extended_lifetime: false,
            clock: self.clock,
        };
        Ok(ManagedIdentityClient { inner: Arc::new(inner), source: kind })
    }
}

#[cfg(feature = "reqwest")]
fn platform_transport(pin: Option<ThumbprintPin>) -> Result<Box<dyn DynTransport>, Error> {
    // no roots: a container without ca-certificates has an identity too, and these endpoints show no CA's certificate
    let near = crate::http::ReqwestTransport::builder()
        .trust_machine_roots(false)
        .use_proxies(false)
        .connect_timeout(Duration::from_secs(3));
    Ok(Box::new(match pin {
        Some(pin) => near.pin(pin).build(),
        None => near.build(),
    }))
}

#[cfg(not(feature = "reqwest"))]
fn platform_transport(_pin: Option<ThumbprintPin>) -> Result<Box<dyn DynTransport>, Error> {
    Err(Error::configuration("no transport was given").with_advice("give one, or switch on the feature `reqwest`"))
}

impl fmt::Debug for ManagedIdentityClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedIdentityClient")
            .field("identity", &self.inner)
            .field("cached_tokens", &self.cached_tokens())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ManagedIdentityClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedIdentityClientBuilder")
            .field("identity", &self.identity)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
