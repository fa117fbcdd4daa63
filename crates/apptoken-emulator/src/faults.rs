//! Trouble on demand: what a daemon must live with, made to happen.

mod bounded;
mod declared;
mod delays;
mod rule;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

pub(crate) use bounded::{Import, SeededFaults, TooMuch};
pub(crate) use delays::Delays;
pub use rule::FaultRule;
pub(crate) use rule::Target;

use crate::limits::Limits;
use crate::seed::SeedReplicationDelay;

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
    /// What would be granted is refused by a Conditional Access policy: 53003, with a `claims` challenge.
    ConditionalAccess,
    /// What would be granted is refused with this AADSTS code, one of those that nothing else here provokes
    /// (`docs/emulator-fidelity.md`); another code does nothing.
    Refusal(u32),
}

/// The switches of a running local Entra ID. All can be changed at any time. The bounds of [`Limits`] are for what comes
/// in seeds and over HTTP; what this program itself asks for has none.
#[derive(Debug, Default)]
pub struct Faults {
    /// How many faults wait in `queue`: the token path looks here, and takes the lock only when there are any.
    waiting: AtomicUsize,
    queue: Mutex<VecDeque<FaultRule>>,
    next_id: AtomicU64,
    pub(crate) delays: Delays,
    /// How many applications have entries in `revoked`.
    revocations: AtomicUsize,
    revoked: Mutex<HashMap<Uuid, i64>>,
    latency_micros: AtomicU64,
    token_lifetime: OptionalSeconds,
    refresh_in: OptionalSeconds,
    limits: Limits,
}

impl Faults {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The next `n` token requests meet `fault`; faults asked for earlier come first.
    pub fn next_token_requests(&self, n: u32, fault: Fault) {
        self.add(FaultRule::new(fault).times(n));
    }

    /// The requests that `rule` is for meet its fault; rules added earlier come first. Gives the id by which
    /// [`Self::remove`] knows it.
    pub fn add(&self, rule: FaultRule) -> u64 {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&mut queue, rule)
    }

    fn put(&self, queue: &mut VecDeque<FaultRule>, mut rule: FaultRule) -> u64 {
        rule.id = self.next_id.fetch_add(1, Ordering::SeqCst) + 1;
        let id = rule.id;
        if rule.left != Some(0) {
            queue.push_back(rule);
        }
        self.waiting.store(queue.len(), Ordering::SeqCst);
        id
    }

    /// Takes a fault away; whether it still waited.
    pub fn remove(&self, id: u64) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let before = queue.len();
        queue.retain(|rule| rule.id != id);
        self.waiting.store(queue.len(), Ordering::SeqCst);
        queue.len() < before
    }

    /// From now on, credentials are not known to the token endpoint before they are as old as this: 7000215, 700027 or
    /// 70021 until then, as while Entra replicates them. Replaces what was said before; seeded ones are known at once.
    pub fn replication_delays(&self, delays: Vec<SeedReplicationDelay>) {
        self.delays.change(|rules| *rules = delays);
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

    /// Ends all faults, revocations, delays, latency and lifetimes.
    pub fn clear(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clear();
        self.waiting.store(0, Ordering::SeqCst);
        drop(queue);
        self.delays.change(Vec::clear);
        self.clear_settings();
    }

    /// All but faults and delays.
    fn clear_settings(&self) {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.revocations.store(0, Ordering::SeqCst);
        self.latency(Duration::ZERO);
        self.token_lifetime(None);
        self.refresh_in(None);
    }

    /// Whether any fault waits: only then need a request say what it is about.
    pub(crate) fn any(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// The rules that wait, in order.
    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Applications whose tokens were revoked.
    pub(crate) fn revoked(&self) -> Vec<Uuid> {
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Takes the fault that is due for one token request.
    pub(crate) fn take(&self, target: &Target<'_>) -> Option<Fault> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let index = queue.iter().position(|rule| rule.meets(target))?;
        let rule = queue.get_mut(index)?;
        let due = rule.fault.clone();
        if let Some(left) = &mut rule.left {
            *left -= 1;
            if *left == 0 {
                queue.remove(index);
            }
        }
        self.waiting.store(queue.len(), Ordering::SeqCst);
        Some(due)
    }

    /// Tokens of this application that began before `now` are revoked.
    pub(crate) fn revoke(&self, app: Uuid, now: i64) {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        revoked.insert(app, now);
        self.revocations.store(revoked.len(), Ordering::SeqCst);
    }

    /// The application's tokens are good again; whether they were not.
    pub(crate) fn end_revocation(&self, app: Uuid) -> bool {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let was = revoked.remove(&app).is_some();
        self.revocations.store(revoked.len(), Ordering::SeqCst);
        was
    }

    /// When this application's tokens were revoked.
    pub(crate) fn revoked_at(&self, app: Uuid) -> Option<i64> {
        if self.revocations.load(Ordering::SeqCst) == 0 {
            return None;
        }
        self.revoked.lock().unwrap_or_else(PoisonError::into_inner).get(&app).copied()
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
        let take = || faults.take(&Target { tenant: &[], app: "", resource: "", identities: false });
        assert_eq!((faults.any(), take()), (false, None));
        faults.next_token_requests(2, Fault::Reset);
        faults.next_token_requests(1, Fault::Hang);
        assert_eq!([take(), take()], [Some(Fault::Reset), Some(Fault::Reset)]);
        assert_eq!([take(), take()], [Some(Fault::Hang), None]);
        faults.next_token_requests(9, Fault::Garbage);
        faults.token_lifetime(Some(Duration::from_secs(60)));
        assert_eq!(faults.lifetime_seconds(), Some(60));
        faults.clear();
        assert_eq!((take(), faults.lifetime_seconds()), (None, None));
    }
}
