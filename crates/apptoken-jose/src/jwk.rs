//! JSON Web Keys (RFC 7517) in the shape of Entra's `discovery/keys` documents.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Certificate, KeyError, PublicKey, base64url};

/// One RSA key. Entra writes `kty`, `use`, `kid`, `x5t`, `n`, `e`, `x5c` and `issuer`, and no `alg`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Jwk {
    /// Key type, `RSA`.
    pub kty: String,
    /// What it is for: `sig`.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub use_: Option<String>,
    /// The key's name in token headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// SHA-1 thumbprint of the certificate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x5t: Option<String>,
    /// Modulus, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// The certificate, standard base64 of the DER.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub x5c: Vec<String>,
    /// Whose tokens this key may sign; `{tenantid}` stands for any tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The cloud, for example `microsoftonline.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_instance_name: Option<String>,
}

impl Jwk {
    /// The key of `certificate` as Entra publishes its signing keys: `kid` is the SHA-1 thumbprint.
    ///
    /// # Errors
    /// When the certificate's key is not RSA.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, KeyError> {
        let key = certificate.public_key()?;
        Ok(Self {
            kty: "RSA".into(),
            use_: Some("sig".into()),
            kid: Some(certificate.x5t()),
            x5t: Some(certificate.x5t()),
            n: Some(base64url::encode(key.n())),
            e: Some(base64url::encode(key.e())),
            x5c: vec![certificate.x5c()],
            issuer: None,
            cloud_instance_name: None,
        })
    }

    /// The members that a public key needs and nothing else, as in `cnf` (RFC 7800 §3.2).
    #[must_use]
    pub fn from_public_key(key: &PublicKey) -> Self {
        Self {
            kty: "RSA".into(),
            n: Some(base64url::encode(key.n())),
            e: Some(base64url::encode(key.e())),
            ..Self::default()
        }
    }

    /// The key, ready to verify with.
    ///
    /// # Errors
    /// [`KeyError::NotRsa`], [`KeyError::TooSmall`], or [`KeyError::Malformed`].
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        if self.kty != "RSA" {
            return Err(KeyError::NotRsa);
        }
        let part = |text: &Option<String>| {
            let text = text.as_deref().ok_or(KeyError::Malformed("JWK"))?;
            base64url::decode_lenient(text).map_err(|_| KeyError::Malformed("JWK"))
        };
        PublicKey::from_components(&part(&self.n)?, &part(&self.e)?)
    }
}

impl PublicKey {
    /// The JWK with its required members only, in the order of RFC 7638 §3.3 and without white space.
    #[must_use]
    pub fn canonical_jwk(&self) -> String {
        format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url::encode(self.e()), base64url::encode(self.n()))
    }

    /// The JWK thumbprint with SHA-256 (RFC 7638), base64url: the name of a key that proves possession.
    #[must_use]
    pub fn jwk_thumbprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.canonical_jwk().as_bytes());
        base64url::encode(digest.as_ref())
    }
}

/// A JWK set (RFC 7517 §5). Keys of other kinds are kept; [`Jwk::public_key`] refuses them. What has not even the form of a
/// key is passed over, as §5 asks for, so that one bad key does not take the good ones with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys, several at a time while one is being rotated out.
    #[serde(deserialize_with = "well_formed")]
    pub keys: Vec<Jwk>,
}

fn well_formed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Jwk>, D::Error> {
    let keys = Vec::<Value>::deserialize(deserializer)?;
    Ok(keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_key_does_not_take_the_others_with_it() {
        let keys = r#"{"keys":[{"kty":1},7,null,{"kid":"no kty"},{"kty":"RSA","kid":"a","x5c":"x"},{"kty":"RSA","kid":"b"},{"kty":"EC"}]}"#;
        let set: JwkSet = serde_json::from_str(keys).unwrap();
        assert_eq!(set.keys.iter().map(|key| key.kid.as_deref()).collect::<Vec<_>>(), [Some("b"), None]);
        for no_set in [r#"{"keys":{}}"#, "{}", "[]"] {
            assert!(serde_json::from_str::<JwkSet>(no_set).is_err());
        }
    }

    /// RFC 7638 §3.1.
    #[test]
    fn the_thumbprint_of_the_rfc() {
        let jwk: Jwk = serde_json::from_value(serde_json::json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        }))
        .unwrap();
        let key = jwk.public_key().unwrap();
        assert_eq!(key.jwk_thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let bare = serde_json::to_value(Jwk::from_public_key(&key)).unwrap();
        assert_eq!(bare, serde_json::from_str::<serde_json::Value>(&key.canonical_jwk()).unwrap());
    }
}
