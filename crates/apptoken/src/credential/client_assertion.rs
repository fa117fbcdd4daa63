use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use apptoken_jose::{Algorithm, jws};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::certificate::unix;
use super::{Certificate, Occasion};
use crate::Error;
use crate::authority::AssertionForm;
use crate::clock::{Clock, Moment};

impl AssertionForm {
    fn algorithm(self) -> Algorithm {
        match self {
            Self::Ps256 => Algorithm::Ps256,
            Self::Rs256 => Algorithm::Rs256,
        }
    }

    fn header(self, certificate: &Certificate, send_x5c: bool) -> Map<String, Value> {
        let mut header = Map::new();
        match self {
            Self::Ps256 => header.insert("x5t#S256".into(), certificate.leaf().x5t_s256().into()),
            Self::Rs256 => header.insert("x5t".into(), certificate.leaf().x5t().into()),
        };
        if send_x5c {
            let chain = certificate.chain().iter().map(apptoken_jose::Certificate::x5c).collect::<Vec<_>>();
            header.insert("x5c".into(), chain.into());
        }
        header
    }
}

/// What the assertions of a credential have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssertionSettings {
    /// Sends the chain, for apps that are registered by subject name and issuer.
    pub(crate) send_x5c: bool,
    /// Shows the certificate on TLS as well, with the chain in the assertion.
    pub(crate) shown_on_tls: bool,
    /// None: what suits the authority.
    pub(crate) form: Option<AssertionForm>,
    /// Claims besides those of RFC 7523.
    pub(crate) claims: Map<String, Value>,
}

/// Signed assertions, each reused while it is good: a signature costs ten times a token request's other work, and more
/// when it is made elsewhere.
#[derive(Default)]
pub(super) struct Assertions(Mutex<HashMap<Key, Slot>>);

/// What tells one assertion from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    certificate: [u8; 32],
    /// The audience.
    token_endpoint: Box<str>,
    form: AssertionForm,
    send_x5c: bool,
    /// The request's own claims, JSON.
    claims: Option<Box<str>>,
}

#[derive(Clone)]
struct Slot {
    /// Set once, by the first who comes; the others wait for it.
    signed: Arc<OnceCell<SecretString>>,
    good_until: Moment,
}

/// An assertion, and whether it was made for an earlier request.
pub(super) struct Signed {
    pub(super) assertion: SecretString,
    pub(super) reused: bool,
}

impl Assertions {
    pub(super) async fn get(
        &self,
        certificate: &Certificate,
        settings: &AssertionSettings,
        occasion: &Occasion<'_>,
        clock: &dyn Clock,
    ) -> Result<Signed, Error> {
        let options = occasion.asked.options;
        let key = Key {
            certificate: certificate.leaf().thumbprint_sha256(),
            token_endpoint: occasion.token_endpoint.into(),
            form: settings.form.unwrap_or(occasion.form),
            send_x5c: settings.shown_on_tls || options.send_x5c.unwrap_or(settings.send_x5c),
            claims: options.assertion_claims.as_ref().map(|claims| claims.text.clone()),
        };
        let signed = self.slot(&key, clock.now());
        let mut reused = true;
        let assertion = signed
            .get_or_try_init(|| {
                reused = false;
                sign(certificate, &key, &settings.claims, occasion, clock.system_time())
            })
            .await?;
        Ok(Signed { assertion: assertion.clone(), reused })
    }

    /// The authority refused one that this certificate signed.
    pub(super) fn forget(&self, certificate: &[u8; 32]) {
        self.lock().retain(|key, _| key.certificate != *certificate);
    }

    fn slot(&self, key: &Key, now: Moment) -> Arc<OnceCell<SecretString>> {
        let mut all = self.lock();
        if let Some(slot) = all.get(key)
            && now < slot.good_until
        {
            return slot.signed.clone();
        }
        if all.len() >= MOST_KEPT {
            all.retain(|_, slot| now < slot.good_until);
        }
        let slot = Slot { signed: Arc::default(), good_until: now + REUSE };
        if all.len() < MOST_KEPT {
            all.insert(key.clone(), slot.clone());
        }
        slot.signed
    }

    /// The map is whole after a panic: it is changed by single calls.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 7523 §3 in the form of Microsoft's certificate credentials.
async fn sign(
    certificate: &Certificate,
    key: &Key,
    extra: &Map<String, Value>,
    occasion: &Occasion<'_>,
    now: SystemTime,
) -> Result<SecretString, Error> {
    let now = unix(now);
    let mut claims = extra.clone();
    claims.extend(occasion.asked.options.assertion_claims.iter().flat_map(|own| own.members.clone()));
    claims.extend(
        [
            ("aud", Value::from(occasion.token_endpoint)),
            ("iss", occasion.client_id.into()),
            ("sub", occasion.client_id.into()),
            ("jti", Uuid::new_v4().to_string().into()),
            ("iat", now.into()),
            ("nbf", (now - BACK_DATED).into()),
            ("exp", (now + LIFETIME).into()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let algorithm = key.form.algorithm();
    let unsigned = jws::Unsigned::new(&key.form.header(certificate, key.send_x5c), &claims, algorithm)
        .map_err(|error| super::certificate::unusable("the assertion", &error))?;
    let signature = certificate.sign(algorithm, unsigned.signing_input()).await?;
    Ok(SecretString::from(unsigned.signed_with(&signature)))
}

/// Seconds: what MSAL gives an assertion to live.
const LIFETIME: i64 = 600;
/// Seconds: an authority whose clock is this far behind still takes the assertion.
const BACK_DATED: i64 = 300;
/// Leaves two minutes of the lifetime for an authority whose clock is ahead.
const REUSE: Duration = Duration::from_secs(480);
/// Assertions kept at a time; a client for more tenants signs anew for the rest.
const MOST_KEPT: usize = 1024;
