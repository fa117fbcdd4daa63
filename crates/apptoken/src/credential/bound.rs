use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;

use secrecy::{ExposeSecret, SecretString};

use super::{AssertionRequest, Certificate, Occasion};
use crate::{ClientIdentity, Error};

/// An assertion, and the certificate that it is bound to: whoever sends it shows that certificate on TLS.
#[derive(Debug)]
pub struct BoundAssertion {
    assertion: SecretString,
    certificate: Certificate,
}

impl BoundAssertion {
    /// A compact JWT, and the certificate that its claim `cnf` names or that signed it.
    pub fn new(assertion: impl Into<SecretString>, certificate: Certificate) -> Self {
        Self { assertion: assertion.into(), certificate }
    }
}

type Answer = Result<BoundAssertion, Box<dyn StdError + Send + Sync>>;

/// Gives an assertion with the certificate that it is bound to. Asked once for each token request, never on a cache hit.
///
/// Any `Fn(AssertionRequest) -> impl Future<Output = Result<BoundAssertion, E>>` is one.
pub trait BoundAssertionSource: Send + Sync + 'static {
    /// The assertion and its certificate.
    ///
    /// # Errors
    /// Whatever keeps them from being made; the caller of the token gets it as an error's source, and an [`Error`] as it
    /// is.
    fn bound_assertion(&self, request: AssertionRequest) -> impl Future<Output = Answer> + Send;
}

impl<F, Given, E> BoundAssertionSource for F
where
    F: Fn(AssertionRequest) -> Given + Send + Sync + 'static,
    Given: Future<Output = Result<BoundAssertion, E>> + Send,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn bound_assertion(&self, request: AssertionRequest) -> impl Future<Output = Answer> + Send {
        let answer = self(request);
        async move { answer.await.map_err(Into::into) }
    }
}

/// [`BoundAssertionSource`] with its future boxed.
pub(crate) trait DynBoundAssertionSource: Send + Sync + 'static {
    fn bound_assertion(&self, request: AssertionRequest) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;
}

impl<T: BoundAssertionSource> DynBoundAssertionSource for T {
    fn bound_assertion(&self, request: AssertionRequest) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(BoundAssertionSource::bound_assertion(self, request))
    }
}

pub(super) async fn from_source(
    source: &dyn DynBoundAssertionSource,
    occasion: &Occasion<'_>,
) -> Result<(SecretString, ClientIdentity), Error> {
    let given = source.bound_assertion(occasion.into()).await;
    let BoundAssertion { assertion, certificate } =
        given.map_err(|cause| super::assertion::callback_failed("the bound assertion callback failed", cause))?;
    if assertion.expose_secret().trim().is_empty() {
        return Err(Error::credential("the bound assertion callback gave an empty assertion"));
    }
    Ok((assertion, certificate.identity()?))
}
