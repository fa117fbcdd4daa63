//! The API side of app-only access: a [`tower`] layer that lets in callers with a valid token of Microsoft Entra ID
//! and the app role that a route demands.
//!
//! ```no_run
//! use apptoken_protect::{Caller, Protect, RequireRoles};
//! use axum::{Extension, Router, routing::get};
//!
//! # async fn api() -> Result<Router, apptoken_protect::BuildError> {
//! async fn list(Extension(caller): Extension<Caller>) -> String {
//!     format!("to do, for {}", caller.app_id())
//! }
//!
//! let api = Router::new()
//!     .route("/api/todolist", get(list).layer(RequireRoles::any(["DaemonAppRole"])))
//!     .layer(Protect::api("api://todolist").tenant("contoso.onmicrosoft.com").build().await?);
//! # Ok(api) }
//! ```
//!
//! | the request has | is answered | and the challenge says |
//! |---|---|---|
//! | no access token | 401 | nothing more (RFC 6750 §3.1) |
//! | a token that is not believed | 401 | `invalid_token` |
//! | a token bound to a key, sent as a bearer token or without the proof | 401 | `invalid_token`, the scheme to use |
//! | two `Authorization` headers, or one that cannot be read | 400 | `invalid_request` |
//! | a good token without the app role | 403 | `insufficient_scope` |
//! | a token while no keys could be fetched | 503 | |
//!
//! Every refusal has an `application/problem+json` body whose `detail` says why; what exactly was expected and what
//! came instead is in the log (`tracing`, target `apptoken_protect`), never the token.
//!
//! Tokens may be bound to a key (`cnf`, RFC 7800): to a client certificate, sent as `mtls_pop` over mutual TLS, see
//! [`ClientCertificate`]; or to a key that signs each request, sent as `PoP`.
//!
//! Put a CORS layer outside [`Protect`]: a preflight request carries no token.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod authorization;
mod binding;
mod builder;
mod caller;
mod challenge;
mod claims;
mod client_certificate;
mod clock;
mod error;
mod metadata;
mod proof;
mod protect;
mod rejection;
mod replays;
mod roles;
mod scheme;
mod service;
mod signed_request;
mod store;
mod tenant;
mod token;

pub use builder::ProtectBuilder;
pub use caller::Caller;
pub use challenge::Challenge;
pub use client_certificate::ClientCertificate;
pub use clock::{Clock, SystemClock};
pub use error::{BuildError, MetadataError};
pub use protect::Protect;
pub use rejection::Rejection;
pub use roles::{RequireRoles, RequireRolesService};
pub use service::{GuardedBody, ProtectService};
