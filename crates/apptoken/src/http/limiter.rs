use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::Error;
use crate::clock::{Clock, Moment, within};

/// How fast, and how many at a time, a client sends requests to one host.
///
/// The default delays nobody who wants fewer than four hundred new tokens at once. It is there for those that have very
/// many: after an outage, or a night, thousands of tokens may be due in the same second. Outside a tokio runtime requests
/// are not paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// Requests a second in the long run. Default: 200.
    pub per_second: u32,
    /// How many may go out at once after a quiet time. Default: 400.
    pub burst: u32,
    /// How many may be under way at a time. One that takes longer than ten seconds no longer counts. Default: 64.
    pub in_flight: u32,
}

impl RequestRate {
    /// No bound.
    pub const UNLIMITED: Self = Self { per_second: u32::MAX, burst: u32::MAX, in_flight: u32::MAX };

    const DEFAULT: Self = Self { per_second: 200, burst: 400, in_flight: 64 };

    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self { per_second: 0, .. } | Self { burst: 0, .. } | Self { in_flight: 0, .. } => {
                Err(Error::configuration("a request rate of zero lets nothing through")
                    .with_advice("give one or more, or RequestRate::UNLIMITED"))
            }
            _ => Ok(()),
        }
    }

    /// Nanoseconds from one request to the next.
    fn interval(&self) -> u64 {
        NANOS / u64::from(self.per_second.max(1))
    }
}

impl Default for RequestRate {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Keeps the requests to one host within a [`RequestRate`].
///
/// Requests are futures that their callers poll, or for a while do not. So nobody holds anything that others need:
/// a booked time passes whether or not it is used, and a place among those under way is given up after [`LEASE`].
pub(super) struct Limiter {
    rate: RequestRate,
    state: Mutex<State>,
    /// Somebody's request has ended.
    room: Notify,
}

#[derive(Default)]
struct State {
    /// Nanoseconds of the clock: when the bucket of tokens is full again (the "theoretical arrival time" of GCRA).
    full_at: u64,
    /// The requests under way, in the order of their start.
    under_way: BTreeMap<u64, Moment>,
    started: u64,
    /// How many wait for a place.
    waiting: usize,
}

/// A place among the requests under way.
pub(super) struct Place<'a> {
    limiter: &'a Limiter,
    number: u64,
}

/// So many are waiting that the wait would be this long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overbooked(pub(super) Duration);

impl Limiter {
    pub(super) fn new(rate: RequestRate) -> Self {
        Self { rate, state: Mutex::default(), room: Notify::new() }
    }

    /// Waits for a turn, unless it would come later than after `patience`. Outside a tokio runtime nobody waits, as
    /// [`Clock::until`] need not end there.
    pub(super) async fn enter(&self, clock: &dyn Clock, patience: Duration) -> Result<Place<'_>, Overbooked> {
        let now = clock.now();
        if tokio::runtime::Handle::try_current().is_err() {
            return Ok(self.add(&mut self.lock(), now));
        }
        let mut booking = self.book(now, patience)?;
        if now < booking.at {
            clock.until(booking.at).await;
        }
        booking.used = true;
        match self.start(clock.now(), true) {
            Some(place) => Ok(place),
            None => Ok(self.wait(clock).await),
        }
    }

    /// Waits for a place: first come, first served.
    async fn wait(&self, clock: &dyn Clock) -> Place<'_> {
        let _waiting = Waiting::begin(self);
        loop {
            // kept while it looks again, as with it goes the place in the queue
            let mut room = pin!(self.room.notified());
            loop {
                // not only until somebody leaves: the one who is called then may not be polled, and places run out
                let called = within(clock, LOOK_AGAIN, room.as_mut()).await.is_some();
                if let Some(place) = self.start(clock.now(), false) {
                    return place;
                }
                if called {
                    break;
                }
            }
        }
    }

    fn book(&self, now: Moment, patience: Duration) -> Result<Booking<'_>, Overbooked> {
        let interval = self.rate.interval();
        let now_nanos = nanos(Duration::from_millis(now.as_millis()));
        let mut state = self.lock();
        let full_at = state.full_at.max(now_nanos);
        let saved_up = interval.saturating_mul(u64::from(self.rate.burst) - 1);
        let at = full_at.saturating_sub(saved_up).max(now_nanos);
        let wait = Duration::from_nanos(at - now_nanos);
        if wait > patience {
            return Err(Overbooked(wait));
        }
        state.full_at = full_at.saturating_add(interval);
        Ok(Booking { limiter: self, at: now + round_up(wait), used: false })
    }

    /// One who `comes` leaves the places that are free to those who wait.
    fn start(&self, now: Moment, comes: bool) -> Option<Place<'_>> {
        let mut state = self.lock();
        while state.under_way.first_entry().is_some_and(|first| now.since(*first.get()) >= LEASE) {
            state.under_way.pop_first();
        }
        let others = if comes { state.waiting } else { 0 };
        if state.under_way.len() + others >= self.rate.in_flight as usize {
            return None;
        }
        Some(self.add(&mut state, now))
    }

    fn add(&self, state: &mut State, now: Moment) -> Place<'_> {
        state.started += 1;
        let number = state.started;
        state.under_way.insert(number, now);
        Place { limiter: self, number }
    }

    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limiter.lock().under_way.remove(&self.number);
        self.limiter.room.notify_one();
    }
}

/// One who waits for a place.
struct Waiting<'a>(&'a Limiter);

