//! The keys that sign tokens: the newest signs, older ones stay published so that their tokens are still good.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use apptoken_jose::jwk::Jwk;
use apptoken_jose::{Algorithm, KeyError, PublicKey, SigningKey, base64url, issue};
use arc_swap::ArcSwap;
use serde::Serialize;

use crate::directory::TokenVersion;

/// The published keys, the signing one first.
pub(crate) struct SigningKeys(ArcSwap<Vec<Arc<TokenKey>>>);

/// One key, with all that can be made ready before the first token.
pub(crate) struct TokenKey {
    key: SigningKey,
    pub(crate) jwk: Jwk,
    kid: String,
    /// base64url of the JOSE header and its dot, for version 1 and version 2.
    headers: [String; 2],
}

impl SigningKeys {
    pub(crate) fn new(first: TokenKey) -> Self {
        Self(ArcSwap::from_pointee(vec![Arc::new(first)]))
    }

    /// The key that signs now.
    pub(crate) fn current(&self) -> Option<Arc<TokenKey>> {
        self.0.load().first().cloned()
    }

    /// The published key of this name.
    pub(crate) fn find(&self, kid: &str) -> Option<PublicKey> {
        self.0.load().iter().find(|key| key.kid == kid).map(|key| key.key.public_key().clone())
    }

    pub(crate) fn published(&self) -> arc_swap::Guard<Arc<Vec<Arc<TokenKey>>>> {
        self.0.load()
    }

    /// `newest` signs from now on; the others stay published, up to the number that Entra keeps.
    pub(crate) fn rotate(&self, newest: TokenKey) {
        let newest = Arc::new(newest);
        self.0.rcu(|keys| {
            let older = keys.iter().take(PUBLISHED - 1).cloned();
            std::iter::once(Arc::clone(&newest)).chain(older).collect::<Vec<_>>()
        });
    }
}

impl TokenKey {
    /// A new RSA-2048 key. Takes a fraction of a second of computing.
    pub(crate) fn generate(now: SystemTime) -> Result<Self, KeyError> {
        let (certificate, key) = issue::self_signed("accounts.accesscontrol.windows.net", now, 5 * 365)?;
        let kid = certificate.x5t();
        // Version 1 names the key twice, version 2 once.
        let headers = [
            format!(r#"{{"typ":"JWT","alg":"RS256","x5t":"{kid}","kid":"{kid}"}}"#),
            format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{kid}"}}"#),
        ]
        .map(|header| base64url::encode(header.as_bytes()) + ".");
        Ok(Self { key, jwk: Jwk::from_certificate(&certificate)?, kid, headers })
    }

    /// A compact JWS of `claims` (RFC 7515 §7.1), RS256.
    pub(crate) fn sign(&self, version: TokenVersion, claims: &impl Serialize) -> Result<String, KeyError> {
        let claims = serde_json::to_vec(claims).map_err(|_| KeyError::Signing)?;
        let header = match version {
            TokenVersion::V1 => &self.headers[0],
            TokenVersion::V2 => &self.headers[1],
        };
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 360);
        token.push_str(header);
        token.push_str(&base64url::encode(&claims));
        let signature = self.key.sign(Algorithm::Rs256, token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(token)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.load().iter().map(|key| &key.kid)).finish()
    }
}

/// How many keys Entra publishes at a time, at most.
const PUBLISHED: usize = 6;
