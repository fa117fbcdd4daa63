use std::fmt;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use crate::Error;
use crate::clock::Moment;
use crate::flight::{Flight, Join};
use crate::http::random_below;
use crate::sync::{ArcSwapOption, AtomicU16, AtomicU64, Loaded, Mutex, MutexGuard, Ordering};
use crate::telemetry::SlotCount;
use crate::token::{How, TokenData};

/// All that is known about one key: its token, the requests in flight for it, and what the authority last said about
/// waiting. It is small, as there may be a million: what is seldom there has a box of its own.
///
/// A hit reads `fresh_until`, `token` and `used`, which stand together; everything else goes through `state`.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Slot {
    /// Until this moment the token is handed out without a thought, and its [`Stage`] meanwhile, as [`word`] packs them.
    /// Written after the token that it speaks of and read before it, so that a reader never takes an older token for
    /// fresh.
    fresh_until: AtomicU64,
    token: ArcSwapOption<TokenData>,
    /// When it was last hit, in ticks of [`TICK_BITS`].
    used: AtomicU16,
    /// How many requests were begun.
    begun: AtomicU16,
    /// The first of them whose token is still of interest: those before it began before the slot was cleared, or before
    /// the one that brought the token in hand.
    wanted_from: AtomicU16,
    state: Mutex<Option<Box<State>>>,
    _count: SlotCount,
}

/// A token and how it came, from which each of those who wait for it makes its own.
pub(crate) type Outcome = Result<(Arc<TokenData>, How), Error>;

#[derive(Default)]
struct State {
    /// Requests in flight by the claims they ask for: no two for the same. Held by those who wait for them.
    flights: Vec<InFlight>,
    /// The authority's `Retry-After`, the error that came with it, and the generation of the credential that it was said
    /// to: what is wrong with one is not wrong with the next.
    wait: Option<(Moment, Error, u64)>,
}

struct InFlight {
    claims: Option<Box<str>>,
    /// Of the slot's requests.
    number: u16,
    flight: Weak<Flight<Outcome>>,
}

/// A token that is handed out without a thought.
pub(crate) struct Fresh {
    pub(crate) token: Loaded<TokenData>,
    pub(crate) stage: Stage,
}

/// How far a token is gone that is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Good,
    /// In its last minutes.
    Stale,
    /// Past its end.
    Extended,
}

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
    Fresh(Fresh),
}

impl Slot {
    /// The hit path: the token if nothing needs thinking about. Neither the token's memory is touched nor its count.
    #[inline(always)]
    pub(crate) fn fresh(&self, now: Moment) -> Option<Fresh> {
        let word = self.fresh_until.load(Ordering::Acquire);
        if now.as_millis() >= word >> STAGE_BITS {
            return None;
        }
        let token = self.token.load();
        token.is_some().then(|| Fresh { token, stage: Stage::of(word) })
    }

    /// Notes a hit, for those who look for what nobody uses; seldom written, so that threads do not take turns at it.
    #[inline]
    pub(crate) fn touch(&self, now: Moment) {
        let ticks = ticks(now);
        if self.used.load(Ordering::Relaxed) != ticks {
            self.used.store(ticks, Ordering::Relaxed);
        }
    }

    /// How long ago that was, in ticks: right for three days, after which no token lives.
    pub(crate) fn unused_for(&self, now: Moment) -> u16 {
        ticks(now).wrapping_sub(self.used.load(Ordering::Relaxed))
    }

