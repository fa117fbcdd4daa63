//! The locks and atomics of the cache and of flights in one place, and their runtime: the crate `model` compiles its files
//! against loom's instead.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

pub(crate) use arc_swap::ArcSwapOption;
pub(crate) use seize::{Collector, Guard as CollectorGuard, LocalGuard};
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU16, AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};
pub(crate) use tokio::runtime::Id as RuntimeId;

/// What an [`ArcSwapOption`] held when it was looked at.
pub(crate) type Loaded<T> = arc_swap::Guard<Option<Arc<T>>>;

/// The async runtime that a future is polled on.
pub(crate) struct Runtime(Handle);

impl Runtime {
    pub(crate) fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.0.id()
    }

    /// The future is dropped unfinished when the runtime ends, or has ended.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }
}

/// From so many waiters on one runtime on, a task of its own costs less than to wake them all.
pub(crate) const HERD: usize = 16;
