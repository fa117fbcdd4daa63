//! As seize's, made of what loom knows: what was retired is freed as soon as no guard is there that was entered before.

use std::sync::PoisonError;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicPtr, Ordering};

#[derive(Debug)]
pub(crate) struct Collector(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    guards: usize,
    retired: Vec<Retired>,
}

/// What frees it has its type.
#[derive(Debug)]
struct Retired {
    pointer: *mut (),
    /// Really one of pointers of the type that it had.
    free: unsafe fn(*mut (), &Collector),
}

// SAFETY: the table retires nothing that may not be dropped by another thread.
unsafe impl Send for Retired {}

pub(crate) struct LocalGuard<'a>(&'a Collector);

pub(crate) trait CollectorGuard {
    fn protect<T>(&self, pointer: &AtomicPtr<T>, ordering: Ordering) -> *mut T {
        pointer.load(ordering)
    }

    unsafe fn defer_retire<T>(&self, pointer: *mut T, free: unsafe fn(*mut T, &Collector));

    fn flush(&self) {}
}

impl Collector {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    pub(crate) fn enter(&self) -> LocalGuard<'_> {
        self.with(|state| state.guards += 1);
        LocalGuard(self)
    }

    fn with<R>(&self, then: impl FnOnce(&mut State) -> R) -> R {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn free(&self, retired: Vec<Retired>) {
        for Retired { pointer, free } in retired {
            // SAFETY: it was retired, and nobody looks at it any more.
            unsafe { free(pointer, self) };
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let retired = self.with(|state| std::mem::take(&mut state.retired));
        self.free(retired);
    }
}

impl CollectorGuard for LocalGuard<'_> {
    unsafe fn defer_retire<T>(&self, pointer: *mut T, free: unsafe fn(*mut T, &Collector)) {
        // SAFETY: pointers to sized types are passed alike.
        let free =
            unsafe { std::mem::transmute::<unsafe fn(*mut T, &Collector), unsafe fn(*mut (), &Collector)>(free) };
        self.0.with(|state| state.retired.push(Retired { pointer: pointer.cast(), free }));
    }
}

impl Drop for LocalGuard<'_> {
    fn drop(&mut self) {
        let retired = self.0.with(|state| {
            state.guards -= 1;
            if state.guards == 0 { std::mem::take(&mut state.retired) } else { Vec::new() }
        });
        self.0.free(retired);
    }
}
