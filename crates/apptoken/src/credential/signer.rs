use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use apptoken_jose::{Algorithm, SigningKey};

use super::Certificate;
use super::certificate::unusable;
use crate::Error;

/// Signs with a private key that does not leave its place: an HSM, a TPM, Azure Key Vault, another process. Make a
/// [`Certificate`] of it with [`Certificate::from_signer`]. Signatures are asked for when an assertion is due, every eight
/// minutes at most for each token endpoint, and never on a cache hit.
///
/// ```
/// use apptoken::{Signer, SigningAlgorithm};
///
/// struct KeyVault { /* address, credential … */ }
///
/// impl Signer for KeyVault {
///     async fn sign(
///         &self,
///         algorithm: SigningAlgorithm,
///         message: &[u8],
///     ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
///         let digest = algorithm.digest(message); // Key Vault signs digests
///         self.post("sign", algorithm.as_str(), &digest).await
///     }
/// }
/// # impl KeyVault {
/// #     async fn post(&self, _: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> { Ok(vec![]) }
/// # }
/// ```
pub trait Signer: Send + Sync + 'static {
    /// The signature of `message` (not yet hashed) by `algorithm`, as long as the key's modulus. PS256 means a salt of
    /// 32 bytes (RFC 7518 §3.5).
    ///
    /// # Errors
    /// Whatever keeps it from being made; the caller of the token gets it as an error's source, and an
    /// [`Error`](crate::Error) as it is.
    fn sign(
        &self,
        algorithm: Algorithm,
        message: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, Box<dyn StdError + Send + Sync>>> + Send;
}

type BoxedSignature<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// [`Signer`] with its future boxed.
pub(crate) trait DynSigner: Send + Sync + 'static {
    fn sign<'a>(&'a self, algorithm: Algorithm, message: &'a [u8]) -> BoxedSignature<'a>;
}

impl<T: Signer> DynSigner for T {
    fn sign<'a>(&'a self, algorithm: Algorithm, message: &'a [u8]) -> BoxedSignature<'a> {
        Box::pin(Signer::sign(self, algorithm, message))
    }
}

/// What signs for a certificate.
pub(crate) enum Key {
    Here(SigningKey),
    Elsewhere(Box<dyn DynSigner>),
}

impl Certificate {
    pub(super) async fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.key() {
            Key::Here(key) => key.sign(algorithm, message).map_err(|error| unusable("the certificate's key", &error)),
            Key::Elsewhere(signer) => {
                let signature = signer.sign(algorithm, message).await.map_err(|cause| self.failed(cause))?;
                self.check(algorithm, message, &signature)?;
                Ok(signature)
            }
        }
    }

    /// An error of this library says by itself what is to be done and whether it passes.
    fn failed(&self, cause: Box<dyn StdError + Send + Sync>) -> Error {
        match cause.downcast::<Error>() {
            Ok(error) => *error,
            Err(cause) => {
                Error::credential(format!("the signer of the certificate {} failed: {cause}", self.thumbprint()))
                    .with_source(cause)
            }
        }
    }

    /// The authority would say AADSTS700027 and not why.
    fn check(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let Ok(key) = self.leaf().public_key() else { return Ok(()) };
        if key.verify(algorithm, message, signature).is_ok() {
            return Ok(());
        }
        let other = if algorithm == Algorithm::Ps256 { Algorithm::Rs256 } else { Algorithm::Ps256 };
        let why = if key.verify(other, message, signature).is_ok() {
            format!("it is {other} and not {algorithm}")
        } else if signature.len() == key.n().len() {
            "another key made it, or over something else".to_owned()
        } else {
            format!("it has {} bytes and not {}", signature.len(), key.n().len())
        };
        let what = format!("the signer's signature does not fit the certificate {}: {why}", self.thumbprint());
        Err(Error::credential(what).with_advice(
            "check that the signer uses the certificate's own key and version of it, and signs the SHA-256 of the message once; \
             a device without PSS needs assertion_form(AssertionForm::Rs256)",
        ))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(key) => key.fmt(f),
            Self::Elsewhere(_) => f.write_str("Signer"),
        }
    }
}
