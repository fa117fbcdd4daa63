//! The slot, under test.
#![allow(dead_code, reason = "the models need less of them than apptoken does")]

#[path = "../../crates/apptoken/src/cache/slot.rs"]
mod slot;

pub(crate) use slot::{Slot, Standing};
