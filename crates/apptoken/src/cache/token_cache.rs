use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::distributed::{ChangeListener, DistributedCache, DynDistributedCache, Stored};
use super::followers::Followers;
use super::{Bounds, CacheFolder, EncryptionKey, Memory, MemoryCounters, MsalCacheFile, Owner};

/// Where tokens are kept besides the client's own memory. Give one to each client that is to share it
/// ([`ConfidentialClientBuilder::token_cache`](crate::ConfidentialClientBuilder::token_cache)): clients of the same app at
/// the same authority then have their tokens in common, others' stay apart.
///
/// A second level is asked only when memory has no token that will do, and told of each new one. What goes wrong with it
/// is counted and logged, and no caller notices.
///
/// ```
/// use apptoken::ConfidentialClient;
/// use apptoken::cache::TokenCache;
///
/// # fn example() -> Result<(), apptoken::Error> {
/// let cache = TokenCache::encrypted_folder("/var/cache/daemon/tokens").build();
/// let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
///     .tenant("contoso.onmicrosoft.com")
///     .client_secret("the secret")
///     .token_cache(&cache)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenCache(pub(super) Arc<Shared>);

/// Settings of a [`TokenCache`].
#[must_use]
pub struct TokenCacheBuilder {
    store: Store,
    key: Option<EncryptionKey>,
    partition: String,
    timing: Timing,
    bounds: Bounds,
}

pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) key: Option<EncryptionKey>,
    pub(super) partition: String,
    pub(super) timing: Timing,
    pub(super) breaker: Breaker,
    pub(super) counts: Counts,
    pub(super) waiting: Waiting,
    pub(super) followers: Followers,
    /// How many questions may be with the level at once.
    pub(super) at_once: Semaphore,
    memory: Memory,
    /// The part of each app at each authority, for all clients of it.
    parts: Mutex<HashMap<[String; 3], Memory>>,
}

pub(super) enum Store {
    /// None but memory.
    None,
    Bytes {
        store: Arc<dyn DynDistributedCache>,
        /// Whether what a token is for may stand beside it in the clear.
        labelled: bool,
        /// Whether a client that has no key does without, or is refused.
        needs_key: bool,
    },
    Msal(Arc<MsalCacheFile>),
}

/// How long each thing may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) deadline: Duration,
    /// For the first answer.
    pub(super) connect: Duration,
    pub(super) lease: Duration,
    pub(super) patience: Duration,
    /// Between looks at what another process is fetching.
    pub(super) look_again: Duration,
}

/// How a [`TokenCache`]'s second level has fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounters {
    /// Tokens that the second level had.
    pub hits: u64,
    /// Questions to which it had no token that will do.
    pub misses: u64,
    /// Tokens that it was given.
    pub writes: u64,
    /// Tokens that it refused, because a newer one had come.
    pub outdated: u64,
    /// Times that it answered with an error, or with what cannot be decrypted.
    pub errors: u64,
    /// Times that it did not answer by its deadline.
    pub timeouts: u64,
    /// Times that it was not asked, because it had failed before.
    pub skipped: u64,
    /// Times that another process was fetching the token, and this one waited for it.
    pub waits: u64,
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) outdated: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) waits: AtomicU64,
}

