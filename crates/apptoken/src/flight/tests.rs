use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::sync::HERD;

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

struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Woken by its own outcome, its task would be polled for nothing.
#[test]
fn one_that_ends_the_work_is_not_called_and_the_others_are() {
    let (flight, end) = work(&Arc::default());
    let wakes: [_; 2] = std::array::from_fn(|_| Arc::new(Counter(AtomicUsize::new(0))));
    let mut joins = wakes.each_ref().map(|counter| (Box::pin(flight.join()), Waker::from(counter.clone())));
    let mut poll = |who: usize| {
        let (join, waker) = &mut joins[who];
        join.as_mut().poll(&mut Context::from_waker(waker))
    };
    assert!(poll(0).is_pending() && poll(1).is_pending());
    end.send(7).unwrap();
    let woken = || wakes.each_ref().map(|counter| counter.0.load(Ordering::SeqCst));
    assert_eq!(woken(), [1, 1]);
    assert_eq!(poll(0), Poll::Ready(Some(7)));
    assert_eq!(woken(), [1, 1], "the other has been called already, for its turn");
    assert_eq!(poll(1), Poll::Ready(Some(7)));
    let mut late = (Box::pin(flight.join()), Waker::noop());
    assert_eq!(late.0.as_mut().poll(&mut Context::from_waker(late.1)), Poll::Ready(Some(7)));
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

/// Ten thousand are woken at once, and take no turns at anything.
#[test]
fn who_is_woken_for_the_outcome_takes_no_lock() {
    let (flight, end) = work(&Arc::default());
    let mut context = Context::from_waker(Waker::noop());
    let mut woken = Box::pin(flight.join());
    assert!(woken.as_mut().poll(&mut context).is_pending());
    end.send(7).unwrap();
    assert_eq!(Box::pin(flight.join()).as_mut().poll(&mut context), Poll::Ready(Some(7)));
    let locked = flight.lock();
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let outcome = woken.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(woken);
        told.send(outcome)
    });
    assert_eq!(tells.recv_timeout(Duration::from_secs(5)).expect("it waits for the lock"), Poll::Ready(Some(7)));
    drop(locked);
}

/// Of the work's timer, if that is on its runtime: another's may not be driven.
#[test]
fn who_waits_where_the_work_began_is_bound_with_it() {
    let ends = Bound::default();
    let at = Moment::from_millis;
    let work = {
        let ends = ends.clone();
        async move {
            ends.set(at(1000)).unwrap();
            std::future::pending::<()>().await
        }
    };
    let flight = Flight::bounded(ends, work);
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let mut join = Box::pin(flight.join());
    let mut is_bound_on = |runtime: &tokio::runtime::Runtime, limit| {
        let _entered = runtime.enter();
        assert!(join.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        join.ends_by(at(limit))
    };
    assert!(is_bound_on(&first, 1000));
    assert!(!is_bound_on(&first, 999));
    assert!(!is_bound_on(&second, 1000), "it has moved to another runtime");
    assert!(!flight.join().ends_by(at(1000)), "it has not been polled");
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
    let outcome = tokio::time::timeout(Duration::from_secs(5), waiter).await;
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
    let outcome = tokio::time::timeout(Duration::from_secs(5), waiter).await;
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

/// When a runtime ends, its timers panic in the hands of those who poll them on another.
#[test]
fn a_panic_where_the_work_did_not_begin_is_nobodys() {
    let (panic, told) = oneshot::channel::<()>();
    let flight: Arc<Flight<u32>> = Flight::new(async move {
        told.await.ok();
        panic!("on purpose")
    });
    let runtimes: [_; 2] = std::array::from_fn(|_| tokio::runtime::Builder::new_current_thread().build().unwrap());
    let mut joins: [_; 2] = std::array::from_fn(|_| Box::pin(flight.join()));
    let mut poll = |who: usize| {
        let _entered = runtimes[who].enter();
        joins[who].as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    assert!(poll(0).is_pending() && poll(1).is_pending());
    panic.send(()).unwrap();
    assert_eq!((poll(1), poll(0)), (Poll::Ready(None), Poll::Ready(None)));
    assert!(!flight.is_under_way());
}

#[test]
fn a_herd_that_moves_and_leaves_takes_its_first_pilot_along() {
    let (flight, step) = steps(8);
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let mut herd = (0..HERD).map(|_| Box::pin(flight.join())).collect::<Vec<_>>();
    for runtime in [&first, &second] {
        let entered = runtime.enter();
        for join in &mut herd {
            assert!(join.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(entered);
        runtime.block_on(yields());
    }
    drop((herd, flight));
    first.block_on(yields());
    second.block_on(yields());
    assert!(step.is_closed());
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
