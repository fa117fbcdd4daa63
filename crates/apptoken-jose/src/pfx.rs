//! PFX files (PKCS#12, RFC 7292): a certificate with its chain and private key, under a password.

use p12_keystore::{
    Certificate as PfxCertificate, KeyStore, KeyStoreEntry, Pkcs12ImportPolicy, PrivateKey, PrivateKeyChain,
};

use crate::{Certificate, KeyError, SigningKey};

/// What a PFX file holds.
#[derive(Clone, Debug)]
pub struct Pfx {
    /// The private key.
    pub key: SigningKey,
    /// The certificates, the one that belongs to the key first.
    pub chain: Vec<Certificate>,
}

/// Opens a PFX: what OpenSSL 3 and Windows write, the legacy RC2 and 3DES forms, and an empty password.
///
/// # Errors
/// [`KeyError::WrongPassword`], [`KeyError::NoPrivateKey`], [`KeyError::NoCertificate`], [`KeyError::NotRsa`], or
/// [`KeyError::Malformed`].
pub fn open(bytes: &[u8], password: &[u8]) -> Result<Pfx, KeyError> {
    let password = std::str::from_utf8(password).map_err(|_| KeyError::WrongPassword)?;
    let store = KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Relaxed).map_err(|error| {
        use p12_keystore::error::Error;
        match error {
            // without a MAC a wrong password shows only when the content does not decrypt
            Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => KeyError::WrongPassword,
            Error::InvalidPrivateKey => KeyError::Malformed("private key in the PFX"),
            _ => KeyError::Malformed("PFX file"),
        }
    })?;
    let (_, entry) = store.private_key_chain().ok_or(KeyError::NoPrivateKey)?;
    let key = SigningKey::from_pkcs8_der(entry.key().as_der())?;
    let mut chain = entry
        .certs()
        .iter()
        .map(|certificate| Certificate::from_der(certificate.as_der()))
        .collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() {
        chain = unlinked_certificates(&store)?;
    }
    if chain.is_empty() {
        return Err(KeyError::NoCertificate);
    }
    let chain = Certificate::in_order(chain, key.public_key());
    Ok(Pfx { key, chain })
}

/// Writes a PFX in the form of OpenSSL 3 (PBES2 with AES-256, HMAC-SHA-256), which Windows Server 2019 and later open too.
///
/// # Errors
/// [`KeyError::Generate`] when it cannot be written.
pub fn create(key: &SigningKey, chain: &[Certificate], password: &[u8]) -> Result<Vec<u8>, KeyError> {
    const WHAT: KeyError = KeyError::Generate("the PFX file");
    let leaf = chain.first().ok_or(KeyError::NoCertificate)?;
    let password = std::str::from_utf8(password).map_err(|_| WHAT)?;
    let certificates = chain
        .iter()
        .map(|certificate| PfxCertificate::from_der(certificate.der()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| WHAT)?;
    let private = PrivateKey::from_der(&key.to_pkcs8_der()?).map_err(|_| WHAT)?;
    let entry = PrivateKeyChain::new(leaf.thumbprint_sha1().to_vec(), private, certificates);
    let mut store = KeyStore::new();
    store.add_entry("apptoken", KeyStoreEntry::PrivateKeyChain(entry));
    store.writer(password).write().map_err(|_| WHAT)
}

fn unlinked_certificates(store: &KeyStore) -> Result<Vec<Certificate>, KeyError> {
    store
        .entries()
        .filter_map(|(_, entry)| match entry {
            KeyStoreEntry::Certificate(certificate) => Some(Certificate::from_der(certificate.as_der())),
            _ => None,
        })
        .collect()
}
