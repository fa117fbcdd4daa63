//! HTTPS for axum: connections appear once their handshake is done, so that a slow one keeps nobody waiting.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use apptoken_jose::KeyError;
use apptoken_jose::issue::Ca;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clock;
use crate::exit::Failure;

/// Accepts TLS connections on a free port of the loopback address.
pub(crate) struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    /// Dropping it ends the task.
    _accepting: JoinSet<()>,
}

impl TlsListener {
    /// With a certificate for this machine's names, issued by `ca`.
    pub(crate) async fn on_loopback(ca: &Ca) -> Result<Self, Failure> {
        let acceptor =
            acceptor(ca).map_err(|error| Failure::refused("the TLS server cannot be set up").because(&*error))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(16);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, acceptor, done));
        Ok(Self { address, ready, _accepting: accepting })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // the task has ended, with the runtime
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if handshakes.len() < MOST_HANDSHAKES => {
                    let (acceptor, done) = (acceptor.clone(), done.clone());
                    handshakes.spawn(async move {
                        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => drop(done.send((stream, peer)).await),
                            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
                        }
                    });
                }
                Ok((_, peer)) => tracing::warn!(%peer, "too many TLS handshakes at once"),
                // out of file descriptors, say: that passes
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}

fn acceptor(ca: &Ca) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let leaf = ca.server_leaf(&["localhost", "127.0.0.1", "::1"], clock::now())?;
    let chain: Vec<_> = leaf.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::try_from(leaf.key_pkcs8_der.to_vec()).map_err(|_| KeyError::Malformed("server key"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

const HANDSHAKE: Duration = Duration::from_secs(10);
const MOST_HANDSHAKES: usize = 256;
