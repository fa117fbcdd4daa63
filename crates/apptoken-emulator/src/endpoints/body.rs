//! Answers' bodies: whole, or broken off on demand.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// A body in memory.
#[derive(Debug)]
pub(crate) struct Body {
    data: Option<Bytes>,
    /// Bytes promised in `Content-Length` that never come.
    missing: u64,
}

/// The connection ends in the middle of a body, as was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truncated;

impl Body {
    pub(crate) fn whole(data: impl Into<Bytes>) -> Self {
        Self { data: Some(data.into()), missing: 0 }
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

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        let body = self.get_mut();
        Poll::Ready(match body.data.take() {
            Some(data) if !data.is_empty() => Some(Ok(Frame::data(data))),
            _ if body.missing > 0 => Some(Err(Truncated)),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.missing == 0 && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64) + self.missing)
    }
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("truncated on demand")
    }
}

impl std::error::Error for Truncated {}
