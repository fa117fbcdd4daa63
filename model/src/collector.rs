//! As seize's, made of what loom knows: what was retired is freed when the last guard goes. Who enters sees what those did
//! who have left, and of those who are still there nothing: what the table itself publishes is under test.

use std::mem;
use std::sync::PoisonError;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

#[derive(Debug)]
pub(crate) struct Collector {
    guards: AtomicUsize,
    retired: Mutex<Vec<Retired>>,
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
        Self { guards: AtomicUsize::new(0), retired: Mutex::new(Vec::new()) }
    }

    pub(crate) fn enter(&self) -> LocalGuard<'_> {
        self.guards.fetch_add(1, Ordering::Acquire);
        LocalGuard(self)
    }

    fn retired<R>(&self, then: impl FnOnce(&mut Vec<Retired>) -> R) -> R {
        then(&mut self.retired.lock().unwrap_or_else(PoisonError::into_inner))
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
        let retired = self.retired(mem::take);
        self.free(retired);
    }
}

impl CollectorGuard for LocalGuard<'_> {
    unsafe fn defer_retire<T>(&self, pointer: *mut T, free: unsafe fn(*mut T, &Collector)) {
        // SAFETY: pointers to sized types are passed alike.
        let free = unsafe { mem::transmute::<unsafe fn(*mut T, &Collector), unsafe fn(*mut (), &Collector)>(free) };
        self.0.retired(|retired| retired.push(Retired { pointer: pointer.cast(), free }));
    }
}

impl Drop for LocalGuard<'_> {
    fn drop(&mut self) {
        // taken before: what is retired after this, others may look at
        let taken = self.0.retired(mem::take);
        if self.0.guards.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.free(taken);
        } else {
            self.0.retired(|retired| retired.extend(taken));
        }
    }
}
