//! Any answer of a token endpoint is a token or a clear error, and the next call is a normal one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::clock::{Clock, ManualClock};
use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken::{Error, ErrorKind};
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use testkit::CANARY;

use super::{SCOPE, client};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_is_a_token_or_a_clear_error(answer in answer()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(&answer))?;
    }
}

#[derive(Clone)]
struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Vec<u8>,
}

async fn check(answer: &Answer) -> Result<(), TestCaseError> {
    let (authority, clock) = (Scripted::default(), Arc::new(ManualClock::default()));
    let client = client(authority.clone()).clock(clock.clone()).build().unwrap();
    authority.0.lock().unwrap().push_back(answer.response());
    let now = clock.system_time();
    let outcome = client.acquire_token_for_client(SCOPE).await;
    let wait = match (&outcome, answer.grants()) {
        (Ok(token), Some(grant)) => {
            prop_assert_eq!(token.secret(), grant.token);
            prop_assert_eq!(token.token_type(), "Bearer");
            prop_assert_eq!(token.expires_on(), now + grant.life);
            let refresh = token.refresh_on();
            prop_assert!(refresh.is_none_or(|refresh| now < refresh && refresh < token.expires_on()), "{:?}", refresh);
            let again = client.acquire_token_for_client(SCOPE).await.unwrap();
            prop_assert_eq!(again.secret(), token.secret());
            grant.life
        }
        (Err(error), None) => clear(error)?,
        // bytes that are no text do no harm where nobody reads
        (Ok(token), None) if str::from_utf8(&answer.body).is_err() => token.expires_on().duration_since(now).unwrap(),
        (Ok(token), None) => return Err(TestCaseError::fail(format!("a token: {token:?}"))),
        (Err(error), Some(_)) => return Err(TestCaseError::fail(format!("no token: {error}"))),
    };
    // whatever it was, the slot is well
    clock.advance(wait);
    let next = client.acquire_token_for_client(SCOPE).await.unwrap();
    prop_assert_eq!(next.secret(), "good");
    Ok(())
}

/// One line, nothing secret, a next step; how long the authority is to be left alone.
fn clear(error: &Error) -> Result<Duration, TestCaseError> {
    let shown = format!("{error} {error:?}");
    prop_assert!(!error.to_string().contains(char::is_control), "{}", shown);
    prop_assert!(!shown.contains(CANARY), "{}", shown);
    prop_assert!(shown.len() < 20_000);
    prop_assert!(error.advice().is_some() || error.kind() == ErrorKind::Denied, "{}", shown);
    let kinds = [ErrorKind::Denied, ErrorKind::Protocol, ErrorKind::Throttled, ErrorKind::Transport];
    prop_assert!(kinds.contains(&error.kind()), "{}", shown);
    Ok(error.retry_after().unwrap_or_default())
}

struct Grant {
    token: String,
    life: Duration,
}

impl Answer {
    fn response(&self) -> Response {
        let mut response = http::Response::builder().status(self.status);
        if let Some(wait) = &self.retry_after {
            response = response.header("retry-after", wait);
        }
        response.body(self.body.clone().into()).unwrap()
    }

    /// The token that the answer grants, as a plain reading has it: what the members that count say, whatever the others.
    fn grants(&self) -> Option<Grant> {
        let body = self.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.body);
        let members = serde_json::from_slice::<BTreeMap<String, &RawValue>>(body).ok()?;
        // the reader above takes the last of two: one that is doubled is refused
        let doubled = |name: &&str| String::from_utf8_lossy(body).matches(&format!("{name:?}:")).count() > 1;
        if self.status != 200 || MEMBERS.iter().any(doubled) {
            return None;
        }
        let read = |name: &str| members.get(name).map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get()));
        let [token, kind, life, _, _] = MEMBERS.map(read);
        read("refresh_in").and_then(|_| read("ext_expires_in")).ok()?;
        let seconds = match life.ok()? {
            Value::Number(number) => number.as_f64()?,
            Value::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        let (token, kind) = (token.ok()?, kind.ok()?);
        let token = token.as_str()?;
        let usable = !token.is_empty() && token.bytes().all(|byte| (b'!'..0x7f).contains(&byte));
        let ten_years = 10.0 * 365.0 * 86_400.0;
        (usable && kind.as_str()?.eq_ignore_ascii_case("bearer") && (1.0..=ten_years).contains(&seconds))
            .then(|| Grant { token: token.to_owned(), life: Duration::from_secs(seconds as u64) })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}, retry-after {:?}: {}", self.status, self.retry_after, self.body.escape_ascii())
    }
}

