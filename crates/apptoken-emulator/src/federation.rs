//! The live keys of other issuers: OpenID Connect metadata and JWKS, fetched over HTTP(S) when an assertion of a
//! registered issuer comes, kept, and fetched anew when an assertion names a key that was not there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use apptoken_jose::PublicKey;
use apptoken_jose::jwk::Jwk;
use arc_swap::ArcSwapOption;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::clock::EmulatorClock;

/// What an issuer publishes, or why it could not be read, for people.
pub(crate) type Published = Result<Arc<IssuerKeys>, String>;

/// An issuer's RSA keys by name.
#[derive(Debug)]
pub(crate) struct IssuerKeys(Vec<(Option<String>, PublicKey)>);

impl IssuerKeys {
    fn usable(set: KeySet) -> Self {
        let usable = |key: Value| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            let signs = key.use_.as_deref().is_none_or(|purpose| purpose == "sig");
            key.public_key().ok().filter(|_| signs).map(|public| (key.kid, public))
        };
        Self(set.keys.into_iter().take(MOST_KEYS).filter_map(usable).collect())
    }

    /// The key of this name; without a name, the only one.
    pub(crate) fn find(&self, kid: Option<&str>) -> Option<&PublicKey> {
        match (kid, &self.0[..]) {
            (Some(kid), keys) => keys.iter().find(|(name, _)| name.as_deref() == Some(kid)).map(|(_, key)| key),
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
        }
    }

    /// The names of all, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name.as_deref().unwrap_or("(unnamed)")).collect();
        if names.is_empty() { "the issuer publishes no RSA key".into() } else { names.join(", ") }
    }
}

/// All issuers asked so far.
#[derive(Debug)]
pub(crate) struct Federation {
    http: Http,
    issuers: Mutex<HashMap<String, Arc<Issuer>>>,
    /// Issuers whose metadata is elsewhere than under their own name.
    elsewhere: HashMap<String, String>,
}

impl Federation {
    /// Trusts `roots` (PEM) beside the machine's own; an issuer on this machine is trusted by `roots` only.
    pub(crate) fn new(roots: Vec<String>, timeout: Duration, most_bytes: usize) -> Self {
        let http = Http { roots, timeout, most_bytes, near: OnceLock::new(), far: OnceLock::new() };
        Self { http, issuers: Mutex::default(), elsewhere: HashMap::new() }
    }

    /// Where the metadata of these issuers is, instead of under their names.
    pub(crate) fn elsewhere(mut self, issuers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.elsewhere.extend(issuers);
        self
    }

    /// Holds these keys (a JWKS) for an issuer's, for ever, and asks it for nothing.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn know(&mut self, issuer: &str, jwks: &str) -> Result<(), serde_json::Error> {
        let published = Ok(Arc::new(IssuerKeys::usable(serde_json::from_str(jwks)?)));
        let kept = Kept { published, at: i64::MAX, early: HURRIED };
        self.entry(issuer).kept.store(Some(Arc::new(kept)));
        Ok(())
    }

    /// The keys of an issuer that an application trusts, with the key `kid` among them if the issuer has it.
    pub(crate) async fn keys(&self, issuer: &str, kid: Option<&str>) -> Published {
        let entry = self.entry(issuer);
        let seen = entry.kept.load_full();
        if let Some(kept) = seen.as_deref().filter(|kept| kept.serves(kid)) {
            return kept.published.clone();
        }
        // One asks the issuer, the others wait for its answer.
        let Ok(_turn) = entry.turn.acquire().await else { return Err("the local Entra ID is stopping".into()) };
        let latest = entry.kept.load_full();
        let newer = latest.as_ref().map(Arc::as_ptr) != seen.as_ref().map(Arc::as_ptr);
        let rest = latest.as_deref().filter(|kept| newer || kept.serves(kid) || !kept.may_ask_again());
        if let Some(kept) = rest {
            return kept.published.clone();
        }
        let published = self.fetch(issuer).await;
        if let Err(why) = &published {
            tracing::warn!(issuer, why, "the metadata of a federated issuer cannot be read");
        }
        let early = latest.as_deref().map_or(0, Kept::next_early);
        entry.kept.store(Some(Arc::new(Kept { published: published.clone(), at: now(), early })));
        published
    }

    fn entry(&self, issuer: &str) -> Arc<Issuer> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        // Only registered issuers come here: these are ones that were, and are no more.
        if issuers.len() >= MOST_ISSUERS && !issuers.contains_key(issuer) {
            issuers.clear();
        }
        Arc::clone(issuers.entry(issuer.to_owned()).or_default())
    }

    async fn fetch(&self, issuer: &str) -> Published {
        let base = self.elsewhere.get(issuer).map_or(issuer, String::as_str);
        let address = format!("{}/.well-known/openid-configuration", base.strip_suffix('/').unwrap_or(base));
        let metadata: Metadata = self.http.get(&address).await?;
        // OpenID Connect Discovery 1.0 §4.3
        if metadata.issuer != issuer {
            let named: String = metadata.issuer.chars().take(200).collect();
            return Err(format!("{address} names another issuer, '{named}'"));
        }
        let set: KeySet = self.http.get(&metadata.jwks_uri).await?;
        Ok(Arc::new(IssuerKeys::usable(set)))
    }
}

