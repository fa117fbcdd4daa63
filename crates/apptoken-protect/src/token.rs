//! From a string to a believed token: shape, algorithm, issuer, key, signature, in this order.

use apptoken_jose::jws::Unverified;
use apptoken_jose::{Algorithm, JwsError, PublicKey};
use serde_json::{Map, Value};

use crate::Rejection;
use crate::rejection::presented;
use crate::tenant::Guid;

/// What the tenant's metadata says: who it is, and which keys sign in its name.
pub(crate) struct Trust {
    pub(crate) tenant_id: Guid,
    /// Of version 1.0 and of version 2.0. Each token is judged by the document of its own version, as Entra's
    /// documentation demands: both issuer and keys may differ.
    pub(crate) documents: [Document; 2],
}

/// One `openid-configuration` with its keys.
pub(crate) struct Document {
    /// `ver` of the tokens it stands for: `1.0` or `2.0`.
    pub(crate) version: &'static str,
    pub(crate) issuer: String,
    pub(crate) keys: Vec<TrustedKey>,
}

/// A signing key, parsed once.
#[derive(Clone)]
pub(crate) struct TrustedKey {
    pub(crate) kid: String,
    /// Whose tokens it may sign, when the JWK says so; `{tenantid}` stands for any tenant.
    pub(crate) issuer: Option<String>,
    pub(crate) key: PublicKey,
}

/// A token whose shape is right; nothing it says is believed yet.
pub(crate) struct Token<'a> {
    jws: Unverified<'a>,
    kid: String,
    issuer: String,
}

impl<'a> Token<'a> {
    /// RFC 7515 §5.2 steps 1 to 7, the allow-list of one algorithm (RFC 8725 §3.1), and what finds the key.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Rejection> {
        let jws = Unverified::parse(token).map_err(|error| malformed(error, token))?;
        let header = jws.header();
        if header.alg != Algorithm::Rs256.as_str() {
            return Err(Rejection::AlgorithmRefused { presented: presented(&header.alg) });
        }
        if header
            .typ
            .as_deref()
            .is_some_and(|typ| !ACCESS_TOKEN_TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known)))
        {
            return Err(Rejection::TokenMalformed { problem: "its typ is not an access token's" });
        }
        let kid = header.kid.clone().filter(|kid| !kid.is_empty()).ok_or(Rejection::KeyIdMissing)?;
        let issuer = match jws.claims().get("iss") {
            Some(Value::String(issuer)) => issuer.clone(),
            Some(_) => return Err(Rejection::ClaimInvalid { claim: "iss", problem: "is not a string" }),
            None => return Err(Rejection::ClaimInvalid { claim: "iss", problem: "is missing" }),
        };
        Ok(Self { jws, kid, issuer })
    }

    /// Checks issuer, key and signature against `trust`; the claims are believed afterwards, though not yet judged.
    pub(crate) fn verify(&self, trust: &Trust) -> Result<&Map<String, Value>, Rejection> {
        let claims = self.jws.claims();
        let named: Vec<&Document> = trust.documents.iter().filter(|document| document.issuer == self.issuer).collect();
        if named.is_empty() {
            let [first, second] = &trust.documents;
            return Err(Rejection::IssuerMismatch {
                expected: format!("`{}` or `{}`", first.issuer, second.issuer),
                presented: presented(&self.issuer),
            });
        }
        if claims.get("ver").is_some_and(|ver| !named.iter().any(|document| ver == document.version)) {
            return Err(Rejection::ClaimInvalid { claim: "ver", problem: "is not the version whose issuer is in iss" });
        }
        let keys: Vec<&TrustedKey> =
            named.iter().flat_map(|document| &document.keys).filter(|key| key.kid == self.kid).collect();
        let Some(first) = keys.first() else {
            return Err(Rejection::KeyUnknown { presented: presented(&self.kid) });
        };
        let mut fitting = keys.iter().filter(|key| key.may_sign_for(&self.issuer, trust)).peekable();
        if fitting.peek().is_none() {
            return Err(Rejection::KeyIssuerMismatch {
                expected: first.issuer.clone().unwrap_or_default(),
                presented: presented(&self.issuer),
            });
        }
        // A set may hold one kid twice, for two issuers.
        if fitting.any(|key| self.jws.verify(&key.key, &[Algorithm::Rs256]).is_ok()) {
            Ok(claims)
        } else {
            Err(Rejection::SignatureInvalid)
        }
    }
}

impl TrustedKey {
    /// A key's issuer is the token's, or the version 2.0 issuer of the same tenant: keys carry no version 1.0 issuers.
    /// The rule of Microsoft.IdentityModel's `AadSigningKeyIssuerValidator`.
    fn may_sign_for(&self, issuer: &str, trust: &Trust) -> bool {
        self.issuer.as_deref().is_none_or(|of_key| {
            let of_key = of_key.replace("{tenantid}", trust.tenant_id.as_str());
            of_key == issuer || trust.documents.iter().any(|d| d.version == "2.0" && d.issuer == of_key)
        })
    }
}

fn malformed(error: JwsError, token: &str) -> Rejection {
    let problem = match error {
        JwsError::TooLong => return Rejection::TokenTooLong { bytes: token.len() },
        JwsError::CriticalExtension => "its header demands an extension (crit)",
        JwsError::DuplicateMember => "a member of its header or claims appears twice",
        _ => "it is not a compact JWS with JSON objects inside",
    };
    Rejection::TokenMalformed { problem }
}

/// `JWT` is what Entra writes, the others are RFC 9068 §2.1. A signed proof of possession (`pop`) is no bearer token.
const ACCESS_TOKEN_TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];
