//! Proof of possession by signed HTTP requests: a token that is bound to a key (RFC 7800), and each request signed with
//! that key anew.

mod key;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::{HeaderValue, Method};
use apptoken_jose::base64url;
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use key::PopKey;
pub(crate) use key::PopKeys;

use crate::token::{Scheme, header};
use crate::{AccessToken, Error};

/// The request to an API that a proof is for: its method, host, port and path are signed. Its query, headers and body are
/// not.
///
/// ```
/// use apptoken::PopRequest;
///
/// let request = PopRequest::new(http::Method::GET, "https://api.contoso.com/todolist")?.nonce("from WWW-Authenticate");
/// # Ok::<(), apptoken::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PopRequest {
    method: Method,
    url: Url,
    nonce: Option<String>,
    claims: Map<String, Value>,
}

impl PopRequest {
    /// For a request with this method to this address.
    ///
    /// # Errors
    /// An address without a host.
    pub fn new(method: Method, url: impl AsRef<str>) -> Result<Self, Error> {
        let wrong = || Error::configuration("the address of the request to sign is not a URL with a host");
        let url = Url::parse(url.as_ref()).map_err(|cause| wrong().with_source(cause))?;
        if !url.has_host() {
            return Err(wrong().with_advice("give the whole address, https://… included"));
        }
        Ok(Self { method, url, nonce: None, claims: Map::new() })
    }

    /// The nonce that the API gave for this request. Default: a new one.
    #[must_use]
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }

    /// Further claims to sign, a JSON object.
    ///
    /// # Errors
    /// What is no JSON object, and names that a signed request has already.
    pub fn claims(mut self, json: impl AsRef<str>) -> Result<Self, Error> {
        let claims: Map<String, Value> = serde_json::from_str(json.as_ref())
            .map_err(|_| Error::configuration("the claims to sign are not a JSON object"))?;
        if let Some(own) = claims.keys().find(|name| OWN.contains(&name.as_str())) {
            return Err(Error::configuration(format!(
                "the claim {own:?} of a signed request is not the program's to set"
            )));
        }
        self.claims = claims;
        Ok(self)
    }

    /// The header and payload of MSAL's signed requests (draft-ietf-oauth-signed-http-request §3): PS256, the key in
    /// `cnf`, the token in `at`.
    pub(crate) async fn sign(
        &self,
        key: &PopKey,
        token: AccessToken,
        now: SystemTime,
    ) -> Result<SignedHttpRequest, Error> {
        let payload = Payload {
            at: token.secret(),
            cnf: Confirmation { jwk: key.jwk() },
            m: self.method.as_str(),
            nonce: self.nonce.clone().unwrap_or_else(|| Uuid::new_v4().simple().to_string()),
            p: self.url.path(),
            ts: unix(now),
            // `url` leaves the scheme's own port out
            u: &self.url[url::Position::BeforeHost..url::Position::AfterPort],
            more: &self.claims,
        };
        let parts = [
            serde_json::to_vec(&json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": "pop" })),
            serde_json::to_vec(&payload),
        ];
        let [head, body] = parts.map(|part| part.map(|bytes| base64url::encode(&Zeroizing::new(bytes))));
        let unwritable = |_| Error::configuration("the claims to sign have no JSON form");
        let signed = Zeroizing::new([head.map_err(unwritable)?, body.map_err(unwritable)?].join("."));
        let signature = base64url::encode(&key.sign(signed.as_bytes()).await?);
        let header = header(Scheme::Pop, &[&signed, ".", &signature])?;
        Ok(SignedHttpRequest { header, token })
    }
}

/// A proof for one request: send it once, at once.
#[derive(Clone)]
pub struct SignedHttpRequest {
    header: HeaderValue,
    token: AccessToken,
}

impl SignedHttpRequest {
    /// The value of the request's `Authorization` header, `PoP …`, marked sensitive.
    #[must_use]
    pub fn authorization_header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The token inside, bound to the key that signed.
    #[must_use]
    pub fn access_token(&self) -> &AccessToken {
        &self.token
    }
}

impl fmt::Debug for SignedHttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedHttpRequest").field("access_token", &self.token).finish_non_exhaustive()
    }
}

fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[derive(Serialize)]
struct Payload<'a> {
    at: &'a str,
    cnf: Confirmation<'a>,
    m: &'a str,
    nonce: String,
    p: &'a str,
    ts: i64,
    u: &'a str,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct Confirmation<'a> {
    jwk: &'a BTreeMap<&'static str, String>,
}

/// Claims of a signed request.
const OWN: [&str; 10] = ["at", "b", "cnf", "h", "m", "nonce", "p", "q", "ts", "u"];
