use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::distributed::{CacheError, DynDistributedCache, Lease, Stored};
use super::msal_file::MsalKey;
use super::msal_json::Components;
use super::seal::Sealer;
use super::token_cache::{Shared, Store};
use super::{KeptToken, MsalCacheFile, TokenCache, disk};
use crate::Error;
use crate::clock::{Clock, within};
use crate::telemetry;

/// Whose tokens a client keeps in the second level.
pub(crate) struct Owner {
    pub(crate) client_id: String,
    /// Everything that tells one authority from another.
    pub(crate) authority: String,
    /// What all of the client's requests say besides the standard fields.
    pub(crate) flavour: String,
    /// For the MSALs' file: the authority's host and its other names; `None` if no MSAL would file its tokens so.
    pub(crate) hosts: Option<(String, Vec<String>)>,
}

/// The second level as one client sees it.
pub(crate) struct Level {
    shared: Arc<Shared>,
    owner: Owner,
    means: Means,
}

enum Means {
    Sealed { store: Arc<dyn DynDistributedCache>, sealer: Sealer, labelled: bool },
    Msal { file: Arc<MsalCacheFile>, host: String, aliases: Vec<String> },
}

/// One token's place in the level.
pub(crate) struct Place<'a> {
    level: &'a Level,
    clock: &'a Arc<dyn Clock>,
    at: At,
}

enum At {
    Sealed {
        key: String,
        label: String,
    },
    /// Boxed, since it is big beside the other.
    Msal(Box<MsalKey>),
}

/// The right to ask the authority, given back when it is dropped.
pub(crate) struct Held {
    store: Arc<dyn DynDistributedCache>,
    key: String,
    lease: Option<Lease>,
}

/// What came of asking for the right to ask.
pub(crate) enum Turn {
    /// It is ours, or there is none to be had and nobody to wait for.
    Ours(Option<Held>),
    Anothers,
}

impl Level {
    /// `None` if the cache is memory only, or the client has nothing to make a key from and may do without.
    ///
    /// # Errors
    /// The client has nothing to make a key from and the store is others' too; the file of the MSALs has no place for
    /// this authority's tokens.
    pub(crate) fn new(cache: &TokenCache, owner: Owner, secret: Option<&[u8]>) -> Result<Option<Self>, Error> {
        let shared = cache.0.clone();
        let means = match &shared.store {
            Store::None => return Ok(None),
            Store::Msal(file) => {
                let Some((host, aliases)) = owner.hosts.clone() else {
                    return Err(Error::configuration(format!(
                        "the token cache file of the MSALs has no place for tokens of {}",
                        owner.authority
                    ))
                    .with_advice("use it with Microsoft Entra ID's tenants, and an encrypted folder here"));
                };
                Means::Msal { file: file.clone(), host, aliases }
            }
            Store::Bytes { store, labelled, needs_key } => {
                let given = shared.key.as_ref().map(super::EncryptionKey::bytes);
                let Some(sealer) = given.or(secret).and_then(Sealer::new) else {
                    if *needs_key {
                        return Err(Error::configuration(
                            "a distributed token cache needs a key, and this client's credential has no secret to make one from",
                        )
                        .with_advice("give the cache an encryption_key that all its processes have"));
                    }
                    tracing::debug!(client_id = owner.client_id, "no key to encrypt tokens with: none is kept on disk");
                    return Ok(None);
                };
                Means::Sealed { store: store.clone(), sealer, labelled: *labelled }
            }
        };
        Ok(Some(Self { shared, owner, means }))
    }

