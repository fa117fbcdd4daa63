//! Counters of the whole process. The hit path adds to one of them: it is striped by thread, relaxed, and read only when
//! somebody collects.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::token::{AcquiredFrom, CacheLevel, Metadata, RefreshReason};

/// Upper bounds of the life that a token still had when a hit handed it out, in seconds; one more bucket has none.
pub(super) const BOUNDS: [u64; 6] = [60, 300, 900, 3600, 4 * 3600, 24 * 3600];

const BUCKETS: usize = BOUNDS.len() + 1;
const STRIPES: usize = 16;

static HITS: [Stripe; STRIPES] = [const { Stripe([const { AtomicU64::new(0) }; BUCKETS]) }; STRIPES];
static TAKEN: AtomicUsize = AtomicUsize::new(0);
pub(in super::super) static REQUESTS_IN_FLIGHT: AtomicI64 = AtomicI64::new(0);
pub(in super::super) static SLOTS: AtomicI64 = AtomicI64::new(0);
pub(in super::super) static BYTES: AtomicI64 = AtomicI64::new(0);
pub(in super::super) static EVICTED: AtomicU64 = AtomicU64::new(0);
pub(in super::super) static SWEPT: AtomicU64 = AtomicU64::new(0);
static SERVED: [[[AtomicU64; LEVELS.len()]; REASONS.len()]; SOURCES.len()] =
    [const { [const { [const { AtomicU64::new(0) }; LEVELS.len()] }; REASONS.len()] }; SOURCES.len()];

pub(super) const SOURCES: [AcquiredFrom; 2] = [AcquiredFrom::Cache, AcquiredFrom::Authority];
pub(super) const REASONS: [RefreshReason; 5] = [
    RefreshReason::NotApplicable,
    RefreshReason::ForceRefreshOrClaims,
    RefreshReason::NoCachedToken,
    RefreshReason::Expired,
    RefreshReason::Proactive,
];
pub(super) const LEVELS: [CacheLevel; 3] = [CacheLevel::None, CacheLevel::L1, CacheLevel::L2];

/// On cache lines of its own, so that threads do not take turns at them.
#[repr(align(128))]
struct Stripe([AtomicU64; BUCKETS]);

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[inline]
pub(in super::super) fn hit(left: Duration) {
    let seconds = left.as_secs();
    // without a branch: as many bounds as are below
    let bucket = BOUNDS.iter().map(|&bound| usize::from(seconds > bound)).sum::<usize>();
    let stripe = MINE.with(|mine| match mine.get() {
        usize::MAX => {
            let new = TAKEN.fetch_add(1, Ordering::Relaxed) % STRIPES;
            mine.set(new);
            new
        }
        taken => taken,
    });
    HITS[stripe].0[bucket].fetch_add(1, Ordering::Relaxed);
}

pub(super) fn served(metadata: &Metadata) {
    let place = |found: Option<usize>| found.unwrap_or_default();
    let source = place(SOURCES.iter().position(|source| *source == metadata.source));
    let reason = place(REASONS.iter().position(|reason| *reason == metadata.refresh_reason));
    let level = place(LEVELS.iter().position(|level| *level == metadata.cache_level));
    SERVED[source][reason][level].fetch_add(1, Ordering::Relaxed);
}

/// Hits by the life that their tokens still had, each bucket by itself.
pub(super) fn hits() -> [u64; BUCKETS] {
    std::array::from_fn(|bucket| HITS.iter().map(|stripe| stripe.0[bucket].load(Ordering::Relaxed)).sum())
}

/// Tokens handed out by calls that were not hits.
pub(super) fn all_served() -> impl Iterator<Item = (AcquiredFrom, RefreshReason, CacheLevel, u64)> {
    let reasons = SOURCES.iter().zip(&SERVED).flat_map(|(&source, rest)| {
        REASONS.iter().zip(rest).flat_map(move |(&reason, rest)| {
            LEVELS.iter().zip(rest).map(move |(&level, count)| (source, reason, level, count.load(Ordering::Relaxed)))
        })
    });
    reasons.filter(|(.., count)| *count > 0)
}
