use std::sync::Arc;

use super::entry::{Entry, KeyRef, What};
use super::interner::Interner;

/// All entries in a row, for those who look for what can go: the table cannot be walked in slices: it moves what it holds.
///
/// In boards of fixed length, so that adding one never moves the others.
#[derive(Default)]
pub(super) struct Shelf {
    boards: Vec<Vec<Arc<Entry>>>,
    length: usize,
    /// Where the next slice of sweeping begins.
    hand: usize,
    /// Of a generator that need not be good.
    random: u64,
    whats: Interner<What>,
}

impl Shelf {
    pub(super) fn put(&mut self, entry: Arc<Entry>) {
        let board = self.length / BOARD;
        if board == self.boards.len() {
            self.boards.push(Vec::with_capacity(if board == 0 { 4 } else { BOARD }));
        }
        self.boards[board].push(entry);
        self.length += 1;
    }

    pub(super) fn at(&self, place: usize) -> Option<&Arc<Entry>> {
        self.boards.get(place / BOARD)?.get(place % BOARD)
    }

    /// The last one takes its place.
    pub(super) fn take(&mut self, place: usize) -> Option<Arc<Entry>> {
        self.at(place)?;
        self.length -= 1;
        let last = self.boards[self.length / BOARD].pop()?;
        // one spare board stays, so that a length that goes up and down at its edge does not allocate
        self.boards.truncate(self.length / BOARD + 2);
        match self.boards[place / BOARD].get_mut(place % BOARD) {
            Some(taken) => Some(std::mem::replace(taken, last)),
            None => Some(last),
        }
    }

    /// The next place to sweep, round and round.
    pub(super) fn next(&mut self) -> Option<usize> {
        let last = self.length.checked_sub(1)?;
        // backwards: what takes the place of one that goes has been looked at
        self.hand = self.hand.checked_sub(1).unwrap_or(last).min(last);
        Some(self.hand)
    }

    /// A place at random.
    pub(super) fn any(&mut self) -> usize {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % self.length.max(1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.boards.iter().flatten()
    }

    pub(super) fn what(&mut self, owner: u64, key: KeyRef<'_>) -> Arc<What> {
        let what = What { owner, scope: key.scope.into(), extra: key.extra.into() };
        if what.extra.is_empty() { self.whats.common(what, PartialEq::eq) } else { Arc::new(what) }
    }
}

const BOARD: usize = 1024;
