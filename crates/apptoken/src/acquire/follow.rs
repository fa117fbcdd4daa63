use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Inner;
use super::keep::kept;
use crate::cache::{Entry, Follower, Place};
use crate::request::Asked;

/// One entry that holds a token of the second level: another process's newer one takes its place.
struct Following {
    client: Weak<Inner>,
    entry: Weak<Entry>,
    tenant: Box<str>,
    scope: Box<str>,
    extra: Box<str>,
    /// One look at a time: what changes meanwhile is seen by it, or when the token is due.
    looking: AtomicBool,
}

/// Has `entry` follow what other processes put into its place.
pub(super) fn follow(client: &Arc<Inner>, entry: &Arc<Entry>, asked: Asked<'_>, place: &Place<'_>) {
    place.follow(|| {
        Arc::new(Following {
            client: Arc::downgrade(client),
            entry: Arc::downgrade(entry),
            tenant: asked.tenant.as_str().into(),
            scope: asked.scope.into(),
            extra: asked.options.key.text().into(),
            looking: AtomicBool::new(false),
        })
    });
}

impl Following {
    fn look_behind(self: Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.looking.swap(true, Ordering::AcqRel) {
            runtime.spawn(async move {
                self.look().await;
                self.looking.store(false, Ordering::Release);
            });
        }
    }

    /// Whatever goes wrong: the level is asked again when the token in hand is due.
    async fn look(&self) -> Option<()> {
        let (client, entry) = (self.client.upgrade()?, self.entry.upgrade()?);
        // who has none yet is looking for it already: in a fleet that starts, everyone, at every token
        entry.held()?;
        let last = entry.last();
        let place = client.level.as_ref()?.place(&client.clock, &self.tenant, &self.scope, &self.extra)?;
        let data = kept(&client, &place.read(None).await?, &self.tenant, &self.scope)?;
        if entry.held()?.timetable.expires_at() < data.timetable.expires_at() {
            // in the name of the request that brought the one in hand: not if that was removed, or another has come
            client.memory.store(&entry, Arc::new(data), last, client.clock.now());
        }
        Some(())
    }
}

impl Follower for Following {
    fn changed(self: Arc<Self>) {
        self.look_behind();
    }

    fn missed(self: Arc<Self>) {
        let near = || {
            let (client, held) = (self.client.upgrade()?, self.entry.upgrade()?.held()?);
            Some(held.timetable.refresh_at().since(client.clock.now()) < NEAR)
        };
        if near() == Some(true) {
            self.look_behind();
        }
    }

    fn is_gone(&self) -> bool {
        self.entry.strong_count() == 0 || self.client.strong_count() == 0
    }
}

/// A token that is due sooner than this may have been replaced by another process already.
const NEAR: Duration = Duration::from_secs(600);
