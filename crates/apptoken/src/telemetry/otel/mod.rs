//! The figures as OpenTelemetry metrics (feature `otel`).

pub(super) mod counters;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};

use super::acquisition::millis;
use super::in_words::InWords as _;
use crate::Error;
use crate::token::{AccessToken, AcquiredFrom, CacheLevel, RefreshReason};

/// Exports the figures of all clients of this process through `provider`, in its meter `apptoken`. Call it once, when
/// the program starts; a later call moves the histograms and the counter of failures to its provider.
///
/// ```
/// // opentelemetry::global::set_meter_provider(…) comes before
/// apptoken::telemetry::export_metrics(&*opentelemetry::global::meter_provider());
/// ```
pub fn export_metrics(provider: &dyn MeterProvider) {
    let scope = InstrumentationScope::builder("apptoken").with_version(env!("CARGO_PKG_VERSION")).build();
    let meter = provider.meter_with_scope(scope);
    observe_counters(&meter);
    RECORDED.store(Some(Arc::new(Recorded::new(&meter))));
}

/// The instruments that are written to when something happens, which is never on the hit path.
struct Recorded {
    failures: Counter<u64>,
    duration: Histogram<u64>,
    http_duration: Histogram<u64>,
    cache_duration: Histogram<u64>,
    remaining_lifetime: Histogram<u64>,
}

static RECORDED: ArcSwapOption<Recorded> = ArcSwapOption::const_empty();

impl Recorded {
    fn new(meter: &Meter) -> Self {
        let milliseconds = [1., 5., 10., 25., 50., 100., 250., 500., 1e3, 2.5e3, 5e3, 10e3, 30e3, 60e3, 120e3];
        Self {
            failures: meter
                .u64_counter("apptoken.failures")
                .with_unit("{call}")
                .with_description("Calls that got no token, and refreshes that failed")
                .build(),
            duration: meter
                .u64_histogram("apptoken.duration")
                .with_unit("ms")
                .with_description("Duration of calls that were not hits")
                .with_boundaries(milliseconds.to_vec())
                .build(),
            http_duration: meter
                .u64_histogram("apptoken.http.duration")
                .with_unit("ms")
                .with_description("Duration of single HTTP exchanges with an issuer")
                .with_boundaries(milliseconds.to_vec())
                .build(),
            cache_duration: meter
                .u64_histogram("apptoken.cache.duration")
                .with_unit("ms")
                .with_description("Duration of single questions to the second level of the cache")
                .with_boundaries(milliseconds.to_vec())
                .build(),
            remaining_lifetime: meter
                .u64_histogram("apptoken.token.remaining_lifetime")
                .with_unit("s")
                .with_description("Life that a token has left when it is handed out, or when another takes its place")
                .with_boundaries(counters::BOUNDS.map(|bound| bound as f64).to_vec())
                .build(),
        }
    }
}

pub(super) fn served(token: &AccessToken, left: Duration, total: Duration) {
    let metadata = token.metadata();
    counters::served(&metadata);
    let Some(recorded) = &*RECORDED.load() else { return };
    let attributes = [
        KeyValue::new("outcome", "token"),
        KeyValue::new("token_source", metadata.source.in_words()),
        KeyValue::new("refresh_reason", metadata.refresh_reason.in_words()),
    ];
    recorded.duration.record(millis(total), &attributes);
    recorded.remaining_lifetime.record(left.as_secs(), &[KeyValue::new("occasion", "handed_out")]);
}

/// A refresh behind the callers' backs brought a token.
pub(super) fn refreshed(token: &AccessToken) {
    counters::served(&token.metadata());
}

pub(super) fn replaced(left: Duration) {
    let Some(recorded) = &*RECORDED.load() else { return };
    recorded.remaining_lifetime.record(left.as_secs(), &[KeyValue::new("occasion", "replaced")]);
}

