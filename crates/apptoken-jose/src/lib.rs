//! What the client (assertions), the API side (validation) and the local Entra ID (both) share: compact JWS
//! ([`jws`]), JWK sets ([`jwk`]), X.509 certificates ([`Certificate`]) and RSA keys ([`SigningKey`], [`PublicKey`]).
//! No I/O, no clock, no policy.
//!
//! RSA only, because Microsoft Entra ID takes nothing else: RS256 and PS256 of RFC 7518, keys of 2,048 bits and up.
//!
//! ```
//! use apptoken_jose::{Algorithm, SigningKey, jws};
//!
//! let key = SigningKey::generate()?;
//! let claims = serde_json::json!({ "iss": "daemon", "exp": 1_795_384_015 });
//! let token = jws::sign(&serde_json::Map::new(), &claims, &key, Algorithm::Ps256)?;
//!
//! let parsed = jws::Unverified::parse(&token)?;
//! parsed.verify(key.public_key(), &[Algorithm::Ps256])?;
//! assert_eq!(parsed.claims()["iss"], "daemon");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod base64url;
mod certificate;
mod error;
#[cfg(feature = "issue")]
pub mod issue;
pub mod jwk;
pub mod jws;
mod key;
mod pem;
#[cfg(feature = "pfx")]
pub mod pfx;
mod traditional;

pub use certificate::{Certificate, x5t_s256};
pub use error::{JwsError, KeyError};
pub use key::{Algorithm, PublicKey, SigningKey};