    /// How the token stands, slowly.
    pub(crate) fn standing(&self, now: Moment) -> Standing {
        if let Some(fresh) = self.fresh(now) {
            return Standing::Fresh(fresh);
        }
        let Some(token) = self.token.load_full() else { return Standing::Empty };
        let timetable = &token.timetable;
        if now >= timetable.extended_until() {
            Standing::Expired
        } else if now >= timetable.margin_at() {
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
        request: impl FnOnce(u16) -> Arc<Flight<Outcome>>,
    ) -> Result<Option<Join<Outcome>>, Error> {
        let mut guard = self.lock();
        // Race: between the caller's look at the slot and here a request may have ended. If it brought a token, there is
        // no need for another; if not, joining it would give an old outcome, so only those under way count.
        if self.fresh(now).is_some_and(|fresh| fresh.token.as_ref().is_some_and(|token| serves(token))) {
            return Ok(None);
        }
        let state = guard.get_or_insert_default();
        state.flights.retain(|other| other.flight.upgrade().is_some_and(|flight| flight.is_under_way()));
        let same = state.flights.iter().find(|other| other.claims.as_deref() == claims);
        if let Some(flight) = same.and_then(|same| same.flight.upgrade()) {
            return Ok(Some(flight.join()));
        }
        match &state.wait {
            Some((until, error, to)) if now < *until && *to == generation => {
                return Err(error.clone().with_retry_after(Some(until.since(now))));
            }
            _ => state.wait = None,
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel);
        // requests that bring nothing leave this behind, and the numbers wrap: one so long ago has ended
        if number.wrapping_sub(self.wanted_from.load(Ordering::Acquire)) > FAR_BEHIND {
            self.wanted_from.store(number.wrapping_sub(FAR_BEHIND), Ordering::Release);
        }
        let flight = request(number);
        state.flights.push(InFlight { claims: claims.map(Into::into), number, flight: Arc::downgrade(&flight) });
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

    /// Whether what this request brings is to be kept.
    pub(crate) fn wants(&self, request: u16) -> bool {
        // as numbers that wrap: half of them are behind
        request.wrapping_sub(self.wanted_from.load(Ordering::Acquire)) < 1 << 15
    }

    /// The request that brought the token in hand.
    pub(crate) fn last(&self) -> u16 {
        self.wanted_from.load(Ordering::Acquire)
    }

    /// This request has brought a token. Says which one it replaces, if it is kept at all.
    pub(crate) fn store(&self, token: Arc<TokenData>, request: u16) -> Option<Replaced> {
        let fresh_until = token.timetable.refresh_at();
        let mut guard = self.lock();
        if !self.wants(request) {
            return None;
        }
        self.wanted_from.store(request, Ordering::Release);
        if let Some(state) = &mut *guard {
            state.wait = None;
        }
        ended(&mut guard, request);
        let replaced = self.token.swap(Some(token));
        self.fresh_until.store(word(fresh_until, Stage::Good), Ordering::Release);
        Some(Replaced(replaced))
    }

    /// This request, by the credential of this `generation`, has failed. The token, if there is one, stays, and is handed
    /// out for a while without asking again.
    pub(crate) fn failed(&self, error: &Error, now: Moment, request: u16, generation: u64) {
        let mut guard = self.lock();
        if let Some(wait) = error.asked_to_wait() {
            guard.get_or_insert_default().wait = Some((now + wait, error.clone(), generation));
        }
        ended(&mut guard, request);
        let token = self.token.load();
        let Some(token) = token.as_ref().filter(|token| now >= token.timetable.refresh_at()) else { return };
        if !token.timetable.outlives(error, now) {
            // also when a caller, tired of waiting, had it handed out meanwhile
            self.fresh_until.store(0, Ordering::Release);
            return;
        }
        let pause = error.asked_to_wait().unwrap_or_else(|| PAUSE + random_below(PAUSE));
        self.keep_until(token, now, pause);
    }

    /// Forgets the token, and that others are being fetched: who waits for those gets them, and they are not kept.
    pub(crate) fn clear(&self) -> Option<Arc<TokenData>> {
        let mut guard = self.lock();
        *guard = None;
        self.wanted_from.store(self.begun.load(Ordering::Acquire), Ordering::Release);
        self.fresh_until.store(0, Ordering::Release);
        self.token.swap(None)
    }

    /// Whether nothing is lost when it goes, provided that nobody holds it.
    pub(crate) fn is_spent(&self, now: Moment) -> bool {
        // of most that are looked at no more than this line is read
        if now.as_millis() < self.fresh_until.load(Ordering::Acquire) >> STAGE_BITS {
            return false;
        }
        let waits = self.lock().as_ref().and_then(|state| state.wait.as_ref()).is_some_and(|(until, ..)| now < *until);
        !waits && self.ends_at().is_none_or(|end| now >= end)
    }

    /// The token, whatever its age.
    pub(crate) fn held(&self) -> Option<Arc<TokenData>> {
        self.token.load_full()
    }

    /// When the token is of no more use.
    pub(crate) fn ends_at(&self) -> Option<Moment> {
        self.token.load().as_ref().map(|token| token.timetable.extended_until())
    }

    /// Hands `token` out for a while longer: until its last minutes; when it is in them, until its end; and when it is
    /// past that, until the end of its extended lifetime.
    fn keep_until(&self, token: &TokenData, now: Moment, longer: Duration) {
        let timetable = &token.timetable;
        let stages = [
            (timetable.margin_at(), Stage::Good),
            (timetable.expires_at(), Stage::Stale),
            (timetable.extended_until(), Stage::Extended),
        ];
        let (bound, stage) = stages.into_iter().find(|(end, _)| now < *end).unwrap_or((now, Stage::Extended));
        self.fresh_until.store(word((now + longer).min(bound), stage), Ordering::Release);
    }

    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a token took the place of.
pub(crate) struct Replaced(pub(crate) Option<Arc<TokenData>>);

impl Stage {
    fn of(word: u64) -> Self {
        match word & ((1 << STAGE_BITS) - 1) {
            0 => Self::Good,
            1 => Self::Stale,
            _ => Self::Extended,
        }
    }
}

/// A moment and a stage in one.
fn word(until: Moment, stage: Stage) -> u64 {
    until.as_millis().min(u64::MAX >> STAGE_BITS) << STAGE_BITS | stage as u64
}

/// They wrap.
fn ticks(now: Moment) -> u16 {
    (now.as_millis() >> TICK_BITS) as u16
}

/// Who comes from now on does not join this request. Gives back what is not needed any more.
fn ended(state: &mut Option<Box<State>>, request: u16) {
    let is_idle = |state: &mut Box<State>| {
        state.flights.retain(|other| other.number != request && other.flight.strong_count() > 0);
        state.flights.is_empty() && state.wait.is_none()
    };
    if state.as_mut().is_some_and(is_idle) {
        *state = None;
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("ends_at", &self.ends_at()).finish_non_exhaustive()
    }
}

const STAGE_BITS: u32 = 2;
/// A tick is 4 seconds.
const TICK_BITS: u32 = 12;
/// After a failed refresh the next one is tried between one and two of these later, unless the authority said when.
const PAUSE: Duration = Duration::from_secs(15);
/// Well within the half of the numbers that are ahead.
const FAR_BEHIND: u16 = 1 << 14;
/// A refresh that has not ended by then (its runtime may be gone) is begun anew.
const REFRESH_PATIENCE: Duration = Duration::from_secs(90);

#[cfg(test)]
pub(super) mod tests {
    use std::time::SystemTime;

    use http::HeaderValue;
    use uuid::Uuid;

    use super::*;
    use crate::flight::Join;
    use crate::name::Name;
    use crate::token::Timetable;

    pub(in crate::cache) fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    pub(in crate::cache) fn token(refresh_at: u64, margin_at: u64, expires_at: u64) -> Arc<TokenData> {
        let end = at(expires_at);
        Arc::new(TokenData {
            header: HeaderValue::from_static("Bearer t"),
            origin: Arc::default(),
            tenant: Name::from(""),
            correlation_id: Uuid::nil(),
            expires_on: SystemTime::UNIX_EPOCH.into(),
            timetable: Timetable::new(at(refresh_at), at(margin_at), end, end, None),
        })
    }

    #[test]
    fn a_caller_that_looked_before_the_token_came_does_not_ask_again() {
        let slot = Slot::default();
        assert!(matches!(slot.standing(at(1)), Standing::Empty));
        slot.store(token(50, 55, 60), 0);
        let never = |_| unreachable!("the token is there");
        assert!(matches!(slot.join_or_ask(at(1), 0, None, |_| true, never), Ok(None)));
        let request = |_| Flight::new(std::future::pending());
        assert!(matches!(slot.join_or_ask(at(1), 0, None, |_| false, request), Ok(Some(_))), "a forced one asks");
    }

    #[test]
    fn a_late_note_of_a_refresh_does_not_prolong_its_successor() {
        let slot = Slot::default();
        let (long, short) = (token(50, 1000, 1300), token(60, 65, 70));
        slot.store(long.clone(), 0);
        assert!(matches!(slot.standing(at(50)), Standing::Due(_)));
        slot.store(short, 1);
        slot.refreshing(&long, at(50));
        assert!(slot.fresh(at(59)).is_some());
        assert!(slot.fresh(at(71)).is_none(), "it has expired");
    }

    /// A request that `claims` ask for, and its number.
    fn begin(slot: &Slot, claims: Option<&str>) -> (Join<Outcome>, u16) {
        let mut number = None;
        let request = |begun| {
            number = Some(begun);
            Flight::new(std::future::pending())
        };
        let join = slot.join_or_ask(at(1), 0, claims, |_| false, request).unwrap().unwrap();
        (join, number.expect("a request of its own"))
    }

    #[test]
    fn what_was_asked_for_before_a_clearing_is_not_kept_after_it() {
        let slot = Slot::default();
        let (_join, before) = begin(&slot, None);
        slot.store(token(50, 55, 60), before);
        assert!(slot.clear().is_some());
        assert!(slot.fresh(at(1)).is_none() && slot.held().is_none());
        assert!(slot.store(token(50, 55, 60), before).is_none() && slot.held().is_none());
        let (_join, after) = begin(&slot, None);
        assert!(slot.store(token(50, 55, 60), after).is_some());
        assert!(slot.fresh(at(1)).is_some());
    }

    /// The plain one's was issued before what the challenge tells of.
    #[test]
    fn a_plain_request_that_ends_late_does_not_put_back_an_older_token() {
        let slot = Slot::default();
        let (_plain, first) = begin(&slot, None);
        let (_challenged, second) = begin(&slot, Some("{}"));
        let (old, new) = (token(50, 55, 60), token(50, 55, 60));
        slot.store(new.clone(), second);
        assert!(slot.store(old, first).is_none());
        assert!(Arc::ptr_eq(&slot.held().unwrap(), &new));
    }

    #[test]
    fn the_numbers_of_requests_wrap() {
        let slot = Slot::default();
        for _ in 0..200_000 {
            let (join, number) = begin(&slot, None);
            drop(join);
            assert!(slot.wants(number));
            slot.store(token(50, 55, 60), number);
            assert!(!slot.wants(number.wrapping_sub(1)));
        }
    }

    /// An app whose secret has expired may fail all night.
    #[test]
    fn a_token_is_kept_after_however_many_failures() {
        let slot = Slot::default();
        let refused = Error::new(crate::ErrorKind::Denied, "refused");
        for _ in 0..100_000 {
            let (join, number) = begin(&slot, None);
            drop(join);
            assert!(slot.wants(number), "{number}");
            slot.failed(&refused, at(1), number, 0);
        }
        let (_join, number) = begin(&slot, None);
        assert!(slot.store(token(50, 55, 60), number).is_some());
    }

    #[test]
    fn what_is_seldom_there_takes_no_room() {
        let slot = Slot::default();
        let (_join, number) = begin(&slot, None);
        assert!(slot.lock().is_some());
        slot.store(token(50, 55, 60), number);
        assert!(slot.lock().is_none());
        assert!(size_of::<Slot>() <= 40, "{}", size_of::<Slot>());
    }

    #[test]
    fn a_token_that_is_kept_longer_says_how_far_it_is_gone() {
        let slot = Slot::default();
        let end = at(60);
        let token = Arc::new(TokenData {
            timetable: Timetable::new(at(50), at(55), end, at(90), None),
            ..Arc::into_inner(token(50, 55, 60)).unwrap()
        });
        slot.store(token.clone(), 0);
        for (second, stage) in [(49, Stage::Good), (51, Stage::Good), (56, Stage::Stale), (61, Stage::Extended)] {
            slot.refreshing(&token, at(second));
            assert_eq!(slot.fresh(at(second)).unwrap().stage, stage, "{second}");
        }
        assert!(slot.fresh(at(90)).is_none());
    }
}
