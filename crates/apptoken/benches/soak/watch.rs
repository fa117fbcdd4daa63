//! What callers saw, and what memory did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apptoken::http::CircuitPolicy;
use apptoken::{Error, ErrorKind};

use crate::trouble::{OUTAGE, RETRY_AFTER};
use crate::world::{REQUEST_TIMEOUT, retry};

pub(crate) struct Watch {
    begun: Instant,
    tokens: AtomicU64,
    /// That token requests met.
    pub(crate) faults: AtomicU64,
    /// By member and key.
    keys: Vec<Key>,
    worst: Mutex<Without>,
    errors: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
    /// Resident bytes, each second.
    memory: Mutex<Vec<f64>>,
}

#[derive(Default)]
struct Key {
    /// Milliseconds from the beginning: when the first who had to wait came, since the last token; zero: none.
    since: AtomicU64,
    /// What those who came since then were told, at most one each [`SELDOM`].
    told: Mutex<Vec<(u64, String)>>,
}

/// A time in which a member had no valid token of a key.
#[derive(Default)]
struct Without {
    key: usize,
    since: u64,
    millis: u64,
    told: Vec<(u64, String)>,
}

/// The longest that a member may be without a valid token of a key, as the constants have it: when an outage begins, the
/// key's token ends, and somebody asks; when the outage ends, the circuit's longest pause may have just begun; after it
/// one request and its retries may each meet a fault, the last one a throttle. Anything longer is a key that is stuck.
pub(crate) fn longest_without() -> Duration {
    let retry = retry();
    let backoff: Duration = (0..retry.max_retries).map(|retries| retry.base_delay * (1 << retries)).sum();
    let tries = REQUEST_TIMEOUT * (1 + retry.max_retries) + backoff + RETRY_AFTER * 2;
    OUTAGE + CircuitPolicy::default().longest_pause + tries + LATE
}

impl Watch {
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            begun: Instant::now(),
            tokens: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            keys: (0..keys).map(|_| Key::default()).collect(),
            worst: Mutex::default(),
            errors: Mutex::default(),
            failures: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn token(&self, key: usize, wrong: Option<String>) {
        self.tokens.fetch_add(1, Ordering::Relaxed);
        wrong.into_iter().for_each(|wrong| self.fail(wrong));
        if self.keys[key].since.load(Ordering::Relaxed) != 0 {
            self.without(key);
            self.keys[key].since.store(0, Ordering::Relaxed);
        }
    }

    /// One who asked has to wait.
    pub(crate) fn waits(&self, key: usize) {
        let _ = self.keys[key].since.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn error(&self, key: usize, error: &Error) {
        self.waits(key);
        let now = self.now();
        let mut told = lock(&self.keys[key].told);
        if told.len() < MOST_TOLD && told.last().is_none_or(|(last, _)| now - last >= SELDOM) {
            told.push((now, error.to_string()));
        }
        drop(told);
        // garbage is an answer that is none: `Protocol`
        if !matches!(error.kind(), ErrorKind::Transport | ErrorKind::Throttled | ErrorKind::Protocol) {
            self.fail(format!("an error that does not pass: {error}"));
        }
        *lock(&self.errors).entry(format!("{:?}", error.kind())).or_default() += 1;
    }

    /// The time without a token ends here, or has not ended yet.
    fn without(&self, key: usize) {
        let since = self.keys[key].since.load(Ordering::Relaxed);
        let told = std::mem::take(&mut *lock(&self.keys[key].told));
        let millis = self.now().saturating_sub(since);
        let mut worst = lock(&self.worst);
        if since != 0 && millis > worst.millis {
            *worst = Without { key, since, millis, told };
        }
    }

    /// Nobody asks any more: what nobody has got yet is counted too.
    pub(crate) fn end(&self) {
        (0..self.keys.len()).for_each(|key| self.without(key));
    }

    /// The first ten, and what the whole run must have kept.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures = lock(&self.failures).clone();
        let longest = lock(&self.worst).millis;
        if u128::from(longest) > longest_without().as_millis() {
            failures.push(format!("a key was without a valid token for {longest} ms"));
        }
        let grown = self.grown().unwrap_or_default();
        if grown > MOST_GROWTH {
            failures.push(format!("memory grows: by {:.1} MiB from the second quarter to the last", grown / MIB));
        }
        failures
    }

    /// From the median of the second quarter to that of the last: the first one fills caches and logs.
    fn grown(&self) -> Option<f64> {
        let memory = lock(&self.memory);
        let quarter = memory.len() / 4;
        let median = |part: &[f64]| {
            let mut sorted = part.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted.get(sorted.len() / 2).copied()
        };
        Some(median(memory.get(3 * quarter..)?)? - median(memory.get(quarter..2 * quarter)?)?)
    }

    fn fail(&self, what: String) {
        let mut failures = lock(&self.failures);
        if failures.len() < 10 {
            failures.push(what);
        }
    }

    fn now(&self) -> u64 {
        (self.begun.elapsed().as_millis() as u64).max(1)
    }
}

/// A line for each figure.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.now() / 1000;
        let tokens = self.tokens.load(Ordering::Relaxed);
        writeln!(f, "tokens checked   {tokens} in {seconds} s ({} a second)", tokens / seconds.max(1))?;
        writeln!(f, "faults met       {}", self.faults.load(Ordering::Relaxed))?;
        for (kind, count) in &*lock(&self.errors) {
            writeln!(f, "errors           {count} {kind}")?;
        }
        let memory = lock(&self.memory);
        let at = |index: usize| memory.get(index).map_or(0.0, |bytes| bytes / MIB);
        let (start, quarter, end) = (at(0), at(memory.len() / 4), at(memory.len().saturating_sub(1)));
        writeln!(f, "memory           {start:.1} MiB at the start, {quarter:.1} after a quarter, {end:.1} at the end")?;
        let Without { key, since, millis, told } = &*lock(&self.worst);
        let most = longest_without().as_millis();
        write!(f, "longest without  {millis} ms, of {most} allowed: key {key}, from {since} ms on")?;
        told.iter().try_for_each(|(at, what)| write!(f, "\n  at {at} ms  {what}"))
    }
}

/// Looks at what the process has resident, each second.
pub(crate) async fn memory(watch: Arc<Watch>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        if let Some(pages) = std::fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok())
        {
            lock(&watch.memory).push(pages * 4096.0);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const MIB: f64 = 1024.0 * 1024.0;
/// What an allocator may keep more.
const MOST_GROWTH: f64 = 4.0 * MIB;
/// What a busy machine may take for it all.
const LATE: Duration = Duration::from_secs(2);
const MOST_TOLD: usize = 40;
/// Milliseconds.
const SELDOM: u64 = 500;
