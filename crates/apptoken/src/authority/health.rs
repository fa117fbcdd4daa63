use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::region::Region;
use crate::clock::Moment;

/// Which regions are ill: they are left alone for a while, then tried by one request, and used again when that succeeds.
#[derive(Default)]
pub(super) struct Health {
    ill: Mutex<HashMap<Region, Illness>>,
}

struct Illness {
    failures: u32,
    until: Moment,
    /// Whether a request is on its way to see if it is over.
    on_trial: bool,
}

impl Health {
    /// Whether a request may go to `region`. Of those that come after an illness, one is let through to see.
    pub(super) fn may_try(&self, region: &Region, now: Moment) -> bool {
        let mut ill = self.lock();
        match ill.get_mut(region) {
            None => true,
            Some(illness) if now < illness.until => false,
            Some(illness) => {
                (illness.until, illness.on_trial) = (now + TRIAL, true);
                true
            }
        }
    }

    pub(super) fn failed(&self, region: &Region, now: Moment) {
        let mut ill = self.lock();
        if ill.len() >= MOST_KEPT && !ill.contains_key(region) {
            ill.clear();
        }
        let illness = ill.entry(region.clone()).or_insert(Illness { failures: 0, until: now, on_trial: false });
        if now < illness.until && !illness.on_trial {
            // it was under way when the region fell ill
            return;
        }
        illness.on_trial = false;
        illness.until = now + FIRST.saturating_mul(1 << illness.failures.min(10)).min(LONGEST);
        illness.failures += 1;
    }

    pub(super) fn answered(&self, region: &Region) {
        self.lock().remove(region);
    }

    /// The map is whole after a panic: it is changed by single calls.
    fn lock(&self) -> MutexGuard<'_, HashMap<Region, Illness>> {
        self.ill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a region is left alone after its first failure; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);
/// How long others wait for the outcome of the one that was let through.
const TRIAL: Duration = Duration::from_secs(30);
/// Requests name their regions: there is no end of them.
const MOST_KEPT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_alone_tried_by_one_and_used_again() {
        let (health, region) = (Health::default(), Region::parse("westus").unwrap());
        let at = |seconds: u64| Moment::from_millis(seconds * 1000);
        assert!(health.may_try(&region, at(0)) && health.may_try(&region, at(0)));
        health.failed(&region, at(0));
        assert!(!health.may_try(&region, at(59)));
        assert!(health.may_try(&region, at(60)), "the trial");
        assert!(!health.may_try(&region, at(60)), "one at a time");
        assert!(health.may_try(&region, at(90)), "the trial never came back");
        health.failed(&region, at(91));
        assert!(!health.may_try(&region, at(91 + 119)) && health.may_try(&region, at(91 + 120)));
        health.answered(&region);
        assert!(health.may_try(&region, at(211)) && health.may_try(&region, at(211)));
        for trial in 1..100 {
            health.failed(&region, at(trial * 1000));
            assert!(health.may_try(&region, at(trial * 1000 + 600)), "never longer than ten minutes");
        }
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let (health, region) = (Health::default(), Region::parse("westus").unwrap());
        let at = |seconds: u64| Moment::from_millis(seconds * 1000);
        for second in 0..20 {
            health.failed(&region, at(second));
        }
        assert!(!health.may_try(&region, at(59)) && health.may_try(&region, at(60)));
        for _ in 0..20 {
            health.failed(&region, at(61));
        }
        assert!(!health.may_try(&region, at(61 + 119)) && health.may_try(&region, at(61 + 120)));
    }

    #[test]
    fn bounded() {
        let health = Health::default();
        for n in 0..1000 {
            health.failed(&Region::parse(&format!("region{n}")).unwrap(), Moment::from_millis(0));
        }
        assert!(health.lock().len() <= MOST_KEPT);
    }
}
