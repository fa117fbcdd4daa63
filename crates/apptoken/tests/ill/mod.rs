//! An authority over HTTPS that does what it is told, well or ill: down to the bytes on the wire.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared by tests that each use a part")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use apptoken::clock::{Clock, ManualClock};
use apptoken_jose::issue::Ca;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What an authority does with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// Reads the request and sends these bytes, which are an HTTP answer or are not.
    Sends(String),
    /// Nobody listens.
    Refuses,
    /// Closes the connection when the TLS handshake begins.
    CutsTheHandshake,
    /// Shows a certificate that nobody trusts.
    PosesAsTheAuthority,
    /// Reads the request and closes.
    Closes,
    /// Reads the request and resets the connection.
    Resets,
    /// Reads the request and says nothing more.
    Hangs,
    /// Sends the head of an answer and then a byte now and then, for ever.
    Drips,
    /// Sends headers without end.
    SendsEndlessHeaders,
    /// Sends an answer of a gibibyte.
    SendsAGibibyte,
}

pub struct IllAuthority {
    address: SocketAddr,
    /// Bound and never listening: while nobody listens, nobody else gets the port.
    _port: TcpSocket,
    does: Arc<Mutex<Vec<Does>>>,
    server: Option<JoinHandle<()>>,
}

impl IllAuthority {
    pub async fn start() -> Self {
        let port = bound(([127, 0, 0, 1], 0).into());
        let address = port.local_addr().unwrap();
        let mut authority = Self { address, _port: port, does: Arc::default(), server: None };
        authority.listen();
        authority
    }

    fn listen(&mut self) {
        let listener = bound(self.address).listen(1024).unwrap();
        self.server = Some(tokio::spawn(serve(listener, self.does.clone())));
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// From now on one after the other, and the last for ever.
    pub async fn does(&mut self, does: impl Into<Vec<Does>>) {
        let does = does.into();
        if let Some(server) = self.server.take_if(|_| does.contains(&Does::Refuses)) {
            server.abort();
            assert!(server.await.unwrap_err().is_cancelled());
        } else if self.server.is_none() && !does.contains(&Does::Refuses) {
            self.listen();
        }
        *self.does.lock().unwrap() = does;
    }
}

impl Drop for IllAuthority {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// Two sockets of one process may share an address so, of which one listens.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    #[cfg(unix)]
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

pub fn ca_pem() -> String {
    pki().ca_pem.clone()
}

/// A whole answer.
pub fn http(status: u16, headers: &[(&str, &str)], body: &str) -> Does {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let length = body.len();
    Does::Sends(format!(
        "HTTP/1.1 {status} Whatever\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

async fn serve(listener: TcpListener, does: Arc<Mutex<Vec<Does>>>) {
    // they end with the server
    let mut connections = JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let next = {
            let mut does = does.lock().unwrap();
            if does.len() > 1 { does.remove(0) } else { does[0].clone() }
        };
        // how a connection ends is the client's affair too
        connections.spawn(async move { connection(tcp, next).await.ok() });
    }
}

async fn connection(tcp: TcpStream, does: Does) -> std::io::Result<()> {
    tcp.set_nodelay(true)?;
    let acceptor = match does {
        Does::CutsTheHandshake => return Ok(()),
        Does::PosesAsTheAuthority => &pki().stranger,
        _ => &pki().trusted,
    };
    let mut stream = acceptor.accept(tcp).await?;
    read_request(&mut stream).await?;
    match does {
        Does::Sends(bytes) => {
            stream.write_all(bytes.as_bytes()).await?;
            stream.shutdown().await
        }
        Does::Resets => stream.get_ref().0.set_zero_linger(),
        Does::Hangs => std::future::pending().await,
        Does::Drips => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{").await?;
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                stream.write_all(b" ").await?;
            }
        }
        Does::SendsEndlessHeaders => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all(b"x-more: and more and more and more and more and more and more\r\n").await?;
            }
        }
        Does::SendsAGibibyte => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await?;
            for _ in 0..1 << 14 {
                stream.write_all(&[b' '; 1 << 16]).await?;
            }
            Ok(())
        }
        Does::Closes | Does::Refuses | Does::CutsTheHandshake | Does::PosesAsTheAuthority => Ok(()),
    }
}

/// Head and body, so that nothing unread makes the close a reset.
async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<()> {
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).await?;
        seen.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&seen);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(());
            }
        }
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

struct Pki {
    ca_pem: String,
    trusted: TlsAcceptor,
    stranger: TlsAcceptor,
}

fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let now = ManualClock::default().system_time();
        let (ca, other) = (Ca::generate("Trusted", now).unwrap(), Ca::generate("Unknown", now).unwrap());
        Pki { ca_pem: ca.certificate().to_pem(), trusted: acceptor(&ca), stranger: acceptor(&other) }
    })
}

fn acceptor(ca: &Ca) -> TlsAcceptor {
    let leaf = ca.server_leaf(&["localhost"], ManualClock::default().system_time()).unwrap();
    let chain = leaf.chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key_pkcs8_der.to_vec()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
