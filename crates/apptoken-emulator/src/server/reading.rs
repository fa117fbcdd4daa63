//! Whether a client takes the answers that it asked for. Of a connection with many streams TCP does not tell: a client
//! can read, answer pings, and never make room for a body (flow control, RFC 9113 §5.2).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

/// The pieces of one connection's bodies that wait to be sent.
#[derive(Clone, Default)]
pub(super) struct Reading(Arc<Mutex<Hands>>);

/// Counts by turns, so that nothing here needs to know the time.
#[derive(Default)]
struct Hands {
    turn: usize,
    /// Pieces of which something was last sent in this turn or the one before, at the turn's parity.
    waiting: [usize; 2],
}

/// A body whose pieces are watched.
pub(super) struct Watched<B> {
    body: B,
    reading: Reading,
}

/// Bytes that know when they are sent.
pub(super) struct Piece {
    bytes: Bytes,
    reading: Reading,
    /// In which turn something of it was last sent, while there is more.
    moved: Option<usize>,
}

impl Reading {
    pub(super) fn watch<B>(&self, body: B) -> Watched<B> {
        Watched { body, reading: self.clone() }
    }

    /// Until there was no room for a piece in all of a `turn`: once or twice this long.
    pub(super) async fn stalled(&self, turn: Duration) {
        loop {
            tokio::time::sleep(turn).await;
            if self.change(Hands::next_turn) {
                return;
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Hands) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hands {
    /// Whether a piece has waited since before the turn that ends.
    fn next_turn(&mut self) -> bool {
        self.turn += 1;
        self.waiting[self.turn % 2] > 0
    }

    /// A piece was made, or moved.
    fn count(&mut self, moved: &mut Option<usize>, more: bool) {
        if let Some(before) = moved.take() {
            self.waiting[before % 2] -= 1;
        }
        if more {
            self.waiting[self.turn % 2] += 1;
            *moved = Some(self.turn);
        }
    }
}

impl Piece {
    fn new(bytes: Bytes, reading: Reading) -> Self {
        let mut piece = Self { bytes, reading, moved: None };
        piece.count();
        piece
    }

    fn count(&mut self) {
        let more = self.bytes.has_remaining();
        self.reading.change(|hands| hands.count(&mut self.moved, more));
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, sent: usize) {
        self.bytes.advance(sent);
        self.count();
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.bytes.clear();
        self.count();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Piece;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, B::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        frame.map_ok(|frame| frame.map_data(|bytes| Piece::new(bytes, this.reading.clone())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