impl<'a> Waiting<'a> {
    fn begin(limiter: &'a Limiter) -> Self {
        limiter.lock().waiting += 1;
        Self(limiter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// A time to start, given back by those who leave before it.
struct Booking<'a> {
    limiter: &'a Limiter,
    at: Moment,
    used: bool,
}

impl Drop for Booking<'_> {
    fn drop(&mut self) {
        if !self.used {
            let interval = self.limiter.rate.interval();
            let mut state = self.limiter.lock();
            state.full_at = state.full_at.saturating_sub(interval);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// To the clock's milliseconds.
fn round_up(wait: Duration) -> Duration {
    Duration::from_millis(nanos(wait).div_ceil(NANOS / 1000))
}

const NANOS: u64 = 1_000_000_000;
/// A request that takes longer no longer counts as under way.
const LEASE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::clock::ManualClock;

    const SLOW: RequestRate = RequestRate { per_second: 10, burst: 5, in_flight: 1000 };
    const PATIENCE: Duration = Duration::from_secs(60);

    fn second(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    /// How many of `wanted` have started after so many tenths of a second.
    #[tokio::test]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let (clock, limiter) = (Arc::new(ManualClock::default()), Arc::new(Limiter::new(SLOW)));
        let started = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for _ in 0..30 {
            let (clock, limiter, started) = (clock.clone(), limiter.clone(), started.clone());
            tokio::spawn(async move {
                let place = limiter.enter(&*clock, PATIENCE).await;
                started.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                drop(place);
            });
        }
        for tenth in 0..=25 {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            let count = started.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(count, (5 + tenth).min(30), "after {tenth} tenths of a second");
            clock.advance(second(1));
        }
    }

    #[tokio::test]
    async fn a_turn_that_nobody_takes_is_given_to_the_next() {
        let (clock, limiter) = (ManualClock::default(), Limiter::new(SLOW));
        for _ in 0..5 {
            drop(limiter.enter(&clock, PATIENCE).await);
        }
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            // leaves again while it waits
            assert!(pin!(limiter.enter(&clock, PATIENCE)).poll(&mut context).is_pending());
        }
        let mut next = pin!(limiter.enter(&clock, PATIENCE));
        assert!(next.as_mut().poll(&mut context).is_pending());
        clock.advance(second(1));
        assert!(next.as_mut().poll(&mut context).is_ready(), "not behind a thousand that are gone");
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_so_and_books_nothing() {
        let (clock, limiter) = (ManualClock::default(), Limiter::new(SLOW));
        let mut context = Context::from_waker(Waker::noop());
        let mut queue = Vec::new();
        for _ in 0..15 {
            let mut entering = Box::pin(limiter.enter(&clock, second(10)));
            let _ = entering.as_mut().poll(&mut context).map(|place| place.map(std::mem::forget));
            queue.push(entering);
        }
        for _ in 0..2 {
            assert_eq!(limiter.enter(&clock, second(10)).await.err(), Some(Overbooked(second(11))));
        }
    }

    #[test]
    fn outside_a_runtime_nobody_waits() {
        let (clock, limiter) = (ManualClock::default(), Limiter::new(SLOW));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            assert!(pin!(limiter.enter(&clock, PATIENCE)).poll(&mut context).is_ready());
        }
    }

    #[tokio::test]
    async fn no_more_are_under_way_than_allowed() {
        let rate = RequestRate { in_flight: 2, ..RequestRate::UNLIMITED };
        let (clock, limiter) = (ManualClock::default(), Limiter::new(rate));
        let mut context = Context::from_waker(Waker::noop());
        let (one, _two) = (limiter.enter(&clock, PATIENCE).await, limiter.enter(&clock, PATIENCE).await);
        let mut idle = pin!(limiter.enter(&clock, PATIENCE));
        let mut third = pin!(limiter.enter(&clock, PATIENCE));
        assert!(idle.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        drop(one); // calls the idle one, which its caller does not poll
        clock.advance(LOOK_AGAIN);
        let Poll::Ready(Ok(_place)) = third.as_mut().poll(&mut context) else { panic!("held up by one who is idle") };
        assert!(idle.as_mut().poll(&mut context).is_pending());
        // and those whose request is not polled do not keep their place for ever
        clock.advance(LEASE);
        assert!(idle.as_mut().poll(&mut context).is_ready());
    }

    #[tokio::test]
    async fn who_waits_goes_before_those_who_come() {
        let rate = RequestRate { in_flight: 1, ..RequestRate::UNLIMITED };
        let (clock, limiter) = (ManualClock::default(), Limiter::new(rate));
        let mut context = Context::from_waker(Waker::noop());
        let one = limiter.enter(&clock, PATIENCE).await;
        let mut waits = pin!(limiter.enter(&clock, PATIENCE));
        let mut waits_too = pin!(limiter.enter(&clock, PATIENCE));
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert!(waits_too.as_mut().poll(&mut context).is_pending());
        // looking again does not cost them their place in the queue
        clock.advance(LOOK_AGAIN);
        assert!(waits.as_mut().poll(&mut context).is_pending());
        drop(one);
        assert!(pin!(limiter.enter(&clock, PATIENCE)).poll(&mut context).is_pending(), "one who has just come");
        let Poll::Ready(Ok(place)) = waits.as_mut().poll(&mut context) else { panic!("was called, and has no place") };
        assert!(waits_too.as_mut().poll(&mut context).is_pending());
        drop(place);
        let Poll::Ready(Ok(place)) = waits_too.as_mut().poll(&mut context) else { panic!("the next in the queue") };
        drop(place);
        assert!(limiter.enter(&clock, PATIENCE).await.is_ok(), "nobody waits any more");
    }
}
