//! Any sequence of events, played to a client and to the [`Model`]: each caller gets the same from both, at the same
//! time, and the same requests are sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::http::{Request, Response, Transport, TransportError, TransportErrorKind};
use apptoken::{AccessToken, ConfidentialClient, Credential, Error, TokenSource};
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::model::{Answer, Event, Got, Kind, LONG, Model, RETRY_AFTER, SHORT, STEP, pick, word};
use super::{SCOPE, client, secret};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_client_does_what_the_model_says(events in proptest::collection::vec(event(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(play(&events))?;
    }
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        6 => Just(Kind::Plain), 2 => Just(Kind::Source), 1 => Just(Kind::Forced), 1 => Just(Kind::Claims)
    ];
    let answer = prop_oneof![
        4 => Just(Answer::Long), 2 => Just(Answer::Short), 2 => Just(Answer::Ill), 2 => Just(Answer::Throttled),
        1 => Just(Answer::Denied), 2 => Just(Answer::WrongSecret)
    ];
    let steps = prop_oneof![3 => 1..=3_u64, 2 => 4..=18_u64, 1 => Just(30)];
    prop_oneof![
        5 => steps.prop_map(Event::Pass),
        8 => kind.prop_map(Event::Call),
        6 => (0..4_usize, answer).prop_map(|(which, answer)| Event::Answer(which, answer)),
        2 => (0..4_usize).prop_map(Event::Leave),
        1 => Just(Event::Clear),
        1 => Just(Event::Replace),
    ]
}

async fn play(events: &[Event]) -> Result<(), TestCaseError> {
    let (mut real, mut model) = (Real::new(), Model::default());
    for (number, &event) in events.iter().enumerate() {
        let (open, waiting) = (model.open(), model.waiting());
        real.happens(event, &open, &waiting);
        model.happens(event);
        real.settle().await;
        let so_far = &events[..=number];
        prop_assert_eq!(real.got().await, sorted(std::mem::take(&mut model.got)), "who got what, after {:?}", so_far);
        prop_assert_eq!(real.authority.sent(), model.sent, "requests, after {:?}", so_far);
        prop_assert_eq!(real.authority.open(), model.open(), "requests that somebody wants, after {:?}", so_far);
    }
    Ok(())
}

/// The client, and the tasks that wait for it.
struct Real {
    client: ConfidentialClient,
    source: TokenSource,
    clock: Arc<ManualClock>,
    authority: Authority,
    callers: BTreeMap<usize, JoinHandle<Result<AccessToken, Error>>>,
    came: usize,
    replaced: u64,
}

impl Real {
    fn new() -> Self {
        let (authority, clock) = (Authority::default(), Arc::new(ManualClock::default()));
        let client =
            client(authority.clone()).clock(clock.clone()).timeout(Duration::from_secs(1 << 30)).build().unwrap();
        let source = client.token_source(SCOPE).unwrap();
        Self { client, source, clock, authority, callers: BTreeMap::new(), came: 0, replaced: 0 }
    }

    fn happens(&mut self, event: Event, open: &[usize], waiting: &[usize]) {
        match event {
            Event::Pass(steps) => self.clock.advance(Duration::from_secs(steps * STEP)),
            Event::Call(kind) => {
                let (client, source) = (self.client.clone(), self.source.clone());
                let call = tokio::spawn(async move {
                    match kind {
                        Kind::Plain => client.acquire_token_for_client(SCOPE).await,
                        Kind::Source => source.token().await,
                        Kind::Forced => client.acquire_token_for_client(SCOPE).force_refresh(true).await,
                        Kind::Claims => client.acquire_token_for_client(SCOPE).claims(r#"{"access_token":{}}"#).await,
                    }
                });
                self.callers.insert(self.came, call);
                self.came += 1;
            }
            Event::Answer(which, answer) => {
                if let Some(request) = pick(open, which) {
                    self.authority.answer(request, answer);
                }
            }
            Event::Leave(which) => {
                if let Some(call) = pick(waiting, which).and_then(|caller| self.callers.remove(&caller)) {
                    call.abort();
                }
            }
            Event::Clear => self.client.clear_tokens(),
            Event::Replace => {
                self.replaced += 1;
                self.client.replace_credential(Credential::client_secret(secret(self.replaced))).unwrap();
            }
        }
    }

    /// Until nothing moves any more.
    async fn settle(&self) {
        for _ in 0..30 {
            tokio::task::yield_now().await;
        }
    }

    /// What callers have got since the last look.
    async fn got(&mut self) -> Vec<(usize, Got)> {
        let mut got = Vec::new();
        for (&caller, call) in self.callers.iter_mut().filter(|(_, call)| call.is_finished()) {
            got.push((
                caller,
                match call.await.unwrap() {
                    Ok(token) => Got::Token {
                        of_request: token.secret().trim_start_matches('t').parse().unwrap(),
                        stale: token.metadata().stale,
                    },
                    Err(error) => {
                        let retry_after = error.retry_after().map(|wait| wait.as_secs());
                        Got::Error { kind: word(error.kind()), retry_after }
                    }
                },
            ));
        }
        self.callers.retain(|caller, _| got.iter().all(|(other, _)| other != caller));
        got
    }
}

/// Holds each request until it is told the answer.
#[derive(Clone, Default)]
struct Authority(Arc<Mutex<Vec<Option<oneshot::Sender<Response>>>>>);

impl Transport for Authority {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        let (answer, answered) = oneshot::channel();
        self.0.lock().unwrap().push(Some(answer));
        answered.await.map_err(|gone| TransportError::new(TransportErrorKind::Body, gone))
    }
}

impl Authority {
    fn sent(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn open(&self) -> Vec<usize> {
        let requests = self.0.lock().unwrap();
        let open = requests.iter().enumerate().filter(|(_, answer)| answer.as_ref().is_some_and(|a| !a.is_closed()));
        open.map(|(request, _)| request).collect()
    }

    fn answer(&self, request: usize, answer: Answer) {
        let error = |code| format!(r#"{{"error":"invalid_{code}","error_description":"no"}}"#);
        let token = |life| format!(r#"{{"token_type":"Bearer",{life},"access_token":"t{request}"}}"#);
        let (long, short) = (
            format!(r#""expires_in":{},"refresh_in":{}"#, LONG.expires_at, LONG.refresh_at),
            format!(r#""expires_in":{}"#, SHORT.expires_at),
        );
        let (status, body) = match answer {
            Answer::Long => (200, token(long)),
            Answer::Short => (200, token(short)),
            Answer::Ill => (503, String::new()),
            Answer::Throttled => (429, String::new()),
            Answer::Denied => (400, error(r#"scope","error_codes":[70011],"x":""#)),
            Answer::WrongSecret => (401, error(r#"client","error_codes":[7000215],"x":""#)),
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = status.try_into().unwrap();
        if answer == Answer::Throttled {
            response.headers_mut().insert("retry-after", RETRY_AFTER.into());
        }
        let sender = self.0.lock().unwrap()[request].take();
        sender.unwrap().send(response).unwrap();
    }
}

fn sorted(mut got: Vec<(usize, Got)>) -> Vec<(usize, Got)> {
    got.sort();
    got
}
