//! HTTPS: a certificate authority of one's own, and server certificates under it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use apptoken_jose::issue::Ca;
use apptoken_jose::{Certificate, KeyError};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::client_certificate::AnyCertificate;
use crate::hosts::{is_microsoft_host, is_mtls_host};

/// The CA, and what connections are made with.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    /// SHA-1 of its own certificate, upper-case hex.
    pub(crate) thumbprint: String,
    pub(crate) acceptor: Acceptor,
}

/// Makes TLS connections: asking for a client certificate, or not.
#[derive(Clone)]
pub(crate) struct Acceptor {
    plain: Arc<ServerConfig>,
    asking: Arc<ServerConfig>,
    always_asks: bool,
}

impl Acceptor {
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let started = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let asks = self.always_asks || started.client_hello().server_name().is_some_and(is_mtls_host);
        started.into_stream(Arc::clone(if asks { &self.asking } else { &self.plain })).await
    }
}

impl Tls {
    /// A server certificate for `localhost`, the loopback addresses and `names`, under `ca`; and one for
    /// each of Microsoft's names that a client asks for.
    pub(crate) fn new(ca: Ca, names: &[String], always_asks: bool, now: SystemTime) -> Result<Self, KeyError> {
        let own = ["localhost", "127.0.0.1", "::1"];
        let names: Vec<&str> = own.into_iter().chain(names.iter().map(String::as_str)).collect();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let ca_pem = ca.certificate().to_pem();
        let own = issue(&ca, &names, now, &provider)?;
        let leaf = own.cert.first().map_or(Vec::new(), |der| der.to_vec());
        let thumbprint = Certificate::from_der(leaf)?.thumbprint_hex();
        let leaves = Leaves { ca, now, provider: Arc::clone(&provider), own, issued: Mutex::default() };
        let leaves = Arc::new(leaves);
        let config = |client_certificates: Arc<dyn ClientCertVerifier>| {
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|_| FAILED)?
                .with_client_cert_verifier(client_certificates)
                .with_cert_resolver(Arc::clone(&leaves) as _);
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Ok(Arc::new(config))
        };
        let (plain, asking) = (config(Arc::new(NoClientAuth))?, config(AnyCertificate::new(&provider))?);
        Ok(Self { ca_pem, thumbprint, acceptor: Acceptor { plain, asking, always_asks } })
    }
}

/// Server certificates by the name that the client asks for.
#[derive(Debug)]
struct Leaves {
    ca: Ca,
    /// When the server started: what it issues is valid for a year from then.
    now: SystemTime,
    provider: Arc<CryptoProvider>,
    own: Arc<CertifiedKey>,
    /// By host name of Microsoft's, in lower case; at most [`MOST_LEAVES`].
    issued: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match hello.server_name() {
            Some(name) if is_microsoft_host(name) => self.of_microsoft(name.to_ascii_lowercase()),
            _ => Some(Arc::clone(&self.own)),
        }
    }
}

impl Leaves {
    fn of_microsoft(&self, name: String) -> Option<Arc<CertifiedKey>> {
        // A thread that panicked while it held the lock left the map whole.
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = issued.get(&name) {
            return Some(Arc::clone(leaf));
        }
        let leaf = issue(&self.ca, &[&name], self.now, &self.provider)
            .inspect_err(|error| tracing::warn!(%name, %error, "no certificate for this name"))
            .ok()?;
        // Regional names are without end.
        if issued.len() >= MOST_LEAVES {
            issued.clear();
        }
        issued.insert(name, Arc::clone(&leaf));
        Some(leaf)
    }
}

fn issue(ca: &Ca, names: &[&str], now: SystemTime, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, KeyError> {
    let leaf = ca.server_leaf(names, now)?;
    let chain = leaf.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key_pkcs8_der.to_vec()));
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).map_err(|_| FAILED)
}

const FAILED: KeyError = KeyError::Generate("the server's TLS configuration");
const MOST_LEAVES: usize = 64;
