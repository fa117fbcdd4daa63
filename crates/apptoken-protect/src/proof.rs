//! What proof an API takes that a token is used by who it was issued to.

use http::request::Parts;
use serde_json::{Map, Value};

use crate::replays::Replays;
use crate::signed_request::SignedRequest;
use crate::{Rejection, binding};

/// Said once, and what was seen of signed requests.
pub(crate) struct Proof {
    /// Whether bearer tokens are turned away.
    pub(crate) required: bool,
    /// For which requests are signed, in place of each one's own `Host`.
    pub(crate) host: Option<String>,
    pub(crate) replays: Replays,
}

impl Proof {
    /// A bearer token proves nothing, and so must not be bound to anything.
    pub(crate) fn bearer(&self, claims: &Map<String, Value>) -> Result<(), Rejection> {
        binding::none(claims)?;
        if self.required { Err(Rejection::ProofRequired) } else { Ok(()) }
    }

    /// A request signed by the key that the token is bound to: just now, for itself, and once.
    pub(crate) fn signed(
        &self,
        signed: &SignedRequest<'_>,
        claims: &Map<String, Value>,
        request: &Parts,
        now: i64,
    ) -> Result<(), Rejection> {
        self.replays.admit(&signed.verify(claims, request, self.host.as_deref())?, now)
    }
}
