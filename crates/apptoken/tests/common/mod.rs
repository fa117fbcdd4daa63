//! A local Entra ID with a daemon and an API in it, and clients on a clock that stands still.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared by tests that each use a part")]

pub mod canned;
pub mod recording;

use std::sync::Arc;
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::{Certificate, ConfidentialClient, ConfidentialClientBuilder, SecretString};
use apptoken_emulator::{Emulator, EmulatorBuilder, Seed};
use serde_json::json;
use testkit::{CANARY, keys};

pub const CONTOSO: &str = "contoso.onmicrosoft.com";
pub const FABRIKAM: &str = "fabrikam.onmicrosoft.com";
pub const DAEMON: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
pub const TODO: &str = "api://todolist/.default";
pub const GRAPH: &str = "https://graph.microsoft.com/.default";

pub struct World {
    pub entra: Emulator,
    pub clock: Arc<ManualClock>,
}

impl World {
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub async fn start_with(change: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        testkit::init();
        let entra = change(Emulator::builder().seed(seed())).start().await.unwrap();
        Self { entra, clock: Arc::new(ManualClock::default()) }
    }

    /// A client with no credential yet.
    pub fn bare(&self) -> ConfidentialClientBuilder {
        ConfidentialClient::builder(DAEMON)
            .tenant(CONTOSO)
            .authority(self.entra.authority())
            .add_root_certificate_pem(self.entra.ca_pem())
            .clock(self.clock.clone())
    }

    /// A client with the daemon's secret.
    pub fn client(&self) -> ConfidentialClient {
        self.bare().client_secret(secret()).build().unwrap()
    }

    /// Moves the time of the client and of the authority.
    pub fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
        self.entra.clock().advance(duration);
    }

    pub fn requests(&self) -> u64 {
        self.entra.token_requests()
    }

    /// Waits, in real time, until the authority has had `requests` token requests and has answered them: for what goes
    /// on behind the caller's back.
    pub async fn until_requests(&self, requests: u64) {
        for _ in 0..2000 {
            if self.requests() >= requests {
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} requests in ten seconds, not {requests}", self.requests());
    }
}

pub fn secret() -> SecretString {
    SecretString::from(format!("{CANARY}-daemon secret+/&~é"))
}

pub fn certificate() -> Certificate {
    Certificate::from_pem(keys::CERTIFICATE, keys::PKCS8, None).unwrap()
}

pub const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

pub fn seed() -> Seed {
    let seed = json!({
        "tenants": [
            { "tenantId": "11111111-1111-4111-8111-111111111111", "displayName": "Contoso", "defaultDomain": CONTOSO },
            { "tenantId": "22222222-2222-4222-8222-222222222222", "displayName": "Fabrikam", "defaultDomain": FABRIKAM },
        ],
        "applications": [
            {
                "appId": "aaaa0000-aaaa-4aaa-8aaa-aaaa00000000", "displayName": "TodoList", "homeTenant": CONTOSO,
                "signInAudience": "AzureADMultipleOrgs", "identifierUris": ["api://todolist"], "requestedAccessTokenVersion": 2,
                "appRoles": [{ "value": "DaemonAppRole", "displayName": "Daemons" }],
                "servicePrincipals": [{ "tenant": CONTOSO }, { "tenant": FABRIKAM }],
            },
            {
                "appId": DAEMON, "displayName": "Daemon", "homeTenant": CONTOSO, "signInAudience": "AzureADMultipleOrgs",
                "requiredResourceAccess": [{ "resource": "api://todolist", "appRoles": ["DaemonAppRole"] }],
                "passwordCredentials": [{ "displayName": "test", "secretText": format!("{CANARY}-daemon secret+/&~é") }],
                "keyCredentials": [{ "displayName": "test", "certificate": std::str::from_utf8(keys::CERTIFICATE).unwrap() }],
                "servicePrincipals": [{ "tenant": CONTOSO, "adminConsent": true }, { "tenant": FABRIKAM }],
            },
        ],
    });
    serde_json::from_value(seed).unwrap()
}

/// In real time: for what goes on behind.
pub async fn until(holds: impl Fn() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds");
}
