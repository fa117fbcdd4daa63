use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apptoken::cache::distributed::{CacheError, ChangeListener, DistributedCache, Lease, Stored};

use crate::changes::Changes;
use crate::link::Link;
use crate::scripts::{self, Names};

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
    pub(crate) fn new(link: Link, prefix: &str) -> Self {
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
