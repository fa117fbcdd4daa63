use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::Occasion;
use crate::Error;

/// What an assertion is wanted for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AssertionRequest {
    /// The app's client id: `iss` and `sub` of an assertion that the app signs itself.
    pub client_id: String,
    /// The tenant that is asked.
    pub tenant: String,
    /// The authority that is asked: scheme and host, no slash at the end.
    pub authority: String,
    /// Where it is sent: `aud` of an assertion that the app signs itself.
    pub token_endpoint: String,
    /// The claims challenge that is being answered.
    pub claims: Option<String>,
    /// The path of a federated managed identity that a first leg is to be for, as
    /// [`fmi_path_for_client_assertion`](crate::AcquireTokenForClient::fmi_path_for_client_assertion) gave it.
    pub fmi_path: Option<String>,
    /// What the client is capable of, as its builder was told.
    pub client_capabilities: Vec<String>,
    /// The correlation id of the token request.
    pub correlation_id: Uuid,
}

/// Gives the JWT that proves who the app is: signed elsewhere, or issued by another identity provider that the app's
/// registration trusts (workload identity federation). Asked once for each token request, never on a cache hit.
///
/// Any `Fn(AssertionRequest) -> impl Future<Output = Result<impl Into<SecretString>, E>>` is one.
pub trait AssertionSource: Send + Sync + 'static {
    /// The assertion, a compact JWT.
    ///
    /// # Errors
    /// Whatever keeps it from being made; the caller of the token gets it as an error's source, and an [`Error`] as it is.
    fn assertion(
        &self,
        request: AssertionRequest,
    ) -> impl Future<Output = Result<SecretString, Box<dyn StdError + Send + Sync>>> + Send;
}

impl<F, Answer, Text, E> AssertionSource for F
where
    F: Fn(AssertionRequest) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Text, E>> + Send,
    Text: Into<SecretString>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn assertion(
        &self,
        request: AssertionRequest,
    ) -> impl Future<Output = Result<SecretString, Box<dyn StdError + Send + Sync>>> + Send {
        let answer = self(request);
        async move { answer.await.map(Into::into).map_err(Into::into) }
    }
}

type BoxedAssertion<'a> =
    Pin<Box<dyn Future<Output = Result<SecretString, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// [`AssertionSource`] with its future boxed.
pub(crate) trait DynAssertionSource: Send + Sync + 'static {
    fn assertion(&self, request: AssertionRequest) -> BoxedAssertion<'_>;
}

impl<T: AssertionSource> DynAssertionSource for T {
    fn assertion(&self, request: AssertionRequest) -> BoxedAssertion<'_> {
        Box::pin(AssertionSource::assertion(self, request))
    }
}

/// An assertion that was made elsewhere.
pub(super) struct StaticAssertion(pub(super) SecretString);

impl AssertionSource for StaticAssertion {
    async fn assertion(&self, _: AssertionRequest) -> Result<SecretString, Box<dyn StdError + Send + Sync>> {
        Ok(self.0.clone())
    }
}

impl From<&Occasion<'_>> for AssertionRequest {
    fn from(occasion: &Occasion<'_>) -> Self {
        Self {
            client_id: occasion.client_id.to_owned(),
            tenant: occasion.asked.tenant.as_str().to_owned(),
            authority: occasion.authority.to_owned(),
            token_endpoint: occasion.token_endpoint.to_owned(),
            fmi_path: occasion.asked.options.assertion_fmi_path.as_deref().map(str::to_owned),
            client_capabilities: occasion.capabilities.names().map(str::to_owned).collect(),
            claims: occasion.asked.options.claims.as_deref().map(str::to_owned),
            correlation_id: occasion.asked.correlation_id,
        }
    }
}

pub(super) async fn from_source(
    source: &dyn DynAssertionSource,
    occasion: &Occasion<'_>,
) -> Result<SecretString, Error> {
    let assertion = source.assertion(occasion.into()).await;
    let assertion = assertion.map_err(|cause| callback_failed("the client assertion callback failed", cause))?;
    if assertion.expose_secret().trim().is_empty() {
        return Err(Error::credential("the client assertion callback gave an empty assertion")
            .with_advice("check that the token file or identity provider that it reads has one"));
    }
    Ok(assertion)
}

/// An error of this library (another client's) says by itself what is to be done and whether it passes.
pub(super) fn callback_failed(what: &'static str, cause: Box<dyn StdError + Send + Sync>) -> Error {
    match cause.downcast::<Error>() {
        Ok(error) => *error,
        Err(cause) => Error::credential(what).with_source(cause),
    }
}
