//! The keys that sign tokens: the newest signs, older ones stay published so that their tokens are still good.

mod four_primes;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use apptoken_jose::jwk::Jwk;
use apptoken_jose::{Certificate, KeyError, PublicKey, base64url, issue};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::four_primes::FourPrimes;
use crate::directory::TokenVersion;

/// The published keys, the signing one first.
pub(crate) struct SigningKeys {
    published: ArcSwap<Vec<Arc<TokenKey>>>,
    /// Held by who changes them; readers never take it.
    one_writer: Mutex<()>,
}

/// A key as a data folder keeps it.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptKey {
    certificate: String,
    /// base64url.
    primes: Zeroizing<String>,
}

/// One key, with all that can be made ready before the first token.
pub(crate) struct TokenKey {
    certificate: Certificate,
    key: FourPrimes,
    pub(crate) jwk: Jwk,
    kid: String,
    /// base64url of the JOSE header and its dot, for version 1 and version 2.
    headers: [String; 2],
}

impl SigningKeys {
    pub(crate) fn new(first: TokenKey) -> Self {
        Self::of(vec![Arc::new(first)])
    }

    /// The keys of an earlier run, the signing one first.
    pub(crate) fn restore(kept: &[KeptKey]) -> Result<Self, KeyError> {
        let keys = kept.iter().map(|key| TokenKey::restore(key).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::NoCertificate) } else { Ok(Self::of(keys)) }
    }

    /// As a data folder keeps them.
    pub(crate) fn keep(&self) -> Vec<KeptKey> {
        self.published.load().iter().map(|key| key.keep()).collect()
    }

    /// The key that signs now.
    pub(crate) fn current(&self) -> Option<Arc<TokenKey>> {
        self.published.load().first().cloned()
    }

    /// The published key of this name.
    pub(crate) fn find(&self, kid: &str) -> Option<PublicKey> {
        self.published.load().iter().find(|key| key.kid == kid).map(|key| key.key.public_key().clone())
    }

    pub(crate) fn published(&self) -> arc_swap::Guard<Arc<Vec<Arc<TokenKey>>>> {
        self.published.load()
    }

    /// `newest` signs from now on, when `keep` has been told of all; the others stay published, up to the number that
    /// Entra keeps.
    pub(crate) fn rotate(&self, newest: TokenKey, keep: impl FnOnce(&Self)) {
        let _one = self.one_writer.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = std::iter::once(Arc::new(newest));
        let keys = newest.chain(self.published.load().iter().take(PUBLISHED - 1).cloned()).collect();
        keep(&Self::of(Vec::clone(&keys)));
        self.published.store(Arc::new(keys));
    }

    fn of(keys: Vec<Arc<TokenKey>>) -> Self {
        Self { published: ArcSwap::from_pointee(keys), one_writer: Mutex::new(()) }
    }
}

impl TokenKey {
    /// A new RSA-2048 key. Takes some milliseconds of computing.
    pub(crate) fn generate(now: SystemTime) -> Result<Self, KeyError> {
        let key = FourPrimes::generate()?;
        let sign = |message: &[u8]| Ok(key.sign(message).into());
        let name = "accounts.accesscontrol.windows.net";
        let certificate = issue::self_signed_by(key.public_key(), sign, name, now, 5 * 365)?;
        Self::new(certificate, key)
    }

    fn restore(kept: &KeptKey) -> Result<Self, KeyError> {
        let certificate = Certificate::from_pem(kept.certificate.as_bytes())?.swap_remove(0);
        let primes = base64url::decode(&kept.primes).map(Zeroizing::new);
        let key = FourPrimes::from_bytes(&primes.map_err(|_| KeyError::Malformed("base64url"))?)?;
        if certificate.public_key()? != *key.public_key() {
            return Err(KeyError::Malformed("key of its certificate"));
        }
        Self::new(certificate, key)
    }

    fn keep(&self) -> KeptKey {
        let primes = base64url::encode(&*self.key.to_bytes()).into();
        KeptKey { certificate: self.certificate.to_pem(), primes }
    }

    fn new(certificate: Certificate, key: FourPrimes) -> Result<Self, KeyError> {
        let kid = certificate.x5t();
        // Version 1 names the key twice, version 2 once.
        let headers = [
            format!(r#"{{"typ":"JWT","alg":"RS256","x5t":"{kid}","kid":"{kid}"}}"#),
            format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{kid}"}}"#),
        ]
        .map(|header| base64url::encode(header.as_bytes()) + ".");
        Ok(Self { key, jwk: Jwk::from_certificate(&certificate)?, kid, headers, certificate })
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
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        Ok(token)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.published.load().iter().map(|key| &key.kid)).finish()
    }
}

/// How many keys Entra publishes at a time, at most.
const PUBLISHED: usize = 6;
