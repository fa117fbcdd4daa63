//! Models of one piece of work that many wait for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::every_interleaving;
use crate::flight::{Flight, Join};
use crate::sync::Runtime;

/// Two wait, a third thread brings the answer: both get it, and the work is begun once.
pub fn an_answer_reaches_all_who_wait() {
    every_interleaving(|| {
        let (flight, answer, begun) = asked();
        let waiter = thread::spawn({
            let join = flight.join();
            move || block_on(join)
        });
        let authority = thread::spawn(move || answer.bring(7));
        assert_eq!(block_on(flight.join()), Some(7));
        assert_eq!(waiter.join().ok(), Some(Some(7)));
        authority.join().ok();
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert!(!flight.is_under_way());
    });
}

/// One waits; the other looks once, perhaps takes a turn at the work, and leaves at whatever point: the first still gets
/// the answer.
pub fn one_who_leaves_takes_nobody_along() {
    every_interleaving(|| {
        let (flight, answer, begun) = asked();
        let leaver = thread::spawn({
            let join = flight.join();
            move || {
                let mut join = pin!(join);
                let _ = join.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        });
        let authority = thread::spawn(move || answer.bring(7));
        assert_eq!(block_on(flight.join()), Some(7));
        leaver.join().ok();
        authority.join().ok();
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    });
}

/// One waits; the other has looked once and is then neither polled nor dropped until all is over.
pub fn one_who_is_not_polled_holds_nobody_up() {
    every_interleaving(|| {
        let (flight, answer, _) = asked();
        let mut idle = Box::pin(flight.join());
        let _ = idle.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let authority = thread::spawn(move || answer.bring(7));
        assert_eq!(block_on(flight.join()), Some(7));
        authority.join().ok();
        drop(idle);
    });
}

/// Both leave while the answer comes: the work is dropped, nothing is held for ever.
pub fn when_all_leave_the_work_goes() {
    every_interleaving(|| {
        let (flight, answer, _) = asked();
        let gone = Arc::downgrade(&flight);
        let look_and_leave = |join: Join<u32>| {
            move || {
                let mut join = Box::pin(join);
                let _ = join.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        };
        let other = thread::spawn(look_and_leave(flight.join()));
        let authority = thread::spawn(move || answer.bring(7));
        look_and_leave(flight.join())();
        other.join().ok();
        authority.join().ok();
        drop(flight);
        assert!(gone.upgrade().is_none());
    });
}

/// Work that needs two wakings, from two threads, which may come during one turn.
pub fn two_wakings_in_one_turn_are_not_lost() {
    every_interleaving(|| {
        let (first, second) = (Arc::new(Answer::default()), Arc::new(Answer::default()));
        let flight = Flight::new({
            let (first, second) = (first.clone(), second.clone());
            async move { first.come().await + second.come().await }
        });
        let one = thread::spawn(move || first.bring(3));
        let two = thread::spawn(move || second.bring(4));
        assert_eq!(block_on(flight.join()), Some(7));
        one.join().ok();
        two.join().ok();
    });
}

/// Two wait on a runtime, whose pilot is called in their place: both get the answer.
pub fn a_pilot_goes_for_a_crowd() {
    every_interleaving(|| {
        Runtime::enter();
        let (flight, answer, begun) = asked();
        let mut first = Box::pin(flight.join());
        let _ = first.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let authority = thread::spawn(move || answer.bring(7));
        assert_eq!(block_on(flight.join()), Some(7));
        assert_eq!(block_on(first), Some(7));
        authority.join().ok();
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        Runtime::leave();
    });
}

/// Two of a runtime have looked once and are not polled again, so that their pilot is called; a third waits elsewhere,
/// and has the answer whenever the two leave.
pub fn a_crowd_that_is_not_polled_holds_nobody_up() {
    every_interleaving(|| {
        Runtime::enter();
        let (flight, answer, _) = asked();
        let mut idle = [Box::pin(flight.join()), Box::pin(flight.join())];
        for join in &mut idle {
            let _ = join.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        Runtime::leave();
        let authority = thread::spawn(move || answer.bring(7));
        let leaver = thread::spawn(move || drop(idle));
        assert_eq!(block_on(flight.join()), Some(7));
        authority.join().ok();
        leaver.join().ok();
    });
}

/// A flight that waits for an answer, the answer, and how often the work was begun.
fn asked() -> (Arc<Flight<u32>>, Arc<Answer>, Arc<AtomicUsize>) {
    let (answer, begun) = (Arc::new(Answer::default()), Arc::new(AtomicUsize::new(0)));
    let flight = Flight::new({
        let (answer, begun) = (answer.clone(), begun.clone());
        async move {
            begun.fetch_add(1, Ordering::SeqCst);
            answer.come().await
        }
    });
    (flight, answer, begun)
}

/// What comes from outside, and wakes whoever polled for it last.
#[derive(Default)]
pub(crate) struct Answer(Mutex<(Option<u32>, Option<Waker>)>);

impl Answer {
    pub(crate) fn bring(&self, value: u32) {
        let waker = {
            let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            state.0 = Some(value);
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn come(&self) -> u32 {
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match state.0 {
                Some(value) => Poll::Ready(value),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
