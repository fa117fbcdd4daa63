//! Models of the table: one thread changes it, one looks.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use crate::cache::Table;
use crate::every_interleaving;

/// An entry whose making and end loom holds against the looks at it: each must be over when the next begins, for all that
/// threads know of each other.
struct Entry {
    key: u64,
    inside: UnsafeCell<()>,
}

impl Entry {
    fn new(key: u64) -> Arc<Self> {
        let entry = Self { key, inside: UnsafeCell::new(()) };
        entry.inside.with_mut(|_| ());
        Arc::new(entry)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.inside.with_mut(|_| ());
    }
}

// SAFETY: loom itself tells when two threads meet in the cell.
#[expect(unsafe_code, reason = "loom's cells are not shared otherwise")]
unsafe impl Sync for Entry {}

type Small = Table<Entry, 1>;

/// All have the same hash.
const HASH: u64 = 7;

fn table(keys: impl Iterator<Item = u64>) -> (Arc<Small>, Vec<Arc<Entry>>) {
    let (table, entries) = (Arc::new(Small::new()), keys.map(Entry::new).collect::<Vec<_>>());
    entries.iter().for_each(|entry| table.insert(HASH, entry.clone()));
    (table, entries)
}

fn found(table: &Small, key: u64) -> bool {
    let look = |entry: &Entry| entry.inside.with(|_| entry.key);
    let seen = table.look(HASH, |entry| entry.inside.with(|_| entry.key == key), look);
    assert!(seen.is_none_or(|seen| seen == key));
    seen.is_some()
}

/// An entry is put in: who finds it finds what was written into it before.
pub fn what_is_found_is_whole() {
    every_interleaving(|| {
        let (table, _) = table(0..1);
        let writer = thread::spawn({
            let table = table.clone();
            move || table.insert(HASH, Entry::new(1))
        });
        found(&table, 1);
        writer.join().ok();
        assert!(found(&table, 1));
    });
}

/// The array is full, and another takes its place: who looks for what stands in it finds it.
pub fn what_stands_is_found_while_it_moves() {
    every_interleaving(|| {
        let (table, _) = table(0..3);
        let writer = thread::spawn({
            let table = table.clone();
            move || table.insert(HASH, Entry::new(3))
        });
        assert!(found(&table, 2));
        writer.join().ok();
        assert!(found(&table, 0) && found(&table, 3));
    });
}

/// The array is replaced and an entry goes, which the old array still shows: who looks at it does so before its end.
pub fn what_is_taken_out_outlives_the_looks_at_it() {
    every_interleaving(|| {
        let (table, mut entries) = table(0..3);
        let gone = entries.remove(1);
        let writer = thread::spawn({
            let table = table.clone();
            move || {
                table.insert(HASH, Entry::new(3));
                assert!(table.remove(HASH, &gone));
            }
        });
        found(&table, 1);
        writer.join().ok();
        assert!(!found(&table, 1) && found(&table, 2));
    });
}
