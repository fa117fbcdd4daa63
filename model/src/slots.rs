//! Models of one key: its token, the requests in flight for it, its refresh.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::cache::{Outcome, Slot, Standing};
use crate::clock::Moment;
use crate::every_interleaving;
use crate::flight::Flight;
use crate::flights::Answer;
use crate::token::{How, Timetable, TokenData};
use crate::words::Error;

/// Two callers and no token: one request, and both get what it brings.
pub fn two_callers_one_request() {
    every_interleaving(|| {
        let authority = Authority::default();
        let (slot, answer) = (Arc::new(Slot::default()), Arc::new(Answer::default()));
        let other = thread::spawn({
            let (slot, authority, answer) = (slot.clone(), authority.clone(), answer.clone());
            move || get(&slot, &authority, &answer)
        });
        let network = thread::spawn({
            let answer = answer.clone();
            move || answer.bring(GOOD)
        });
        let mine = get(&slot, &authority, &answer);
        network.join().ok();
        let theirs = other.join().ok().flatten();
        assert_eq!(authority.requests.load(Ordering::SeqCst), 1, "more than one request");
        assert_eq!(mine.map(|token| token.number), Some(1));
        assert_eq!(theirs.map(|token| token.number), Some(1));
    });
}

/// The request fails for both; whoever asks afterwards is not handed the old failure but asks anew, and the slot is whole.
pub fn a_failure_is_shared_and_not_kept() {
    every_interleaving(|| {
        let authority = Authority::default();
        let (slot, answer) = (Arc::new(Slot::default()), Arc::new(Answer::default()));
        answer.bring(BAD);
        let other = thread::spawn({
            let (slot, authority, answer) = (slot.clone(), authority.clone(), answer.clone());
            move || get(&slot, &authority, &answer).is_none()
        });
        assert!(get(&slot, &authority, &answer).is_none());
        assert_eq!(other.join().ok(), Some(true));
        assert!(authority.most_at_once.load(Ordering::SeqCst) <= 1);
        answer.bring(GOOD);
        assert!(get(&slot, &authority, &answer).is_some(), "the slot is poisoned");
    });
}

/// A refresh is due: of two callers that see it, one asks, behind their backs, and both go on with the token in hand.
pub fn a_due_refresh_happens_once() {
    every_interleaving(|| {
        let authority = Authority::default();
        let (slot, answer) = (Arc::new(Slot::default()), Arc::new(Answer::default()));
        slot.store(token(0, NOW.0), 0);
        answer.bring(GOOD);
        let other = thread::spawn({
            let (slot, authority, answer) = (slot.clone(), authority.clone(), answer.clone());
            move || refresh(&slot, &authority, &answer)
        });
        refresh(&slot, &authority, &answer);
        other.join().ok();
        assert_eq!(authority.requests.load(Ordering::SeqCst), 1, "the refresh was asked for twice, or never");
        assert_eq!(
            slot.fresh(NOW).and_then(|fresh| fresh.token.as_ref().map(|token| token.number)),
            Some(1),
            "the new token was not kept"
        );
    });
}

/// A token is stored while another thread looks: what it sees as fresh is never the one before.
pub fn a_reader_never_takes_the_old_for_the_new() {
    every_interleaving(|| {
        let slot = Arc::new(Slot::default());
        slot.store(token(0, NOW.0), 0);
        let writer = thread::spawn({
            let slot = slot.clone();
            move || drop(slot.store(token(1, NOW.0 + 1000), 0))
        });
        if let Some(seen) = slot.fresh(NOW) {
            assert_eq!(
                seen.token.as_ref().map(|token| token.number),
                Some(1),
                "an old token under the new one's timetable"
            );
        }
        writer.join().ok();
    });
}

/// A refresh is noted late, when its token has come already: the note does not prolong the new one.
pub fn a_late_note_leaves_the_successor_alone() {
    every_interleaving(|| {
        let slot = Arc::new(Slot::default());
        let (old, new) = (token(0, NOW.0), token(1, NOW.0 + 100));
        slot.store(old.clone(), 0);
        let network = thread::spawn({
            let slot = slot.clone();
            move || drop(slot.store(new, 0))
        });
        slot.refreshing(&old, NOW);
        network.join().ok();
        assert!(slot.fresh(NOW + Duration::from_millis(200)).is_none(), "its refresh was due");
    });
}

