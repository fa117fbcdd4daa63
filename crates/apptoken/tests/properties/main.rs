//! What holds for any answer and any sequence of events, and not only for those that somebody thought of.
#![allow(clippy::unwrap_used, reason = "a test")]

mod answers;
mod events;
mod model;

use apptoken::http::{CircuitPolicy, RetryPolicy, Transport};
use apptoken::{ConfidentialClient, ConfidentialClientBuilder};

const SCOPE: &str = "https://graph.microsoft.com/.default";

/// A client that sends through `transport`, each request once.
fn client(transport: impl Transport) -> ConfidentialClientBuilder {
    ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .client_secret(secret(0))
        .transport(transport)
        .retry(RetryPolicy::NONE)
        .circuit(CircuitPolicy::NONE)
}

fn secret(number: u64) -> String {
    format!("{}-secret {number}", testkit::CANARY)
}
