//! The files under test, and what they lock with.
#![allow(dead_code, reason = "the models need less of them than apptoken does")]

#[path = "../../crates/apptoken/src/cache/flight.rs"]
mod flight;
#[path = "../../crates/apptoken/src/cache/slot.rs"]
mod slot;

mod sync {
    use std::sync::{Arc, PoisonError};

    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};

    /// As arc-swap's, made of what loom knows.
    #[derive(Debug)]
    pub(super) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

    impl<T> ArcSwapOption<T> {
        pub(super) fn load_full(&self) -> Option<Arc<T>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        pub(super) fn load(&self) -> Option<Arc<T>> {
            self.load_full()
        }

        pub(super) fn store(&self, value: Option<Arc<T>>) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }
    }

    impl<T> Default for ArcSwapOption<T> {
        fn default() -> Self {
            Self(Mutex::new(None))
        }
    }
}

pub(crate) use flight::{Flight, Join};
pub(crate) use slot::{Slot, Standing};
