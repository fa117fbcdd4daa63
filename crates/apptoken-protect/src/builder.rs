//! What an API says about itself, parsed once.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::challenge::Challenge;
use crate::claims::Policy;
use crate::clock::{Clock, SystemClock};
use crate::metadata::Fetcher;
use crate::proof::Proof;
use crate::protect::{Challenges, Guard};
use crate::replays::Replays;
use crate::scheme::Scheme;
use crate::store::KeyStore;
use crate::tenant::{Authority, Guid, Tenant};
use crate::{BuildError, Protect};

/// Builds a [`Protect`]. Only the API's name and the tenant are needed.
#[must_use = "nothing is guarded until build() or build_lazy()"]
pub struct ProtectBuilder {
    audiences: Vec<String>,
    client_id: Option<Guid>,
    tenant: Option<String>,
    authority: String,
    realm: Option<String>,
    roots: Vec<reqwest::Certificate>,
    http_loopback: bool,
    clock: Arc<dyn Clock>,
    skew: Duration,
    timeout: Duration,
    refresh_interval: Duration,
    max_key_age: Duration,
    user_tokens: bool,
    without_roles: bool,
    callers: HashSet<Guid>,
    proof_required: bool,
    signed_request_lifetime: Duration,
    replay_memory: usize,
    host: Option<String>,
}

impl ProtectBuilder {
    pub(crate) fn new(audience: String) -> Self {
        Self {
            audiences: vec![audience],
            client_id: None,
            tenant: None,
            authority: Authority::DEFAULT.to_owned(),
            realm: None,
            roots: Vec::new(),
            http_loopback: false,
            clock: Arc::new(SystemClock),
            skew: Duration::from_secs(5 * 60),
            timeout: Duration::from_secs(10),
            refresh_interval: Duration::from_secs(30),
            max_key_age: Duration::from_secs(12 * 60 * 60),
            user_tokens: false,
            without_roles: false,
            callers: HashSet::new(),
            proof_required: false,
            signed_request_lifetime: Duration::from_secs(5 * 60),
            replay_memory: 1 << 20,
            host: None,
        }
    }

    /// The API's client id, which is the audience of every version 2.0 token and stands in the challenge.
    ///
    /// # Errors
    /// [`BuildError::Configuration`] when it is not a GUID.
    pub fn client_id(mut self, client_id: impl AsRef<str>) -> Result<Self, BuildError> {
        let id = client_guid(client_id.as_ref())?;
        self.audiences.push(id.as_str().to_owned());
        self.client_id = Some(id);
        Ok(self)
    }

    /// One more accepted audience, letter by letter. A version 1.0 token spells it as the client asked for it, so that
    /// an API that takes its URI with and without a slash at the end names both.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The one tenant whose tokens are accepted: its id, or one of its domain names. Required.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Where the tenant's metadata is, `https://host[:port]`; default `https://login.microsoftonline.com`.
    pub fn authority(mut self, authority: impl Into<String>) -> Self {
        self.authority = authority.into();
        self
    }

    /// `realm` of the challenge; default: the API's App ID URI.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Trusts the CA certificates in `pem`, for the authority's TLS, besides the machine's own.
    ///
    /// # Errors
    /// [`BuildError::Configuration`] when there is none in it, or one cannot be read.
    pub fn add_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Result<Self, BuildError> {
        let wrong =
            || BuildError::Configuration("the root certificate is not PEM with -----BEGIN CERTIFICATE-----".into());
        let found = apptoken_jose::Certificate::from_pem(pem.as_ref()).map_err(|_| wrong())?;
        for certificate in found {
            self.roots.push(reqwest::Certificate::from_der(certificate.der()).map_err(|_| wrong())?);
        }
        Ok(self)
    }

    /// Lets the metadata be fetched over plain HTTP from this machine. For tests.
    pub fn allow_http_loopback(mut self, allow: bool) -> Self {
        self.http_loopback = allow;
        self
    }

