//! Bytes both ways, until both ends are done or neither has said anything for too long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Duplex;

/// A connection that first gives what was read too early, and counts the bytes that pass.
pub(super) struct Stream<S> {
    inner: S,
    early: Bytes,
    passed: Arc<AtomicU64>,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: S, early: Bytes) -> Self {
        Self { inner, early, passed: Arc::default() }
    }
}

/// Copies both ways.
pub(super) async fn relay<S: Duplex>(mut near: Stream<S>, mut far: impl Duplex, idle: Duration) -> io::Result<()> {
    let passed = Arc::clone(&near.passed);
    let silence = async move {
        let mut before = None;
        loop {
            let now = passed.load(Ordering::Relaxed);
            if before == Some(now) {
                return;
            }
            before = Some(now);
            tokio::time::sleep(idle).await;
        }
    };
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut near, &mut far) => copied.map(drop),
        () = silence => Err(io::Error::new(io::ErrorKind::TimedOut, "silent for too long")),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.passed.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = outcome {
            self.passed.fetch_add(written as u64, Ordering::Relaxed);
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn early_bytes_come_first_and_silence_ends_it() {
        let (near, mut client) = duplex(64);
        let (far, mut server) = duplex(64);
        let idle = Duration::from_millis(200);
        let relaying = tokio::spawn(relay(Stream::new(near, Bytes::from_static(b"hel")), far, idle));
        client.write_all(b"lo").await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(80)).await;
            server.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
        }
        assert!(!relaying.is_finished(), "one side talks: that is no silence");
        let error = relaying.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
