use std::fmt;
use std::sync::Arc;

use super::Acquire;
use crate::Error;
use crate::acquire::{self, Call, Inner};
use crate::authority::Tenant;
use crate::cache::Entry;
use crate::request::Options;

/// Tokens for one scope. It holds the slot, so that a hit skips the lookup, and the slot is never evicted.
///
/// ```no_run
/// # async fn example(client: apptoken::ConfidentialClient) -> Result<(), apptoken::Error> {
/// let graph = client.token_source("https://graph.microsoft.com/.default")?;
/// let token = graph.token().await?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenSource {
    client: Arc<Inner>,
    slot: Arc<Entry>,
    tenant: Tenant,
    scope: Arc<str>,
    options: Option<Arc<Options>>,
}

impl TokenSource {
    pub(super) fn new(inner: &Arc<Inner>, scope: &str) -> Result<Self, Error> {
        Self::of(inner, Call::plain(inner.scope_rule.asked_for(scope)))
    }

    /// For what `call` asks for.
    pub(super) fn of(inner: &Arc<Inner>, call: Call<'_>) -> Result<Self, Error> {
        let tenant = acquire::check(inner, &call)?.into_owned();
        if !call.may_hit() {
            return Err(Error::configuration("a token source is to pass the kept token over, and it serves that one")
                .with_advice("leave force_refresh, claims and refresh_if_token_sha256 to single calls"));
        }
        let slot = inner.memory.entry(call.key(inner), inner.clock.now());
        Ok(Self { client: inner.clone(), slot, tenant, scope: call.scope.into(), options: call.options.cloned() })
    }

    /// The token, as [`acquire_token_for_client`](crate::ConfidentialClient::acquire_token_for_client) gives it.
    ///
    /// # Errors
    /// [`Error`].
    #[inline]
    pub fn token(&self) -> Acquire<'_> {
        let inner = &self.client;
        let now = inner.clock.now();
        match inner.memory.fresh_of(&self.slot, now).and_then(|fresh| acquire::served(fresh, now)) {
            Some(token) => Acquire::hit(token),
            None => {
                let call = Call { options: self.options.as_ref(), ..Call::plain(&self.scope) };
                Acquire::miss(async move { acquire::from_slot(inner, &self.slot, &self.tenant, &call).await })
            }
        }
    }

    /// The scope; for a managed identity the resource.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("scope", &self.scope).field("client", &self.client).finish_non_exhaustive()
    }
}
