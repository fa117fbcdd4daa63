//! What makes a server the same one after a restart: its CA, its signing keys, its secrets.

use std::time::SystemTime;

use apptoken_jose::KeyError;
use apptoken_jose::issue::Ca;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::managed_identity::{Machine, MachineSecrets};
use crate::signing_keys::{KeptKey, SigningKeys, TokenKey};
use crate::store::{DataFolderError, Kind, Opened, Row};

pub(crate) struct Own {
    pub(crate) ca: Ca,
    pub(crate) keys: SigningKeys,
    pub(crate) machine: MachineSecrets,
    /// What of it is not in the data folder yet.
    pub(crate) unsaved: Vec<Row>,
}

/// Why there is no such server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
}

#[derive(Serialize, Deserialize)]
struct KeptCa {
    certificate: String,
    key: Zeroizing<String>,
}

impl Own {
    /// Takes what the folder keeps, and makes the rest: a fraction of a second of computing. A CA that is `given` goes
    /// before the one that is kept.
    pub(crate) fn of(folder: Option<&Opened>, given: Option<Ca>, now: SystemTime) -> Result<Self, OwnError> {
        let mut unsaved = Vec::new();
        let ca = match (given, kept::<KeptCa>(folder, CA)?) {
            (Some(given), _) => given,
            (None, Some(kept)) => {
                Ca::from_pem(&kept.certificate, &kept.key).map_err(|error| damaged(folder, CA, &error))?
            }
            (None, None) => {
                let ca = Ca::generate("apptoken local Entra ID (development only)", now)?;
                let kept = KeptCa { certificate: ca.certificate().to_pem(), key: ca.key_pem() };
                unsaved.push(Row::put(Kind::Own, CA, &kept));
                ca
            }
        };
        let keys = match kept::<Vec<KeptKey>>(folder, SIGNING_KEYS)? {
            Some(kept) => SigningKeys::restore(&kept).map_err(|error| damaged(folder, SIGNING_KEYS, &error))?,
            None => {
                let keys = SigningKeys::new(TokenKey::generate(now)?);
                unsaved.push(signing_keys(&keys)?);
                keys
            }
        };
        let machine = match kept(folder, MACHINE)? {
            Some(kept) => kept,
            None => {
                let secrets = Machine::new_secrets()?;
                unsaved.push(Row::put(Kind::Own, MACHINE, &secrets));
                secrets
            }
        };
        Ok(Self { ca, keys, machine, unsaved })
    }
}

/// The signing keys, to be kept.
pub(crate) fn signing_keys(keys: &SigningKeys) -> Result<Row, KeyError> {
    Ok(Row::put(Kind::Own, SIGNING_KEYS, &keys.keep()?))
}

fn kept<T: serde::de::DeserializeOwned>(folder: Option<&Opened>, key: &str) -> Result<Option<T>, OwnError> {
    Ok(folder.map(|folder| folder.own(key)).transpose()?.flatten())
}

fn damaged(folder: Option<&Opened>, what: &str, error: &KeyError) -> OwnError {
    match folder {
        Some(folder) => folder.damaged(&format!("{what}: {error}")).into(),
        None => error.clone().into(),
    }
}

const CA: &str = "certificate authority";
const SIGNING_KEYS: &str = "signing keys";
const MACHINE: &str = "machine";
