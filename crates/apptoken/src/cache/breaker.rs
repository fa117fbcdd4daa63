use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

/// Keeps away from a level that fails: after some failures in a row it is left alone for a while, then tried by one
/// question; each time that one fails too, for twice as long.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_until: Option<Moment>,
}

impl Breaker {
    /// Whether to ask now.
    pub(super) fn lets(&self, now: Moment) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.closed_until {
            Some(until) if now < until => false,
            Some(_) => {
                // one tries; the others stay away until it has come back, or for as long again
                state.closed_until = Some(now + pause(state.failures));
                true
            }
            None => true,
        }
    }

    pub(super) fn succeeded(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
    }

    /// Says whether this is what made it close.
    pub(super) fn failed(&self, now: Moment) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        if state.failures < ENOUGH {
            return false;
        }
        state.closed_until = Some(now + pause(state.failures));
        state.failures == ENOUGH
    }
}

fn pause(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(ENOUGH).min(5)).min(LONGEST)
}

const ENOUGH: u32 = 3;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_close_it_and_one_question_at_a_time_tries_again() {
        let breaker = Breaker::default();
        let at = Moment::from_millis;
        assert!(!breaker.failed(at(0)) && !breaker.failed(at(0)));
        breaker.succeeded();
        assert!(!breaker.failed(at(0)) && !breaker.failed(at(0)), "in a row");
        assert!(breaker.lets(at(0)));
        assert!(breaker.failed(at(0)));
        assert!(!breaker.lets(at(999)));
        assert!(breaker.lets(at(1000)));
        assert!(!breaker.lets(at(1000)), "one at a time");
        assert!(!breaker.failed(at(1000)), "told once");
        assert!(!breaker.lets(at(2999)), "twice as long");
        assert!(breaker.lets(at(3000)));
        breaker.succeeded();
        assert!(breaker.lets(at(3000)) && breaker.lets(at(3000)));
        for _ in 0..40 {
            breaker.failed(at(0));
        }
        assert!(breaker.lets(at(30_000)), "no longer than half a minute");
    }
}
