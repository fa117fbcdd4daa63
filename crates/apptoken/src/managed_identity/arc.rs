use std::io::Read as _;
use std::path::{Path, PathBuf};

use ::http::header::WWW_AUTHENTICATE;
use ::http::{HeaderValue, StatusCode};
use zeroize::Zeroizing;

use super::METADATA;
use super::endpoint::Endpoint;
use crate::Error;
use crate::env_vars::{IDENTITY_ENDPOINT, IMDS_ENDPOINT, PROGRAM_DATA, PROGRAM_FILES};
use crate::environment::Environment;
use crate::error::ErrorKind;
use crate::http::{Request, Response};
use crate::request::Asked;

/// A machine outside Azure with the Azure Connected Machine agent.
///
/// The agent first answers 401 and names a file that only those may read who may have tokens; what stands in it opens
/// the door for the second try. A program must not be talked into sending other files: it has to be a small `*.key` in
/// the agent's own folder.
pub(crate) struct AzureArc {
    endpoint: Endpoint,
    keys: PathBuf,
}

impl AzureArc {
    pub(super) fn detect(environment: &Environment) -> Result<Option<Self>, Error> {
        let announced = environment.has(IMDS_ENDPOINT) && environment.has(IDENTITY_ENDPOINT);
        let (agent, keys) = places(environment);
        if !announced && !agent.is_some_and(|agent| agent.exists()) {
            return Ok(None);
        }
        let endpoint = match Endpoint::of(environment, IDENTITY_ENDPOINT)? {
            Some(endpoint) => endpoint,
            None => Endpoint::fixed(DEFAULT_ENDPOINT)?,
        };
        Ok(Some(Self { endpoint, keys }))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn request(&self, asked: Asked<'_>) -> Result<Request, Error> {
        self.endpoint.get(&[("api-version", "2020-06-01"), ("resource", asked.scope)], [METADATA])
    }

    /// The `Authorization` that answers the agent's challenge; `None` when the answer is not a challenge.
    pub(super) fn answer_challenge(&self, response: &Response) -> Result<Option<HeaderValue>, Error> {
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let challenge = response.headers().get(WWW_AUTHENTICATE).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "Azure Arc answered 401 without a WWW-Authenticate header")
                .with_advice("check that the Azure Connected Machine agent is what answers, and update it")
        })?;
        let realm = challenge.to_str().ok().and_then(realm).ok_or_else(|| {
            Error::new(ErrorKind::Protocol, "Azure Arc's challenge is not of the form Basic realm=<file>")
                .with_advice("update the Azure Connected Machine agent")
        })?;
        let key = self.key(Path::new(realm))?;
        let basic = Zeroizing::new(format!("Basic {}", key.trim()));
        let mut value = HeaderValue::try_from(basic.as_str()).map_err(|_| {
            Error::new(ErrorKind::Protocol, format!("the key file {realm} holds characters that a header cannot have"))
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn key(&self, file: &Path) -> Result<Zeroizing<String>, Error> {
        let suspicious = |why: String| {
            Error::new(ErrorKind::Protocol, format!("Azure Arc's challenge names the file {}, {why}", file.display()))
                .with_advice("check that the Azure Connected Machine agent is what answers at this address")
        };
        if file.extension().is_none_or(|extension| extension != "key") {
            return Err(suspicious("which is not a .key file".to_owned()));
        }
        if !file.parent().is_some_and(|folder| same(folder, &self.keys)) {
            return Err(suspicious(format!("which is not in {}", self.keys.display())));
        }
        let unreadable = |cause: std::io::Error| {
            let error = Error::credential(format!("the key file {} cannot be read", file.display()));
            let error = match cause.kind() {
                std::io::ErrorKind::PermissionDenied => error.with_advice(
                    "give the program's account the right to: on Linux the group himds, on Windows the group Hybrid agent extension applications",
                ),
                _ => error,
            };
            error.with_source(cause)
        };
        // neither the folder nor the file may be a way out of the folder
        let real = file.canonicalize().map_err(unreadable)?;
        if real.parent() != Some(&self.keys.canonicalize().map_err(unreadable)?) {
            return Err(suspicious(format!("which leads out of {}", self.keys.display())));
        }
        let mut text = Zeroizing::new(String::with_capacity(LARGEST_KEY + 1));
        let opened = std::fs::File::open(&real).map_err(unreadable)?;
        opened.take(LARGEST_KEY as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() > LARGEST_KEY {
            return Err(suspicious(format!("which is longer than {LARGEST_KEY} bytes")));
        }
        Ok(text)
    }
}

/// `Basic realm=<file>`, in quotes or not (RFC 9110 §11.6.1).
fn realm(challenge: &str) -> Option<&str> {
    let (scheme, parameters) = challenge.trim().split_once(' ')?;
    let (name, value) = parameters.trim().split_once('=')?;
    let named = scheme.eq_ignore_ascii_case("basic") && name.trim().eq_ignore_ascii_case("realm");
    let value = value.trim();
    let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (named && !bare.is_empty()).then_some(bare)
}

/// Windows does not tell capitals from small letters in names.
fn same(one: &Path, other: &Path) -> bool {
    one == other || (cfg!(windows) && one.as_os_str().eq_ignore_ascii_case(other.as_os_str()))
}

/// Where the agent's program is, and its folder of keys.
fn places(environment: &Environment) -> (Option<PathBuf>, PathBuf) {
    if cfg!(windows) {
        let agent =
            environment.get(PROGRAM_FILES).map(|folder| format!(r"{folder}\AzureConnectedMachineAgent\himds.exe"));
        let data = environment.get(PROGRAM_DATA).unwrap_or_else(|| r"C:\ProgramData".to_owned());
        let keys = format!(r"{data}\AzureConnectedMachineAgent\Tokens");
        return (agent.map(|agent| environment.path(agent)), environment.path(keys));
    }
    (Some(environment.path("/opt/azcmagent/bin/himds")), environment.path("/var/opt/azcmagent/tokens"))
}

const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";
/// Bytes. Microsoft's figure.
const LARGEST_KEY: usize = 4096;