    /// The clock by which tokens are judged and fetches spaced; default: the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How far the issuer's clock may differ from this one; default five minutes, as Microsoft.Identity.Web has it.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.skew = skew;
        self
    }

    /// The longest one document may take to be fetched; default ten seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The least time between two fetches of the keys that requests cause, whatever arrives; default 30 seconds. The
    /// fetch at the start does not count: the first unknown `kid` after it may fetch at once. As long as there are no
    /// keys at all, it is one second at most.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// The age at which keys are fetched anew without being asked, so that a withdrawn one is forgotten; default twelve
    /// hours. It happens behind a request's back, and when it fails the known keys stay in use.
    pub fn max_key_age(mut self, age: Duration) -> Self {
        self.max_key_age = age;
        self
    }

    /// Lets users' tokens in as well; default `false`. Tell them apart with [`Caller::is_app_only`](crate::Caller).
    /// [`RequireRoles`](crate::RequireRoles) looks at `roles` only: a user may have been assigned one too.
    pub fn allow_user_tokens(mut self, allow: bool) -> Self {
        self.user_tokens = allow;
        self
    }

    /// Lets applications without any app role in, which is *every application of the tenant*: for an API that decides
    /// by [`Caller::app_id`](crate::Caller::app_id) itself. Default `false`.
    pub fn allow_without_roles(mut self, allow: bool) -> Self {
        self.without_roles = allow;
        self
    }

    /// Lets these applications in without an app role (`azp` or `appid`): an access control list in place of roles.
    /// Others still need a role, and so do these where [`RequireRoles`](crate::RequireRoles) demands one.
    ///
    /// # Errors
    /// [`BuildError::Configuration`] when one is not a GUID.
    pub fn allow_callers<I>(mut self, client_ids: I) -> Result<Self, BuildError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        for id in client_ids {
            self.callers.insert(client_guid(id.as_ref())?);
        }
        Ok(self)
    }

    /// Lets in only tokens that are bound to a key (`mtls_pop`, `PoP`), so that a stolen one is worth nothing. Default
    /// `false`: bearer tokens are let in too.
    pub fn require_proof_of_possession(mut self, require: bool) -> Self {
        self.proof_required = require;
        self
    }

    /// How far from now, before or after, a signed request (`Authorization: PoP`) may have been signed; default five
    /// minutes. It must carry `at` (the token), `ts`, `nonce`, and be for this request: `m` its method, `u` its host and
    /// port, `p` its path. Each is let in once. Algorithms: RS256 and PS256. `q`, `h` and `b` are not looked at.
    pub fn signed_request_lifetime(mut self, lifetime: Duration) -> Self {
        self.signed_request_lifetime = lifetime;
        self
    }

    /// How many signed requests are remembered so that none comes twice; default 1,048,576, about 20 MB when full. Each
    /// is remembered until its signature is too old. When that many are alive, further ones are answered 503.
    pub fn replay_memory(mut self, requests: usize) -> Self {
        self.replay_memory = requests;
        self
    }

    /// The `host[:port]` for which requests are signed, when a proxy in front changes `Host`; default: that of each
    /// request.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Builds it and fetches the tenant's keys, so that a wrong tenant or authority shows at the start.
    ///
    /// # Errors
    /// [`BuildError::Configuration`] with nothing sent, or [`BuildError::Metadata`].
    pub async fn build(self) -> Result<Protect, BuildError> {
        let guard = self.guard()?;
        guard
            .keys
            .load()
            .await
            .map_err(|source| BuildError::Metadata { tenant: guard.keys.tenant().to_owned(), source })?;
        Ok(Protect::new(guard))
    }

    /// Builds it without asking the authority, so that an API can start while that is down: the first request fetches
    /// the keys, and is answered 503 with `Retry-After` as long as there are none.
    ///
    /// # Errors
    /// [`BuildError::Configuration`].
    pub fn build_lazy(self) -> Result<Protect, BuildError> {
        Ok(Protect::new(self.guard()?))
    }

    fn guard(self) -> Result<Guard, BuildError> {
        let wrong = BuildError::Configuration;
        let (authority, in_authority) = Authority::parse(&self.authority, self.http_loopback).map_err(wrong)?;
        let tenant = match (self.tenant, in_authority) {
            (Some(tenant), Some(other)) if !tenant.eq_ignore_ascii_case(&other) => {
                return Err(wrong(format!(
                    "the tenant is {tenant:?}, but the authority names {other:?}: give one of them"
                )));
            }
            (Some(tenant), _) | (None, Some(tenant)) => Tenant::parse(&tenant).map_err(wrong)?,
            (None, None) => {
                return Err(wrong("the tenant is missing: name the one whose applications call, with tenant()".into()));
            }
        };
        let audiences = self.audiences.into_iter().map(audience).collect::<Result<Vec<_>, _>>()?;
        let realm = self.realm.as_deref().unwrap_or(&audiences[0]);
        let authorization_uri = authority.join(&format!("{}/oauth2/authorize", tenant.as_str()));
        let client_id = self.client_id.or_else(|| Guid::parse(&audiences[0]));
        let challenge = |scheme| {
            Challenge::new(scheme, realm, &authorization_uri, client_id.as_ref().map(Guid::as_str))
                .map(Arc::new)
                .ok_or_else(|| wrong(format!("the realm {realm:?} cannot stand in a header: use plain ASCII")))
        };
        let challenges = Challenges {
            bearer: challenge(Scheme::Bearer)?,
            proofs: [challenge(Scheme::MtlsPop)?, challenge(Scheme::Pop)?],
        };
        let proof = Proof {
            required: self.proof_required,
            host: self.host,
            replays: Replays::new(self.signed_request_lifetime, self.replay_memory),
        };
        let http = client(&self.roots, self.timeout, self.http_loopback, authority.is_loopback())?;
        let fetcher = Fetcher { http, authority, tenant, http_loopback: self.http_loopback };
        let policy = Policy {
            audiences,
            skew: i64::try_from(self.skew.as_secs()).unwrap_or(i64::MAX),
            user_tokens: self.user_tokens,
            without_roles: self.without_roles,
            callers: self.callers,
        };
        Ok(Guard {
            policy,
            proof,
            challenges,
            keys: Arc::new(KeyStore::new(fetcher, self.clock, self.refresh_interval, self.max_key_age)),
        })
    }
}

