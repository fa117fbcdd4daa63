//! What makes a server the same one after a restart: its CA, its signing keys and those of its own identity provider,
//! its secrets.

use std::fmt;
use std::time::SystemTime;

use apptoken_jose::issue::Ca;
use apptoken_jose::{KeyError, base64url};
use aws_lc_rs::{constant_time, rand};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::managed_identity::{Machine, MachineSecrets};
use crate::signing_keys::{KeptKey, SigningKeys, TokenKey};
use crate::store::{DataFolderError, Kind, Opened, Row};
use crate::workload;

pub(crate) struct Own {
    pub(crate) ca: Ca,
    pub(crate) keys: SigningKeys,
    /// Of its own identity provider, once it has signed anything.
    pub(crate) workload_keys: Option<SigningKeys>,
    pub(crate) machine: MachineSecrets,
    pub(crate) admin_key: AdminKey,
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
    /// Takes what the folder keeps, and makes the rest: some milliseconds of computing. A CA that is `given` goes
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
        let keys = match restored(folder, SIGNING_KEYS)? {
            Some(keys) => keys,
            None => {
                let keys = SigningKeys::new(TokenKey::generate(now)?);
                unsaved.push(signing_keys(&keys));
                keys
            }
        };
        let workload_keys = restored(folder, workload::KEPT_KEYS)?;
        let machine = match kept(folder, MACHINE)? {
            Some(kept) => kept,
            None => {
                let secrets = Machine::new_secrets()?;
                unsaved.push(Row::put(Kind::Own, MACHINE, &secrets));
                secrets
            }
        };
        let admin_key = match kept(folder, ADMIN_KEY)? {
            Some(kept) => AdminKey(kept),
            None => {
                let key = AdminKey::generate()?;
                unsaved.push(Row::put(Kind::Own, ADMIN_KEY, &key.0));
                key
            }
        };
        Ok(Self { ca, keys, workload_keys, machine, admin_key, unsaved })
    }
}

/// What opens `/admin`.
pub(crate) struct AdminKey(Zeroizing<String>);

impl AdminKey {
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rand::fill(&mut *bytes).map_err(|_| KeyError::Generate("the admin key"))?;
        Ok(Self(Zeroizing::new(base64url::encode(&*bytes))))
    }

    /// Takes the same time whatever it is.
    pub(crate) fn opens(&self, presented: &str) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_bytes(), presented.as_bytes()).is_ok()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(…)")
    }
}

/// The signing keys, to be kept.
pub(crate) fn signing_keys(keys: &SigningKeys) -> Row {
    Row::put(Kind::Own, SIGNING_KEYS, &keys.keep())
}

fn kept<T: serde::de::DeserializeOwned>(folder: Option<&Opened>, key: &str) -> Result<Option<T>, OwnError> {
    Ok(folder.map(|folder| folder.own(key)).transpose()?.flatten())
}

fn restored(folder: Option<&Opened>, what: &str) -> Result<Option<SigningKeys>, OwnError> {
    let Some(keys) = kept::<Vec<KeptKey>>(folder, what)? else { return Ok(None) };
    SigningKeys::restore(&keys).map(Some).map_err(|error| damaged(folder, what, &error))
}

fn damaged(folder: Option<&Opened>, what: &str, error: &KeyError) -> OwnError {
    match folder {
        Some(folder) => folder.damaged(&format!("{what}: {error}")).into(),
        None => error.clone().into(),
    }
}

const ADMIN_KEY: &str = "admin key";
const CA: &str = "certificate authority";
const SIGNING_KEYS: &str = "signing keys";
const MACHINE: &str = "machine";
