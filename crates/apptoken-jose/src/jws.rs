//! Compact JSON Web Signatures (RFC 7515 §3.1, RFC 7519): what a client assertion and an access token are.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Algorithm, JwsError, KeyError, PublicKey, SigningKey, base64url};

/// The longest token that [`Unverified::parse`] looks at. Entra's own stay far below.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Signs `claims` under `header`, to which `alg` and, where it has none, `typ: JWT` are added.
///
/// # Errors
/// [`KeyError::Signing`] when the key fails or the claims have no JSON form.
pub fn sign(
    header: &Map<String, Value>,
    claims: &impl Serialize,
    key: &SigningKey,
    algorithm: Algorithm,
) -> Result<String, KeyError> {
    let unsigned = Unsigned::new(header, claims, algorithm)?;
    let signature = key.sign(algorithm, unsigned.signing_input())?;
    Ok(unsigned.signed_with(&signature))
}

/// A token that lacks its signature: for keys that sign elsewhere.
pub struct Unsigned(String);

impl Unsigned {
    /// Puts `claims` under `header`, to which `alg` and, where it has none, `typ: JWT` are added.
    ///
    /// # Errors
    /// [`KeyError::Signing`] when the claims have no JSON form.
    pub fn new(header: &Map<String, Value>, claims: &impl Serialize, algorithm: Algorithm) -> Result<Self, KeyError> {
        let mut whole = Map::new();
        whole.insert("typ".into(), "JWT".into());
        whole.extend(header.iter().map(|(name, value)| (name.clone(), value.clone())));
        // last: what the header says about the signature is true
        whole.insert("alg".into(), algorithm.as_str().into());
        let part = |bytes: Result<Vec<u8>, _>| bytes.map(|b| base64url::encode(&b)).map_err(|_| KeyError::Signing);
        Ok(Self([part(serde_json::to_vec(&whole))?, part(serde_json::to_vec(claims))?].join(".")))
    }

    /// What the signature is made over (RFC 7515 §5.1).
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The token.
    #[must_use]
    pub fn signed_with(&self, signature: &[u8]) -> String {
        // in one piece, so that neither growing nor shrinking it leaves a copy of what is a credential
        [self.0.as_str(), &base64url::encode(signature)].join(".")
    }
}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsigned")
    }
}

/// A token taken apart, nothing of it believed yet.
pub struct Unverified<'a> {
    header: Header,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact JWS apart: at most [`MAX_TOKEN_BYTES`], no member twice, no `crit`.
    ///
    /// # Errors
    /// The [`JwsError`] that names the first thing wrong.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        Self::read(token, base64url::decode)
    }

    /// As [`Self::parse`], with parts that may be padded, which RFC 7515 forbids: so writes the asynchronous half of
    /// azure-identity for Python its client assertions, and Entra takes them.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_padded(token: &'a str) -> Result<Self, JwsError> {
        Self::read(token, |part| base64url::decode(part.trim_end_matches('=')))
    }

    fn read(token: &'a str, decode: fn(&str) -> Result<Vec<u8>, JwsError>) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        if claims.contains('.') {
            return Err(JwsError::Malformed);
        }
        Ok(Self {
            header: Header::from_members(object(&decode(header)?)?)?,
            claims: object(&decode(claims)?)?,
            signed,
            signature: decode(signature)?,
        })
    }

    /// The JOSE header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The claims, not to be believed before [`Self::verify`].
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Checks the signature with `key`. The caller says which algorithms it allows; the header only picks among them.
    ///
    /// # Errors
    /// [`JwsError::AlgorithmNotAllowed`] or [`JwsError::BadSignature`].
    pub fn verify(&self, key: &PublicKey, allowed: &[Algorithm]) -> Result<(), JwsError> {
        let algorithm: Algorithm = self.header.alg.parse()?;
        if !allowed.contains(&algorithm) {
            return Err(JwsError::AlgorithmNotAllowed);
        }
        key.verify(algorithm, self.signed.as_bytes(), &self.signature)
    }
}

impl fmt::Debug for Unverified<'_> {
    /// The header only: claims and signature are what make a token worth stealing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("header", &self.header).finish_non_exhaustive()
    }
}

/// A JOSE header (RFC 7515 §4.1) as real clients write it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// `alg`, as sent.
    pub alg: String,
    /// `typ`.
    pub typ: Option<String>,
    /// `kid`.
    pub kid: Option<String>,
    /// `x5t`, as sent: decode it with [`base64url::decode_lenient`].
    pub x5t: Option<String>,
    /// `x5t#S256`, as sent.
    pub x5t_s256: Option<String>,
    /// `x5c`: an array, or the lone string that MSAL.NET writes.
    pub x5c: Vec<String>,
    /// Everything else.
    pub extra: Map<String, Value>,
}

impl Header {
    fn from_members(mut members: Map<String, Value>) -> Result<Self, JwsError> {
        if members.contains_key("crit") {
            return Err(JwsError::CriticalExtension);
        }
        let mut text = |name: &str| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(JwsError::Malformed),
        };
        let (alg, typ, kid) = (text("alg")?.ok_or(JwsError::Malformed)?, text("typ")?, text("kid")?);
        let (x5t, x5t_s256) = (text("x5t")?, text("x5t#S256")?);
        let x5c = match members.remove("x5c") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one],
            Some(many) => serde_json::from_value(many).map_err(|_| JwsError::Malformed)?,
        };
        Ok(Self { alg, typ, kid, x5t, x5t_s256, x5c, extra: members })
    }
}

fn object(json: &[u8]) -> Result<Map<String, Value>, JwsError> {
    let Members { map, duplicate } = serde_json::from_slice(json).map_err(|_| JwsError::Malformed)?;
    if duplicate { Err(JwsError::DuplicateMember) } else { Ok(map) }
}

/// A JSON object that remembers whether a member came twice, which serde_json's own map forgives.
struct Members {
    map: Map<String, Value>,
    duplicate: bool,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let (mut map, mut duplicate) = (Map::new(), false);
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    duplicate |= map.insert(name, value).is_some();
                }
                Ok(Members { map, duplicate })
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
