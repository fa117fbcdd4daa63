//! Tokens bound to a key: by signed requests, made by another implementation, and by certificates.

use std::time::Duration;

use apptoken_protect::{ClientCertificate, ProtectBuilder};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::authority::Authority;
use crate::caller::{TestClock, api, builder};
use crate::tokens::{NOW, Signer, v2, with};

/// The key of a client, and the tokens of its authority.
struct World {
    issuer: Signer,
    authority: Authority,
    clock: TestClock,
    /// Not the issuer's.
    key: Signer,
}

#[tokio::test]
async fn a_signed_request_is_for_itself_and_once() {
    let world = World::start().await;
    let api = world.api(|builder| builder).await;
    let good = world.signed("n-1", &[]);
    assert_eq!(get(&api, "PoP", &good).await.0, 200);
    world.refused(&api, "PoP", &good, "signed_request_replayed").await;
    world.clock.advance(299);
    world.refused(&api, "pop", &good, "signed_request_replayed").await;
    world.clock.advance(2);
    world.refused(&api, "PoP", &good, "signed_request_expired").await;
    assert_eq!(get(&api, "PoP", &world.signed("n-2", &[])).await.0, 200);
}

#[tokio::test]
async fn a_signed_request_for_another_is_refused() {
    let world = World::start().await;
    let api = world.api(|builder| builder).await;
    let foreign = world.issuer.sign(&with(v2(), &[("cnf", json!({ "kid": "someone-elses" }))]));
    let unbound = world.issuer.sign(&v2());
    let to_certificate = world.issuer.sign(&with(v2(), &[("cnf", json!({ "x5t#S256": "abc" }))]));
    let mut damaged = world.bound();
    damaged.replace_range(damaged.len() - 8.., "AAAAAAAA");
    let no_key = with(world.confirmation(), &[("jwk", Value::Null)]);
    for (name, changes, reason) in [
        ("method", vec![("m", json!("POST"))], "signed_request_mismatch"),
        ("no method", vec![("m", Value::Null)], "signed_request_mismatch"),
        ("host", vec![("u", json!("evil.example"))], "signed_request_mismatch"),
        ("port", vec![("u", json!("api.example:8443"))], "signed_request_mismatch"),
        ("no host", vec![("u", Value::Null)], "signed_request_mismatch"),
        ("path", vec![("p", json!("/both"))], "signed_request_mismatch"),
        ("letter case of the path", vec![("p", json!("/TODO"))], "signed_request_mismatch"),
        ("no path", vec![("p", Value::Null)], "signed_request_mismatch"),
        ("too old", vec![("ts", json!(NOW - 301))], "signed_request_expired"),
        ("ahead", vec![("ts", json!(NOW + 301))], "signed_request_expired"),
        ("no time", vec![("ts", Value::Null)], "signed_request_invalid"),
        ("a time in a string", vec![("ts", json!(NOW.to_string()))], "signed_request_invalid"),
        ("no nonce", vec![("nonce", Value::Null)], "signed_request_invalid"),
        ("an empty nonce", vec![("nonce", json!(""))], "signed_request_invalid"),
        ("no token", vec![("at", Value::Null)], "signed_request_invalid"),
        ("no key", vec![("cnf", no_key)], "signed_request_invalid"),
        ("a token bound to another key", vec![("at", json!(foreign))], "binding_mismatch"),
        ("a token bound to nothing", vec![("at", json!(unbound))], "token_not_bound"),
        ("a token bound to a certificate", vec![("at", json!(to_certificate))], "token_not_bound"),
        ("a forged token", vec![("at", json!(damaged))], "signature_invalid"),
    ] {
        let signed = world.signed("nonce", &changes);
        assert_eq!(get(&api, "PoP", &signed).await.1, reason, "{name}");
    }
    world.refused(&api, "PoP", &world.bound(), "signed_request_invalid").await;
    // Another's signature, over the key and the token of the honest client: what a thief can make.
    let stolen = shr("RS256", &world.claims("n", &[]), &world.issuer);
    world.refused(&api, "PoP", &stolen, "signed_request_invalid").await;
    // Nothing of it all has spent the nonce.
    assert_eq!(get(&api, "PoP", &world.signed("nonce", &[])).await.0, 200);
}

