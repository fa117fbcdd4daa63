use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::random_below;
use crate::clock::{Clock, Moment};
use crate::telemetry::{self, TARGET};

/// When a host that keeps failing is left alone: its circuit opens, and requests to it fail at once instead of being
/// sent. After a pause one request goes out to try; when it succeeds, all may go again.
///
/// A failure is no connection, no answer, 408 or 5xx. Requests share connections: those that were under way when an
/// answer broke off, and break off too, count as one failure with it. Callers that hold a valid token do not notice; the
/// others get an error that names the last cause and, in [`retry_after`](crate::Error::retry_after), the time of the next
/// try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// Failures in a row that open it; zero: it never opens. Default: 5.
    pub failures: u32,
    /// The longest first pause; it doubles with each try that fails. The pause is random between half of this and this,
    /// so that many processes do not come back together. Default: 1 second.
    pub first_pause: Duration,
    /// Bound of the doubling, and of the time that an outage is felt longer than it lasts. Default: 10 seconds.
    pub longest_pause: Duration,
}

impl CircuitPolicy {
    /// The circuit never opens.
    pub const NONE: Self = Self { failures: 0, ..Self::DEFAULT };

    const DEFAULT: Self =
        Self { failures: 5, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(10) };

    fn pause(&self, pauses_so_far: u32) -> Duration {
        let longest = self.first_pause.saturating_mul(1 << pauses_so_far.min(16)).min(self.longest_pause);
        longest / 2 + random_below(longest / 2)
    }
}

impl Default for CircuitPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The circuit to one host.
#[derive(Debug)]
pub(super) struct Circuit {
    policy: CircuitPolicy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    last_cause: String,
    open: Option<Open>,
    /// How many times answers broke off; those of one connection together count once.
    breaks: u64,
}

#[derive(Debug)]
struct Open {
    /// Nothing is sent before; the first who comes afterwards goes out to try.
    until: Moment,
    pauses: u32,
}

/// Why a request is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) failures: u32,
    pub(super) last_cause: String,
    pub(super) next_try: Duration,
}

/// A request that may be sent. What came of it is to be told.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    circuit: &'a Circuit,
    clock: &'a dyn Clock,
    kind: Kind,
    /// [`State::breaks`] when it began.
    breaks: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Usual,
    /// The one that tries whether the host is back.
    Probe,
    Ended,
}

impl Circuit {
    pub(super) fn new(policy: CircuitPolicy) -> Self {
        Self { policy, state: Mutex::default() }
    }

    /// Whether a request may be sent now, without sending it.
    pub(super) fn check(&self, now: Moment) -> Result<(), Refused> {
        self.lock().check(now)
    }

    pub(super) fn admit<'a>(&'a self, clock: &'a dyn Clock) -> Result<Attempt<'a>, Refused> {
        let now = clock.now();
        let mut state = self.lock();
        state.check(now)?;
        let kind = match &mut state.open {
            None => Kind::Usual,
            Some(open) => {
                // the others are refused meanwhile; but not for ever, should the one who tries not be polled
                open.until = now + LONGEST_PROBE;
                Kind::Probe
            }
        };
        Ok(Attempt { circuit: self, clock, kind, breaks: state.breaks })
    }

    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, now: Moment) -> Result<(), Refused> {
        match &self.open {
            Some(open) if now < open.until => Err(Refused {
                failures: self.failures,
                last_cause: self.last_cause.clone(),
                next_try: open.until.since(now),
            }),
            _ => Ok(()),
        }
    }
}

impl Attempt<'_> {
    /// The host answered: it lives, whoever's answer it was.
    pub(super) fn succeeded(mut self) {
        self.kind = Kind::Ended;
        let was_open = {
            let mut state = self.circuit.lock();
            let breaks = state.breaks;
            std::mem::replace(&mut *state, State { breaks, ..State::default() }).open.is_some()
        };
        if was_open {
            tracing::info!(name: "apptoken.circuit.closed", target: TARGET, "the authority answers again");
        }
    }

    /// The connection broke: not a failure of its own, if another's on it was counted meanwhile.
    pub(super) fn broke_off(mut self, cause: String) {
        let mut state = self.circuit.lock();
        if self.kind == Kind::Usual && self.breaks != state.breaks {
            drop(state);
            self.kind = Kind::Ended;
            return;
        }
        state.breaks += 1;
        drop(state);
        self.failed(cause);
    }

    pub(super) fn failed(mut self, cause: String) {
        let probe = std::mem::replace(&mut self.kind, Kind::Ended) == Kind::Probe;
        let now = self.clock.now();
        let mut state = self.circuit.lock();
        state.failures = state.failures.saturating_add(1);
        state.last_cause = cause;
        let policy = &self.circuit.policy;
        let pauses = match &state.open {
            Some(open) if probe => open.pauses.saturating_add(1),
            None if policy.failures > 0 && state.failures >= policy.failures => 0,
            // also those that were under way when it opened
            _ => return,
        };
        let pause = policy.pause(pauses);
        state.open = Some(Open { until: now + pause, pauses });
        let (failures, cause) = (state.failures, state.last_cause.clone());
        drop(state);
        let pause_ms = telemetry::millis(pause);
        tracing::warn!(
            name: "apptoken.circuit.opened", target: TARGET,
            failures, cause, pause_ms, "the authority keeps failing: nothing is sent for a while"
        );
    }
}