pub(super) fn failed(error: &Error, reason: RefreshReason, total: Option<Duration>) {
    let Some(recorded) = &*RECORDED.load() else { return };
    let kind = KeyValue::new("error_kind", error.kind().in_words());
    let reason = KeyValue::new("refresh_reason", reason.in_words());
    if let Some(total) = total {
        recorded.duration.record(millis(total), &[KeyValue::new("outcome", "error"), kind.clone(), reason.clone()]);
    }
    let mut attributes = vec![kind, reason];
    if let Some(denied) = error.denied() {
        attributes.push(KeyValue::new("error_code", word(denied.error())));
        if let Some(code) = denied.codes().first() {
            attributes.push(KeyValue::new("sts_error_code", i64::from(*code)));
        }
    }
    recorded.failures.add(1, &attributes);
}

pub(super) fn http(outcome: Result<u16, &'static str>, duration: Duration) {
    let Some(recorded) = &*RECORDED.load() else { return };
    let attribute = match outcome {
        Ok(status) => KeyValue::new("http.response.status_code", i64::from(status)),
        Err(what) => KeyValue::new("error.type", what),
    };
    recorded.http_duration.record(millis(duration), &[attribute]);
}

pub(super) fn cache(outcome: &'static str, duration: Duration) {
    let Some(recorded) = &*RECORDED.load() else { return };
    recorded.cache_duration.record(millis(duration), &[KeyValue::new("outcome", outcome)]);
}

/// The instruments that are read when somebody collects.
fn observe_counters(meter: &Meter) {
    meter
        .u64_observable_counter("apptoken.acquisitions")
        .with_unit("{token}")
        .with_description("Tokens handed out, and fetched behind the callers' backs")
        .with_callback(|observer| {
            let hits = (AcquiredFrom::Cache, RefreshReason::NotApplicable, CacheLevel::L1);
            let mut all_hits = counters::hits().iter().sum();
            for (source, reason, level, mut count) in counters::all_served() {
                if (source, reason, level) == hits {
                    count += std::mem::take(&mut all_hits);
                }
                observer.observe(count, &acquisition(source, reason, level));
            }
            if all_hits > 0 {
                observer.observe(all_hits, &acquisition(hits.0, hits.1, hits.2));
            }
        })
        .build();
    meter
        .u64_observable_counter("apptoken.hits.remaining_lifetime")
        .with_unit("{token}")
        .with_description("Hits whose token had at most `le` seconds to live")
        .with_callback(|observer| {
            let bounds = counters::BOUNDS.iter().map(|bound| Cow::from(bound.to_string())).chain([Cow::from("+Inf")]);
            let mut below = 0;
            for (bound, hits) in bounds.zip(counters::hits()) {
                below += hits;
                observer.observe(below, &[KeyValue::new("le", bound)]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("apptoken.slots")
        .with_unit("{slot}")
        .with_description("Keys that tokens are kept for")
        .with_callback(|observer| observer.observe(counters::SLOTS.load(Ordering::Relaxed), &[]))
        .build();
    meter
        .i64_observable_up_down_counter("apptoken.slots.size")
        .with_unit("By")
        .with_description("What those keys and their tokens take in memory, about")
        .with_callback(|observer| observer.observe(counters::BYTES.load(Ordering::Relaxed), &[]))
        .build();
    meter
        .u64_observable_counter("apptoken.slots.dropped")
        .with_unit("{slot}")
        .with_description("Keys that were dropped, to make room for others or after their token had expired")
        .with_callback(|observer| {
            for (reason, count) in [("evicted", &counters::EVICTED), ("expired", &counters::SWEPT)] {
                observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("reason", reason)]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("apptoken.http.active_requests")
        .with_unit("{request}")
        .with_description("HTTP requests on their way to an issuer")
        .with_callback(|observer| observer.observe(counters::REQUESTS_IN_FLIGHT.load(Ordering::Relaxed), &[]))
        .build();
}

fn acquisition(source: AcquiredFrom, reason: RefreshReason, level: CacheLevel) -> [KeyValue; 3] {
    [
        KeyValue::new("token_source", source.in_words()),
        KeyValue::new("refresh_reason", reason.in_words()),
        KeyValue::new("cache_level", level.in_words()),
    ]
}

/// The authority's word, if it is one: what it makes up must not make up attributes.
fn word(error: &str) -> Cow<'static, str> {
    let plain = error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain && (1..=40).contains(&error.len()) { Cow::from(error.to_owned()) } else { Cow::from("other") }
}