    /// Where a token is kept; `None` for one that the level has no place for.
    pub(crate) fn place<'a>(
        &'a self,
        clock: &'a Arc<dyn Clock>,
        tenant: &str,
        scope: &str,
        extra: &str,
    ) -> Option<Place<'a>> {
        let owner = &self.owner;
        let at = match &self.means {
            Means::Sealed { sealer, labelled, .. } => {
                let Owner { client_id, authority, flavour, .. } = owner;
                let parts = [&*self.shared.partition, authority, client_id, flavour, tenant, scope, extra];
                let label = if *labelled {
                    [&*owner.client_id, tenant, scope, &owner.authority].join("\t")
                } else {
                    String::new()
                };
                At::Sealed { key: sealer.entry_key(&parts), label }
            }
            Means::Msal { host, aliases, .. } => At::Msal(Box::new(MsalKey {
                host: host.clone(),
                aliases: aliases.clone(),
                client_id: owner.client_id.clone(),
                realm: tenant.to_owned(),
                target: scope.to_owned(),
                components: Components::from_netstrings(extra)?,
            })),
        };
        Some(Place { level: self, clock, at })
    }

    /// Removes all of the client's tokens, as far as the store can say which they are.
    pub(crate) async fn clear(&self, clock: &Arc<dyn Clock>) -> bool {
        let Means::Msal { file, .. } = &self.means else { return true };
        let (file, client_id, now) = (file.clone(), self.owner.client_id.clone(), clock.system_time());
        self.bounded(&**clock, disk::off_thread(move || file.clear(&client_id, now))).await.is_some()
    }

    /// The outcome of `work` if it comes in time and is none of the store's errors, which are counted and logged.
    async fn bounded<T>(&self, clock: &dyn Clock, work: impl Future<Output = Result<T, CacheError>>) -> Option<T> {
        let shared = &self.shared;
        if !shared.breaker.lets(clock.now()) {
            shared.counts.skipped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let began = clock.now();
        let outcome = within(clock, shared.timing.deadline, work).await;
        let took = clock.now().since(began);
        let (count, why) = match outcome {
            Some(Ok(outcome)) => {
                telemetry::cache("answered", took);
                shared.breaker.succeeded();
                return Some(outcome);
            }
            Some(Err(error)) => {
                telemetry::cache("error", took);
                (&shared.counts.errors, error)
            }
            None => {
                telemetry::cache("timeout", took);
                (&shared.counts.timeouts, format!("no answer within {:?}", shared.timing.deadline).into())
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        if shared.breaker.failed(clock.now()) {
            tracing::warn!(error = %why, store = ?shared.store, "the second token cache fails; going on without it");
        } else {
            tracing::debug!(error = %why, store = ?shared.store, "the second token cache failed");
        }
        None
    }
}

impl Place<'_> {
    /// The token that is kept.
    pub(crate) async fn read(&self) -> Option<KeptToken> {
        let counts = &self.level.shared.counts;
        match (&self.level.means, &self.at) {
            (Means::Sealed { store, sealer, .. }, At::Sealed { key, .. }) => {
                let sealed = self.level.bounded(&**self.clock, store.get(key)).await??;
                let opened = sealer.open(key, sealed);
                if opened.is_none() {
                    counts.errors.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(key, "the second token cache has a value that cannot be decrypted");
                }
                opened
            }
            (Means::Msal { file, .. }, At::Msal(key)) => {
                let (file, key, now) = (file.clone(), key.clone(), self.clock.system_time());
                self.level.bounded(&**self.clock, disk::off_thread(move || file.read(&key, now))).await?
            }
            _ => None,
        }
    }

    /// Counts what came of reading.
    pub(crate) fn count(&self, hit: bool) {
        let counts = &self.level.shared.counts;
        if hit { &counts.hits } else { &counts.misses }.fetch_add(1, Ordering::Relaxed);
    }

    /// Asks for the right to ask the authority.
    pub(crate) async fn turn(&self) -> Turn {
        let (Means::Sealed { store, .. }, At::Sealed { key, .. }) = (&self.level.means, &self.at) else {
            return Turn::Ours(None);
        };
        match self.level.bounded(&**self.clock, store.try_lease(key, self.level.shared.timing.lease)).await {
            Some(Some(lease)) => Turn::Ours(Some(Held { store: store.clone(), key: key.clone(), lease: Some(lease) })),
            Some(None) => Turn::Anothers,
            None => Turn::Ours(None),
        }
    }

    /// How long to wait for a token that another process fetches.
    pub(crate) fn patience(&self) -> Duration {
        self.level.shared.counts.waits.fetch_add(1, Ordering::Relaxed);
        self.level.shared.timing.patience
    }

    /// Waits a moment, or until the store tells of a change.
    pub(crate) async fn pause(&self) {
        let At::Sealed { key, .. } = &self.at else { return };
        let shared = &self.level.shared;
        let mut pause = pin!(self.clock.sleep(shared.timing.look_again));
        let mut told = false;
        let _forgotten = Forgotten { shared, key };
        poll_fn(|context| {
            // woken by the pause or by a change: in either case it is time to look
            if pause.as_mut().poll(context).is_ready() || told {
                return Poll::Ready(());
            }
            told = true;
            shared.waiting.add(key, context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Keeps a token for as long as it is `wanted`, which ends when the client's tokens are removed meanwhile. With a
    /// runtime it goes on behind when it takes too long.
    pub(crate) async fn write(
        &self,
        token: KeptToken,
        ttl: Duration,
        mut held: Option<Held>,
        wanted: impl Fn() -> bool + Send + 'static,
    ) {
        if ttl.is_zero() || !wanted() {
            return;
        }
        let counts = &self.level.shared.counts;
        let outcome = match (&self.level.means, &self.at) {
            (Means::Sealed { store, sealer, .. }, At::Sealed { key, label }) => {
                let Some(sealed) = sealer.seal(key, label, &token) else { return };
                let fence = held.as_ref().and_then(|held| held.lease).map(|lease| lease.fence);
                let (store, key) = (store.clone(), key.clone());
                let work = async move {
                    let stored = store.set(&key, &sealed, ttl, fence).await;
                    // Race: whoever removed the client's tokens since we looked may have found none here
                    if !wanted() {
                        store.remove(&key).await?;
                    }
                    // only now may another ask
                    if let Some(held) = &mut held {
                        held.give_back().await;
                    }
                    stored
                };
                self.level.bounded(&**self.clock, behind(work)).await
            }
            (Means::Msal { file, .. }, At::Msal(key)) => {
                let (file, key, now) = (file.clone(), key.clone(), self.clock.system_time());
                let work = disk::off_thread(move || file.put(&key, &token, now, wanted).map(|()| Stored::Stored));
                self.level.bounded(&**self.clock, work).await
            }
            _ => None,
        };
        match outcome {
            Some(Stored::Stored) => counts.writes.fetch_add(1, Ordering::Relaxed),
            Some(Stored::Outdated) => counts.outdated.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
    }

    /// Removes the token, and says whether the level could be asked to.
    pub(crate) async fn remove(&self) -> bool {
        let done = match (&self.level.means, &self.at) {
            (Means::Sealed { store, .. }, At::Sealed { key, .. }) => {
                self.level.bounded(&**self.clock, store.remove(key)).await
            }
            (Means::Msal { file, .. }, At::Msal(key)) => {
                let (file, key, now) = (file.clone(), key.clone(), self.clock.system_time());
                self.level.bounded(&**self.clock, disk::off_thread(move || file.remove(&key, now))).await
            }
            _ => None,
        };
        done.is_some()
    }
}

/// Leaves no waker behind, also when the wait is given up.
struct Forgotten<'a> {
    shared: &'a Shared,
    key: &'a str,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.shared.waiting.tell(Some(self.key));
    }
}

impl Held {
    async fn give_back(&mut self) {
        if let Some(lease) = self.lease.take()
            && let Err(error) = self.store.release(&self.key, lease).await
        {
            tracing::debug!(%error, "a lease was not given back; it ends by its time");
        }
    }
}

impl Drop for Held {
    /// Whoever waits is not to wait for one who is gone, or who got no token.
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, key) = (self.store.clone(), std::mem::take(&mut self.key));
        runtime.spawn(async move { store.release(&key, lease).await });
    }
}

/// Lets `work` go on on the runtime, if there is one, when nobody waits for it any more.
async fn behind<T: Send + 'static>(
    work: impl Future<Output = Result<T, CacheError>> + Send + 'static,
) -> Result<T, CacheError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn(work).await?,
        Err(_) => work.await,
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.store.fmt(f)
    }
}
