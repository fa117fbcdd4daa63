use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use papaya::{Equivalent, HashMap};

use super::Slot;
use crate::clock::Moment;

/// The slots of one client by tenant and scope. Looking one up takes no lock and allocates nothing.
pub(crate) struct Memory {
    slots: HashMap<Key, Arc<Slot>, RandomState>,
    max_entries: usize,
}

/// What tells one token from another.
#[derive(Clone, Copy)]
pub(crate) struct KeyRef<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) scope: &'a str,
    /// What else, as `request::key::ExtraKey` writes it; empty for a plain call.
    pub(crate) extra: &'a str,
}

struct Key {
    tenant: Box<str>,
    scope: Box<str>,
    extra: Box<str>,
}

impl Memory {
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { slots: HashMap::builder().hasher(RandomState::default()).build(), max_entries: max_entries.max(1) }
    }

    /// The slot of a key that was asked for before.
    pub(crate) fn get(&self, key: KeyRef<'_>) -> Option<Arc<Slot>> {
        self.slots.pin().get(&key).cloned()
    }

    /// Does `look` with the slot of a key that was asked for before, without counting a reference to it.
    pub(crate) fn with<T>(&self, key: KeyRef<'_>, look: impl FnOnce(&Slot) -> Option<T>) -> Option<T> {
        self.slots.pin().get(&key).and_then(|slot| look(slot))
    }

    /// The slot of `key`, a new and empty one the first time.
    pub(crate) fn slot(&self, key: KeyRef<'_>, now: Moment) -> Arc<Slot> {
        if let Some(slot) = self.get(key) {
            return slot;
        }
        if self.slots.len() >= self.max_entries {
            self.make_room(now);
        }
        let owned = Key { tenant: key.tenant.into(), scope: key.scope.into(), extra: key.extra.into() };
        self.slots.pin().get_or_insert_with(owned, Arc::default).clone()
    }

    /// Forgets the tokens of one tenant, or all. A slot that somebody holds stays, empty: its key has no other.
    pub(crate) fn clear(&self, tenant: Option<&str>) {
        let slots = self.slots.pin();
        slots.retain(|key, slot| {
            if tenant.is_some_and(|tenant| !tenant.eq_ignore_ascii_case(&key.tenant)) {
                return true;
            }
            slot.clear();
            !is_idle(slot)
        });
    }

    /// The keys that were asked for: tenant, scope and what else.
    pub(crate) fn keys(&self) -> Vec<(String, String, String)> {
        let slots = self.slots.pin();
        slots.keys().map(|key| (key.tenant.to_string(), key.scope.to_string(), key.extra.to_string())).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many slots hold a token; they are counted one by one.
    pub(crate) fn tokens(&self) -> usize {
        self.slots.pin().values().filter(|slot| slot.ends_at().is_some()).count()
    }

    /// Drops the expired slots that nobody holds; when that is not enough, the sixteenth of the others that was filled
    /// longest ago. One pass over the map for each sixteenth of it that is inserted.
    fn make_room(&self, now: Moment) {
        let slots = self.slots.pin();
        slots.retain(|_, slot| !is_idle(slot) || slot.ends_at().is_some_and(|end| now < end));
        if slots.len() < self.max_entries {
            return;
        }
        let mut ages =
            slots.values().filter(|slot| is_idle(slot)).filter_map(|slot| slot.filled_at()).collect::<Vec<_>>();
        let some = (self.max_entries / 16).min(ages.len().saturating_sub(1));
        if ages.is_empty() {
            return;
        }
        let (_, &mut oldest, _) = ages.select_nth_unstable(some);
        // counted, because many may have been filled at the same tick of the clock
        let mut left = some + 1;
        slots.retain(|_, slot| {
            let stays = left == 0 || !is_idle(slot) || slot.filled_at().is_some_and(|filled| oldest < filled);
            left -= usize::from(!stays);
            stays
        });
    }
}

