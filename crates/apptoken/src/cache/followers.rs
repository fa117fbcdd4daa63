use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

/// One who holds a token of the second level in memory, and wants to know when another process has put a newer one.
pub(crate) trait Follower: Send + Sync {
    /// A newer one is there. Called from the store's task: what takes time is done elsewhere.
    fn changed(self: Arc<Self>);

    /// Some changes may have been missed.
    fn missed(self: Arc<Self>);

    /// Whether nobody holds the token any more.
    fn is_gone(&self) -> bool;
}

/// The followers by their keys; those that are gone are swept while others come.
#[derive(Default)]
pub(super) struct Followers(Mutex<State>);

#[derive(Default)]
struct State {
    /// By the key's hash: of two with the same one, the later is told.
    by_key: HashMap<u64, Arc<dyn Follower>, RandomState>,
    hasher: RandomState,
    sweep_at: usize,
}

impl Followers {
    pub(super) fn follow(&self, key: &str, follower: Arc<dyn Follower>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.by_key.len() >= state.sweep_at {
            state.by_key.retain(|_, follower| !follower.is_gone());
            state.sweep_at = (2 * state.by_key.len()).max(LEAST);
        }
        let hash = state.hasher.hash_one(key);
        state.by_key.insert(hash, follower);
    }

    /// Tells who follows `key`, or all of them that something was missed.
    pub(super) fn tell(&self, key: Option<&str>) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = key else {
            let all = state.by_key.values().cloned().collect::<Vec<_>>();
            drop(state);
            all.into_iter().for_each(Follower::missed);
            return;
        };
        let follower = state.by_key.get(&state.hasher.hash_one(key)).cloned();
        drop(state);
        if let Some(follower) = follower {
            follower.changed();
        }
    }
}

impl fmt::Debug for Followers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followers")
    }
}

const LEAST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counting {
        told: AtomicU64,
        gone: AtomicBool,
    }

    impl Follower for Counting {
        fn changed(self: Arc<Self>) {
            self.told.fetch_add(1, Ordering::SeqCst);
        }
        fn missed(self: Arc<Self>) {
            self.told.fetch_add(100, Ordering::SeqCst);
        }
        fn is_gone(&self) -> bool {
            self.gone.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn those_who_follow_a_key_are_told_and_those_who_are_gone_are_forgotten() {
        let followers = Followers::default();
        let (one, other) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
        followers.follow("one", one.clone());
        followers.follow("other", other.clone());
        followers.tell(Some("one"));
        followers.tell(Some("unknown"));
        followers.tell(None);
        assert_eq!([one, other].map(|follower| follower.told.load(Ordering::SeqCst)), [101, 100]);
        for i in 0..10 * LEAST {
            let passing = Counting { gone: true.into(), ..Counting::default() };
            followers.follow(&format!("key {i}"), Arc::new(passing));
            assert!(followers.0.lock().unwrap().by_key.len() <= LEAST);
        }
    }
}
