//! Whom the program trusts: the machine's roots, what its environment names already, and the local CA. Most of the
//! variables replace the roots, so the files hold all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use std::{env, fmt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::java;
use crate::clock;
use crate::exit::Failure;
use crate::files::{self, Existing};

/// Certificates to trust.
pub(super) struct Trust {
    local: Vec<CertificateDer<'static>>,
    node: Vec<CertificateDer<'static>>,
    machine: Vec<CertificateDer<'static>>,
}

/// The files for the program's environment. Everyone may read them, because the program may go on as someone else.
pub(super) struct Bundles {
    /// Everything: for variables that replace the roots.
    pub(super) whole: PathBuf,
    /// For Node, which adds to its roots.
    pub(super) extra: PathBuf,
    /// Everything, for Java.
    pub(super) java: PathBuf,
}

impl Trust {
    /// `ca` is ours; `given` is what the user wants trusted too.
    pub(super) fn new(ca: &str, given: Option<&[u8]>) -> Result<Self, Failure> {
        let mut local = parse(ca.as_bytes());
        if let Some(pem) = given {
            let given = parse(pem);
            if given.is_empty() {
                return Err(Failure::usage("the CA file holds no certificate (PEM)"));
            }
            local.extend(given);
        }
        // reads SSL_CERT_FILE and SSL_CERT_DIR, or else the system's store
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "some of the machine's roots are not read");
        }
        let mut machine = native.certs;
        machine.extend(["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].into_iter().flat_map(of_variable));
        Ok(Self { local, node: of_variable("NODE_EXTRA_CA_CERTS"), machine })
    }

    /// Writes the files.
    pub(super) fn write(&self, folder: &Path) -> Result<Bundles, Failure> {
        let file = |name| folder.join(name);
        let bundles =
            Bundles { whole: file("roots-and-ca.pem"), extra: file("node-extra.pem"), java: file("cacerts.jks") };
        files::write_public(&bundles.whole, self.whole().as_bytes(), Existing::Keep)?;
        files::write_public(&bundles.java, &self.java(), Existing::Keep)?;
        files::write_public(&bundles.extra, pem(self.local.iter().chain(&self.node)).as_bytes(), Existing::Keep)?;
        files::write_public(&self.ca_file(folder), pem(&self.local).as_bytes(), Existing::Keep)?;
        Ok(bundles)
    }

    /// Everything, PEM.
    pub(super) fn whole(&self) -> String {
        pem(self.local.iter().chain(&self.machine))
    }

    /// Everything, for Java.
    pub(super) fn java(&self) -> Vec<u8> {
        let all: Vec<_> = self.local.iter().chain(&self.machine).cloned().collect();
        let now = clock::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        java::trust_store(&all, u64::try_from(now.as_millis()).unwrap_or_default())
    }

    /// The local CA, and what the user gave.
    #[cfg(target_os = "linux")]
    pub(super) fn local(&self) -> &[CertificateDer<'static>] {
        &self.local
    }

    /// The local CA alone, and what the user gave.
    pub(super) fn ca_file(&self, folder: &Path) -> PathBuf {
        folder.join("ca.pem")
    }

    /// For connections to mapped servers.
    pub(super) fn connector(&self) -> Result<TlsConnector, rustls::Error> {
        let mut roots = RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(self.local.iter().chain(&self.machine).cloned());
        tracing::debug!(unusable, "roots for mapped servers");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("local", &self.local.len()).field("machine", &self.machine.len()).finish()
    }
}

/// What the file that a variable names holds; requests allows a folder there, which is left to `SSL_CERT_DIR`.
fn of_variable(name: &str) -> Vec<CertificateDer<'static>> {
    let Some(path) = env::var_os(name).filter(|path| !path.is_empty()) else { return Vec::new() };
    match files::read(path.as_ref()) {
        Ok(content) => parse(&content),
        Err(failure) => {
            tracing::warn!(name, error = %failure.line(), "not added to the trusted certificates");
            Vec::new()
        }
    }
}

/// The certificates of a PEM file; what else it holds is passed over.
fn parse(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).flatten().collect()
}

/// Each certificate once.
pub(super) fn pem<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for der in certificates.into_iter().filter(|der| seen.insert(der.as_ref().to_vec())) {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use apptoken_jose::issue::Ca;

    use super::*;

    #[test]
    fn written_once_each_and_read_back() {
        let one = Ca::generate("one", clock::now()).unwrap().certificate().to_pem();
        let two = Ca::generate("two", clock::now()).unwrap().certificate().to_pem();
        let certificates = parse(format!("# a comment\n{one}\n{two}{one}").as_bytes());
        assert_eq!(certificates.len(), 3);
        let written = pem(&certificates);
        assert_eq!(parse(written.as_bytes()), certificates[..2]);
        assert!(written.lines().all(|line| line.len() <= 64));
        assert!(Trust::new(&one, Some(b"nothing")).is_err());
    }
}
