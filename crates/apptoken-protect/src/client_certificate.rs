//! The client's certificate on TLS, as the server hands it on.

use std::fmt;
use std::sync::Arc;

/// The certificate that the client showed on the connection and whose key it proved to hold: what `mtls_pop` tokens are
/// bound to (RFC 8705 §3). The server puts it into each request's extensions, outside [`Protect`](crate::Protect); make
/// it once per connection, cloning it copies a pointer.
///
/// The server must ask for client certificates and check the handshake's signature, as rustls does with every
/// `ClientCertVerifier`; who issued the certificate does not matter, Entra takes self-signed ones. From a header that a
/// proxy writes, take it only if no client can write that header.
///
/// ```
/// use apptoken_protect::ClientCertificate;
///
/// # fn of(peer_certificates: Option<&[Vec<u8>]>, request: &mut http::Request<()>) {
/// // peer_certificates: of the TLS connection, the leaf first
/// if let Some(leaf) = peer_certificates.and_then(<[_]>::first) {
///     request.extensions_mut().insert(ClientCertificate::from_der(leaf));
/// }
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    x5t_s256: Arc<str>,
}

impl ClientCertificate {
    /// From its DER bytes, as the handshake carried them.
    pub fn from_der(der: impl AsRef<[u8]>) -> Self {
        Self { x5t_s256: apptoken_jose::x5t_s256(der.as_ref()).into() }
    }

    /// SHA-256 of the DER, base64url: the `x5t#S256` of RFC 8705 §3.1.
    #[must_use]
    pub fn x5t_s256(&self) -> &str {
        &self.x5t_s256
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientCertificate").field(&self.x5t_s256).finish()
    }
}
