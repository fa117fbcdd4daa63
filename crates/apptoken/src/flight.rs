//! Work that many wait for.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::{Mutex, MutexGuard};

/// One piece of work that many wait for.
///
/// It belongs to nobody: what wakes the work wakes all who wait, and whoever is polled first takes a turn at it. So it
/// goes on as long as any of them is polled; one that leaves, or is held and not polled for a while, stops nobody else.
/// When the last one leaves, the work is dropped.
pub(crate) struct Flight<T> {
    state: Mutex<State<T>>,
    /// What the work is polled with: a [`Relay`] to those who wait.
    waker: Waker,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct State<T> {
    phase: Phase<T>,
    /// Whether the work wants to be polled: at first, and when it has been woken since its last turn.
    due: bool,
    /// Those who wait, by ticket.
    waiting: BTreeMap<u64, Waker>,
    next_ticket: u64,
}

enum Phase<T> {
    /// Nobody polls the work just now.
    Parked(Work<T>),
    /// Somebody does.
    Polled,
    Done(T),
    /// It panicked, in the hands of whoever polled it.
    Lost,
}

/// One caller's part in a [`Flight`]: a future of the outcome, or of `None` when the work panicked.
pub(crate) struct Join<T> {
    flight: Arc<Flight<T>>,
    ticket: Option<u64>,
}

impl<T: Clone + Send + 'static> Flight<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Arc<Self> {
        let phase = Phase::Parked(Box::pin(work) as Work<T>);
        let state = State { phase, due: true, waiting: BTreeMap::new(), next_ticket: 0 };
        Arc::new_cyclic(|flight| Self { state: Mutex::new(state), waker: Waker::from(Arc::new(Relay(flight.clone()))) })
    }

    pub(crate) fn join(self: &Arc<Self>) -> Join<T> {
        Join { flight: self.clone(), ticket: None }
    }
}

impl<T> Flight<T> {
    /// Whether it still makes sense to join.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.lock().phase, Phase::Parked(_) | Phase::Polled)
    }

    /// The end of a turn at the work.
    fn put(&self, phase: Phase<T>) {
        let called = {
            let mut state = self.lock();
            state.phase = phase;
            match state.phase {
                Phase::Parked(_) if !state.due => return,
                // it was woken during its turn: passed on rather than polled again here, so that others get to run
                _ => mem::take(&mut state.waiting),
            }
        };
        called.into_values().for_each(Waker::wake);
    }

    /// The state is whole after a panic: no code of others runs under the lock, the wakers' own included.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Future for Join<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let waker = context.waker().clone();
        let replaced; // dropped after the lock
        let mut state = this.flight.lock();
        let mut work = match mem::replace(&mut state.phase, Phase::Polled) {
            Phase::Done(outcome) => {
                state.phase = Phase::Done(outcome.clone());
                return Poll::Ready(Some(outcome));
            }
            Phase::Lost => {
                state.phase = Phase::Lost;
                return Poll::Ready(None);
            }
            // also who takes a turn waits: the next turn may be another's
            Phase::Parked(work) if state.due => {
                replaced = state.wait(&mut this.ticket, waker);
                work
            }
            phase => {
                state.phase = phase;
                replaced = state.wait(&mut this.ticket, waker);
                drop(state);
                drop(replaced);
                return Poll::Pending;
            }
        };
        state.due = false;
        drop(state);
        drop(replaced);
        let mut turn = Turn { flight: &this.flight, ends_in: Phase::Lost };
        match work.as_mut().poll(&mut Context::from_waker(&this.flight.waker)) {
            Poll::Ready(outcome) => {
                turn.ends_in = Phase::Done(outcome.clone());
                Poll::Ready(Some(outcome))
            }
            Poll::Pending => {
                turn.ends_in = Phase::Parked(work);
                Poll::Pending
            }
        }
    }
}

/// One poll of the work. Work that panics does not come back from it: it is lost, and nobody polls it again.
struct Turn<'a, T> {
    flight: &'a Flight<T>,
    ends_in: Phase<T>,
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.flight.put(mem::replace(&mut self.ends_in, Phase::Lost));
    }
}

impl<T> State<T> {
    fn wait(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let mine = *ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        self.waiting.insert(mine, waker)
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        // the waker is dropped after the lock
        let _waker = self.ticket.and_then(|ticket| self.flight.lock().waiting.remove(&ticket));
    }
}

/// Passes a call for the work on to those who wait. It does not keep the work alive, which may well hold it.
struct Relay<T>(Weak<Flight<T>>);