/// One count is the map's own: more means a TokenSource, or a request in flight.
fn is_idle(slot: &Arc<Slot>) -> bool {
    Arc::strong_count(slot) == 1
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("entries", &self.len()).field("max_entries", &self.max_entries).finish()
    }
}

impl PartialEq for KeyRef<'_> {
    /// As derived, without a call to compare nothing with nothing.
    fn eq(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.scope == other.scope
            && self.extra.len() == other.extra.len()
            && (self.extra.is_empty() || self.extra == other.extra)
    }
}

impl Eq for KeyRef<'_> {}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tenant.hash(state);
        self.scope.hash(state);
        // a hit of a plain call hashes no more than it needs
        if !self.extra.is_empty() {
            self.extra.hash(state);
        }
    }
}

impl Key {
    fn borrowed(&self) -> KeyRef<'_> {
        KeyRef { tenant: &self.tenant, scope: &self.scope, extra: &self.extra }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.borrowed() == other.borrowed()
    }
}

impl Eq for Key {}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.borrowed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot::tests::{at, token};
    use super::*;

    fn key(scope: &str) -> KeyRef<'_> {
        KeyRef { tenant: "contoso.com", scope, extra: "" }
    }

    #[test]
    fn tenants_and_scopes_do_not_share() {
        let memory = Memory::new(10);
        let now = Moment::from_millis(0);
        let one = memory.slot(key("a"), now);
        assert!(Arc::ptr_eq(&one, &memory.slot(key("a"), now)));
        assert!(!Arc::ptr_eq(&one, &memory.slot(key("b"), now)));
        assert!(!Arc::ptr_eq(&one, &memory.slot(KeyRef { tenant: "fabrikam.com", scope: "a", extra: "" }, now)));
        assert!(!Arc::ptr_eq(&one, &memory.slot(KeyRef { extra: "1:a", ..key("a") }, now)));
        // the same characters, cut elsewhere
        assert!(!Arc::ptr_eq(
            &memory.slot(KeyRef { tenant: "ab", scope: "c", extra: "" }, now),
            &memory.slot(KeyRef { tenant: "a", scope: "bc", extra: "" }, now)
        ));
    }

    #[test]
    fn a_slot_that_is_held_is_the_only_one_of_its_key_after_a_clearing_too() {
        let memory = Memory::new(10);
        let held = memory.slot(key("held"), at(1));
        for scope in ["held", "idle"] {
            memory.slot(key(scope), at(1)).store(token(50, 55, 60), at(1), 0);
        }
        assert_eq!((memory.len(), memory.tokens()), (2, 2));
        memory.clear(None);
        assert_eq!((memory.len(), memory.tokens()), (1, 0));
        assert!(Arc::ptr_eq(&held, &memory.slot(key("held"), at(1))));
    }

    #[test]
    fn the_bound_holds_and_slots_in_use_stay() {
        let memory = Memory::new(32);
        let now = Moment::from_millis(0);
        let held = memory.slot(key("held"), now);
        for i in 0..1000 {
            memory.slot(key(&format!("scope {i}")), now);
            assert!(memory.len() <= 32, "{}", memory.len());
        }
        assert!(Arc::ptr_eq(&held, &memory.slot(key("held"), now)));
    }

    #[test]
    fn a_sixteenth_makes_room_the_oldest_first() {
        let fill = |filled_at: fn(u64) -> u64| {
            let memory = Memory::new(32);
            for i in 0..32 {
                let now = at(filled_at(i));
                memory.slot(key(&format!("scope {i}")), now).store(token(1000, 2000, 3000), now, 0);
            }
            memory.slot(key("one more"), at(100));
            (0..32).map(|i| memory.get(key(&format!("scope {i}"))).is_some()).collect::<Vec<_>>()
        };
        let kept = fill(|i| i);
        assert_eq!(kept.iter().position(|&kept| kept), Some(3));
        assert!(kept[3..].iter().all(|&kept| kept));
        // filled at the same tick of the clock: not all of them at once
        assert_eq!(fill(|_| 0).iter().filter(|&&kept| kept).count(), 29);
    }
}
