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
mod changes;
mod link;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apptoken::cache::distributed::{CacheError, ChangeListener, DistributedCache, Lease, Stored};
pub use builder::RedisCacheBuilder;
use changes::Changes;
use link::Link;
use scripts::Names;

/// Tokens in Redis, for [`TokenCache::distributed`](apptoken::cache::TokenCache::distributed).
///
/// It connects at its first use, or when its `TokenCache` is made within a tokio runtime, and again by itself whenever
/// the connection is lost, for which it needs that runtime.
pub struct RedisCache {
    link: Arc<Link>,
    names: Names,
    changes: Changes,
}

impl RedisCache {
    /// One server, as `redis://host:port/database`, or `rediss://` for TLS.
    pub fn server(url: &str) -> RedisCacheBuilder {
        RedisCacheBuilder::server(url)
    }

    /// A Cluster, by some of its nodes' URLs; the others are found.
    pub fn cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> RedisCacheBuilder {
        RedisCacheBuilder::cluster(urls)
    }

    /// The master that Sentinels watch under this name, by the Sentinels' URLs. With `rediss://` both they and the
    /// master are asked over TLS.
    pub fn sentinel<'a>(urls: impl IntoIterator<Item = &'a str>, master: &str) -> RedisCacheBuilder {
        RedisCacheBuilder::sentinel(urls, master)
    }

    fn new(link: Link, prefix: &str) -> Self {
        let (link, names) = (Arc::new(link), Names::new(prefix));
        Self { changes: Changes::new(link.clone(), names.channel().to_owned()), link, names }
    }
}

impl DistributedCache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.changes.listen();
        match self.link.ask::<Vec<u8>>(self.names.get(key)).await {
            Ok(value) => Ok(scripts::without_fence(value)),
            // somebody else's: no value of ours, and none that the client can decrypt
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(Some(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Result<Stored, CacheError> {
        if value.len() > scripts::LONGEST_VALUE {
            return Err(format!("a value of {} bytes is too long", value.len()).into());
        }
        let stored = self.link.ask::<bool>(self.names.set(key, value, ttl, fence)).await?;
        Ok(if stored { Stored::Stored } else { Stored::Outdated })
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        Ok(self.link.ask::<()>(self.names.remove(key)).await?)
    }

    async fn try_lease(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, CacheError> {
        self.changes.listen();
        // who is gone when the lease comes does not keep it from the others
        let (names, of) = (self.names.clone(), key.to_owned());
        let give_back = move |fence: Option<u64>| fence.map(|fence| names.release(&of, fence));
        let fence = self.link.ask_or_undo(self.names.lease(key, ttl), give_back).await?;
        Ok(fence.map(Lease::new))
    }

    async fn release(&self, key: &str, lease: Lease) -> Result<(), CacheError> {
        Ok(self.link.ask::<()>(self.names.release(key, lease.fence)).await?)
    }

    fn notify(&self, listener: ChangeListener) {
        self.changes.add(listener);
        self.changes.listen();
        self.link.warm();
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").field("at", &self.link).field("names", &self.names).finish_non_exhaustive()
    }
}
