use std::borrow::Cow;
use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Acquire;
use crate::acquire::{self, Call, Inner};
use crate::request::Options;
use crate::{AccessToken, Error};

/// One call for a token of an identity that has one tenant: a managed identity, or what the environment gave; `.await`
/// runs it.
#[must_use = "awaiting it runs it"]
pub struct AcquireToken<'a> {
    client: &'a Arc<Inner>,
    scope: Cow<'a, str>,
    correlation_id: Option<Uuid>,
    /// None for a plain call, which so allocates nothing.
    options: Option<Arc<Options>>,
}

impl<'a> AcquireToken<'a> {
    pub(super) fn new(client: &'a Arc<Inner>, scope: Cow<'a, str>) -> Self {
        Self { client, scope, correlation_id: None, options: None }
    }

    /// Answers a claims challenge, JSON from the `WWW-Authenticate` of an API: the kept token is passed over, the new one
    /// is kept in its place. A token endpoint gets the claims; of a managed identity's sources Service Fabric alone is
    /// told which token was turned down, the others may give it again until its platform's own cache lets it go.
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

    fn options(&mut self) -> &mut Options {
        Arc::make_mut(self.options.get_or_insert_default())
    }

    #[inline]
    fn call(&self) -> Call<'_> {
        Call {
            scope: self.client.scope_rule.asked_for(&self.scope),
            tenant: None,
            correlation_id: self.correlation_id,
            options: self.options.as_ref(),
        }
    }
}

impl<'a> IntoFuture for AcquireToken<'a> {
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

impl fmt::Debug for AcquireToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireToken")
            .field("scope", &self.scope)
            .field("correlation_id", &self.correlation_id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
