//! Work that many wait for.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::{HERD, Mutex, MutexGuard, Runtime, RuntimeId};

/// One piece of work that many wait for.
///
/// It belongs to nobody: what wakes the work wakes those who wait, and whoever is polled first takes a turn at it. So it
/// goes on as long as any of them is polled; one that leaves, or is held and not polled for a while, stops nobody else.
/// When the last one leaves, the work is dropped.
///
/// Where many wait on one async runtime, a [`Pilot`] of that runtime is called in their place, and they only at the end:
/// work in ten steps does not wake ten thousand callers ten times.
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
    /// Those who wait, by the runtime that polls them.
    crowds: Vec<Crowd>,
    next_ticket: u64,
}

enum Phase<T> {
    /// Nobody polls the work just now.
    Parked(Work<T>),
    /// Somebody does.
    Polled,
    Done(T),
    /// It panicked in the hands of a pilot: one caller is to have the panic.
    Panicked(Panic),
    /// It panicked, in the hands of whoever polled it.
    Lost,
}

type Panic = Box<dyn Any + Send>;

/// Those who wait on one runtime, or on none.
struct Crowd {
    runtime: Option<RuntimeId>,
    waiting: BTreeMap<u64, Waker>,
    pilot: Called,
}

/// How a crowd is called when the work wants a turn.
enum Called {
    Singly,
    /// By its pilot, which is on its way.
    PilotComes,
    ByPilot(Waker),
    /// Singly, as its runtime drops what it is given.
    NeverByPilot,
}

/// One caller's part in a [`Flight`]: a future of the outcome, or of `None` when the work panicked.
pub(crate) struct Join<T> {
    flight: Arc<Flight<T>>,
    ticket: Option<Ticket>,
}

#[derive(Clone, Copy)]
struct Ticket {
    crowd: usize,
    number: u64,
}

impl<T: Clone + Send + 'static> Flight<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Arc<Self> {
        let phase = Phase::Parked(Box::pin(work) as Work<T>);
        let state = State { phase, due: true, crowds: Vec::new(), next_ticket: 0 };
        Arc::new_cyclic(|flight| Self { state: Mutex::new(state), waker: Waker::from(Arc::new(Relay(flight.clone()))) })
    }

    pub(crate) fn join(self: &Arc<Self>) -> Join<T> {
        Join { flight: self.clone(), ticket: None }
    }
}

impl<T> Flight<T> {
    /// Whether it still makes sense to join.
    pub(crate) fn is_under_way(&self) -> bool {
        self.lock().is_under_way()
    }

    /// The end of a turn at the work.
    fn put(&self, phase: Phase<T>) {
        let called = {
            let mut state = self.lock();
            state.phase = phase;
            match state.phase {
                Phase::Parked(_) if !state.due => return,
                // it was woken during its turn: passed on rather than polled again here, so that others get to run
                Phase::Parked(_) => state.call(),
                _ => state.call_all(),
            }
        };
        called.into_iter().for_each(Waker::wake);
    }

    /// The state is whole after a panic: no code of others runs under the lock, the wakers' own included.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + Send + 'static> Future for Join<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let waker = context.waker().clone();
        let runtime = Runtime::current();
        let mut state = this.flight.lock();
        match &mut state.phase {
            Phase::Done(outcome) => return Poll::Ready(Some(outcome.clone())),
            Phase::Lost => return Poll::Ready(None),
            phase @ Phase::Panicked(_) => {
                let Phase::Panicked(panic) = mem::replace(phase, Phase::Lost) else { return Poll::Ready(None) };
                drop(state);
                resume_unwind(panic)
            }
            Phase::Parked(_) | Phase::Polled => {}
        }
        // also who takes a turn waits: the next turn may be another's
        let (replaced, is_herd) = state.wait(&mut this.ticket, waker, runtime.as_ref().map(Runtime::id));
        let work = state.take_if_due();
        drop(state);
        drop(replaced); // after the lock
        let outcome = work.and_then(|work| {
            this.flight.turn(work).unwrap_or_else(|panic| {
                this.flight.put(Phase::Lost);
                resume_unwind(panic)
            })
        });
        if let (None, true, Some(runtime), Some(ticket)) = (&outcome, is_herd, runtime, this.ticket) {
            runtime.spawn(Pilot { flight: this.flight.clone(), crowd: ticket.crowd, is_done: false });
        }
        outcome.map_or(Poll::Pending, |outcome| Poll::Ready(Some(outcome)))
    }
}

