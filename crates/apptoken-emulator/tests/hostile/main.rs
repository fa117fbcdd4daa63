//! Input meant to hurt. Nothing here may panic, block others, or grow without bound: each shows the exact answer, and that
//! the next client is served.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

#[path = "../common/mod.rs"]
mod common;
mod connections;
mod flow_control;
mod heads;
mod names;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use common::{Entra, good};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const TOKEN: &str = "/contoso.com/oauth2/v2.0/token";

impl Entra {
    fn address(&self) -> std::net::SocketAddr {
        let port = self.emulator.authority().rsplit_once(':').unwrap().1.parse().unwrap();
        std::net::SocketAddr::from(([127, 0, 0, 1], port))
    }

    async fn tls(&self) -> TlsStream<TcpStream> {
        self.tls_for(&[]).await
    }

    /// Offering these protocols.
    async fn tls_for(&self, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.emulator.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// Bytes that no HTTP library would send.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.tls().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("an end");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A good request for a token, at this path, in bytes.
    async fn raw_token(&self, path: &str) -> String {
        let body = good(&[]);
        let length = body.len();
        let head = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n";
        self.raw(&format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{head}\r\n{body}"))
            .await
    }

    async fn still_serves(&self) {
        assert_eq!(self.token(&[]).await.status, 200);
    }
}

/// That the server closes the connection, and what it said before.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status and body of an answer in bytes.
fn parts(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    (head.get(9..12).unwrap_or(head), body)
}
