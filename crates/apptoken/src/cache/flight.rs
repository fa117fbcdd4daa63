use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// One piece of work that many wait for.
///
/// Whoever is polled first leads: it alone polls the work. When the leader is dropped, the work is parked and another
/// waiter is woken to lead, so that leaving never cancels anybody else. When the last one leaves, the work is dropped.
pub(crate) struct Flight<T> {
    state: Mutex<State<T>>,
}

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct State<T> {
    phase: Phase<T>,
    /// Those who wait, by ticket.
    waiting: Vec<(u64, Waker)>,
    next_ticket: u64,
}

enum Phase<T> {
    /// Nobody polls the work just now.
    Parked(Work<T>),
    /// A leader has it.
    Led,
    Done(T),
    /// It panicked, in its leader's hands.
    Lost,
}

/// One caller's part in a [`Flight`]: a future of the outcome, or of `None` when the work panicked.
pub(crate) struct Join<T> {
    flight: Arc<Flight<T>>,
    leading: Option<Work<T>>,
    ticket: Option<u64>,
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Arc<Self> {
        let phase = Phase::Parked(Box::pin(work) as Work<T>);
        Arc::new(Self { state: Mutex::new(State { phase, waiting: Vec::new(), next_ticket: 0 }) })
    }

    pub(crate) fn join(self: &Arc<Self>) -> Join<T> {
        Join { flight: self.clone(), leading: None, ticket: None }
    }

    /// Whether it still makes sense to join.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.lock().phase, Phase::Parked(_) | Phase::Led)
    }

    fn land(&self, phase: Phase<T>) {
        let waiting = {
            let mut state = self.lock();
            state.phase = phase;
            std::mem::take(&mut state.waiting)
        };
        for (_, waker) in waiting {
            waker.wake();
        }
    }
}

impl<T> Flight<T> {
    /// The state is whole after a panic: no code of others runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Unpin> Future for Join<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if self.leading.is_none() {
            let this = &mut *self;
            let mut state = this.flight.lock();
            match std::mem::replace(&mut state.phase, Phase::Led) {
                Phase::Parked(work) => {
                    if let Some(ticket) = this.ticket.take() {
                        state.waiting.retain(|(other, _)| *other != ticket);
                    }
                    drop(state);
                    this.leading = Some(work);
                }
                Phase::Led => {
                    state.wait(&mut this.ticket, context.waker());
                    return Poll::Pending;
                }
                Phase::Done(outcome) => {
                    state.phase = Phase::Done(outcome.clone());
                    return Poll::Ready(Some(outcome));
                }
                Phase::Lost => {
                    state.phase = Phase::Lost;
                    return Poll::Ready(None);
                }
            }
        }
        let Some(work) = &mut self.leading else { return Poll::Pending };
        let Poll::Ready(outcome) = work.as_mut().poll(context) else { return Poll::Pending };
        self.leading = None;
        self.flight.land(Phase::Done(outcome.clone()));
        Poll::Ready(Some(outcome))
    }
}

impl<T> State<T> {
    fn wait(&mut self, ticket: &mut Option<u64>, waker: &Waker) {
        let mine = *ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        match self.waiting.iter_mut().find(|(other, _)| *other == mine) {
            Some((_, old)) => old.clone_from(waker),
            None => self.waiting.push((mine, waker.clone())),
        }
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        let next = {
            let mut state = self.flight.lock();
            if let Some(work) = self.leading.take() {
                // a future that panicked must not be polled again
                state.phase = if std::thread::panicking() { Phase::Lost } else { Phase::Parked(work) };
            }
            if let Some(ticket) = self.ticket {
                state.waiting.retain(|(other, _)| *other != ticket);
            }
            match state.phase {
                // also when this one only waited: the call to lead may have been for it
                Phase::Parked(_) => state.waiting.pop().into_iter().collect(),
                Phase::Lost => std::mem::take(&mut state.waiting),
                Phase::Led | Phase::Done(_) => Vec::new(),
            }
        };
        for (_, waker) in next {
            waker.wake();
        }
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
    async fn a_leader_that_leaves_hands_over() {
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
    async fn the_call_to_lead_is_passed_on_by_one_that_leaves() {
        let begun = Arc::default();
        let (flight, end) = work(&begun);
        let mut leader = Box::pin(flight.join());
        let mut called = Box::pin(flight.join());
        let mut context = Context::from_waker(Waker::noop());
        assert!(leader.as_mut().poll(&mut context).is_pending());
        let last = tokio::spawn(flight.join());
        tokio::task::yield_now().await;
        assert!(called.as_mut().poll(&mut context).is_pending());
        drop(leader); // wakes `called`, the youngest waiter, whose waker does nothing
        drop(called);
        end.send(7).unwrap();
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
}
