use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::breaker::{ENOUGH, Verdict};
use super::distributed::{CacheError, DynDistributedCache};
use super::token_cache::{Shared, Store};
use crate::clock::{Clock, Moment, within};
use crate::telemetry;

/// What came of one question to the level.
pub(super) enum Answer<T> {
    Came(T),
    /// An error, or nothing in time: counted and logged.
    Failed,
    /// It was not asked, because it has failed before.
    Spared,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Any,
    /// One for whose token other processes wait: they ask again and again until it has put it, so it stands in no line.
    Awaited,
}

impl Asker {
    pub(super) fn who(has_the_lease: bool) -> Self {
        if has_the_lease { Self::Awaited } else { Self::Any }
    }
}

impl Shared {
    /// Asks the level, again until it answers or is to be left alone: one hiccup does not make this process go alone.
    /// What failures cost is the deadline of three questions in a row.
    pub(super) async fn ask<T, F>(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        asker: Asker,
        question: impl Fn() -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, CacheError>>,
    {
        for _ in 0..ENOUGH {
            match self.ask_once(clock, asker, &question).await {
                Answer::Came(answer) => return Some(answer),
                Answer::Failed if self.breaker.spares(clock.now()) => break,
                // others may fare better: one node of several is down, say
                Answer::Failed => {}
                Answer::Spared => break,
            }
        }
        None
    }

    /// Asks the level one question.
    pub(super) async fn ask_once<T, F>(
        self: &Arc<Self>,
        clock: &Arc<dyn Clock>,
        asker: Asker,
        question: impl FnOnce() -> F,
    ) -> Answer<T>
    where
        F: Future<Output = Result<T, CacheError>>,
    {
        let _one_of_some = self.when_it_may(&**clock, asker).await;
        let (least, most) = (self.timing.deadline, self.timing.deadline.max(self.timing.connect));
        let verdict = self.breaker.verdict(clock.now());
        let deadline = || match verdict {
            Verdict::Ask { first: true } => most,
            Verdict::Ask { first: false } => self.breaker.pace(clock.now(), least, most),
            Verdict::Try | Verdict::Spare => least,
        };
        match verdict {
            Verdict::Ask { .. } => {}
            Verdict::Try if !self.tries_behind(clock) => {}
            Verdict::Try | Verdict::Spare => {
                self.counts.skipped.fetch_add(1, Ordering::Relaxed);
                return Answer::Spared;
            }
        }
        let began = clock.now();
        match patiently(&**clock, &deadline, question()).await {
            Some(Ok(answer)) => {
                telemetry::cache("answered", clock.now().since(began));
                self.breaker.succeeded(began, clock.now());
                Answer::Came(answer)
            }
            Some(Err(error)) => {
                self.failed(&**clock, began, Some(&error), deadline());
                Answer::Failed
            }
            None => {
                self.failed(&**clock, began, None, deadline());
                Answer::Failed
            }
        }
    }

    /// Who waits here waits for this process's own questions: its deadline has not begun.
    async fn when_it_may(&self, clock: &dyn Clock, asker: Asker) -> Option<SemaphorePermit<'_>> {
        if asker == Asker::Awaited {
            return None;
        }
        if self.at_once.available_permits() == 0 {
            self.breaker.crowded(clock.now());
        }
        // never closed
        self.at_once.acquire().await.ok()
    }

    /// With an error, or by the deadline.
    fn failed(&self, clock: &dyn Clock, began: Moment, error: Option<&CacheError>, deadline: Duration) {
        let (count, word) =
            if error.is_some() { (&self.counts.errors, "error") } else { (&self.counts.timeouts, "timeout") };
        telemetry::cache(word, clock.now().since(began));
        count.fetch_add(1, Ordering::Relaxed);
        let late = || format!("no answer within {deadline:?}");
        let why = error.map_or_else(late, ToString::to_string);
        if self.breaker.failed(began, clock.now(), error.is_none() && deadline >= LONG) {
            tracing::warn!(error = %why, store = ?self.store, "the second token cache fails; going on without it");
        } else {
            tracing::debug!(error = %why, store = ?self.store, "the second token cache failed");
        }
    }

    /// Has the level tried while nobody waits for it; says whether that can be done.
    fn tries_behind(self: &Arc<Self>, clock: &Arc<dyn Clock>) -> bool {
        let Store::Bytes { store, .. } = &self.store else { return false };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let (shared, clock, store) = (self.clone(), clock.clone(), store.clone());
        runtime.spawn(async move {
            let limit = shared.timing.deadline.max(shared.timing.connect);
            let began = clock.now();
            match within(&*clock, limit, try_out(&*store)).await {
                Some(Ok(())) => {
                    shared.breaker.succeeded(began, clock.now());
                    tracing::info!(store = ?shared.store, "the second token cache answers again");
                }
                Some(Err(error)) => shared.failed(&*clock, began, Some(&error), limit),
                None => shared.failed(&*clock, began, None, limit),
            }
        });
        true
    }
}

/// What writes and leaves nothing.
async fn try_out(store: &dyn DynDistributedCache) -> Result<(), CacheError> {
    if let Some(lease) = store.try_lease(TRIED, Duration::from_millis(1)).await? {
        store.release(TRIED, lease).await?;
    }
    Ok(())
}

/// As [`within`], by steps, of which only those count that end in time: when this process itself is late, because it or
/// its machine has too much to do, what is late is not the level. Even so it ends. The limit may grow meanwhile.
async fn patiently<T>(clock: &dyn Clock, limit: impl Fn() -> Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut counted = Duration::ZERO;
    for _ in 0..STEPS * LATE_AT_MOST {
        let (began, step) = (clock.now(), limit() / STEPS);
        if let Some(outcome) = within(clock, step, work.as_mut()).await {
            return Some(outcome);
        }
        if clock.now().since(began) <= step + TICK {
            counted += step;
        }
        if counted >= limit() {
            break;
        }
    }
    None
}

/// No caller is to see two of these waits.
const LONG: Duration = Duration::from_millis(100);
const STEPS: u32 = 5;
/// How many times the limit may pass when this process is late all the time.
const LATE_AT_MOST: u32 = 10;
/// What the clock and the timers may be out by.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// The key of a lease that nobody waits for.
const TRIED: &str = "apptoken1-try";
