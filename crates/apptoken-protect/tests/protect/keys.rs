//! Keys that rotate, are withdrawn, cannot be had: how often the authority is asked, and what callers notice.

use std::time::Duration;

use apptoken_protect::{Protect, Rejection};
use serde_json::json;

use crate::authority::{Authority, Trouble};
use crate::caller::{TestClock, api, builder, call_with};
use crate::tokens::{Signer, v1, v2, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_costs_one_refresh_however_many_wait() {
    testkit::init();
    let (first, second) = (Signer::first(), Signer::second());
    let (authority, clock) = (Authority::start(&first).await, TestClock::new());
    let protect = builder(&authority, &clock).build().await.unwrap();
    assert_eq!(authority.fetches(), 1);
    authority.publish(|site| {
        site.v2_keys.push(second.jwk());
        site.latency = Duration::from_millis(50);
    });
    let outcomes = validate_all(&protect, vec![second.sign(&v2()); 100]).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(authority.fetches(), 2);
    // The old key is still published, and neither needs another fetch.
    for token in [first.sign(&v2()), second.sign(&v2())] {
        assert!(protect.validate(&token).await.is_ok());
    }
    // A key of version 2.0's document does not vouch for version 1.0, not even after one more refresh.
    clock.advance(30);
    assert!(matches!(protect.validate(&second.sign(&v1())).await, Err(Rejection::KeyUnknown { .. })));
    assert_eq!(authority.fetches(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_kids_cause_no_storm() {
    testkit::init();
    let signer = Signer::first();
    let (authority, clock) = (Authority::start(&signer).await, TestClock::new());
    let protect = builder(&authority, &clock).build().await.unwrap();
    let garbage = |round: usize| {
        let named = |n| Signer { kid: format!("garbage-{round}-{n}"), key: signer.key.clone() };
        (0..100).map(|n| named(n).sign(&v2())).collect::<Vec<_>>()
    };
    for round in 0..5 {
        let outcomes = validate_all(&protect, garbage(round)).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(Rejection::KeyUnknown { .. }))), "{outcomes:?}");
    }
    assert_eq!(authority.fetches(), 2, "the start, and one for 500 unknown kids");
    clock.advance(29);
    validate_all(&protect, garbage(5)).await;
    assert_eq!(authority.fetches(), 2);
    clock.advance(1);
    validate_all(&protect, garbage(6)).await;
    assert_eq!(authority.fetches(), 3, "the interval has passed");
    // A clock that is set back must not forbid refreshes until it has caught up.
    clock.advance(-86_400);
    validate_all(&protect, garbage(7)).await;
    assert_eq!(authority.fetches(), 4);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_take_the_fetch_along() {
    testkit::init();
    let (first, second) = (Signer::first(), Signer::second());
    let authority = Authority::start(&first).await;
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    authority.publish(|site| {
        site.v2_keys = vec![second.jwk()];
        site.latency = Duration::from_millis(100);
    });
    let token = second.sign(&v2());
    let impatient = tokio::time::timeout(Duration::from_millis(20), protect.validate(&token)).await;
    assert!(impatient.is_err(), "it should still be waiting");
    assert!(protect.validate(&token).await.is_ok());
    assert_eq!(authority.fetches(), 2);
}

#[tokio::test]
async fn known_keys_outlive_the_authority() {
    testkit::init();
    let signer = Signer::first();
    let (authority, clock) = (Authority::start(&signer).await, TestClock::new());
    let protect = builder(&authority, &clock).build().await.unwrap();
    authority.publish(|site| site.trouble = Some(Trouble::Status(503, "down")));
    let unknown = Signer::second().sign(&v2());
    assert!(matches!(protect.validate(&unknown).await, Err(Rejection::KeyUnknown { .. })));
    assert!(protect.validate(&signer.sign(&v2())).await.is_ok());
    // The same when they are past their age: a refresh is tried behind the back, and fails.
    clock.advance(13 * 3600);
    let later = signer.sign(&with(v2(), &[("exp", json!(crate::tokens::NOW + 20 * 3600))]));
    assert!(protect.validate(&later).await.is_ok());
    eventually(|| authority.count("/v2.0/.well-known/openid-configuration") == 3).await;
    assert!(protect.validate(&later).await.is_ok());
    assert!(testkit::logged().contains("was answered 503"));
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten() {
    testkit::init();
    let (first, second) = (Signer::first(), Signer::second());
    let (authority, clock) = (Authority::start(&first).await, TestClock::new());
    let protect = builder(&authority, &clock).build().await.unwrap();
    authority.publish(|site| site.v2_keys = vec![second.jwk()]);
    let token = first.sign(&with(v2(), &[("exp", json!(crate::tokens::NOW + 86_400))]));
    assert!(protect.validate(&token).await.is_ok(), "not asked yet");
    clock.advance(12 * 3600);
    assert!(protect.validate(&token).await.is_ok(), "nobody waits for the refresh");
    eventually(|| authority.fetches() == 2).await;
    for _ in 0..100 {
        if protect.validate(&token).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(protect.validate(&token).await, Err(Rejection::KeyUnknown { .. })));
}

#[tokio::test]
async fn an_api_may_start_before_its_authority() {
    testkit::init();
    let signer = Signer::first();
    let (authority, clock) = (Authority::start(&signer).await, TestClock::new());
    authority.publish(|site| site.trouble = Some(Trouble::Status(503, "down")));
    let lazy = builder(&authority, &clock).build_lazy().unwrap();
    let api = api(lazy);
    let token = signer.sign(&v2());
    let down = call_with(&api, "/todo", &token).await;
    assert_eq!((down.status.as_u16(), down.problem["reason"].as_str()), (503, Some("keys_unavailable")));
    assert_eq!((down.headers["retry-after"].to_str().unwrap(), down.challenge()), ("1", ""));
    // Not asked again within a second, although every request would like to.
    call_with(&api, "/todo", &token).await;
    assert_eq!(authority.count("/v2.0/.well-known/openid-configuration"), 1);
    authority.publish(|site| site.trouble = None);
    clock.advance(1);
    assert_eq!(call_with(&api, "/todo", &token).await.status, 200);
    assert_eq!(authority.fetches(), 1);
    // What is wrong with the token itself is known without keys.
    let lazy = builder(&authority, &clock).build_lazy().unwrap();
    assert!(matches!(lazy.validate("word").await, Err(Rejection::TokenMalformed { .. })));
    assert_eq!(authority.fetches(), 1);
}

#[tokio::test]
async fn a_key_signs_for_its_issuer_only() {
    testkit::init();
    let signer = Signer::first();
    let authority = Authority::start(&signer).await;
    let v2_issuer = v2()["iss"].as_str().unwrap().to_owned();
    for (key_issuer, good) in [
        ("https://login.microsoftonline.com/{tenantid}/v2.0", true),
        (v2_issuer.as_str(), true),
        ("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", false),
        ("https://evil.example/{tenantid}/v2.0", false),
    ] {
        authority.publish(|site| {
            site.v1_keys = vec![signer.jwk_with_issuer(key_issuer)];
            site.v2_keys = site.v1_keys.clone();
        });
        let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
        for claims in [v1(), v2()] {
            let verdict = protect.validate(&signer.sign(&claims)).await;
            assert_eq!(verdict.is_ok(), good, "{key_issuer}: {verdict:?}");
            assert!(good || matches!(verdict, Err(Rejection::KeyIssuerMismatch { .. })));
        }
    }
    // One kid for two issuers: the fitting key is found behind the other.
    authority.publish(|site| {
        let foreign = Signer::new(&signer.kid, testkit::keys::OTHER_KEY).jwk_with_issuer("https://evil.example");
        site.v2_keys = vec![foreign, signer.jwk()];
    });
    let protect = builder(&authority, &TestClock::new()).build().await.unwrap();
    assert!(protect.validate(&signer.sign(&v2())).await.is_ok());
    assert_eq!(
        protect.validate(&Signer::new(&signer.kid, testkit::keys::OTHER_KEY).sign(&v2())).await.err(),
        Some(Rejection::SignatureInvalid)
    );
}

async fn validate_all(protect: &Protect, tokens: Vec<String>) -> Vec<Result<(), Rejection>> {
    let start = |token: String| {
        let protect = protect.clone();
        tokio::spawn(async move { protect.validate(&token).await.map(drop) })
    };
    let tasks: Vec<_> = tokens.into_iter().map(start).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about in five seconds");
}
