//! An API behind TLS that asks for a client certificate, and answers with what it was shown.

use std::sync::Arc;
use std::time::SystemTime;

use apptoken_jose::issue::Ca;
use apptoken_jose::{Certificate, base64url};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub struct TlsApi {
    /// With a slash at its end.
    pub base: String,
    pub ca_pem: String,
    server: tokio::task::JoinHandle<()>,
}

impl TlsApi {
    /// It takes `client` only. Its answer is a JSON list: the `Authorization` header, and the SHA-256 of the certificate.
    pub async fn start(client: &Certificate, now: SystemTime) -> Self {
        let ca = Ca::generate("the API's", now).unwrap();
        let leaf = ca.server_leaf(&["localhost"], now).unwrap();
        let chain = leaf.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::try_from(leaf.key_pkcs8_der.to_vec()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(client.der().to_vec())).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let peer = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                let shown = base64url::encode(&Certificate::from_der(peer).unwrap().thumbprint_sha256());
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let header = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap();
                let body = serde_json::json!([header, shown]).to_string();
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
                stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { base, ca_pem: ca.certificate().to_pem(), server }
    }
}

impl Drop for TlsApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}
