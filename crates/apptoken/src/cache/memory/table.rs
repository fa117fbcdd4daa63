//! The map of all entries: any number of threads look into it without waiting, one at a time changes it.
//!
//! It is made for many entries, of which a look finds nothing in the processor's caches: it touches the line that the hash
//! names, seldom the next one, and the entry. It stands in parts that grow and shrink each by itself, so that no change
//! moves more than a small part of a million places.
//!
//! # Why the unsafe code is sound
//!
//! 1. Whoever changes anything holds the lock `tallies`.
//! 2. A part points to nothing or to an array that came out of [`array`]. One that another took the place of is retired
//!    after that, and so outlives every guard that was entered before.
//! 3. A place of an array holds nothing, then an entry, then nothing for good. Its hash is written once, before the entry.
//! 4. For each entry in it the table owns one count, which came out of [`Arc::into_raw`], however many arrays point to it.
//!    The count is retired after the newest array has stopped pointing to the entry. The older ones were retired before
//!    that: who enters a guard later meets the entry in none of them.
//! 5. What readers follow, arrays and entries, they read under a guard of this table's collector, by its `protect`, and
//!    drop before the guard.

use std::sync::{Arc, PoisonError};
use std::{array, ptr, slice};

use crate::sync::{AtomicPtr, AtomicU64, Collector, CollectorGuard as _, LocalGuard, Mutex, MutexGuard, Ordering};

/// Entries by hashes, which several may have in common: what makes the right one is for the caller to say.
pub(crate) struct Table<T, const PARTS: usize = 256> {
    parts: [AtomicPtr<Line<T>>; PARTS],
    tallies: Mutex<[Tally; PARTS]>,
    collector: Collector,
}

/// Of one part.
#[derive(Clone, Copy, Default)]
struct Tally {
    entries: usize,
    /// Places that hold an entry, or held one.
    used: usize,
}

/// As much as the processor reads at once. Its places are used in order.
#[repr(align(64))]
struct Line<T>([Place<T>; PLACES]);

struct Place<T> {
    /// [`UNUSED`], or the hash of the entry that came here, which may have gone.
    hash: AtomicU64,
    entry: AtomicPtr<T>,
}

const PLACES: usize = 4;
const UNUSED: u64 = 0;

impl<T: Send + Sync, const PARTS: usize> Table<T, PARTS> {
    pub(crate) fn new() -> Self {
        Self {
            parts: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            tallies: Mutex::new([Tally::default(); PARTS]),
            collector: Collector::new(),
        }
    }

    /// What `look` sees in the entry of this hash that `is_it`.
    #[inline(always)]
    pub(crate) fn look<R>(&self, hash: u64, is_it: impl Fn(&T) -> bool, look: impl FnOnce(&T) -> R) -> Option<R> {
        let guard = self.collector.enter();
        let entry = self.find(&guard, hash, is_it)?;
        // SAFETY: by 5 the entry lives as long as the guard, which is dropped after the look. `T: Sync`.
        Some(look(unsafe { &*entry }))
    }

    /// The entry of this hash that `is_it`.
    pub(crate) fn get(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let guard = self.collector.enter();
        let entry = self.find(&guard, hash, is_it)?;
        // SAFETY: by 4 and 5 the table's count of it stands while the guard does; the one that is added is the caller's.
        Some(unsafe {
            Arc::increment_strong_count(entry);
            Arc::from_raw(entry)
        })
    }

    #[inline(always)]
    fn find(&self, guard: &LocalGuard<'_>, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<*mut T> {
        let hash = used(hash);
        // SAFETY: by 2 and 5 the array lives as long as the guard, and this function's caller has it longer.
        let lines = unsafe { lines(guard.protect(&self.parts[Self::part(hash)], Ordering::Acquire)) };
        for line in walk(lines, hash) {
            let mut alike = line.alike(hash);
            while alike != 0 {
                let entry = guard.protect(&line.0[alike.trailing_zeros() as usize % PLACES].entry, Ordering::Acquire);
                // SAFETY: it is null, or by 4 and 5 an entry that lives as long as the guard. `T: Sync`.
                if unsafe { entry.as_ref() }.is_some_and(&is_it) {
                    return Some(entry);
                }
                alike &= alike - 1;
            }
            if !line.is_full() {
                break;
            }
        }
        None
    }

