//! What the portal remembers while the server runs: the credentials that it made, so that *Try it* can use them, and the
//! key of its forms.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use apptoken_jose::{Certificate, KeyError, SigningKey, base64url};
use aws_lc_rs::{hmac, rand};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Credentials and a key, in memory only.
pub(crate) struct Keyring {
    forms: hmac::Key,
    kept: Mutex<VecDeque<Arc<Kept>>>,
}

/// A credential that the portal made in this run.
pub(crate) struct Kept {
    pub(crate) id: Uuid,
    pub(crate) app: Uuid,
    pub(crate) name: String,
    pub(crate) proof: Proof,
}

/// By what the application proves who it is.
pub(crate) enum Proof {
    Secret(Zeroizing<String>),
    Certificate(Box<(Certificate, SigningKey)>),
}

impl Keyring {
    pub(crate) fn new() -> Result<Self, KeyError> {
        let forms = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new());
        Ok(Self {
            forms: forms.map_err(|_| KeyError::Generate("the key of the portal's forms"))?,
            kept: Mutex::default(),
        })
    }

    /// What a form must bring back from the visitor who has this cookie: no other site can know it.
    pub(crate) fn form_token(&self, cookie: &str) -> String {
        base64url::encode(hmac::sign(&self.forms, cookie.as_bytes()).as_ref())
    }

    /// Takes the same time whatever it is.
    pub(crate) fn is_form_token(&self, cookie: &str, token: &str) -> bool {
        base64url::decode(token).is_ok_and(|tag| hmac::verify(&self.forms, cookie.as_bytes(), &tag).is_ok())
    }

    /// Remembers a credential; the oldest makes room.
    pub(crate) fn keep(&self, credential: Kept) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(Arc::new(credential));
    }

    /// Forgets a credential that was removed from its application.
    pub(crate) fn forget(&self, matches: impl Fn(&Kept) -> bool) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| !matches(kept));
    }

    /// Newest first.
    pub(crate) fn kept(&self) -> Vec<Arc<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_belongs_to_its_cookie() {
        let (keyring, other) = (Keyring::new().unwrap(), Keyring::new().unwrap());
        let token = keyring.form_token("cookie");
        assert!(keyring.is_form_token("cookie", &token));
        assert!(!keyring.is_form_token("another", &token) && !other.is_form_token("cookie", &token));
        assert!(!keyring.is_form_token("cookie", "") && !keyring.is_form_token("cookie", "AAAA"));
    }

    #[test]
    fn it_keeps_the_newest_and_says_nothing() {
        let keyring = Keyring::new().unwrap();
        for i in 0..MOST + 3 {
            let secret = Zeroizing::new(format!("{}-kept", testkit::CANARY));
            keyring.keep(Kept {
                id: Uuid::new_v4(),
                app: Uuid::nil(),
                name: i.to_string(),
                proof: Proof::Secret(secret),
            });
        }
        assert_eq!((keyring.kept().len(), keyring.kept()[0].name.as_str()), (MOST, (MOST + 2).to_string().as_str()));
        testkit::witness(&keyring);
        keyring.forget(|kept| kept.name != "5");
        assert_eq!(keyring.kept().len(), 1);
    }
}
