use std::fmt;
use std::path::Path;

use apptoken_jose::base64url;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest;
use aws_lc_rs::hkdf::{self, HKDF_SHA256, Salt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use super::KeptToken;
use crate::Error;

/// What kept tokens are encrypted with, where the program gives the key: see
/// [`TokenCacheBuilder::encryption_key`](super::TokenCacheBuilder::encryption_key).
#[derive(Clone)]
pub struct EncryptionKey(Zeroizing<Vec<u8>>);

impl EncryptionKey {
    /// From random bytes, 32 or more of them; not from a password.
    ///
    /// # Errors
    /// Fewer than 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < LEAST {
            return Err(Error::configuration(format!("the encryption key has {} bytes", bytes.len()))
                .with_advice("give 32 random bytes or more, for example those of `openssl rand 32`"));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// From a file of random bytes, as `openssl rand 32` makes it.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter than 32 bytes or longer than 4,096.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        use std::io::Read as _;
        let path = path.as_ref();
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
        let read = std::fs::File::open(path).and_then(|file| file.take(MOST as u64 + 1).read_to_end(&mut bytes));
        read.map_err(|error| {
            Error::configuration(format!("the key file {} cannot be read", path.display())).with_source(error)
        })?;
        if bytes.len() > MOST {
            return Err(Error::configuration(format!("the key file {} is longer than {MOST} bytes", path.display()))
                .with_advice("give a file of 32 random bytes"));
        }
        Self::from_bytes(&bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey([redacted])")
    }
}

/// Encrypts tokens and binds each to its key: AES-256-GCM under a key made by HKDF (RFC 5869) from a secret.
pub(crate) struct Sealer {
    key: RandomizedNonceKey,
    /// Of `key`. Part of what a token is kept under, so that what another secret sealed is not even looked at.
    id: [u8; 8],
}

impl Sealer {
    /// From what only the app has: its credential, or a key that the program gave.
    pub(crate) fn new(secret: &[u8]) -> Option<Self> {
        let pseudorandom = Salt::new(HKDF_SHA256, SALT).extract(secret);
        let mut key = Zeroizing::new([0; 32]);
        pseudorandom.expand(&[b"token encryption"], HKDF_SHA256).ok()?.fill(&mut *key).ok()?;
        let mut id = [0; 8];
        pseudorandom.expand(&[b"key id"], Short).ok()?.fill(&mut id).ok()?;
        Some(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &*key).ok()?, id })
    }

    /// What a token is kept under: a hash of everything that tells it from others, each part with its length.
    pub(crate) fn entry_key(&self, parts: &[&str]) -> String {
        let mut hash = digest::Context::new(&digest::SHA256);
        for part in [&self.id[..]].into_iter().chain(parts.iter().map(|part| part.as_bytes())) {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        format!("{KEY_PREFIX}{}", base64url::encode(hash.finish().as_ref()))
    }

    /// `magic, length of the label, label, nonce, ciphertext, tag`. The label can be read by everyone; it is bound to the
    /// token, as the key is.
    pub(crate) fn seal(&self, key: &str, label: &str, token: &KeptToken) -> Option<Vec<u8>> {
        let value = Value {
            secret: &token.secret,
            expires_on: token.expires_on,
            refresh_on: token.refresh_on,
            cached_at: token.cached_at,
            correlation_id: token.correlation_id,
        };
        // sized, so that encrypting in place leaves no copy behind
        let mut text = Vec::with_capacity(token.secret.len() + 256);
        serde_json::to_writer(&mut text, &value).ok()?;
        let Ok(nonce) = self.key.seal_in_place_append_tag(Aad::from(bound(key, label)), &mut text) else {
            text.zeroize();
            return None;
        };
        let length = u16::try_from(label.len()).ok()?;
        Some([MAGIC, &length.to_be_bytes(), label.as_bytes(), nonce.as_ref(), &text].concat())
    }

    /// The token, if this secret sealed it under this key.
    pub(crate) fn open(&self, key: &str, mut sealed: Vec<u8>) -> Option<KeptToken> {
        let (label, rest) = split(&sealed)?;
        let aad = Aad::from(bound(key, label));
        let nonce = Nonce::try_assume_unique_for_key(rest.get(..NONCE)?).ok()?;
        let start = sealed.len() - rest.len() + NONCE;
        let text = self.key.open_in_place(nonce, aad, sealed.get_mut(start..)?).ok()?;
        let value = serde_json::from_slice::<Opened>(text).ok();
        text.zeroize();
        let value = value?;
        Some(KeptToken {
            secret: Zeroizing::new(value.secret),
            expires_on: value.expires_on,
            refresh_on: value.refresh_on,
            cached_at: value.cached_at,
            correlation_id: value.correlation_id,
        })
    }
}

