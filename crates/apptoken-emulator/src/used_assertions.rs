//! Which client assertions have been used: their `jti` (RFC 7523 §3, RFC 7519 §4.1.7). Whether Entra looks at it is not
//! established, and clients count on it not doing so: MSAL Node sends one assertion for minutes. So a second use is
//! noted in the sign-in log, and refused only for applications that ask for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest;
use uuid::Uuid;

/// Assertions that were used and are still good. The oldest make room for new ones.
#[derive(Debug)]
pub(crate) struct UsedAssertions {
    most: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    by_id: HashMap<Id, Uses>,
    /// In the order of their first use.
    order: VecDeque<Id>,
}

/// How an assertion was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Unix seconds.
    pub(crate) first: i64,
    pub(crate) times: u64,
    /// When the assertion is good for nothing, Unix seconds.
    until: i64,
}

/// A digest: a `jti` may be as long as its client likes.
type Id = [u8; 16];

impl UsedAssertions {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), used: Mutex::default() }
    }

    /// Notes a use, and tells of those before: of an assertion of `application` that is good until `until`.
    pub(crate) fn note(&self, application: Uuid, jti: &str, until: i64, now: i64) -> Option<Uses> {
        let id = id(application, jti);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(uses) = used.by_id.get_mut(&id) {
            if now < uses.until {
                let before = *uses;
                uses.times = uses.times.saturating_add(1);
                uses.until = uses.until.max(until);
                return Some(before);
            }
            // another assertion, with the name of one that is past
            *uses = Uses { first: now, times: 1, until };
            return None;
        }
        while let Some(oldest) = used.order.front().copied() {
            let past = used.by_id.get(&oldest).is_none_or(|uses| uses.until <= now);
            if !past && used.order.len() < self.most {
                break;
            }
            used.order.pop_front();
            used.by_id.remove(&oldest);
        }
        used.order.push_back(id);
        used.by_id.insert(id, Uses { first: now, times: 1, until });
        None
    }
}

fn id(application: Uuid, jti: &str) -> Id {
    let mut sha256 = digest::Context::new(&digest::SHA256);
    sha256.update(application.as_bytes());
    sha256.update(jti.as_bytes());
    let digest = sha256.finish();
    std::array::from_fn(|i| digest.as_ref()[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: Uuid = Uuid::from_u128(1);

    #[test]
    fn an_assertion_is_known_for_as_long_as_it_is_good() {
        let used = UsedAssertions::new(9);
        assert_eq!(used.note(APP, "a", 100, 10), None);
        assert_eq!(used.note(APP, "b", 100, 10), None);
        assert_eq!(used.note(Uuid::from_u128(2), "a", 100, 10), None);
        assert_eq!(used.note(APP, "a", 100, 20), Some(Uses { first: 10, times: 1, until: 100 }));
        assert_eq!(used.note(APP, "a", 100, 99).map(|uses| uses.times), Some(2));
        assert_eq!(used.note(APP, "a", 200, 100), None);
        assert_eq!(used.note(APP, "a", 200, 101).map(|uses| uses.first), Some(100));
    }

    #[test]
    fn the_oldest_make_room_and_the_past_is_forgotten() {
        let used = UsedAssertions::new(3);
        for (jti, now) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            assert_eq!(used.note(APP, jti, 100, now), None);
        }
        assert_eq!(used.note(APP, "b", 100, 5).map(|uses| uses.first), Some(2));
        assert_eq!(used.note(APP, "a", 100, 6), None, "there was room for three");
        for i in 0..10_000 {
            assert_eq!(used.note(APP, &format!("x{i}"), i64::MAX, 7), None);
        }
        let kept = used.used.lock().unwrap();
        assert_eq!((kept.by_id.len(), kept.order.len()), (3, 3));
        drop(kept);

        let used = UsedAssertions::new(1000);
        for i in 0..500 {
            used.note(APP, &format!("x{i}"), 100, 1);
        }
        used.note(APP, "y", 300, 101);
        assert_eq!(used.used.lock().unwrap().order.len(), 1);
    }
}
