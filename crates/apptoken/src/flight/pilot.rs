use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::crowds::Ticket;
use super::{Flight, Phase};

/// A task that takes turns at the work as long as anyone of its crowd waits. A runtime that polls them polls it too; one
/// that ends drops it, and they see to themselves again.
pub(super) struct Pilot<T> {
    flight: Arc<Flight<T>>,
    /// Of one of its crowd.
    ticket: Ticket,
    is_done: bool,
}

impl<T> Pilot<T> {
    pub(super) fn new(flight: Arc<Flight<T>>, ticket: Ticket) -> Self {
        Self { flight, ticket, is_done: false }
    }
}

impl<T: Clone> Future for Pilot<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = context.waker().clone();
        let mut state = this.flight.lock();
        let (waits, unused) = state.crowds.pilot_waits(this.ticket, waker);
        let goes_on = waits && state.is_under_way();
        let work = if goes_on { state.take_if_due() } else { None };
        drop(state);
        drop(unused);
        if !goes_on {
            this.is_done = true;
            return Poll::Ready(());
        }
        if let Some(work) = work {
            // nobody sees a task's panic, and callers that saw nothing would ask again and again
            if let Err(panic) = this.flight.turn(work, &mut None) {
                let phase = if this.ticket.is_of_the_first() { Phase::Panicked(panic) } else { Phase::Over };
                this.flight.put(phase, None);
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
        let (called, _unused) = self.flight.lock().crowds.pilot_is_gone(self.ticket);
        called.into_iter().for_each(Waker::wake);
    }
}
