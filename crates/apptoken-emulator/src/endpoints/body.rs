//! Answers' bodies: whole, or broken off on demand.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Sleep, sleep};

/// A body in memory, or one that comes in pieces.
#[derive(Debug)]
pub(crate) struct Body {
    data: Option<Bytes>,
    /// Bytes promised in `Content-Length` that never come.
    missing: u64,
    /// Between the last byte and the end, so that the byte is on its way before the connection is given up.
    pause: Option<Pin<Box<Sleep>>>,
    /// Pieces to come, until the sender is gone.
    stream: Option<mpsc::Receiver<Bytes>>,
}

/// The connection ends in the middle of a body, as was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truncated;

impl Body {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), missing: 0, pause: None, stream: None }
    }

    /// What the other end of the channel sends, piece by piece.
    pub(crate) fn stream(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { data: None, missing: 0, pause: None, stream: Some(pieces) }
    }

    /// What a `HEAD` request gets: how long the body would have been, and no body.
    pub(crate) fn take_length(&mut self) -> usize {
        self.stream = None;
        std::mem::take(&mut self.data).map_or(0, |data| data.len())
    }

    /// The first half of this body, under the length of the whole.
    pub(crate) fn truncate(mut self) -> Self {
        if let Some(data) = &mut self.data {
            let half = data.len() / 2;
            self.missing = (data.len() - half) as u64;
            data.truncate(half);
        }
        self
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        let body = self.get_mut();
        if let Some(stream) = &mut body.stream {
            return stream.poll_recv(cx).map(|piece| piece.map(|data| Ok(Frame::data(data))));
        }
        match body.data.take() {
            Some(data) if !data.is_empty() => Poll::Ready(Some(Ok(Frame::data(data)))),
            _ if body.missing == 0 => Poll::Ready(None),
            _ => {
                let pause = body.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
                pause.as_mut().poll(cx).map(|()| Some(Err(Truncated)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.missing == 0 && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream.is_some() {
            return SizeHint::default();
        }
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64) + self.missing)
    }
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("truncated on demand")
    }
}

impl std::error::Error for Truncated {}

const PAUSE: Duration = Duration::from_millis(50);
