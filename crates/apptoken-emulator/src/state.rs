//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use apptoken_jose::KeyError;
use tokio::sync::watch;

use crate::clock::EmulatorClock;
use crate::directory::Directory;
use crate::faults::{FaultRule, Faults};
use crate::federation::Federation;
use crate::hosts::Hosts;
use crate::issuer::Issuers;
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::managed_identity::Machine;
use crate::own::{self, AdminKey};
use crate::seed::Seed;
use crate::sign_in::SignInLog;
use crate::signing_keys::{SigningKeys, TokenKey};
use crate::store::Store;
use crate::used_assertions::UsedAssertions;
use crate::workload::Workloads;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    /// Where changes are kept, if they are.
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) clock: EmulatorClock,
    pub(crate) keys: SigningKeys,
    pub(crate) issuers: Issuers,
    /// `https://localhost:PORT`: what most clients insist on, whatever name a visitor came by.
    pub(crate) authority: String,
    pub(crate) hosts: Hosts,
    /// Of every HTTPS client, not only by the names that are for mutual TLS.
    pub(crate) asks_for_certificates: bool,
    pub(crate) federation: Federation,
    pub(crate) workloads: Arc<Workloads>,
    pub(crate) machine: Machine,
    pub(crate) faults: Faults,
    pub(crate) sign_ins: Arc<SignInLog>,
    pub(crate) used_assertions: UsedAssertions,
    pub(crate) token_requests: AtomicU64,
    pub(crate) limits: Limits,
    pub(crate) keyring: Keyring,
    pub(crate) admin_key: AdminKey,
    /// What clients must trust, PEM.
    pub(crate) ca_pem: String,
    /// Says when the server stops: for answers that would go on.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl State {
    /// Waits until every change made so far is on disk.
    pub(crate) async fn saved(&self) -> Result<(), String> {
        match &self.store {
            Some(store) => store.saved().await,
            None => Ok(()),
        }
    }

    /// A seed that begins anew what is here: directory, faults, delays, the clock's offset.
    pub(crate) fn export(&self) -> Seed {
        Seed {
            faults: self.faults.rules().iter().map(FaultRule::declare).collect(),
            replication_delays: self.faults.delays.rules(),
            clock_offset_seconds: Some(self.clock.ahead_seconds()).filter(|&seconds| seconds != 0),
            ..self.directory.export()
        }
    }

    /// Signs with a new key from now on; the old ones stay published.
    pub(crate) async fn rotate_signing_key(&self) -> Result<(), KeyError> {
        // Certificates are for machines with their own clocks.
        let now = EmulatorClock::new(0).now();
        let computing = tokio::task::spawn_blocking(move || TokenKey::generate(now));
        let newest = computing.await.map_err(|_| KeyError::Generate("the signing key"))??;
        self.keys.rotate(newest, |keys| {
            if let Some(store) = &self.store {
                store.save(vec![own::signing_keys(keys)]);
            }
        });
        Ok(())
    }
}

/// One without a server, for tests and the fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
impl State {
    pub(crate) fn bare(seed: &Seed) -> Result<Self, Box<dyn std::error::Error>> {
        use crate::issuer::IssuerMode;

        let authority = "https://localhost:1";
        let clock = EmulatorClock::new(0);
        clock.freeze();
        Ok(Self {
            directory: Directory::from_seed(seed, clock.clone())?,
            store: None,
            keys: SigningKeys::new(TokenKey::generate(clock.now())?),
            issuers: Issuers::new(IssuerMode::Entra, authority),
            authority: authority.into(),
            hosts: Hosts::new(&[]),
            asks_for_certificates: false,
            federation: Federation::new(Vec::new(), std::time::Duration::ZERO, 0),
            workloads: Arc::new(Workloads::new(authority, Default::default(), clock.clone())),
            machine: Machine::new(Machine::new_secrets()?, None, String::new()),
            faults: Faults::default(),
            sign_ins: Arc::new(SignInLog::new(16, usize::MAX)),
            used_assertions: UsedAssertions::new(16),
            token_requests: AtomicU64::new(0),
            limits: Limits::default(),
            keyring: Keyring::new()?,
            admin_key: AdminKey::generate()?,
            ca_pem: String::new(),
            stopping: watch::channel(true).1,
            clock,
        })
    }
}
