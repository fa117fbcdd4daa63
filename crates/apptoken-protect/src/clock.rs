//! The one door to the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time by which tokens are judged and key fetches are spaced. Any `Fn() -> SystemTime` is one, so that a
/// test can move it.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

impl<F> Clock for F
where
    F: Fn() -> SystemTime + Send + Sync + 'static,
{
    fn now(&self) -> SystemTime {
        self()
    }
}

/// The clock of the machine, the default.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that asks the machine")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Seconds since 1970 as tokens count them (RFC 7519 §2, NumericDate); negative before.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}
