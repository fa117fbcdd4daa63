//! A second level: where tokens outlive the process, or are shared by a fleet of them.
//!
//! Implement [`DistributedCache`] for a store and give it to
//! [`TokenCache::distributed`](crate::cache::TokenCache::distributed). The client encrypts what it puts in, bounds how long it waits,
//! stops asking a level that fails for a while, and goes on alone then: no error of a level reaches a caller.
//! The module `conformance` (feature `conformance`) holds an implementation to what is said here.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod in_memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use in_memory::InMemoryCache;

/// A store of opaque values under opaque keys, shared by processes or machines.
///
/// Keys are 60 characters or fewer of `A-Z a-z 0-9 - _`. Values are encrypted, of some kilobytes, and mean nothing to
/// the store. All methods may be called at the same time, and each future may be dropped at any point.
///
/// ```
/// use std::time::Duration;
/// use apptoken::cache::TokenCache;
/// use apptoken::cache::distributed::{CacheError, DistributedCache, InMemoryCache, Lease, Stored};
///
/// /// Counts its way to another level.
/// struct Traced<C>(C);
///
/// impl<C: DistributedCache> DistributedCache for Traced<C> {
///     async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
///         println!("get");
///         self.0.get(key).await
///     }
///     async fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Result<Stored, CacheError> {
///         self.0.set(key, value, ttl, fence).await
///     }
///     async fn remove(&self, key: &str) -> Result<(), CacheError> {
///         self.0.remove(key).await
///     }
///     async fn try_lease(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, CacheError> {
///         self.0.try_lease(key, ttl).await
///     }
///     async fn release(&self, key: &str, lease: Lease) -> Result<(), CacheError> {
///         self.0.release(key, lease).await
///     }
/// }
///
/// let cache = TokenCache::distributed(Traced(InMemoryCache::new())).deadline(Duration::from_millis(5)).build();
/// ```
pub trait DistributedCache: Send + Sync + 'static {
    /// The value under `key`, unless its time to live has passed.
    ///
    /// # Errors
    /// The store cannot say. A missing value is no error.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, CacheError>> + Send;

    /// Puts `value` under `key` for `ttl`, which is never zero, in the place of what is there.
    ///
    /// `fence` is that of the writer's lease. The store refuses it ([`Stored::Outdated`]) when a lease for `key` was
    /// given with a higher fence, ended or not, or a value was put with one as high: the writer was paused, and another
    /// has taken its place. A writer without a lease (`None`) is always served, and outdates all leases given before.
    ///
    /// # Errors
    /// The store cannot keep it.
    fn set(
        &self,
        key: &str,
        value: &[u8],
        ttl: Duration,
        fence: Option<u64>,
    ) -> impl Future<Output = Result<Stored, CacheError>> + Send;

    /// Removes the value under `key`, if there is one.
    ///
    /// # Errors
    /// The store cannot say that it is gone.
    fn remove(&self, key: &str) -> impl Future<Output = Result<(), CacheError>> + Send;

    /// The right to ask the authority for the token under `key`, which one process has at a time: `None` while another
    /// has it. It ends by [`release`](Self::release) or after `ttl`, whether or not its holder still lives. Each lease
    /// of a key has a higher fence than those before it.
    ///
    /// # Errors
    /// The store cannot say: the caller asks the authority without a lease.
    fn try_lease(&self, key: &str, ttl: Duration) -> impl Future<Output = Result<Option<Lease>, CacheError>> + Send;

    /// Ends `lease`, if it is still the one in force.
    ///
    /// # Errors
    /// The store cannot say; the lease ends by its time.
    fn release(&self, key: &str, lease: Lease) -> impl Future<Output = Result<(), CacheError>> + Send;

    /// Optional: from now on tells `listener` of each key whose value another process has put: those who wait for it
    /// need not look again and again, and those who hold an older one in memory take the new one in its place. Called
    /// once, when the cache is made, and outside a runtime perhaps: a store that needs a task for it starts it at its
    /// first use. Default: nothing is told.
    fn notify(&self, listener: ChangeListener) {
        drop(listener);
    }
}

