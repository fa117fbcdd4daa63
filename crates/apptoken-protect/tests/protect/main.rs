//! The guard from outside: hostile tokens, rotating keys, authorities that misbehave, and the local Entra ID.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod authority;
mod caller;
mod hostile;
mod keys;
mod local_entra;
mod metadata;
mod possession;
mod proof;
mod tls;
mod tokens;
