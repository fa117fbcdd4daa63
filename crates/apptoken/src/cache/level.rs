use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::asking::Asker;
use super::distributed::{CacheError, DynDistributedCache, Lease, Stored};
use super::followers::Follower;
use super::keys::Keys;
use super::msal_file::MsalKey;
use super::msal_json::Components;
use super::seal::Sealer;
use super::token_cache::{Shared, Store};
use super::{KeptToken, MsalCacheFile, TokenCache, disk};
use crate::Error;
use crate::clock::Clock;
use crate::credential::Rotating;
use crate::http::random_below;

/// Whose tokens a client keeps in the second level.
pub(crate) struct Owner {
    pub(crate) client_id: String,
    /// Everything that tells one authority from another.
    pub(crate) authority: String,
    /// Its address for those who look into the cache; [`TENANT`] stands for the tenant.
    pub(crate) address: String,
    /// Whether the same name is another identity on another machine.
    pub(crate) of_this_machine: bool,
    /// What all of the client's requests say besides the standard fields.
    pub(crate) flavour: String,
    /// For the MSALs' file: the authority's host and its other names; `None` if no MSAL would file its tokens so.
    pub(crate) hosts: Option<(String, Vec<String>)>,
}

/// In an [`Owner`]'s address.
pub(crate) const TENANT: &str = "{tenant}";

/// The second level as one client sees it.
pub(crate) struct Level {
    shared: Arc<Shared>,
    owner: Owner,
    means: Means,
}

enum Means {
    Sealed { store: Arc<dyn DynDistributedCache>, keys: Keys, labelled: bool },
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
        sealer: Arc<Sealer>,
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
    /// The level does not say.
    Unknown,
}

impl Level {
    /// `None` if the cache is memory only, or the client has nothing to make a key from and may do without.
    ///
    /// # Errors
    /// The client has nothing to make a key from and the store is others' too; the file of the MSALs has no place for
    /// this authority's tokens.
    pub(crate) fn new(
        cache: &TokenCache,
        owner: Owner,
        credential: Option<Arc<Rotating>>,
    ) -> Result<Option<Self>, Error> {
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
                if owner.of_this_machine && *needs_key && shared.partition.is_empty() {
                    return Err(Error::configuration(
                        "a system-assigned identity is each machine's own, and a distributed token cache would give its tokens to others",
                    )
                    .with_advice("give the cache a partition that names the identity"));
                }
                let Some(keys) = Keys::new(shared.key.as_ref(), credential) else {
                    if *needs_key {
                        return Err(Error::configuration(
                            "a distributed token cache needs a key, and this client's credential has no secret to make one from",
                        )
                        .with_advice("give the cache an encryption_key that all its processes have"));
                    }
                    tracing::debug!(client_id = owner.client_id, "no key to encrypt tokens with: none is kept on disk");
                    return Ok(None);
                };
                Means::Sealed { store: store.clone(), keys, labelled: *labelled }
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
            Means::Sealed { keys, labelled, .. } => {
                let sealer = keys.sealer()?;
                let Owner { client_id, authority, flavour, .. } = owner;
                let named = tenant.to_lowercase();
                let parts = [&*self.shared.partition, authority, client_id, flavour, &named, scope, extra];
                let label = if *labelled {
                    [&*owner.client_id, tenant, scope, &owner.address.replace(TENANT, tenant)].join("\t")
                } else {
                    String::new()
                };
                At::Sealed { key: sealer.entry_key(&parts), sealer, label }
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
        let clear = || {
            let (file, client_id) = (file.clone(), client_id.clone());
            disk::off_thread(move || file.clear(&client_id, now))
        };
        self.shared.ask(clock, Asker::Any, clear).await.is_some()
    }
}

impl Place<'_> {
    /// The token that is kept. `held` if who reads it may ask the authority next.
    pub(crate) async fn read(&self, held: Option<&Held>) -> Option<KeptToken> {
        let asker = Asker::who(held.is_some());
        let counts = &self.level.shared.counts;
        match (&self.level.means, &self.at) {
            (Means::Sealed { store, .. }, At::Sealed { sealer, key, .. }) => {
                let sealed = self.level.shared.ask(self.clock, asker, || store.get(key)).await??;
                let opened = sealer.open(key, sealed);
                if opened.is_none() {
                    counts.errors.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(key, "the second token cache has a value that cannot be decrypted");
                }
                opened
            }
            (Means::Msal { file, .. }, At::Msal(key)) => {
                let read = || {
                    let (file, key, now) = (file.clone(), key.clone(), self.clock.system_time());
                    disk::off_thread(move || file.read(&key, now))
                };
                self.level.shared.ask(self.clock, asker, read).await?
            }
            _ => None,
        }
    }