impl<T: Clone> Flight<T> {
    /// One poll of the work. Work that panics does not come back from it: the caller says what becomes of the flight.
    fn turn(&self, mut work: Work<T>) -> Result<Option<T>, Panic> {
        let phase =
            catch_unwind(AssertUnwindSafe(|| match work.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(outcome) => Phase::Done(outcome),
                Poll::Pending => Phase::Parked(work),
            }))?;
        let outcome = if let Phase::Done(outcome) = &phase { Some(outcome.clone()) } else { None };
        self.put(phase);
        Ok(outcome)
    }
}

/// A task that takes turns at the work as long as anyone of its crowd waits. A runtime that polls them polls it too; one
/// that ends drops it, and they see to themselves again.
struct Pilot<T> {
    flight: Arc<Flight<T>>,
    crowd: usize,
    is_done: bool,
}

impl<T: Clone> Future for Pilot<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = context.waker().clone();
        let mut state = this.flight.lock();
        let crowd = &mut state.crowds[this.crowd];
        // the last one may have left, or, woken, be about to come back and call another pilot
        let is_left = crowd.waiting.is_empty();
        let called = if is_left { Called::Singly } else { Called::ByPilot(waker) };
        let replaced = mem::replace(&mut crowd.pilot, called);
        let is_over = is_left || !state.is_under_way();
        let work = if is_over { None } else { state.take_if_due() };
        drop(state);
        drop(replaced); // after the lock
        if is_over {
            this.is_done = true;
            return Poll::Ready(());
        }
        if let Some(work) = work {
            // nobody sees a task's panic, and callers that saw nothing would ask again and again
            if let Err(panic) = this.flight.turn(work) {
                this.flight.put(Phase::Panicked(panic));
            }
        }
        Poll::Pending
    }
}

impl<T> Drop for Pilot<T> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let (_replaced, called) = {
            let mut state = self.flight.lock();
            let crowd = &mut state.crowds[self.crowd];
            (mem::replace(&mut crowd.pilot, Called::NeverByPilot), mem::take(&mut crowd.waiting))
        };
        called.into_values().for_each(Waker::wake);
    }
}

