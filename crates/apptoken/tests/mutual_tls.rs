//! Certificates on TLS: tokens bound to them, and bearer tokens got over such connections.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use apptoken::{
    AccessToken, AcquiredFrom, BoundAssertion, Certificate, ClientIdentity, ConfidentialClientBuilder, Credential,
    ErrorKind, SecretString,
};
use apptoken_emulator::EmulatorBuilder;
use apptoken_jose::{Algorithm, SigningKey, base64url, issue, jws};
use common::{DAEMON, TODO, World, certificate, secret};
use serde_json::{Map, Value, json};
use testkit::keys;

/// What went out: the form, and what the connection was to show.
type Sent = (Vec<(String, String)>, Option<ClientIdentity>);

#[derive(Clone)]
struct Recording {
    to: Arc<ReqwestTransport>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Transport for Recording {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let form = url::form_urlencoded::parse(request.body()).into_owned().collect();
        self.sent.lock().unwrap().push((form, request.extensions().get().cloned()));
        self.to.send(request).await
    }
}

impl Recording {
    fn last(&self) -> Sent {
        self.sent.lock().unwrap().last().unwrap().clone()
    }
}

async fn world() -> World {
    World::start_with(EmulatorBuilder::ask_for_client_certificates).await
}

fn recorded(world: &World) -> (Recording, ConfidentialClientBuilder) {
    let to = ReqwestTransport::builder().add_root_certificate_pem(world.entra.ca_pem().as_bytes()).unwrap().build();
    let recording = Recording { to: Arc::new(to), sent: Arc::default() };
    let builder = apptoken::ConfidentialClient::builder(DAEMON)
        .tenant(common::CONTOSO)
        .authority(world.entra.authority())
        .clock(world.clock.clone())
        .transport(recording.clone());
    (recording, builder)
}

fn field<'a>((form, _): &'a Sent, name: &str) -> Option<&'a str> {
    form.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn confirmation(token: &AccessToken) -> Option<String> {
    let claims = base64url::decode(token.secret().split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims.get("cnf").map(|cnf| cnf["x5t#S256"].as_str().unwrap().to_owned())
}

/// A new certificate, which the daemon has registered.
fn registered(world: &World) -> (Certificate, apptoken_jose::Certificate, SigningKey) {
    let (leaf, key) = issue::self_signed("daemon", world.entra.clock().now(), 30).unwrap();
    world.entra.directory().add_certificate(DAEMON, "test", &leaf).unwrap();
    let pem = key.to_pkcs8_pem().unwrap();
    (Certificate::from_pem(leaf.to_pem().as_bytes(), pem.as_bytes(), None).unwrap(), leaf, key)
}

#[tokio::test]
async fn a_certificate_on_tls_proves_the_app_and_binds_the_token() {
    let world = world().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).build().unwrap();
    let token = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap();
    let sent = recording.last();
    assert_eq!(field(&sent, "token_type"), Some("mtls_pop"));
    assert!(
        ["client_assertion", "client_assertion_type", "client_secret"].iter().all(|name| field(&sent, name).is_none())
    );
    let identity = token.binding_certificate().unwrap();
    assert_eq!(confirmation(&token).as_deref(), Some(identity.x5t_s256()));
    assert_eq!((token.token_type(), sent.1.as_ref()), ("mtls_pop", Some(identity)));
    assert_eq!(token.authorization_header().to_str().unwrap(), format!("mtls_pop {}", token.secret()));
    let der = apptoken_jose::Certificate::from_pem(keys::CERTIFICATE).unwrap();
    assert!(identity.chain().eq(der.iter().map(apptoken_jose::Certificate::der)));
    testkit::witness(&token);
    testkit::witness(identity);
    assert!(!format!("{identity:?}").contains("PRIVATE"));

    let again = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap();
    assert_eq!((again.metadata().source, again.binding_certificate()), (AcquiredFrom::Cache, Some(identity)));
    // Neither is served for the other, and a plain request shows no certificate.
    let plain = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!((plain.token_type(), plain.binding_certificate(), confirmation(&plain)), ("Bearer", None, None));
    assert_eq!((recording.last().1, world.requests()), (None, 2));
}

#[tokio::test]
async fn a_renewed_certificate_has_a_new_token_with_the_same_key_too() {
    let world = world().await;
    let (first, _, key) = registered(&world);
    let (_, builder) = recorded(&world);
    let client = builder.certificate(first).build().unwrap();
    let ask = async || client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap();
    let old = ask().await;
    // The same key under another certificate: what AADSTS500181 came from where only the key was compared.
    let (second, ..) = registered(&world);
    client.replace_credential(Credential::certificate(second)).unwrap();
    let new = ask().await;
    assert_eq!((new.metadata().source, world.requests()), (AcquiredFrom::Authority, 2));
    assert_ne!(confirmation(&new), confirmation(&old));
    assert_eq!(confirmation(&new).as_deref(), Some(new.binding_certificate().unwrap().x5t_s256()));
    assert_eq!(ask().await.metadata().source, AcquiredFrom::Cache);
    drop(key);
}

