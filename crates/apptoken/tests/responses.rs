//! Every answer is suspect: each kind of odd one is a clear error or a safe reading, and never a poisoned slot.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use apptoken::clock::{Clock, ManualClock};
use apptoken::http::{Request, Response, RetryPolicy, Transport, TransportError, TransportErrorKind};
use apptoken::{AccessToken, ConfidentialClient, Error, ErrorKind};

const SCOPE: &str = "https://graph.microsoft.com/.default";
const GOOD: &str = r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"good"}"#;

/// Gives the answers that it was given, then good ones.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<VecDeque<Result<Response, TransportErrorKind>>>>);

impl Transport for Scripted {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        match self.0.lock().unwrap().pop_front() {
            Some(Ok(response)) => Ok(response),
            Some(Err(kind)) => Err(TransportError::new(kind, "on purpose")),
            None => Ok(Response::new(GOOD.into())),
        }
    }
}

fn response(status: u16, headers: &[(&'static str, &str)], body: impl Into<String>) -> Response {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into().into()).unwrap()
}

/// What a fresh client makes of `answer`, and that the next call is a normal one.
async fn read(answer: Result<Response, TransportErrorKind>) -> (Result<AccessToken, Error>, SystemTime) {
    testkit::init();
    let (transport, clock) = (Scripted::default(), Arc::new(ManualClock::default()));
    let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .client_secret(format!("{}-secret", testkit::CANARY))
        .transport(transport.clone())
        .retry(RetryPolicy::NONE)
        .clock(clock.clone())
        .build()
        .unwrap();
    transport.0.lock().unwrap().push_back(answer);
    let outcome = client.acquire_token_for_client(SCOPE).await;
    if let Err(error) = &outcome {
        testkit::witness_error(error);
        // the authority's own words may have no advice in the table
        assert!(error.advice().is_some() || error.kind() == ErrorKind::Denied, "no next step: {error}");
        clock.advance(Duration::from_secs(3601));
        assert_eq!(client.acquire_token_for_client(SCOPE).await.unwrap().secret(), "good", "after {error}");
    }
    (outcome, clock.system_time())
}

#[tokio::test]
async fn lifetimes_are_read_in_every_form() {
    for (lifetimes, expires, refresh) in [
        (r#""expires_in":3599"#, 3599, None),
        (r#""expires_in":"3599""#, 3599, None),
        (r#""expires_in":3599.9"#, 3599, None),
        (r#""expires_in":3599,"ext_expires_in":"0","expires_on":"1","not_before":"1","resource":"x""#, 3599, None),
        (r#""expires_in":86399,"refresh_in":43199"#, 86399, Some(43199)),
        (r#""expires_in":"86399","refresh_in":"43199""#, 86399, Some(43199)),
        (r#""expires_in":86399,"refresh_in":43199.5"#, 86399, Some(43199)),
        (r#""expires_in":86400,"refresh_in":null"#, 86400, Some(43200)),
        (r#""expires_in":86400,"refresh_in":99999"#, 86400, Some(43200)),
        (r#""expires_in":1"#, 1, None),
    ] {
        let body = format!(r#"{{"token_type":"bearer",{lifetimes},"access_token":"odd"}}"#);
        let (token, now) = read(Ok(response(200, &[], format!("\u{feff}{body}")))).await;
        let token = token.unwrap_or_else(|error| panic!("{lifetimes}: {error}"));
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!((token.secret(), token.expires_on()), ("odd", after(expires)), "{lifetimes}");
        assert_eq!(token.refresh_on(), refresh.map(after), "{lifetimes}");
    }
}

#[tokio::test]
async fn what_is_no_token_response_is_a_protocol_error() {
    let with = |members: &str| format!(r#"{{"token_type":"Bearer",{members}}}"#);
    let secret = format!("{}-token", testkit::CANARY);
    for (body, part) in [
        (String::new(), "it ends too early"),
        ("{".into(), "it ends too early"),
        (GOOD[..40].into(), "it ends too early"),
        ("{}".into(), "is missing"),
        ("[]".into(), "of the wrong kind"),
        ("null".into(), "of the wrong kind"),
        (r#"{"error":"invalid_client"}"#.into(), "is missing"),
        (with(r#""expires_in":3599"#), "is missing"),
        (with(r#""access_token":"a""#), "is missing"),
        (with(r#""access_token":null,"expires_in":3599"#), "of the wrong kind"),
        (with(r#""access_token":["a"],"expires_in":3599"#), "of the wrong kind"),
        (with(&format!(r#""access_token":"{secret}","access_token":"b","expires_in":3599"#)), "doubled"),
        (with(&format!(r#""access_token":"{secret}","expires_in":-1"#)), "of the wrong kind"),
        (with(r#""access_token":"a","expires_in":0"#), "of the wrong kind"),
        (with(r#""access_token":"a","expires_in":"soon""#), "of the wrong kind"),
        (with(r#""access_token":"a","expires_in":"NaN""#), "of the wrong kind"),
        (with(r#""access_token":"a","expires_in":1e300"#), "of the wrong kind"),
        (with(r#""access_token":"a","expires_in":true"#), "of the wrong kind"),
        (with(r#""access_token":"a","expires_in":999999999"#), "of the wrong kind"),
        (with(r#""access_token":"","expires_in":3599"#), "is empty"),
        (with(r#""access_token":"a\r\nX: y","expires_in":3599"#), "characters that no token has"),
        (with(r#""access_token":"é","expires_in":3599"#), "characters that no token has"),
        (with(r#""access_token":"two words","expires_in":3599"#), "characters that no token has"),
        (GOOD.replace("Bearer", "pop"), r#"type "PoP" where Bearer"#),
        ("<html>Sign in to the guest network</html>".into(), "is not a token endpoint's"),
        (format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "of the wrong kind"),
    ] {
        let error = read(Ok(response(200, &[("content-type", "text/html")], body.clone()))).await.0.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Protocol, false), "{body:.60}");
        assert!(error.to_string().contains(part), "{part:?} is not in {error}");
        assert!(error.correlation_id().is_some());
    }
}

#[tokio::test]
async fn refusals_are_classified_by_status_and_body() {
    use ErrorKind::{Denied, Protocol, Throttled, Transport};
    let envelope = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Wrong secret. Trace ID: t Correlation ID: c","error_codes":[7000215],"trace_id":"t","claims":"{\"a\":1}","suberror":"s"}"#;
    for (status, body, kind, transient, part) in [
        (401, envelope, Denied, false, "(invalid_client, HTTP 401): AADSTS7000215: Wrong secret. ["),
        (400, r#"{"error":"invalid_scope"}"#, Denied, false, "(invalid_scope, HTTP 400)"),
        (429, envelope, Throttled, true, "throttles this app or tenant"),
        (429, "slow down", Throttled, true, "throttles this app or tenant"),
        (500, "", Transport, true, "HTTP 500"),
        (503, envelope, Transport, true, "HTTP 503): AADSTS7000215"),
        (504, "<html>", Transport, true, "HTTP 504"),
        (408, "", Transport, true, "HTTP 408"),
        (301, "", Protocol, false, "is not a token endpoint's"),
        (404, "not here", Protocol, false, "HTTP 404, no content type, 8 bytes"),
        (407, "<html>", Protocol, false, "is not a token endpoint's"),
        (204, "", Protocol, false, "HTTP 204"),
    ] {
        let error = read(Ok(response(status, &[], body))).await.0.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, transient), "{status} {body}");
        assert!(error.to_string().contains(part), "{part:?} is not in {error}");
    }
    let error = read(Ok(response(401, &[], envelope))).await.0.unwrap_err();
    let denied = error.denied().unwrap();
    assert_eq!((denied.claims(), denied.suberror(), denied.trace_id()), (Some(r#"{"a":1}"#), Some("s"), Some("t")));
    // old answers: CR LF before the ids; a managed identity's proxy: the codes as a string
    let old = r#"{"error":"e","error_description":"AADSTS1: Old.\r\nTrace ID: t\r\nCorrelation ID: c","error_codes":"[500011, 2]"}"#;
    let error = read(Ok(response(400, &[], old))).await.0.unwrap_err();
    assert_eq!(error.denied().unwrap().description(), "AADSTS1: Old.");
    assert_eq!(error.denied().unwrap().codes(), [500011, 2]);
    let long = format!(r#"{{"error":"e","error_description":"a\u0000\u001b[31m{}"}}"#, "x".repeat(100_000));
    let error = read(Ok(response(400, &[], long))).await.0.unwrap_err();
    assert!(error.to_string().len() < 1200 && !error.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn retry_after_is_seconds_or_a_date_and_bounded() {
    const DATE: (&str, &str) = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
    for (headers, want) in [
        (&[("retry-after", "30")][..], Some(30_000)),
        (&[("retry-after", " 30 ")], Some(30_000)),
        (&[("retry-after", "1.5")], Some(1500)),
        (&[("retry-after", "86400")], Some(3_600_000)),
        (&[("retry-after", "1e300")], Some(3_600_000)),
        (&[("retry-after", "inf")], Some(3_600_000)),
        (&[("retry-after", "99999999999999999999999")], Some(3_600_000)),
        (&[("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT"), DATE], Some(90_000)),
        (&[("retry-after", "Wed, 21 Oct 2065 07:29:30 GMT"), DATE], Some(3_600_000)),
        (&[("retry-after", "Wed, 21 Oct 2015 07:27:00 GMT"), DATE], None),
        (&[("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT")], None),
        (&[("retry-after-ms", "250")], Some(250)),
        (&[("x-ms-retry-after-ms", "12000"), ("retry-after", "13")], Some(12_000)),
        (&[("x-ms-retry-after-ms", "later"), ("retry-after", "13")], Some(13_000)),
        (&[("retry-after-ms", "99999999999")], Some(3_600_000)),
        (&[("retry-after", "0")], None),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "")], None),
        (&[], None),
    ] {
        let error = read(Ok(response(503, headers, ""))).await.0.unwrap_err();
        assert_eq!(error.retry_after(), want.map(Duration::from_millis), "{headers:?}");
        // who is throttled waits in any case
        let error = read(Ok(response(429, headers, ""))).await.0.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_millis(want.unwrap_or(5000))), "{headers:?}");
    }
}

#[tokio::test]
async fn an_ill_authority_is_asked_again_unless_it_wants_to_be_left_alone_for_long() {
    for (status, headers, retried, slept) in [
        (503, &[][..], true, 0..=1000),
        (500, &[("retry-after", "0")], true, 0..=1000),
        (502, &[("retry-after", "soon")], true, 0..=1000),
        (408, &[], true, 0..=1000),
        (429, &[], true, 0..=1000),
        (429, &[("retry-after-ms", "1500")], true, 1500..=1650),
        (503, &[("retry-after", "5")], true, 5000..=5500),
        (503, &[("retry-after", "6")], false, 0..=0),
        (400, &[("retry-after", "1")], false, 0..=0),
        (501, &[], true, 0..=1000),
    ] {
        let (transport, clock) = (Scripted::default(), Arc::new(ManualClock::default()));
        transport.0.lock().unwrap().push_back(Ok(response(status, headers, "")));
        let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
            .tenant("contoso.com")
            .client_secret(format!("{}-secret", testkit::CANARY))
            .transport(transport)
            .clock(clock.clone())
            .build()
            .unwrap();
        assert_eq!(client.acquire_token_for_client(SCOPE).await.is_ok(), retried, "{status} {headers:?}");
        assert!(slept.contains(&clock.slept().as_millis()), "{status} {headers:?}: {:?}", clock.slept());
    }
}

#[tokio::test]
async fn a_time_out_of_range_comes_with_the_measured_skew() {
    let now = ManualClock::default().system_time();
    let (later, earlier) = (now + Duration::from_secs(3630), now - Duration::from_secs(3630));
    for (code, date, part) in [
        (700024, Some(later), "this machine's clock is 60 minutes behind the authority's"),
        (700024, Some(earlier), "this machine's clock is 60 minutes ahead of the authority's"),
        (1000502, Some(later), "set it right (NTP)"),
        (700024, Some(now), "this machine's clock is right: the assertion is stale"),
        (1000502, Some(now), "the certificate is outside its validity"),
        (700024, None, "set this machine's clock right (NTP), or fetch the federated token anew"),
        // not a matter of time
        (7000215, Some(later), "copy the secret's Value"),
    ] {
        let date = date.map(httpdate::fmt_http_date);
        let headers = date.iter().map(|date| ("date", date.as_str())).collect::<Vec<_>>();
        let body = format!(r#"{{"error":"invalid_client","error_codes":[{code}]}}"#);
        let error = read(Ok(response(401, &headers, body))).await.0.unwrap_err();
        assert!(error.advice().unwrap().contains(part), "{code}, {date:?}: {:?}", error.advice());
    }
}

#[tokio::test]
async fn an_odd_member_hides_no_other() {
    for (body, codes, description) in [
        (r#"{"error":"e","error_codes":["700016",7000215,-1,"x",{}]}"#, &[700016, 7000215][..], ""),
        (
            r#"{"error":"e","error_codes":null,"error_description":"AADSTS70011: No. AADSTS1: x"}"#,
            &[70011],
            "AADSTS70011: No. AADSTS1: x",
        ),
        (r#"{"error":"e","error_codes":[],"suberror":{},"claims":1,"error_description":"AADSTSx"}"#, &[], "AADSTSx"),
        (r#"{"error":"other","error":"e","error_codes":[99999999999]}"#, &[], ""),
        (r#"{"error":"e","x":[[[[1]]]],"timestamp":12,"trace_id":null,"error_codes":7}"#, &[], ""),
    ] {
        let error = read(Ok(response(400, &[], body))).await.0.unwrap_err();
        let denied = error.denied().unwrap_or_else(|| panic!("{body}: {error}"));
        assert_eq!((denied.error(), denied.codes(), denied.description()), ("e", codes, description), "{body}");
    }
}

#[tokio::test]
async fn what_gets_no_answer_says_where_it_got_stuck() {
    use TransportErrorKind::{Body, Connect, Setup, Timeout, Tls, TooLarge};
    for (kind, transient, part, advice) in [
        (Connect, true, "no connection", "HTTPS_PROXY"),
        (Timeout, true, "no answer in time", "try again later"),
        (Body, true, "the answer broke off", "cut connections"),
        (Tls, false, "certificate is not trusted", "add_root_certificate_pem"),
        (Setup, false, "could not be set up", "ca-certificates"),
        (TooLarge, false, "too long", "something else than a token endpoint"),
    ] {
        let error = read(Err(kind)).await.0.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, transient), "{kind:?}");
        let text = error.to_string();
        assert!(text.contains(part) && text.contains("https://login.microsoftonline.com/contoso.com/oauth2"), "{text}");
        assert!(error.advice().unwrap_or_default().contains(advice), "{error:?}");
    }
}