impl fmt::Debug for ProtectBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectBuilder")
            .field("audiences", &self.audiences)
            .field("tenant", &self.tenant)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

fn client_guid(text: &str) -> Result<Guid, BuildError> {
    Guid::parse(text).ok_or_else(|| {
        BuildError::Configuration(format!("the client id is {text:?}, which is not a GUID (Application ID)"))
    })
}

/// A URI as tokens spell it; a client id in lower case, as they spell those.
fn audience(text: String) -> Result<String, BuildError> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(BuildError::Configuration(format!(
            "the audience is {text:?}: give the API's App ID URI or client id"
        )));
    }
    if let Some(resource) = text.strip_suffix("/.default") {
        return Err(BuildError::Configuration(format!(
            "the audience is {text:?}, which is a scope; the audience is {resource:?}"
        )));
    }
    Ok(Guid::parse(&text).map_or(text, |id| id.as_str().to_owned()))
}

/// An HTTP client that fetches documents and nothing else: no redirects, HTTPS unless loopback was asked for.
fn client(
    roots: &[reqwest::Certificate],
    timeout: Duration,
    http_loopback: bool,
    direct: bool,
) -> Result<reqwest::Client, BuildError> {
    let build = |own_roots_only: bool| {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout.min(MAX_CONNECT_TIME))
            .https_only(!http_loopback)
            .user_agent(concat!("apptoken-protect/", env!("CARGO_PKG_VERSION")));
        let builder = if direct { builder.no_proxy() } else { builder };
        let roots = roots.iter().cloned();
        if own_roots_only { builder.tls_certs_only(roots) } else { builder.tls_certs_merge(roots) }.build()
    };
    // In an image without CA certificates there is nothing to merge with, and reqwest refuses: then ours alone will do.
    build(false).or_else(|error| if roots.is_empty() && !http_loopback { Err(error) } else { build(true) }).map_err(|error| {
        BuildError::Configuration(format!(
            "no HTTPS client ({error}): install the machine's CA certificates (package ca-certificates), or give the \
             authority's with add_root_certificate_pem"
        ))
    })
}

const MAX_CONNECT_TIME: Duration = Duration::from_secs(5);
