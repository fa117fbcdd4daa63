use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use apptoken_jose::jwk::Jwk;
use apptoken_jose::{Algorithm, KeyError, PublicKey, SigningKey, base64url};
use secrecy::{ExposeSecret, SecretString};

use crate::Error;
use crate::clock::Moment;
use crate::credential::{DynSigner, Signer};

/// A key that requests are signed with: RSA, 2,048 bits or more. Cloning it counts a reference.
#[derive(Clone)]
pub struct PopKey(Arc<Inner>);

struct Inner {
    signs: Signs,
    public: PublicKey,
    id: String,
    jwk: BTreeMap<&'static str, String>,
}

enum Signs {
    Here(SigningKey),
    Elsewhere(Box<dyn DynSigner>),
}

impl PopKey {
    /// A new key of 2,048 bits, in memory only. It takes a processor tens to hundreds of milliseconds.
    ///
    /// # Errors
    /// The machine cannot make one.
    pub fn generate() -> Result<Self, Error> {
        SigningKey::generate().map(Self::here).map_err(|error| unusable(&error))
    }

    /// A key in PEM: PKCS#8, PKCS#8 under a `passphrase`, or PKCS#1.
    ///
    /// # Errors
    /// No key in the text, one that is not RSA, a wrong passphrase.
    pub fn from_pem(pem: &[u8], passphrase: Option<&SecretString>) -> Result<Self, Error> {
        let passphrase = passphrase.map(|text| text.expose_secret().as_bytes());
        SigningKey::from_pem(pem, passphrase).map(Self::here).map_err(|error| unusable(&error))
    }

    /// A key that does not leave its place, by its public half (a JWK). The signer is asked, with PS256, for each request.
    ///
    /// # Errors
    /// What is no JWK of an RSA key.
    pub fn from_signer(public_jwk: &str, signer: impl Signer) -> Result<Self, Error> {
        let jwk: Jwk = serde_json::from_str(public_jwk).map_err(|_| unusable(&KeyError::Malformed("JWK")))?;
        let public = jwk.public_key().map_err(|error| unusable(&error))?;
        Ok(Self::new(Signs::Elsewhere(Box::new(signer)), public))
    }

    /// Its name: the thumbprint of its public JWK (RFC 7638).
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    fn here(key: SigningKey) -> Self {
        let public = key.public_key().clone();
        Self::new(Signs::Here(key), public)
    }

    fn new(signs: Signs, public: PublicKey) -> Self {
        let (e, n) = (base64url::encode(public.e()), base64url::encode(public.n()));
        let jwk = BTreeMap::from([("e", e), ("kty", "RSA".to_owned()), ("n", n)]);
        Self(Arc::new(Inner { signs, id: public.jwk_thumbprint(), jwk, public }))
    }

    /// The public half, required members only.
    pub(super) fn jwk(&self) -> &BTreeMap<&'static str, String> {
        &self.0.jwk
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        Algorithm::Ps256
    }

    pub(super) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signer = match &self.0.signs {
            Signs::Here(key) => return key.sign(self.algorithm(), message).map_err(|error| unusable(&error)),
            Signs::Elsewhere(signer) => signer,
        };
        let signature =
            signer.sign(self.algorithm(), message).await.map_err(|cause| match cause.downcast::<Error>() {
                Ok(error) => *error,
                Err(cause) => Error::credential("the signer of requests failed").with_source(cause),
            })?;
        // the API would say no more than that it is wrong
        if self.0.public.verify(self.algorithm(), message, &signature).is_err() {
            let what = "the signer's signature does not fit the public key of the requests' key";
            return Err(Error::credential(what).with_advice("check that it signs with PS256 and with that key"));
        }
        Ok(signature)
    }
}

impl fmt::Debug for PopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PopKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The key of one client: the program's, or one made when it is first needed and replaced every eight hours.
pub(crate) enum PopKeys {
    Given(PopKey),
    Made(Mutex<Option<Made>>),
}

/// A key that is being made, or is there. Whoever comes meanwhile waits for the same one.
#[derive(Clone)]
pub(crate) struct Made {
    key: Arc<OnceLock<Result<PopKey, Error>>>,
    until: Moment,
}

impl PopKeys {
    pub(crate) fn new(given: Option<PopKey>) -> Self {
        given.map_or_else(|| Self::Made(Mutex::default()), Self::Given)
    }

    pub(crate) async fn current(&self, now: Moment) -> Result<PopKey, Error> {
        let made = match self {
            Self::Given(key) => return Ok(key.clone()),
            Self::Made(made) => {
                // whole after a panic: it is changed by single assignments
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                let usable = |made: &Made| now < made.until && !made.key.get().is_some_and(Result::is_err);
                match made.as_ref().filter(|made| usable(made)) {
                    Some(current) => current.clone(),
                    None => made.insert(Made { key: Arc::default(), until: now + ROTATION }).clone(),
                }
            }
        };
        if let Some(key) = made.key.get() {
            return key.clone();
        }
        let make = move || made.key.get_or_init(PopKey::generate).clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime
                .spawn_blocking(make)
                .await
                .unwrap_or_else(|_| Err(Error::credential("the runtime ended while a key was being made"))),
            Err(_) => make(),
        }
    }
}

fn unusable(error: &KeyError) -> Error {
    Error::credential(format!("the key to sign requests with cannot be used: {error}"))
}

/// MSAL's figure.
const ROTATION: Duration = Duration::from_secs(8 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_key_for_eight_hours_however_many_ask() {
        let keys = Arc::new(PopKeys::new(None));
        let at = |hours: u64| Moment::from_millis(hours * 3_600_000);
        let mut first = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let keys = keys.clone();
            first.spawn(async move { keys.current(at(0)).await.unwrap().id().to_owned() });
        }
        let mut ids = first.join_all().await;
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(keys.current(at(7)).await.unwrap().id(), ids[0]);
        let second = keys.current(at(8)).await.unwrap();
        assert_ne!(second.id(), ids[0]);
        assert_eq!(keys.current(at(15)).await.unwrap().id(), second.id());
    }

    #[test]
    fn the_programs_own_key_stays_and_needs_no_runtime() {
        let key = PopKey::from_pem(testkit::keys::PKCS8, None).unwrap();
        let keys = PopKeys::new(Some(key.clone()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for hours in [0, 100] {
            let current = std::pin::pin!(keys.current(Moment::from_millis(hours * 3_600_000)));
            let std::task::Poll::Ready(Ok(current)) = current.poll(&mut context) else { panic!("not ready") };
            assert_eq!(current.id(), key.id());
        }
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
}
