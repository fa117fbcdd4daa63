//! Processes of a fleet: clients that share nothing but a Redis, and a local Entra ID that counts their requests.

use std::sync::Arc;
use std::time::Duration;

use apptoken::cache::TokenCache;
use apptoken::clock::{Clock, SystemClock};
use apptoken::{ConfidentialClient, SecretString};
use apptoken_emulator::Emulator;
use apptoken_redis::RedisCache;
use serde_json::json;
use testkit::CANARY;

pub(crate) struct Fleet {
    pub(crate) entra: Emulator,
}

/// What its callers saw of a round of calls.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    pub(crate) errors: usize,
    pub(crate) requests: u64,
    pub(crate) longest: Duration,
    /// Until the last of them had its answer.
    pub(crate) wall: Duration,
}

pub(crate) struct Process {
    pub(crate) client: ConfidentialClient,
    pub(crate) cache: TokenCache,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        testkit::init();
        Self::with_keys(KEYS).await
    }

    /// The same, and nothing of it is logged.
    pub(crate) async fn with_keys(keys: usize) -> Self {
        let mut applications = (0..keys)
            .map(|i| {
                json!({ "appId": format!("aaaa0000-aaaa-4aaa-8aaa-aaaa0000{i:04}"), "displayName": format!("API {i}"),
                    "homeTenant": TENANT, "identifierUris": [format!("api://api-{i}")] })
            })
            .collect::<Vec<_>>();
        applications.push(json!({ "appId": DAEMON, "displayName": "Daemon", "homeTenant": TENANT,
            "passwordCredentials": [{ "displayName": "test", "secretText": format!("{CANARY}-secret") }] }));
        let seed = json!({
            "tenants": [{ "displayName": "Contoso", "defaultDomain": TENANT }],
            "applications": applications,
        });
        let entra = Emulator::builder().seed(serde_json::from_value(seed).unwrap()).start().await.unwrap();
        Self { entra }
    }

    fn process(&self, redis: RedisCache, deadline: Duration, patience: Duration) -> Process {
        testkit::witness(&redis);
        let cache = TokenCache::distributed(redis).deadline(deadline).patience(patience).build();
        let client = Self::client(&self.entra.authority(), self.entra.ca_pem(), &cache);
        Process { client, cache }
    }

    pub(crate) fn client(authority: &str, ca: &str, cache: &TokenCache) -> ConfidentialClient {
        ConfidentialClient::builder(DAEMON)
            .tenant(TENANT)
            .authority(authority)
            .add_root_certificate_pem(ca)
            .client_secret(SecretString::from(format!("{CANARY}-secret")))
            .token_cache(cache)
            .build()
            .unwrap()
    }

    pub(crate) fn processes(&self, count: usize, redis: impl Fn() -> RedisCache) -> Vec<Process> {
        // this machine may be busy: what is slow here for no reason of Redis's is not to be part of the figures
        (0..count).map(|_| self.process(redis(), Duration::from_millis(400), Duration::from_secs(2))).collect()
    }

    /// As `processes`, with all the time they may need.
    pub(crate) fn patient(&self, count: usize, redis: impl Fn() -> RedisCache) -> Vec<Process> {
        (0..count).map(|_| self.process(redis(), Duration::from_secs(30), Duration::from_secs(60))).collect()
    }

    /// Every process asks for every key, all at once.
    pub(crate) async fn all_ask(&self, processes: &[Process], keys: std::ops::Range<usize>) -> Seen {
        let before = self.entra.token_requests();
        let clock = Arc::new(SystemClock);
        let began = clock.now();
        let mut calls = Vec::new();
        for key in keys {
            for process in processes {
                let (client, clock) = (process.client.clone(), clock.clone());
                calls.push(tokio::spawn(async move {
                    let started = clock.now();
                    let outcome = client.acquire_token_for_client([format!("api://api-{key}/.default")]).await;
                    (outcome.is_err(), clock.now().since(started))
                }));
            }
        }
        let mut seen = Seen { calls: calls.len(), ..Seen::default() };
        for call in calls {
            let (failed, took) = call.await.unwrap();
            seen.errors += usize::from(failed);
            seen.longest = seen.longest.max(took);
        }
        seen.requests = self.entra.token_requests() - before;
        seen.wall = clock.now().since(began);
        seen
    }
}

pub(crate) const KEYS: usize = 100;
const TENANT: &str = "contoso.onmicrosoft.com";
const DAEMON: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
