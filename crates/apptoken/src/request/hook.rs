//! A program's last word on a token request, when it is about to be sent.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

use super::{Asked, Extra};
use crate::Error;

/// A token request that is about to be sent, for a
/// [hook](crate::AcquireTokenForClient::on_before_token_request) to add to. What proves the app is not in it.
pub struct BeforeTokenRequest {
    token_endpoint: String,
    client_id: String,
    tenant: String,
    scope: String,
    correlation_id: Uuid,
    extra: Extra,
    wrong: Option<Error>,
}

impl BeforeTokenRequest {
    /// Where it goes.
    #[must_use]
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The app's client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The tenant that is asked.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The request's correlation id.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// One more parameter in the endpoint's query, in place of one of the same name that the call or the client gave.
    /// Names of standard fields are refused.
    #[must_use]
    pub fn query_parameter(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let done = self.extra.query(name.as_ref(), value.as_ref());
        self.noted(done)
    }

    /// One more field in the body. Names of standard fields are refused.
    #[must_use]
    pub fn body_parameter(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let done = self.extra.body(name.as_ref(), value.as_ref());
        self.noted(done)
    }

    /// One more header. Those that this library sets, that frame the message or that prove who sends it are refused.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let done = self.extra.header(name.as_ref(), value.as_ref());
        self.noted(done)
    }

    fn noted(mut self, done: Result<(), Error>) -> Self {
        self.wrong = self.wrong.or_else(|| done.err());
        self
    }
}

impl fmt::Debug for BeforeTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeforeTokenRequest")
            .field("token_endpoint", &self.token_endpoint)
            .field("client_id", &self.client_id)
            .field("tenant", &self.tenant)
            .field("scope", &self.scope)
            .field("correlation_id", &self.correlation_id)
            .field("extra", &self.extra)
            .finish()
    }
}

/// Adds to token requests what is known only when they are sent, such as a nonce.
///
/// Any `Fn(BeforeTokenRequest) -> impl Future<Output = Result<BeforeTokenRequest, E>>` is one.
pub trait TokenRequestHook: Send + Sync + 'static {
    /// `request`, with what is to be added.
    ///
    /// # Errors
    /// Whatever keeps the request from being sent; the caller of the token gets it as an error's source, and an [`Error`]
    /// as it is.
    fn before(
        &self,
        request: BeforeTokenRequest,
    ) -> impl Future<Output = Result<BeforeTokenRequest, Box<dyn StdError + Send + Sync>>> + Send;
}

impl<F, Answer, E> TokenRequestHook for F
where
    F: Fn(BeforeTokenRequest) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<BeforeTokenRequest, E>> + Send,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn before(
        &self,
        request: BeforeTokenRequest,
    ) -> impl Future<Output = Result<BeforeTokenRequest, Box<dyn StdError + Send + Sync>>> + Send {
        let answer = self(request);
        async move { answer.await.map_err(Into::into) }
    }
}

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<BeforeTokenRequest, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// [`TokenRequestHook`] with its future boxed.
trait DynHook: Send + Sync + 'static {
    fn before(&self, request: BeforeTokenRequest) -> Boxed<'_>;
}

impl<T: TokenRequestHook> DynHook for T {
    fn before(&self, request: BeforeTokenRequest) -> Boxed<'_> {
        Box::pin(TokenRequestHook::before(self, request))
    }
}

/// Hooks by their names, in order.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Vec<(Box<str>, Arc<dyn DynHook>)>);

impl Hooks {
    /// A second one of a name takes the first one's place.
    pub(super) fn set(&mut self, name: &str, hook: impl TokenRequestHook) {
        let hook: Arc<dyn DynHook> = Arc::new(hook);
        match self.0.iter_mut().find(|(other, _)| &**other == name) {
            Some((_, place)) => *place = hook,
            None => self.0.push((name.into(), hook)),
        }
    }

    /// `extra`, the fields of a request of `client_id` to `token_endpoint`, with what the hooks add to it.
    pub(crate) async fn add(
        &self,
        mut extra: Extra,
        client_id: &str,
        token_endpoint: &str,
        asked: Asked<'_>,
    ) -> Result<Extra, Error> {
        for (name, hook) in &self.0 {
            let request = BeforeTokenRequest {
                token_endpoint: token_endpoint.to_owned(),
                client_id: client_id.to_owned(),
                tenant: asked.tenant.as_str().to_owned(),
                scope: asked.scope.to_owned(),
                correlation_id: asked.correlation_id,
                extra,
                wrong: None,
            };
            let request = hook.before(request).await.map_err(|cause| match cause.downcast::<Error>() {
                Ok(error) => *error,
                Err(cause) => Error::configuration(format!("the hook {name:?} of the token request failed"))
                    .with_source(cause)
                    .with_advice("see what the program's own hook says"),
            })?;
            if let Some(wrong) = request.wrong {
                return Err(wrong);
            }
            extra = request.extra;
        }
        Ok(extra)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
