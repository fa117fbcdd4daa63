use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken_jose::{KeyError, SigningKey, pfx};
use secrecy::{ExposeSecret, SecretString};

use super::CertificateFile;
use super::signer::{Key, Signer};
use crate::{ClientIdentity, Error};

/// A certificate and what signs for it: its private key, or a [`Signer`] that holds the key elsewhere. RSA, 2,048 bits or
/// more. Cloning it counts a reference.
///
/// ```no_run
/// use apptoken::{Certificate, SecretString};
///
/// let pfx = Certificate::from_pfx_file("daemon.pfx", &SecretString::from("password"))?;
/// let pem = Certificate::from_pem_files("daemon.crt", "daemon.key", None)?;
/// # Ok::<(), apptoken::Error>(())
/// ```
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    key: Key,
    /// Leaf first.
    chain: Vec<apptoken_jose::Certificate>,
}

impl Certificate {
    /// A PFX (PKCS#12) file: certificate, chain and key under a password. A client that is to notice when the file changes
    /// takes a [`CertificateFile`] instead.
    ///
    /// # Errors
    /// An unreadable file, a wrong password, a missing key, a key that is not RSA, a certificate of another key.
    pub fn from_pfx_file(path: impl AsRef<Path>, password: &SecretString) -> Result<Self, Error> {
        CertificateFile::new(path.as_ref()).password(password.clone()).read_pfx()
    }

    /// The bytes of a PFX file.
    ///
    /// # Errors
    /// As [`Self::from_pfx_file`].
    pub fn from_pfx(bytes: &[u8], password: &SecretString) -> Result<Self, Error> {
        Self::parse_pfx("the PFX", bytes, password)
    }

    /// PEM files: the certificate (and its chain, in any order) and its key (PKCS#8, PKCS#8 under a `passphrase`, PKCS#1, or
    /// PKCS#1 in OpenSSL's old encryption). Both may be the same file.
    ///
    /// # Errors
    /// As [`Self::from_pfx_file`].
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, Error> {
        let file = CertificateFile::new(certificate.as_ref()).key(key.as_ref());
        match passphrase {
            Some(passphrase) => file.password(passphrase.clone()),
            None => file,
        }
        .read_pem()
    }

    /// The texts of PEM files, as [`Self::from_pem_files`] reads them.
    ///
    /// # Errors
    /// As [`Self::from_pfx_file`].
    pub fn from_pem(certificate_pem: &[u8], key_pem: &[u8], passphrase: Option<&SecretString>) -> Result<Self, Error> {
        Self::parse_pem(("the certificate's PEM text", certificate_pem), ("the key's PEM text", key_pem), passphrase)
    }

    /// A certificate (PEM, its chain with it, if any) whose key is with a [`Signer`]: an HSM, a TPM, a key vault.
    ///
    /// # Errors
    /// No certificate in the text, or one whose key is not RSA.
    pub fn from_signer(certificate_pem: &[u8], signer: impl Signer) -> Result<Self, Error> {
        let what = "the certificate's PEM text";
        let chain = apptoken_jose::Certificate::from_pem(certificate_pem).map_err(|error| unusable(what, &error))?;
        let chain = match chain[0].public_key() {
            Ok(key) => apptoken_jose::Certificate::in_order(chain, &key),
            // too odd to be parsed: the authority knows it by its hash
            Err(KeyError::Malformed(_)) => chain,
            Err(error) => return Err(unusable(what, &error)),
        };
        Ok(Self(Arc::new(Inner { key: Key::Elsewhere(Box::new(signer)), chain })))
    }

