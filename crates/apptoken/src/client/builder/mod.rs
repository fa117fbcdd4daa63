//! Settings of a [`ConfidentialClient`]: here the app and its tokens, one file each for the authority, the
//! credentials and the network.

mod authority;
mod credentials;
mod network;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::authority::Place;
use self::credentials::Credentials;
use self::network::Network;
use super::ConfidentialClient;
use crate::Error;
use crate::acquire::{self, Inner};
use crate::authority::Net;
use crate::cache::{Bounds, Level, Memory, Owner, TENANT, TokenCache};
use crate::clock::{Clock, SystemClock};
use crate::environment::Environment;
use crate::issuer::{App, Issuer};
use crate::pop::{PopKey, PopKeys};
use crate::request::{Capabilities, Extra};
use crate::scope::ScopeRule;

/// Settings of a [`ConfidentialClient`]. All are checked by [`build`](Self::build), which sends nothing.
#[must_use]
pub struct ConfidentialClientBuilder {
    client_id: String,
    place: Place,
    credentials: Credentials,
    any_scope: bool,
    environment: Environment,
    bounds: Bounds,
    capabilities: Capabilities,
    extra: Extra,
    allowed_tenants: Option<Vec<String>>,
    pub(super) pop_key: Option<PopKey>,
    wrong: Option<Error>,
    token_cache: Option<TokenCache>,
    network: Network,
    /// At the same place, what that one has found out about it need not be found out again.
    beside: Option<ConfidentialClient>,
    timeout: Duration,
    extended_lifetime: bool,
    clock: Arc<dyn Clock>,
}

impl ConfidentialClientBuilder {
    pub(super) fn new(client_id: String) -> Self {
        Self {
            client_id,
            place: Place::default(),
            credentials: Credentials::default(),
            any_scope: false,
            environment: Environment::process(),
            bounds: Bounds::default(),
            capabilities: Capabilities::default(),
            extra: Extra::default(),
            allowed_tenants: None,
            wrong: None,
            pop_key: None,
            token_cache: None,
            network: Network::default(),
            beside: None,
            timeout: acquire::TIMEOUT,
            extended_lifetime: false,
            clock: Arc::new(SystemClock),
        }
    }

    /// A client beside `other`: at its authority, in its tenant, by its transport and clock.
    pub(super) fn like(client_id: String, other: &ConfidentialClient) -> Self {
        Self {
            place: (*other.place).clone(),
            environment: other.environment.clone(),
            any_scope: matches!(other.inner.scope_rule, ScopeRule::Any),
            network: Network::of(&other.app),
            beside: Some(other.clone()),
            timeout: other.inner.timeout,
            clock: other.inner.clock.clone(),
            ..Self::new(client_id)
        }
    }

    /// Where the variables of the pipeline or platform that the program runs in are looked up. Default: the process's.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Lets scopes through that Entra would refuse, several included, for what stands in for Entra. Default: no, but
    /// for ADFS and other identity providers, which have rules of their own.
    pub fn allow_any_scope(mut self, allow: bool) -> Self {
        self.any_scope = allow;
        self
    }

    /// The tenants that a call may name besides the client's own, as they are named in calls (case does not matter).
    /// Default: any. A program that takes the tenant from a caller or a challenge says here which it serves.
    pub fn allowed_tenants(mut self, tenants: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_tenants = Some(tenants.into_iter().map(Into::into).collect());
        self
    }

    /// What the program is capable of: `cp1` when it answers claims challenges (continuous access evaluation). Goes out
    /// in the `claims` of every token request, as `xms_cc`, and into the tokens; no part of the cache's key.
    pub fn client_capabilities(mut self, capabilities: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.capabilities = Capabilities::new(capabilities);
        self
    }

    /// One more parameter in the query of every token request. One of the same name that a call adds goes before it.
    pub fn extra_query_parameter(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(error) = self.extra.query(name.as_ref(), value.as_ref()) {
            self.wrong.get_or_insert(error);
        }
        self
    }

    /// The most tokens that are kept in this client's own memory. Default: 1,000,000. When there are more, one that was not
    /// used for long makes room; those that a [`TokenSource`](crate::TokenSource) or a request in flight holds stay. A
    /// [`token_cache`](Self::token_cache) has bounds of its own.
    pub fn max_cached_tokens(mut self, entries: usize) -> Self {
        self.bounds.entries = entries;
        self
    }