/// Those that a token response is read for.
const MEMBERS: [&str; 5] = ["access_token", "token_type", "expires_in", "refresh_in", "ext_expires_in"];

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![
        6 => Just(200_u16), 4 => prop_oneof![Just(400), Just(401), Just(429), Just(500), Just(503)], 1 => 201..600_u16
    ];
    let wait = prop_oneof![
        3 => Just(None),
        1 => prop_oneof!["0", "-1", "1e9", "120", "99999999999999999999", "soon", ""].prop_map(Some),
    ];
    (status, wait, body()).prop_map(|(status, retry_after, body)| Answer { status, retry_after, body })
}

/// A body that begins as a good one, with some members changed, doubled or missing, and then damaged as a whole.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let good = [
        ("token_type", r#""Bearer""#.to_owned()),
        ("access_token", format!("\"{CANARY}-token\"")),
        ("expires_in", "3599".to_owned()),
    ];
    let changed = proptest::collection::vec((name(), value()), 0..6);
    let kept = proptest::sample::subsequence(good.to_vec(), 0..=3);
    let members = (prop_oneof![3 => Just(good.to_vec()), 1 => kept], changed, any::<bool>()).prop_map(
        |(mut members, changed, doubles)| {
            for (name, value) in changed {
                if !doubles {
                    members.retain(|(other, _)| *other != name);
                }
                members.push((name, value));
            }
            let members = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect::<Vec<_>>();
            format!("{{{}}}", members.join(","))
        },
    );
    (members, any::<prop::sample::Index>(), 0..24_u8, any::<u8>()).prop_map(|(text, place, damage, byte)| {
        let mut body = text.clone().into_bytes();
        match damage {
            0 => body.truncate(place.index(body.len() + 1)),
            1 => {
                let index = place.index(body.len());
                body[index] = byte;
            }
            2 => body.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
            3 => body.splice(0..0, *b"\xef\xbb\xbf\xef\xbb\xbf").for_each(drop),
            4 => body = format!("[{text}]").into(),
            5 => body.push(byte),
            6 => body = format!("<html><body>{text}</body></html>").into(),
            7 => body = "[".repeat(100_000).into(),
            8 => body = text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => {}
        }
        body
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    let names = [
        &MEMBERS[..],
        &[
            "error",
            "suberror",
            "error_description",
            "error_codes",
            "claims",
            "trace_id",
            "correlation_id",
            "timestamp",
            "",
        ],
    ];
    proptest::sample::select(names.concat())
}

/// JSON: any value, and most of all those that go wrong.
fn value() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no other", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        proptest::sample::select(vec![
            "0",
            "-0",
            "1",
            "0.9",
            "1.0",
            "-1",
            "3599.999",
            "1e300",
            "1e400",
            "315360000",
            "315360001",
            "99999999999999999999",
            "1E2",
            "007",
            "+1",
            "NaN",
            "0x10",
        ])
        .prop_map(str::to_owned),
    ];
    let text = prop_oneof![
        "\\PC{0,12}".prop_map(|text| Value::from(text).to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        proptest::sample::select(vec![
            "",
            "invalid_client",
            "temporarily_unavailable",
            "bad_token",
            "AADSTS7000215: no.\r\nTrace ID: x",
            "bearer",
            "pop",
            "[70011]",
            "\u{0}",
            "a\r\nb",
        ])
        .prop_map(|text| Value::from(text).to_string()),
        (1000..3000_usize).prop_map(|length| format!("\"{}\"", "é".repeat(length))),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""\u0041b""#.to_owned()),
        Just(Value::from(super::secret(0)).to_string()),
    ];
    prop_oneof![
        3 => number.clone(),
        2 => number.prop_map(|number| format!("\"{number}\"")),
        4 => text,
        1 => proptest::sample::select(vec!["null", "true", "false", "{}", "[]", "[70011,\"7000215\",-1,1e9]", r#"{"a":[{}]}"#, ""])
            .prop_map(str::to_owned),
    ]
}

/// Gives the answers that it was given, then good ones.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<VecDeque<Response>>>);

impl Transport for Scripted {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        let good = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"good"}"#;
        Ok(self.0.lock().unwrap().pop_front().unwrap_or_else(|| Response::new(good.into())))
    }
}
