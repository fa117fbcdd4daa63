//! Tokens bound to a key (RFC 7800) and client certificates on TLS (RFC 8705), over real connections.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use apptoken_emulator::seed::SeedReplicationDelay;
use apptoken_jose::{Algorithm, base64url, jws};
use common::{API_V1, Answer, CONTOSO, DAEMON, DaemonKey, Entra, client, daemon_key, describe, start, start_with};
use reqwest::{Client, Identity};
use serde_json::{Map, Value, json};

const JWT_POP: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-pop";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[tokio::test]
async fn a_certificate_on_tls_is_enough_and_the_token_is_bound_to_it() {
    let entra = asking().await;
    let daemon = entra.new_certificate();
    for scope in ["api://todolist/.default", "https://contoso.com/orders/.default"] {
        let answer = ask(&entra, Some(&daemon), &[("token_type", "mtls_pop"), ("scope", scope)]).await;
        assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("mtls_pop")), "{}", answer.json);
        let token = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        assert_eq!(token["cnf"], json!({ "x5t#S256": daemon.certificate.x5t_s256() }));
        assert_eq!(token.get("azpacr").or_else(|| token.get("appidacr")), Some(&json!("2")));
    }
    // The same credential without the binding.
    let answer = ask(&entra, Some(&daemon), &[]).await;
    assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("Bearer")), "{}", answer.json);
    assert!(!entra.claims(answer.json["access_token"].as_str().unwrap()).await.contains_key("cnf"));
    // The v1 endpoint says it too.
    let body = common::form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &DAEMON.to_string()),
        ("resource", &API_V1.to_string()),
        ("token_type", "mtls_pop"),
    ]);
    let answer = send(&entra, Some(&daemon), "/contoso.com/oauth2/token", body).await;
    assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("mtls_pop")), "{}", answer.json);
}

#[tokio::test]
async fn only_the_applications_own_certificates_while_they_are_valid() {
    let entra = asking().await;
    let stranger = daemon_key(&entra.emulator);
    refused(&ask(&entra, Some(&stranger), &[("token_type", "mtls_pop")]).await, 700027, 401);
    let shown = entra.last_sign_in().evidence.pop().unwrap();
    assert_eq!((shown.subject.as_str(), shown.presented), ("thumbprint", stranger.certificate.thumbprint_hex()));

    let daemon = entra.new_certificate();
    entra.emulator.clock().advance(Duration::from_secs(40 * 86_400));
    refused(&ask(&entra, Some(&daemon), &[]).await, 392204, 401);
}

#[tokio::test]
async fn a_new_certificate_is_known_after_the_replication_delay() {
    let entra = asking().await;
    entra.emulator.clock().freeze();
    entra.emulator.faults().replication_delays(vec![SeedReplicationDelay { seconds: 30, ..Default::default() }]);
    let daemon = entra.new_certificate();
    for after in [0, 29] {
        entra.emulator.clock().advance(Duration::from_secs(after));
        refused(&ask(&entra, Some(&daemon), &[("token_type", "mtls_pop")]).await, 700027, 401);
        let shown = entra.last_sign_in().evidence.pop().unwrap();
        assert!(shown.presented.contains("not known everywhere yet"), "{shown:?}");
    }
    entra.emulator.clock().advance(Duration::from_secs(1));
    assert_eq!(ask(&entra, Some(&daemon), &[("token_type", "mtls_pop")]).await.status, 200);
}

#[tokio::test]
async fn without_a_certificate_nothing_is_bound_to_one() {
    let entra = asking().await;
    refused(&ask(&entra, None, &[("token_type", "mtls_pop")]).await, 392200, 400);
    refused(&entra.token(&[("token_type", "mtls_pop")]).await, 392200, 400);
    refused(&ask(&entra, None, &[]).await, 7000216, 401);
    // A secret proves nothing of the certificate beside it.
    let daemon = entra.new_certificate();
    let answer = ask(&entra, Some(&daemon), &[("token_type", "mtls_pop"), ("client_secret", &common::secret())]).await;
    refused(&answer, 9002313, 400);
    refused(&ask(&entra, Some(&daemon), &[("token_type", "ssh-cert")]).await, 9002313, 400);
}

#[tokio::test]
async fn where_it_is_not_asked_for_no_certificate_arrives() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    refused(&ask(&entra, Some(&daemon), &[("token_type", "mtls_pop")]).await, 392200, 400);
    let configuration = entra.get("/contoso.com/v2.0/.well-known/openid-configuration").await.json;
    assert!(configuration.get("mtls_endpoint_aliases").is_none());
}

#[tokio::test]
async fn by_entras_names_for_mutual_tls_it_asks_and_insists() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    for host in ["mtlsauth.microsoft.com", "westus2.mtlsauth.microsoft.com"] {
        let port = entra.emulator.authority().rsplit_once(':').unwrap().1.to_owned();
        let url = format!("https://{host}:{port}/{CONTOSO}/oauth2/v2.0/token");
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let by_name = |daemon| with_identity(&entra, daemon).resolve(host, address).build().unwrap();
        let post = async |client: Client, body| {
            let request = client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(body);
            entra.send(request).await
        };
        let bound = [("client_secret", ""), ("token_type", "mtls_pop")];
        let answer = post(by_name(Some(&daemon)), common::good(&bound)).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        refused(&post(by_name(None), common::good(&[])).await, 392200, 400);
    }
    let entra = asking().await;
    let configuration = entra.get("/contoso.com/v2.0/.well-known/openid-configuration").await.json;
    assert_eq!(configuration["tls_client_certificate_bound_access_tokens"], true);
    let alias = &configuration["mtls_endpoint_aliases"]["token_endpoint"];
    assert_eq!(*alias, entra.url(&format!("/{CONTOSO}/oauth2/v2.0/token")));
}

