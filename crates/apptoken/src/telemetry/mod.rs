#![doc = include_str!("../../../../docs/observability.md")]

mod acquisition;
mod client_headers;
mod in_words;
mod metrics;
#[cfg(feature = "otel")]
mod otel;

pub(crate) use acquisition::{Acquisition, millis, request_span};
pub(crate) use client_headers::{Caller, Told, client_headers, library_headers};
pub(crate) use in_words::InWords;
pub(crate) use metrics::{InFlight, SlotCount, background, bytes_kept, cache, evicted, hit, http, replaced, swept};
#[cfg(feature = "otel")]
pub use otel::export_metrics;

/// The target of every span and event.
pub(crate) const TARGET: &str = "apptoken";
