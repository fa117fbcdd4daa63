use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use crate::Error;
use crate::clock::Moment;
use crate::flight::{Flight, Join};
use crate::http::random_below;
use crate::sync::{ArcSwapOption, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::telemetry::SlotCount;
use crate::token::{AccessToken, Timetable, TokenData};

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
    /// How often it was cleared: what was asked for before is not kept after.
    epoch: AtomicU64,
    state: Mutex<State>,
    _count: SlotCount,
}

pub(crate) type Outcome = Result<AccessToken, Error>;

#[derive(Default)]
struct State {
    /// Requests in flight by the claims they ask for: no two for the same. Held by those who wait for them.
    flights: Vec<InFlight>,
    /// The authority's `Retry-After`, the error that came with it, and the generation of the credential that it was said
    /// to: what is wrong with one is not wrong with the next.
    wait: Option<(Moment, Error, u64)>,
    filled_at: Option<Moment>,
}

type InFlight = (Option<Box<str>>, Weak<Flight<Outcome>>);

/// How a slot's token stands.
pub(crate) enum Standing {
    /// There is none.
    Empty,
    /// There was one.
    Expired,
    /// Within its last minutes, or its extended lifetime: to be replaced, and to be handed out only if that fails.
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
        let Some(token) = self.token.load_full() else { return Standing::Empty };
        let timetable = token.timetable;
        if now >= timetable.extended_until {
            Standing::Expired
        } else if now >= timetable.margin_at {
            Standing::Ageing(token)
        } else {
            Standing::Due(token)
        }
    }

    /// Joins the request in flight for the same claims, or becomes the one that `request` makes. An authority that asked
    /// the credential of this `generation` to wait gets no request: its error comes back. `None` when a token that serves the caller has come since it
    /// looked.
    pub(crate) fn join_or_ask(
        &self,
        now: Moment,
        generation: u64,
        claims: Option<&str>,
        serves: impl FnOnce(&TokenData) -> bool,
        request: impl FnOnce() -> Arc<Flight<Outcome>>,
    ) -> Result<Option<Join<Outcome>>, Error> {
        let mut state = self.lock();
        // Race: between the caller's look at the slot and here a request may have ended. If it brought a token, there is
        // no need for another; if not, joining it would give an old outcome, so only those under way count.
        if self.fresh(now).is_some_and(|token| serves(&token)) {
            return Ok(None);
        }
        state.flights.retain(|(_, flight)| flight.upgrade().is_some_and(|flight| flight.is_under_way()));
        let same = state.flights.iter().find(|(other, _)| other.as_deref() == claims);
        if let Some(flight) = same.and_then(|(_, flight)| flight.upgrade()) {
            return Ok(Some(flight.join()));
        }
        match &state.wait {
            Some((until, error, to)) if now < *until && *to == generation => {
                return Err(error.clone().with_retry_after(Some(until.since(now))));
            }
            _ => state.wait = None,
        }
        let flight = request();
        state.flights.push((claims.map(Into::into), Arc::downgrade(&flight)));
        Ok(Some(flight.join()))
    }

    /// While a refresh of `token` is under way behind their backs, callers go on hitting.
    pub(crate) fn refreshing(&self, token: &Arc<TokenData>, now: Moment) {
        let _state = self.lock();
        // Race: its successor may have come since the caller looked, and has a timetable of its own.
        if self.token.load().as_ref().is_some_and(|held| Arc::ptr_eq(held, token)) {
            self.keep_until(token, now, REFRESH_PATIENCE);
        }
    }

    /// A token has arrived that was asked for in this epoch.
    pub(crate) fn store(&self, token: Arc<TokenData>, now: Moment, epoch: u64) {
        let fresh_until = token.timetable.refresh_at;
        let mut state = self.lock();
        if self.epoch() != epoch {
            return;
        }
        state.wait = None;
        state.filled_at = Some(now);
        self.token.store(Some(token));
        self.fresh_until.store(fresh_until.as_millis(), Ordering::Release);
    }

    /// A request by the credential of this `generation` has failed. The token, if there is one, stays, and is handed out for a while without asking again.
    pub(crate) fn failed(&self, error: &Error, now: Moment, generation: u64) {
        let mut state = self.lock();
        if let Some(wait) = error.asked_to_wait() {
            state.wait = Some((now + wait, error.clone(), generation));
        }
        let token = self.token.load();
        let Some(token) = token.as_ref().filter(|token| now >= token.timetable.refresh_at) else { return };
        if !token.timetable.outlives(error, now) {
            // also when a caller, tired of waiting, had it handed out meanwhile
            self.fresh_until.store(0, Ordering::Release);
            return;
        }
        let pause = error.asked_to_wait().unwrap_or_else(|| PAUSE + random_below(PAUSE));
        self.keep_until(token, now, pause);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Forgets the token, and that others are being fetched: who waits for those gets them, and they are not kept.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        *state = State::default();
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.fresh_until.store(0, Ordering::Release);
        self.token.store(None);
    }

    /// The token, whatever its age.
    pub(crate) fn held(&self) -> Option<Arc<TokenData>> {
        self.token.load_full()
    }

    /// When the token is of no more use.
    pub(crate) fn ends_at(&self) -> Option<Moment> {
        self.token.load().as_ref().map(|token| token.timetable.extended_until)
    }

    pub(crate) fn filled_at(&self) -> Option<Moment> {
        self.lock().filled_at
    }

    /// Hands `token` out for a while longer: until its last minutes; when it is in them, until its end; and when it is
    /// past that, until the end of its extended lifetime.
    fn keep_until(&self, token: &TokenData, now: Moment, longer: Duration) {
        let Timetable { margin_at, expires_at, extended_until, .. } = token.timetable;
        let ends = [margin_at, expires_at, extended_until];
        let bound = ends.into_iter().find(|end| now < *end).unwrap_or(now);
        self.fresh_until.store((now + longer).min(bound).as_millis(), Ordering::Release);
    }

    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("ends_at", &self.ends_at()).finish_non_exhaustive()
    }
}

