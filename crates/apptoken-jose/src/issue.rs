//! Making certificates: a daemon's self-signed one, and the CA and server certificate of the local Entra ID.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use crate::{Algorithm, Certificate, KeyError, PublicKey, SigningKey};

/// A self-signed certificate with a new RSA-2048 key, for a daemon to prove itself with; valid from an hour before
/// `now` for `days` days.
///
/// # Errors
/// [`KeyError::Generate`].
pub fn self_signed(subject_cn: &str, now: SystemTime, days: u32) -> Result<(Certificate, SigningKey), KeyError> {
    let key = SigningKey::generate()?;
    let sign = |message: &[u8]| key.sign(Algorithm::Rs256, message);
    let certificate = self_signed_by(key.public_key(), sign, subject_cn, now, days)?;
    Ok((certificate, key))
}

/// The same for a key that is elsewhere: `sign` makes its RS256 signatures.
///
/// # Errors
/// [`KeyError::Generate`].
pub fn self_signed_by(
    key: &PublicKey,
    sign: impl Fn(&[u8]) -> Result<Vec<u8>, KeyError>,
    subject_cn: &str,
    now: SystemTime,
    days: u32,
) -> Result<Certificate, KeyError> {
    let mut params = named(subject_cn, now, days)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let signer = Signer { public: key.to_pkcs1_der()?, sign };
    let certificate = params.self_signed(&signer).map_err(|_| FAILED)?;
    Certificate::from_der(certificate.der().as_ref())
}

/// A certificate authority of one's own, ECDSA P-256.
pub struct Ca {
    certificate: Certificate,
    key: KeyPair,
}

/// A TLS server's certificate and key.
#[non_exhaustive]
pub struct ServerLeaf {
    /// DER certificates, leaf first, for the TLS handshake.
    pub chain: Vec<Vec<u8>>,
    /// The ECDSA key, PKCS#8 DER.
    pub key_pkcs8_der: Zeroizing<Vec<u8>>,
}

impl Ca {
    /// A new CA, valid for ten years from an hour before `now`.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate(common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| FAILED)?;
        let mut params = named(common_name, now, 3650)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|_| FAILED)?;
        Ok(Self { certificate: Certificate::from_der(certificate.der().as_ref())?, key })
    }

    /// A CA that was kept: its certificate and PKCS#8 key, PEM.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] or [`KeyError::NoCertificate`].
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, KeyError> {
        let certificate = Certificate::from_pem(certificate_pem.as_bytes())?.swap_remove(0);
        let key = KeyPair::from_pem(key_pem).map_err(|_| KeyError::Malformed("CA key"))?;
        Ok(Self { certificate, key })
    }

    /// What clients must trust.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The CA's key, PKCS#8 PEM; whoever has it can pose as any server to those who trust the CA.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// A server certificate (ECDSA P-256, a year) for DNS names and IP addresses.
    ///
    /// # Errors
    /// [`KeyError::Generate`], also for a name that is neither.
    pub fn server_leaf(&self, names: &[&str], now: SystemTime) -> Result<ServerLeaf, KeyError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| FAILED)?;
        let alternative = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(alternative).map_err(|_| FAILED)?;
        let first = names.first().copied().ok_or(FAILED)?;
        date(&mut params, now, 365)?;
        params.distinguished_name = common_name(first);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_ca_cert_der(&self.certificate.der().into(), &self.key).map_err(|_| FAILED)?;
        let leaf = params.signed_by(&key, &issuer).map_err(|_| FAILED)?;
        Ok(ServerLeaf { chain: vec![leaf.der().to_vec()], key_pkcs8_der: Zeroizing::new(key.serialize_der()) })
    }
}

/// An RSA key as rcgen wants it.
struct Signer<F> {
    public: Vec<u8>,
    sign: F,
}

impl<F> rcgen::PublicKeyData for Signer<F> {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl<F: Fn(&[u8]) -> Result<Vec<u8>, KeyError>> rcgen::SigningKey for Signer<F> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        (self.sign)(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerLeaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLeaf").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

fn named(name: &str, now: SystemTime, days: u32) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    date(&mut params, now, days)?;
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Valid from an hour ago, so that a clock somewhat behind does not refuse it.
fn date(params: &mut CertificateParams, now: SystemTime, days: u32) -> Result<(), KeyError> {
    let seconds = now.duration_since(UNIX_EPOCH).map_err(|_| FAILED)?.as_secs();
    let now = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).map_err(|_| FAILED)?).map_err(|_| FAILED)?;
    params.not_before = now.checked_sub(Duration::HOUR).ok_or(FAILED)?;
    params.not_after = now.checked_add(Duration::days(days.into())).ok_or(FAILED)?;
    Ok(())
}

const FAILED: KeyError = KeyError::Generate("the certificate");
