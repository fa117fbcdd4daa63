use std::mem;
use std::task::Waker;

use crate::sync::{HERD, RuntimeId};

/// Those who wait, by the runtime that polls them. It is used under the flight's lock, and so neither calls nor drops a
/// waker: those to call and those that are not needed any more come back.
#[derive(Default)]
pub(super) struct Crowds {
    crowds: Vec<Crowd>,
}

/// Those who wait on one runtime, or on none.
struct Crowd {
    runtime: Option<RuntimeId>,
    waiting: Waiting,
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

/// To be dropped after the lock.
pub(super) type Unused = [Option<Waker>; 2];

#[derive(Clone, Copy)]
pub(super) struct Ticket {
    crowd: usize,
    place: usize,
}

/// A place for each who waits, to come back to whenever called. They lie side by side: all of them are called at once.
#[derive(Default)]
struct Waiting {
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// How many places hold a waker.
    count: usize,
}

impl Ticket {
    /// Whether it is for the runtime of who was first to wait, and so began the work.
    pub(super) fn is_of_the_first(self) -> bool {
        self.crowd == 0
    }
}

impl Crowds {
    /// Says whether the caller is to start a pilot, and gives back that of another crowd, to wake as nobody of it is left.
    pub(super) fn wait(
        &mut self,
        ticket: &mut Option<Ticket>,
        waker: Waker,
        runtime: Option<RuntimeId>,
    ) -> (bool, Unused, Option<Waker>) {
        // a future that another runtime goes on with belongs to its crowd
        let moved = ticket.take_if(|ticket| self.crowds[ticket.crowd].runtime != runtime);
        let (moved, left) = moved.map_or((None, None), |ticket| self.leave(ticket));
        let Ticket { crowd, place } = *ticket.get_or_insert_with(|| {
            let crowd = self.crowds.iter().position(|crowd| crowd.runtime == runtime).unwrap_or_else(|| {
                self.crowds.push(Crowd { runtime, waiting: Waiting::default(), pilot: Called::Singly });
                self.crowds.len() - 1
            });
            Ticket { crowd, place: self.crowds[crowd].waiting.come() }
        });
        let crowd = &mut self.crowds[crowd];
        let replaced = crowd.waiting.put(place, waker);
        let is_herd = runtime.is_some() && crowd.waiting.count >= HERD && matches!(crowd.pilot, Called::Singly);
        if is_herd {
            crowd.pilot = Called::PilotComes;
        }
        (is_herd, [moved, replaced], left)
    }

    /// Gives back the waker of who leaves, and that of the pilot to wake when it has nobody left to go for.
    pub(super) fn leave(&mut self, ticket: Ticket) -> (Option<Waker>, Option<Waker>) {
        let crowd = &mut self.crowds[ticket.crowd];
        let removed = crowd.waiting.leave(ticket.place);
        let pilot = if crowd.waiting.count == 0 { crowd.pilot.take() } else { None };
        (removed, pilot)
    }

    /// A pilot waits in place of the crowd, and says so, if there still is one: the last of it may have left, or, woken, be
    /// about to come back and call another pilot.
    pub(super) fn pilot_waits(&mut self, ticket: Ticket, waker: Waker) -> (bool, Unused) {
        let crowd = &mut self.crowds[ticket.crowd];
        let replaced = crowd.pilot.take();
        if crowd.waiting.count == 0 {
            crowd.pilot = Called::Singly;
            return (false, [replaced, Some(waker)]);
        }
        crowd.pilot = Called::ByPilot(waker);
        (true, [replaced, None])
    }

    /// Its runtime has dropped the pilot: the crowd is called now, and from now on singly.
    pub(super) fn pilot_is_gone(&mut self, ticket: Ticket) -> (Vec<Waker>, Option<Waker>) {
        let crowd = &mut self.crowds[ticket.crowd];
        let replaced = crowd.pilot.take();
        crowd.pilot = Called::NeverByPilot;
        (crowd.waiting.call().collect(), replaced)
    }

    /// Those to wake for a turn.
    pub(super) fn call(&mut self) -> Vec<Waker> {
        let mut called = Vec::new();
        for crowd in &mut self.crowds {
            match &mut crowd.pilot {
                Called::Singly | Called::NeverByPilot => called.extend(crowd.waiting.call()),
                pilot => called.extend(pilot.take()),
            }
        }
        called
    }

    /// Those to wake for the outcome.
    pub(super) fn call_all(&mut self) -> Vec<Waker> {
        let mut called = self.call();
        called.extend(self.crowds.iter_mut().flat_map(|crowd| crowd.waiting.call()));
        called
    }

    pub(super) fn waiting(&self) -> usize {
        self.crowds.iter().map(|crowd| crowd.waiting.count).sum()
    }
}

impl Waiting {
    fn come(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }

    fn put(&mut self, place: usize, waker: Waker) -> Option<Waker> {
        let replaced = self.places[place].replace(waker);
        self.count += usize::from(replaced.is_none());
        replaced
    }

    fn leave(&mut self, place: usize) -> Option<Waker> {
        self.free.push(place);
        let waker = self.places[place].take();
        self.count -= usize::from(waker.is_some());
        waker
    }

    /// All of them, who keep their places.
    fn call(&mut self) -> impl Iterator<Item = Waker> {
        self.count = 0;
        self.places.iter_mut().filter_map(Option::take)
    }
}

impl Called {
    /// The waker of a pilot that waits, which so is on its way.
    fn take(&mut self) -> Option<Waker> {
        match mem::replace(self, Self::PilotComes) {
            Self::ByPilot(waker) => Some(waker),
            other => {
                *self = other;
                None
            }
        }
    }
}
