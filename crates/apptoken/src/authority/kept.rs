use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::flight::{Flight, Join};

/// One thing that is looked up over the network: by one request however many want it, and kept for as long as it is
/// good, failures too.
pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// What was found last, and until when that is good.
    held: Option<(T, Moment)>,
    /// Held by those who wait for it.
    flight: Weak<Flight<T>>,
}

/// What a look-up found.
pub(super) struct Found<T> {
    pub(super) value: T,
    /// Zero: for those who wait for it, and nobody after them.
    pub(super) good_for: Duration,
}

/// What is at hand.
pub(super) enum Hand<T> {
    Good(T),
    /// A look-up under way.
    Coming(Join<T>),
}

impl<T: Clone + Send + Sync + 'static> Kept<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { held: None, flight: Weak::new() }) })
    }

    /// What is held and good, or else a part in the look-up that is under way or that this begins. `look_up` gets what
    /// was found last, and is called under the lock.
    pub(super) fn at_hand<W>(self: &Arc<Self>, clock: &Arc<dyn Clock>, look_up: impl FnOnce(Option<T>) -> W) -> Hand<T>
    where
        W: Future<Output = Found<T>> + Send + 'static,
    {
        let now = clock.now();
        let mut state = self.lock();
        match &state.held {
            Some((value, good_until)) if now < *good_until => return Hand::Good(value.clone()),
            _ => {}
        }
        if let Some(flight) = state.flight.upgrade().filter(|flight| flight.is_under_way()) {
            return Hand::Coming(flight.join());
        }
        let last = state.held.as_ref().map(|(value, _)| value.clone());
        let (this, clock, work) = (self.clone(), clock.clone(), look_up(last));
        let flight = Flight::new(async move {
            let Found { value, good_for } = work.await;
            this.put(value.clone(), clock.now() + good_for);
            value
        });
        state.flight = Arc::downgrade(&flight);
        Hand::Coming(flight.join())
    }

    /// What is good, looked up if need be.
    pub(super) async fn get<W>(self: &Arc<Self>, clock: &Arc<dyn Clock>, look_up: impl Fn(Option<T>) -> W) -> T
    where
        W: Future<Output = Found<T>> + Send + 'static,
    {
        loop {
            match self.at_hand(clock, &look_up) {
                Hand::Good(value) => return value,
                // one that panicked, in the hands of another caller, is begun anew
                Hand::Coming(join) => {
                    if let Some(value) = join.await {
                        return value;
                    }
                }
            }
        }
    }

    /// What was found last, good or not.
    pub(super) fn last(&self) -> Option<T> {
        self.lock().held.as_ref().map(|(value, _)| value.clone())
    }

    pub(super) fn put(&self, value: T, good_until: Moment) {
        // the old one is dropped after the lock
        let _old = self.lock().held.replace((value, good_until));
    }

    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