/// The label of a sealed token.
pub(crate) fn label(sealed: &[u8]) -> Option<&str> {
    split(sealed).map(|(label, _)| label)
}

fn split(sealed: &[u8]) -> Option<(&str, &[u8])> {
    let rest = sealed.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (label, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((std::str::from_utf8(label).ok()?, rest))
}

/// What the ciphertext vouches for besides itself.
fn bound(key: &str, label: &str) -> Vec<u8> {
    [MAGIC, key.as_bytes(), b"\0", label.as_bytes()].concat()
}

#[derive(Serialize)]
struct Value<'a> {
    secret: &'a str,
    expires_on: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_on: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Opened {
    secret: String,
    expires_on: u64,
    refresh_on: Option<u64>,
    cached_at: Option<u64>,
    correlation_id: Option<Uuid>,
}

/// A key id's length, for HKDF.
#[derive(Clone, Copy)]
struct Short;

impl hkdf::KeyType for Short {
    fn len(&self) -> usize {
        8
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer([redacted])")
    }
}

/// The last byte is the version of the form.
const MAGIC: &[u8] = b"apptoken\x01";
const KEY_PREFIX: &str = "apptoken1-";
const SALT: &[u8] = b"apptoken token cache 1";
const NONCE: usize = 12;
/// Bytes of a key: no fewer, no more.
const LEAST: usize = 32;
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use testkit::CANARY;

    use super::*;

    fn token() -> KeptToken {
        KeptToken {
            secret: Zeroizing::new(format!("{CANARY}-token")),
            expires_on: 1_795_388_652,
            refresh_on: None,
            cached_at: Some(1_795_385_053),
            correlation_id: Some(Uuid::nil()),
        }
    }

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(format!("{CANARY}-{secret}").as_bytes()).unwrap()
    }

    #[test]
    fn only_the_same_secret_opens_and_only_under_the_same_key() {
        let sealed = sealer("a").seal("key", "label", &token()).unwrap();
        assert_eq!(sealer("a").open("key", sealed.clone()), Some(token()));
        assert_eq!(label(&sealed), Some("label"));
        assert_eq!(sealer("b").open("key", sealed.clone()), None, "another secret");
        assert_eq!(sealer("a").open("other", sealed.clone()), None, "another key");
        assert!(!sealed.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "in the clear");
        for i in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[i] ^= 1;
            assert_eq!(sealer("a").open("key", bent), None, "byte {i}");
            assert_eq!(sealer("a").open("key", sealed[..i].to_vec()), None, "cut at {i}");
        }
        assert_ne!(sealed, sealer("a").seal("key", "label", &token()).unwrap(), "a nonce of its own each time");
    }

    #[test]
    fn keys_are_opaque_and_tell_all_parts_apart() {
        let key = |parts: &[&str]| sealer("a").entry_key(parts);
        let one = key(&["contoso.com", "api://todolist/.default"]);
        assert!(one.len() <= 60 && one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{one}");
        assert_eq!(one, key(&["contoso.com", "api://todolist/.default"]));
        assert_ne!(one, sealer("b").entry_key(&["contoso.com", "api://todolist/.default"]), "another secret's");
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
    }

    #[test]
    fn an_encryption_key_is_long_enough_and_never_shown() {
        assert!(EncryptionKey::from_bytes(&[1; 31]).is_err());
        let key = EncryptionKey::from_bytes(format!("{CANARY}-0123456789012345678901234567890").as_bytes()).unwrap();
        testkit::witness(&key);
        testkit::witness(&sealer("a"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(EncryptionKey::from_file(&path).unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&path, [7; 32]).unwrap();
        EncryptionKey::from_file(&path).unwrap();
        std::fs::write(&path, [7; 4097]).unwrap();
        assert!(EncryptionKey::from_file(&path).is_err());
    }
}
