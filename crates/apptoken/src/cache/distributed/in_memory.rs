use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{CacheError, ChangeListener, DistributedCache, Lease, Stored};
use crate::clock::{Clock, Moment, SystemClock};

/// A [`DistributedCache`] in this process's memory: the model of the others, for tests and for trying things out. It
/// forgets nothing by itself.
pub struct InMemoryCache {
    entries: Mutex<HashMap<String, Entry>>,
    listeners: Mutex<Vec<ChangeListener>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Entry {
    value: Option<(Vec<u8>, Moment)>,
    leased_until: Option<Moment>,
    /// Of the last lease given, or of a writer without one.
    fence: u64,
    /// Of the value that was put last.
    written: u64,
}

impl InMemoryCache {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty one on a clock of its own.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { entries: Mutex::default(), listeners: Mutex::default(), clock }
    }

    /// How many values it holds, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().values().filter(|entry| entry.value.is_some()).count()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, as a store does that is restarted.
    pub fn flush(&self) {
        self.entries().clear();
    }

    /// Does `change` to each value, for tests of what garbage does.
    pub fn tamper(&self, change: impl Fn(&mut Vec<u8>)) {
        self.entries().values_mut().filter_map(|entry| entry.value.as_mut()).for_each(|(value, _)| change(value));
    }

    /// All keys and values, for tests of what they give away.
    #[must_use]
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let entries = self.entries();
        entries.iter().filter_map(|(key, entry)| Some((key.clone(), entry.value.as_ref()?.0.clone()))).collect()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DistributedCache for InMemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let now = self.clock.now();
        let entries = self.entries();
        let value = entries.get(key).and_then(|entry| entry.value.as_ref());
        Ok(value.filter(|(_, until)| now < *until).map(|(value, _)| value.clone()))
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Result<Stored, CacheError> {
        let until = self.clock.now() + ttl;
        {
            let mut entries = self.entries();
            let entry = entries.entry(key.to_owned()).or_default();
            match fence {
                Some(fence) if fence < entry.fence || fence <= entry.written => return Ok(Stored::Outdated),
                Some(fence) => entry.written = fence,
                None => {
                    entry.fence += 1;
                    entry.written = entry.fence;
                    entry.leased_until = None;
                }
            }
            entry.value = Some((value.to_owned(), until));
        }
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        listeners.iter().for_each(|listener| listener.changed(key));
        Ok(Stored::Stored)
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.value = None;
        }
        Ok(())
    }

    async fn try_lease(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, CacheError> {
        let now = self.clock.now();
        let mut entries = self.entries();
        let entry = entries.entry(key.to_owned()).or_default();
        if entry.leased_until.is_some_and(|until| now < until) {
            return Ok(None);
        }
        entry.leased_until = Some(now + ttl);
        entry.fence += 1;
        Ok(Some(Lease::new(entry.fence)))
    }

    async fn release(&self, key: &str, lease: Lease) -> Result<(), CacheError> {
        if let Some(entry) = self.entries().get_mut(key)
            && entry.fence == lease.fence
        {
            entry.leased_until = None;
        }
        Ok(())
    }

    fn notify(&self, listener: ChangeListener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }
}

impl Default for InMemoryCache {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[tokio::test]
    async fn it_is_a_distributed_cache() {
        conformance::check(&InMemoryCache::new()).await;
    }

    #[tokio::test]
    async fn others_are_told_of_what_is_put() {
        let cache = Arc::new(InMemoryCache::new());
        conformance::check_changes(&cache, &cache.clone()).await;
    }
}
