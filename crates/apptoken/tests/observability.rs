//! Spans and events have the names and fields that docs/observability.md lists, and nothing secret is in them; token
//! requests tell Entra what the same page says.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::http::{CircuitPolicy, Request, Response, RetryPolicy, Transport, TransportError, TransportErrorKind};
use apptoken::{CacheLevel, ConfidentialClient, Environment, EnvironmentClient, ManagedIdentityClient};
use apptoken_emulator::Fault;
use common::{CONTOSO, DAEMON, TODO, World, minutes};
use testkit::CANARY;
use tracing::Instrument as _;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

const PAGE: &str = include_str!("../../../docs/observability.md");

/// One span that has ended, or one event.
#[derive(Clone, Debug)]
struct Seen {
    name: &'static str,
    level: tracing::Level,
    fields: BTreeMap<&'static str, String>,
    /// The span that it is in.
    parent: Option<&'static str>,
    follows: bool,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl Recorder {
    /// Records what this thread does until the guard is dropped.
    fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        let recorder = Self::default();
        let subscriber = tracing_subscriber::registry().with(recorder.clone());
        (recorder, tracing::subscriber::set_default(subscriber))
    }

    /// What has come since the last time.
    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        if span.metadata().target() != "apptoken" {
            return;
        }
        let mut seen = Seen {
            name: span.metadata().name(),
            level: *span.metadata().level(),
            fields: BTreeMap::new(),
            parent: span.parent().map(|parent| parent.metadata().name()),
            follows: false,
        };
        attributes.record(&mut seen);
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(seen) = context.span(id).unwrap().extensions_mut().get_mut::<Seen>() {
            values.record(seen);
        }
    }

    fn on_follows_from(&self, id: &Id, _: &Id, context: Context<'_, S>) {
        if let Some(seen) = context.span(id).unwrap().extensions_mut().get_mut::<Seen>() {
            seen.follows = true;
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "apptoken" {
            return;
        }
        let parent = context.event_span(event).map(|span| span.metadata().name());
        let (name, level) = (event.metadata().name(), *event.metadata().level());
        let mut seen = Seen { name, level, fields: BTreeMap::new(), parent, follows: false };
        event.record(&mut seen);
        self.0.lock().unwrap().push(seen);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let ended = context.span(&id).unwrap().extensions_mut().remove::<Seen>();
        self.0.lock().unwrap().extend(ended);
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

impl Seen {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

fn one<'s>(seen: &'s [Seen], name: &str) -> &'s Seen {
    let mut all = seen.iter().filter(|seen| seen.name == name);
    let first = all.next().unwrap_or_else(|| panic!("no {name} in {seen:#?}"));
    assert!(all.next().is_none(), "more than one {name} in {seen:#?}");
    first
}

/// The names that the page lists, each with the fields of its row.
fn listed() -> HashMap<&'static str, BTreeSet<&'static str>> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `apptoken."));
    let spans_and_events = PAGE.split("# Metrics").next().unwrap();
    rows.filter(|row| spans_and_events.contains(*row))
        .map(|row| {
            let mut words = row.split('`').skip(1).step_by(2);
            (words.next().unwrap(), words.collect())
        })
        .collect()
}

