use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence, SliceReader};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{JwsError, KeyError, pem, traditional};

/// The signature algorithms that Entra ID takes for client assertions (RFC 7518 §3.3, §3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256. Entra signs its tokens with it.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256 and MGF1. MSAL signs assertions with it.
    #[serde(rename = "PS256")]
    Ps256,
}

impl Algorithm {
    /// The `alg` value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    /// SHA-256 of `message`, which both algorithms sign: what a signer asks for that takes digests, such as Azure Key Vault.
    #[must_use]
    pub fn digest(self, message: &[u8]) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
        std::array::from_fn(|i| digest.as_ref()[i])
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = JwsError;

    fn from_str(alg: &str) -> Result<Self, JwsError> {
        match alg {
            "RS256" => Ok(Self::Rs256),
            "PS256" => Ok(Self::Ps256),
            _ => Err(JwsError::AlgorithmNotAllowed),
        }
    }
}

/// An RSA private key, parsed once (loading one costs half as much as a signature). AWS-LC wipes it when it is dropped.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<RsaKeyPair>,
    public: PublicKey,
}

impl SigningKey {
    /// The first private key of a PEM text: PKCS#8, PKCS#8 encrypted with PBES2, PKCS#1, or PKCS#1 in OpenSSL's old
    /// encryption (`DEK-Info`); `passphrase` is for the encrypted ones.
    ///
    /// # Errors
    /// Says what the input is instead: no key, another kind of key, an encryption that is not supported, a wrong password.
    pub fn from_pem(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let pem = pem::narrow(pem);
        let keys = pem::blocks(&pem, |label| label.ends_with("PRIVATE KEY"))?;
        let key = keys.first().ok_or(KeyError::NoPrivateKey)?;
        match (key.label, key.header("DEK-Info")) {
            ("PRIVATE KEY", _) => Self::from_pkcs8_der(key.content()),
            ("ENCRYPTED PRIVATE KEY", _) => Self::from_encrypted_der(key.content(), passphrase),
            ("RSA PRIVATE KEY", None) => Self::from_pkcs1_der(key.content()),
            ("RSA PRIVATE KEY", Some(dek_info)) => {
                let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
                let plain = traditional::decrypt(dek_info, key.content(), passphrase)?;
                // one wrong password in 256 leaves the padding right
                Self::from_pkcs1_der(&plain).map_err(|error| match error {
                    KeyError::Malformed(_) => KeyError::WrongPassword,
                    other => other,
                })
            }
            ("OPENSSH PRIVATE KEY", _) => Err(KeyError::Malformed("RSA key (it is one of OpenSSH's own form)")),
            _ => Err(KeyError::NotRsa),
        }
    }

