//! The slots of all keys in one table, which is looked into without a lock, with its bounds.

mod counters;
mod entry;
mod interner;
mod shelf;
#[expect(
    unsafe_code,
    reason = "no safe map has hash and entry one step apart: a million entries are a matter of each step"
)]
mod table;

use std::cmp::Reverse;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use self::counters::Counts;
pub use self::counters::MemoryCounters;
pub(crate) use self::entry::{Entry, KeyRef};
use self::entry::{Key, tenant_hash};
use self::interner::Interner;
use self::shelf::Shelf;
use self::table::Table;
use super::slot::Fresh;
use crate::clock::Moment;
use crate::telemetry;
use crate::token::{Origin, TokenData};

/// One client's part of a store of slots. A hit takes no lock and allocates nothing.
#[derive(Clone)]
pub(crate) struct Memory {
    store: Arc<Store>,
    owner: u64,
    /// Counts the clients of one owner.
    clients: Arc<()>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

impl Default for Bounds {
    /// A million tenants of a common token's size.
    fn default() -> Self {
        Self { entries: 1_000_000, bytes: 2 << 30 }
    }
}

struct Store {
    entries: Table<Entry>,
    /// How tenants are hashed, and keys.
    hashes: RandomState,
    /// Whoever takes an entry out of the table, or puts one in, holds this: so none is let go that somebody just took.
    shelf: Mutex<Shelf>,
    origins: Mutex<Interner<Origin>>,
    bounds: Bounds,
    counts: Counts,
    owners: AtomicU64,
}

impl Memory {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let store = Store {
            entries: Table::new(),
            hashes: RandomState::default(),
            shelf: Mutex::default(),
            origins: Mutex::default(),
            bounds: Bounds { entries: bounds.entries.max(1), ..bounds },
            counts: Counts::default(),
            owners: AtomicU64::new(1),
        };
        Self { store: Arc::new(store), owner: 0, clients: Arc::default() }
    }

    /// The same store for another app, whose tokens stand apart.
    pub(crate) fn of_another(&self) -> Self {
        let owner = self.store.owners.fetch_add(1, Ordering::Relaxed);
        Self { store: self.store.clone(), owner, clients: Arc::default() }
    }

    /// Whether another client has it too.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.clients) > 1
    }

    /// What the hash of a key is made from, for its tenant: a client makes that of its own once, and a hit has less to
    /// hash.
    #[inline(never)]
    pub(crate) fn tenant_hash(&self, tenant: &str) -> u64 {
        tenant_hash(&self.store.hashes, self.owner, tenant)
    }

    /// A hit: the token of a key that was asked for before, if nothing needs thinking about.
    #[inline(always)]
    pub(crate) fn fresh(&self, key: KeyRef<'_>, now: Moment) -> Option<Fresh> {
        let (store, key) = (&*self.store, Key(self.owner, key));
        let hit = |entry: &Entry| {
            let fresh = entry.fresh(now)?;
            entry.touch(now);
            Some(fresh)
        };
        let fresh = store.entries.look(key.hash(&store.hashes), |entry| key.is_of(entry), hit)??;
        store.counts.hit();
        Some(fresh)
    }

    /// The same of an entry in hand, which is let go by nobody and so needs no note.
    #[inline(always)]
    pub(crate) fn fresh_of(&self, entry: &Entry, now: Moment) -> Option<Fresh> {
        let fresh = entry.fresh(now)?;
        self.store.counts.hit();
        Some(fresh)
    }

    /// The entry of `key`, a new and empty one the first time. Counts a miss.
    pub(crate) fn entry(&self, key: KeyRef<'_>, now: Moment) -> Arc<Entry> {
        let store = &*self.store;
        store.counts.missed();
        let own = Key(self.owner, key);
        let hash = own.hash(&store.hashes);
        let mut shelf = store.shelf();
        if let Some(entry) = store.entries.get(hash, |entry| own.is_of(entry)) {
            entry.touch(now);
            return entry;
        }
        let entry = Arc::new(Entry::new(shelf.what(self.owner, key), key));
        entry.touch(now);
        store.entries.insert(hash, entry.clone());
        shelf.put(entry.clone());
        store.counts.added(1, entry.bytes());
        store.tidy(&mut shelf, now);
        entry
    }

    /// A request for the entry's token has brought one.
    pub(crate) fn store(&self, entry: &Entry, token: Arc<TokenData>, request: u16, now: Moment) {
        let (store, bytes) = (&*self.store, token.bytes());
        // Race: counted before others can take it out again, or the count would pass below zero
        store.counts.added(0, bytes);
        let Some(replaced) = entry.store(token, request) else { return store.counts.removed(0, bytes) };
        store.counts.removed(0, replaced.0.map_or(0, |token| token.bytes()));
        store.tidy(&mut store.shelf(), now);
    }

    /// What many tokens have in common, kept once.
    pub(crate) fn common(&self, origin: Origin) -> Arc<Origin> {
        if !origin.is_common() {
            return Arc::new(origin);
        }
        self.store.origins.lock().unwrap_or_else(PoisonError::into_inner).common(origin, Origin::is_same)
    }

    /// Forgets the tokens of one tenant, or all. An entry that somebody holds stays, empty: its key has no other.
    pub(crate) fn clear(&self, tenant: Option<&str>) {
        let store = &*self.store;
        let mut shelf = store.shelf();
        let mut place = 0;
        while let Some(entry) = shelf.at(place) {
            let is_meant = entry.what.owner == self.owner
                && tenant.is_none_or(|tenant| entry.tenant.as_bytes().eq_ignore_ascii_case(tenant.as_bytes()));
            if is_meant {
                let token = entry.clear();
                store.counts.removed(0, token.map_or(0, |token| token.bytes()));
                if is_idle(entry) {
                    store.remove(&mut shelf, place);
                    continue;
                }
            }
            place += 1;
        }
    }

    /// The keys that were asked for: tenant, scope and what else.
    pub(crate) fn keys(&self) -> Vec<(String, String, String)> {
        let shelf = self.store.shelf();
        let own = shelf.iter().filter(|entry| entry.what.owner == self.owner);
        let texts = |entry: &Arc<Entry>| {
            let what = &entry.what;
            (entry.tenant.as_str().to_owned(), what.scope.to_string(), what.extra.to_string())
        };
        own.map(texts).collect()
    }

    /// How many entries hold a token; they are counted one by one.
    pub(crate) fn tokens(&self) -> usize {
        let shelf = self.store.shelf();
        shelf.iter().filter(|entry| entry.what.owner == self.owner && entry.ends_at().is_some()).count()
    }

    pub(crate) fn counters(&self) -> MemoryCounters {
        self.store.counts.read()
    }
}