    /// Has who holds the token told when another process has put a newer one.
    pub(crate) fn follow(&self, follower: impl FnOnce() -> Arc<dyn Follower>) {
        let Means::Sealed { labelled: false, .. } = &self.level.means else { return };
        if let At::Sealed { key, .. } = &self.at {
            self.level.shared.followers.follow(key, follower());
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
        let shared = &self.level.shared;
        match shared.ask(self.clock, Asker::Any, || store.try_lease(key, shared.timing.lease)).await {
            Some(Some(lease)) => Turn::Ours(Some(Held { store: store.clone(), key: key.clone(), lease: Some(lease) })),
            Some(None) => Turn::Anothers,
            None => Turn::Unknown,
        }
    }

    /// How long to wait for a token that another process fetches.
    pub(crate) fn patience(&self) -> Duration {
        self.level.shared.counts.waits.fetch_add(1, Ordering::Relaxed);
        self.level.shared.timing.patience
    }

    /// Waits a moment, or until the store tells of a change, and says whether it did. `times` before the moment was shorter: who is not told
    /// looks less and less often, since all that wait in a fleet look at the same store.
    pub(crate) async fn pause(&self, times: u32) -> bool {
        let At::Sealed { key, .. } = &self.at else { return false };
        let shared = &self.level.shared;
        let longer = shared.timing.look_again.saturating_mul(1 << times.min(4));
        let mut pause = pin!(self.clock.sleep(longer + random_below(longer / 4)));
        let mut waits = Waits { shared, key, waker: None };
        poll_fn(|context| {
            if pause.as_mut().poll(context).is_ready() {
                return Poll::Ready(false);
            }
            // only what the store told counts: a task may be polled for other reasons, its own among them
            if waits.were_told() {
                return Poll::Ready(true);
            }
            waits.with(context.waker());
            Poll::Pending
        })
        .await
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
        let shared = self.level.shared.clone();
        match (&self.level.means, &self.at) {
            (Means::Sealed { store, .. }, At::Sealed { sealer, key, label }) => {
                let Some(sealed) = sealer.seal(key, label, &token) else { return };
                let fence = held.as_ref().and_then(|held| held.lease).map(|lease| lease.fence);
                let (store, key, counted) = (store.clone(), key.clone(), shared.clone());
                let others_wait = held.is_some();
                let work = async move {
                    let mut stored = store.set(&key, &sealed, ttl, fence).await;
                    if stored.is_err() {
                        // a connection that was lost is found to be so by the first who uses it
                        stored = store.set(&key, &sealed, ttl, fence).await;
                    }
                    // Race: whoever removed the client's tokens since we looked may have found none here
                    if !wanted() {
                        store.remove(&key).await?;
                    }
                    // only now may another ask
                    if let Some(held) = &mut held {
                        held.give_back().await;
                    }
                    counted.wrote(stored?);
                    Ok(())
                };
                match tokio::runtime::Handle::try_current() {
                    // who got the lease has been promised the token, even if the level has not fared well since
                    Ok(runtime) if others_wait && shared.breaker.spares(self.clock.now()) => {
                        drop(runtime.spawn(work));
                    }
                    _ => {
                        shared.ask_once(self.clock, Asker::who(others_wait), || behind(work)).await;
                    }
                }
            }
            (Means::Msal { file, .. }, At::Msal(key)) => {
                let (file, key, now, counted) = (file.clone(), key.clone(), self.clock.system_time(), shared.clone());
                let work = disk::off_thread(move || {
                    file.put(&key, &token, now, wanted)?;
                    counted.wrote(Stored::Stored);
                    Ok(())
                });
                shared.ask_once(self.clock, Asker::Any, || work).await;
            }
            _ => {}
        }
    }

    /// Removes the token, and says whether the level could be asked to.
    pub(crate) async fn remove(&self) -> bool {
        let done = match (&self.level.means, &self.at) {
            (Means::Sealed { store, .. }, At::Sealed { key, .. }) => {
                self.level.shared.ask(self.clock, Asker::Any, || store.remove(key)).await
            }
            (Means::Msal { file, .. }, At::Msal(key)) => {
                let remove = || {
                    let (file, key, now) = (file.clone(), key.clone(), self.clock.system_time());
                    disk::off_thread(move || file.remove(&key, now))
                };
                self.level.shared.ask(self.clock, Asker::Any, remove).await
            }
            _ => None,
        };
        done.is_some()
    }
}

/// Leaves no waker behind, also when the wait is given up. It wakes nobody then: who woke itself would never sleep again.
struct Waits<'a> {
    shared: &'a Shared,
    key: &'a str,
    waker: Option<Waker>,
}

impl Waits<'_> {
    fn were_told(&self) -> bool {
        self.waker.as_ref().is_some_and(|waker| !self.shared.waiting.has(self.key, waker))
    }

    fn with(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_none_or(|old| !old.will_wake(waker)) {
            self.forget();
            self.shared.waiting.add(self.key, waker);
            self.waker = Some(waker.clone());
        }
    }

    fn forget(&mut self) {
        if let Some(waker) = self.waker.take() {
            self.shared.waiting.forget(self.key, &waker);
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.forget();
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
