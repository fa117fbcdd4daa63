//! HTTPS: a certificate authority of one's own, and a server certificate under it.

use std::sync::Arc;
use std::time::SystemTime;

use apptoken_jose::KeyError;
use apptoken_jose::issue::Ca;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// The CA, and the acceptor that it made.
pub(crate) struct Tls {
    pub(crate) ca_pem: String,
    pub(crate) acceptor: TlsAcceptor,
}

impl Tls {
    /// A server certificate for `localhost`, the loopback addresses and `names`, under `ca` or a new CA.
    pub(crate) fn new(ca: Option<Ca>, names: &[String], now: SystemTime) -> Result<Self, KeyError> {
        let ca = match ca {
            Some(ca) => ca,
            None => Ca::generate("apptoken local Entra ID (development only)", now)?,
        };
        let own = ["localhost", "127.0.0.1", "::1"];
        let names: Vec<&str> = own.into_iter().chain(names.iter().map(String::as_str)).collect();
        let leaf = ca.server_leaf(&names, now)?;
        let chain = leaf.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key_pkcs8_der.to_vec()));
        let failed = |_| KeyError::Generate("the server's TLS configuration");
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(failed)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { ca_pem: ca.certificate().to_pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