    /// The most memory that they take, about, in bytes. Default: 2 GiB, a million tokens of a common size.
    pub fn max_cached_bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// Shares tokens with other clients, and with other processes if the cache has a second level. Default: this client's
    /// memory alone. Clients that share one have the same clock.
    pub fn token_cache(mut self, cache: &TokenCache) -> Self {
        self.token_cache = Some(cache.clone());
        self
    }

    /// For one acquisition in all: assertion callback, tries and the waits between them. Default: 2 minutes. What a
    /// single request may take is the transport's to bound.
    /// A callback that blocks its thread instead of awaiting holds up all who wait for the same token.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets a token serve after its end while the authority is down: no connection, no answer, 5xx or throttling, and
    /// never after a refusal. It serves as long as the authority said with it (`ext_expires_in`, where that is longer than
    /// `expires_in`) and is [marked so](crate::Metadata::extended). For programs that would rather try an expired token
    /// than have none; the API may turn it down. Default: no.
    pub fn allow_extended_lifetime(mut self, allow: bool) -> Self {
        self.extended_lifetime = allow;
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
    pub fn build(mut self) -> Result<ConfidentialClient, Error> {
        if self.client_id.trim().is_empty() {
            return Err(Error::configuration("the client id is empty")
                .with_advice("give the Application (client) ID of the app registration"));
        }
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let retry = self.network.retry;
        let (telemetry_headers, caller) = (self.network.telemetry_headers, std::mem::take(&mut self.network.caller));
        let transport = self.network.transport(self.clock.clone(), self.timeout)?;
        let net = Net { transport: transport.clone(), clock: self.clock.clone(), retry };
        let same_place =
            |other: &ConfidentialClient| *other.place == self.place && Arc::ptr_eq(&other.app.transport, &transport);
        let endpoints = match self.beside.filter(same_place) {
            Some(other) => other.app.endpoints.clone(),
            None => Arc::new(self.place.endpoints(&self.environment, net)?),
        };
        let credential =
            Arc::new(self.credentials.make(self.environment.clone(), self.place.allow_http_loopback, &*self.clock)?);
        let home = endpoints.authority().tenant().clone();
        let scope_rule = if self.any_scope { ScopeRule::Any } else { endpoints.authority().kind().scope_rule() };
        let (memory, level) = match &self.token_cache {
            Some(cache) => {
                let owner = Owner {
                    client_id: self.client_id.clone(),
                    authority: endpoints.authority().identity(),
                    address: endpoints.authority().address(TENANT),
                    flavour: format!(
                        "{:?} {:?} {:?}",
                        self.capabilities.with(None, None),
                        self.extra.query,
                        self.extra.body
                    ),
                    hosts: endpoints.authority().cache_hosts(),
                    of_this_machine: false,
                };
                let memory = cache.memory(&owner);
                (memory, Level::new(cache, owner, Some(credential.clone()))?)
            }
            None => (Memory::new(self.bounds), None),
        };
        let app = Arc::new(App {
            client_id: self.client_id,
            endpoints,
            credential,
            transport,
            retry,
            capabilities: self.capabilities,
            extra: self.extra,
            telemetry_headers,
            caller,
            allowed_tenants: self.allowed_tenants,
            pop_keys: PopKeys::new(self.pop_key),
        });
        let inner = Inner {
            issuer: Issuer::Authority(app.clone()),
            home_hash: memory.tenant_hash(home.as_str()),
            home,
            scope_rule,
            memory,
            level,
            timeout: self.timeout,
            extended_lifetime: self.extended_lifetime,
            clock: self.clock,
        };
        let (place, environment) = (Arc::new(self.place), self.environment);
        Ok(ConfidentialClient { inner: Arc::new(inner), app, place, environment })
    }
}

impl fmt::Debug for ConfidentialClientBuilder {
    /// Not the authority: before [`build`](Self::build) has looked at it, it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfidentialClientBuilder")
            .field("client_id", &self.client_id)
            .field("tenant", &self.place.tenant())
            .finish_non_exhaustive()
    }
}
