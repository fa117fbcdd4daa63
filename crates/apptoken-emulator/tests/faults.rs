//! Trouble on demand.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use apptoken_emulator::{Fault, FaultRule, Outcome};
use common::{GRAPH_DEFAULT, good, start};
use serde_json::{Value, json};

const TOKEN: &str = "/contoso.com/oauth2/v2.0/token";

#[tokio::test]
async fn statuses_come_n_times_with_entras_envelope() {
    let entra = start().await;
    let faults = entra.emulator.faults();
    let wait = Some(Duration::from_millis(1500));
    faults.next_token_requests(2, Fault::Status { status: 429, retry_after: wait, body: None });
    faults.next_token_requests(1, Fault::Status { status: 503, retry_after: None, body: None });
    faults.next_token_requests(1, Fault::Status { status: 418, retry_after: None, body: Some("{\"a\":1}".into()) });
    for _ in 0..2 {
        let answer = entra.token(&[]).await;
        assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &"2".parse().unwrap()));
        assert_eq!(answer.json["error_codes"], json!([90055]));
    }
    let logged = entra.last_sign_in();
    assert_eq!((logged.outcome, logged.app_id.as_deref()), (Outcome::Faulted, Some(&*common::DAEMON.to_string())));
    let answer = entra.token(&[]).await;
    assert_eq!((answer.status, answer.headers.get("retry-after")), (503, None));
    assert_eq!(answer.json["error"], "temporarily_unavailable");
    let answer = entra.token(&[]).await;
    assert_eq!((answer.status, &answer.json), (418, &json!({ "a": 1 })));
    assert_eq!(entra.token(&[]).await.status, 200);
    assert_eq!(entra.emulator.token_requests(), 5);
}

#[tokio::test]
async fn a_secret_in_the_ids_place_is_not_logged_beside_a_fault() {
    let entra = start().await;
    entra.emulator.faults().next_token_requests(1, Fault::Garbage);
    let secret = common::secret();
    entra.token(&[("client_id", &secret)]).await;
    let shown = format!("{} characters, not a GUID", secret.len());
    assert_eq!(entra.last_sign_in().app_id, Some(shown));
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test]
async fn garbage_and_broken_answers() {
    let entra = start().await;
    entra.emulator.faults().next_token_requests(1, Fault::Garbage);
    let answer = entra.token(&[]).await;
    assert_eq!((answer.status, answer.json), (200, Value::Null));
    entra.emulator.faults().next_token_requests(1, Fault::Truncated);
    let response = entra.post(TOKEN, good(&[])).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err(), "half of what Content-Length says");
    assert_eq!(entra.token(&[]).await.status, 200);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let entra = start().await;
    let client = common::client(&entra.emulator).http1_only().build().unwrap();
    entra.emulator.faults().next_token_requests(1, Fault::Reset);
    let request =
        client.post(entra.url(TOKEN)).header("content-type", "application/x-www-form-urlencoded").body(good(&[]));
    let error = request.send().await.unwrap_err();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(entra.token(&[]).await.status, 200);
}

#[tokio::test]
async fn latency_delays_and_a_hang_never_answers() {
    let entra = start().await;
    let faults = entra.emulator.faults();
    faults.next_token_requests(1, Fault::Latency(Duration::from_millis(150)));
    let quick = tokio::time::timeout(Duration::from_millis(100), entra.token(&[])).await;
    assert!(quick.is_err());
    faults.latency(Duration::from_millis(150));
    assert!(tokio::time::timeout(Duration::from_millis(100), entra.token(&[])).await.is_err());
    faults.clear();
    assert_eq!(entra.token(&[]).await.status, 200);
    faults.next_token_requests(1, Fault::Hang);
    assert!(tokio::time::timeout(Duration::from_millis(300), entra.token(&[])).await.is_err());
}

#[tokio::test]
async fn shutting_down_lets_go_of_a_hang() {
    let entra = start().await;
    entra.emulator.faults().next_token_requests(1, Fault::Hang);
    let request = entra.post(TOKEN, good(&[]));
    let waiting = tokio::spawn(async move { request.send().await });
    while entra.emulator.token_requests() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let url = entra.url("/");
    tokio::time::timeout(Duration::from_secs(5), entra.emulator.shutdown()).await.unwrap();
    assert!(waiting.await.unwrap().is_err());
    assert!(entra.client.get(url).send().await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_fault_is_for_a_tenant_an_app_or_a_resource() {
    let entra = start().await;
    let faults = entra.emulator.faults();
    let ill = || Fault::Status { status: 503, retry_after: None, body: None };
    faults.add(FaultRule::new(ill()).tenant("contoso.com").resource("https://graph.microsoft.com"));
    for _ in 0..3 {
        assert_eq!(entra.token(&[("scope", GRAPH_DEFAULT)]).await.status, 503);
        assert_eq!(entra.token(&[]).await.status, 200, "of another resource");
    }
    faults.clear();
    let (daemon, other) = (common::DAEMON, uuid::Uuid::nil());
    faults.add(FaultRule::new(ill()).app(other));
    faults.add(FaultRule::new(Fault::Garbage).app(daemon).times(1));
    faults.add(FaultRule::new(ill()).tenant(common::FABRIKAM.to_string()));
    assert_eq!(entra.token(&[]).await.json, Value::Null, "the one for this app, though another was asked for earlier");
    assert_eq!(entra.token(&[]).await.status, 200);
    faults.add(FaultRule::new(Fault::Garbage).app(daemon).times(1));
    let in_header = entra.post(TOKEN, good(&[("client_id", ""), ("client_secret", "")]));
    let answer = entra.send(in_header.basic_auth(daemon, Some("anything"))).await;
    assert_eq!(answer.json, Value::Null, "the one for this app, which says in a header who it is");
    assert_eq!(entra.last_sign_in().app_id, Some(daemon.to_string()));
    let there = entra.post("/fabrikam.onmicrosoft.com/oauth2/token", good(&[]));
    assert_eq!(entra.send(there).await.status, 503, "by the tenant's id, asked by its name, at either endpoint");
    let asked = entra.post(TOKEN, good(&[])).header("x-apptoken-fault", "status=429; retry-after=7");
    let answer = entra.send(asked).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &"7".parse().unwrap()));
    let mistyped = entra.send(entra.post(TOKEN, good(&[])).header("x-apptoken-fault", "statu=429")).await;
    assert_eq!(mistyped.status, 400, "a slip of the pen is no token");
}

