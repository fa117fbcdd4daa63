//! Tokens bound to keys: what is asked for, what is signed, and what is kept.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::{Duration, UNIX_EPOCH};

use apptoken::clock::Clock;
use apptoken::{AccessToken, AcquiredFrom, ErrorKind, PopKey, PopRequest, Signer, SigningAlgorithm};
use apptoken_jose::base64url;
use common::{FABRIKAM, GRAPH, TODO, World, secret};
use http::Method;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde_json::{Value, json};
use testkit::keys;

/// The thumbprint (RFC 7638) of `keys::PKCS8`, by another implementation.
fn kid() -> String {
    let key = EncodingKey::from_rsa_pem(keys::PKCS8).unwrap();
    Jwk::from_encoding_key(&key, Algorithm::PS256).unwrap().thumbprint(ThumbprintHash::SHA256).unwrap()
}

fn key() -> PopKey {
    PopKey::from_pem(keys::PKCS8, None).unwrap()
}

fn todo() -> PopRequest {
    PopRequest::new(Method::GET, "https://api.contoso.com/todo/1?done=true").unwrap()
}

fn header_text(header: &http::HeaderValue) -> String {
    assert!(header.is_sensitive());
    header.to_str().unwrap().to_owned()
}

/// The claims of a signed request, its signature checked by the jsonwebtoken crate with the key inside.
fn verified(signed: &str) -> Value {
    let payload: Value =
        serde_json::from_slice(&base64url::decode(signed.split('.').nth(1).unwrap()).unwrap()).unwrap();
    let jwk = &payload["cnf"]["jwk"];
    let key = DecodingKey::from_rsa_components(jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::PS256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    jsonwebtoken::decode::<Value>(signed, &key, &rules).unwrap().claims
}

fn claims(token: &AccessToken) -> Value {
    let payload = token.secret().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64url::decode(payload).unwrap()).unwrap()
}

