use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::{AppToken, Certificate, Credential, InUse, Means, Occasion, Proof, Workshop};
use crate::Error;
use crate::clock::Clock;
use crate::error::Denied;
use crate::request::{Asked, Capabilities};
use crate::telemetry::TARGET;
use crate::token::Scheme;

/// The credential of a living client. It can be replaced at any time: a request in flight goes on with the one that it
/// began with, the next takes the new one.
pub(crate) struct Rotating {
    current: ArcSwap<Numbered>,
    workshop: Workshop,
}

struct Numbered {
    credential: Arc<InUse>,
    number: u64,
}

/// The credential of one request.
pub(crate) struct Used(Arc<Numbered>);

impl Rotating {
    pub(crate) fn new(credential: Credential, workshop: Workshop, clock: &dyn Clock) -> Result<Self, Error> {
        let credential = Arc::new(workshop.make(credential, clock)?);
        Ok(Self { current: ArcSwap::from_pointee(Numbered { credential, number: 0 }), workshop })
    }

    /// From the next request on, `credential` proves the app; if it cannot be used, the old one stays.
    pub(crate) fn replace(&self, credential: Credential, clock: &dyn Clock) -> Result<(), Error> {
        let made = Arc::new(self.workshop.make(credential, clock)?);
        self.current.rcu(|old| Numbered { credential: made.clone(), number: old.number + 1 });
        Ok(())
    }

    /// Another number for each credential that there has been, replaced ones and those renewed on disk: what an authority
    /// said about one of them says nothing about the next.
    pub(crate) fn generation(&self) -> u64 {
        let current = self.current.load();
        (current.number << 32) | (current.credential.changes() & u64::from(u32::MAX))
    }

    /// What only the app has, if it has something: kept tokens are encrypted with a key made from it.
    pub(crate) fn own_secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.current.load().credential.own_secret()
    }

    pub(crate) fn current(&self) -> Used {
        Used(self.current.load_full())
    }

    /// The authority refused `refused`, which `used` made: another proof in its place, if there is one that differs in
    /// what it was refused for. A request is sent again for it, once.
    pub(crate) async fn another(
        &self,
        used: &Used,
        refused: &Proof,
        denied: &Denied,
        occasion: &Occasion<'_>,
        means: Means<'_>,
    ) -> Option<Proof> {
        if denied.error() != "invalid_client" {
            return None;
        }
        let renewable = RENEWABLE.iter().any(|&code| denied.has_code(code));
        used.0.credential.refused(refused, renewable, means.clock.now());
        let current = self.current();
        let replaced = !Arc::ptr_eq(&used.0, &current.0);
        let outlived = replaced && SECRET.iter().any(|&code| denied.has_code(code));
        if !renewable && !outlived {
            return None;
        }
        match current.prove(occasion, means).await {
            Ok(proof) if proof.may_fare_better_than(refused, denied) => {
                tracing::info!(name: "apptoken.credential.renewed", target: TARGET, codes = ?denied.codes(), "the authority refused the credential: tried once more with a fresh one");
                Some(proof)
            }
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(name: "apptoken.credential.not_renewed", target: TARGET, %error, "no fresh credential after a refusal");
                None
            }
        }
    }
}

impl Used {
    /// Whether the token endpoint is to be one for mutual TLS.
    pub(crate) fn is_shown_on_tls(&self, asked: Asked<'_>) -> bool {
        asked.options.scheme == Scheme::MtlsPop || self.0.credential.is_shown_on_tls()
    }

    /// The certificate that tokens would be bound to, as far as it is known before anything is asked.
    pub(crate) fn binding(&self, clock: &dyn Clock) -> Result<Option<Certificate>, Error> {
        self.0.credential.binding(clock)
    }

    pub(crate) async fn prove(&self, occasion: &Occasion<'_>, means: Means<'_>) -> Result<Proof, Error> {
        self.0.credential.prove(occasion, means).await
    }

    /// The token, if it is not an authority that gives it.
    pub(crate) async fn app_token(
        &self,
        client_id: &str,
        capabilities: &Capabilities,
        asked: Asked<'_>,
    ) -> Option<Result<AppToken, Error>> {
        self.0.credential.app_token(client_id, capabilities, asked).await
    }
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current.load().credential.fmt(f)
    }
}

/// AADSTS codes of a certificate or assertion that is outside its time, revoked or not registered: those that
/// Microsoft.Identity.Web reloads certificates for.
const RENEWABLE: [u32; 6] = [700_024, 700_027, 1_000_502, 7_000_214, 7_000_274, 7_000_277];
/// AADSTS codes of a secret that is wrong or expired.
const SECRET: [u32; 2] = [7_000_215, 7_000_222];
