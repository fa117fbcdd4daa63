use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken_jose::{Certificate, SigningKey};
use zeroize::Zeroizing;

use crate::Error;

/// A certificate with its key, for TLS connections that show it (RFC 8705): what a token of type `mtls_pop` is bound to.
/// Cloning it counts a reference.
///
/// A [`Transport`](crate::http::Transport) finds it among the extensions of a request whose connection is to show it.
/// A program shows it to the API that it calls with a bound token:
///
/// ```no_run
/// # fn example(token: apptoken::AccessToken) -> Result<(), Box<dyn std::error::Error>> {
/// if let Some(identity) = token.binding_certificate() {
///     let pem = identity.to_pem()?; // certificates and key
///     let http = reqwest::Client::builder().identity(reqwest::Identity::from_pem(pem.as_bytes())?).build()?;
/// #   let _ = http;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

struct Inner {
    /// Leaf first.
    chain: Vec<Certificate>,
    key: SigningKey,
    x5t_s256: Box<str>,
}

impl ClientIdentity {
    /// `chain` has its leaf first, and is not empty.
    pub(crate) fn new(chain: Vec<Certificate>, key: SigningKey) -> Self {
        let x5t_s256 = chain.first().map(Certificate::x5t_s256).unwrap_or_default().into();
        Self(Arc::new(Inner { chain, key, x5t_s256 }))
    }

    /// SHA-256 of the certificate, base64url: the `cnf` of tokens that are bound to it (RFC 8705 §3.1).
    #[must_use]
    pub fn x5t_s256(&self) -> &str {
        &self.0.x5t_s256
    }

    pub(crate) fn thumbprint_sha256(&self) -> [u8; 32] {
        self.0.chain.first().map_or([0; 32], Certificate::thumbprint_sha256)
    }

    /// How long it is valid from `now` on.
    pub(crate) fn good_for(&self, now: SystemTime) -> Duration {
        let end = u64::try_from(self.0.chain.first().map_or(i64::MAX, Certificate::not_after)).unwrap_or_default();
        Duration::from_secs(end).saturating_sub(now.duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// The certificates in DER, the app's own first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chain.iter().map(Certificate::der)
    }

    /// The private key, PKCS#8 DER; wiped when dropped.
    ///
    /// # Errors
    /// A key that cannot be written.
    pub fn key_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.0
            .key
            .to_pkcs8_der()
            .map_err(|error| Error::credential("the certificate's key cannot be used").with_source(error))
    }

    /// Certificates and private key in one PEM text; wiped when dropped.
    ///
    /// # Errors
    /// A key that cannot be written.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        let unusable = |error| Error::credential("the certificate's key cannot be used").with_source(error);
        let key = self.0.key.to_pkcs8_pem().map_err(unusable)?;
        let chain: Vec<_> = self.0.chain.iter().map(Certificate::to_pem).collect();
        // in one piece, so that it does not grow and leave copies of the key behind
        let parts = chain.iter().map(String::as_str).chain([key.as_str()]).collect::<Vec<_>>();
        Ok(Zeroizing::new(parts.concat()))
    }
}

/// The same certificates.
impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.0.chain == other.0.chain
    }
}

impl Eq for ClientIdentity {}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity").field("certificate", &self.0.chain.first()).finish_non_exhaustive()
    }
}
