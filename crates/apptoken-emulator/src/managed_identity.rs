//! The machine whose managed identities the emulator's identity endpoints speak for: its secrets, and how it tells a
//! program where these endpoints are.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use apptoken_jose::{KeyError, base64url};
use aws_lc_rs::{constant_time, rand};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A platform that gives programs managed identities, each in its own dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ManagedIdentitySource {
    /// App Service, Functions and Container Apps.
    AppService,
    /// A machine outside Azure; needs [`EmulatorBuilder::arc_key_folder`](crate::EmulatorBuilder::arc_key_folder).
    AzureArc,
    /// Cloud Shell.
    CloudShell,
    /// The instance-metadata service of virtual machines.
    Imds,
    /// Compute of Azure Machine Learning.
    MachineLearning,
    /// A Service Fabric cluster.
    ServiceFabric,
}

/// What a program must show, by platform: App Service, Machine Learning, Service Fabric.
pub(crate) type MachineSecrets = [Zeroizing<String>; 3];

/// The machine.
pub(crate) struct Machine {
    secrets: MachineSecrets,
    arc_folder: Option<ArcFolder>,
    arc_keys: Mutex<VecDeque<ArcKey>>,
    /// SHA-1 of the server's certificate, hex.
    thumbprint: String,
}

/// Where the key files of Azure Arc's challenges are: here, and for the programs that are to read them.
#[derive(Clone, Debug)]
pub(crate) struct ArcFolder {
    pub(crate) here: PathBuf,
    pub(crate) seen: PathBuf,
}

/// A key file that a challenge of Azure Arc's has named.
struct ArcKey {
    path: PathBuf,
    text: Zeroizing<String>,
}

impl Machine {
    pub(crate) fn new(secrets: MachineSecrets, arc_folder: Option<ArcFolder>, thumbprint: String) -> Self {
        Self { secrets, arc_folder, arc_keys: Mutex::default(), thumbprint }
    }

    pub(crate) fn new_secrets() -> Result<MachineSecrets, KeyError> {
        Ok([secret()?, secret()?, secret()?])
    }

    /// The variables by which the platform tells a program of its endpoint, which is at `base`; the one endpoint that
    /// must be HTTPS is at `secure_base`.
    pub(crate) fn environment(
        &self,
        source: ManagedIdentitySource,
        base: &str,
        secure_base: &str,
    ) -> Vec<(String, String)> {
        let [app_service, machine_learning, service_fabric] = self.secrets.each_ref().map(|secret| secret.as_str());
        let at = |path: &str| format!("{base}/{path}");
        let variables: Vec<(&str, String)> = match source {
            ManagedIdentitySource::AppService => {
                vec![("IDENTITY_ENDPOINT", at("msi/token")), ("IDENTITY_HEADER", app_service.into())]
            }
            ManagedIdentitySource::AzureArc => {
                vec![("IDENTITY_ENDPOINT", at("arc/metadata/identity/oauth2/token")), ("IMDS_ENDPOINT", at("arc"))]
            }
            ManagedIdentitySource::CloudShell => vec![("MSI_ENDPOINT", at("cloudshell/token"))],
            ManagedIdentitySource::Imds => vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", base.into())],
            ManagedIdentitySource::MachineLearning => {
                vec![("MSI_ENDPOINT", at("ml/token")), ("MSI_SECRET", machine_learning.into())]
            }
            ManagedIdentitySource::ServiceFabric => vec![
                ("IDENTITY_ENDPOINT", format!("{secure_base}/servicefabric/token")),
                ("IDENTITY_HEADER", service_fabric.into()),
                ("IDENTITY_SERVER_THUMBPRINT", self.thumbprint.clone()),
            ],
        };
        variables.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    /// Whether this is what the platform's programs know; takes the same time whatever it is.
    pub(crate) fn opens(&self, source: ManagedIdentitySource, presented: &str) -> bool {
        let secret = match source {
            ManagedIdentitySource::AppService => &self.secrets[0],
            ManagedIdentitySource::MachineLearning => &self.secrets[1],
            ManagedIdentitySource::ServiceFabric => &self.secrets[2],
            _ => return false,
        };
        constant_time::verify_slices_are_equal(secret.as_bytes(), presented.as_bytes()).is_ok()
    }

    pub(crate) fn is_arc(&self) -> bool {
        self.arc_folder.is_some()
    }

    /// Writes a key file for who may read the folder; its path for them. The newest few are good, each once.
    pub(crate) fn arc_challenge(&self) -> io::Result<PathBuf> {
        let folder = self.arc_folder.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let text = secret().map_err(|_| io::Error::other("no random bytes"))?;
        let name = format!("{}.key", Uuid::new_v4());
        let (path, seen) = (folder.here.join(&name), folder.seen.join(&name));
        private(&path)?.write_all(text.as_bytes())?;
        let mut keys = self.arc_keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.push_back(ArcKey { path, text });
        if keys.len() > MOST_ARC_KEYS {
            keys.pop_front();
        }
        Ok(seen)
    }

    /// Whether this stands in a key file; it is used up then.
    pub(crate) fn arc_opens(&self, presented: &str) -> bool {
        let mut keys = self.arc_keys.lock().unwrap_or_else(PoisonError::into_inner);
        let same =
            |key: &ArcKey| constant_time::verify_slices_are_equal(key.text.as_bytes(), presented.as_bytes()).is_ok();
        let found = keys.iter().position(same);
        found.and_then(|index| keys.remove(index)).is_some()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("arc_folder", &self.arc_folder).finish_non_exhaustive()
    }
}

impl Drop for ArcKey {
    fn drop(&mut self) {
        // Somebody may have taken it away already.
        let _ = fs::remove_file(&self.path);
    }
}

fn secret() -> Result<Zeroizing<String>, KeyError> {
    let mut bytes = Zeroizing::new([0_u8; 30]);
    rand::fill(&mut *bytes).map_err(|_| KeyError::Generate("a secret"))?;
    Ok(Zeroizing::new(base64url::encode(&*bytes)))
}

/// A new file that only its owner can read.
fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

const MOST_ARC_KEYS: usize = 16;
