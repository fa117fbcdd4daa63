use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::watched::Watched;
use crate::Error;
use crate::clock::Moment;

/// A file that the platform keeps filled with a fresh assertion, for example Kubernetes for workload identity
/// (`AZURE_FEDERATED_TOKEN_FILE`). Each token request looks at the file's marks, and reads it when they have changed.
pub(crate) struct TokenFile {
    path: PathBuf,
    watched: Watched<Assertion>,
}

struct Assertion(SecretString);

impl TokenFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { watched: Watched::new(vec![path.clone()], Duration::ZERO), path }
    }

    pub(crate) async fn assertion(&self, now: Moment) -> Result<SecretString, Error> {
        let path = self.path.clone();
        let assertion = self.watched.current(now, move || read(&path).map(Assertion)).await?;
        Ok(assertion.0.clone())
    }

    pub(super) fn changes(&self) -> u64 {
        self.watched.changes()
    }

    pub(super) fn refused(&self) {
        self.watched.read_soon();
    }
}

impl PartialEq for Assertion {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenFile").field(&self.path).finish()
    }
}

fn read(path: &Path) -> Result<SecretString, Error> {
    let wrong = |why: &str| {
        Error::credential(format!("the federated token file {} {why}", path.display()))
            .with_advice("check the path, and that the platform has projected the token there")
    };
    let file = std::fs::File::open(path).map_err(|cause| wrong("cannot be opened").with_source(cause))?;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|cause| wrong("cannot be read").with_source(cause))?;
    if text.len() > LONGEST {
        return Err(wrong("is too long for an assertion"));
    }
    match text.trim() {
        "" => Err(wrong("is empty")),
        assertion => Ok(SecretString::from(assertion)),
    }
}

/// Bytes; a platform's assertions are a few kilobytes.
const LONGEST: usize = 64 * 1024;
