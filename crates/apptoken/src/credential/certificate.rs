use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken_jose::{Algorithm, KeyError, SigningKey, jws, pfx};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Occasion;
use crate::Error;
use crate::clock::{Clock, Moment};

/// A certificate with its private key, which an app proves itself with. RSA, 2,048 bits or more.
///
/// ```no_run
/// use apptoken::{Certificate, SecretString};
///
/// let pfx = Certificate::from_pfx_file("daemon.pfx", &SecretString::from("password"))?;
/// let pem = Certificate::from_pem_files("daemon.crt", "daemon.key", None)?;
/// # Ok::<(), apptoken::Error>(())
/// ```
#[derive(Clone)]
pub struct Certificate {
    key: SigningKey,
    /// Leaf first.
    chain: Vec<apptoken_jose::Certificate>,
}

impl Certificate {
    /// A PFX (PKCS#12) file: certificate, chain and key under a password.
    ///
    /// # Errors
    /// An unreadable file, a wrong password, a missing key, a key that is not RSA, a certificate of another key.
    pub fn from_pfx_file(path: impl AsRef<Path>, password: &SecretString) -> Result<Self, Error> {
        let bytes = read(path.as_ref())?;
        let pfx = pfx::open(&bytes, password.expose_secret().as_bytes())
            .map_err(|error| unusable(&format!("the PFX file {}", path.as_ref().display()), &error))?;
        Self::paired(pfx.key, pfx.chain)
    }

    /// The bytes of a PFX file.
    ///
    /// # Errors
    /// As [`Self::from_pfx_file`].
    pub fn from_pfx(bytes: &[u8], password: &SecretString) -> Result<Self, Error> {
        let pfx = pfx::open(bytes, password.expose_secret().as_bytes()).map_err(|error| unusable("the PFX", &error))?;
        Self::paired(pfx.key, pfx.chain)
    }

    /// PEM files: the certificate (its chain after it, if any) and its key (PKCS#8, PKCS#8 under a `passphrase`, or
    /// PKCS#1). Both may be the same file.
    ///
    /// # Errors
    /// As [`Self::from_pfx_file`].
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        passphrase: Option<&SecretString>,
    ) -> Result<Self, Error> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let (certificate_pem, key_pem) = (read(certificate)?, read(key)?);
        let (certificate, key) =
            (format!("the PEM file {}", certificate.display()), format!("the PEM file {}", key.display()));
        Self::parse_pem((&certificate, &certificate_pem), (&key, &key_pem), passphrase)
    }

    /// The texts of PEM files, as [`Self::from_pem_files`] reads them.
    ///
    /// # Errors
    /// As [`Self::from_pfx_file`].
    pub fn from_pem(certificate_pem: &[u8], key_pem: &[u8], passphrase: Option<&SecretString>) -> Result<Self, Error> {
        Self::parse_pem(("the certificate's PEM text", certificate_pem), ("the key's PEM text", key_pem), passphrase)
    }

    /// SHA-1 of the certificate in upper-case hex, as portals and certificate stores show it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.leaf().thumbprint_hex()
    }

    fn parse_pem(
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
        let certificate = Self { key, chain };
        match certificate.leaf().public_key() {
            Ok(public) if &public == certificate.key.public_key() => Ok(certificate),
            // a certificate too odd to be parsed still works: the authority knows it by its hash
            Err(KeyError::Malformed(_)) => Ok(certificate),
            Ok(_) => Err(Error::credential(format!(
                "the private key is not the one of the certificate {} ({})",
                certificate.thumbprint(),
                certificate.leaf().subject()
            ))
            .with_advice("take certificate and key from the same export")),
            Err(error) => Err(unusable("the certificate", &error)),
        }
    }

    fn leaf(&self) -> &apptoken_jose::Certificate {
        // every constructor refuses an empty chain
        &self.chain[0]
    }

    /// Refuses a certificate outside its validity, which the authority would refuse with AADSTS1000502 or 700027.
    pub(crate) fn check_validity(&self, now: SystemTime) -> Result<(), Error> {
        let (now, leaf) = (unix(now), self.leaf());
        let complain = |what: &str, when: i64| {
            let (thumbprint, subject) = (self.thumbprint(), leaf.subject());
            let when = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(when.max(0).unsigned_abs()));
            Error::credential(format!("the certificate {thumbprint} ({subject}) {what} {when}"))
        };
        if now >= leaf.not_after() {
            return Err(complain("expired on", leaf.not_after()).with_advice(
                "install a new certificate and register it on the app, or set this machine's clock right",
            ));
        }
        if now < leaf.not_before() {
            return Err(
                complain("is not valid before", leaf.not_before()).with_advice("set this machine's clock right")
            );
        }
        Ok(())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.leaf().subject())
            .field("thumbprint", &self.thumbprint())
            .finish_non_exhaustive()
    }
}