#[tokio::test]
async fn spans_and_events_are_those_of_the_page() {
    let world = World::start().await;
    let mut all = Vec::new();
    let (recorder, _guard) = Recorder::start();
    let client =
        world.bare().client_secret(common::secret()).retry(RetryPolicy { max_retries: 1, ..RetryPolicy::default() });
    let client = client.build().unwrap();
    let faults = world.entra.faults();

    // a miss, and a hit
    let token = client.acquire_token_for_client(TODO).await.unwrap();
    let seen = recorder.take();
    let acquire = one(&seen, "apptoken.acquire");
    let expected = [
        ("client_id", DAEMON),
        ("tenant", CONTOSO),
        ("scope", TODO),
        ("outcome", "token"),
        ("source", "authority"),
        ("cache_level", "none"),
        ("refresh_reason", "no_cached_token"),
        ("stale", "false"),
        ("cache_ms", "0"),
        ("correlation_id", &token.correlation_id().to_string()),
    ];
    for (name, value) in expected {
        assert_eq!(acquire.field(name), value, "{name}");
    }
    assert!(acquire.fields.contains_key("total_ms") && acquire.fields.contains_key("http_ms"));
    let request = one(&seen, "apptoken.request");
    assert_eq!(
        (request.parent, request.field("correlation_id")),
        (Some("apptoken.acquire"), acquire.field("correlation_id"))
    );
    let answer = one(&seen, "apptoken.http.try");
    assert_eq!(
        (answer.parent, answer.field("status"), answer.field("method")),
        (Some("apptoken.request"), "200", "POST")
    );
    assert!(world.entra.authority().ends_with(answer.field("host")));
    assert_eq!(one(&seen, "apptoken.token.acquired").level, tracing::Level::DEBUG);
    all.extend(seen);
    client.acquire_token_for_client(TODO).await.unwrap();
    assert!(recorder.take().is_empty(), "a hit is not talked about");

    // a refresh behind
    faults.token_lifetime(Some(minutes(24 * 60)));
    client.acquire_token_for_client(TODO).force_refresh(true).await.unwrap();
    assert_eq!(one(&recorder.take(), "apptoken.acquire").field("refresh_reason"), "force_refresh_or_claims");
    world.advance(minutes(13 * 60));
    client.acquire_token_for_client(TODO).await.unwrap();
    world.until_requests(3).await;
    let seen = recorder.take();
    let request = one(&seen, "apptoken.request");
    assert_eq!((request.parent, request.follows, request.field("refresh_reason")), (None, true, "proactive"));
    let acquire = one(&seen, "apptoken.acquire");
    assert_eq!((acquire.field("source"), acquire.field("refresh_reason")), ("cache", "proactive"));
    // how it ended is told apart from the calls
    let ended = one(&seen, "apptoken.token.acquired");
    assert_eq!(
        (ended.parent, ended.field("correlation_id")),
        (Some("apptoken.request"), request.field("correlation_id"))
    );
    all.extend(seen);

    // the authority is ill, and the token in its last minutes
    world.advance(minutes(24 * 60 - 4));
    faults.next_token_requests(4, Fault::Status { status: 503, retry_after: None, body: None });
    let stale = client.acquire_token_for_client(TODO).await.unwrap();
    assert!(stale.metadata().stale);
    let seen = recorder.take();
    assert_eq!(one(&seen, "apptoken.acquire").field("stale"), "true");
    assert_eq!(one(&seen, "apptoken.token.failed").level, tracing::Level::WARN);
    one(&seen, "apptoken.token.kept");
    one(&seen, "apptoken.http.retry");
    all.extend(seen);
    faults.clear();

    // refused, then throttled, then given up
    let wrong = world.bare().client_secret(format!("{CANARY}-wrong")).build().unwrap();
    wrong.acquire_token_for_client(TODO).await.unwrap_err();
    let seen = recorder.take();
    let acquire = one(&seen, "apptoken.acquire");
    let told =
        ["outcome", "error_kind", "error_code", "sts_error_code", "refresh_reason"].map(|name| acquire.field(name));
    assert_eq!(told, ["error", "denied", "invalid_client", "7000215", "no_cached_token"]);
    all.extend(seen);
    faults.next_token_requests(1, Fault::Status { status: 429, retry_after: Some(minutes(1)), body: None });
    for _ in 0..2 {
        wrong.acquire_token_for_client(TODO).await.unwrap_err();
    }
    let seen = recorder.take();
    assert_eq!(one(&seen, "apptoken.http.try").field("retry_after_ms"), "60000");
    assert_eq!(one(&seen, "apptoken.throttled").field("retry_after_ms"), "60000");
    all.extend(seen);
    faults.next_token_requests(1, Fault::Hang);
    let call = client.acquire_token_for_client(TODO).force_refresh(true).into_future();
    assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
    let seen = recorder.take();
    assert_eq!(one(&seen, "apptoken.acquire").field("outcome"), "cancelled");
    all.extend(seen);

    // the authority goes, and comes back
    let policy = CircuitPolicy { failures: 1, ..CircuitPolicy::default() };
    let fragile =
        world.bare().client_secret(common::secret()).retry(RetryPolicy::NONE).circuit(policy).build().unwrap();
    faults.next_token_requests(1, Fault::Reset);
    fragile.acquire_token_for_client(TODO).await.unwrap_err();
    world.advance(minutes(1));
    fragile.acquire_token_for_client(TODO).await.unwrap();
    let seen = recorder.take();
    assert_eq!(one(&seen, "apptoken.circuit.opened").field("failures"), "1");
    one(&seen, "apptoken.circuit.closed");
    all.extend(seen);

    // other transports' failures, and what builders say
    let offline = world.bare().client_secret(common::secret());
    let offline = ConfidentialClient::builder(DAEMON)
        .transport(Offline)
        .client_secret(format!("{CANARY}-x"))
        .tenant(CONTOSO)
        .retry(RetryPolicy::NONE)
        .build()
        .map(|client| (client, offline))
        .unwrap()
        .0;
    offline.acquire_token_for_client(TODO).await.unwrap_err();
    let seen = recorder.take();
    assert_eq!(one(&seen, "apptoken.http.try").field("error_type"), "connect");
    all.extend(seen);
    let environment = [("AZURE_CLIENT_SECRET", CANARY), ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")];
    EnvironmentClient::builder().environment(Environment::from_iter(environment)).build().unwrap();
    all.extend(recorder.take());

    let listed = listed();
    for seen in &all {
        let fields = listed.get(seen.name).unwrap_or_else(|| panic!("{} is not on the page", seen.name));
        for name in seen.fields.keys().filter(|name| **name != "message") {
            assert!(fields.contains(name), "{name} of {} is not on the page", seen.name);
        }
    }
    for (name, words) in listed {
        // what credentials that change while a client lives bring about: tests/credentials.rs
        if ["read_again", "unusable", "renewed", "not_renewed"].iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let found =
            all.iter().filter(|seen| seen.name == name).flat_map(|seen| seen.fields.keys()).collect::<BTreeSet<_>>();
        assert!(!found.is_empty(), "{name} was never seen");
        let values = "DEBUG WARN token error cancelled cache authority none l1 l2 system_assigned INFO"
            .split(' ')
            .collect::<Vec<_>>();
        let missing = words.iter().filter(|word| !found.contains(word) && !values.contains(word)).collect::<Vec<_>>();
        let words_of_errors = name == "apptoken.http.try" || name == "apptoken.credential.chosen";
        assert!(missing.is_empty() || words_of_errors, "{name} never had {missing:?}");
    }
    let everything = format!("{all:?}");
    assert_eq!(testkit::leak(&everything), None);
    assert!(!everything.contains(token.secret()) && !everything.contains(stale.secret()));
}

struct Offline;

impl Transport for Offline {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        Err(TransportError::new(TransportErrorKind::Connect, "on purpose"))
    }
}

