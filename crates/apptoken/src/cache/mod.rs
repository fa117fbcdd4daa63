//! Where tokens are kept: one [`Slot`] for each key, in a lock-free map.

mod flight;
mod memory;
mod slot;
mod sync;

pub(crate) use flight::{Flight, Join};
pub(crate) use memory::{KeyRef, Memory};
pub(crate) use slot::{Slot, Standing};
