//! What a caller gets on a bad day, and how many requests are sent: every kind of fault, whatever token is held, over
//! HTTPS, on a clock that stands still.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod ill;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::http::{Request, ReqwestTransport, Response, RetryPolicy, Transport, TransportError};
use apptoken::{AcquiredFrom, ConfidentialClient, ErrorKind};
use ill::{Does, IllAuthority, http};
use tokio::task::JoinSet;

use self::Gets::{Error, Extended, Held, New, Stale};

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gets {
    /// The token in hand, which is good.
    Held,
    /// The token in hand, in its last minutes, marked so.
    Stale,
    /// The token in hand, which has expired, within its extended lifetime, marked so.
    Extended,
    /// The token in the answer.
    New,
    /// An error; whether it is transient.
    Error(ErrorKind, bool),
}

const DOWN: Gets = Error(ErrorKind::Transport, true);
const THROTTLED: Gets = Error(ErrorKind::Throttled, true);
const DENIED: Gets = Error(ErrorKind::Denied, false);
const NONSENSE: Gets = Error(ErrorKind::Protocol, false);
const HOPELESS: Gets = Error(ErrorKind::Transport, false);

/// A fault, and for each token that may be in hand what the caller gets and after how many requests.
struct Row(&'static str, Vec<Does>, [(Gets, u32); 5]);

/// The token in hand; the columns of the table.
#[derive(Clone, Copy, Debug)]
enum Hand {
    /// None.
    Empty,
    /// One with fifty minutes to live.
    Valid,
    /// One with three minutes to live.
    NearExpiry,
    /// One that expired a minute ago.
    Expired,
    /// The same, with an hour of `ext_expires_in` left, and a client that allows it.
    ExpiredButAllowed,
}

const HANDS: [Hand; 5] = [Hand::Empty, Hand::Valid, Hand::NearExpiry, Hand::Expired, Hand::ExpiredButAllowed];

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let row = |name, does: Does, cells| Row(name, vec![does], cells);
    let answer = |body: &str| http(200, &[("content-type", "application/json")], body);
    let granted = |members: &str| answer(&format!(r#"{{"token_type":"Bearer",{members}}}"#));
    let refused = |status, members: &str| http(status, &[], &format!(r#"{{"error":"invalid_client",{members}}}"#));
    let good = granted(r#""access_token":"new","expires_in":3599"#);
    //                                                                     none            valid      near expiry  expired         expired, allowed
    let down =                                                           [(DOWN, 4),      (Held, 0), (Stale, 4), (DOWN, 4),      (Extended, 4)];
    let slow_down =                                                      [(THROTTLED, 4), (Held, 0), (Stale, 4), (THROTTLED, 4), (Extended, 4)];
    let leave_alone =                                                    [(THROTTLED, 1), (Held, 0), (Stale, 1), (THROTTLED, 1), (Extended, 1)];
    let denied =                                                         [(DENIED, 1),    (Held, 0), (Stale, 1), (DENIED, 1),    (DENIED, 1)];
    let nonsense =                                                       [(NONSENSE, 1),  (Held, 0), (Stale, 1), (NONSENSE, 1),  (NONSENSE, 1)];
    let fine =                                                           [(New, 1),       (Held, 0), (New, 1),   (New, 1),       (New, 1)];
    vec![
        // the network
        row("nobody listens", Does::Refuses,                              down),
        row("the TLS handshake is cut", Does::CutsTheHandshake,           down),
        row("the certificate is a stranger's", Does::PosesAsTheAuthority, [(HOPELESS, 1),  (Held, 0), (Stale, 1), (HOPELESS, 1),  (HOPELESS, 1)]),
        row("closed without an answer", Does::Closes,                     down),
        row("reset", Does::Resets,                                        down),
        row("no answer, ever", Does::Hangs,                               down),
        row("a byte now and then", Does::Drips,                           down),
        row("headers without end", Does::SendsEndlessHeaders,             down),
        row("not HTTP", Does::Sends("SSH-2.0-OpenSSH_9.6\r\n".into()),    down),
        row("cut in the head", Does::Sends("HTTP/1.1 200 OK\r\ncont".into()), down),
        row("cut in the body", Does::Sends("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"access_token".into()), down),
        row("broken chunks", Does::Sends("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".into()), down),
        row("a gibibyte", Does::SendsAGibibyte,                           [(HOPELESS, 1),  (Held, 0), (Stale, 1), (HOPELESS, 1),  (HOPELESS, 1)]),
        // an ill authority
        row("408", http(408, &[], ""),                                    down),
        row("500", http(500, &[], ""),                                    down),
        row("502 from a proxy", http(502, &[], "<html>Bad gateway"),      down),
        row("503", refused(503, r#""error_codes":[90033]"#),              down),
        row("503, back in a second", http(503, &[("retry-after", "1")], ""), down),
        row("503, back in a minute", http(503, &[("retry-after", "60")], ""), [(DOWN, 1), (Held, 0), (Stale, 1), (DOWN, 1),  (Extended, 1)]),
        row("504", http(504, &[], ""),                                    down),
        row("a passing trouble (90033) as 400", refused(400, r#""error_codes":[90033]"#), [(DOWN, 1), (Held, 0), (Stale, 1), (DOWN, 1), (Extended, 1)]),
        Row("503 twice, then well", vec![http(503, &[], ""), http(503, &[], ""), good.clone()], [(New, 3), (Held, 0), (New, 3), (New, 3), (New, 3)]),
        Row("reset once, then well", vec![Does::Resets, good.clone()],    [(New, 2),       (Held, 0), (New, 2),   (New, 2),       (New, 2)]),
        // throttling
        row("429", http(429, &[], ""),                                    slow_down),
        row("429, back in 0.3 s", http(429, &[("retry-after-ms", "300")], ""), slow_down),
        row("429, back in a minute", http(429, &[("retry-after", "60")], ""), leave_alone),
        row("429, back at a date", http(429, &[("retry-after", "Wed, 21 Oct 2015 07:29:00 GMT"), ("date", "Wed, 21 Oct 2015 07:28:00 GMT")], ""), leave_alone),
        row("a throttled tenant (90055) as 400", refused(400, r#""error_codes":[90055]"#), leave_alone),
        // refusals
        row("401, wrong secret", refused(401, r#""error_codes":[7000215]"#), denied),
        row("400", refused(400, r#""error_codes":[700016]"#),             denied),
        row("400, back in a minute", http(400, &[("retry-after", "60")], r#"{"error":"invalid_scope"}"#), denied),
        row("odd members in a refusal", refused(400, r#""error_codes":{"a":1},"suberror":7,"claims":null,"timestamp":[],"error_description":[],"trace_id":{}"#), denied),
        row("an empty refusal", http(400, &[], ""),                       nonsense),
        row("a redirect", http(302, &[("location", "https://localhost/elsewhere")], ""), nonsense),
        row("404", http(404, &[], "<html>"),                              nonsense),
        row("a proxy wants a password", http(407, &[], "<html>"),         nonsense),
        row("204", http(204, &[], ""),                                    nonsense),
        // a 200 that is no token response
        row("a sign-in page", http(200, &[("content-type", "text/html")], "<html>Welcome to the guest network"), nonsense),
        row("an empty 200", answer(""),                                   nonsense),
        row("truncated JSON", answer(r#"{"token_type":"Bearer","expires_in":3599,"access_tok"#), nonsense),
        row("a refusal as 200", answer(r#"{"error":"invalid_client","error_codes":[7000215]}"#), nonsense),
        row("compressed", http(200, &[("content-encoding", "gzip")], "\u{1f}\u{8b}\u{8}"), nonsense),
        row("deep nesting", answer(&"[".repeat(200_000)),                 nonsense),
        row("another type of token", answer(r#"{"token_type":"mac","access_token":"new","expires_in":3599}"#), nonsense),
        row("no type", answer(r#"{"access_token":"new","expires_in":3599}"#), nonsense),
        row("no token", granted(r#""expires_in":3599"#),                  nonsense),
        row("an empty token", granted(r#""access_token":"","expires_in":3599"#), nonsense),
        row("a token of two lines", granted(r#""access_token":"new\r\nx-evil: 1","expires_in":3599"#), nonsense),
        row("two tokens", granted(r#""access_token":"new","access_token":"other","expires_in":3599"#), nonsense),
        row("no lifetime", granted(r#""access_token":"new""#),            nonsense),
        row("a lifetime of zero", granted(r#""access_token":"new","expires_in":0"#), nonsense),
        row("a negative lifetime", granted(r#""access_token":"new","expires_in":-3599"#), nonsense),
        row("a lifetime of ages", granted(r#""access_token":"new","expires_in":99999999999"#), nonsense),
        row("an infinite lifetime", granted(r#""access_token":"new","expires_in":"inf""#), nonsense),
        // odd, and safe to read
        row("numbers as strings", granted(r#""access_token":"new","expires_in":"3599","ext_expires_in":"3599""#), fine),
        row("a float", granted(r#""access_token":"new","expires_in":3599.5"#), fine),
        row("a byte order mark", answer("\u{feff}{\"token_type\":\"bearer\",\"access_token\":\"new\",\"expires_in\":3599}"), fine),
        row("senseless hints", granted(r#""access_token":"new","expires_in":3599,"refresh_in":-1,"ext_expires_in":"soon""#), fine),
        row("unknown members, doubled", granted(r#""access_token":"new","expires_in":3599,"x":1,"x":[2]"#), fine),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_with_each_token_in_hand() {
    testkit::init();
    let mut cells = JoinSet::new();
    for Row(name, does, expected) in table() {
        let does = does.clone();
        cells.spawn(async move {
            let mut wrong = Vec::new();
            for (hand, expected) in HANDS.into_iter().zip(expected) {
                let (got, afterwards) = cell(hand, does.clone()).await;
                if got != expected {
                    wrong.push(format!("{name}, {hand:?}: {got:?} and not {expected:?}"));
                }
                if afterwards != New {
                    wrong.push(format!("{name}, {hand:?}: an hour after it is over: {afterwards:?}"));
                }
            }
            wrong
        });
    }
    let wrong = cells.join_all().await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a call comes to, after how many requests; and what it comes to when the fault is over.
async fn cell(hand: Hand, does: Vec<Does>) -> ((Gets, u32), Gets) {
    let slow = matches!(does[0], Does::Hangs | Does::Drips);
    let mut authority = IllAuthority::start().await;
    let (clock, requests) = (Arc::new(ManualClock::default()), Arc::new(AtomicU32::new(0)));
    let transport = ReqwestTransport::builder()
        .trust_machine_roots(false)
        .add_root_certificate_pem(ill::ca_pem().as_bytes())
        .unwrap()
        .timeout(Duration::from_millis(if slow { 400 } else { 30_000 }))
        .build();
    let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .authority(authority.url())
        .client_secret(format!("{}-secret", testkit::CANARY))
        .transport(Counted { transport, requests: requests.clone() })
        // short, so that the waits do not add up to what a caller with a token waits for a new one
        .retry(RetryPolicy { base_delay: Duration::from_millis(100), ..RetryPolicy::default() })
        .allow_extended_lifetime(matches!(hand, Hand::ExpiredButAllowed))
        .clock(clock.clone())
        .build()
        .unwrap();
    let token = |name: &str| {
        let body =
            format!(r#"{{"token_type":"Bearer","access_token":"{name}","expires_in":3600,"ext_expires_in":7200}}"#);
        [http(200, &[], &body)]
    };
    let minutes = match hand {
        Hand::Empty => None,
        Hand::Valid => Some(10),
        Hand::NearExpiry => Some(57),
        Hand::Expired | Hand::ExpiredButAllowed => Some(61),
    };
    if let Some(minutes) = minutes {
        authority.does(token("held")).await;
        assert_eq!(call(&client).await, New);
        clock.advance(Duration::from_secs(60 * minutes));
    }
    authority.does(does).await;
    requests.store(0, Ordering::SeqCst);
    let got = call(&client).await;
    let sent = requests.load(Ordering::SeqCst);
    authority.does(token("new")).await;
    clock.advance(Duration::from_secs(3601));
    ((got, sent), call(&client).await)
}

async fn call(client: &ConfidentialClient) -> Gets {
    match client.acquire_token_for_client("https://graph.microsoft.com/.default").await {
        Ok(token) => {
            testkit::witness(&token);
            let metadata = token.metadata();
            match (metadata.source, metadata.stale, metadata.extended) {
                (AcquiredFrom::Authority, false, false) => New,
                (AcquiredFrom::Cache, false, false) => Held,
                (AcquiredFrom::Cache, true, false) => Stale,
                (AcquiredFrom::Cache, true, true) => Extended,
                how => panic!("{how:?}"),
            }
        }
        Err(error) => {
            testkit::witness_error(&error);
            assert!(error.advice().is_some(), "no next step: {error}");
            Error(error.kind(), error.is_transient())
        }
    }
}

/// Counts what is sent.
struct Counted {
    transport: ReqwestTransport,
    requests: Arc<AtomicU32>,
}

impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.transport.send(request).await
    }
}
