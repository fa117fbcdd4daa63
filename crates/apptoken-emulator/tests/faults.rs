//! Trouble on demand.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use apptoken_emulator::{Fault, Outcome};
use common::{good, start};
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
