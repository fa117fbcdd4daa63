//! Work that many wait for.

mod crowds;
mod pilot;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use self::crowds::{Crowds, Ticket};
use self::pilot::Pilot;
use crate::clock::Moment;
use crate::sync::{Mutex, MutexGuard, OnceLock, Runtime};

/// One piece of work that many wait for.
///
/// It belongs to nobody: what wakes the work wakes those who wait, and whoever is polled first takes a turn at it. So it
/// goes on as long as any of them is polled; one that leaves, or is held and not polled for a while, stops nobody else.
/// When the last one leaves, the work is dropped.
///
/// Where many wait on one async runtime, a [`Pilot`] of that runtime is called in their place, and they only at the end:
/// work in ten steps does not wake ten thousand callers ten times. At the end they find the outcome without the lock.
///
/// A panic is the affair of one caller, if the work was polled on the runtime where it began. On another it may come of
/// that runtime's end, which takes timers and connections along: then it is nobody's, and all are told that there is no
/// outcome.
pub(crate) struct Flight<T> {
    /// Set before those who wait are called for it.
    outcome: OnceLock<T>,
    state: Mutex<State<T>>,
    /// What the work is polled with: a [`Relay`] to those who wait.
    waker: Waker,
    ends: Bound,
}

/// When work ends at the latest, which it says itself when it begins, unless it is known before.
pub(crate) type Bound = Arc<OnceLock<Moment>>;

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct State<T> {
    phase: Phase<T>,
    /// Whether the work wants to be polled: at first, and when it has been woken since its last turn.
    due: bool,
    crowds: Crowds,
}

enum Phase<T> {
    /// Nobody polls the work just now.
    Parked(Work<T>),
    /// Somebody does.
    Polled,
    /// It panicked in the hands of a pilot: one caller is to have the panic.
    Panicked(Panic),
    /// There is an outcome, or the work panicked in the hands of whoever polled it, or of a pilot where it did not begin.
    Over,
}

type Panic = Box<dyn Any + Send>;

/// One caller's part in a [`Flight`]: a future of the outcome, or of `None` when the work panicked.
pub(crate) struct Join<T> {
    flight: Arc<Flight<T>>,
    ticket: Option<Ticket>,
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Arc<Self> {
        Self::bounded(Bound::default(), work)
    }

    /// Work that sees to it that it `ends` in time.
    pub(crate) fn bounded(ends: Bound, work: impl Future<Output = T> + Send + 'static) -> Arc<Self> {
        let phase = Phase::Parked(Box::pin(work) as Work<T>);
        let state = Mutex::new(State { phase, due: true, crowds: Crowds::default() });
        Arc::new_cyclic(|flight| {
            let waker = Waker::from(Arc::new(Relay(flight.clone())));
            Self { outcome: OnceLock::default(), state, waker, ends }
        })
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

    /// The end of a turn at the work. Who `leaves` has what others are called for.
    fn put(&self, phase: Phase<T>, leaves: Option<Ticket>) {
        let (called, _unused) = {
            let mut state = self.lock();
            state.phase = phase;
            let (unused, pilot) = leaves.map_or((None, None), |ticket| state.crowds.leave(ticket));
            let mut called = match state.phase {
                Phase::Parked(_) if !state.due => return,
                // it was woken during its turn: passed on rather than polled again here, so that others get to run
                Phase::Parked(_) => state.crowds.call(),
                _ => state.crowds.call_all(),
            };
            called.extend(pilot);
            (called, unused)
        };
        called.into_iter().for_each(Waker::wake);
    }

    /// The state is whole after a panic: no code of others runs under the lock, the wakers' own included.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Join<T> {
    /// Whether this caller, who is waiting, needs no timer of its own to have an outcome by `limit`: the work's timer, on
    /// the runtime where the work was begun, sees to it, and whoever polls the caller drives that one.
    pub(crate) fn ends_by(&self, limit: Moment) -> bool {
        self.ticket.is_some_and(|ticket| ticket.is_of_the_first())
            && self.flight.ends.get().is_some_and(|ends| *ends <= limit)
    }
}

impl<T: Clone + Send + Sync + 'static> Future for Join<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        if let Some(outcome) = this.flight.outcome.get() {
            this.ticket = None; // whoever set the outcome calls, or has called, all
            return Poll::Ready(Some(outcome.clone()));
        }
        let waker = context.waker().clone();
        let runtime = Runtime::current();
        let mut state = this.flight.lock();
        match &mut state.phase {
            Phase::Over => return Poll::Ready(this.flight.outcome.get().cloned()),
            phase @ Phase::Panicked(_) => {
                let Phase::Panicked(panic) = mem::replace(phase, Phase::Over) else { return Poll::Ready(None) };
                drop(state);
                resume_unwind(panic)
            }
            Phase::Parked(_) | Phase::Polled => {}
        }
        // also who takes a turn waits: the next turn may be another's
        let (is_herd, unused, left) = state.crowds.wait(&mut this.ticket, waker, runtime.as_ref().map(Runtime::id));
        let work = state.take_if_due();
        drop(state);
        drop(unused);
        left.into_iter().for_each(Waker::wake);
        let outcome = match work.map_or(Ok(None), |work| this.flight.turn(work, &mut this.ticket)) {
            Ok(outcome) => outcome,
            Err(panic) => {
                let is_own = this.ticket.is_some_and(Ticket::is_of_the_first);
                this.flight.put(Phase::Over, this.ticket.take());
                if is_own { resume_unwind(panic) } else { return Poll::Ready(None) }
            }
        };
        if let (None, true, Some(runtime), Some(ticket)) = (&outcome, is_herd, runtime, this.ticket) {
            runtime.spawn(Pilot::new(this.flight.clone(), ticket));
        }
        outcome.map_or(Poll::Pending, |outcome| Poll::Ready(Some(outcome)))
    }
}

impl<T: Clone> Flight<T> {
    /// One poll of the work, by the one with this ticket, which an outcome takes. Work that panics does not come back from
    /// it: the caller says what becomes of the flight.
    fn turn(&self, mut work: Work<T>, ticket: &mut Option<Ticket>) -> Result<Option<T>, Panic> {
        let polled =
            catch_unwind(AssertUnwindSafe(move || match work.as_mut().poll(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(outcome) => Ok(outcome),
                Poll::Pending => Err(work),
            }))?;
        match polled {
            Ok(outcome) => {
                let mine = outcome.clone();
                let _ = self.outcome.set(outcome); // there is none yet: the work is polled by one at a time
                self.put(Phase::Over, ticket.take());
                Ok(Some(mine))
            }
            Err(work) => {
                self.put(Phase::Parked(work), None);
                Ok(None)
            }
        }
    }
}

impl<T> State<T> {
    fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Parked(_) | Phase::Polled)
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
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let (_unused, pilot) = self.flight.lock().crowds.leave(ticket);
        // to see that nobody waits any more
        if let Some(waker) = pilot {
            waker.wake();
        }
    }
}

/// Passes a call for the work on to those who wait. It does not keep the work alive, which may well hold it.
struct Relay<T>(Weak<Flight<T>>);

impl<T: Send + Sync + 'static> Wake for Relay<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(flight) = self.0.upgrade() else { return };
        let called = {
            let mut state = flight.lock();
            state.due = true;
            match state.phase {
                Phase::Parked(_) => state.crowds.call(),
                // the one whose turn it is passes it on
                _ => return,
            }
        };
        called.into_iter().for_each(Waker::wake);
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("waiting", &self.lock().crowds.waiting()).finish_non_exhaustive()
    }
}
