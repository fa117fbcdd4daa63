//! The metrics that docs/observability.md lists, as OpenTelemetry's SDK collects them. The figures are the process's, so
//! that all is in one test.
#![cfg(feature = "otel")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::{Arc, Weak};
use std::time::Duration;

use apptoken::cache::TokenCache;
use apptoken::cache::distributed::InMemoryCache;
use apptoken::telemetry::export_metrics;
use apptoken_emulator::Fault;
use common::{TODO, World, minutes};
use opentelemetry::KeyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use testkit::CANARY;

const PAGE: &str = include_str!("../../../docs/observability.md");

/// One reader for the provider and the test.
#[derive(Clone, Debug)]
struct Shared(Arc<ManualReader>);

impl MetricReader for Shared {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, into: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(into)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// What was collected: of a histogram how many were recorded.
#[derive(Debug)]
struct Figures(BTreeMap<(String, String), i64>);

impl Shared {
    fn figures(&self) -> Figures {
        let mut collected = ResourceMetrics::default();
        self.collect(&mut collected).unwrap();
        let mut figures = BTreeMap::new();
        for scope in collected.scope_metrics() {
            assert_eq!((scope.scope().name(), scope.scope().version()), ("apptoken", Some(env!("CARGO_PKG_VERSION"))));
            for metric in scope.metrics() {
                let mut add = |attributes: &mut dyn Iterator<Item = &KeyValue>, value: i64| {
                    let mut words = attributes.map(|pair| format!("{}={}", pair.key, pair.value)).collect::<Vec<_>>();
                    words.sort();
                    figures.insert((metric.name().to_owned(), words.join(" ")), value);
                };
                match metric.data() {
                    AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                        sum.data_points().for_each(|point| add(&mut point.attributes(), point.value() as i64));
                    }
                    AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                        sum.data_points().for_each(|point| add(&mut point.attributes(), point.value()));
                    }
                    AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
                        histogram.data_points().for_each(|point| add(&mut point.attributes(), point.count() as i64));
                    }
                    other => panic!("{}: {other:?}", metric.name()),
                }
            }
        }
        Figures(figures)
    }
}

impl Figures {
    fn get(&self, name: &str, attributes: &str) -> i64 {
        self.0.get(&(name.to_owned(), attributes.to_owned())).copied().unwrap_or_default()
    }
}