    /// Puts in an entry that it does not have.
    pub(crate) fn insert(&self, hash: u64, entry: Arc<T>) {
        let (guard, hash) = (self.collector.enter(), used(hash));
        let (mut tallies, part) = (self.tallies(), Self::part(hash));
        let tally = &mut tallies[part];
        // SAFETY: by 1 and 2 nobody replaces the array meanwhile.
        let lines = unsafe { lines(self.parts[part].load(Ordering::Relaxed)) };
        let lines = if tally.used < most(lines) { lines } else { self.rebuild(part, tally, tally.entries + 1, &guard) };
        put(lines, hash, Arc::into_raw(entry).cast_mut());
        tally.entries += 1;
        tally.used += 1;
    }

    /// Takes an entry out, if it has it. Its count is given up when no look can be at it any more.
    pub(crate) fn remove(&self, hash: u64, entry: &Arc<T>) -> bool {
        let (guard, hash) = (self.collector.enter(), used(hash));
        let (mut tallies, part) = (self.tallies(), Self::part(hash));
        let tally = &mut tallies[part];
        // SAFETY: by 1 and 2 nobody replaces the array meanwhile.
        let lines = unsafe { lines(self.parts[part].load(Ordering::Relaxed)) };
        let mut places = walk(lines, hash).flat_map(|line| &line.0);
        let is_it = |place: &&Place<T>| ptr::eq(place.entry.load(Ordering::Relaxed), Arc::as_ptr(entry));
        let Some(place) = places.find(is_it) else { return false };
        let taken = place.entry.swap(ptr::null_mut(), Ordering::AcqRel);
        tally.entries -= 1;
        // SAFETY: by 4 this count of it is the table's, nobody who enters from now on meets it, and by 1 nobody else
        // retires it.
        unsafe { guard.defer_retire(taken, let_go) };
        if lines.len() > 1 && tally.entries * SPARSE < lines.len() * PLACES {
            self.rebuild(part, tally, tally.entries, &guard);
        }
        true
    }

    /// Gives a part an array with room for so many, and frees the old one as soon as nobody looks at it.
    fn rebuild<'a>(&self, part: usize, tally: &mut Tally, room: usize, guard: &'a LocalGuard<'_>) -> &'a [Line<T>] {
        let old = self.parts[part].load(Ordering::Relaxed);
        let new = array(room);
        // SAFETY: the one was just made, and by 2 and 5 each lives as long as the guard.
        let (from, to) = unsafe { (lines(old), lines(new)) };
        for place in from.iter().flat_map(|line| &line.0) {
            let entry = place.entry.load(Ordering::Relaxed);
            if !entry.is_null() {
                put(to, place.hash.load(Ordering::Relaxed), entry);
            }
        }
        tally.used = tally.entries;
        self.parts[part].store(new, Ordering::Release);
        if !old.is_null() {
            // SAFETY: by 2 nobody who enters from now on meets it, and by 1 nobody else retires it.
            unsafe { guard.defer_retire(old, free) };
            // at once: it is large
            guard.flush();
        }
        to
    }

    #[inline(always)]
    fn part(hash: u64) -> usize {
        // other bits than those that choose the line
        (hash >> 56) as usize % PARTS
    }

    /// The tallies are whole after a panic: no code of others runs under the lock. Entries are dropped when the guard is,
    /// which is after it.
    fn tallies(&self) -> MutexGuard<'_, [Tally; PARTS]> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tallies().iter().map(|tally| tally.entries).sum()
    }
}

impl<T, const PARTS: usize> Drop for Table<T, PARTS> {
    /// What was retired goes with the collector.
    fn drop(&mut self) {
        for part in &self.parts {
            let array = part.load(Ordering::Relaxed);
            // SAFETY: by 2 an array or null, and nobody else has the table.
            for place in unsafe { lines(array) }.iter().flat_map(|line| &line.0) {
                let entry = place.entry.load(Ordering::Relaxed);
                if !entry.is_null() {
                    // SAFETY: by 4 the table's count of it, given up once, as each entry is in its newest array once.
                    unsafe { let_go(entry, &self.collector) };
                }
            }
            if !array.is_null() {
                // SAFETY: by 2 one of `array`'s, which nobody has any more.
                unsafe { free(array, &self.collector) };
            }
        }
    }
}

