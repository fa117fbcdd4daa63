//! The slot and the table, under test.
#![allow(dead_code, reason = "the models need less of them than apptoken does")]

#[path = "../../crates/apptoken/src/cache/slot.rs"]
mod slot;
#[path = "../../crates/apptoken/src/cache/memory/table.rs"]
#[allow(unsafe_code, reason = "as in apptoken")]
mod table;

pub(crate) use slot::{Outcome, Slot, Standing};
pub(crate) use table::Table;
