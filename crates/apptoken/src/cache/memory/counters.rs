use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Bounds;
use crate::telemetry;

/// What a client's memory holds, and how it has fared. Clients that share a [`TokenCache`](super::super::TokenCache) share
/// these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryCounters {
    /// Keys, each with its token or about to get one.
    pub entries: usize,
    /// What they take in memory, about.
    pub bytes: usize,
    /// Calls that were served by a look at it. Threads beyond the thirty-second may miss some.
    pub hits: u64,
    /// Calls that were not: there was no token, or it was about to be replaced.
    pub misses: u64,
    /// Keys that made room for others.
    pub evictions: u64,
    /// Keys that were dropped after their token had expired.
    pub swept: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    entries: AtomicUsize,
    bytes: AtomicUsize,
    hits: Box<[Stripe; STRIPES]>,
    misses: AtomicU64,
    evictions: AtomicU64,
    swept: AtomicU64,
}

/// On a cache line of its own, so that threads do not take turns at it.
#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

const STRIPES: usize = 32;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Counts {
    /// Not in one step, which would take longer than all else that a hit does to memory: a thread has its stripe to
    /// itself, unless there are very many.
    #[inline]
    pub(super) fn hit(&self) {
        let stripe = &self.hits[mine()].0;
        stripe.store(stripe.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn evicted(&self) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn swept(&self) {
        self.swept.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn added(&self, entries: usize, bytes: usize) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        telemetry::bytes_kept(bytes, 0);
    }

    pub(super) fn removed(&self, entries: usize, bytes: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        telemetry::bytes_kept(0, bytes);
    }

    pub(super) fn exceed(&self, bounds: Bounds) -> bool {
        self.entries.load(Ordering::Relaxed) > bounds.entries || self.bytes.load(Ordering::Relaxed) > bounds.bytes
    }

    pub(super) fn read(&self) -> MemoryCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        MemoryCounters {
            entries: self.entries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            hits: self.hits.iter().map(|stripe| read(&stripe.0)).sum(),
            misses: read(&self.misses),
            evictions: read(&self.evictions),
            swept: read(&self.swept),
        }
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        telemetry::bytes_kept(0, *self.bytes.get_mut());
    }
}

#[inline]
fn mine() -> usize {
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(THREADS.fetch_add(1, Ordering::Relaxed));
        }
        mine.get() % STRIPES
    })
}