impl TokenCache {
    /// Memory only, shared by all clients that are given it: for programs that make a client for each request.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::builder().build()
    }

    /// As [`in_memory`](Self::in_memory), with settings.
    pub fn builder() -> TokenCacheBuilder {
        TokenCacheBuilder::new(Store::None, LOCAL)
    }

    /// A folder of encrypted files, for programs that run once and end, and for several on one machine. The key is made
    /// from the client's credential: whoever has that could ask for the token anyway. A client whose credential has no
    /// secret (a federated assertion) keeps nothing there, unless [`encryption_key`](TokenCacheBuilder::encryption_key)
    /// is given.
    pub fn encrypted_folder(path: impl Into<PathBuf>) -> TokenCacheBuilder {
        Self::folder(CacheFolder::new(path))
    }

    /// As [`encrypted_folder`](Self::encrypted_folder), by the folder's handle.
    pub fn folder(folder: CacheFolder) -> TokenCacheBuilder {
        let store = Store::Bytes { store: Arc::new(folder), labelled: true, needs_key: false };
        TokenCacheBuilder::new(store, LOCAL)
    }

    /// The file that MSAL Python, Node, Go, Java and .NET share, in the clear.
    pub fn msal_file(file: MsalCacheFile) -> TokenCacheBuilder {
        TokenCacheBuilder::new(Store::Msal(Arc::new(file)), LOCAL)
    }

    /// A store that a fleet shares. Values are encrypted with a key made from the client's credential, or with
    /// [`encryption_key`](TokenCacheBuilder::encryption_key), which a credential without a secret needs.
    pub fn distributed(store: impl DistributedCache) -> TokenCacheBuilder {
        let store = Store::Bytes { store: Arc::new(store), labelled: false, needs_key: true };
        TokenCacheBuilder::new(store, NETWORKED)
    }

    /// How the second level has fared so far.
    #[must_use]
    pub fn counters(&self) -> CacheCounters {
        let counts = &self.0.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheCounters {
            hits: read(&counts.hits),
            misses: read(&counts.misses),
            writes: read(&counts.writes),
            outdated: read(&counts.outdated),
            errors: read(&counts.errors),
            timeouts: read(&counts.timeouts),
            skipped: read(&counts.skipped),
            waits: read(&counts.waits),
        }
    }

    /// What the memory holds, and how it has fared, for all its clients.
    #[must_use]
    pub fn memory_counters(&self) -> MemoryCounters {
        self.0.memory.counters()
    }

    /// The part of one app at one authority.
    pub(crate) fn memory(&self, owner: &Owner) -> Memory {
        let whose = [&*owner.client_id, &owner.authority, &owner.flavour].map(str::to_owned);
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.len() >= MOST_APPS && !parts.contains_key(&whose) {
            // those that no client uses any more
            parts.retain(|_, part| part.is_shared());
        }
        parts.entry(whose).or_insert_with(|| self.0.memory.of_another()).clone()
    }
}

impl TokenCacheBuilder {
    fn new(store: Store, timing: Timing) -> Self {
        Self { store, key: None, partition: String::new(), timing, bounds: Bounds::default() }
    }

    /// Encrypts with this key instead of one made from the credential: so that different credentials of an app, or ones
    /// without a secret, have their tokens in common. Not for [`TokenCache::msal_file`], which is in the clear.
    pub fn encryption_key(mut self, key: EncryptionKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Keeps tokens apart from those of other partitions in the same store: those of test and production, say. Not for
    /// [`TokenCache::msal_file`], whose keys are the MSALs'. Default: none.
    pub fn partition(mut self, name: impl Into<String>) -> Self {
        self.partition = name.into();
        self
    }

    /// How long the second level may take for one answer; after it, this client goes on without. Default: 5 ms for a
    /// distributed store, 10 s for files.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.timing.deadline = deadline.max(Duration::from_millis(1));
        self
    }

