use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::asking::TICK;
use crate::clock::Moment;

/// Keeps away from a level that fails: after some failures in a row it is left alone for a while, then tried by one
/// question; each time that one fails too, for twice as long.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    closed_until: Option<Moment>,
    failed_at: Option<Moment>,
    /// When it was asked what it answered last.
    answered: Option<Moment>,
    /// When this process last had more questions than are asked at once.
    crowded: Option<Moment>,
    /// How long answers take, once there has been one: their mean and mean deviation.
    pace: Option<(Duration, Duration)>,
}

/// What to do with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask it. `first`: nothing is known of the level yet, which may have to connect.
    Ask { first: bool },
    /// Ask one, to see whether the level is back; others stay away meanwhile.
    Try,
    /// Go on without the level.
    Spare,
}

impl Breaker {
    /// Whether to ask now.
    pub(super) fn verdict(&self, now: Moment) -> Verdict {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.closed_until {
            Some(until) if now < until => Verdict::Spare,
            Some(_) => {
                // until it has come back, or for as long again
                state.closed_until = Some(now + pause(state.failures));
                Verdict::Try
            }
            None => Verdict::Ask { first: state.pace.is_none() && state.failures == 0 },
        }
    }

    /// Whether questions are not asked just now.
    pub(super) fn spares(&self, now: Moment) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed_until.is_some_and(|until| now < until)
    }

    /// There are more questions than are asked at once.
    pub(super) fn crowded(&self, now: Moment) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.crowded = state.crowded.max(Some(now));
    }

    /// How long to wait for an answer: `least`, or longer for a level that has taken its time of late. The rule is that
    /// of TCP's retransmission timer (RFC 6298). `most` in a crowd, where a whole fleet may ask at the same time: if all
    /// of it went alone for a few milliseconds, its requests and its writes would be what makes the level slow.
    pub(super) fn pace(&self, now: Moment, least: Duration, most: Duration) -> Duration {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.crowded.is_some_and(|crowded| now.since(crowded) < LATELY) {
            return most.max(least);
        }
        let usual = state.pace.map_or(Duration::ZERO, |(mean, deviation)| mean + 4 * deviation);
        usual.min(SLOWEST).max(least)
    }

    /// It has answered now what it was asked then.
    pub(super) fn succeeded(&self, began: Moment, now: Moment) {
        // less what the clock and the timers do not see
        let took = now.since(began).saturating_sub(TICK);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = match state.pace {
            None => (took, took / 2),
            Some((mean, deviation)) => (mean * 7 / 8 + took / 8, deviation * 3 / 4 + mean.abs_diff(took) / 4),
        };
        let (answered, crowded) = (state.answered.max(Some(began)), state.crowded);
        *state = State { pace: Some(pace), answered, crowded, ..State::default() };
    }

    /// A question that began then has failed now. Says whether this is what made it close. Of several that were asked at
    /// the same time, one counts. `long`: it took so long that nobody is to see another.
    pub(super) fn failed(&self, began: Moment, now: Moment, long: bool) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // a level that has answered a later question is not down
        if state.failed_at.max(state.answered).is_some_and(|last| began < last) {
            return false;
        }
        state.failed_at = Some(now);
        let before = state.failures;
        state.failures = before.saturating_add(1).max(if long { ENOUGH } else { 0 });
        if state.failures < ENOUGH {
            return false;
        }
        state.closed_until = Some(now + pause(state.failures));
        before < ENOUGH
    }
}

fn pause(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(ENOUGH).min(16)).min(LONGEST)
}