impl Drop for Attempt<'_> {
    /// Dropped while it waits for the answer: a probe leaves its turn to the next.
    fn drop(&mut self) {
        if self.kind == Kind::Probe
            && let Some(open) = &mut self.circuit.lock().open
        {
            open.until = self.clock.now();
        }
    }
}

/// One who tries and has no answer by then (or is not polled) is no longer waited for.
const LONGEST_PROBE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const POLICY: CircuitPolicy = CircuitPolicy { failures: 3, ..CircuitPolicy::DEFAULT };

    fn fail(circuit: &Circuit, clock: &ManualClock, times: u32) {
        for i in 0..times {
            circuit.admit(clock).expect("closed").failed(format!("trouble {i}"));
        }
    }

    fn pause(circuit: &Circuit, clock: &ManualClock) -> Duration {
        circuit.check(clock.now()).expect_err("open").next_try
    }

    #[test]
    fn failures_in_a_row_open_it_and_it_tells_why() {
        let (circuit, clock) = (Circuit::new(POLICY), ManualClock::default());
        fail(&circuit, &clock, 2);
        circuit.admit(&clock).unwrap().succeeded();
        fail(&circuit, &clock, 2);
        circuit.check(clock.now()).unwrap();
        fail(&circuit, &clock, 1);
        let refused = circuit.admit(&clock).expect_err("open");
        assert_eq!((refused.failures, refused.last_cause.as_str()), (3, "trouble 0"));
        let (half, whole) = (POLICY.first_pause / 2, POLICY.first_pause);
        assert!((half..=whole).contains(&refused.next_try), "{refused:?}");
    }

    #[test]
    fn one_tries_and_the_others_wait_for_what_comes_of_it() {
        let (circuit, clock) = (Circuit::new(POLICY), ManualClock::default());
        fail(&circuit, &clock, 3);
        clock.advance(pause(&circuit, &clock));
        let probe = circuit.admit(&clock).expect("half-open");
        assert!(circuit.admit(&clock).is_err(), "one at a time");
        probe.succeeded();
        circuit.check(clock.now()).unwrap();
        fail(&circuit, &clock, 2);
        circuit.check(clock.now()).expect("the failures before do not count");
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_begin_anew() {
        let (circuit, clock) = (Circuit::new(POLICY), ManualClock::default());
        for _ in 0..2 {
            fail(&circuit, &clock, 3);
            for longest in [1, 2, 4, 8, 10, 10, 10] {
                let (pause, longest) = (pause(&circuit, &clock), Duration::from_secs(longest));
                assert!((longest / 2..=longest).contains(&pause), "{pause:?} of {longest:?}");
                clock.advance(pause);
                fail(&circuit, &clock, 1);
            }
            clock.advance(pause(&circuit, &clock));
            circuit.admit(&clock).unwrap().succeeded();
        }
    }

    #[test]
    fn one_who_tries_and_leaves_or_falls_asleep_stops_nobody() {
        let (circuit, clock) = (Circuit::new(POLICY), ManualClock::default());
        fail(&circuit, &clock, 3);
        clock.advance(pause(&circuit, &clock));
        drop(circuit.admit(&clock).expect("half-open"));
        let _asleep = circuit.admit(&clock).expect("the turn is free again");
        assert!(circuit.admit(&clock).is_err());
        clock.advance(LONGEST_PROBE);
        circuit.admit(&clock).expect("it is not waited for").succeeded();
    }

    #[test]
    fn those_under_way_when_it_opens_prolong_nothing_and_may_close_it() {
        let (circuit, clock) = (Circuit::new(POLICY), ManualClock::default());
        let [late, later, last] = [(); 3].map(|()| circuit.admit(&clock).unwrap());
        fail(&circuit, &clock, 3);
        let before = pause(&circuit, &clock);
        late.failed("late".into());
        drop(later);
        assert_eq!(pause(&circuit, &clock), before);
        last.succeeded();
        circuit.check(clock.now()).unwrap();
    }

    #[test]
    fn requests_whose_connection_breaks_are_one_failure() {
        let (circuit, clock) = (Circuit::new(POLICY), ManualClock::default());
        for _ in 1..POLICY.failures {
            let under_way: Vec<_> = (0..50).map(|_| circuit.admit(&clock).unwrap()).collect();
            under_way.into_iter().for_each(|attempt| attempt.broke_off("reset".into()));
            circuit.check(clock.now()).unwrap();
        }
        // each anew: the host does it again and again
        circuit.admit(&clock).unwrap().broke_off("reset".into());
        let refused = circuit.admit(&clock).expect_err("open");
        assert_eq!(refused.failures, POLICY.failures);
        clock.advance(refused.next_try);
        circuit.admit(&clock).expect("half-open").broke_off("reset".into());
        circuit.check(clock.now()).expect_err("one who tries has failed, whatever else broke off");
    }

    #[test]
    fn with_no_policy_it_never_opens() {
        let (circuit, clock) = (Circuit::new(CircuitPolicy::NONE), ManualClock::default());
        fail(&circuit, &clock, 1000);
    }
}