    /// How long the first answer may take, for which the store may have to be connected to, and any answer while this
    /// process asks more than four questions at a time, as when a fleet starts. If none comes, the store is tried again
    /// behind the callers' backs: nobody waits so long twice. Default: 1 s for a distributed store, 10 s for files.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.timing.connect = deadline;
        self
    }

    /// How long a process may have the right to ask the authority to itself: so long the others wait for one that has
    /// died. Default: 10 s for a distributed store, 30 s for files, whose locks end with their process.
    pub fn lease(mut self, ttl: Duration) -> Self {
        self.timing.lease = ttl.max(Duration::from_millis(1));
        self
    }

    /// How long to wait for a token that another process is fetching, before asking for it too. Default: for a
    /// distributed store as long as one has the right to ask, 10 s for files.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.timing.patience = patience;
        self
    }

    /// The most tokens that memory holds, for all clients together. Default: 1,000,000.
    pub fn max_tokens(mut self, tokens: usize) -> Self {
        self.bounds.entries = tokens;
        self
    }

    /// The most memory that they take, about, in bytes. Default: 2 GiB, a million tokens of a common size.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bounds.bytes = bytes;
        self
    }

    /// Makes the cache. Opens nothing.
    #[must_use]
    pub fn build(self) -> TokenCache {
        let shared = Arc::new(Shared {
            store: self.store,
            key: self.key,
            partition: self.partition,
            timing: self.timing,
            breaker: Breaker::default(),
            counts: Counts::default(),
            waiting: Waiting::default(),
            followers: Followers::default(),
            at_once: Semaphore::new(AT_ONCE),
            memory: Memory::new(self.bounds),
            parts: Mutex::default(),
        });
        if let Store::Bytes { store, .. } = &shared.store {
            let weak = Arc::downgrade(&shared);
            store.notify(ChangeListener::new(move |key| {
                if let Some(shared) = weak.upgrade() {
                    shared.waiting.tell(key);
                    shared.followers.tell(key);
                }
            }));
        }
        TokenCache(shared)
    }
}

impl Shared {
    /// Counts what came of a write.
    pub(super) fn wrote(&self, stored: Stored) {
        let counts = &self.counts;
        match stored {
            Stored::Stored => &counts.writes,
            Stored::Outdated => &counts.outdated,
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

/// Those who wait for a key's value to come.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<String, Vec<std::task::Waker>>>);

impl Waiting {
    /// Wakes `waker` at the next change of `key`.
    pub(super) fn add(&self, key: &str, waker: &std::task::Waker) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wakers = waiting.entry(key.to_owned()).or_default();
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    /// Whether `waker` has not been woken since it was added.
    pub(super) fn has(&self, key: &str, waker: &std::task::Waker) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(key).is_some_and(|wakers| wakers.iter().any(|other| other.will_wake(waker)))
    }

    /// Wakes nobody.
    pub(super) fn forget(&self, key: &str, waker: &std::task::Waker) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wakers) = waiting.get_mut(key) {
            wakers.retain(|other| !other.will_wake(waker));
            if wakers.is_empty() {
                waiting.remove(key);
            }
        }
    }

    /// Wakes who waits for `key`, or everyone, and forgets them: each looks for itself from now on.
    pub(super) fn tell(&self, key: Option<&str>) {
        let called = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match key {
                Some(key) => waiting.remove(key).unwrap_or_default(),
                None => waiting.drain().flat_map(|(_, wakers)| wakers).collect(),
            }
        };
        called.into_iter().for_each(std::task::Waker::wake);
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("store", &self.0.store)
            .field("timing", &self.0.timing)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheBuilder")
            .field("store", &self.store)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("memory"),
            Self::Bytes { labelled: true, .. } => f.write_str("encrypted folder"),
            Self::Bytes { .. } => f.write_str("distributed"),
            Self::Msal(file) => file.fmt(f),
        }
    }
}

const NETWORKED: Timing = Timing {
    deadline: Duration::from_millis(5),
    connect: Duration::from_secs(1),
    lease: Duration::from_secs(10),
    // a caller's own timeout bounds it, and a lease that nobody gives back ends
    patience: Duration::MAX,
    look_again: Duration::from_millis(25),
};
/// A disk may be slow, and the lock of an MSAL held for seconds.
const LOCAL: Timing = Timing {
    deadline: Duration::from_secs(10),
    connect: Duration::from_secs(10),
    lease: Duration::from_secs(30),
    patience: Duration::from_secs(10),
    look_again: Duration::from_millis(5),
};
const MOST_APPS: usize = 10_000;
/// Few, so that a fleet that starts together does not make its store slow: what waits, waits here, and the store answers
/// many thousands of questions a second to each process all the same.
const AT_ONCE: usize = 4;
