use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

use proptest::prelude::*;

use super::*;

/// An entry that knows how many of its kind are alive, and whether it is.
struct Canary {
    key: u64,
    alive: Arc<AtomicUsize>,
    says: AtomicU64,
}

const ALIVE: u64 = 0x5afe_c0de_5afe_c0de;

impl Canary {
    fn new(key: u64, alive: &Arc<AtomicUsize>) -> Arc<Self> {
        alive.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { key, alive: alive.clone(), says: AtomicU64::new(ALIVE) })
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.says.store(0, Ordering::Relaxed);
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Good ones; few, so that many keys share each; all the same, and that of unused places; with nothing in common but the
/// place in the array.
#[derive(Clone, Copy, Debug)]
enum Hashes {
    Good,
    Few,
    None,
    OneLine,
}

impl Hashes {
    fn of(self, key: u64) -> u64 {
        match self {
            Self::Good => key.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29),
            Self::Few => key % 7,
            Self::None => UNUSED,
            Self::OneLine => key << 20,
        }
    }
}

fn hashes() -> impl Strategy<Value = Hashes> {
    prop_oneof![Just(Hashes::Good), Just(Hashes::Few), Just(Hashes::None), Just(Hashes::OneLine)]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    /// So many at once: it grows, or it shrinks.
    InsertUpTo(u64),
    RemoveFrom(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..300_u64).prop_map(Step::Insert),
        20 => (0..300_u64).prop_map(Step::Remove),
        1 => (0..300_u64).prop_map(Step::InsertUpTo),
        1 => (0..300_u64).prop_map(Step::RemoveFrom),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against the standard library's: the very entries, each counted once by the table, all freed in the end.
    #[test]
    fn it_is_a_map(steps in prop::collection::vec(step(), 1..200), hashes in hashes()) {
        let alive = Arc::new(AtomicUsize::new(0));
        let table = Table::<Canary, 2>::new();
        let mut model = HashMap::<u64, Arc<Canary>>::new();
        for step in steps {
            let (keys, inserts) = match step {
                Step::Insert(key) => (key..key + 1, true),
                Step::Remove(key) => (key..key + 1, false),
                Step::InsertUpTo(end) => (0..end, true),
                Step::RemoveFrom(start) => (start..300, false),
            };
            for key in keys {
                let hash = hashes.of(key);
                if inserts {
                    model.entry(key).or_insert_with(|| {
                        let entry = Canary::new(key, &alive);
                        table.insert(hash, entry.clone());
                        entry
                    });
                } else if let Some(entry) = model.remove(&key) {
                    prop_assert!(table.remove(hash, &entry));
                    prop_assert!(!table.remove(hash, &entry), "it has gone");
                }
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for key in 0..310 {
            let hash = hashes.of(key);
            let known = model.get(&key);
            prop_assert_eq!(table.look(hash, |entry| entry.key == key, |entry| entry.key), known.map(|_| key));
            let found = table.get(hash, |entry| entry.key == key);
            prop_assert_eq!(found.as_ref().map(Arc::as_ptr), known.map(Arc::as_ptr));
            drop(found);
            prop_assert_eq!(known.map(Arc::strong_count), known.map(|_| 2), "the table's and the model's");
        }
        drop(table);
        prop_assert!(model.values().all(|entry| Arc::strong_count(entry) == 1));
        drop(model);
        prop_assert_eq!(alive.load(Ordering::Relaxed), 0);
    }
}

fn lines_of<T: Send + Sync, const PARTS: usize>(table: &Table<T, PARTS>) -> usize {
    let _still = table.tallies();
    // SAFETY: nobody replaces an array meanwhile.
    table.parts.iter().map(|part| unsafe { lines(part.load(Ordering::Relaxed)) }.len()).sum()
}

#[test]
fn it_gives_room_back_and_does_not_grow_by_comings_and_goings() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = Table::<Canary, 4>::new();
    let insert = |key| {
        let entry = Canary::new(key, &alive);
        table.insert(Hashes::Good.of(key), entry.clone());
        entry
    };
    let remove = |entry: &Arc<Canary>| assert!(table.remove(Hashes::Good.of(entry.key), entry));
    let all = (0..10_000).map(insert).collect::<Vec<_>>();
    let most = lines_of(&table);
    assert!((10_000 / PLACES * 8 / 7..=10_000).contains(&most), "{most}");
    all.iter().skip(100).for_each(remove);
    let few = lines_of(&table);
    assert!(few <= 4 * 64, "{few}");
    for key in 10_000..50_000 {
        remove(&insert(key));
    }
    assert!(lines_of(&table) <= few);
    drop(all);
    // what was taken out may wait for a few more to be freed with
    let kept = alive.load(Ordering::Relaxed);
    assert!((100..200).contains(&kept), "{kept}");
    drop(table);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

/// What stands is found, whatever is put in and taken out beside it; what is found is what was looked for, and alive.
#[test]
fn readers_see_what_stands_while_it_grows_and_shrinks() {
    let alive = Arc::new(AtomicUsize::new(0));
    let table = Table::<Canary, 2>::new();
    for hashes in [Hashes::Good, Hashes::Few] {
        let (standing, all) = (0..64, if matches!(hashes, Hashes::Few) { 300 } else { 6_000 });
        let stand = standing.clone().map(|key| Canary::new(key, &alive)).collect::<Vec<_>>();
        stand.iter().for_each(|entry| table.insert(hashes.of(entry.key), entry.clone()));
        let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for seed in 1..=2 {
                let (table, over, looks, standing) = (&table, &over, &looks, &standing);
                scope.spawn(move || {
                    let (mut random, mut found) = (seed, 0);
                    while !over.load(Ordering::Relaxed) {
                        random = xorshift(random);
                        // half of the looks are at what stands
                        let key = if random & 1 == 0 { random >> 8 & 63 } else { (random >> 8) % all };
                        let is_it = |entry: &Canary| entry.key == key;
                        let seen = table.look(hashes.of(key), is_it, |entry| {
                            let first = entry.says.load(Ordering::Relaxed);
                            std::hint::spin_loop();
                            (entry.key, first, entry.says.load(Ordering::Relaxed))
                        });
                        assert!(seen.is_none_or(|seen| seen == (key, ALIVE, ALIVE)), "{seen:?}");
                        assert!(seen.is_some() || !standing.contains(&key), "{key} was not found");
                        if random & 0x70 == 0
                            && let Some(entry) = table.get(hashes.of(key), is_it)
                        {
                            assert_eq!((entry.key, entry.says.load(Ordering::Relaxed)), (key, ALIVE));
                        }
                        found += usize::from(seen.is_some());
                    }
                    looks.fetch_add(found, Ordering::Relaxed);
                });
            }
            let mut random = 99;
            for _ in 0..ROUNDS {
                let mut others = Vec::new();
                for key in standing.end..all {
                    let entry = Canary::new(key, &alive);
                    table.insert(hashes.of(key), entry.clone());
                    others.push(entry);
                    random = xorshift(random);
                    if random & 3 == 0 {
                        let entry = others.swap_remove(random as usize % others.len());
                        assert!(table.remove(hashes.of(entry.key), &entry));
                    }
                }
                others.iter().for_each(|entry| assert!(table.remove(hashes.of(entry.key), entry)));
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(looks.load(Ordering::Relaxed) > 0);
        stand.iter().for_each(|entry| assert!(table.remove(hashes.of(entry.key), entry)));
    }
    assert_eq!(table.len(), 0);
    drop(table);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

fn xorshift(mut random: u64) -> u64 {
    random ^= random << 13;
    random ^= random >> 7;
    random ^ random << 17
}

/// Each puts some thousands of entries in and takes them out again.
const ROUNDS: usize = 5;
