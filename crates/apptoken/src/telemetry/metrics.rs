//! What is counted: one function for each thing that happens. Without the feature `otel` they do nothing.

#[cfg(feature = "otel")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::Error;
use crate::clock::Moment;
use crate::token::{AccessToken, RefreshReason, TokenData};

#[cfg(feature = "otel")]
use super::otel;

/// A kept token was handed out. On the hit path: no lock, no allocation, no system call.
#[inline]
pub(crate) fn hit(token: &TokenData, now: Moment) {
    #[cfg(feature = "otel")]
    otel::counters::hit(token.timetable.expires_at().since(now));
    #[cfg(not(feature = "otel"))]
    let _ = (token, now);
}

/// A call that was not a hit got its token.
pub(super) fn served(token: &AccessToken, now: Moment, total: Duration) {
    #[cfg(feature = "otel")]
    otel::served(token, token.data.timetable.expires_at().since(now), total);
    #[cfg(not(feature = "otel"))]
    let _ = (token, now, total);
}

/// A call got none.
pub(super) fn failed(error: &Error, reason: RefreshReason, total: Duration) {
    #[cfg(feature = "otel")]
    otel::failed(error, reason, Some(total));
    #[cfg(not(feature = "otel"))]
    let _ = (error, reason, total);
}

/// A request behind the callers' backs has ended.
pub(crate) fn background(outcome: &Result<AccessToken, Error>) {
    #[cfg(feature = "otel")]
    match outcome {
        Ok(token) => otel::refreshed(token),
        Err(error) => otel::failed(error, RefreshReason::Proactive, None),
    }
    #[cfg(not(feature = "otel"))]
    let _ = outcome;
}

/// A token takes the place of another that had this long to live.
pub(crate) fn replaced(left: Duration) {
    #[cfg(feature = "otel")]
    otel::replaced(left);
    #[cfg(not(feature = "otel"))]
    let _ = left;
}

/// One HTTP exchange, whatever came of it: a status, or the word for what went wrong.
pub(crate) fn http(outcome: Result<u16, &'static str>, duration: Duration) {
    #[cfg(feature = "otel")]
    otel::http(outcome, duration);
    #[cfg(not(feature = "otel"))]
    let _ = (outcome, duration);
}

/// One question to the second level of the cache: it was answered, or it ended in an `error` or a `timeout`.
pub(crate) fn cache(outcome: &'static str, duration: Duration) {
    #[cfg(feature = "otel")]
    otel::cache(outcome, duration);
    #[cfg(not(feature = "otel"))]
    let _ = (outcome, duration);
}

/// A request on its way: counted while this lives.
#[derive(Debug)]
pub(crate) struct InFlight(());

impl InFlight {
    pub(crate) fn begin() -> Self {
        #[cfg(feature = "otel")]
        otel::counters::REQUESTS_IN_FLIGHT.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        #[cfg(feature = "otel")]
        otel::counters::REQUESTS_IN_FLIGHT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Part of each slot: slots are counted while they live.
#[derive(Debug)]
pub(crate) struct SlotCount(());

#[cfg_attr(not(feature = "otel"), expect(clippy::derivable_impls, reason = "with the feature it counts"))]
impl Default for SlotCount {
    fn default() -> Self {
        #[cfg(feature = "otel")]
        otel::counters::SLOTS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for SlotCount {
    fn drop(&mut self) {
        #[cfg(feature = "otel")]
        otel::counters::SLOTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What memory's keys and tokens take has changed.
pub(crate) fn bytes_kept(more: usize, less: usize) {
    #[cfg(feature = "otel")]
    {
        let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        otel::counters::BYTES.fetch_add(signed(more) - signed(less), Ordering::Relaxed);
    }
    #[cfg(not(feature = "otel"))]
    let _ = (more, less);
}

/// A key made room for others.
pub(crate) fn evicted() {
    #[cfg(feature = "otel")]
    otel::counters::EVICTED.fetch_add(1, Ordering::Relaxed);
}

/// A key was dropped after its token had expired.
pub(crate) fn swept() {
    #[cfg(feature = "otel")]
    otel::counters::SWEPT.fetch_add(1, Ordering::Relaxed);
}
