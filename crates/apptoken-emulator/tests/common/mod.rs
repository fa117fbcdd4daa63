//! A local Entra ID with a daemon, two APIs and two tenants, and an HTTPS client that trusts it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use apptoken_emulator::{Emulator, EmulatorBuilder};
use apptoken_jose::{Certificate, SigningKey, issue, jwk::JwkSet};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value};
use testkit::CANARY;
use url::form_urlencoded::Serializer;
use uuid::{Uuid, uuid};

pub(crate) const CONTOSO: Uuid = uuid!("11111111-aaaa-4aaa-8aaa-000000000001");
pub(crate) const FABRIKAM: Uuid = uuid!("22222222-bbbb-4bbb-8bbb-000000000002");
pub(crate) const DAEMON: Uuid = uuid!("33333333-cccc-4ccc-8ccc-000000000003");
/// Tokens of version 2.
pub(crate) const API_V2: Uuid = uuid!("44444444-dddd-4ddd-8ddd-000000000004");
/// Tokens of version 1.
pub(crate) const API_V1: Uuid = uuid!("55555555-eeee-4eee-8eee-000000000005");
pub(crate) const GRAPH: Uuid = uuid!("00000003-0000-0000-c000-000000000000");
pub(crate) const GRAPH_DEFAULT: &str = "https://graph.microsoft.com/.default";
pub(crate) const API_V2_DEFAULT: &str = "api://todolist/.default";

pub(crate) struct Entra {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) json: Value,
}

/// A daemon's certificate and its key, also in PEM.
pub(crate) struct DaemonKey {
    pub(crate) certificate: Certificate,
    pub(crate) key: SigningKey,
    pub(crate) key_pem: String,
}

pub(crate) fn secret() -> String {
    format!("{CANARY}~the.daemon's+secret/&=%")
}

/// What the tests share: see the constants.
pub(crate) fn describe() -> EmulatorBuilder {
    testkit::init();
    Emulator::builder()
        .tenant("contoso", |contoso| {
            contoso.id(CONTOSO).display_name("Contoso").domain("contoso.com");
            contoso.user("Ada Lovelace", "ada@contoso.com").user("Alan Turing", "alan@contoso.com");
            contoso.application("TodoList API", |api| {
                api.app_id(API_V2).identifier_uri("api://todolist").v2_tokens();
                api.app_role("DaemonAppRole").app_role("Reader").app_role("NeverAsked");
            });
            contoso.application("Orders API", |api| {
                api.app_id(API_V1).identifier_uri("https://contoso.com/orders").app_role("Orders.Read");
            });
            contoso.application("Daemon", |daemon| {
                daemon.app_id(DAEMON).secret(secret());
                daemon.requires("api://todolist", ["DaemonAppRole", "Reader"]);
                daemon.requires("https://graph.microsoft.com", ["User.Read.All"]);
            });
        })
        .tenant("fabrikam", |fabrikam| {
            fabrikam.id(FABRIKAM);
        })
}

pub(crate) async fn start() -> Entra {
    start_with(describe()).await
}

pub(crate) async fn start_with(builder: EmulatorBuilder) -> Entra {
    let emulator = builder.start().await.unwrap();
    let client = client(&emulator).build().unwrap();
    Entra { emulator, client }
}

pub(crate) fn client(emulator: &Emulator) -> reqwest::ClientBuilder {
    let ca = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
    Client::builder().tls_certs_only([ca]).no_proxy()
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A good request, as a form: each `(name, value)` replaces, an empty value removes.
pub(crate) fn good(changes: &[(&str, &str)]) -> String {
    let secret = secret();
    let daemon = DAEMON.to_string();
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", daemon.as_str()),
        ("client_secret", secret.as_str()),
        ("scope", API_V2_DEFAULT),
    ];
    for change in changes {
        fields.retain(|(name, _)| *name != change.0);
        if !change.1.is_empty() {
            fields.push(*change);
        }
    }
    form(&fields)
}

impl Entra {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.emulator.authority())
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Answer { status, headers, json: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    pub(crate) fn post(&self, path: &str, body: String) -> RequestBuilder {
        self.client
            .request(Method::POST, self.url(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// At Contoso's v2.0 token endpoint.
    pub(crate) async fn token(&self, changes: &[(&str, &str)]) -> Answer {
        self.send(self.post("/contoso.onmicrosoft.com/oauth2/v2.0/token", good(changes))).await
    }

    /// A token that was granted.
    pub(crate) async fn granted(&self, scope: &str) -> String {
        let answer = self.token(&[("scope", scope)]).await;
        assert_eq!(answer.status, 200, "{}", answer.json["error_description"]);
        answer.json["access_token"].as_str().unwrap().to_owned()
    }

    /// The claims of a token, checked by a validator that is not ours, with the keys that are published.
    pub(crate) async fn claims(&self, token: &str) -> Map<String, Value> {
        let keys = self.get("/contoso.onmicrosoft.com/discovery/v2.0/keys").await;
        verify(token, &serde_json::from_value(keys.json).unwrap()).expect("the signature is good")
    }

    /// Registers a new certificate for the daemon.
    pub(crate) fn new_certificate(&self) -> DaemonKey {
        let daemon = daemon_key(&self.emulator);
        self.emulator.directory().add_certificate(&DAEMON.to_string(), "test", &daemon.certificate).unwrap();
        daemon
    }

    /// The newest entry of the sign-in log.
    pub(crate) fn last_sign_in(&self) -> apptoken_emulator::SignIn {
        self.emulator.sign_ins().pop().expect("an entry")
    }
}

/// A certificate that no application has yet.
pub(crate) fn daemon_key(emulator: &Emulator) -> DaemonKey {
    let (certificate, key) = issue::self_signed("daemon", emulator.clock().now(), 30).unwrap();
    let key_pem = key.to_pkcs8_pem().unwrap().to_string();
    DaemonKey { certificate, key, key_pem }
}

/// Signature only, by the jsonwebtoken crate: times are the emulator's clock's business.
pub(crate) fn verify(token: &str, keys: &JwkSet) -> Option<Map<String, Value>> {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys.keys.iter().find(|key| key.kid == header.kid)?;
    let key = jsonwebtoken::DecodingKey::from_rsa_components(key.n.as_ref()?, key.e.as_ref()?).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    jsonwebtoken::decode(token, &key, &rules).ok().map(|data| data.claims)
}
