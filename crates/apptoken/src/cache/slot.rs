use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::{Flight, Join};
use crate::Error;
use crate::clock::Moment;
use crate::http::random_below;
use crate::token::{AccessToken, TokenData};

/// All that is known about one key: its token, the requests in flight for it, and what the authority last said about
/// waiting.
///
/// A hit reads `fresh_until` and `token`; everything else goes through `state`.
#[derive(Default)]
pub(crate) struct Slot {
    /// Until this moment (milliseconds) the token is handed out without a thought. Written after the token that it
    /// speaks of and read before it, so that a reader never takes an older token for fresh.
    fresh_until: AtomicU64,
    token: ArcSwapOption<TokenData>,
    state: Mutex<State>,
}

pub(crate) type Outcome = Result<AccessToken, Error>;

#[derive(Default)]
struct State {
    /// Requests in flight by the claims they ask for: no two for the same. Held by those who wait for them.
    flights: Vec<InFlight>,
    /// The authority's `Retry-After` and the error that came with it.
    wait: Option<(Moment, Error)>,
    filled_at: Option<Moment>,
}

type InFlight = (Option<Box<str>>, Weak<Flight<Outcome>>);

/// How a slot's token stands.
pub(crate) enum Standing {
    /// None, or it has expired.
    Empty {
        expired: bool,
    },
    /// Within its last minutes: to be replaced, and to be handed out only if that fails.
    Ageing(Arc<TokenData>),
    /// Good, but a refresh is due.
    Due(Arc<TokenData>),
    Fresh(Arc<TokenData>),
}

impl Slot {
    /// The hit path: the token if nothing needs thinking about.
    #[inline]
    pub(crate) fn fresh(&self, now: Moment) -> Option<Arc<TokenData>> {
        if now.as_millis() < self.fresh_until.load(Ordering::Acquire) { self.token.load_full() } else { None }
    }

    /// How the token stands, slowly.
    pub(crate) fn standing(&self, now: Moment) -> Standing {
        if let Some(token) = self.fresh(now) {
            return Standing::Fresh(token);
        }
        let Some(token) = self.token.load_full() else { return Standing::Empty { expired: false } };
        let timetable = token.timetable;
        if now >= timetable.expires_at {
            Standing::Empty { expired: true }
        } else if now >= timetable.margin_at {
            Standing::Ageing(token)
        } else {
            Standing::Due(token)
        }
    }

    /// Joins the request in flight for the same claims, or becomes the one that `request` makes. An authority that asked
    /// to wait gets no request: its error comes back.
    pub(crate) fn join_or_ask(
        &self,
        now: Moment,
        claims: Option<&str>,
        request: impl FnOnce() -> Arc<Flight<Outcome>>,
    ) -> Result<Join<Outcome>, Error> {
        let mut state = self.lock();
        // Race: between the caller's look at the slot and here a request may have ended. Joining it would give an old
        // outcome, so only those under way count.
        state.flights.retain(|(_, flight)| flight.upgrade().is_some_and(|flight| flight.is_under_way()));
        let same = state.flights.iter().find(|(other, _)| other.as_deref() == claims);
        if let Some(flight) = same.and_then(|(_, flight)| flight.upgrade()) {
            return Ok(flight.join());
        }
        match &state.wait {
            Some((until, error)) if now < *until => {
                return Err(error.clone().with_retry_after(Some(until.since(now))));
            }
            _ => state.wait = None,
        }
        let flight = request();
        state.flights.push((claims.map(Into::into), Arc::downgrade(&flight)));
        Ok(flight.join())
    }

    /// While a refresh is under way behind their backs, callers go on hitting.
    pub(crate) fn refreshing(&self, token: &TokenData, now: Moment) {
        self.keep_until(token, now + REFRESH_PATIENCE);
    }

    /// A token has arrived.
    pub(crate) fn store(&self, token: Arc<TokenData>, now: Moment) {
        let fresh_until = token.timetable.refresh_at;
        let mut state = self.lock();
        state.wait = None;
        state.filled_at = Some(now);
        self.token.store(Some(token));
        self.fresh_until.store(fresh_until.as_millis(), Ordering::Release);
    }

    /// A request has failed. The token, if there is one, stays, and is handed out for a while without asking again.
    pub(crate) fn failed(&self, error: &Error, now: Moment) {
        let mut state = self.lock();
        if let Some(wait) = error.retry_after() {
            state.wait = Some((now + wait, error.clone()));
        }
        let token = self.token.load();
        let Some(token) =
            token.as_ref().filter(|token| now >= token.timetable.refresh_at && now < token.timetable.expires_at)
        else {
            return;
        };
        let pause = error.retry_after().unwrap_or_else(|| PAUSE + random_below(PAUSE));
        if now < token.timetable.margin_at {
            self.keep_until(token, now + pause);
        } else {
            self.fresh_until.store((now + pause).min(token.timetable.expires_at).as_millis(), Ordering::Release);
        }
    }

    pub(crate) fn expires_at(&self) -> Option<Moment> {
        self.token.load().as_ref().map(|token| token.timetable.expires_at)
    }

    pub(crate) fn filled_at(&self) -> Option<Moment> {
        self.lock().filled_at
    }

    fn keep_until(&self, token: &TokenData, until: Moment) {
        self.fresh_until.store(until.min(token.timetable.margin_at).as_millis(), Ordering::Release);
    }

    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("expires_at", &self.expires_at()).finish_non_exhaustive()
    }
}

/// After a failed refresh the next one is tried between one and two of these later, unless the authority said when.
const PAUSE: Duration = Duration::from_secs(15);
/// A refresh that has not ended by then (its runtime may be gone) is begun anew.
const REFRESH_PATIENCE: Duration = Duration::from_secs(90);
