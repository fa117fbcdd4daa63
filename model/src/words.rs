//! Stand-ins for the words of `apptoken` that the files under test use.
#![allow(dead_code, reason = "the files under test need them, the models may not")]

use std::time::Duration;

/// A failure, with the authority's wish to be left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error(pub(crate) Option<Duration>);

impl Error {
    pub(crate) fn asked_to_wait(&self) -> Option<Duration> {
        self.0
    }

    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        Self(wait)
    }
}

pub(crate) mod clock {
    use std::ops::Add;
    use std::time::Duration;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Moment(pub(crate) u64);

    impl Moment {
        pub(crate) fn as_millis(self) -> u64 {
            self.0
        }

        pub(crate) fn since(self, earlier: Self) -> Duration {
            Duration::from_millis(self.0.saturating_sub(earlier.0))
        }
    }

    impl Add<Duration> for Moment {
        type Output = Self;

        fn add(self, duration: Duration) -> Self {
            Self(self.0 + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
        }
    }
}

pub(crate) mod http {
    use std::time::Duration;

    pub(crate) fn random_below(bound: Duration) -> Duration {
        bound / 2
    }
}

pub(crate) mod telemetry {
    #[derive(Debug, Default)]
    pub(crate) struct SlotCount;
}

pub(crate) mod token {
    use super::Error;
    use super::clock::Moment;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Timetable {
        pub(crate) refresh_at: Moment,
        pub(crate) margin_at: Moment,
        pub(crate) expires_at: Moment,
    }

    impl Timetable {
        pub(crate) fn refresh_at(&self) -> Moment {
            self.refresh_at
        }

        pub(crate) fn margin_at(&self) -> Moment {
            self.margin_at
        }

        pub(crate) fn expires_at(&self) -> Moment {
            self.expires_at
        }

        pub(crate) fn extended_until(&self) -> Moment {
            self.expires_at
        }

        pub(crate) fn outlives(&self, _error: &Error, now: Moment) -> bool {
            now < self.expires_at
        }
    }

    #[derive(Debug)]
    pub(crate) struct TokenData {
        /// Which request brought it.
        pub(crate) number: usize,
        pub(crate) timetable: Timetable,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct How;
}
