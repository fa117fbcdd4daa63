//! The guard itself.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

use crate::challenge::Challenge;
use crate::claims::Policy;
use crate::clock::unix_seconds;
use crate::store::KeyStore;
use crate::token::Token;
use crate::{Caller, ProtectBuilder, Rejection, bearer};

/// Lets in callers with a valid app-only token of one tenant for one API: a [`tower::Layer`], and the same as functions
/// for programs without tower. Cloning it copies a pointer.
///
/// A request that passes has a [`Caller`] in its extensions; which app roles a route demands is said with
/// [`RequireRoles`](crate::RequireRoles) inside. One that does not pass is answered here, see [`Rejection`].
///
/// # What is checked
/// 1. One `Authorization: Bearer` header (RFC 6750 §2.1), a compact JWS of at most 16 KiB, no member twice, no `crit`.
/// 2. `alg` is RS256, `iss` is one of the two issuers in the tenant's metadata, `kid` names a key of that issuer's
///    document, the key's own issuer fits, the signature is good.
/// 3. `tid` is the tenant, `aud` is this API letter by letter, `exp` and `nbf` hold within the skew.
/// 4. The application is named (`azp` or `appid`) and has a service principal (`oid`).
/// 5. The token is an application's own. It is a **user's** if it has `scp`; else if it has `idtyp` and that is not
///    `app`; else, without `idtyp` (an optional claim for APIs of one's own), if `sub` differs from `oid` and is not the
///    `/eid1/…` path of a managed identity's chain.
/// 6. It has a role. Entra issues a token for any API to any application of the tenant that asks, so a token without
///    roles proves only that the application exists.
///
/// Unknown claims are tolerated. The keys are fetched once and again when an unknown `kid` arrives, but not more often
/// than [`refresh_interval`](ProtectBuilder::refresh_interval) (the first such fetch may follow the start at once), one
/// fetch however many requests wait; a fetch that fails leaves the known keys in use.
#[derive(Clone)]
pub struct Protect(Arc<Guard>);

pub(crate) struct Guard {
    pub(crate) policy: Policy,
    pub(crate) challenge: Arc<Challenge>,
    pub(crate) keys: Arc<KeyStore>,
}

impl Protect {
    /// Starts with the API's App ID URI (`api://todolist`), or its client id, as the audience.
    pub fn api(audience: impl Into<String>) -> ProtectBuilder {
        ProtectBuilder::new(audience.into())
    }

    pub(crate) fn new(guard: Guard) -> Self {
        Self(Arc::new(guard))
    }

    /// Judges a token, without the `Bearer` before it. A refusal is logged in full, the token never.
    ///
    /// # Errors
    /// The [`Rejection`], to be answered with [`Self::refuse`].
    pub async fn validate(&self, token: &str) -> Result<Caller, Rejection> {
        self.judge(token).await.inspect_err(Rejection::log)
    }

    /// Judges the `Authorization` header of a request; otherwise as [`Self::validate`].
    ///
    /// # Errors
    /// The [`Rejection`], to be answered with [`Self::refuse`].
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, Rejection> {
        match bearer::token(headers) {
            Ok(token) => self.validate(token).await,
            Err(rejection) => {
                rejection.log();
                Err(rejection)
            }
        }
    }

    /// The answer to a refused request: status, `WWW-Authenticate`, and a problem body (RFC 9457).
    #[must_use]
    pub fn refuse(&self, rejection: &Rejection) -> Response<Full<Bytes>> {
        rejection.response(Some(&self.0.challenge))
    }

    /// What this API's challenges say.
    #[must_use]
    pub fn challenge(&self) -> &Arc<Challenge> {
        &self.0.challenge
    }

    async fn judge(&self, token: &str) -> Result<Caller, Rejection> {
        let Guard { policy, keys, .. } = &*self.0;
        let token = Token::parse(token)?;
        let mut known = keys.keys().await.ok_or(Rejection::KeysUnavailable)?;
        let claims = match token.verify(&known.trust) {
            Err(Rejection::KeyUnknown { .. }) => {
                known = keys.newer_than(Some(&known)).await.ok_or(Rejection::KeysUnavailable)?;
                token.verify(&known.trust)?
            }
            verdict => verdict?,
        };
        policy.judge(claims, &known.trust.tenant_id, unix_seconds(keys.now()))
    }
}

impl fmt::Debug for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protect").field("policy", &self.0.policy).field("keys", &self.0.keys).finish_non_exhaustive()
    }
}