/// A certificate at work: signs assertions and reuses each while it is good.
pub(crate) struct CertificateCredential {
    certificate: Certificate,
    header: Map<String, serde_json::Value>,
    /// By token endpoint, which is the audience. A signature costs ten times a token request's other work.
    signed: Mutex<HashMap<String, Signed>>,
}

struct Signed {
    assertion: SecretString,
    good_until: Moment,
}

impl CertificateCredential {
    /// PS256 under the SHA-256 thumbprint, with the chain when `send_x5c` (subject name and issuer authentication).
    pub(crate) fn new(certificate: Certificate, send_x5c: bool) -> Self {
        let mut header = Map::new();
        header.insert("x5t#S256".into(), certificate.leaf().x5t_s256().into());
        if send_x5c {
            let chain = certificate.chain.iter().map(apptoken_jose::Certificate::x5c).collect::<Vec<_>>();
            header.insert("x5c".into(), chain.into());
        }
        Self { certificate, header, signed: Mutex::default() }
    }

    pub(crate) fn assertion(&self, occasion: &Occasion<'_>, clock: &dyn Clock) -> Result<SecretString, Error> {
        let now = clock.now();
        if let Some(signed) = self.signed().get(occasion.token_endpoint)
            && now < signed.good_until
        {
            return Ok(signed.assertion.clone());
        }
        self.certificate.check_validity(clock.system_time())?;
        let assertion = self.sign(occasion, clock.system_time())?;
        let mut all = self.signed();
        if all.len() >= MOST_KEPT {
            all.retain(|_, signed| now < signed.good_until);
        }
        if all.len() < MOST_KEPT {
            let good_until = now + REUSE;
            all.insert(occasion.token_endpoint.to_owned(), Signed { assertion: assertion.clone(), good_until });
        }
        Ok(assertion)
    }

    pub(crate) fn forget_assertions(&self) {
        self.signed().clear();
    }

    /// RFC 7523 §3 in the form of Microsoft's certificate credentials.
    fn sign(&self, occasion: &Occasion<'_>, now: SystemTime) -> Result<SecretString, Error> {
        let now = unix(now);
        let claims = json!({
            "aud": occasion.token_endpoint,
            "iss": occasion.client_id,
            "sub": occasion.client_id,
            "jti": Uuid::new_v4(),
            "iat": now,
            "nbf": now - BACK_DATED,
            "exp": now + LIFETIME,
        });
        jws::sign(&self.header, &claims, &self.certificate.key, Algorithm::Ps256)
            .map(SecretString::from)
            .map_err(|error| unusable("the certificate's key", &error))
    }

    /// The map is whole after a panic: it is changed by single calls.
    fn signed(&self) -> std::sync::MutexGuard<'_, HashMap<String, Signed>> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CertificateCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.certificate.fmt(f)
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |cause: std::io::Error| {
        Error::credential(format!("the certificate file {} cannot be read", path.display())).with_source(cause)
    };
    // sized so that it does not grow and leave copies of the key behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST_FILE + 1));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LARGEST_FILE {
        return Err(Error::credential(format!("the file {} is too large for a certificate", path.display())));
    }
    Ok(bytes)
}

fn unusable(what: &str, error: &KeyError) -> Error {
    Error::credential(format!("{what} cannot be used: {error}"))
}

fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Seconds: what MSAL gives an assertion to live.
const LIFETIME: i64 = 600;
/// Seconds: an authority whose clock is this far behind still takes the assertion.
const BACK_DATED: i64 = 300;
/// Leaves two minutes of the lifetime for an authority whose clock is ahead.
const REUSE: Duration = Duration::from_secs(480);
/// Assertions kept at a time; a client for more tenants signs anew for the rest.
const MOST_KEPT: usize = 1024;
/// Bytes.
const LARGEST_FILE: usize = 256 * 1024;
