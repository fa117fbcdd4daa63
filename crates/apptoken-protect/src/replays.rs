//! Signed requests that have been seen, each remembered for as long as its signature could be used again.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Rejection;
use crate::signed_request::Signed;

/// A memory with a bound. It forgets nothing early: when it is full, requests are turned away.
pub(crate) struct Replays {
    /// Seconds around now in which a signature is good.
    lifetime: i64,
    most: usize,
    /// Keyed anew in each process, so that nobody can choose what collides.
    hasher: RandomState,
    /// Hashes of key and nonce, by the time of signing in units of the lifetime.
    seen: Mutex<BTreeMap<i64, HashSet<u64>>>,
}

impl Replays {
    pub(crate) fn new(lifetime: Duration, most: usize) -> Self {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX).clamp(1, LONGEST);
        Self { lifetime, most, hasher: RandomState::new(), seen: Mutex::default() }
    }

    /// Lets a request in whose time is now, once.
    pub(crate) fn admit(&self, signed: &Signed<'_>, now: i64) -> Result<(), Rejection> {
        let oldest = now.saturating_sub(self.lifetime);
        if signed.signed_at < oldest || signed.signed_at > now.saturating_add(self.lifetime) {
            return Err(Rejection::SignedRequestExpired { signed_at: signed.signed_at, now });
        }
        let hash = self.hasher.hash_one((signed.key.as_str(), signed.nonce));
        // A thread that panicked while it held the lock left the sets whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(first) = seen.first_entry().filter(|first| *first.key() < oldest.div_euclid(self.lifetime)) {
            first.remove();
        }
        let all: usize = seen.values().map(HashSet::len).sum();
        // The same nonce under another time is another signature of the key's own holder; it is refused all the same.
        if seen.values().any(|hashes| hashes.contains(&hash)) {
            return Err(Rejection::SignedRequestReplayed);
        }
        if all >= self.most {
            return Err(Rejection::ReplayMemoryFull);
        }
        seen.entry(signed.signed_at.div_euclid(self.lifetime)).or_default().insert(hash);
        Ok(())
    }
}

/// A day, in seconds.
const LONGEST: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_384_015;

    #[test]
    fn each_once_and_just_now() {
        let replays = Replays::new(Duration::from_secs(300), 100);
        let admit = |nonce, signed_at, now| replays.admit(&Signed { key: "key".into(), nonce, signed_at }, now);
        assert_eq!(admit("a", NOW, NOW), Ok(()));
        assert_eq!(admit("b", NOW, NOW), Ok(()));
        for later in [0, 1, 299, 300] {
            assert_eq!(admit("a", NOW, NOW + later), Err(Rejection::SignedRequestReplayed), "{later}");
        }
        let late = Rejection::SignedRequestExpired { signed_at: NOW, now: NOW + 301 };
        assert_eq!(admit("a", NOW, NOW + 301), Err(late));
        assert_eq!(admit("c", NOW + 300, NOW), Ok(()));
        assert_eq!(admit("c", NOW + 300, NOW + 600), Err(Rejection::SignedRequestReplayed));
        assert!(matches!(admit("d", NOW + 301, NOW), Err(Rejection::SignedRequestExpired { .. })));
        let other = Signed { key: "other".into(), nonce: "c", signed_at: NOW };
        assert_eq!(replays.admit(&other, NOW), Ok(()));
        for time in [i64::MIN, i64::MAX] {
            assert!(matches!(admit("e", time, NOW), Err(Rejection::SignedRequestExpired { .. })));
        }
    }

    #[test]
    fn bounded_and_forgetful_in_time() {
        let replays = Replays::new(Duration::from_secs(10), 3);
        let admit = |nonce: &str, now| replays.admit(&Signed { key: String::new(), nonce, signed_at: now }, now);
        for nonce in ["a", "b", "c"] {
            assert_eq!(admit(nonce, NOW), Ok(()));
        }
        assert_eq!(admit("d", NOW), Err(Rejection::ReplayMemoryFull));
        assert_eq!(admit("a", NOW), Err(Rejection::SignedRequestReplayed));
        assert_eq!(admit("d", NOW + 20), Ok(()));
        assert_eq!(replays.seen.lock().unwrap().values().map(HashSet::len).sum::<usize>(), 1);
    }

    #[test]
    fn of_two_at_once_one_is_let_in() {
        let replays = Replays::new(Duration::from_secs(300), 100);
        let admitted = std::thread::scope(|scope| {
            let admit = || replays.admit(&Signed { key: String::new(), nonce: "n", signed_at: NOW }, NOW).is_ok();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(admit)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|&admitted| admitted).count()
        });
        assert_eq!(admitted, 1);
    }
}
