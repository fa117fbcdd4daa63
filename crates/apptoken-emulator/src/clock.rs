//! The one door to the time: the system's clock plus an offset, or a moment held still.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock by which this local Entra ID issues, expires and refuses. Clones share it.
///
/// It follows the system's clock until a test moves it; only [`Self::freeze`] stops it.
#[derive(Clone, Debug)]
pub struct EmulatorClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    /// Milliseconds ahead of the system's clock.
    offset: AtomicI64,
    /// Milliseconds since the epoch at which it stands still; [`RUNNING`] otherwise.
    frozen: AtomicI64,
}

impl EmulatorClock {
    pub(crate) fn new(offset: i64) -> Self {
        let offset = offset.saturating_mul(1000);
        Self(Arc::new(Hands { offset: AtomicI64::new(offset), frozen: AtomicI64::new(RUNNING) }))
    }

    /// Unix seconds now.
    #[must_use]
    pub fn now_unix(&self) -> i64 {
        self.now_millis().div_euclid(1000)
    }

    /// Now, as the standard library has it.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let millis = u64::try_from(self.now_millis()).unwrap_or(0);
        UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    pub(crate) fn shift_seconds(&self, seconds: i64) {
        self.shift(seconds.saturating_mul(1000));
    }

    /// Moves the clock back.
    pub fn rewind(&self, by: Duration) {
        self.shift(i64::try_from(by.as_millis()).unwrap_or(i64::MAX).saturating_neg());
    }

    /// Makes it `unix` seconds now; it goes on from there.
    pub fn set_unix(&self, unix: i64) {
        let millis = unix.saturating_mul(1000);
        self.0.offset.store(millis.saturating_sub(system_millis()), Ordering::SeqCst);
        self.0.frozen.store(RUNNING, Ordering::SeqCst);
    }

    /// Holds the clock at this moment; [`Self::advance`] still moves it.
    pub fn freeze(&self) {
        self.0.frozen.store(self.now_millis(), Ordering::SeqCst);
    }

    /// Follows the system's clock, so many seconds ahead.
    pub(crate) fn set_offset(&self, seconds: i64) {
        self.0.offset.store(seconds.saturating_mul(1000), Ordering::SeqCst);
        self.0.frozen.store(RUNNING, Ordering::SeqCst);
    }

    /// Back to the system's clock.
    pub fn reset(&self) {
        self.set_offset(0);
    }

    /// Milliseconds, for what a person reads.
    pub(crate) fn now_millis(&self) -> i64 {
        match self.0.frozen.load(Ordering::Relaxed) {
            RUNNING => system_millis().saturating_add(self.0.offset.load(Ordering::Relaxed)).clamp(FIRST, LAST),
            frozen => frozen.clamp(FIRST, LAST),
        }
    }

    /// Seconds ahead of the system's clock.
    pub(crate) fn ahead_seconds(&self) -> i64 {
        self.now_millis().saturating_sub(system_millis()).saturating_add(500).div_euclid(1000)
    }

    /// Whether it stands still.
    pub(crate) fn is_frozen(&self) -> bool {
        self.0.frozen.load(Ordering::Relaxed) != RUNNING
    }

    fn shift(&self, millis: i64) {
        let hand = if self.0.frozen.load(Ordering::SeqCst) == RUNNING { &self.0.offset } else { &self.0.frozen };
        hand.update(Ordering::SeqCst, Ordering::SeqCst, |before| before.saturating_add(millis));
    }
}

const RUNNING: i64 = i64::MIN;
/// Milliseconds of the years 1 and 9999: beyond them no date can be written.
const FIRST: i64 = -62_135_596_800_000;
const LAST: i64 = 253_402_207_200_000 - 1;

#[expect(clippy::disallowed_methods, reason = "the emulator's one reading of the system's clock")]
fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_and_stands_still() {
        let clock = EmulatorClock::new(0);
        clock.set_unix(1_000_000);
        clock.freeze();
        clock.advance(Duration::from_secs(90));
        clock.rewind(Duration::from_secs(30));
        assert_eq!(clock.now_unix(), 1_000_060);
        let held = clock.now();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.now(), held);
        for _ in 0..3 {
            clock.advance(Duration::MAX);
        }
        assert_eq!(clock.now_unix(), LAST / 1000, "time does not come round");
        assert!(jiff::Timestamp::from_millisecond(LAST).is_ok() && jiff::Timestamp::from_millisecond(FIRST).is_ok());
        clock.reset();
        assert!(clock.now_unix() > 1_700_000_000);
    }
}
