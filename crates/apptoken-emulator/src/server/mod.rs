//! Listening, TLS and HTTP. A slow or silent client costs one bounded task and nobody's time.

mod client_certificate;
mod listen;
mod reading;
mod socket;
mod tls;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apptoken_jose::Certificate;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use listen::{bind, is_loopback};
pub(crate) use tls::{Acceptor, Tls};

use crate::endpoints::{Reply, handle};
use crate::state::State;
use reading::Reading;
use socket::{Reset, Socket};

/// Says when to stop.
pub(crate) type Stop = watch::Receiver<bool>;

/// Serves until told to stop, then lets requests under way finish within [`crate::Limits::shutdown`].
pub(crate) async fn serve(listeners: Vec<(TcpListener, Option<Acceptor>)>, state: Arc<State>, stop: Stop) {
    let mut connections = JoinSet::new();
    let mut accepting = JoinSet::new();
    let (sender, mut accepted) = tokio::sync::mpsc::channel(16);
    for (listener, tls) in listeners {
        let (sender, mut stop) = (sender.clone(), stop.clone());
        accepting.spawn(async move {
            loop {
                tokio::select! {
                    () = stopped(&mut stop) => break,
                    tcp = accept(&listener) => if sender.send((tcp, tls.clone())).await.is_err() { break },
                }
            }
        });
    }
    drop(sender);
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            Some((tcp, tls)) = accepted.recv() => {
                // Reaps what has ended, then admits one more if there is room.
                while connections.try_join_next().is_some() {}
                if connections.len() < state.limits.connections {
                    connections.spawn(connection(tcp, tls, Arc::clone(&state), stop.clone()));
                } else {
                    tracing::warn!(limit = state.limits.connections, "too many connections: one was closed");
                }
            }
            else => break,
        }
    }
    accepting.abort_all();
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(state.limits.shutdown, finish).await.is_err() {
        connections.abort_all();
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => return tcp,
            Err(error) => {
                // Out of file descriptors, mostly: others must close before the next can be taken.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(tcp: TcpStream, tls: Option<Acceptor>, state: Arc<State>, stop: Stop) {
    // Small answers, each awaited by a client: nothing to gain from Nagle's delay.
    let _ = tcp.set_nodelay(true);
    let (socket, reset) = Socket::new(tcp, state.limits.write);
    let Some(tls) = tls else {
        return http(socket, Protocol::Http1, state, stop, reset, Security::None).await;
    };
    match tokio::time::timeout(state.limits.handshake, tls.accept(socket)).await {
        Ok(Ok(stream)) => {
            let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if h2 { Protocol::Http2 } else { Protocol::Http1 };
            let security = Security::Tls { client_certificate: client_certificate::shown(stream.get_ref().1) };
            http(stream, protocol, state, stop, reset, security).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}

/// Chosen by ALPN: looking at the first bytes instead would wait for them without a limit.
enum Protocol {
    Http1,
    Http2,
}

/// What the connection itself says about the client.
enum Security {
    None,
    Tls { client_certificate: Option<Certificate> },
}

async fn http<S>(stream: S, protocol: Protocol, state: Arc<State>, mut stop: Stop, reset: Reset, security: Security)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = state.limits.clone();
    let (spoken, reading) = (Arc::new(AtomicBool::new(false)), Reading::default());
    let service = {
        let (stop, spoken, reading) = (stop.clone(), Arc::clone(&spoken), reading.clone());
        service_fn(move |mut request: Request<Incoming>| {
            spoken.store(true, Ordering::Relaxed);
            let secure = match &security {
                Security::None => false,
                Security::Tls { client_certificate } => {
                    if let Some(certificate) = client_certificate {
                        request.extensions_mut().insert(certificate.clone());
                    }
                    true
                }
            };
            let (state, reset, mut stop) = (Arc::clone(&state), reset.clone(), stop.clone());
            let reading = reading.clone();
            async move {
                match handle(state, request, secure).await {
                    Reply::Answer(response) => Ok(response.map(|body| reading.watch(body))),
                    Reply::Reset => {
                        reset.now();
                        Err(io::Error::from(io::ErrorKind::ConnectionReset))
                    }
                    Reply::Hang => {
                        stopped(&mut stop).await;
                        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
                    }
                }
            }
        })
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(LONGEST_HEAD)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(32 * 1024);
    let builder = match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    };
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => Some(outcome),
        () = silence(&spoken, limits.head) => return tracing::debug!("no request came"),
        () = reading.stalled(limits.write) => None,
        () = stopped(&mut stop) => None,
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.shutdown, connection).await {
                Ok(outcome) => outcome,
                Err(_) => return tracing::debug!("a connection was given up"),
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}

/// Until so much time has passed without a request. HTTP/2's own timers begin only when its preface has come.
async fn silence(spoken: &AtomicBool, limit: Duration) {
    tokio::time::sleep(limit).await;
    if spoken.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

/// Also when the one who could say so is gone.
pub(crate) async fn stopped(stop: &mut Stop) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// Bytes of a request's head.
const LONGEST_HEAD: usize = 64 * 1024;
/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 256;