impl<T> State<T> {
    fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Parked(_) | Phase::Polled)
    }

    /// Says whether the caller is to start a pilot, and what is to be dropped after the lock.
    fn wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: Waker,
        runtime: Option<RuntimeId>,
    ) -> ((Option<Waker>, Option<Waker>), bool) {
        // a future that another runtime goes on with belongs to its crowd
        let moved = ticket.take_if(|ticket| self.crowds[ticket.crowd].runtime != runtime);
        let moved = moved.and_then(|ticket| self.crowds[ticket.crowd].waiting.remove(&ticket.number));
        let Ticket { crowd, number } = *ticket.get_or_insert_with(|| {
            self.next_ticket += 1;
            let crowd = self.crowds.iter().position(|crowd| crowd.runtime == runtime);
            let crowd = crowd.unwrap_or_else(|| {
                self.crowds.push(Crowd { runtime, waiting: BTreeMap::new(), pilot: Called::Singly });
                self.crowds.len() - 1
            });
            Ticket { crowd, number: self.next_ticket }
        });
        let crowd = &mut self.crowds[crowd];
        let replaced = crowd.waiting.insert(number, waker);
        let is_herd = runtime.is_some() && crowd.waiting.len() >= HERD && matches!(crowd.pilot, Called::Singly);
        if is_herd {
            crowd.pilot = Called::PilotComes;
        }
        ((moved, replaced), is_herd)
    }

    /// The work, for a turn.
    fn take_if_due(&mut self) -> Option<Work<T>> {
        if !self.due {
            return None;
        }
        match mem::replace(&mut self.phase, Phase::Polled) {
            Phase::Parked(work) => {
                self.due = false;
                Some(work)
            }
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    /// Those to wake for a turn.
    fn call(&mut self) -> Vec<Waker> {
        let mut called = Vec::new();
        for crowd in &mut self.crowds {
            match &mut crowd.pilot {
                Called::Singly | Called::NeverByPilot => called.extend(mem::take(&mut crowd.waiting).into_values()),
                Called::PilotComes => {}
                pilot @ Called::ByPilot(_) => {
                    if let Called::ByPilot(waker) = mem::replace(pilot, Called::PilotComes) {
                        called.push(waker);
                    }
                }
            }
        }
        called
    }

    /// Those to wake for the outcome.
    fn call_all(&mut self) -> Vec<Waker> {
        let mut called = self.call();
        called.extend(self.crowds.iter_mut().flat_map(|crowd| mem::take(&mut crowd.waiting).into_values()));
        called
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let (_removed, pilot) = {
            let mut state = self.flight.lock();
            let crowd = &mut state.crowds[ticket.crowd];
            let removed = crowd.waiting.remove(&ticket.number);
            let pilot = match &mut crowd.pilot {
                pilot @ Called::ByPilot(_) if crowd.waiting.is_empty() => mem::replace(pilot, Called::PilotComes),
                _ => Called::Singly,
            };
            (removed, pilot)
        };
        // to see that nobody waits any more; wakers are called and dropped after the lock
        if let Called::ByPilot(waker) = pilot {
            waker.wake();
        }
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
                Phase::Parked(_) => state.call(),
                // the one whose turn it is passes it on
                _ => return,
            }
        };
        called.into_iter().for_each(Waker::wake);
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.lock().crowds.iter().map(|crowd| crowd.waiting.len()).sum::<usize>();
        f.debug_struct("Flight").field("waiting", &waiting).finish_non_exhaustive()
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

    /// Work in `steps` steps, each of which waits to be told to go on.
    fn steps(steps: usize) -> (Arc<Flight<usize>>, tokio::sync::mpsc::UnboundedSender<()>) {
        let (step, mut told) = tokio::sync::mpsc::unbounded_channel();
        let flight = Flight::new(async move {
            for _ in 0..steps {
                told.recv().await;
            }
            steps
        });
        (flight, step)
    }

    /// Counts how often what it holds is polled.
    async fn counted<T>(polls: Arc<AtomicUsize>, work: impl Future<Output = T>) -> T {
        let mut work = Box::pin(work);
        std::future::poll_fn(|context| {
            polls.fetch_add(1, Ordering::SeqCst);
            work.as_mut().poll(context)
        })
        .await
    }

    /// Until a thousand tasks have had a few turns.
    async fn yields() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_herd_is_woken_once() {
        let (flight, step) = steps(8);
        let polls = Arc::new(AtomicUsize::new(0));
        let joins = (0..1000).map(|_| tokio::spawn(counted(polls.clone(), flight.join()))).collect::<Vec<_>>();
        for _ in 0..8 {
            yields().await;
            step.send(()).unwrap();
        }
        for join in joins {
            assert_eq!(join.await.unwrap(), Some(8));
        }
        let polls = polls.load(Ordering::SeqCst);
        assert!(polls <= 2 * 1000 + HERD * 8, "{polls} polls");
        yields().await;
        assert_eq!(Arc::strong_count(&flight), 1, "the pilot holds on to it");
    }

    #[tokio::test]
    async fn a_herd_that_leaves_takes_its_pilot_and_the_work_along() {
        let (flight, step) = steps(8);
        let herd = (0..1000).map(|_| tokio::spawn(flight.join())).collect::<Vec<_>>();
        yields().await;
        step.send(()).unwrap();
        yields().await;
        drop(flight);
        herd.into_iter().for_each(|join| join.abort());
        yields().await;
        assert!(step.is_closed());
    }

    #[test]
    fn a_herd_whose_runtime_ends_leaves_the_work_to_others() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (flight, step) = steps(2);
        let (ending, lasting) = (runtime(), runtime());
        ending.block_on(async {
            let joins = (0..100).map(|_| tokio::spawn(flight.join())).collect::<Vec<_>>();
            yields().await;
            joins.into_iter().for_each(drop);
        });
        let other = lasting.spawn(flight.join());
        lasting.block_on(yields());
        // not driven any more, and not dropped either
        step.send(()).unwrap();
        lasting.block_on(yields());
        drop(ending);
        step.send(()).unwrap();
        assert_eq!(lasting.block_on(other).unwrap(), Some(2));
    }

    /// Callers that get none ask anew; a panic that nobody sees would make them ask for ever.
    #[tokio::test]
    async fn a_panic_in_the_pilots_hands_reaches_one_caller() {
        let (panic, told) = oneshot::channel::<()>();
        let flight: Arc<Flight<u32>> = Flight::new(async move {
            told.await.ok();
            panic!("on purpose")
        });
        let herd = (0..100).map(|_| tokio::spawn(flight.join())).collect::<Vec<_>>();
        yields().await;
        panic.send(()).unwrap();
        let mut panics = 0;
        for join in herd {
            match join.await {
                Ok(outcome) => assert_eq!(outcome, None),
                Err(error) => panics += usize::from(error.is_panic()),
            }
        }
        assert_eq!(panics, 1);
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
