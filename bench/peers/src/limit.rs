//! The least that any cache must do: a papaya lookup by borrowed parts, an `Arc` clone, a look at a coarse clock.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use papaya::Equivalent;
use peers_harness::SCOPE;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Tokens by tenant and scope.
pub(crate) struct Limit(papaya::HashMap<Key, Arc<str>, RandomState>);

impl Limit {
    pub(crate) fn of<'a>(tenants: impl Iterator<Item = &'a str>, token: &str) -> Self {
        let map = papaya::HashMap::with_hasher(RandomState::default());
        for tenant in tenants {
            map.pin().insert(Key(tenant.into(), SCOPE.into()), token.into());
        }
        Self(map)
    }

    #[inline]
    pub(crate) fn get(&self, tenant: &str) -> Option<Arc<str>> {
        self.0.pin().get(&KeyRef(tenant, SCOPE)).cloned()
    }
}

#[inline]
pub(crate) fn coarse_clock() -> Timespec {
    clock_gettime(ClockId::MonotonicCoarse)
}

#[derive(PartialEq, Eq)]
struct Key(Box<str>, Box<str>);
struct KeyRef<'a>(&'a str, &'a str);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef(&self.0, &self.1).hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}
