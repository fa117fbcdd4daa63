//! Graph over real HTTPS: what it demands of a token, what it shows, what automation does with it.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod automation;
mod batch;
#[path = "../common/mod.rs"]
mod common;
mod desk;
mod guard;
mod hostile;
mod objects;
mod query;
mod reads;
mod replication;