/// What a store says when it fails; it is logged and counted, never returned to who wants a token.
pub type CacheError = Box<dyn std::error::Error + Send + Sync>;

/// The right to ask the authority for one key's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// Higher than that of any lease of the same key before it.
    pub fence: u64,
}

impl Lease {
    /// A lease with this fence.
    #[must_use]
    pub const fn new(fence: u64) -> Self {
        Self { fence }
    }
}

/// What came of a [`set`](DistributedCache::set).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The value is kept.
    Stored,
    /// It is not: its writer's lease has been followed by another.
    Outdated,
}

/// Whom a store tells of changes by other processes.
#[derive(Clone)]
pub struct ChangeListener(Arc<Told>);

/// With a key, or without one when some were missed.
type Told = dyn Fn(Option<&str>) + Send + Sync;

impl ChangeListener {
    /// One that calls `told` with the key, or with nothing when some changes may have been missed: for the tests of a
    /// store.
    pub fn new(told: impl Fn(Option<&str>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// The value under `key` is new.
    pub fn changed(&self, key: &str) {
        (self.0)(Some(key));
    }

    /// Some changes may have been missed: the connection was lost for a while.
    pub fn missed(&self) {
        (self.0)(None);
    }
}

impl fmt::Debug for ChangeListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeListener")
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, CacheError>> + Send + 'a>>;

/// [`DistributedCache`] with its futures boxed, so that a client need not be generic over it.
pub(crate) trait DynDistributedCache: Send + Sync + 'static {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<Vec<u8>>>;
    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], ttl: Duration, fence: Option<u64>) -> Boxed<'a, Stored>;
    fn remove<'a>(&'a self, key: &'a str) -> Boxed<'a, ()>;
    fn try_lease<'a>(&'a self, key: &'a str, ttl: Duration) -> Boxed<'a, Option<Lease>>;
    fn release<'a>(&'a self, key: &'a str, lease: Lease) -> Boxed<'a, ()>;
    fn notify(&self, listener: ChangeListener);
}

impl<C: DistributedCache> DynDistributedCache for C {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Option<Vec<u8>>> {
        Box::pin(DistributedCache::get(self, key))
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a [u8], ttl: Duration, fence: Option<u64>) -> Boxed<'a, Stored> {
        Box::pin(DistributedCache::set(self, key, value, ttl, fence))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Boxed<'a, ()> {
        Box::pin(DistributedCache::remove(self, key))
    }

    fn try_lease<'a>(&'a self, key: &'a str, ttl: Duration) -> Boxed<'a, Option<Lease>> {
        Box::pin(DistributedCache::try_lease(self, key, ttl))
    }

    fn release<'a>(&'a self, key: &'a str, lease: Lease) -> Boxed<'a, ()> {
        Box::pin(DistributedCache::release(self, key, lease))
    }

    fn notify(&self, listener: ChangeListener) {
        DistributedCache::notify(self, listener);
    }
}

/// One store for several caches: for tests, and for processes that are made of several parts.
impl<C: DistributedCache> DistributedCache for Arc<C> {
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, CacheError>> + Send {
        C::get(self, key)
    }

    fn set(
        &self,
        key: &str,
        value: &[u8],
        ttl: Duration,
        fence: Option<u64>,
    ) -> impl Future<Output = Result<Stored, CacheError>> + Send {
        C::set(self, key, value, ttl, fence)
    }

    fn remove(&self, key: &str) -> impl Future<Output = Result<(), CacheError>> + Send {
        C::remove(self, key)
    }

    fn try_lease(&self, key: &str, ttl: Duration) -> impl Future<Output = Result<Option<Lease>, CacheError>> + Send {
        C::try_lease(self, key, ttl)
    }

    fn release(&self, key: &str, lease: Lease) -> impl Future<Output = Result<(), CacheError>> + Send {
        C::release(self, key, lease)
    }

    fn notify(&self, listener: ChangeListener) {
        C::notify(self, listener);
    }
}
