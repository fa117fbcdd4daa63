//! What callers saw, and what memory did.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use apptoken::{Error, ErrorKind};

pub(crate) struct Watch {
    begun: Instant,
    tokens: AtomicU64,
    /// By member and key: when the first of the errors since the last token came, in milliseconds since the beginning; zero: none.
    without_since: Vec<AtomicU64>,
    longest_without: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
    /// Resident bytes, each second.
    memory: Mutex<Vec<f64>>,
}

impl Watch {
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            begun: Instant::now(),
            tokens: AtomicU64::new(0),
            without_since: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            longest_without: AtomicU64::new(0),
            errors: Mutex::default(),
            failures: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn token(&self, key: usize, wrong: Option<String>) {
        self.tokens.fetch_add(1, Ordering::Relaxed);
        wrong.into_iter().for_each(|wrong| self.fail(wrong));
        if self.without_since[key].load(Ordering::Relaxed) != 0 {
            let since = self.without_since[key].swap(0, Ordering::Relaxed);
            if since != 0 {
                self.longest_without.fetch_max(self.now() - since, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn error(&self, key: usize, error: &Error) {
        let _ = self.without_since[key].compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        let kind = format!("{:?}", error.kind());
        // garbage is an answer that is none: `Protocol`
        if !matches!(error.kind(), ErrorKind::Transport | ErrorKind::Throttled | ErrorKind::Protocol) {
            self.fail(format!("an error that does not pass: {error}"));
        }
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    /// The first ten, and what the whole run must have kept.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let still = self.without_since.iter().map(|since| since.load(Ordering::Relaxed)).filter(|since| *since != 0);
        let longest = still.map(|since| self.now() - since).max().unwrap_or_default();
        let longest = longest.max(self.longest_without.load(Ordering::Relaxed));
        if longest > LONGEST_WITHOUT.as_millis() as u64 {
            failures.push(format!("a key got no valid token for {longest} ms"));
        }
        let grown = self.grown().unwrap_or_default();
        if grown > MOST_GROWTH {
            failures.push(format!("memory grows: by {:.1} MiB from the second quarter to the last", grown / MIB));
        }
        failures
    }

    pub(crate) fn in_words(&self) -> String {
        let seconds = self.now() / 1000;
        let tokens = self.tokens.load(Ordering::Relaxed);
        let mut text = format!("{tokens} tokens in {seconds} s ({} a second), each checked;", tokens / seconds.max(1));
        for (kind, count) in &*self.errors.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = write!(text, " {count} errors {kind},");
        }
        let longest = self.longest_without.load(Ordering::Relaxed);
        let _ = write!(text, " no key without a token for longer than {longest} ms;");
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (memory.get(memory.len() / 4), memory.last());
        if let (Some(first), Some(last)) = (first, last) {
            let _ = write!(text, " memory {:.1} MiB after a quarter, {:.1} MiB at the end", first / MIB, last / MIB);
        }
        text
    }

    /// From the median of the second quarter to that of the last: the first one fills caches and logs.
    fn grown(&self) -> Option<f64> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let quarter = memory.len() / 4;
        let median = |part: &[f64]| {
            let mut sorted = part.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted.get(sorted.len() / 2).copied()
        };
        Some(median(memory.get(3 * quarter..)?)? - median(memory.get(quarter..2 * quarter)?)?)
    }

    fn fail(&self, what: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < 10 {
            failures.push(what);
        }
    }

    fn now(&self) -> u64 {
        (self.begun.elapsed().as_millis() as u64).max(1)
    }
}

/// Looks at what the process has resident, each second.
pub(crate) async fn memory(watch: Arc<Watch>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        if let Some(pages) = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok())
        {
            watch.memory.lock().unwrap_or_else(PoisonError::into_inner).push(pages * 4096.0);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

const MIB: f64 = 1024.0 * 1024.0;
/// An outage of two seconds, a circuit's pause, a `Retry-After`, retries, and the wait of a busy machine.
const LONGEST_WITHOUT: Duration = Duration::from_secs(15);
/// What an allocator may keep more.
const MOST_GROWTH: f64 = 4.0 * MIB;
