use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::Certificate;
use crate::Error;

/// A certificate on disk that may be renewed there while the program runs: a PFX file, or PEM files.
///
/// The files' dates, sizes and inodes are looked at every five seconds at most, when an assertion is needed; they are read
/// again when one has changed, and at once when the authority refuses the certificate. While they are half-written, the
/// certificate that they held before serves on, and a warning is logged.
///
/// ```no_run
/// use apptoken::{CertificateFile, ConfidentialClient};
///
/// let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
///     .tenant("contoso.onmicrosoft.com")
///     .certificate(CertificateFile::new("/etc/daemon/tls.crt").key("/etc/daemon/tls.key"))
///     .build()?;
/// # Ok::<(), apptoken::Error>(())
/// ```
#[derive(Clone)]
pub struct CertificateFile {
    path: PathBuf,
    /// A PEM file of its own.
    key: Option<PathBuf>,
    password: Option<SecretString>,
}

impl CertificateFile {
    /// A PFX file, or a PEM file with certificate, chain and key; which of them, its content tells.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), key: None, password: None }
    }

    /// The PEM file of the private key, when it is not in the certificate's.
    #[must_use]
    pub fn key(mut self, path: impl Into<PathBuf>) -> Self {
        self.key = Some(path.into());
        self
    }

    /// The password of the PFX file, or the passphrase of the PEM key.
    #[must_use]
    pub fn password(mut self, password: impl Into<SecretString>) -> Self {
        self.password = Some(password.into());
        self
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        std::iter::once(&self.path).chain(&self.key).cloned().collect()
    }

    pub(super) fn read(&self) -> Result<Certificate, Error> {
        let bytes = read(&self.path)?;
        if self.key.is_none() && is_der(&bytes) { self.pfx(&bytes) } else { self.pem(&bytes) }
    }

    pub(super) fn read_pfx(&self) -> Result<Certificate, Error> {
        self.pfx(&read(&self.path)?)
    }

    pub(super) fn read_pem(&self) -> Result<Certificate, Error> {
        self.pem(&read(&self.path)?)
    }

    fn pfx(&self, bytes: &[u8]) -> Result<Certificate, Error> {
        let password = self.password.clone().unwrap_or_default();
        Certificate::parse_pfx(&format!("the PFX file {}", self.path.display()), bytes, &password)
    }

    fn pem(&self, certificate: &[u8]) -> Result<Certificate, Error> {
        let name = |path: &Path| format!("the PEM file {}", path.display());
        let certificate = (&*name(&self.path), certificate);
        // as settings have it that say nothing
        let passphrase = self.password.as_ref().filter(|password| !password.expose_secret().is_empty());
        match &self.key {
            Some(path) if *path != self.path => {
                let key = read(path)?;
                Certificate::parse_pem(certificate, (&name(path), &key), passphrase)
            }
            _ => Certificate::parse_pem(certificate, certificate, passphrase),
        }
    }
}

impl fmt::Debug for CertificateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFile").field("path", &self.path).field("key", &self.key).finish_non_exhaustive()
    }
}

/// DER begins with a long sequence, which no text does.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0xff, ..])
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let unreadable = |cause: std::io::Error| {
        Error::credential(format!("the certificate file {} cannot be read: {cause}", path.display())).with_source(cause)
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

/// Bytes.
const LARGEST_FILE: usize = 256 * 1024;
