use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use uuid::Uuid;

use super::TokenSource;
use crate::acquire::{self, Call, Inner};
use crate::request::Options;
use crate::{AccessToken, Error};

/// One call for a token, with what is unusual about it; `.await` runs it.
#[must_use = "awaiting it runs it"]
pub struct AcquireTokenForClient<'a> {
    pub(super) client: &'a Arc<Inner>,
    scope: Cow<'a, str>,
    tenant: Option<&'a str>,
    correlation_id: Option<Uuid>,
    /// None for a plain call, which so allocates nothing.
    options: Option<Arc<Options>>,
}

impl<'a> AcquireTokenForClient<'a> {
    pub(super) fn new(client: &'a Arc<Inner>, scope: Cow<'a, str>) -> Self {
        Self { client, scope, tenant: None, correlation_id: None, options: None }
    }

    /// Asks another tenant than the client's own, for an app that is known in several. Each tenant has its own token.
    pub fn tenant(mut self, tenant: &'a str) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Answers a claims challenge: JSON from [`Denied::claims`](crate::Denied::claims) or from the `WWW-Authenticate`
    /// of an API. The kept token is passed over, the new one is kept in its place.
    pub fn claims(mut self, claims: impl Into<String>) -> Self {
        self.options().claims(claims.into());
        self
    }

    /// Passes the kept token over; the new one is kept in its place. Callers that come while the request is in flight
    /// share it, forced or not.
    pub fn force_refresh(mut self, force: bool) -> Self {
        if force || self.options.is_some() {
            self.options().force_refresh = force;
        }
        self
    }

    /// Passes the kept token over if it is the one with this SHA-256 (in hexadecimal digits), which an API has turned
    /// down; one that is newer is served, even when claims are given. So many callers that are turned down together
    /// cause one refresh. Not with [`force_refresh`](Self::force_refresh).
    pub fn refresh_if_token_sha256(mut self, sha256: impl AsRef<str>) -> Self {
        self.options().rejected(sha256.as_ref());
        self
    }

    /// How long this call waits at most. Others who wait for the same request are not affected; a request that nobody
    /// waits for is given up. Default: the client's own timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options().timeout = Some(timeout);
        self
    }

    /// The correlation id to send, if this call is the one that asks. Default: a new one.
    pub fn correlation_id(mut self, id: Uuid) -> Self {
        self.correlation_id = Some(id);
        self
    }

    pub(super) fn options(&mut self) -> &mut Options {
        Arc::make_mut(self.options.get_or_insert_default())
    }

    /// A handle for what this call asks for, tenant and options included, for whoever asks often: it skips even the
    /// lookup. The correlation id is left out.
    ///
    /// ```no_run
    /// # async fn example(client: apptoken::ConfidentialClient) -> Result<(), apptoken::Error> {
    /// let call = client.acquire_token_for_client("api://AzureADTokenExchange/.default");
    /// let agent = call.tenant("contoso.onmicrosoft.com").fmi_path("agent-app-id").token_source()?;
    /// let token = agent.token().await?;
    /// # let _ = token; Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What is wrong with the scope, the tenant or an option, or one that passes the kept token over.
    pub fn token_source(self) -> Result<TokenSource, Error> {
        TokenSource::of(self.client, self.call())
    }

    #[inline]
    fn call(&self) -> Call<'_> {
        Call {
            scope: &self.scope,
            tenant: self.tenant,
            correlation_id: self.correlation_id,
            options: self.options.as_ref(),
        }
    }
}

impl<'a> IntoFuture for AcquireTokenForClient<'a> {
    type Output = Result<AccessToken, Error>;
    type IntoFuture = Acquire<'a>;

    // The whole hit stands where it is awaited: to hand its token over in memory takes half as long again.
    #[inline(always)]
    fn into_future(self) -> Acquire<'a> {
        match acquire::hit(self.client, &self.call()) {
            Some(token) => Acquire::hit(token),
            None => Acquire::miss(async move { acquire::miss(self.client, &self.call()).await }),
        }
    }
}

impl fmt::Debug for AcquireTokenForClient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireTokenForClient")
            .field("scope", &self.scope)
            .field("tenant", &self.tenant)
            .field("correlation_id", &self.correlation_id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The future of a token. A hit is decided when the future is made, is ready at once and allocates nothing: await it
/// soon, as `.await` on the call does.
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<'a>(State<'a>);

enum State<'a> {
    /// Pending once it was taken. In the very form that polling gives it, so that it is moved as a whole.
    Hit(Poll<Result<AccessToken, Error>>),
    Miss(Pin<Box<dyn Future<Output = Result<AccessToken, Error>> + Send + 'a>>),
}

impl<'a> Acquire<'a> {
    /// A kept token, ready at once.
    #[cfg(feature = "blocking")]
    pub(crate) fn is_hit(&self) -> bool {
        matches!(self.0, State::Hit(_))
    }

    #[inline]
    pub(super) fn hit(token: AccessToken) -> Self {
        Self(State::Hit(Poll::Ready(Ok(token))))
    }

    pub(super) fn miss(work: impl Future<Output = Result<AccessToken, Error>> + Send + 'a) -> Self {
        Self(State::Miss(Box::pin(work)))
    }
}

impl Future for Acquire<'_> {
    type Output = Result<AccessToken, Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            // pending when polled again after it was ready, which the contract of Future forbids
            State::Hit(token) => mem::replace(token, Poll::Pending),
            State::Miss(work) => work.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Hit(_) => "Acquire(hit)",
            State::Miss(_) => "Acquire(miss)",
        })
    }
}