#[tokio::test]
async fn what_honest_clients_write() {
    let world = World::start().await;
    let api = world.api(|builder| builder).await;
    for (i, changes) in [
        vec![("u", json!("API.example:443"))],
        vec![("m", json!("get"))],
        vec![("ts", json!(NOW - 300))],
        vec![("ts", json!(NOW + 300))],
        // A token that holds the key itself.
        vec![("at", json!(world.issuer.sign(&with(v2(), &[("cnf", world.confirmation())])))), ("cnf", Value::Null)],
        vec![("q", json!([["a"], "x"])), ("b", json!("x"))],
    ]
    .into_iter()
    .enumerate()
    {
        let (status, reason, _) = get(&api, "PoP", &world.signed(&format!("n{i}"), &changes)).await;
        assert_eq!((status, reason.as_str()), (200, ""), "{changes:?}");
    }
    assert_eq!(get(&api, "PoP", &shr("RS256", &world.claims("rs", &[]), &world.key)).await.0, 200);
    let behind_proxy = world.api(|builder| builder.host("public.example")).await;
    assert_eq!(get(&behind_proxy, "PoP", &world.signed("x", &[("u", json!("public.example"))])).await.0, 200);
    assert_eq!(get(&behind_proxy, "PoP", &world.signed("y", &[])).await.1, "signed_request_mismatch");
}

