//! The local Entra ID without sockets: a request in, an answer out. For the fuzz targets, and for tests of what is
//! answered that need neither TLS nor time to pass.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::clock::EmulatorClock;
use crate::directory::{Directory, SeedError};
use crate::endpoints::{Reply, handle};
use crate::federation::Federation;
use crate::hosts::Hosts;
use crate::issuer::{IssuerMode, Issuers};
use crate::keyring::Keyring;
use crate::managed_identity::Machine;
use crate::seed::Seed;
use crate::sign_in::{SignIn, SignInLog};
use crate::signing_keys::{SigningKeys, TokenKey};
use crate::state::State;
use crate::workload::Workloads;

/// One that nobody can connect to. Its clock stands still, and it asks no other issuer for anything.
pub struct WithoutSockets {
    state: Arc<State>,
    /// For limits in time, which answers from memory do not reach.
    runtime: Runtime,
    stop: watch::Sender<bool>,
}

impl WithoutSockets {
    /// With this directory; the keys of `issuers` are what is given (a JWKS each), and no others are ever asked for.
    ///
    /// # Errors
    /// When the seed is refused, a JWKS cannot be read, or no key could be made.
    pub fn new(seed: &str, issuers: &[(&str, &str)]) -> Result<Self, Box<dyn Error>> {
        let clock = EmulatorClock::new(0);
        clock.freeze();
        let (stop, stopping) = watch::channel(false);
        let mut federation = Federation::new(Vec::new(), Duration::ZERO, 0);
        for (issuer, jwks) in issuers {
            federation.know(issuer, jwks)?;
        }
        let state = State {
            directory: Directory::from_seed(&Seed::from_json(seed)?, clock.clone())?,
            keys: SigningKeys::new(TokenKey::generate(clock.now())?),
            issuers: Issuers::new(IssuerMode::Entra, AUTHORITY),
            hosts: Hosts::new(&[]),
            asks_for_certificates: false,
            federation,
            workloads: Arc::new(Workloads::new(AUTHORITY, Default::default(), clock.clone())),
            machine: Machine::new(None, String::new())?,
            faults: Default::default(),
            sign_ins: SignInLog::new(16),
            token_requests: Default::default(),
            limits: Default::default(),
            keyring: Keyring::new()?,
            ca_pem: String::new(),
            stopping,
            clock,
        };
        Ok(Self { state: Arc::new(state), runtime: Builder::new_current_thread().enable_time().build()?, stop })
    }

    /// The same with another directory, and an empty log.
    ///
    /// # Errors
    /// When the seed is refused.
    pub fn reseed(&mut self, seed: &str) -> Result<(), SeedError> {
        let directory = Directory::from_seed(&Seed::from_json(seed)?, self.state.clock.clone())?;
        if let Some(state) = Arc::get_mut(&mut self.state) {
            state.directory = directory;
            state.sign_ins = SignInLog::new(16);
        }
        Ok(())
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &EmulatorClock {
        &self.state.clock
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.state.directory
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The newest entry of the sign-in log.
    #[must_use]
    pub fn last_sign_in(&self) -> Option<SignIn> {
        self.state.sign_ins.entries().pop()
    }

    /// Answers as if the request had come over TLS. No answer is one: a fault that was asked for.
    #[must_use]
    pub fn answer(&self, request: Request<Vec<u8>>) -> Option<Response<Vec<u8>>> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        self.runtime.block_on(async {
            let Reply::Answer(answer) = handle(Arc::clone(&self.state), request, true).await else { return None };
            let (head, body) = answer.into_parts();
            // One without an end is followed until the server stops: its head is all there is.
            let ends = hyper::body::Body::size_hint(&body).exact().is_some();
            let body =
                if ends { body.collect().await.map_or_else(|_| Bytes::new(), |b| b.to_bytes()) } else { Bytes::new() };
            Some(Response::from_parts(head, body.into()))
        })
    }
}

impl Drop for WithoutSockets {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for WithoutSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithoutSockets").finish_non_exhaustive()
    }
}

const AUTHORITY: &str = "https://localhost:1";
