//! Many tenants, two APIs, one daemon; and what a token for each must say.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken::cache::TokenCache;
use apptoken::cache::distributed::InMemoryCache;
use apptoken::http::{RequestRate, ReqwestTransport, RetryPolicy};
use apptoken::{AccessToken, ConfidentialClient};
use apptoken_emulator::{Emulator, Seed};
use apptoken_jose::jws::Unverified;
use serde_json::{Value, json};

pub(crate) struct World {
    pub(crate) entra: Emulator,
    pub(crate) store: Arc<InMemoryCache>,
    tenants: Vec<String>,
}

/// An API: one of each token version.
#[derive(Clone, Copy)]
pub(crate) enum Api {
    V1,
    V2,
}

impl World {
    pub(crate) async fn start() -> Self {
        let tenants: Vec<String> = (0..TENANTS).map(|n| format!("{n:08x}-0000-4000-8000-{n:012x}")).collect();
        let entra = Emulator::builder().seed(seed(&tenants)).start().await.expect("the emulator starts");
        entra.faults().token_lifetime(Some(LIFE));
        Self { entra, store: Arc::new(InMemoryCache::new()), tenants }
    }

    /// A client with a memory that is too small for all keys.
    pub(crate) fn client(&self) -> ConfidentialClient {
        let cache = TokenCache::distributed(self.store.clone()).build();
        let transport = ReqwestTransport::builder()
            .add_root_certificate_pem(self.entra.ca_pem().as_bytes())
            .expect("the emulator's CA")
            .trust_machine_roots(false)
            .timeout(REQUEST_TIMEOUT)
            .build();
        ConfidentialClient::builder(DAEMON)
            .tenant(&self.tenants[0])
            .authority(self.entra.authority())
            .transport(transport)
            .client_secret(SECRET)
            .token_cache(&cache)
            .max_cached_tokens(self.keys() * 3 / 4)
            .request_rate(RequestRate { per_second: 2000, ..RequestRate::default() })
            .retry(retry())
            .build()
            .expect("the settings are right")
    }

    pub(crate) fn keys(&self) -> usize {
        self.tenants.len() * 2
    }

    pub(crate) fn key(&self, number: usize) -> (&str, Api) {
        (&self.tenants[number / 2], if number.is_multiple_of(2) { Api::V1 } else { Api::V2 })
    }

    /// What is wrong with `token`, if it is not the one that `key` stands for, or was not valid at `time`.
    pub(crate) fn wrong(&self, token: &AccessToken, key: usize, time: SystemTime) -> Option<String> {
        let (tenant, api) = self.key(key);
        let Ok(read) = Unverified::parse(token.secret()) else { return Some(format!("{tenant}: not a token")) };
        let claims = read.claims();
        let is = |name: &str, wanted: &str| claims.get(name).and_then(Value::as_str) == Some(wanted);
        let now = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // the emulator, as Entra, cuts the fraction off the second in which it issues: `exp` is up to a second early
        let expired = claims.get("exp").and_then(Value::as_u64).is_none_or(|exp| exp < now);
        let asked = is("tid", tenant)
            && match api {
                Api::V1 => is("aud", V1) && is("appid", DAEMON),
                Api::V2 => is("aud", V2_APP) && is("azp", DAEMON),
            };
        match (asked, expired) {
            (true, false) => None,
            (false, _) => Some(format!("{tenant} {}: a token of another: {claims:?}", api.scope())),
            (true, true) => Some(format!("{tenant} {}: an expired token", api.scope())),
        }
    }
}

impl Api {
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::V1 => "api://one/.default",
            Self::V2 => "api://two/.default",
        }
    }
}

pub(crate) fn retry() -> RetryPolicy {
    RetryPolicy { base_delay: Duration::from_millis(100), ..RetryPolicy::default() }
}

fn seed(tenants: &[String]) -> Seed {
    let principals: Vec<Value> = tenants.iter().map(|tenant| json!({ "tenant": tenant })).collect();
    let tenants: Vec<Value> = tenants
        .iter()
        .enumerate()
        .map(|(number, id)| {
            json!({ "tenantId": id, "displayName": id, "defaultDomain": format!("tenant{number}.onmicrosoft.com") })
        })
        .collect();
    let api = |app: &str, uri: &str, version: u8| {
        json!({
            "appId": app, "displayName": uri, "homeTenant": "tenant0.onmicrosoft.com", "signInAudience": "AzureADMultipleOrgs",
            "identifierUris": [uri], "requestedAccessTokenVersion": version, "servicePrincipals": principals,
        })
    };
    let daemon = json!({
        "appId": DAEMON, "displayName": "Daemon", "homeTenant": "tenant0.onmicrosoft.com",
        "signInAudience": "AzureADMultipleOrgs", "servicePrincipals": principals,
        "passwordCredentials": [{ "displayName": "soak", "secretText": SECRET }],
    });
    let apps = [api("aaaa0000-aaaa-4aaa-8aaa-aaaa00000001", V1, 1), api(V2_APP, "api://two", 2), daemon];
    serde_json::from_value(json!({ "tenants": tenants, "applications": apps })).expect("a seed")
}

const TENANTS: usize = 300;
const DAEMON: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const SECRET: &str = "c4n4ry-soak~secret";
const V1: &str = "api://one";
const V2_APP: &str = "aaaa0000-aaaa-4aaa-8aaa-aaaa00000002";
/// Of a token: half of it is used, see the client's margin.
const LIFE: Duration = Duration::from_secs(8);
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
