//! Tokens by `jsonwebtoken`: another implementation than the one that judges them.

use apptoken_jose::base64url;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use serde_json::{Value, json};

pub(crate) const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
pub(crate) const API: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
pub(crate) const APP: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
/// The time in these tests.
pub(crate) const NOW: i64 = 1_795_384_015;

/// A signing key under a name.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
}

impl Signer {
    pub(crate) fn new(kid: &str, pem: &[u8]) -> Self {
        Self { kid: kid.into(), key: EncodingKey::from_rsa_pem(pem).unwrap() }
    }

    pub(crate) fn first() -> Self {
        Self::new("first", testkit::keys::PKCS8)
    }

    pub(crate) fn second() -> Self {
        Self::new("second", testkit::keys::OTHER_KEY)
    }

    /// As Entra publishes it: without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::RS256).unwrap()).unwrap();
        let members = jwk.as_object_mut().unwrap();
        members.remove("alg");
        members.extend([("use".into(), "sig".into()), ("kid".into(), self.kid.clone().into())]);
        jwk
    }

    pub(crate) fn jwk_with_issuer(&self, issuer: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["issuer"] = issuer.into();
        jwk
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    /// Signs header and claims as they are written, however odd.
    pub(crate) fn sign_raw(&self, header: &str, claims: &str, algorithm: Algorithm) -> String {
        let message = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(claims.as_bytes()));
        let signature = crypto::sign(message.as_bytes(), &self.key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "JWT", "alg": "RS256", "kid": self.kid })
    }
}

/// The claims of a version 2.0 token with the role that the tests' API demands.
pub(crate) fn v2() -> Value {
    json!({
        "aud": API, "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "ver": "2.0", "azp": APP, "azpacr": "1",
        "iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3599, "aio": "E2JgYA==", "rh": "0.AA.", "uti": "u", "tid": TENANT,
        "oid": "9999aaaa-0000-bbbb-1111-cccc2222dddd", "sub": "9999aaaa-0000-bbbb-1111-cccc2222dddd",
        "roles": ["DaemonAppRole"],
    })
}

/// The same as version 1.0 says it.
pub(crate) fn v1() -> Value {
    let mut claims = with(
        v2(),
        &[
            ("aud", json!("api://todolist")),
            ("iss", json!(format!("https://sts.windows.net/{TENANT}/"))),
            ("idp", json!(format!("https://sts.windows.net/{TENANT}/"))),
            ("ver", json!("1.0")),
            ("appid", json!(APP)),
            ("appidacr", json!("1")),
        ],
    );
    let members = claims.as_object_mut().unwrap();
    members.remove("azp");
    members.remove("azpacr");
    claims
}

/// `claims` with some replaced; null removes.
pub(crate) fn with(mut claims: Value, changes: &[(&str, Value)]) -> Value {
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes {
        match value {
            Value::Null => drop(members.remove(*name)),
            value => drop(members.insert((*name).to_owned(), value.clone())),
        }
    }
    claims
}
