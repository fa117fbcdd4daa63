//! The program's one door to the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time now.
#[expect(clippy::disallowed_methods, reason = "the one place of the program that asks the machine")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The time now, seconds since 1970.
pub(crate) fn now_unix() -> i64 {
    unix(now())
}

/// Seconds since 1970; before it, zero.
pub(crate) fn unix(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

/// Measures how long something takes.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "the one place of the program that asks the machine")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place of the program that asks the machine")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
