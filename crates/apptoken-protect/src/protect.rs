//! The guard itself.

use std::fmt;
use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body_util::Full;
use serde_json::{Map, Value};

use crate::challenge::Challenge;
use crate::claims::Policy;
use crate::clock::unix_seconds;
use crate::proof::Proof;
use crate::scheme::Scheme;
use crate::signed_request::SignedRequest;
use crate::store::KeyStore;
use crate::token::Token;
use crate::{Caller, ClientCertificate, ProtectBuilder, Rejection, authorization, binding};

/// Lets in callers with a valid app-only token of one tenant for one API: a [`tower::Layer`], and the same as functions
/// for programs without tower. Cloning it copies a pointer.
///
/// A request that passes has a [`Caller`] in its extensions; which app roles a route demands is said with
/// [`RequireRoles`](crate::RequireRoles) inside. One that does not pass is answered here, see [`Rejection`].
///
/// # What is checked
/// 1. One `Authorization` header (RFC 6750 §2.1), a compact JWS of at most 16 KiB, no member twice, no `crit`.
/// 2. `alg` is RS256, `iss` is one of the two issuers in the tenant's metadata, `kid` names a key of that issuer's
///    document, the key's own issuer fits, the signature is good.
/// 3. A token with `cnf` (RFC 7800) is used by who holds the key, and never as a bearer token: after `mtls_pop`, the
///    request's [`ClientCertificate`] has that thumbprint (RFC 8705 §3.1); after `PoP` comes a request signed with that
///    key, see [`ProtectBuilder::signed_request_lifetime`].
/// 4. `tid` is the tenant, `aud` is this API letter by letter, `exp` and `nbf` hold within the skew.
/// 5. The application is named (`azp` or `appid`) and has a service principal (`oid`).
/// 6. The token is an application's own. It is a **user's** if it has `scp`; else if it has `idtyp` and that is not
///    `app`; else, without `idtyp` (an optional claim for APIs of one's own), if `sub` differs from `oid` and is not the
///    `/eid1/…` path of a managed identity's chain.
/// 7. It has a role. Entra issues a token for any API to any application of the tenant that asks, so a token without
///    roles proves only that the application exists.
///
/// Unknown claims are tolerated. The keys are fetched once and again when an unknown `kid` arrives, but not more often
/// than [`refresh_interval`](ProtectBuilder::refresh_interval) (the first such fetch may follow the start at once), one
/// fetch however many requests wait; a fetch that fails leaves the known keys in use.
#[derive(Clone)]
pub struct Protect(Arc<Guard>);

pub(crate) struct Guard {
    pub(crate) policy: Policy,
    pub(crate) proof: Proof,
    pub(crate) challenges: Challenges,
    pub(crate) keys: Arc<KeyStore>,
}

/// One challenge for each way in.
pub(crate) struct Challenges {
    pub(crate) bearer: Arc<Challenge>,
    /// `mtls_pop` and `PoP`.
    pub(crate) proofs: [Arc<Challenge>; 2],
}

impl Protect {
    /// Starts with the API's App ID URI (`api://todolist`), or its client id, as the audience.
    pub fn api(audience: impl Into<String>) -> ProtectBuilder {
        ProtectBuilder::new(audience.into())
    }

    pub(crate) fn new(guard: Guard) -> Self {
        Self(Arc::new(guard))
    }

    /// Judges a bearer token, without the `Bearer` before it. A refusal is logged in full, the token never.
    ///
    /// # Errors
    /// The [`Rejection`], to be answered with [`Self::refuse`].
    pub async fn validate(&self, token: &str) -> Result<Caller, Rejection> {
        self.judge(token, |claims| self.0.proof.bearer(claims)).await.inspect_err(Rejection::log)
    }

    /// Judges a request by its head: the `Authorization` header, and for a token that is bound to a key, the
    /// [`ClientCertificate`] among its extensions, or its method, host and path. Otherwise as [`Self::validate`].
    ///
    /// # Errors
    /// The [`Rejection`], to be answered with [`Self::refuse`].
    pub async fn authenticate(&self, request: &Parts) -> Result<Caller, Rejection> {
        self.admit(request).await.inspect_err(Rejection::log)
    }

    /// The answer to a refused request: status, `WWW-Authenticate` for the scheme that is wanted, and a problem body
    /// (RFC 9457).
    #[must_use]
    pub fn refuse(&self, request: &Parts, rejection: &Rejection) -> Response<Full<Bytes>> {
        let Challenges { proofs, .. } = &self.0.challenges;
        let wanted = match rejection {
            Rejection::TokenMissing | Rejection::ProofRequired if self.0.proof.required => proofs.as_slice(),
            Rejection::TokenBound { scheme: "mtls_pop" } => &proofs[..1],
            Rejection::TokenBound { .. } => &proofs[1..],
            _ => slice::from_ref(self.challenge_for(request)),
        };
        rejection.response(wanted)
    }

    /// What challenges say of the scheme that the request came with; `Bearer` for any other.
    pub(crate) fn challenge_for(&self, request: &Parts) -> &Arc<Challenge> {
        let Challenges { bearer, proofs: [mtls_pop, pop] } = &self.0.challenges;
        match Scheme::of(&request.headers) {
            Some(Scheme::MtlsPop) => mtls_pop,
            Some(Scheme::Pop) => pop,
            Some(Scheme::Bearer) | None => bearer,
        }
    }

    async fn admit(&self, request: &Parts) -> Result<Caller, Rejection> {
        let Guard { proof, keys, .. } = &*self.0;
        match authorization::token(&request.headers)? {
            (Scheme::Bearer, token) => self.judge(token, |claims| proof.bearer(claims)).await,
            (Scheme::MtlsPop, token) => {
                let shown = request.extensions.get::<ClientCertificate>();
                self.judge(token, |claims| binding::certificate(claims, shown)).await
            }
            (Scheme::Pop, signed) => {
                let signed = SignedRequest::parse(signed)?;
                let now = unix_seconds(keys.now());
                self.judge(signed.access_token(), |claims| proof.signed(&signed, claims, request, now)).await
            }
        }
    }

    /// `prove` sees the claims once they are believed, before they are judged.
    async fn judge(
        &self,
        token: &str,
        prove: impl FnOnce(&Map<String, Value>) -> Result<(), Rejection> + Send,
    ) -> Result<Caller, Rejection> {
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
        prove(claims)?;
        policy.judge(claims, &known.trust.tenant_id, unix_seconds(keys.now()))
    }
}

impl fmt::Debug for Protect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protect").field("policy", &self.0.policy).field("keys", &self.0.keys).finish_non_exhaustive()
    }
}