#[tokio::test]
async fn figures_are_those_of_the_page() {
    let reader = Shared(Arc::new(ManualReader::builder().build()));
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    export_metrics(&provider);
    let world = World::start().await;
    let faults = world.entra.faults();
    faults.token_lifetime(Some(minutes(24 * 60)));
    let client = world.client();
    let hit = "cache_level=l1 refresh_reason=not_applicable token_source=cache";

    // a miss, and hits of two threads
    client.acquire_token_for_client(TODO).await.unwrap();
    let source = client.token_source(TODO).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for _ in 0..50 {
                    runtime.block_on(source.token()).unwrap();
                    runtime.block_on(client.acquire_token_for_client(TODO).into_future()).unwrap();
                }
            });
        }
    });
    let figures = reader.figures();
    let miss = "cache_level=none refresh_reason=no_cached_token token_source=authority";
    assert_eq!(figures.get("apptoken.acquisitions", miss), 1, "{figures:#?}");
    assert_eq!(figures.get("apptoken.acquisitions", hit), 200);
    assert_eq!(figures.get("apptoken.hits.remaining_lifetime", "le=14400"), 0, "the token lives for a day");
    assert_eq!(figures.get("apptoken.hits.remaining_lifetime", "le=86400"), 200);
    assert_eq!(figures.get("apptoken.hits.remaining_lifetime", "le=+Inf"), 200);
    let took = "outcome=token refresh_reason=no_cached_token token_source=authority";
    assert_eq!(figures.get("apptoken.duration", took), 1);
    assert_eq!(figures.get("apptoken.http.duration", "http.response.status_code=200"), 1);
    assert_eq!(figures.get("apptoken.token.remaining_lifetime", "occasion=handed_out"), 1);
    assert_eq!((figures.get("apptoken.slots", ""), figures.get("apptoken.http.active_requests", "")), (1, 0));

    // a refresh behind
    world.advance(minutes(13 * 60));
    client.acquire_token_for_client(TODO).await.unwrap();
    world.until_requests(2).await;
    let figures = reader.figures();
    for source in [
        "cache_level=l1 refresh_reason=proactive token_source=cache",
        "cache_level=none refresh_reason=proactive token_source=authority",
    ] {
        assert_eq!(figures.get("apptoken.acquisitions", source), 1, "{figures:#?}");
    }
    assert_eq!(figures.get("apptoken.token.remaining_lifetime", "occasion=replaced"), 1);

    // refused; made up by the authority; no answer
    let wrong = world.bare().client_secret(format!("{CANARY}-wrong")).build().unwrap();
    wrong.acquire_token_for_client(TODO).await.unwrap_err();
    let body = r#"{"error":"Something <made> up","error_description":"AADSTS1: x","error_codes":[1]}"#;
    faults.next_token_requests(1, Fault::Status { status: 400, retry_after: None, body: Some(body.to_owned()) });
    wrong.acquire_token_for_client(TODO).await.unwrap_err();
    let figures = reader.figures();
    let refused = "error_code=invalid_client error_kind=denied refresh_reason=no_cached_token sts_error_code=7000215";
    assert_eq!(figures.get("apptoken.failures", refused), 1, "{figures:#?}");
    let made_up = "error_code=other error_kind=denied refresh_reason=no_cached_token sts_error_code=1";
    assert_eq!(figures.get("apptoken.failures", made_up), 1, "{figures:#?}");
    assert_eq!(figures.get("apptoken.duration", "error_kind=denied outcome=error refresh_reason=no_cached_token"), 2);
    assert_eq!(figures.get("apptoken.http.duration", "http.response.status_code=401"), 1);
    assert_eq!(figures.get("apptoken.slots", ""), 2);

    let bytes = client.memory_counters().bytes + wrong.memory_counters().bytes;
    assert_eq!(figures.get("apptoken.slots.size", ""), i64::try_from(bytes).unwrap());

    // dropped to make room
    let small = world.bare().client_secret(common::secret()).max_cached_tokens(1).build().unwrap();
    for scope in [TODO, common::GRAPH, "api://AzureADTokenExchange/.default"] {
        small.acquire_token_for_client(scope).await.unwrap();
    }
    let dropped = small.memory_counters().evictions;
    assert!(dropped >= 1);
    assert_eq!(reader.figures().get("apptoken.slots.dropped", "reason=evicted"), i64::try_from(dropped).unwrap());
    drop(small);

    // on its way, given up, and gone
    faults.next_token_requests(1, Fault::Hang);
    let mut call = Box::pin(client.acquire_token_for_client(TODO).force_refresh(true).into_future());
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut call).await.is_err());
    assert_eq!(reader.figures().get("apptoken.http.active_requests", ""), 1);
    drop(call);
    drop((wrong, client, source));
    let figures = reader.figures();
    assert_eq!((figures.get("apptoken.slots", ""), figures.get("apptoken.http.active_requests", "")), (0, 0));

    assert_eq!(figures.get("apptoken.slots.size", ""), 0);

    // a second level is read, and the token written to it
    assert_eq!(figures.get("apptoken.cache.duration", "outcome=answered"), 0, "there was none so far");
    let shared = TokenCache::distributed(InMemoryCache::new()).build();
    let sharing = world.bare().client_secret(common::secret()).token_cache(&shared).build().unwrap();
    sharing.acquire_token_for_client(TODO).await.unwrap();
    let figures = reader.figures();
    assert!(figures.get("apptoken.cache.duration", "outcome=answered") >= 2, "{figures:#?}");

    // the page names all of them, and nothing else
    let listed = PAGE
        .split("# Metrics")
        .nth(1)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `apptoken."))
        .map(|rest| format!("apptoken.{}", rest.split('`').next().unwrap()));
    let mut seen = figures.0.keys().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    seen.dedup();
    let mut listed = listed.collect::<Vec<_>>();
    listed.sort();
    assert_eq!(seen, listed);
}
