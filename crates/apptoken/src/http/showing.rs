//! Connections that show a client certificate: each certificate has its own, for a connection shows one to whoever asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{TransportError, TransportErrorKind};
use crate::ClientIdentity;

/// HTTP clients by certificate: a few, the one used last at the end.
#[derive(Default)]
pub(super) struct Showing(Mutex<Vec<(ClientIdentity, reqwest::Client)>>);

impl Showing {
    /// The client for `identity`, made at the first request that shows it.
    pub(super) fn client(
        &self,
        identity: &ClientIdentity,
        make: impl FnOnce() -> Result<reqwest::Client, TransportError>,
    ) -> Result<reqwest::Client, TransportError> {
        if let Some(client) = take(&mut self.kept(), identity) {
            return Ok(client);
        }
        // two first requests may both make one; one is kept
        let client = make()?;
        let mut all = self.kept();
        if let Some(client) = take(&mut all, identity) {
            return Ok(client);
        }
        if all.len() >= MOST {
            all.remove(0);
        }
        all.push((identity.clone(), client.clone()));
        Ok(client)
    }

    /// Whole after a panic: it is changed by single calls.
    fn kept(&self) -> MutexGuard<'_, Vec<(ClientIdentity, reqwest::Client)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(all: &mut Vec<(ClientIdentity, reqwest::Client)>, identity: &ClientIdentity) -> Option<reqwest::Client> {
    let place = all.iter().position(|(other, _)| other == identity)?;
    let found = all.remove(place);
    let client = found.1.clone();
    all.push(found);
    Some(client)
}

/// As reqwest takes it.
pub(super) fn reqwest_identity(identity: &ClientIdentity) -> Result<reqwest::Identity, TransportError> {
    let pem = identity.to_pem().map_err(|error| TransportError::new(TransportErrorKind::Setup, error))?;
    reqwest::Identity::from_pem(pem.as_bytes()).map_err(|error| TransportError::new(TransportErrorKind::Setup, error))
}

/// Certificates are few: those of one app, while one follows another.
const MOST: usize = 16;
