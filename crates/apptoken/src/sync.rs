//! The locks and atomics of the cache and of flights in one place: the crate `model` compiles its files against loom's instead.

pub(crate) use arc_swap::ArcSwapOption;
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};
