//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::watch;

use crate::clock::EmulatorClock;
use crate::directory::Directory;
use crate::faults::Faults;
use crate::federation::Federation;
use crate::hosts::Hosts;
use crate::issuer::Issuers;
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::managed_identity::Machine;
use crate::sign_in::SignInLog;
use crate::signing_keys::SigningKeys;
use crate::workload::Workloads;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    pub(crate) clock: EmulatorClock,
    pub(crate) keys: SigningKeys,
    pub(crate) issuers: Issuers,
    pub(crate) hosts: Hosts,
    /// Of every HTTPS client, not only by the names that are for mutual TLS.
    pub(crate) asks_for_certificates: bool,
    pub(crate) federation: Federation,
    pub(crate) workloads: Arc<Workloads>,
    pub(crate) machine: Machine,
    pub(crate) faults: Faults,
    pub(crate) sign_ins: SignInLog,
    pub(crate) token_requests: AtomicU64,
    pub(crate) limits: Limits,
    pub(crate) keyring: Keyring,
    /// What clients must trust, PEM.
    pub(crate) ca_pem: String,
    /// Says when the server stops: for answers that would go on.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// One without a server, for tests and the fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
impl State {
    pub(crate) fn bare(seed: &crate::seed::Seed) -> Result<Self, Box<dyn std::error::Error>> {
        use crate::issuer::IssuerMode;
        use crate::signing_keys::TokenKey;

        let authority = "https://localhost:1";
        let clock = EmulatorClock::new(0);
        clock.freeze();
        Ok(Self {
            directory: Directory::from_seed(seed, clock.clone())?,
            keys: SigningKeys::new(TokenKey::generate(clock.now())?),
            issuers: Issuers::new(IssuerMode::Entra, authority),
            hosts: Hosts::new(&[]),
            asks_for_certificates: false,
            federation: Federation::new(Vec::new(), std::time::Duration::ZERO, 0),
            workloads: Arc::new(Workloads::new(authority, Default::default(), clock.clone())),
            machine: Machine::new(None, String::new())?,
            faults: Faults::default(),
            sign_ins: SignInLog::new(16),
            token_requests: AtomicU64::new(0),
            limits: Limits::default(),
            keyring: Keyring::new()?,
            ca_pem: String::new(),
            stopping: watch::channel(true).1,
            clock,
        })
    }
}