impl<T> Line<T> {
    /// The places with this hash, one bit each: without a branch, as nobody can guess which it is.
    #[inline(always)]
    fn alike(&self, hash: u64) -> u32 {
        let bit = |(at, place): (usize, &Place<T>)| u32::from(place.hash.load(Ordering::Relaxed) == hash) << at;
        self.0.iter().enumerate().map(bit).fold(0, |alike, bit| alike | bit)
    }

    /// Only then an entry of its may stand in the next one.
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.0[PLACES - 1].hash.load(Ordering::Relaxed) != UNUSED
    }
}

/// Any hash but that of unused places.
#[inline(always)]
fn used(hash: u64) -> u64 {
    hash.max(UNUSED + 1)
}

/// The lines in which an entry of this hash may stand, in order.
#[inline(always)]
fn walk<T>(lines: &[Line<T>], hash: u64) -> impl Iterator<Item = &Line<T>> {
    let last = lines.len().wrapping_sub(1);
    (0..lines.len()).map(move |step| &lines[(hash as usize).wrapping_add(step) & last])
}

/// Puts an entry into the first place that was never used. There is one: see [`most`].
fn put<T>(lines: &[Line<T>], hash: u64, entry: *mut T) {
    let mut places = walk(lines, hash).flat_map(|line| &line.0);
    let place = places.find(|place| place.hash.load(Ordering::Relaxed) == UNUSED);
    let place = place.unwrap_or_else(|| unreachable!("an array is never full"));
    place.hash.store(hash, Ordering::Relaxed);
    // Race: who sees the pointer sees what is behind it; who sees the hash alone, that there is nothing yet
    place.entry.store(entry, Ordering::Release);
}

/// How many places of an array are used at most: seven of eight.
fn most<T>(lines: &[Line<T>]) -> usize {
    lines.len() * PLACES * 7 / 8
}

/// Of an array with room for so many, half of which is to spare: its lines, and in the low bits of the address, which
/// their alignment leaves free, the logarithm of their number.
fn array<T>(room: usize) -> *mut Line<T> {
    let count = (2 * room).div_ceil(PLACES).next_power_of_two();
    let place = |_| Place { hash: AtomicU64::new(UNUSED), entry: AtomicPtr::new(ptr::null_mut()) };
    let lines = (0..count).map(|_| Line(array::from_fn(place))).collect::<Box<[Line<T>]>>();
    Box::into_raw(lines).cast::<Line<T>>().map_addr(|address| address | count.trailing_zeros() as usize)
}

/// The first line and how many there are.
#[inline(always)]
fn parts_of<T>(array: *mut Line<T>) -> (*mut Line<T>, usize) {
    (array.map_addr(|address| address & !LOGARITHM), 1 << (array.addr() & LOGARITHM))
}

/// # Safety
/// `array` is null, or came out of [`array`] and is not freed while the lines are in use.
#[inline(always)]
unsafe fn lines<'a, T>(array: *mut Line<T>) -> &'a [Line<T>] {
    if array.is_null() {
        return &[];
    }
    let (first, count) = parts_of(array);
    // SAFETY: so many lines are there, and all that changes in them are atomics.
    unsafe { slice::from_raw_parts(first, count) }
}

/// # Safety
/// `array` came out of [`array`], and nobody has it any more.
unsafe fn free<T>(array: *mut Line<T>, _: &Collector) {
    let (first, count) = parts_of(array);
    // SAFETY: so it was when the box was taken apart.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(first, count)) });
}

/// # Safety
/// `entry` came out of [`Arc::into_raw`], and this count of it is nobody else's.
unsafe fn let_go<T>(entry: *mut T, _: &Collector) {
    // SAFETY: as above.
    drop(unsafe { Arc::from_raw(entry.cast_const()) });
}

const LOGARITHM: usize = align_of::<Line<()>>() - 1;
/// An array of which not even one in so many places is in use is replaced by a smaller one.
const SPARSE: usize = 8;

#[cfg(test)]
mod tests;