#[tokio::test]
async fn an_assertion_and_the_certificate_beside_it_are_one() {
    let entra = asking().await;
    let (daemon, other) = (entra.new_certificate(), entra.new_certificate());
    for kind in [JWT_BEARER, JWT_POP] {
        let own = assertion(&entra, &daemon, "x5t#S256");
        let fields = [("client_assertion_type", kind), ("client_assertion", own.as_str())];
        assert_eq!(ask(&entra, Some(&daemon), &fields).await.status, 200);
        let bound = [fields[0], fields[1], ("token_type", "mtls_pop")];
        let answer = ask(&entra, Some(&daemon), &bound).await;
        assert_eq!(answer.json["token_type"], "mtls_pop", "{}", answer.json);
        // Both are registered, and yet they are not one proof.
        refused(&ask(&entra, Some(&other), &fields).await, 500181, 400);
        let evidence = entra.last_sign_in().evidence.pop().unwrap();
        assert!(evidence.expected.len() == 64 && evidence.expected != evidence.presented, "{evidence:?}");
    }
    let by_sha1 = assertion(&entra, &daemon, "x5t");
    let fields = [("client_assertion_type", JWT_POP), ("client_assertion", by_sha1.as_str())];
    assert_eq!(ask(&entra, Some(&daemon), &fields).await.status, 200);
    refused(&ask(&entra, Some(&other), &fields).await, 500181, 400);
    refused(&ask(&entra, None, &fields).await, 392200, 400);
    // Issued for another certificate than the one on TLS.
    let for_other = sign(&entra, &daemon, "x5t", Some(&other));
    let fields = [("client_assertion_type", JWT_POP), ("client_assertion", for_other.as_str())];
    refused(&ask(&entra, Some(&daemon), &fields).await, 500181, 400);
    assert_eq!(ask(&entra, Some(&other), &fields).await.status, 200);
}

#[tokio::test]
async fn a_key_named_in_the_request_is_named_in_the_token() {
    let entra = start().await;
    let daemon = entra.new_certificate();
    let kid = daemon.key.public_key().jwk_thumbprint();
    let jwk: Value = serde_json::from_str(&daemon.key.public_key().canonical_jwk()).unwrap();
    for confirmation in [json!({ "kid": kid }), json!({ "jwk": jwk })] {
        let req_cnf = base64url::encode(confirmation.to_string().as_bytes());
        let answer = entra.token(&[("token_type", "pop"), ("req_cnf", &req_cnf)]).await;
        assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("pop")), "{}", answer.json);
        let token = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        assert_eq!(token["cnf"], confirmation);
    }
    refused(&entra.token(&[("token_type", "pop")]).await, 900144, 400);
    let mut private = jwk.clone();
    private["d"] = "AQAB".into();
    for bad in
        [json!({}), json!({ "kid": "" }), json!({ "kid": kid, "jwk": jwk }), json!({ "jwk": private }), json!([1])]
    {
        let req_cnf = base64url::encode(bad.to_string().as_bytes());
        refused(&entra.token(&[("token_type", "pop"), ("req_cnf", &req_cnf)]).await, 9002313, 400);
    }
    refused(&entra.token(&[("token_type", "pop"), ("req_cnf", "%%%")]).await, 9002313, 400);
}

async fn asking() -> Entra {
    start_with(describe().ask_for_client_certificates()).await
}

/// A request without a secret, with these fields, over a connection that shows `daemon`'s certificate.
async fn ask(entra: &Entra, daemon: Option<&DaemonKey>, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_secret", "")];
    all.extend(fields);
    send(entra, daemon, "/contoso.com/oauth2/v2.0/token", common::good(&all)).await
}

async fn send(entra: &Entra, daemon: Option<&DaemonKey>, path: &str, body: String) -> Answer {
    let client = with_identity(entra, daemon).build().unwrap();
    let request = client.post(entra.url(path)).header("content-type", "application/x-www-form-urlencoded").body(body);
    entra.send(request).await
}

fn with_identity(entra: &Entra, daemon: Option<&DaemonKey>) -> reqwest::ClientBuilder {
    let builder = client(&entra.emulator);
    match daemon {
        Some(daemon) => {
            let pem = daemon.certificate.to_pem() + &daemon.key_pem;
            builder.identity(Identity::from_pem(pem.as_bytes()).unwrap())
        }
        None => builder,
    }
}

fn assertion(entra: &Entra, daemon: &DaemonKey, thumbprint: &str) -> String {
    sign(entra, daemon, thumbprint, None)
}

fn sign(entra: &Entra, daemon: &DaemonKey, thumbprint: &str, for_whom: Option<&DaemonKey>) -> String {
    let now = entra.emulator.clock().now_unix();
    let mut claims = json!({
        "aud": entra.url(&format!("/{CONTOSO}/oauth2/v2.0/token")), "iss": DAEMON, "sub": DAEMON,
        "jti": "1", "nbf": now, "exp": now + 600,
    });
    if let Some(other) = for_whom {
        claims["cnf"] = json!({ "x5t#S256": other.certificate.x5t_s256() });
    }
    let value = if thumbprint == "x5t" { daemon.certificate.x5t() } else { daemon.certificate.x5t_s256() };
    let header = Map::from_iter([(thumbprint.to_owned(), Value::from(value))]);
    jws::sign(&header, &claims, &daemon.key, Algorithm::Ps256).unwrap()
}

#[track_caller]
fn refused(answer: &Answer, code: u32, status: u16) {
    assert_eq!((answer.status, &answer.json["error_codes"]), (status, &json!([code])), "{}", answer.json);
}
