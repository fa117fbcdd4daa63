use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use der::Decode;
use x509_cert::TbsCertificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, SubjectAltName};

use crate::key::RSA_ENCRYPTION;
use crate::{KeyError, PublicKey, base64url, pem};

/// An X.509 certificate. What identifies it, its thumbprints, are hashes of the DER bytes and need no parsing; a
/// certificate too odd for the parser therefore still works, without its dates and its key.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    facts: Option<Facts>,
}

/// What the parser could read.
struct Facts {
    subject: String,
    issuer: String,
    names: Vec<String>,
    signs: bool,
    not_before: i64,
    not_after: i64,
    key: Result<PublicKey, KeyError>,
}

impl Certificate {
    /// One DER certificate.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the bytes are not one DER sequence, whole and nothing else.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let der = der.into();
        der::AnyRef::from_der(&der).map_err(|_| KeyError::Malformed("X.509 certificate"))?;
        let facts = x509_cert::Certificate::from_der(&der).ok().map(|parsed| Facts::of(&parsed));
        Ok(Self(Arc::new(Inner { der, facts })))
    }

    /// All `CERTIFICATE` blocks of a PEM text in their order (leaf first, by custom); other blocks are passed over.
    ///
    /// # Errors
    /// [`KeyError::NoCertificate`] or [`KeyError::Malformed`].
    pub fn from_pem(pem: &[u8]) -> Result<Vec<Self>, KeyError> {
        let pem = pem::narrow(pem);
        let blocks = pem::blocks(&pem, |label| CERTIFICATE_LABELS.contains(&label))?;
        let chain = blocks.iter().map(|block| Self::from_der(block.content())).collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() { Err(KeyError::NoCertificate) } else { Ok(chain) }
    }

    /// Puts certificates in the order of a TLS chain and of `x5c`: the one of `key`, its issuer, that one's issuer and so
    /// on; what belongs to no one comes last, in the order it came in. Without one of `key` the order stays.
    #[must_use]
    pub fn in_order(mut certificates: Vec<Self>, key: &PublicKey) -> Vec<Self> {
        let is_leaf = |certificate: &Self| certificate.public_key().as_ref() == Ok(key);
        let Some(leaf) = certificates.iter().position(is_leaf) else { return certificates };
        certificates[..=leaf].rotate_right(1);
        for at in 1..certificates.len() {
            let below = &certificates[at - 1];
            let (issuer, is_root) = (below.issuer().to_owned(), below.issuer() == below.subject());
            let above = certificates[at..].iter().position(|one| !is_root && one.subject() == issuer);
            let Some(above) = above else { break };
            certificates[at..=at + above].rotate_right(1);
        }
        certificates
    }

    /// The certificate as it is signed.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// One `CERTIFICATE` block, lines of 64 (RFC 7468).
    #[must_use]
    pub fn to_pem(&self) -> String {
        let base64 = base64::engine::general_purpose::STANDARD.encode(self.der());
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in base64.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|&byte| char::from(byte)));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }

    /// SHA-1 of the DER: the thumbprint that portals and certificate stores show.
    #[must_use]
    pub fn thumbprint_sha1(&self) -> [u8; 20] {
        hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.der())
    }

    /// SHA-256 of the DER.
    #[must_use]
    pub fn thumbprint_sha256(&self) -> [u8; 32] {
        hash(&digest::SHA256, self.der())
    }

    /// SHA-1 in upper-case hex, 40 characters.
    #[must_use]
    pub fn thumbprint_hex(&self) -> String {
        self.thumbprint_sha1().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The JOSE header `x5t` (RFC 7515 §4.1.7).
    #[must_use]
    pub fn x5t(&self) -> String {
        base64url::encode(&self.thumbprint_sha1())
    }

    /// The JOSE header `x5t#S256` (RFC 7515 §4.1.8).
    #[must_use]
    pub fn x5t_s256(&self) -> String {
        x5t_s256(self.der())
    }

    /// Standard base64 of the DER, one element of `x5c` (RFC 7515 §4.1.6).
    #[must_use]
    pub fn x5c(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.der())
    }

    /// The subject's distinguished name (RFC 4514); empty when the parser could not read it.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0.facts.as_ref().map_or("", |facts| &facts.subject)
    }

    /// The issuer's distinguished name (RFC 4514); empty when the parser could not read it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.0.facts.as_ref().map_or("", |facts| &facts.issuer)
    }

    /// The subject's common name, then the DNS names of the subject's alternative names: what trust by subject name and
    /// issuer compares. Empty when the parser could not read them.
    #[must_use]
    pub fn subject_names(&self) -> &[String] {
        self.0.facts.as_ref().map_or(&[], |facts| &facts.names)
    }

    /// Whether its key usage lets the key sign data; one that says nothing of key usage does (RFC 5280 §4.2.1.3).
    #[must_use]
    pub fn allows_digital_signature(&self) -> bool {
        self.0.facts.as_ref().is_some_and(|facts| facts.signs)
    }

    /// Valid from, Unix seconds; the distant past when the parser could not read it.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.0.facts.as_ref().map_or(i64::MIN, |facts| facts.not_before)
    }

    /// Valid until, Unix seconds; the distant future when the parser could not read it.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.0.facts.as_ref().map_or(i64::MAX, |facts| facts.not_after)
    }

    /// The subject's RSA key.
    ///
    /// # Errors
    /// [`KeyError::NotRsa`], [`KeyError::TooSmall`], or [`KeyError::Malformed`].
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        match &self.0.facts {
            Some(facts) => facts.key.clone(),
            None => Err(KeyError::Malformed("X.509 certificate")),
        }
    }
}

/// SHA-256 of a certificate's DER, base64url: what a token bound to it names (RFC 8705 §3.1).
#[must_use]
pub fn x5t_s256(der: &[u8]) -> String {
    base64url::encode(&hash::<32>(&digest::SHA256, der))
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("thumbprint", &self.thumbprint_hex())
            .finish_non_exhaustive()
    }
}

impl Facts {
    fn of(certificate: &x509_cert::Certificate) -> Self {
        let tbs = certificate.tbs_certificate();
        let seconds =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        let spki = tbs.subject_public_key_info();
        let key = if spki.algorithm.oid == RSA_ENCRYPTION {
            PublicKey::from_pkcs1_der(spki.subject_public_key.raw_bytes())
        } else {
            Err(KeyError::NotRsa)
        };
        Self {
            subject: tbs.subject().to_string(),
            issuer: tbs.issuer().to_string(),
            names: subject_names(tbs),
            signs: match tbs.get_extension::<KeyUsage>() {
                Ok(usage) => usage.is_none_or(|(_, usage)| usage.digital_signature()),
                Err(_) => false,
            },
            not_before: seconds(tbs.validity().not_before),
            not_after: seconds(tbs.validity().not_after),
            key,
        }
    }
}

fn subject_names(tbs: &TbsCertificate) -> Vec<String> {
    let common_name = tbs.subject().common_name().ok().flatten().map(|name| name.value().into_owned());
    let alternative =
        tbs.get_extension::<SubjectAltName>().ok().flatten().map(|(_, names)| names.0).unwrap_or_default();
    let dns = alternative.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    common_name.into_iter().chain(dns).collect()
}

/// RFC 7468 §5.1; the others are OpenSSL's.
const CERTIFICATE_LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

fn hash<const N: usize>(algorithm: &'static digest::Algorithm, bytes: &[u8]) -> [u8; N] {
    let digest = digest::digest(algorithm, bytes);
    std::array::from_fn(|i| digest.as_ref()[i])
}
