//! Redis as the second cache level of [`apptoken`]: one server, Sentinel or Cluster, over TLS if asked for.
//!
//! A fleet whose processes share it asks the authority once for each token: one of them gets a lease and asks, the
//! others wait for its token. What a failing Redis costs them is bounded by
//! [`TokenCacheBuilder::deadline`](apptoken::cache::TokenCacheBuilder::deadline); it is never an error to a caller.
//!
//! ```
//! use apptoken::ConfidentialClient;
//! use apptoken::cache::TokenCache;
//! use apptoken_redis::RedisCache;
//!
//! # fn example(password: apptoken::SecretString) -> Result<(), apptoken::Error> {
//! let redis = RedisCache::server("rediss://redis.contoso.com:6380").credentials("daemon", password).build()?;
//! let cache = TokenCache::distributed(redis).build();
//! let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
//!     .tenant("contoso.onmicrosoft.com")
//!     .client_secret("the secret")
//!     .token_cache(&cache)
//!     .build()?;
//! # Ok(()) }
//! ```
//!
//! # In Redis
//! For each token `apptoken:1:{key}:v`, its value, `…:l`, the lease, and `…:f`, the last fence; all of them end by
//! themselves. Keys are hashes, values encrypted by the client. The braces keep a token's keys in one slot of a Cluster.
//! Fences are made from the server's time, so that they go on rising after a restart or a fail-over that lost the last one.
//!
//! The ACL of a user needs no more than `~apptoken:* &apptoken:* +eval +get +set +del +pttl +time +getrange +publish
//! +subscribe +ping`, and for a Cluster `+cluster`. Any Redis from 6.0 on will do, and Valkey.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod builder;
mod cache;
mod changes;
mod link;
mod scripts;

pub use builder::RedisCacheBuilder;
pub use cache::RedisCache;