#[tokio::test]
async fn the_memory_of_replays_has_a_bound() {
    let world = World::start().await;
    let api = world.api(|b| b.replay_memory(1).signed_request_lifetime(Duration::from_secs(60))).await;
    assert_eq!(get(&api, "PoP", &world.signed("1", &[])).await.0, 200);
    assert_eq!(get(&api, "PoP", &world.signed("2", &[])).await, (503, "replay_memory_full".into(), Vec::new()));
    world.refused(&api, "PoP", &world.signed("1", &[]), "signed_request_replayed").await;
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token() {
    let world = World::start().await;
    let api = world.api(|builder| builder).await;
    let (_, reason, challenges) = get(&api, "Bearer", &world.bound()).await;
    assert_eq!(reason, "token_bound");
    assert!(challenges.len() == 1 && challenges[0].starts_with("PoP realm="), "{challenges:?}");
    let to_certificate = world.issuer.sign(&with(v2(), &[("cnf", json!({ "x5t#S256": "abc" }))]));
    let (_, reason, challenges) = get(&api, "Bearer", &to_certificate).await;
    assert_eq!(reason, "token_bound");
    assert!(challenges.len() == 1 && challenges[0].starts_with("mtls_pop realm="), "{challenges:?}");
    let odd = world.issuer.sign(&with(v2(), &[("cnf", json!(7))]));
    assert_eq!(get(&api, "Bearer", &odd).await.1, "token_bound");
}

#[tokio::test]
async fn where_proof_is_required_it_is_said_how() {
    let world = World::start().await;
    let api = world.api(|builder| builder.require_proof_of_possession(true)).await;
    assert_eq!(get(&api, "PoP", &world.signed("n", &[])).await.0, 200);
    for (scheme, token, reason) in
        [("Bearer", world.issuer.sign(&v2()), "proof_required"), ("", "".into(), "token_missing")]
    {
        let (status, said, challenges) = get(&api, scheme, &token).await;
        assert_eq!((status, said.as_str()), (401, reason));
        let schemes: Vec<_> = challenges.iter().filter_map(|challenge| challenge.split(' ').next()).collect();
        assert_eq!(schemes, ["mtls_pop", "PoP"]);
    }
}

#[tokio::test]
async fn a_certificate_must_be_the_one_that_the_token_names() {
    let world = World::start().await;
    let api = world.api(|builder| builder).await;
    let (mine, other) = (ClientCertificate::from_der(b"mine"), ClientCertificate::from_der(b"other"));
    let token = world.issuer.sign(&with(v2(), &[("cnf", json!({ "x5t#S256": mine.x5t_s256() }))]));
    for (certificate, token, status, reason) in [
        (Some(&mine), &token, 200, ""),
        (Some(&other), &token, 401, "binding_mismatch"),
        (None, &token, 401, "client_certificate_missing"),
        (Some(&mine), &world.issuer.sign(&v2()), 401, "token_not_bound"),
        (Some(&mine), &world.bound(), 401, "token_not_bound"),
    ] {
        let mut request = request("/todo", "mtls_pop", token);
        if let Some(certificate) = certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let (said, why, challenges) = send(&api, request).await;
        assert_eq!((said, why.as_str()), (status, reason));
        assert!(status == 200 || challenges[0].starts_with("mtls_pop realm="), "{challenges:?}");
    }
    // A role that is missing is asked for in the scheme that was used.
    let mut request = request("/both", "mtls_pop", &token);
    request.extensions_mut().insert(mine);
    let (status, _, challenges) = send(&api, request).await;
    assert!(status == 403 && challenges[0].starts_with("mtls_pop ") && challenges[0].contains("insufficient_scope"));
}

impl World {
    async fn start() -> Self {
        testkit::init();
        let issuer = Signer::first();
        Self { authority: Authority::start(&issuer).await, issuer, clock: TestClock::new(), key: Signer::second() }
    }

    async fn api(&self, change: impl FnOnce(ProtectBuilder) -> ProtectBuilder) -> Router {
        api(change(builder(&self.authority, &self.clock)).build().await.unwrap())
    }

    /// A token bound to the client's key by its thumbprint.
    fn bound(&self) -> String {
        let jwk = Jwk::from_encoding_key(&self.key.key, Algorithm::RS256).unwrap();
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).unwrap();
        self.issuer.sign(&with(v2(), &[("cnf", json!({ "kid": kid }))]))
    }

    fn confirmation(&self) -> Value {
        let jwk = self.key.jwk();
        json!({ "jwk": { "e": jwk["e"], "kty": "RSA", "n": jwk["n"] } })
    }

    fn claims(&self, nonce: &str, changes: &[(&str, Value)]) -> Value {
        let claims = json!({
            "cnf": self.confirmation(), "ts": NOW, "at": self.bound(), "nonce": nonce,
            "m": "GET", "u": "api.example", "p": "/todo",
        });
        with(claims, changes)
    }

    fn signed(&self, nonce: &str, changes: &[(&str, Value)]) -> String {
        let now = self.clock.function()().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = self.claims(nonce, &[("ts", json!(now))]);
        claims = with(claims, changes);
        shr("PS256", &claims, &self.key)
    }

    /// 401 in the words of the scheme.
    async fn refused(&self, api: &Router, scheme: &str, token: &str, reason: &str) {
        let (status, said, challenges) = get(api, scheme, token).await;
        assert_eq!((status, said.as_str()), (401, reason));
        assert!(challenges.len() == 1 && challenges[0].starts_with("PoP realm="), "{challenges:?}");
        assert!(challenges[0].contains(r#"error="invalid_token""#), "{challenges:?}");
    }
}

fn shr(algorithm: &str, claims: &Value, key: &Signer) -> String {
    let mut header = Header::new(algorithm.parse().unwrap());
    header.typ = Some("pop".into());
    header.kid = Some("any".into());
    let key: &EncodingKey = &key.key;
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn request(path: &str, scheme: &str, token: &str) -> Request<Body> {
    let mut request = Request::builder().method(Method::GET).uri(path).header(header::HOST, "api.example");
    if !scheme.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("{scheme} {token}"));
    }
    request.body(Body::empty()).unwrap()
}

async fn get(api: &Router, scheme: &str, token: &str) -> (u16, String, Vec<String>) {
    send(api, request("/todo", scheme, token)).await
}

/// Status, the problem's reason, and the challenges.
async fn send(api: &Router, request: Request<Body>) -> (u16, String, Vec<String>) {
    let (head, body) = api.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let problem: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let challenges = head.headers.get_all(header::WWW_AUTHENTICATE);
    let challenges = challenges.iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    (head.status.as_u16(), problem["reason"].as_str().unwrap_or_default().to_owned(), challenges)
}
