//! What becomes of the answers of managed-identity sources: tries again, lifetimes in every form, refusals in words.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod stub;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken::clock::{Clock, ManualClock};
use apptoken::http::{Request, Transport, TransportError, TransportErrorKind};
use apptoken::{Environment, Error, ErrorKind, ManagedIdentityClient, UserAssignedId};
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};
use stub::imds::{GUID, IMDS_HOST, Machine, VAULT, imds};
use stub::{Stub, json};

/// The first answers as `failures` says, then tokens.
async fn failing(failures: Vec<Response<()>>) -> Machine {
    let failures = Arc::new(failures);
    Machine::with_imds(move |request| match failures.get(request.number) {
        Some(failure) => {
            let mut answer = Response::builder().status(failure.status());
            for (name, value) in failure.headers() {
                answer = answer.header(name, value);
            }
            answer.body(Body::empty()).unwrap()
        }
        None => imds(request),
    })
    .await
}

fn status(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

fn wait(status: u16, seconds: u32) -> Response<()> {
    Response::builder().status(status).header("retry-after", seconds).body(()).unwrap()
}

#[tokio::test]
async fn imds_is_asked_again_by_its_rules() {
    let seconds = Duration::from_secs;
    for (failures, requests, slept, outcome) in [
        (vec![status(404)], 2, seconds(1), Ok(())),
        (vec![status(408), status(429), status(500)], 4, seconds(7), Ok(())),
        (vec![status(502), status(503), status(504)], 4, seconds(7), Ok(())),
        (vec![status(503); 4], 4, seconds(7), Err((ErrorKind::Transport, "IMDS is ill (HTTP 503)"))),
        (vec![status(504); 4], 4, seconds(7), Err((ErrorKind::Transport, "identity service behind it (HTTP 504)"))),
        (vec![status(404); 4], 4, seconds(7), Err((ErrorKind::Transport, "nothing at its identity endpoint"))),
        (vec![status(429); 4], 4, seconds(7), Err((ErrorKind::Throttled, "IMDS throttles"))),
        (vec![status(410); 7], 8, seconds(70), Ok(())),
        (vec![status(410); 8], 8, seconds(70), Err((ErrorKind::Transport, "being updated"))),
        (vec![wait(503, 5)], 2, seconds(5), Ok(())),
        (vec![wait(429, 120)], 1, seconds(0), Err((ErrorKind::Throttled, "IMDS throttles"))),
        (vec![status(400); 2], 1, seconds(0), Err((ErrorKind::Denied, "IMDS refused a token"))),
        (vec![status(302)], 1, seconds(0), Err((ErrorKind::Protocol, "what no identity endpoint answers"))),
    ] {
        let machine = failing(failures.clone()).await;
        let (client, what) = (machine.client(), format!("{failures:?}"));
        let answer = client.acquire_token(VAULT).await;
        assert_eq!((machine.stub.requests(), machine.clock.slept()), (requests, slept), "{what}");
        match (answer, outcome) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err((kind, words))) => {
                testkit::witness_error(&error);
                assert_eq!(error.kind(), kind, "{what}");
                assert!(error.to_string().contains(words), "{what}: {error}");
                assert_eq!(error.is_transient(), matches!(kind, ErrorKind::Transport | ErrorKind::Throttled));
            }
            (answer, _) => panic!("{what}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn other_sources_are_asked_again_by_theirs() {
    for (code, requests) in
        [(404, 4), (408, 4), (429, 4), (500, 4), (503, 4), (504, 4), (502, 1), (501, 1), (410, 1), (403, 1)]
    {
        let stub = Stub::start(move |_| Response::builder().status(code).body(Body::empty()).unwrap()).await;
        let clock = Arc::new(ManualClock::default());
        let builder = || {
            let environment = Environment::from_iter([("MSI_ENDPOINT", stub.url("/"))]);
            ManagedIdentityClient::system_assigned().environment(environment).clock(clock.clone())
        };
        builder().build().unwrap().acquire_token(VAULT).await.unwrap_err();
        assert_eq!((stub.requests(), clock.slept().as_secs()), (requests, requests as u64 - 1), "{code}");
        builder().retry(false).build().unwrap().acquire_token(VAULT).await.unwrap_err();
        assert_eq!(stub.requests(), requests + 1, "{code}");
    }
}

#[tokio::test]
async fn a_long_wait_is_remembered_and_a_failure_is_not() {
    let machine = failing(vec![wait(429, 120)]).await;
    let client = machine.client();
    let first = client.acquire_token(VAULT).await.unwrap_err();
    assert_eq!(first.retry_after(), Some(Duration::from_secs(120)));
    machine.clock.advance(Duration::from_secs(60));
    let second = client.acquire_token(VAULT).await.unwrap_err();
    assert_eq!((second.retry_after(), machine.stub.requests()), (Some(Duration::from_secs(60)), 1));
    machine.clock.advance(Duration::from_secs(60));
    client.acquire_token(VAULT).await.unwrap();

    let machine = failing(vec![status(503); 4]).await;
    let client = machine.client();
    client.acquire_token(VAULT).await.unwrap_err();
    assert_eq!(client.acquire_token(VAULT).await.unwrap().secret(), "imds-4", "the source is not written off");
}

#[tokio::test]
async fn a_token_that_is_valid_outlives_a_source_that_fails() {
    let failing = Arc::new(AtomicUsize::new(0));
    let ill = failing.clone();
    let machine = Machine::with_imds(move |request| match ill.load(Ordering::SeqCst) {
        0 => imds(request),
        _ => Response::builder().status(500).body(Body::empty()).unwrap(),
    })
    .await;
    let client = machine.on(ManagedIdentityClient::system_assigned().retry(false));
    client.acquire_token(VAULT).await.unwrap();
    failing.store(1, Ordering::SeqCst);
    machine.clock.advance(Duration::from_secs(3400));
    let kept = client.acquire_token(VAULT).await.unwrap();
    assert_eq!((kept.secret(), kept.metadata().stale), ("imds-0", true));
    machine.clock.advance(Duration::from_secs(300));
    client.acquire_token(VAULT).await.unwrap_err();
}

#[tokio::test]
async fn expiry_is_read_in_every_form() {
    // the server's clock, which its Date header tells, is a day ahead of ours
    let theirs = 1_795_395_723_u64;
    let date = "Mon, 23 Nov 2026 01:02:03 GMT";
    for (members, want) in [
        (json!({ "expires_on": theirs + 3600 }), Ok(3600)),
        (json!({ "expires_on": (theirs + 3600).to_string() }), Ok(3600)),
        (json!({ "expires_on": (theirs + 3600) as f64 + 0.7 }), Ok(3600)),
        (json!({ "expires_on": "3600" }), Ok(3600)),
        (json!({ "expires_on": "2026-11-23T02:02:03Z" }), Ok(3600)),
        (json!({ "expires_on": "2026-11-23T03:02:03.000+01:00" }), Ok(3600)),
        (json!({ "expires_on": "11/23/2026 2:02:03 AM +00:00" }), Ok(3600)),
        (json!({ "expires_in": 3600 }), Ok(3600)),
        (json!({ "expires_in": "3600" }), Ok(3600)),
        (json!({ "expires_in": theirs + 3600 }), Ok(3600)),
        // expires_on wins, unless it is unreadable
        (json!({ "expires_on": theirs + 1800, "expires_in": 3600 }), Ok(1800)),
        (json!({ "expires_on": "", "expires_in": 3600 }), Ok(3600)),
        (json!({ "expires_on": null, "expires_in": "3600" }), Ok(3600)),
        (json!({ "expires_on": "soon", "expires_in": 3600 }), Ok(3600)),
        (json!({}), Err("does not tell when")),
        (json!({ "expires_on": [], "expires_in": {} }), Err("does not tell when")),
        (json!({ "expires_on": theirs - 1 }), Err("already expired")),
        (json!({ "expires_in": "-5" }), Err("already expired")),
        (json!({ "expires_in": 0 }), Err("already expired")),
    ] {
        let mut body = json!({ "access_token": "t", "token_type": "Bearer" });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let machine = Machine::with_imds(move |_| {
            let mut answer = json(200, &body);
            answer.headers_mut().insert("date", date.parse().unwrap());
            answer
        })
        .await;
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(theirs - 86_400)));
        let client = ManagedIdentityClient::system_assigned()
            .environment(machine.environment())
            .clock(clock.clone())
            .build()
            .unwrap();
        let life = |end: SystemTime| end.duration_since(clock.system_time()).unwrap().as_secs();
        match (client.acquire_token(VAULT).await, want) {
            (Ok(token), Ok(want)) => assert_eq!(life(token.expires_on()), want, "{members}"),
            (Err(error), Err(words)) => {
                assert!(error.kind() == ErrorKind::Protocol && error.to_string().contains(words), "{members}: {error}");
            }
            (answer, _) => panic!("{members}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_long_token_is_refreshed_half_way() {
    for (life, refresh) in [(24 * 3600, Some(12 * 3600)), (3600, None)] {
        let machine = Machine::with_imds(move |_| json(200, &json!({ "access_token": "t", "expires_in": life }))).await;
        let token = machine.client().acquire_token(VAULT).await.unwrap();
        let after = token.refresh_on().map(|on| on.duration_since(machine.clock.system_time()).unwrap().as_secs());
        assert_eq!(after, refresh);
    }
}

#[tokio::test]
async fn what_is_no_token_is_told_in_words() {
    let refused = |status, body: Value| (status, body.to_string());
    for (identity, (code, body), kind, words, advice) in [
        (
            None,
            refused(400, json!({ "error": "invalid_request", "error_description": "Identity not found" })),
            ErrorKind::Denied,
            "IMDS refused a token for the system-assigned identity (HTTP 400): invalid_request: Identity not found",
            "assign a system-assigned one",
        ),
        (
            Some(UserAssignedId::Client(GUID.to_owned())),
            refused(400, json!({ "error": "invalid_request", "error_description": "Identity not found" })),
            ErrorKind::Denied,
            "for the user-assigned identity with client id 00001111",
            "is assigned to this machine",
        ),
        (
            None,
            refused(
                400,
                json!({ "error": "invalid_resource", "error_description": "AADSTS500011: no such resource. Trace ID: x" }),
            ),
            ErrorKind::Denied,
            "AADSTS500011",
            "",
        ),
        (
            None,
            refused(403, json!({ "error": { "code": "Forbidden", "message": "not you", "correlationId": "c" } })),
            ErrorKind::Denied,
            "Forbidden: not you",
            "",
        ),
        (None, (400, "<html>".to_owned()), ErrorKind::Denied, "(HTTP 400)", "assign"),
        (None, refused(200, json!({ "expires_in": 3600 })), ErrorKind::Protocol, "holds no access token", ""),
        (
            None,
            refused(200, json!({ "access_token": "", "expires_in": 3600 })),
            ErrorKind::Protocol,
            "holds no access token",
            "",
        ),
        (
            None,
            refused(200, json!({ "access_token": "c4n4ry", "expires_in": 9, "token_type": "pop" })),
            ErrorKind::Protocol,
            "not Bearer",
            "",
        ),
        (
            None,
            refused(200, json!({ "access_token": "c4n4ry\n", "expires_in": 9 })),
            ErrorKind::Protocol,
            "no token has",
            "",
        ),
        (
            None,
            (200, "{\"access_token\":\"c4n4ry\"".to_owned()),
            ErrorKind::Protocol,
            "not readable",
            "identity endpoint",
        ),
        (
            None,
            (200, "{\"access_token\":\"c4n4ry\",\"access_token\":\"x\"}".to_owned()),
            ErrorKind::Protocol,
            "not readable",
            "",
        ),
        (None, (200, "<html>c4n4ry".to_owned()), ErrorKind::Protocol, "not readable", ""),
    ] {
        let machine =
            Machine::with_imds(move |_| Response::builder().status(code).body(body.clone().into()).unwrap()).await;
        let client = machine.on(match identity {
            Some(id) => ManagedIdentityClient::user_assigned(id),
            None => ManagedIdentityClient::system_assigned(),
        });
        let error = client.acquire_token(VAULT).await.unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error} has not: {words}");
        assert!(error.correlation_id().is_some() && testkit::leak(&format!("{error:?}")).is_none());
        assert!(error.advice().unwrap_or_default().contains(advice), "{error:?}");
    }
}

#[tokio::test]
async fn the_authoritys_codes_come_through() {
    let machine = Machine::with_imds(|_| {
        json(400, &json!({ "error": "invalid_resource", "error_description": "AADSTS500011: none such. AADSTS1: x" }))
    })
    .await;
    let error = machine.client().acquire_token(VAULT).await.unwrap_err();
    let denied = error.denied().unwrap();
    assert_eq!((denied.codes(), denied.error(), denied.http_status()), (&[500_011, 1][..], "invalid_resource", 400));
    assert_eq!(error.advice(), apptoken::advice::for_code(500_011));
}

#[tokio::test]
async fn nobody_there_is_told_in_words() {
    testkit::init();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let clock = Arc::new(ManualClock::default());
    let error = async |variables: Vec<(&str, String)>| -> Error {
        let environment = Environment::from_iter(variables).root("/nowhere");
        let client = ManagedIdentityClient::system_assigned().environment(environment).clock(clock.clone());
        client.build().unwrap().acquire_token(VAULT).await.unwrap_err()
    };
    let nobody = format!("http://127.0.0.1:{port}");
    let imds = error(vec![(IMDS_HOST, nobody.clone()), ("IDENTITY_ENDPOINT", nobody.clone())]).await;
    testkit::witness_error(&imds);
    assert_eq!((imds.kind(), imds.is_transient()), (ErrorKind::Transport, true));
    assert!(imds.to_string().contains("IMDS at http://127.0.0.1"), "{imds}");
    let advice = imds.advice().unwrap();
    assert!(advice.contains("no machine of Azure's") && advice.contains("IDENTITY_HEADER is not"), "{advice}");
    assert_eq!(clock.slept(), Duration::from_secs(1), "one more try");
    let shell = error(vec![("MSI_ENDPOINT", nobody)]).await;
    assert!(shell.advice().unwrap().contains("identity agent does not run"), "{shell:?}");
}

/// Counts and fails.
#[derive(Clone)]
struct Dead(TransportErrorKind, Arc<AtomicUsize>);

impl Transport for Dead {
    async fn send(&self, _request: Request) -> Result<apptoken::http::Response, TransportError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Err(TransportError::new(self.0, "on purpose"))
    }
}

#[tokio::test]
async fn silence_is_asked_again_and_absence_once() {
    testkit::init();
    for (kind, sent, slept) in [
        (TransportErrorKind::Timeout, 4, 7),
        (TransportErrorKind::Body, 4, 7),
        (TransportErrorKind::Connect, 2, 1),
        (TransportErrorKind::TooLarge, 1, 0),
    ] {
        let (clock, dead) = (Arc::new(ManualClock::default()), Dead(kind, Arc::default()));
        let client = ManagedIdentityClient::system_assigned()
            .environment([(IMDS_HOST, "http://127.0.0.1:1")].into_iter().collect::<Environment>().root("/nowhere"))
            .clock(clock.clone())
            .transport(dead.clone())
            .build()
            .unwrap();
        let error = client.acquire_token(VAULT).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, sent > 1), "{kind:?}");
        assert_eq!((dead.1.load(Ordering::SeqCst), clock.slept().as_secs()), (sent, slept), "{kind:?}");
    }
}