    /// SHA-1 of the certificate in upper-case hex, as portals and certificate stores show it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.leaf().thumbprint_hex()
    }

    /// The subject's distinguished name (RFC 4514); empty when it cannot be read.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.leaf().subject()
    }

    /// When its validity ends; `None` when that cannot be read.
    #[must_use]
    pub fn not_after(&self) -> Option<SystemTime> {
        time(self.leaf().not_after())
    }

    pub(super) fn parse_pfx(name: &str, bytes: &[u8], password: &SecretString) -> Result<Self, Error> {
        let pfx = pfx::open(bytes, password.expose_secret().as_bytes()).map_err(|error| unusable(name, &error))?;
        Self::paired(pfx.key, pfx.chain)
    }

    pub(super) fn parse_pem(
        (certificate_name, certificate): (&str, &[u8]),
        (key_name, key): (&str, &[u8]),
        passphrase: Option<&SecretString>,
    ) -> Result<Self, Error> {
        let chain =
            apptoken_jose::Certificate::from_pem(certificate).map_err(|error| unusable(certificate_name, &error))?;
        let passphrase = passphrase.map(|text| text.expose_secret().as_bytes());
        let key = SigningKey::from_pem(key, passphrase).map_err(|error| unusable(key_name, &error))?;
        Self::paired(key, chain)
    }

    fn paired(key: SigningKey, chain: Vec<apptoken_jose::Certificate>) -> Result<Self, Error> {
        let chain = apptoken_jose::Certificate::in_order(chain, key.public_key());
        let leaf = chain.first().ok_or_else(|| unusable("the certificate", &KeyError::NoCertificate))?;
        match leaf.public_key() {
            Ok(public) if &public == key.public_key() => {}
            // a certificate too odd to be parsed still works: the authority knows it by its hash
            Err(KeyError::Malformed(_)) => {}
            Ok(_) => {
                let (thumbprint, subject) = (leaf.thumbprint_hex(), leaf.subject());
                let what = format!("the private key is not the one of the certificate {thumbprint} ({subject})");
                return Err(Error::credential(what).with_advice("take certificate and key from the same export"));
            }
            Err(error) => return Err(unusable("the certificate", &error)),
        }
        Ok(Self(Arc::new(Inner { key: Key::Here(key), chain })))
    }

    /// For TLS, which signs with a key in hand.
    pub(super) fn identity(&self) -> Result<ClientIdentity, Error> {
        match self.key() {
            Key::Here(key) => Ok(ClientIdentity::new(self.chain().to_vec(), key.clone())),
            Key::Elsewhere(_) => Err(Error::credential(format!(
                "the certificate {} cannot be shown on TLS: its key is with a signer",
                self.thumbprint()
            ))
            .with_advice("give the client a certificate whose key it holds, or ask for a bearer token")),
        }
    }

    pub(crate) fn leaf(&self) -> &apptoken_jose::Certificate {
        // every constructor refuses an empty chain
        &self.0.chain[0]
    }

    pub(super) fn chain(&self) -> &[apptoken_jose::Certificate] {
        &self.0.chain
    }

    pub(super) fn key(&self) -> &Key {
        &self.0.key
    }

    pub(super) fn is_valid(&self, now: SystemTime) -> bool {
        (self.leaf().not_before()..self.leaf().not_after()).contains(&unix(now))
    }

    /// Why a certificate outside its validity is not used: the authority would refuse it with AADSTS1000502 or 700027.
    pub(super) fn invalid(&self, now: SystemTime) -> Error {
        const CLOCK: &str = "set this machine's clock right";
        let what = format!("the certificate {}", self.validity(now));
        Error::credential(what).with_advice(if unix(now) < self.leaf().not_before() {
            CLOCK.to_owned()
        } else {
            format!("install a new certificate and register it on the app, or {CLOCK}")
        })
    }

    /// Thumbprint, subject and what is wrong with its dates.
    pub(super) fn validity(&self, now: SystemTime) -> String {
        let leaf = self.leaf();
        let (what, when) = match unix(now) {
            now if now < leaf.not_before() => ("is not valid before", leaf.not_before()),
            _ => ("expired on", leaf.not_after()),
        };
        let when = httpdate::fmt_http_date(time(when).unwrap_or(UNIX_EPOCH));
        format!("{} ({}) {what} {when}", self.thumbprint(), leaf.subject())
    }
}

/// The same certificates; what signs is not compared.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.chain() == other.chain()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.leaf().subject())
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

pub(super) fn unusable(what: &str, error: &KeyError) -> Error {
    Error::credential(format!("{what} cannot be used: {error}"))
}

pub(super) fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

fn time(unix: i64) -> Option<SystemTime> {
    // httpdate ends with the year 9999
    (unix < YEAR_10000).then(|| UNIX_EPOCH + Duration::from_secs(unix.max(0).unsigned_abs()))
}

const YEAR_10000: i64 = 253_402_300_800;
