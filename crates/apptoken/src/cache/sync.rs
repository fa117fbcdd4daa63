//! The locks and atomics of the cache in one place: the crate `model` compiles its files against loom's instead.

pub(super) use arc_swap::ArcSwapOption;
pub(super) use std::sync::atomic::{AtomicU64, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};