/// One caller asks, looks once and leaves at whatever point; the other gets its token, from the same request or from one
/// that begins when the first has been given up.
pub fn a_caller_who_leaves_takes_nobody_along() {
    every_interleaving(|| {
        let authority = Authority::default();
        let (slot, answer) = (Arc::new(Slot::default()), Arc::new(Answer::default()));
        let leaver = thread::spawn({
            let (slot, authority, answer) = (slot.clone(), authority.clone(), answer.clone());
            move || {
                if let Ok(Some(join)) =
                    slot.join_or_ask(NOW, 0, None, |_| true, |number| authority.request(&slot, &answer, number))
                {
                    let _ = pin!(join).poll(&mut Context::from_waker(Waker::noop()));
                }
            }
        });
        answer.bring(GOOD);
        assert!(get(&slot, &authority, &answer).is_some());
        leaver.join().ok();
        assert!(authority.requests.load(Ordering::SeqCst) <= 2);
    });
}

/// The slot is cleared while a request is in flight: its caller gets the token, and it is not kept.
pub fn what_was_asked_before_a_clearing_is_not_kept() {
    every_interleaving(|| {
        let authority = Authority::default();
        let (slot, answer) = (Arc::new(Slot::default()), Arc::new(Answer::default()));
        let Ok(Some(join)) =
            slot.join_or_ask(NOW, 0, None, |_| true, |number| authority.request(&slot, &answer, number))
        else {
            unreachable!("nobody else asks");
        };
        let caller = thread::spawn(move || block_on(join).is_some_and(|outcome| outcome.is_ok()));
        let network = thread::spawn(move || answer.bring(GOOD));
        slot.clear();
        let cleared_last = slot.fresh(NOW).is_none();
        caller.join().ok();
        network.join().ok();
        assert!(cleared_last && slot.fresh(NOW).is_none(), "a token survived the clearing");
    });
}

/// What a caller does, as `acquire` does it.
fn get(slot: &Arc<Slot>, authority: &Authority, answer: &Arc<Answer>) -> Option<Arc<TokenData>> {
    loop {
        if let Standing::Fresh(token) = slot.standing(NOW) {
            return (*token.token).clone();
        }
        match slot.join_or_ask(NOW, 0, None, |_| true, |number| authority.request(slot, answer, number)) {
            Ok(Some(join)) => match block_on(join) {
                Some(outcome) => return outcome.ok().map(|(token, _)| token),
                None => continue,
            },
            Ok(None) => continue,
            Err(_) => return None,
        }
    }
}

/// A caller whose token is due: serves it, and sees to its successor.
fn refresh(slot: &Arc<Slot>, authority: &Authority, answer: &Arc<Answer>) {
    let Standing::Due(token) = slot.standing(NOW) else { return };
    if let Ok(Some(join)) = slot.join_or_ask(NOW, 0, None, |_| true, |number| authority.request(slot, answer, number)) {
        slot.refreshing(&token, NOW);
        block_on(join);
    }
}

/// Counts what it is asked.
#[derive(Clone, Default)]
struct Authority {
    requests: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Authority {
    fn request(&self, slot: &Arc<Slot>, answer: &Arc<Answer>, ticket: u16) -> Arc<Flight<Outcome>> {
        let (this, slot, answer) = (self.clone(), slot.clone(), answer.clone());
        Flight::new(async move {
            let number = this.requests.fetch_add(1, Ordering::SeqCst) + 1;
            let in_flight = InFlight::begin(&this);
            let outcome = match answer.come().await {
                GOOD => Ok((token(number, NOW.0 + 1000), How)),
                _ => Err(Error(None)),
            };
            drop(in_flight);
            match &outcome {
                Ok((token, _)) => {
                    slot.store(token.clone(), ticket);
                }
                Err(error) => slot.failed(error, NOW, ticket, 0),
            }
            outcome
        })
    }
}

/// One request on its way, until it is answered or dropped.
struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    fn begin(authority: &Authority) -> Self {
        let at_once = authority.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        authority.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        Self(authority.at_once.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn token(number: usize, refresh_at: u64) -> Arc<TokenData> {
    let refresh_at = Moment(refresh_at);
    let (margin_at, expires_at) = (refresh_at + Duration::from_secs(1), refresh_at + Duration::from_secs(2));
    Arc::new(TokenData { number, timetable: Timetable { refresh_at, margin_at, expires_at } })
}

const NOW: Moment = Moment(10_000);
const GOOD: u32 = 1;
const BAD: u32 = 2;