/// Keeps the headers of what is sent, and grants.
#[derive(Clone, Default)]
struct Headers(Arc<Mutex<Vec<http::HeaderMap>>>);

impl Transport for Headers {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.0.lock().unwrap().push(request.headers().clone());
        let body = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"t","expires_on":"9999999999","resource":"x"}"#;
        Ok(Response::new(body.into()))
    }
}

impl Headers {
    fn last(&self) -> http::HeaderMap {
        self.0.lock().unwrap().last().unwrap().clone()
    }
}

#[tokio::test]
async fn token_requests_say_which_library_asks_and_why() {
    testkit::init();
    let (sent, clock) = (Headers::default(), Arc::new(ManualClock::default()));
    let bare = || ConfidentialClient::builder(DAEMON).tenant(CONTOSO).transport(sent.clone()).clock(clock.clone());
    let builder = || bare().client_secret(format!("{CANARY}-secret"));
    let client = builder().build().unwrap();
    let said = || sent.last().get("x-client-current-telemetry").unwrap().to_str().unwrap().to_owned();
    client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(said(), "5|1004,2,,,|0,0,1,,,");
    let headers = sent.last();
    assert_eq!(headers["x-client-sku"], "apptoken");
    assert_eq!(headers["x-client-ver"], env!("CARGO_PKG_VERSION"));
    assert_eq!(headers["x-client-os"], std::env::consts::OS);
    assert_eq!(headers["x-client-cpu"], std::env::consts::ARCH);
    assert_eq!(headers["x-ms-lib-capability"], "retry-after, h429");
    client.acquire_token_for_client(TODO).force_refresh(true).await.unwrap();
    assert_eq!(said(), "5|1004,1,,,|0,0,1,,,");
    clock.advance(minutes(57));
    client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(said(), "5|1004,3,,,|0,0,1,,,");

    // what else it tells: the token's type, the region, the library between
    let key = apptoken::PopKey::from_pem(testkit::keys::PKCS8, None).unwrap();
    client.acquire_token_for_client(TODO).bound_to(&key).await.unwrap_err();
    assert_eq!(said(), "5|1004,2,,,|0,0,2,,,");
    let bound = bare().certificate(common::certificate()).build().unwrap();
    bound.acquire_token_for_client(TODO).mtls_proof_of_possession().await.unwrap_err();
    assert_eq!(said(), "5|1004,2,,,|0,0,6,,,");
    let library = builder().region("WestEurope").client_name("Contoso, Web|x").client_version("1.2.3-with a long tail");
    library.build().unwrap().acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(said(), "5|1004,2,westeurope,,6|0,0,1,ContosoWeb,1.2.3-withalongtail,");

    let silent = builder().telemetry_headers(false).build().unwrap();
    silent.acquire_token_for_client(TODO).await.unwrap();
    let names = sent.last().keys().map(|name| name.as_str().to_owned()).collect::<BTreeSet<_>>();
    assert!(!names.iter().any(|name| name.starts_with("x-client")), "{names:?}");
    assert!(names.contains("client-request-id") && names.contains("x-ms-lib-capability"), "{names:?}");

    let environment = Environment::from_iter([("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")]);
    let machine = ManagedIdentityClient::system_assigned().environment(environment).transport(sent.clone());
    let machine = machine.telemetry_headers(false);
    machine.clock(clock.clone()).build().unwrap().acquire_token("https://vault.azure.net").await.unwrap();
    assert!(!sent.last().keys().any(|name| name.as_str().starts_with("x-client")), "{:?}", sent.last());
}

#[tokio::test]
async fn spans_stand_within_the_programs_own() {
    let (recorder, _guard) = Recorder::start();
    let client = ConfidentialClient::builder(DAEMON).tenant(CONTOSO).client_secret("secret");
    let client = client.transport(Headers::default()).build().unwrap();
    let span = tracing::info_span!("job", team = "billing");
    client.acquire_token_for_client(TODO).into_future().instrument(span).await.unwrap();
    assert_eq!(one(&recorder.take(), "apptoken.acquire").parent, Some("job"));
}

#[tokio::test]
async fn a_result_tells_its_cache_level() {
    let client =
        ConfidentialClient::builder(DAEMON).tenant(CONTOSO).client_secret("secret").transport(Headers::default());
    let client = client.build().unwrap();
    let first = client.acquire_token_for_client(TODO).await.unwrap().metadata();
    let second = client.acquire_token_for_client(TODO).await.unwrap().metadata();
    assert_eq!((first.cache_level, second.cache_level), (CacheLevel::None, CacheLevel::L1));
    assert_eq!((second.duration_cache, second.duration_total), (Duration::ZERO, Duration::ZERO));
}
