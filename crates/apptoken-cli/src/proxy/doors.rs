//! The same ways for a program that has a network of its own: what it connects to there says whom it means.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::server::Acceptor;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::head::Target;
use super::layout::{Door, Layout};
use super::relay::Stream;
use super::traffic::{Traffic, Verdict};
use super::{HEAD, IDLE, MOST_CONNECTIONS, Plan, Proxy, Route, accept, carry, names, relay, within};

impl Proxy {
    /// Serves sockets that listen in the program's network.
    pub(crate) fn behind(
        plan: Plan,
        layout: Layout,
        listeners: Vec<std::net::TcpListener>,
        resolver: Option<std::net::UdpSocket>,
    ) -> io::Result<Self> {
        let mut proxy = Self::new();
        let (plan, layout, places) = (Arc::new(plan), Arc::new(layout), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (plan, layout, traffic) = (Arc::clone(&plan), Arc::clone(&layout), Arc::clone(&proxy.traffic));
            proxy.serving.spawn(accept(listener, Arc::clone(&places), move |client, local| {
                let (plan, layout, traffic) = (Arc::clone(&plan), Arc::clone(&layout), Arc::clone(&traffic));
                async move { enter(client, local, &plan, &layout, &traffic).await }
            }));
        }
        if let Some(socket) = resolver {
            socket.set_nonblocking(true)?;
            let socket = tokio::net::UdpSocket::from_std(socket)?;
            let (layout, traffic) = (Arc::clone(&layout), Arc::clone(&proxy.traffic));
            proxy.serving.spawn(async move {
                if let Err(error) = names::serve(socket, layout, traffic).await {
                    tracing::warn!(%error, "no names are answered any more");
                }
            });
        }
        Ok(proxy)
    }
}

async fn enter(
    mut client: TcpStream,
    local: SocketAddr,
    plan: &Plan,
    layout: &Layout,
    traffic: &Traffic,
) -> io::Result<()> {
    let mut early = Bytes::new();
    let (route, target) = match layout.door(local) {
        Some(Door::Own) => return relay::relay(Stream::new(client, early), plan.entra().await?, IDLE).await,
        Some(Door::Identity) => (Route::Identity, Target { host: local.ip().to_string(), port: local.port() }),
        Some(Door::Microsoft) => {
            let (name, read) = within(HEAD, "the beginning of a TLS handshake", server_name(&mut client)).await??;
            early = read;
            let host = name.unwrap_or_else(|| "login.microsoftonline.com".to_owned());
            (Route::Entra, Target { host, port: local.port() })
        }
        Some(Door::Name(target)) => (plan.route(&target), target),
        None => return Ok(()),
    };
    tracing::debug!(host = %target.host, port = target.port, ?route, "connection");
    if let Route::Refused = route {
        traffic.count(Verdict::Refused, &target.host);
        return Ok(());
    }
    match plan.open(route, &target).await {
        Ok(far) => {
            traffic.count(route.verdict(), &target.host);
            carry(Stream::new(client, early), far, route).await
        }
        Err(error) => {
            traffic.count(Verdict::Failed, &target.host);
            Err(error)
        }
    }
}

/// Whom a TLS client asks for, and what was read to know it.
async fn server_name(client: &mut TcpStream) -> io::Result<(Option<String>, Bytes)> {
    let (mut hello, mut read) = (Acceptor::default(), BytesMut::new());
    while read.len() < LONGEST_HELLO {
        let before = read.len();
        if client.read_buf(&mut read).await? == 0 {
            break;
        }
        let mut fresh = &read[before..];
        while !fresh.is_empty() && hello.read_tls(&mut fresh)? > 0 {}
        match hello.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                return Ok((name, read.freeze()));
            }
            Ok(None) => {}
            // not TLS: the other end says so in its own words
            Err(_) => break,
        }
    }
    Ok((None, read.freeze()))
}

const LONGEST_HELLO: usize = 32 * 1024;