/// One issuer.
#[derive(Debug)]
struct Issuer {
    kept: ArcSwapOption<Kept>,
    turn: Semaphore,
}

impl Default for Issuer {
    fn default() -> Self {
        Self { kept: ArcSwapOption::empty(), turn: Semaphore::new(1) }
    }
}

/// The last answer of an issuer.
#[derive(Debug)]
struct Kept {
    published: Published,
    /// When, milliseconds by the system's clock.
    at: i64,
    /// How often it was asked again in a hurry.
    early: u32,
}

impl Kept {
    fn serves(&self, kid: Option<&str>) -> bool {
        self.age() < LASTS && self.published.as_ref().is_ok_and(|keys| keys.find(kid).is_some())
    }

    /// A few times at once, so that a key just rotated is found; then once a second, so that assertions with invented
    /// key names are no means to flood the issuer.
    fn may_ask_again(&self) -> bool {
        self.early < HURRIED || self.age() >= PAUSE
    }

    fn next_early(&self) -> u32 {
        if self.age() >= PAUSE { 0 } else { self.early + 1 }
    }

    fn age(&self) -> i64 {
        now().saturating_sub(self.at)
    }
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Reads JSON documents: no redirects, bounded in time and bytes.
#[derive(Debug)]
struct Http {
    roots: Vec<String>,
    timeout: Duration,
    most_bytes: usize,
    /// For this machine: no proxy, and no roots but ours.
    near: OnceLock<reqwest::Client>,
    far: OnceLock<reqwest::Client>,
}

impl Http {
    async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, String> {
        let failed = |why: &str| format!("{address}: {why}");
        let url = Url::parse(address).map_err(|error| failed(&error.to_string()))?;
        let near = url.host().is_some_and(|host| is_loopback(&host));
        match url.scheme() {
            "https" => (),
            "http" if near => (),
            _ => return Err(failed("must be https (plain http only on this machine)")),
        }
        let client = self.client(near).map_err(|error| failed(&words(&error)))?;
        let mut answer = client.get(url).send().await.map_err(|error| failed(&words(&error)))?;
        if answer.status() != http::StatusCode::OK {
            return Err(failed(&format!("HTTP status {}", answer.status().as_u16())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&words(&error)))? {
            if body.len() + chunk.len() > self.most_bytes {
                return Err(failed(&format!("longer than {} bytes", self.most_bytes)));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| failed(&error.to_string()))
    }

    fn client(&self, near: bool) -> Result<&reqwest::Client, reqwest::Error> {
        let kept = if near { &self.near } else { &self.far };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let mut roots = Vec::new();
        for pem in &self.roots {
            roots.extend(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
        }
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(self.timeout)
            .user_agent(concat!("apptoken-emulator/", env!("CARGO_PKG_VERSION")));
        let builder = if near { builder.no_proxy().tls_certs_only(roots) } else { builder.tls_certs_merge(roots) };
        let client = builder.build()?;
        Ok(kept.get_or_init(|| client))
    }
}

/// The last cause says what happened; the first ones only that something did.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
    }
}

/// Milliseconds by the system's clock: the emulator's own may be moved or stand still.
fn now() -> i64 {
    EmulatorClock::new(0).now_millis()
}

/// Milliseconds that an issuer's keys are believed.
const LASTS: i64 = 60 * 60 * 1000;
/// Milliseconds between questions that repeat themselves.
const PAUSE: i64 = 1000;
const HURRIED: u32 = 3;
const MOST_ISSUERS: usize = 1000;
const MOST_KEYS: usize = 100;
