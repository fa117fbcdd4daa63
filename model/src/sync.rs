//! What the files under test lock with.
#![allow(dead_code, reason = "the models need less of it than apptoken does")]

use std::cell::Cell;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, PoisonError};

use loom::sync::atomic::AtomicBool;
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU16, AtomicU64, Ordering};
pub(crate) use loom::sync::{Mutex, MutexGuard};

pub(crate) use crate::collector::{Collector, CollectorGuard, LocalGuard};

/// As the standard library's; loom sees when it is set.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: AtomicBool,
}

impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)?;
        self.is_set.store(true, Ordering::Release);
        Ok(())
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self { value: std::sync::OnceLock::new(), is_set: AtomicBool::new(false) }
    }
}

/// As arc-swap's, made of what loom knows.
#[derive(Debug)]
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn load(&self) -> Loaded<T> {
        Loaded(self.load_full())
    }

    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value)
    }
}

/// What it held when it was looked at.
pub(crate) struct Loaded<T>(Option<Arc<T>>);

impl<T> Deref for Loaded<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Option<Arc<T>> {
        &self.0
    }
}

impl<T> Default for ArcSwapOption<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// The runtime that threads are on between [`Runtime::enter`] and [`Runtime::leave`]; its tasks are threads.
pub(crate) struct Runtime;

pub(crate) type RuntimeId = u8;

thread_local! {
    // loom runs its threads on one of the machine's
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

impl Runtime {
    pub(crate) fn enter() {
        ENTERED.set(true);
    }

    pub(crate) fn leave() {
        ENTERED.set(false);
    }

    pub(crate) fn current() -> Option<Self> {
        ENTERED.get().then_some(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        0
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        loom::thread::spawn(move || loom::future::block_on(work));
    }
}

pub(crate) const HERD: usize = 2;
