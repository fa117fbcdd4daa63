//! The tenant's keys as last fetched, and when to fetch again: on an unknown `kid`, seldom, one at a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::metadata::Fetcher;
use crate::token::Trust;

/// Serves the keys without a lock; a fetch replaces them as a whole, and one that fails leaves them as they are.
pub(crate) struct KeyStore {
    current: ArcSwapOption<Fetched>,
    flight: Mutex<Flight>,
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    /// The least time between two fetches that requests cause.
    interval: Duration,
    /// After this the keys are fetched anew behind the caller's back.
    max_age: Duration,
}

/// Keys and when they came.
pub(crate) struct Fetched {
    pub(crate) trust: Trust,
    at: SystemTime,
}

/// Guards the decision to fetch; never held across an await.
#[derive(Default)]
struct Flight {
    /// Ends, by losing its sender, when the fetch under way has.
    running: Option<watch::Receiver<()>>,
    last_attempt: Option<SystemTime>,
}

impl KeyStore {
    pub(crate) fn new(fetcher: Fetcher, clock: Arc<dyn Clock>, interval: Duration, max_age: Duration) -> Self {
        Self { current: ArcSwapOption::empty(), flight: Mutex::default(), fetcher, clock, interval, max_age }
    }

    /// As configured.
    pub(crate) fn tenant(&self) -> &str {
        self.fetcher.tenant.as_str()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Fetches at once and says what went wrong: for the start of the API. Counts for no interval, so the first unknown
    /// `kid` after it may fetch at once.
    pub(crate) async fn load(&self) -> Result<(), crate::MetadataError> {
        let trust = self.fetcher.fetch().await?;
        self.current.store(Some(Arc::new(Fetched { trust, at: self.clock.now() })));
        Ok(())
    }

    /// The keys, fetched now if there are none, and refreshed behind the caller's back when they are old.
    pub(crate) async fn keys(self: &Arc<Self>) -> Option<Arc<Fetched>> {
        let Some(keys) = self.current.load_full() else { return self.newer_than(None).await };
        if self.clock.now().duration_since(keys.at).is_ok_and(|age| age >= self.max_age) {
            drop(self.fetch_after(Some(&keys)));
        }
        Some(keys)
    }

    /// Keys newer than those just `seen`, if there are or a fetch may be made for them; the same ones otherwise.
    pub(crate) async fn newer_than(self: &Arc<Self>, seen: Option<&Arc<Fetched>>) -> Option<Arc<Fetched>> {
        if let Some(mut fetch) = self.fetch_after(seen) {
            // An error is the news that we wait for: the sender is gone, the fetch has ended, whichever way.
            while fetch.changed().await.is_ok() {}
        }
        self.current.load_full()
    }

    /// Joins the fetch under way or starts one; `None` when that is not called for or too early.
    fn fetch_after(self: &Arc<Self>, seen: Option<&Arc<Fetched>>) -> Option<watch::Receiver<()>> {
        let mut flight = self.lock();
        // Race: a fetch that ended between the caller's look and this lock has brought newer keys already.
        if self.current.load().as_ref().map(Arc::as_ptr) != seen.map(Arc::as_ptr) {
            return None;
        }
        if let Some(running) = flight.running.as_ref().filter(|running| running.has_changed().is_ok()) {
            return Some(running.clone());
        }
        let now = self.clock.now();
        let least = if seen.is_some() { self.interval } else { self.interval.min(FIRST_KEYS_INTERVAL) };
        // A clock set back gives an error here and allows the fetch: better one too many than none for hours.
        if flight.last_attempt.is_some_and(|last| now.duration_since(last).is_ok_and(|passed| passed < least)) {
            return None;
        }
        // reqwest needs tokio; on another executor there is nothing to fetch with, and nothing to panic about.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        flight.last_attempt = Some(now);
        let (ended, running) = watch::channel(());
        flight.running = Some(running.clone());
        let store = Arc::clone(self);
        // A task of its own: a caller who goes away must not take the others' fetch along.
        runtime.spawn(async move {
            store.fetch().await;
            drop(ended);
        });
        Some(running)
    }

    async fn fetch(&self) {
        match self.load().await {
            Ok(()) => tracing::info!(tenant = self.tenant(), "fetched the tenant's signing keys"),
            Err(error) => {
                let kept = self.current.load().is_some();
                let tenant = self.tenant();
                tracing::warn!(tenant, kept, error = error.chain(), "could not fetch the tenant's signing keys");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore")
            .field("fetcher", &self.fetcher)
            .field("loaded", &self.current.load().is_some())
            .finish_non_exhaustive()
    }
}

/// With no keys at all every request fails, so the authority is asked more often.
const FIRST_KEYS_INTERVAL: Duration = Duration::from_secs(1);
