//! What the targets of the local Entra ID share: its directory, the keys that sign assertions, and what must be true of
//! every answer.

use std::sync::LazyLock;

use apptoken_emulator::fuzzing::WithoutSockets;
use apptoken_jose::jwk::Jwk;
use apptoken_jose::{Certificate, SigningKey, base64url};
use http::Request;
use serde_json::{Value, json};

use crate::SECRET;

/// A tenant with one API and one daemon, which may prove itself by a secret, a certificate or another issuer's tokens.
pub static ENTRA: LazyLock<Entra> = LazyLock::new(|| {
    let certificate = include_str!("../../crates/testkit/keys/daemon.crt");
    let key = |pem: &[u8]| SigningKey::from_pem(pem, None).expect("a key");
    let other = Certificate::from_pem(include_bytes!("../../crates/testkit/keys/other.crt")).expect("a certificate");
    let jwk = Jwk::from_certificate(&other[0]).expect("its key");
    let seed = json!({
        "tenants": [{ "tenantId": TENANT, "defaultDomain": "contoso.com" }],
        "applications": [
            {
                "displayName": "TodoList API", "identifierUris": ["api://todolist"], "requestedAccessTokenVersion": 2,
                "appRoles": [{ "value": ROLE }, { "value": "NeverGranted" }],
            },
            {
                "appId": CLIENT, "displayName": "Daemon",
                "passwordCredentials": [{ "secretText": SECRET, "startDateTime": "2020-01-01T00:00:00Z", "endDateTime": "2999-01-01T00:00:00Z" }],
                "keyCredentials": [{ "certificate": certificate }],
                "federatedIdentityCredentials": [{ "name": "fuzz", "issuer": ISSUER, "subject": SUBJECT }],
                "requiredResourceAccess": [{ "resource": "api://todolist", "appRoles": [ROLE] }],
                "servicePrincipals": [{ "tenant": "contoso.com", "adminConsent": true }],
            },
        ],
    });
    let keys = json!({ "keys": [jwk] }).to_string();
    let service = WithoutSockets::new(&seed.to_string(), &[(ISSUER, &keys)]).expect("a right seed");
    service.clock().set_unix(NOW);
    service.clock().freeze();
    Entra {
        service,
        daemon: key(include_bytes!("../../crates/testkit/keys/pkcs8.pem")),
        issuer: key(include_bytes!("../../crates/testkit/keys/other.pem")),
    }
});

pub struct Entra {
    service: WithoutSockets,
    /// The key of the daemon's certificate.
    pub daemon: SigningKey,
    /// The key that [`ISSUER`] publishes.
    pub issuer: SigningKey,
}

impl Entra {
    /// The claims of the token, if one was granted. Every answer is a token or a whole refusal, and the sign-in log has it.
    pub fn ask(&self, path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Option<Value> {
        let mut request = Request::post(format!("https://localhost/contoso.com/{path}"))
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            let Ok(value) = http::HeaderValue::from_bytes(value) else { continue };
            request = request.header(*name, value);
        }
        let request = request.body(body.to_vec()).expect("a request");
        let answer = self.service.answer(request).expect("no fault was asked for");
        let status = answer.status().as_u16();
        let said: Value = serde_json::from_slice(answer.body()).expect("an answer is JSON");
        let entry = self.service.last_sign_in().expect("every request is logged");
        if status == 200 {
            let token = said["access_token"].as_str().expect("a token");
            let claims = token.split('.').nth(1).expect("three parts");
            let claims: Value =
                serde_json::from_slice(&base64url::decode(claims).expect("base64url")).expect("claims are JSON");
            assert_eq!(claims["tid"], TENANT);
            assert_eq!(if claims["ver"] == "2.0" { &claims["azp"] } else { &claims["appid"] }, CLIENT);
            let roles = claims["roles"].as_array().cloned().unwrap_or_default();
            assert!(roles.iter().all(|role| role == ROLE), "roles that were not granted");
            assert_eq!(entry.code, None);
            return Some(claims);
        }
        assert!((400..500).contains(&status), "status {status}");
        let code = said["error_codes"][0].as_u64().expect("a code");
        assert_eq!(entry.code.map(u64::from), Some(code));
        assert_eq!(said["trace_id"], entry.trace_id.to_string());
        let words = said["error_description"].as_str().expect("a description");
        assert!(words.starts_with(&format!("AADSTS{code}: ")) && words.len() < 8192);
        assert!(said["error"].is_string() && said["correlation_id"].is_string() && said["timestamp"].is_string());
        None
    }
}

/// By its clock, which stands still.
pub const NOW: i64 = 1_800_000_000;
pub const TENANT: &str = "11111111-aaaa-4aaa-8aaa-000000000001";
pub const CLIENT: &str = "33333333-cccc-4ccc-8ccc-000000000003";
pub const ROLE: &str = "DaemonAppRole";
pub const ISSUER: &str = "https://issuer.example";
pub const SUBJECT: &str = "repo:contoso/daemon:ref:refs/heads/main";