impl<T: Send + 'static> Wake for Relay<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(flight) = self.0.upgrade() else { return };
        let called = {
            let mut state = flight.lock();
            state.due = true;
            match state.phase {
                Phase::Parked(_) => mem::take(&mut state.waiting),
                // the one whose turn it is passes it on
                Phase::Polled | Phase::Done(_) | Phase::Lost => return,
            }
        };
        called.into_values().for_each(Waker::wake);
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("waiting", &self.lock().waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// Work that counts how often it is begun and ends when told to.
    fn work(begun: &Arc<AtomicUsize>) -> (Arc<Flight<u32>>, oneshot::Sender<u32>) {
        let (end, ended) = oneshot::channel();
        let begun = begun.clone();
        let flight = Flight::new(async move {
            begun.fetch_add(1, Ordering::SeqCst);
            ended.await.unwrap_or(0)
        });
        (flight, end)
    }

    #[tokio::test]
    async fn all_get_the_outcome_of_one_piece_of_work() {
        let begun = Arc::default();
        let (flight, end) = work(&begun);
        let joins = (0..100).map(|_| tokio::spawn(flight.join())).collect::<Vec<_>>();
        tokio::task::yield_now().await;
        end.send(7).unwrap();
        for join in joins {
            assert_eq!(join.await.unwrap(), Some(7));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert!(!flight.is_under_way());
    }

    #[tokio::test]
    async fn a_leader_that_leaves_cancels_nobody_else() {
        let begun = Arc::default();
        let (flight, end) = work(&begun);
        let leader = tokio::spawn(flight.join());
        tokio::task::yield_now().await;
        let waiters = (0..3).map(|_| tokio::spawn(flight.join())).collect::<Vec<_>>();
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.is_err());
        end.send(7).unwrap();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), Some(7));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn one_that_was_called_and_leaves_stops_nobody() {
        let begun = Arc::default();
        let (flight, end) = work(&begun);
        let mut leader = Box::pin(flight.join());
        let mut called = Box::pin(flight.join());
        let mut context = Context::from_waker(Waker::noop());
        assert!(leader.as_mut().poll(&mut context).is_pending());
        let last = tokio::spawn(flight.join());
        tokio::task::yield_now().await;
        assert!(called.as_mut().poll(&mut context).is_pending());
        drop(leader);
        end.send(7).unwrap(); // wakes `called` too, whose waker does nothing
        drop(called);
        assert_eq!(last.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn when_all_leave_the_work_is_dropped() {
        let begun = Arc::default();
        let (flight, end) = work(&begun);
        let mut join = Box::pin(flight.join());
        assert!(join.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let weak = Arc::downgrade(&flight);
        drop((join, flight));
        assert!(weak.upgrade().is_none() && end.is_closed());
    }

    #[tokio::test]
    async fn a_panic_reaches_its_leader_only() {
        let (panic, told) = oneshot::channel::<()>();
        let flight: Arc<Flight<u32>> = Flight::new(async move {
            told.await.ok();
            panic!("on purpose")
        });
        let leader = tokio::spawn(flight.join());
        tokio::task::yield_now().await;
        let waiter = tokio::spawn(flight.join());
        tokio::task::yield_now().await;
        panic.send(()).unwrap();
        assert!(leader.await.unwrap_err().is_panic());
        assert_eq!(waiter.await.unwrap(), None);
        assert!(!flight.is_under_way());
    }

    /// A caller may hold its future and await something else first, perhaps the same token: `select!` in a loop, or a
    /// buffered stream whose loop body asks too.
    #[tokio::test]
    async fn one_that_is_not_polled_holds_nobody_up() {
        let begun = Arc::default();
        let (flight, end) = work(&begun);
        let mut idle = Box::pin(flight.join());
        assert!(idle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let waiter = tokio::spawn(flight.join());
        tokio::task::yield_now().await;
        end.send(7).unwrap();
        let outcome = tokio::time::timeout(std::time::Duration::from_secs(5), waiter).await;
        assert_eq!(outcome.expect("nobody polls the work").unwrap(), Some(7));
        assert_eq!(idle.await, Some(7));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }

    /// As tower's and futures' `catch_unwind` do: the future that panicked is dropped later, or never.
    #[tokio::test]
    async fn a_panic_that_is_caught_reaches_its_leader_only() {
        let flight: Arc<Flight<u32>> = Flight::new(async { panic!("on purpose") });
        let mut leader = Box::pin(flight.join());
        let mut context = Context::from_waker(Waker::noop());
        let poll = std::panic::AssertUnwindSafe(|| leader.as_mut().poll(&mut context).is_pending());
        assert!(std::panic::catch_unwind(poll).is_err());
        let waiter = tokio::spawn(flight.join());
        let outcome = tokio::time::timeout(std::time::Duration::from_secs(5), waiter).await;
        assert_eq!(outcome.expect("the flight is stuck").unwrap(), None);
        assert!(!flight.is_under_way());
    }

    /// Tokio wakes work that has used up its share of time: it must not be polled on and on in one go.
    #[tokio::test]
    async fn work_that_wakes_itself_lets_others_run() {
        let flight: Arc<Flight<u32>> = Flight::new(async {
            let mut polls = 0;
            std::future::poll_fn(|context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
            })
            .await
        });
        let mut join = Box::pin(flight.join());
        assert!(join.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(join.await, Some(3));
    }
}