/// After a failed refresh the next one is tried between one and two of these later, unless the authority said when.
const PAUSE: Duration = Duration::from_secs(15);
/// A refresh that has not ended by then (its runtime may be gone) is begun anew.
const REFRESH_PATIENCE: Duration = Duration::from_secs(90);

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use http::HeaderValue;
    use uuid::Uuid;

    use super::*;
    use crate::token::{Scheme, Timetable};

    pub(in crate::cache) fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    pub(in crate::cache) fn token(refresh_at: u64, margin_at: u64, expires_at: u64) -> Arc<TokenData> {
        Arc::new(TokenData {
            header: HeaderValue::from_static("Bearer t"),
            scheme: Scheme::Bearer,
            binding: None,
            scopes: "".into(),
            tenant: "".into(),
            token_endpoint: "".into(),
            region: crate::token::RegionUse::default(),
            additional: Box::default(),
            correlation_id: Uuid::nil(),
            expires_on: SystemTime::UNIX_EPOCH,
            refresh_on: None,
            timetable: Timetable {
                refresh_at: at(refresh_at),
                margin_at: at(margin_at),
                expires_at: at(expires_at),
                extended_until: at(expires_at),
            },
        })
    }

    #[test]
    fn a_caller_that_looked_before_the_token_came_does_not_ask_again() {
        let slot = Slot::default();
        assert!(matches!(slot.standing(at(1)), Standing::Empty));
        slot.store(token(50, 55, 60), at(1), 0);
        let never = || unreachable!("the token is there");
        assert!(matches!(slot.join_or_ask(at(1), 0, None, |_| true, never), Ok(None)));
        let request = || Flight::new(std::future::pending());
        assert!(matches!(slot.join_or_ask(at(1), 0, None, |_| false, request), Ok(Some(_))), "a forced one asks");
    }

    #[test]
    fn a_late_note_of_a_refresh_does_not_prolong_its_successor() {
        let slot = Slot::default();
        let (long, short) = (token(50, 1000, 1300), token(60, 65, 70));
        slot.store(long.clone(), at(0), 0);
        assert!(matches!(slot.standing(at(50)), Standing::Due(_)));
        slot.store(short, at(50), 0);
        slot.refreshing(&long, at(50));
        assert!(slot.fresh(at(59)).is_some());
        assert!(slot.fresh(at(71)).is_none(), "it has expired");
    }

    #[test]
    fn what_was_asked_for_before_a_clearing_is_not_kept_after_it() {
        let slot = Slot::default();
        let before = slot.epoch();
        slot.store(token(50, 55, 60), at(1), before);
        slot.clear();
        assert!(slot.fresh(at(1)).is_none() && slot.held().is_none());
        slot.store(token(50, 55, 60), at(1), before);
        assert!(slot.held().is_none());
        slot.store(token(50, 55, 60), at(1), slot.epoch());
        assert!(slot.fresh(at(1)).is_some());
    }
}
