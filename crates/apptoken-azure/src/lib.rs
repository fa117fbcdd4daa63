//! [`apptoken`] as the `TokenCredential` of the Azure SDK for Rust: its clients take tokens from an app
//! ([`ConfidentialClient`](apptoken::ConfidentialClient)), a managed identity or what the environment gives, with the
//! client's cache, its one request for many callers, and its certificates without OpenSSL.
//!
//! ```no_run
//! # fn example(client: apptoken::ConfidentialClient) {
//! use std::sync::Arc;
//! use apptoken_azure::AzureCredential;
//! use azure_core::credentials::TokenCredential;
//!
//! let credential: Arc<dyn TokenCredential> = Arc::new(AzureCredential::new(client));
//! // BlobServiceClient::new(url, Some(credential), None), SecretClient::new(url, credential, None), …
//! # let _ = credential; }
//! ```
//!
//! The SDK's own policy keeps one token for each of its clients until five minutes before its end, and after a 401 asks
//! for "another" without saying why, so that a token that was revoked would come again. A
//! [`ClaimsChallengePolicy`] among the options of the SDK's client closes that gap.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod challenge;
mod credential;

pub use challenge::ClaimsChallengePolicy;
pub use credential::{AzureCredential, Claims};
