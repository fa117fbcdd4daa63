//! The whole way, each leg over real TLS: the client, the local Entra ID, the API. What is stolen is worth nothing.

use std::sync::Arc;

use apptoken::clock::ManualClock;
use apptoken::{AcquiredFrom, Certificate, ClientIdentity, ConfidentialClient, Credential, PopRequest};
use apptoken_emulator::Emulator;
use apptoken_jose::issue::{self, Ca};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method};

use crate::caller::api;
use crate::local_entra::{DOMAIN, guard, seed};
use crate::tls;
use crate::tokens::APP;

const SCOPE: &str = "api://todolist/.default";

struct World {
    entra: Emulator,
    ca: Ca,
    url: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_certificate() {
    let world = World::start().await;
    let client = world.client(world.certificate());
    let token = client.acquire_token_for_client(SCOPE).mtls_proof_of_possession().await.unwrap();
    let mine = token.binding_certificate().unwrap();
    assert_eq!(world.call(Some(mine), token.authorization_header()).await, (200, APP.to_owned()));

    // Stolen: with the thief's own certificate, with none, and as a bearer token.
    let thief = world.client(world.certificate());
    let his = thief.acquire_token_for_client(SCOPE).mtls_proof_of_possession().await.unwrap();
    let his = his.binding_certificate().unwrap();
    world.refused(Some(his), token.authorization_header(), "mtls_pop", "binding_mismatch").await;
    world.refused(None, token.authorization_header(), "mtls_pop", "client_certificate_missing").await;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token.secret())).unwrap();
    world.refused(Some(mine), bearer, "mtls_pop", "token_bound").await;

    // The certificate is renewed: a new token, which the old one does not go with.
    client.replace_credential(Credential::certificate(world.certificate())).unwrap();
    let renewed = client.acquire_token_for_client(SCOPE).mtls_proof_of_possession().await.unwrap();
    assert_eq!(renewed.metadata().source, AcquiredFrom::Authority);
    assert_eq!(world.call(renewed.binding_certificate(), renewed.authorization_header()).await.0, 200);
    world.refused(Some(mine), renewed.authorization_header(), "mtls_pop", "binding_mismatch").await;
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_signed_for_itself() {
    let world = World::start().await;
    let client = world.client(world.certificate());
    let sign = async |method, path: &str| {
        let request = PopRequest::new(method, format!("{}{path}", world.url)).unwrap();
        client.acquire_token_for_client(SCOPE).signed_http_request(request).await.unwrap()
    };
    let signed = sign(Method::GET, "/todo").await;
    assert_eq!(world.call(None, signed.authorization_header()).await, (200, APP.to_owned()));
    world.refused(None, signed.authorization_header(), "PoP", "signed_request_replayed").await;
    assert_eq!(world.call(None, sign(Method::GET, "/todo").await.authorization_header()).await.0, 200);
    assert_eq!(world.entra.token_requests(), 1, "each call signs anew, with the same token");
    for (method, path) in [(Method::POST, "/todo"), (Method::GET, "/both")] {
        let other = sign(method, path).await.authorization_header();
        world.refused(None, other, "PoP", "signed_request_mismatch").await;
    }
    // What is inside is no bearer token, and nobody else can sign for it.
    let bearer = HeaderValue::from_str(&format!("Bearer {}", signed.access_token().secret())).unwrap();
    world.refused(None, bearer, "PoP", "token_bound").await;
    let raw = signed.access_token().authorization_header();
    world.refused(None, raw, "PoP", "signed_request_invalid").await;
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

impl World {
    async fn start() -> Self {
        testkit::init();
        let start = Emulator::builder().seed_json(&seed()).unwrap().ask_for_client_certificates().start();
        let entra = start.await.unwrap();
        entra.directory().grant_admin_consent(DOMAIN, APP).unwrap();
        let protect = guard(&entra, "api://todolist").client_id(crate::tokens::API).unwrap().build().await.unwrap();
        let ca = Ca::generate("the API's", entra.clock().now()).unwrap();
        let url = tls::serve(&ca, api(protect), entra.clock().now()).await;
        Self { entra, ca, url }
    }

    /// A new one that the daemon has registered.
    fn certificate(&self) -> Certificate {
        let (leaf, key) = issue::self_signed("daemon", self.entra.clock().now(), 30).unwrap();
        self.entra.directory().add_certificate(APP, "test", &leaf).unwrap();
        let pem = key.to_pkcs8_pem().unwrap();
        Certificate::from_pem(leaf.to_pem().as_bytes(), pem.as_bytes(), None).unwrap()
    }

    fn client(&self, certificate: Certificate) -> ConfidentialClient {
        ConfidentialClient::builder(APP)
            .tenant(DOMAIN)
            .authority(self.entra.authority())
            .add_root_certificate_pem(self.entra.ca_pem())
            .clock(Arc::new(ManualClock::new(self.entra.clock().now())))
            .certificate(certificate)
            .build()
            .unwrap()
    }

    /// Status and body of `GET /todo`.
    async fn call(&self, showing: Option<&ClientIdentity>, authorization: HeaderValue) -> (u16, String) {
        let (status, _, body) = self.send(showing, authorization).await;
        (status, body)
    }

    async fn refused(&self, showing: Option<&ClientIdentity>, authorization: HeaderValue, scheme: &str, reason: &str) {
        let (status, challenge, body) = self.send(showing, authorization).await;
        assert_eq!(status, 401, "{body}");
        assert!(body.contains(&format!("\"{reason}\"")), "{reason}: {body}");
        assert!(challenge.starts_with(&format!("{scheme} realm=")), "{challenge}");
    }

    async fn send(&self, showing: Option<&ClientIdentity>, authorization: HeaderValue) -> (u16, String, String) {
        let ca = reqwest::Certificate::from_der(self.ca.certificate().der()).unwrap();
        let mut client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
        if let Some(identity) = showing {
            client = client.identity(reqwest::Identity::from_pem(identity.to_pem().unwrap().as_bytes()).unwrap());
        }
        let request = client.build().unwrap().get(format!("{}/todo", self.url)).header(AUTHORIZATION, authorization);
        let answer = request.send().await.unwrap();
        let challenge = answer.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge.unwrap_or_default(), answer.text().await.unwrap())
    }
}