pub(super) const ENOUGH: u32 = 3;
/// How long a crowd is felt: the last of this process's questions are not the last of its fleet's.
const LATELY: Duration = Duration::from_secs(2);
/// Nobody waits longer for a level that is slow.
const SLOWEST: Duration = Duration::from_millis(250);
/// A hiccup is over by then, and whoever tries does so behind the callers' backs.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Verdict = Verdict::Ask { first: false };

    #[test]
    fn three_failures_close_it_and_one_question_at_a_time_tries_again() {
        let breaker = Breaker::default();
        let at = Moment::from_millis;
        assert_eq!(breaker.verdict(at(0)), Verdict::Ask { first: true });
        let fails = |ms| breaker.failed(at(ms), at(ms), false);
        assert!(!fails(0) && !fails(0));
        breaker.succeeded(at(0), at(0));
        assert!(!fails(0) && !fails(0), "in a row");
        assert_eq!(breaker.verdict(at(0)), ASK);
        assert!(fails(0));
        assert!(breaker.spares(at(49)) && !breaker.spares(at(50)));
        assert_eq!(breaker.verdict(at(49)), Verdict::Spare);
        assert_eq!(breaker.verdict(at(50)), Verdict::Try);
        assert_eq!(breaker.verdict(at(50)), Verdict::Spare, "one at a time");
        assert!(!fails(50), "told once");
        assert_eq!(breaker.verdict(at(149)), Verdict::Spare, "twice as long");
        assert_eq!(breaker.verdict(at(150)), Verdict::Try);
        breaker.succeeded(at(150), at(150));
        assert_eq!([breaker.verdict(at(150)), breaker.verdict(at(150))], [ASK; 2]);
        for _ in 0..40 {
            fails(150);
        }
        assert_eq!(breaker.verdict(at(30_150)), Verdict::Try, "no longer than half a minute");
    }

    #[test]
    fn one_long_wait_is_enough() {
        let breaker = Breaker::default();
        let at = Moment::from_millis;
        assert!(breaker.failed(at(0), at(0), true));
        assert_eq!(breaker.verdict(at(1)), Verdict::Spare);
    }

    #[test]
    fn what_one_stall_makes_late_is_one_failure() {
        let (breaker, at) = (Breaker::default(), Moment::from_millis);
        for _ in 0..10 {
            assert!(!breaker.failed(at(0), at(5), false));
        }
        assert!(!breaker.failed(at(5), at(10), false) && !breaker.failed(at(7), at(10), false));
        assert!(breaker.failed(at(10), at(15), false));
    }

    #[test]
    fn what_was_asked_before_the_last_answer_says_nothing_when_it_fails() {
        let (breaker, at) = (Breaker::default(), Moment::from_millis);
        breaker.succeeded(at(900), at(901));
        assert!(!breaker.failed(at(0), at(1000), true), "it was down, and is back");
        assert_eq!(breaker.verdict(at(1000)), ASK);
        assert!(breaker.failed(at(902), at(1100), true));
    }

    #[test]
    fn in_a_crowd_it_is_given_the_time_of_a_first_answer() {
        let (breaker, at, ms) = (Breaker::default(), Moment::from_millis, Duration::from_millis);
        let pace = |now| breaker.pace(at(now), ms(5), ms(1000));
        assert_eq!(pace(10), ms(5));
        breaker.crowded(at(10));
        breaker.succeeded(at(10), at(11));
        assert_eq!([pace(10), pace(2009), pace(2010)], [ms(1000), ms(1000), ms(5)]);
        assert_eq!(breaker.pace(at(10), ms(5), ms(0)), ms(5), "never less");
    }

    #[test]
    fn a_level_that_is_slow_of_late_is_given_more_time() {
        let (breaker, ms) = (Breaker::default(), Duration::from_millis);
        let takes = |took| breaker.succeeded(Moment::from_millis(0), Moment::from_millis(took));
        let pace = || breaker.pace(Moment::from_millis(0), ms(5), ms(1000));
        assert_eq!(pace(), ms(5));
        for _ in 0..100 {
            takes(4);
        }
        assert_eq!(pace(), ms(5), "no more than the clock can tell");
        for _ in 0..100 {
            takes(45);
        }
        assert!(pace() >= ms(35), "{:?}", pace());
        takes(2000);
        assert_eq!(pace(), ms(250), "within bounds");
        for _ in 0..100 {
            takes(0);
        }
        assert_eq!(pace(), ms(5), "and less again");
    }
}
