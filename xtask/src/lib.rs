//! The chores of apptoken. A library, so that the checks themselves can be tested.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a chore talks to the person who runs it")]

pub mod architecture;
pub mod bench;
pub mod evidence;
pub mod fuzz;
pub mod instructions;
pub mod interop;
pub mod leaks;
pub mod links;
pub mod soak;
pub mod test;
mod tools;
mod workspace;

/// What went wrong, in words for the person who runs the chore.
pub type Result<T> = std::result::Result<T, String>;
