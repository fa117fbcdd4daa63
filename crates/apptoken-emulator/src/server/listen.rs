//! Sockets to listen on: loopback, both address families, one port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, lookup_host};

/// Binds an address such as `127.0.0.1:0` or `localhost:8443`. With 127.0.0.1 comes ::1 at the same port where the
/// machine has it, because that is what `localhost` may mean to a client.
pub(crate) async fn bind(address: &str) -> io::Result<Vec<TcpListener>> {
    let mut addresses: Vec<SocketAddr> = lookup_host(address).await?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    let Some(&first) = addresses.first() else { return Err(io::ErrorKind::AddrNotAvailable.into()) };
    if first.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) && !addresses.iter().any(SocketAddr::is_ipv6) {
        addresses.push(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), first.port()));
    }
    let mut attempts = 0;
    loop {
        match bind_all(first, &addresses[1..]).await {
            // The port was free on one address only, and another can be had.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && first.port() == 0 && attempts < ATTEMPTS => {
                attempts += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Whether only this machine can reach it.
pub(crate) fn is_loopback(listeners: &[TcpListener]) -> bool {
    listeners.iter().all(|listener| listener.local_addr().is_ok_and(|address| address.ip().is_loopback()))
}

async fn bind_all(first: SocketAddr, others: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = vec![TcpListener::bind(first).await?];
    let port = listeners[0].local_addr()?.port();
    for other in others {
        match TcpListener::bind(SocketAddr::new(other.ip(), port)).await {
            Ok(listener) => listeners.push(listener),
            // A client that tries this address first would meet whoever has it.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // A machine without IPv6.
            Err(error) => tracing::debug!(%other, %error, "not listening there"),
        }
    }
    Ok(listeners)
}

const ATTEMPTS: usize = 16;
