//! What a token is bound to: its claim `cnf` (RFC 7800 §3.1).

use apptoken_jose::PublicKey;
use apptoken_jose::jwk::Jwk;
use serde_json::{Map, Value};

use crate::rejection::presented;
use crate::scheme::Scheme;
use crate::{ClientCertificate, Rejection};

/// Whether `claims` belong to a token that anyone may use who has it.
pub(crate) fn none(claims: &Map<String, Value>) -> Result<(), Rejection> {
    match claims.get("cnf") {
        None => Ok(()),
        Some(cnf) => {
            let scheme = if cnf.get(THUMBPRINT).is_some() { Scheme::MtlsPop } else { Scheme::Pop };
            Err(Rejection::TokenBound { scheme: scheme.as_str() })
        }
    }
}

/// Whether the token is bound to the certificate on TLS (RFC 8705 §3.1).
pub(crate) fn certificate(claims: &Map<String, Value>, shown: Option<&ClientCertificate>) -> Result<(), Rejection> {
    let cnf = claims.get("cnf").and_then(|cnf| cnf.get(THUMBPRINT)).and_then(Value::as_str);
    let expected = cnf.ok_or(Rejection::TokenNotBound)?;
    let shown = shown.ok_or(Rejection::ClientCertificateMissing)?.x5t_s256();
    if expected == shown {
        return Ok(());
    }
    Err(Rejection::BindingMismatch { expected: presented(expected), presented: shown.to_owned() })
}

/// The key that the token is bound to: in its own `cnf`, or in `offered`, the signed request's, when the token knows it
/// by its thumbprint (RFC 7638) only.
pub(crate) fn key(claims: &Map<String, Value>, offered: Option<&Value>) -> Result<PublicKey, Rejection> {
    let unusable = Rejection::SignedRequestInvalid { problem: "comes without an RSA key that can be used" };
    let cnf = claims.get("cnf").ok_or(Rejection::TokenNotBound)?;
    let read = |jwk: &Value| {
        let jwk: Jwk = serde_json::from_value(jwk.clone()).map_err(|_| unusable.clone())?;
        jwk.public_key().map_err(|_| unusable.clone())
    };
    if let Some(jwk) = cnf.get("jwk") {
        return read(jwk);
    }
    let thumbprint = cnf.get("kid").and_then(Value::as_str).ok_or(Rejection::TokenNotBound)?;
    let key = read(offered.and_then(|cnf| cnf.get("jwk")).ok_or_else(|| unusable.clone())?)?;
    let offered = key.jwk_thumbprint();
    if offered == thumbprint {
        return Ok(key);
    }
    Err(Rejection::BindingMismatch { expected: presented(thumbprint), presented: offered })
}

const THUMBPRINT: &str = "x5t#S256";
