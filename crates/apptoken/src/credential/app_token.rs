use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::assertion::callback_failed;
use crate::Error;
use crate::request::{Asked, Capabilities};

/// What a token is wanted for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppTokenRequest {
    /// The app's client id.
    pub client_id: String,
    /// The tenant that is asked.
    pub tenant: String,
    /// The scope, `<resource>/.default`.
    pub scope: String,
    /// The claims that the token is to have, JSON: a challenge's, the program's own and the client's capabilities in one.
    pub claims: Option<String>,
    /// The correlation id of the call.
    pub correlation_id: Uuid,
}

/// A token that was got elsewhere.
#[derive(Clone, Debug)]
pub struct AppToken {
    access_token: SecretString,
    expires_in: Duration,
    refresh_in: Option<Duration>,
}

impl AppToken {
    /// A Bearer token that lives for `expires_in` from now.
    pub fn new(access_token: impl Into<SecretString>, expires_in: Duration) -> Self {
        Self { access_token: access_token.into(), expires_in, refresh_in: None }
    }

    /// When to fetch the next one, behind the caller's back. Default: after half its life, if that is two hours or more.
    #[must_use]
    pub fn refresh_in(mut self, after: Duration) -> Self {
        self.refresh_in = Some(after);
        self
    }

    pub(crate) fn access_token(&self) -> &str {
        self.access_token.expose_secret()
    }

    pub(crate) fn life(&self) -> (Duration, Option<Duration>) {
        let expires_in = self.expires_in.min(TEN_YEARS);
        (expires_in, self.refresh_in.filter(|after| *after < expires_in))
    }
}

/// Gets app tokens in place of the authority, from wherever; the client keeps them, refreshes them and lets no two callers
/// ask for the same.
///
/// Any `Fn(AppTokenRequest) -> impl Future<Output = Result<AppToken, E>>` is one.
pub trait AppTokenProvider: Send + Sync + 'static {
    /// A token for `request`.
    ///
    /// # Errors
    /// Whatever keeps it from being got; the caller of the token gets it as an error's source, and an [`Error`] as it is.
    fn token(
        &self,
        request: AppTokenRequest,
    ) -> impl Future<Output = Result<AppToken, Box<dyn StdError + Send + Sync>>> + Send;
}

impl<F, Answer, E> AppTokenProvider for F
where
    F: Fn(AppTokenRequest) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<AppToken, E>> + Send,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn token(
        &self,
        request: AppTokenRequest,
    ) -> impl Future<Output = Result<AppToken, Box<dyn StdError + Send + Sync>>> + Send {
        let answer = self(request);
        async move { answer.await.map_err(Into::into) }
    }
}

type BoxedToken<'a> = Pin<Box<dyn Future<Output = Result<AppToken, Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// [`AppTokenProvider`] with its future boxed.
pub(crate) trait DynAppTokenProvider: Send + Sync + 'static {
    fn token(&self, request: AppTokenRequest) -> BoxedToken<'_>;
}

impl<T: AppTokenProvider> DynAppTokenProvider for T {
    fn token(&self, request: AppTokenRequest) -> BoxedToken<'_> {
        Box::pin(AppTokenProvider::token(self, request))
    }
}

pub(super) async fn from_provider(
    provider: &dyn DynAppTokenProvider,
    client_id: &str,
    capabilities: &Capabilities,
    asked: Asked<'_>,
) -> Result<AppToken, Error> {
    let claims = capabilities.with(asked.options.client_claims.as_deref(), asked.options.claims.as_deref());
    let request = AppTokenRequest {
        client_id: client_id.to_owned(),
        tenant: asked.tenant.as_str().to_owned(),
        scope: asked.scope.to_owned(),
        claims: claims.map(Into::into),
        correlation_id: asked.correlation_id,
    };
    let token =
        provider.token(request).await.map_err(|cause| callback_failed("the app token provider failed", cause))?;
    if token.access_token().trim().is_empty() {
        return Err(Error::credential("the app token provider gave an empty token"));
    }
    if token.expires_in < Duration::from_secs(1) {
        return Err(Error::credential("the app token provider gave a token that has expired")
            .with_advice("give how long the token lives from now, not the time at which it expires"));
    }
    Ok(token)
}

/// A longer life is taken for this.
const TEN_YEARS: Duration = Duration::from_secs(315_360_000);
