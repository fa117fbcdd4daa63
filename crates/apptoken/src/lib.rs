//! App-only access tokens from Microsoft Entra ID, for programs that run with no user.
//!
//! A daemon proves who it is with a client secret, a certificate or a federated assertion, gets a token by the OAuth 2.0
//! client-credentials grant for the scope `<resource>/.default`, and keeps it:
//!
//! ```no_run
//! # async fn example() -> Result<(), apptoken::Error> {
//! use apptoken::{Certificate, ConfidentialClient, SecretString};
//!
//! let password = SecretString::from(std::env::var("PFX_PASSWORD").unwrap_or_default());
//! let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
//!     .tenant("contoso.onmicrosoft.com")
//!     .certificate(Certificate::from_pfx_file("daemon.pfx", &password)?)
//!     .build()?;
//!
//! let token = client.acquire_token_for_client(["https://graph.microsoft.com/.default"]).await?;
//! let header = token.authorization_header();                       // `Bearer …`, marked sensitive
//!
//! let graph = client.token_source("https://graph.microsoft.com/.default")?;   // one scope, the fastest way
//! let again = graph.token().await?;                                // nanoseconds
//! # let _ = (header, again); Ok(()) }
//! ```
//!
//! Other ways to an identity, each with the same tokens and the same [`Error`]:
//! * [`ManagedIdentityClient`]: the identity that Azure gave to the machine, app or job, from whichever platform it is;
//! * [`ConfidentialClientBuilder`]'s assertions: [Kubernetes](ConfidentialClient::workload_identity),
//!   [GitHub Actions](ConfidentialClientBuilder::github_actions_oidc),
//!   [Azure Pipelines](ConfidentialClientBuilder::azure_pipelines_oidc),
//!   [a managed identity](ConfidentialClientBuilder::managed_identity_assertion),
//!   [another app](ConfidentialClientBuilder::app_assertion);
//! * [`EnvironmentClient`]: whichever of these the environment gives, and a report of why.
//!
//! What a caller is promised:
//! * a token that is valid for at least five minutes; or, while the authority cannot give a new one, the one in hand
//!   as long as it is valid; or an [`Error`] that says what to do;
//! * one request, however many callers wait for the same token; with a [`TokenCache`](cache::TokenCache) one for all
//!   processes that share it;
//! * a refresh behind the caller's back when the authority suggests one, or half-way through a long life;
//! * an authority that is spared: a bounded [rate](http::RequestRate) of requests, [retries](http::RetryPolicy) with
//!   jitter that heed `Retry-After`, a [circuit](http::CircuitPolicy) that opens when it keeps failing;
//! * no secret, token or assertion in any log, `Debug` or error.
//!
//! Requests go through [`http::Transport`], time comes from [`clock::Clock`]; both can be replaced.
//!
//! What can be seen from outside is in [`telemetry`]. Features: `reqwest` (default), `otel` (metrics), `blocking` (for programs
//! without async).
#![deny(unsafe_code)]
#![deny(missing_docs)]

mod acquire;
pub mod advice;
mod authority;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod cache;
mod client;
pub mod clock;
mod credential;
pub mod env_vars;
mod environment;
mod error;
mod flight;
pub mod http;
mod identity;
mod issuer;
mod managed_identity;
mod name;
mod pop;
mod refresh_reason;
mod request;
mod scope;
mod sync;
pub mod telemetry;
mod token;
mod token_endpoint;
mod wiped;

pub use apptoken_jose::Algorithm as SigningAlgorithm;
pub use authority::AssertionForm;
pub use client::{
    Acquire, AcquireSignedHttpRequest, AcquireToken, AcquireTokenForClient, AnyClient, ConfidentialClient,
    ConfidentialClientBuilder, EnvironmentClient, EnvironmentClientBuilder, EnvironmentCredential,
    ManagedIdentityClient, ManagedIdentityClientBuilder, Selection, TokenSource,
};
pub use credential::{
    AppToken, AppTokenProvider, AppTokenRequest, AssertionRequest, AssertionSource, BoundAssertion,
    BoundAssertionSource, Certificate, CertificateFile, CertificateProvider, CertificateSource, Credential, Signer,
};
pub use environment::Environment;
pub use error::{Denied, Error, ErrorKind, FailureMetadata};
pub use identity::ClientIdentity;
pub use managed_identity::{ManagedIdentitySource, UserAssignedId};
pub use pop::{PopKey, PopRequest, SignedHttpRequest};
pub use request::{BeforeTokenRequest, TokenRequestHook};
pub use scope::IntoScopes;
pub use secrecy::{ExposeSecret, SecretString};
pub use token::{AccessToken, AcquiredFrom, CacheLevel, Metadata, RefreshReason, RegionOutcome};

/// Keeps the README's example compiling.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