    /// PKCS#8 `PrivateKeyInfo` (RFC 5208).
    ///
    /// # Errors
    /// [`KeyError::NotRsa`], [`KeyError::TooSmall`], or [`KeyError::Malformed`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed("PKCS#8 private key"))?;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(KeyError::NotRsa);
        }
        let pair = RsaKeyPair::from_pkcs8(der);
        Self::from_pair(pair.map_err(|_| rejected(info.private_key.as_bytes(), "PKCS#8 RSA private key"))?)
    }

    /// PKCS#1 `RSAPrivateKey` (RFC 8017 A.1.2).
    ///
    /// # Errors
    /// [`KeyError::TooSmall`] or [`KeyError::Malformed`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_pair(RsaKeyPair::from_der(der).map_err(|_| rejected(der, "PKCS#1 RSA private key"))?)
    }

    /// A new key of 2,048 bits, the size that Entra's own certificates have.
    ///
    /// # Errors
    /// [`KeyError::Generate`] when the machine cannot make one.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pair(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Generate("an RSA key"))?)
    }

    /// Signs `message`; the signature is as long as the modulus.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(algorithm.encoding(), &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Signing)?;
        Ok(signature)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// PKCS#8 DER, unencrypted; wiped when dropped.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] if AWS-LC cannot serialise the key.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyError::Malformed("RSA private key"))?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// PKCS#8 PEM (`BEGIN PRIVATE KEY`), unencrypted; wiped when dropped.
    ///
    /// # Errors
    /// As [`Self::to_pkcs8_der`].
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let document = SecretDocument::try_from(self.to_pkcs8_der()?.as_slice())
            .map_err(|_| KeyError::Malformed("RSA private key"))?;
        document.to_pem("PRIVATE KEY", pkcs8::LineEnding::LF).map_err(|_| KeyError::Malformed("RSA private key"))
    }

    fn from_encrypted_der(der: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|error| match error {
            // PBES1 and other schemes: their parameters are not PBES2's
            pkcs8::Error::Asn1(_) => KeyError::UnsupportedEncryption,
            _ => KeyError::Malformed("encrypted PKCS#8 private key"),
        })?;
        let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
        if encrypted.encryption_algorithm.pbes2().is_none() {
            return Err(KeyError::UnsupportedEncryption);
        }
        // a wrong password shows as bad padding or as bytes that are no PKCS#8
        let plain = encrypted.decrypt(passphrase).map_err(|_| KeyError::WrongPassword)?;
        Self::from_pkcs8_der(plain.as_bytes())
    }

    fn from_pair(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let public = PublicKey::from_pkcs1_der(pair.public_key().as_ref())?;
        Ok(Self { pair: Arc::new(pair), public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("bits", &self.public.bits()).finish_non_exhaustive()
    }
}

/// An RSA public key, parsed once so that many signatures can be verified.
#[derive(Clone)]
pub struct PublicKey(Arc<PublicParts>);

struct PublicParts {
    n: Vec<u8>,
    e: Vec<u8>,
    rs256: ParsedPublicKey,
    ps256: ParsedPublicKey,
}

impl PublicKey {
    /// From modulus and exponent, big-endian (RFC 7518 §6.3.1); leading zeros are dropped.
    ///
    /// # Errors
    /// [`KeyError::TooSmall`] or [`KeyError::Malformed`].
    pub fn from_components(n: &[u8], e: &[u8]) -> Result<Self, KeyError> {
        Self::from_pkcs1_der(&pkcs1(n, e)?)
    }

    /// Modulus, big-endian, no leading zeros.
    #[must_use]
    pub fn n(&self) -> &[u8] {
        &self.0.n
    }

    /// Exponent, big-endian, no leading zeros.
    #[must_use]
    pub fn e(&self) -> &[u8] {
        &self.0.e
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        bits(&self.0.n)
    }

    /// Whether `signature` over `message` was made by the private half.
    ///
    /// # Errors
    /// [`JwsError::BadSignature`].
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        let key = match algorithm {
            Algorithm::Rs256 => &self.0.rs256,
            Algorithm::Ps256 => &self.0.ps256,
        };
        key.verify_sig(message, signature).map_err(|_| JwsError::BadSignature)
    }

    /// PKCS#1 `RSAPublicKey` (RFC 8017 A.1.1).
    #[cfg(feature = "issue")]
    pub(crate) fn to_pkcs1_der(&self) -> Result<Vec<u8>, KeyError> {
        pkcs1(self.n(), self.e())
    }

    /// The same, read.
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let parts = RsaPublicKey::from_der(der).map_err(|_| MALFORMED)?;
        let (n, e) = (parts.n.as_bytes().to_vec(), parts.e.as_bytes().to_vec());
        if bits(&n) < MIN_BITS {
            return Err(KeyError::TooSmall { bits: bits(&n) });
        }
        let parsed = |algorithm| ParsedPublicKey::new(algorithm, der).map_err(|_| MALFORMED);
        let (rs256, ps256) = (parsed(&RSA_PKCS1_2048_8192_SHA256)?, parsed(&RSA_PSS_2048_8192_SHA256)?);
        Ok(Self(Arc::new(PublicParts { n, e, rs256, ps256 })))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.n() == other.n() && self.e() == other.e()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("bits", &self.bits()).finish_non_exhaustive()
    }
}

#[derive(Sequence)]
struct RsaPublicKey<'a> {
    n: UintRef<'a>,
    e: UintRef<'a>,
}

fn pkcs1(n: &[u8], e: &[u8]) -> Result<Vec<u8>, KeyError> {
    let integer = |bytes| UintRef::new(bytes).map_err(|_| MALFORMED);
    RsaPublicKey { n: integer(n)?, e: integer(e)? }.to_der().map_err(|_| MALFORMED)
}

/// Why AWS-LC does not load a PKCS#1 key: most often because it is too small.
fn rejected(pkcs1: &[u8], what: &'static str) -> KeyError {
    let modulus_bits = || -> der::Result<usize> {
        let sequence = AnyRef::from_der(pkcs1)?;
        let mut members = SliceReader::new(sequence.value())?;
        UintRef::decode(&mut members)?; // version
        Ok(bits(UintRef::decode(&mut members)?.as_bytes()))
    };
    match modulus_bits() {
        Ok(bits) if bits < MIN_BITS => KeyError::TooSmall { bits },
        _ => KeyError::Malformed(what),
    }
}

fn bits(big_endian: &[u8]) -> usize {
    match big_endian.first() {
        Some(first) => big_endian.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

/// rsaEncryption, RFC 8017 A.1.
pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const MIN_BITS: usize = 2048;
const MALFORMED: KeyError = KeyError::Malformed("RSA public key");