impl Store {
    /// Called under the shelf's lock whenever something was added: a bounded slice of what is to be done. What has expired
    /// goes, in the order that it stands in; what is too much goes, of a few at random the one that was unused for
    /// longest.
    fn tidy(&self, shelf: &mut Shelf, now: Moment) {
        let mut looked_at = 0;
        while looked_at < SWEPT_AT_ONCE {
            looked_at += 1;
            let Some(place) = shelf.next() else { break };
            let is_spent = |entry: &Arc<Entry>| is_idle(entry) && entry.is_spent(now);
            if shelf.at(place).is_some_and(is_spent) {
                self.remove(shelf, place);
                self.counts.swept();
                telemetry::swept();
            }
        }
        for _ in 0..EVICTED_AT_ONCE {
            if !self.counts.exceed(self.bounds) {
                return;
            }
            // whatever is in use stays, even if it is more than the bounds allow
            let Some(place) = worst(shelf, now).or_else(|| next_idle(shelf)) else { return };
            self.remove(shelf, place);
            self.counts.evicted();
            telemetry::evicted();
        }
    }

    fn remove(&self, shelf: &mut Shelf, place: usize) {
        let Some(entry) = shelf.take(place) else { return };
        let removed = self.entries.remove(entry.hash(&self.hashes), &entry);
        debug_assert!(removed, "it was put in under another hash than its key's");
        // the table lets go of it later, the token goes now
        let token = entry.clear();
        self.counts.removed(1, entry.bytes() + token.map_or(0, |token| token.bytes()));
    }

    /// The shelf is whole after a panic: no code of others runs under the lock.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a few idle entries at random the one without a token, or unused for longest.
fn worst(shelf: &mut Shelf, now: Moment) -> Option<usize> {
    let mut worst = None;
    for _ in 0..SAMPLE {
        let place = shelf.any();
        if let Some(entry) = shelf.at(place).filter(|entry| is_idle(entry)) {
            let worth = (entry.ends_at().is_some(), Reverse(entry.unused_for(now)), place);
            worst = Some(worst.map_or(worth, |worst| worth.min(worst)));
        }
    }
    worst.map(|(.., place)| place)
}

/// An idle entry, where most are in use.
fn next_idle(shelf: &mut Shelf) -> Option<usize> {
    (0..LOOKED_FOR).find_map(|_| shelf.next().filter(|&place| shelf.at(place).is_some_and(is_idle)))
}

/// Two counts are the table's and the shelf's: more means a `TokenSource`, a caller on its way or a request in flight.
fn is_idle(entry: &Arc<Entry>) -> bool {
    Arc::strong_count(entry) == 2
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("bounds", &self.store.bounds).field("counters", &self.counters()).finish()
    }
}

/// How many entries one call looks at for what has expired: a new token brings two calls, and each look at one of a million
/// entries costs as much as a hit.
const SWEPT_AT_ONCE: usize = 2;
/// How many entries one call drops at most when there are too many. More than are added, so that it comes down.
const EVICTED_AT_ONCE: usize = 4;
/// Of how many the worst is dropped. Redis's figure is five; ten come close to LRU.
const SAMPLE: usize = 8;

/// How far one call looks when all of those are in use.
const LOOKED_FOR: usize = 64;

#[cfg(test)]
mod tests;