/// Fixed inputs, every byte but the signature's.
#[tokio::test]
async fn what_is_signed() {
    let world = World::start().await;
    let client = world.bare().client_secret(secret()).pop_key(key()).build().unwrap();
    let request = todo().nonce("a nonce").claims(r#"{"more":[1]}"#).unwrap();
    let signed = client.acquire_token_for_client(TODO).signed_http_request(request).await.unwrap();
    let header = header_text(&signed.authorization_header());
    let jws = header.strip_prefix("PoP ").unwrap();
    let head = base64url::decode(jws.split('.').next().unwrap()).unwrap();
    assert_eq!(String::from_utf8(head).unwrap(), format!(r#"{{"alg":"PS256","kid":"{}","typ":"pop"}}"#, kid()));
    let (payload, token) = (verified(jws), signed.access_token());
    let ts = world.clock.system_time().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let n = payload["cnf"]["jwk"]["n"].clone();
    assert_eq!(
        payload,
        json!({
            "at": token.secret(), "cnf": { "jwk": { "e": "AQAB", "kty": "RSA", "n": n } }, "m": "GET", "more": [1],
            "nonce": "a nonce", "p": "/todo/1", "ts": ts, "u": "api.contoso.com",
        })
    );
    assert_eq!(claims(token)["cnf"], json!({ "kid": kid() }));
    assert_eq!((token.token_type(), key().id()), ("pop", kid().as_str()));
    assert_eq!(header_text(&token.authorization_header()), format!("PoP {}", token.secret()));
    testkit::witness(&signed);
    testkit::witness(token);
    for (url, u, p) in [
        ("https://API.contoso.com:8443", "api.contoso.com:8443", "/"),
        ("https://api.contoso.com:443/a%20b", "api.contoso.com", "/a%20b"),
        ("http://[::1]:80/x", "[::1]", "/x"),
    ] {
        let request = PopRequest::new(Method::POST, url).unwrap();
        let signed = client.acquire_token_for_client(TODO).signed_http_request(request).await.unwrap();
        let payload = verified(header_text(&signed.authorization_header()).strip_prefix("PoP ").unwrap());
        assert_eq!(
            (payload["m"].as_str(), payload["u"].as_str(), payload["p"].as_str()),
            (Some("POST"), Some(u), Some(p))
        );
    }
}

#[tokio::test]
async fn one_token_many_signatures_until_the_key_is_replaced() {
    let world = World::start().await;
    let client = world.client();
    let sign = async || client.acquire_token_for_client(TODO).signed_http_request(todo()).await.unwrap();
    let (first, second) = (sign().await, sign().await);
    assert_eq!(second.access_token().metadata().source, AcquiredFrom::Cache);
    assert_eq!(first.access_token().secret(), second.access_token().secret());
    assert_ne!(first.authorization_header(), second.authorization_header());
    assert_eq!(world.requests(), 1);
    // Neither is served for the other.
    let plain = client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!((plain.token_type(), world.requests()), ("Bearer", 2));
    assert_eq!(claims(&plain).get("cnf"), None);
    // Another key, and so another token, though the old one would be good for the next three hours.
    world.entra.faults().token_lifetime(Some(Duration::from_secs(12 * 3600)));
    let long = client.acquire_token_for_client(GRAPH).signed_http_request(todo()).await.unwrap();
    world.advance(Duration::from_secs(8 * 3600));
    let after = client.acquire_token_for_client(GRAPH).signed_http_request(todo()).await.unwrap();
    assert_eq!(world.requests(), 4);
    assert_ne!(claims(long.access_token())["cnf"], claims(after.access_token())["cnf"]);
}

#[tokio::test]
async fn each_key_has_its_own_token_and_signing_can_be_left_to_the_program() {
    let world = World::start().await;
    let client = world.client();
    let (one, other) = (key(), PopKey::from_pem(keys::OTHER_KEY, None).unwrap());
    for key in [&one, &other] {
        let token = client.acquire_token_for_client(TODO).bound_to(key).await.unwrap();
        assert_eq!((token.token_type(), &claims(&token)["cnf"]), ("pop", &json!({ "kid": key.id() })));
    }
    let again = client.acquire_token_for_client(TODO).bound_to(&one).await.unwrap();
    assert_eq!((again.metadata().source, world.requests()), (AcquiredFrom::Cache, 2));
    let elsewhere = client.acquire_token_for_client(TODO).tenant(FABRIKAM).bound_to(&one).await.unwrap();
    assert_eq!((elsewhere.tenant_id(), world.requests()), (FABRIKAM, 3));
}

#[tokio::test]
async fn a_bearer_token_in_place_of_a_bound_one_is_refused() {
    testkit::init();
    let answer = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 3600 }).to_string();
    let world = World::start().await;
    let fault = apptoken_emulator::Fault::Status { status: 200, retry_after: None, body: Some(answer) };
    world.entra.faults().next_token_requests(1, fault);
    let error = world.client().acquire_token_for_client(TODO).bound_to(&key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let said = error.to_string();
    assert!(said.starts_with(r#"the authority issued a token of type "Bearer" where pop was asked for"#), "{said}");
}

/// A key that stays where it is, and signs wrongly when told.
struct Vault {
    key: apptoken_jose::SigningKey,
    wrong: bool,
}

impl Signer for Vault {
    async fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let message = if self.wrong { b"something else" } else { message };
        Ok(self.key.sign(algorithm, message)?)
    }
}

#[tokio::test]
async fn a_key_may_stay_where_it_is() {
    let world = World::start().await;
    for wrong in [false, true] {
        let key = apptoken_jose::SigningKey::from_pem(keys::PKCS8, None).unwrap();
        let jwk = key.public_key().canonical_jwk();
        let key = PopKey::from_signer(&jwk, Vault { key, wrong }).unwrap();
        assert_eq!(key.id(), kid());
        let client = world.bare().client_secret(secret()).pop_key(key).build().unwrap();
        let signed = client.acquire_token_for_client(TODO).signed_http_request(todo()).await;
        match signed {
            Ok(signed) => drop(verified(&header_text(&signed.authorization_header())["PoP ".len()..])),
            Err(error) => assert!(wrong && error.to_string().contains("does not fit"), "{error}"),
        }
    }
    assert!(
        PopKey::from_signer("{}", Vault { key: apptoken_jose::SigningKey::generate().unwrap(), wrong: false }).is_err()
    );
}

#[test]
fn what_cannot_be_signed_is_refused() {
    for url in ["", "todo", "data:text/plain,x"] {
        let error = PopRequest::new(Method::GET, url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
    }
    for own in ["at", "ts", "cnf", "nonce", "b"] {
        let error = todo().claims(json!({ own: 1 }).to_string()).unwrap_err();
        assert!(error.to_string().contains(&format!("{own:?}")), "{error}");
    }
    assert!(todo().claims("[]").is_err());
    assert!(PopKey::from_pem(keys::CERTIFICATE, None).is_err());
}