#[tokio::test]
async fn a_token_does_not_outlive_its_certificate() {
    let world = world().await;
    let (leaf, key) = issue::self_signed("daemon", world.entra.clock().now(), 1).unwrap();
    world.entra.directory().add_certificate(DAEMON, "test", &leaf).unwrap();
    let pem = key.to_pkcs8_pem().unwrap();
    let short = Certificate::from_pem(leaf.to_pem().as_bytes(), pem.as_bytes(), None).unwrap();
    world.entra.faults().token_lifetime(Some(std::time::Duration::from_secs(48 * 3600)));
    let (_, builder) = recorded(&world);
    let clock = Arc::new(apptoken::clock::ManualClock::new(world.entra.clock().now()));
    let client = builder.clock(clock).certificate(short).build().unwrap();
    let token = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap();
    let end = std::time::UNIX_EPOCH + std::time::Duration::from_secs(leaf.not_after().unsigned_abs());
    assert!(token.expires_on() <= end && token.expires_on() + common::minutes(1) > end);
}

#[tokio::test]
async fn a_bound_assertion_is_asked_for_once() {
    let world = world().await;
    let (certificate, leaf, key) = registered(&world);
    let (recording, builder) = recorded(&world);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let now = world.entra.clock().now_unix();
    let client = builder
        .bound_client_assertion(move |request: apptoken::AssertionRequest| {
            counted.fetch_add(1, Ordering::SeqCst);
            let claims = json!({
                "aud": request.token_endpoint, "iss": request.client_id, "sub": request.client_id,
                "nbf": now, "exp": now + 600, "jti": "1",
            });
            let header = Map::from_iter([("x5t#S256".to_owned(), leaf.x5t_s256().into())]);
            let assertion = jws::sign(&header, &claims, &key, Algorithm::Ps256).unwrap();
            let bound = BoundAssertion::new(assertion, certificate.clone());
            testkit::witness(&bound);
            async { Ok::<_, std::io::Error>(bound) }
        })
        .build()
        .unwrap();
    let token = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap();
    let sent = recording.last();
    assert_eq!(field(&sent, "client_assertion_type"), Some("urn:ietf:params:oauth:client-assertion-type:jwt-pop"));
    assert_eq!(confirmation(&token).as_deref(), Some(token.binding_certificate().unwrap().x5t_s256()));
    let again = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap();
    assert_eq!(again.binding_certificate(), token.binding_certificate());
    assert_eq!((calls.load(Ordering::SeqCst), world.requests()), (1, 1));
    // A bearer token by the same proof.
    let plain = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!((plain.token_type(), calls.load(Ordering::SeqCst)), ("Bearer", 2));
    assert!(recording.last().1.is_some());
}

#[tokio::test]
async fn a_bearer_token_over_mutual_tls() {
    let world = world().await;
    let (recording, builder) = recorded(&world);
    let client = builder.certificate(certificate()).send_certificate_over_mtls(true).build().unwrap();
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!((token.token_type(), token.binding_certificate(), confirmation(&token)), ("Bearer", None, None));
    let sent = recording.last();
    let header = field(&sent, "client_assertion").unwrap().split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&base64url::decode(&header).unwrap()).unwrap();
    assert_eq!(header["x5c"].as_array().map(Vec::len), Some(1), "the chain goes with it");
    assert_eq!(sent.1.unwrap().x5t_s256(), header["x5t#S256"]);
    let (_, builder) = recorded(&world);
    let error = builder.client_secret(secret()).send_certificate_over_mtls(true).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn without_a_certificate_nothing_is_sent() {
    let world = world().await;
    let bare = || recorded(&world).1;
    for client in [
        bare().client_secret(secret()),
        bare().static_assertion(SecretString::from("a.b.c")),
        bare().client_assertion(|_| async { Ok::<_, std::io::Error>("a.b.c") }),
        bare().federated_token_file("/nowhere"),
    ] {
        let client = client.build().unwrap();
        let error = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.advice().unwrap().contains("certificate"), "{error}");
    }
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn a_certificate_that_is_not_the_apps_is_refused() {
    let world = world().await;
    let (leaf, key) = issue::self_signed("stranger", world.entra.clock().now(), 30).unwrap();
    let pem = key.to_pkcs8_pem().unwrap();
    let stranger = Certificate::from_pem(leaf.to_pem().as_bytes(), pem.as_bytes(), None).unwrap();
    let client = recorded(&world).1.certificate(stranger).build().unwrap();
    let error = client.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap_err();
    assert!(error.denied().unwrap().has_code(700_027), "{error}");
}
