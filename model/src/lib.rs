//! The slot, the table and the flight, the very files of `apptoken`'s cache, compiled against loom's locks and atomics. loom runs each
//! model under every interleaving of its threads with up to [`PREEMPTIONS`] preemptions (`LOOM_MAX_PREEMPTIONS` sets
//! another number), and reports a wake-up that is lost as a deadlock.
//!
//! What the files use of the rest of `apptoken` stands in [`words`], cut down to what matters here.
#![deny(unsafe_code)]

mod cache;
#[expect(unsafe_code, reason = "it frees what the table retires")]
mod collector;
#[path = "../../crates/apptoken/src/flight/mod.rs"]
#[allow(dead_code, reason = "the models need less of it than apptoken does")]
mod flight;
pub mod flights;
pub mod slots;
mod sync;
pub mod tables;
mod words;

use words::{Error, clock, http, telemetry, token};

/// Runs `model` once for each interleaving.
fn every_interleaving(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.check(model);
}

/// Threads are switched at each wait as well: this many more times, at any point. Each defect put in on purpose
/// showed with two or fewer.
pub const PREEMPTIONS: usize = 3;
