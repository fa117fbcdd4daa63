//! A signed HTTP request: a JWS by the key that the token inside is bound to, over what the request is
//! (draft-ietf-oauth-signed-http-request §3, as Microsoft's clients write it).

use apptoken_jose::jws::Unverified;
use apptoken_jose::{Algorithm, JwsError};
use http::header::HOST;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::rejection::presented;
use crate::{Rejection, binding};

/// A signed request taken apart; nothing it says is believed yet.
pub(crate) struct SignedRequest<'a> {
    jws: Unverified<'a>,
}

/// What makes a signed request one of its kind.
pub(crate) struct Signed<'a> {
    /// RFC 7638 thumbprint of the key.
    pub(crate) key: String,
    pub(crate) nonce: &'a str,
    /// Seconds since 1970.
    pub(crate) signed_at: i64,
}

impl<'a> SignedRequest<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, Rejection> {
        let jws = Unverified::parse(text).map_err(|error| match error {
            JwsError::TooLong => Rejection::TokenTooLong { bytes: text.len() },
            _ => invalid("is not a compact JWS with JSON objects inside"),
        })?;
        if !jws.header().typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("pop")) {
            return Err(invalid("has a typ other than pop"));
        }
        if jws.claims().get("at").and_then(Value::as_str).is_none() {
            return Err(invalid("has no access token (at)"));
        }
        Ok(Self { jws })
    }

    pub(crate) fn access_token(&self) -> &str {
        self.jws.claims().get("at").and_then(Value::as_str).unwrap_or_default()
    }

    /// Checks the signature with the key that `token`, the claims of the access token, is bound to, and that it was made
    /// for `request`; `host` instead of the request's own.
    pub(crate) fn verify(
        &self,
        token: &Map<String, Value>,
        request: &Parts,
        host: Option<&str>,
    ) -> Result<Signed<'_>, Rejection> {
        let key = binding::key(token, self.jws.claims().get("cnf"))?;
        let unsigned = "is not signed, with RS256 or PS256, by the key that the token is bound to";
        self.jws.verify(&key, &[Algorithm::Rs256, Algorithm::Ps256]).map_err(|_| invalid(unsigned))?;
        let signed_at =
            self.jws.claims().get("ts").and_then(Value::as_i64).ok_or_else(|| invalid("has no time (ts)"))?;
        self.same("m", request.method.as_str(), |signed, own| signed.eq_ignore_ascii_case(own))?;
        let own = host.or_else(|| host_of(request)).unwrap_or_default();
        self.same("u", own, |signed, own| {
            without_default_port(signed).eq_ignore_ascii_case(without_default_port(own))
        })?;
        self.same("p", request.uri.path(), |signed, own| signed == own)?;
        let nonce = self.text("nonce").filter(|nonce| !nonce.is_empty()).ok_or_else(|| invalid("has no nonce"))?;
        Ok(Signed { key: key.jwk_thumbprint(), nonce, signed_at })
    }

    fn same(&self, claim: &'static str, own: &str, equal: fn(&str, &str) -> bool) -> Result<(), Rejection> {
        let signed = self.text(claim).unwrap_or_default();
        if equal(signed, own) {
            return Ok(());
        }
        Err(Rejection::SignedRequestMismatch { claim, expected: presented(own), presented: presented(signed) })
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.jws.claims().get(claim).and_then(Value::as_str)
    }
}

/// HTTP/2 has it in the request's target, HTTP/1.1 in the `Host` header.
fn host_of(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers.get(HOST)?.to_str().ok(),
    }
}

fn without_default_port(host: &str) -> &str {
    host.strip_suffix(":443").unwrap_or(host)
}

fn invalid(problem: &'static str) -> Rejection {
    Rejection::SignedRequestInvalid { problem }
}
