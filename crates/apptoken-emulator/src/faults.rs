//! Trouble on demand: what a daemon must live with, made to happen.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What happens to a token request instead of, or before, its proper answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An HTTP status. Without a `body`, the envelope that Entra would send with it.
    Status {
        /// For example 429 or 503.
        status: u16,
        /// Sent as `Retry-After`, whole seconds.
        retry_after: Option<Duration>,
        /// Sent as it is, as `application/json`.
        body: Option<String>,
    },
    /// The proper answer, this much later.
    Latency(Duration),
    /// The connection is reset (TCP RST) without an answer.
    Reset,
    /// No answer, ever, on an open connection.
    Hang,
    /// Status 200 with a body that is not JSON.
    Garbage,
    /// Status 200 and the proper headers, but the connection ends in the middle of the body.
    Truncated,
}

/// The switches of a running local Entra ID. All can be changed at any time.
#[derive(Debug, Default)]
pub struct Faults {
    /// How many faults wait in `queue`: the token path looks here, and takes the lock only when there are any.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<(u32, Fault)>>,
    latency_micros: AtomicU64,
    token_lifetime: OptionalSeconds,
    refresh_in: OptionalSeconds,
}

impl Faults {
    /// The next `n` token requests meet `fault`; faults asked for earlier come first.
    pub fn next_token_requests(&self, n: u32, fault: Fault) {
        if n == 0 {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back((n, fault));
        self.waiting.store(queue.len(), Ordering::SeqCst);
    }

    /// Every token request takes this much longer; zero ends it.
    pub fn latency(&self, latency: Duration) {
        self.latency_micros.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// How long tokens live, exactly; `None` is Entra's hour (`expires_in` 3599).
    pub fn token_lifetime(&self, lifetime: Option<Duration>) {
        self.token_lifetime.set(lifetime);
    }

    /// What `refresh_in` says; `None` is Entra's rule: half the lifetime when that is two hours or more, else absent.
    pub fn refresh_in(&self, refresh_in: Option<Duration>) {
        self.refresh_in.set(refresh_in);
    }

    /// Ends all faults, latency and lifetimes.
    pub fn clear(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clear();
        self.waiting.store(0, Ordering::SeqCst);
        drop(queue);
        self.latency(Duration::ZERO);
        self.token_lifetime(None);
        self.refresh_in(None);
    }

    /// Takes the fault that is due for one token request.
    pub(crate) fn take(&self) -> Option<Fault> {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, fault) = queue.front_mut()?;
        let due = fault.clone();
        *left -= 1;
        if *left == 0 {
            queue.pop_front();
        }
        self.waiting.store(queue.len(), Ordering::SeqCst);
        Some(due)
    }

    pub(crate) fn latency_of_all(&self) -> Option<Duration> {
        match self.latency_micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    pub(crate) fn lifetime_seconds(&self) -> Option<i64> {
        self.token_lifetime.get()
    }

    pub(crate) fn refresh_in_seconds(&self) -> Option<i64> {
        self.refresh_in.get()
    }
}

/// Whole seconds, or nothing.
#[derive(Debug)]
struct OptionalSeconds(AtomicI64);

impl OptionalSeconds {
    fn set(&self, value: Option<Duration>) {
        let seconds = value.map_or(UNSET, |duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
        self.0.store(seconds, Ordering::SeqCst);
    }

    fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&seconds| seconds != UNSET)
    }
}

impl Default for OptionalSeconds {
    fn default() -> Self {
        Self(AtomicI64::new(UNSET))
    }
}

const UNSET: i64 = -1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_order_and_end() {
        let faults = Faults::default();
        assert_eq!(faults.take(), None);
        faults.next_token_requests(2, Fault::Reset);
        faults.next_token_requests(1, Fault::Hang);
        assert_eq!([faults.take(), faults.take()], [Some(Fault::Reset), Some(Fault::Reset)]);
        assert_eq!([faults.take(), faults.take()], [Some(Fault::Hang), None]);
        faults.next_token_requests(9, Fault::Garbage);
        faults.token_lifetime(Some(Duration::from_secs(60)));
        assert_eq!(faults.lifetime_seconds(), Some(60));
        faults.clear();
        assert_eq!((faults.take(), faults.lifetime_seconds()), (None, None));
    }
}