#[tokio::test]
async fn conditional_access_blocks_with_a_challenge() {
    let entra = start().await;
    entra.emulator.faults().add(FaultRule::new(Fault::ConditionalAccess).app(common::DAEMON));
    let answer = entra.token(&[]).await;
    assert_eq!((answer.status, &answer.json["error"]), (400, &json!("invalid_grant")));
    assert_eq!((&answer.json["error_codes"], &answer.json["suberror"]), (&json!([53003]), &json!("message_only")));
    let claims: Value = serde_json::from_str(answer.json["claims"].as_str().unwrap()).unwrap();
    assert!(claims["access_token"]["capolids"]["values"][0].is_string(), "{claims}");
    let logged = entra.last_sign_in();
    assert_eq!((logged.outcome, logged.code), (Outcome::Refused, Some(53003)));
    // who is not who it says is told that first
    let answer = entra.token(&[("client_secret", "c4n4ry-wrong")]).await;
    assert_eq!(answer.json["error_codes"], json!([7_000_215]));
    assert_eq!(answer.json.get("claims"), None);
}

/// The claims of a challenge that Graph answers with.
fn challenge(answer: &common::Answer) -> Value {
    let header = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(header.contains(r#"error="insufficient_claims""#), "{header}");
    let claims = header.split(r#"claims=""#).nth(1).unwrap().trim_end_matches('"');
    assert_eq!(claims.len() % 4, 0, "padded");
    serde_json::from_slice(&apptoken_jose::base64url::decode_lenient(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn a_revoked_token_is_challenged_and_the_next_is_taken() {
    let entra = start().await;
    entra.emulator.directory().grant_admin_consent("contoso.com", &common::DAEMON.to_string()).unwrap();
    let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    let granted = async |claims: &str| {
        let answer = entra.token(&[("scope", GRAPH_DEFAULT), ("claims", claims)]).await;
        (answer.json["access_token"].as_str().unwrap().to_owned(), answer.json)
    };
    let users = |token: &str| {
        let url = format!("{}/v1.0/users", entra.emulator.graph_url());
        entra.send(entra.client.get(url).bearer_auth(token))
    };
    let (token, answer) = granted(capable).await;
    let lifetime = answer["expires_in"].as_i64().unwrap();
    assert_eq!(answer["refresh_in"], lifetime / 2);
    let mut lifetimes = vec![lifetime];
    for _ in 0..8 {
        lifetimes.push(granted(capable).await.1["expires_in"].as_i64().unwrap());
    }
    assert!(lifetimes.iter().all(|one| (20 * 3600 - 1..28 * 3600).contains(one)), "{lifetimes:?}");
    assert!(lifetimes.iter().any(|one| *one != lifetime), "at random: {lifetimes:?}");
    let claims = entra.claims(&token).await;
    assert_eq!(claims["xms_cc"], json!(["cp1"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), lifetime + 301);
    assert_eq!(users(&token).await.status, 200);
    let (plain, answer) = granted("").await;
    assert_eq!((answer["expires_in"].as_i64(), entra.claims(&plain).await.get("xms_cc")), (Some(3599), None));
    // of APIs of one's own none evaluates
    let own = entra.token(&[("claims", capable)]).await;
    assert_eq!(own.json["expires_in"], 3599);

    entra.emulator.revoke_tokens(common::DAEMON);
    let answer = users(&token).await;
    assert_eq!((answer.status, &answer.json["error"]["code"]), (401, &json!("InvalidAuthenticationToken")));
    let mut claims = challenge(&answer);
    assert!(claims["access_token"]["nbf"]["value"].is_string());
    assert_eq!(users(&plain).await.status, 200, "its client could not answer a challenge");
    // asked for without the challenge, a new token is no better
    assert_eq!(users(&granted(capable).await.0).await.status, 401);
    claims["access_token"]["xms_cc"] = json!({ "values": ["cp1"] });
    assert_eq!(users(&granted(&claims.to_string()).await.0).await.status, 200);
    entra.emulator.faults().clear();
    assert_eq!(users(&token).await.status, 200);
    let bad = entra.token(&[("claims", "{")]).await;
    assert_eq!(bad.json["error_codes"], json!([9_002_313]));
}
