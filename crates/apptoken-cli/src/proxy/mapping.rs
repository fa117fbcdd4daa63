//! `--map HOST=URL`: a name that leads elsewhere. TLS ends here, on both sides, and the bytes between pass untouched:
//! the `Host` header stays the name that the program called.

use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, io};

use apptoken_jose::issue::Ca;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use url::Url;

use super::head::Target;
use super::{Duplex, is_loopback};
use crate::clock;

/// As typed: `HOST[:PORT]=URL`.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    from: Target,
    /// Host, without brackets.
    to_host: String,
    to_port: u16,
    tls: bool,
}

/// A mapping with what its TLS needs.
pub(crate) struct Secured {
    pub(super) mapping: Mapping,
    acceptor: TlsAcceptor,
    /// For an `https` URL.
    connector: Option<(TlsConnector, ServerName<'static>)>,
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, url) = text.split_once('=').ok_or("a mapping is written HOST=URL")?;
        let with_port = if from.contains(':') { from.to_owned() } else { format!("{from}:443") };
        let from = Target::parse(&with_port).ok_or_else(|| format!("{from:?} is not a host name"))?;
        if is_loopback(&from.host) {
            return Err("programs reach this machine's own names past the proxy, so that they cannot be mapped".into());
        }
        let url = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
        let to_host = url.host_str().ok_or("the URL has no host")?.trim_matches(['[', ']']).to_owned();
        let tls = match url.scheme() {
            "https" => true,
            "http" if is_loopback(&to_host) => false,
            "http" => return Err("plain http leads to this machine only: tokens would cross the network".into()),
            _ => return Err("the URL must begin with https:// or http://".into()),
        };
        let has_user = !url.username().is_empty() || url.password().is_some();
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || has_user {
            return Err("the URL may have a host and a port, nothing else: the program's own paths are kept".into());
        }
        let to_port = url.port_or_known_default().ok_or("the URL has no port")?;
        Ok(Self { from, to_host, to_port, tls })
    }
}

impl Mapping {
    /// The name that the program calls.
    pub(crate) fn name(&self) -> &str {
        &self.from.host
    }

    #[cfg(target_os = "linux")]
    pub(super) fn port(&self) -> u16 {
        self.from.port
    }

    pub(super) fn is_for(&self, host: &str, port: u16) -> bool {
        self.from.port == port && self.from.host.eq_ignore_ascii_case(host)
    }

    pub(super) fn to_host(&self) -> &str {
        &self.to_host
    }

    pub(super) fn to_port(&self) -> u16 {
        self.to_port
    }
}

impl Secured {
    /// With a certificate for its name under `ca`; `trusting` says whom its URL's server may be certified by.
    pub(crate) fn new(
        mapping: Mapping,
        ca: &Ca,
        trusting: &TlsConnector,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let leaf = ca.server_leaf(&[&mapping.from.host], clock::now())?;
        let chain: Vec<_> = leaf.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::try_from(leaf.key_pkcs8_der.to_vec())?;
        let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        // what both sides surely speak: nothing is translated between them
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = match mapping.tls {
            true => Some((trusting.clone(), ServerName::try_from(mapping.to_host.clone())?)),
            false => None,
        };
        Ok(Self { mapping, acceptor: TlsAcceptor::from(Arc::new(config)), connector })
    }

    /// The connection to the URL's server, with TLS if it says https. The caller limits the time.
    pub(super) async fn secure(&self, server: TcpStream) -> io::Result<Box<dyn Duplex>> {
        Ok(match &self.connector {
            Some((connector, name)) => Box::new(connector.connect(name.clone(), server).await?),
            None => Box::new(server),
        })
    }

    /// The program's TLS handshake, as the server that it means. The caller limits the time.
    pub(super) async fn accept<S: Duplex>(&self, client: S) -> io::Result<TlsStream<S>> {
        self.acceptor.accept(client).await
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mapping.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_typed() {
        let mapping: Mapping = "API.contoso.com=https://localhost:44372".parse().unwrap();
        assert!(mapping.is_for("api.contoso.com", 443) && !mapping.is_for("api.contoso.com", 8443));
        assert_eq!((mapping.to_host(), mapping.to_port(), mapping.tls), ("localhost", 44372, true));
        let mapping: Mapping = "api.contoso.com:8443=http://[::1]:80/".parse().unwrap();
        assert!(mapping.is_for("api.contoso.com", 8443));
        assert_eq!((mapping.to_host(), mapping.to_port(), mapping.tls), ("::1", 80, false));
        for (wrong, said) in [
            ("api.contoso.com", "a mapping is written HOST=URL"),
            ("=https://localhost", "\"\" is not a host name"),
            ("a=localhost:1", "the URL has no host"),
            ("a=ftp://localhost", "the URL must begin with https:// or http://"),
            ("a=http://10.0.0.1", "plain http leads to this machine only: tokens would cross the network"),
            ("a=https://:pw@b", "the URL may have a host and a port, nothing else: the program's own paths are kept"),
            (
                "localhost:5000=https://b",
                "programs reach this machine's own names past the proxy, so that they cannot be mapped",
            ),
            ("a=https://b/base", "the URL may have a host and a port, nothing else: the program's own paths are kept"),
        ] {
            assert_eq!(wrong.parse::<Mapping>().unwrap_err(), said, "{wrong}");
        }
    }
}
