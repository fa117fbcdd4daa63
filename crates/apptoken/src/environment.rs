//! What the program was started with, or a made-up environment for tests.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

/// Environment variables, the process's or given ones. A variable that is empty counts as not set.
///
/// ```
/// use apptoken::{Environment, ManagedIdentityClient};
///
/// let function = Environment::from_iter([
///     ("IDENTITY_ENDPOINT", "http://127.0.0.1:41741/msi/token"),
///     ("IDENTITY_HEADER", "a secret of the platform"),
/// ]);
/// let client = ManagedIdentityClient::system_assigned().environment(function).build()?;
/// assert_eq!(client.source(), apptoken::ManagedIdentitySource::AppService);
/// # Ok::<(), apptoken::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    /// None: the process's.
    given: Option<Arc<BTreeMap<String, String>>>,
    root: Option<PathBuf>,
}

impl Environment {
    /// The process's variables, as they are when a client is built.
    #[must_use]
    pub fn process() -> Self {
        Self::default()
    }

    /// Puts `folder` before the paths that a platform fixes, such as `/var/opt/azcmagent`: for tests.
    #[must_use]
    pub fn root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.root = Some(folder.into());
        self
    }

    /// The value of a variable; `None` when it is not set, or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match &self.given {
            Some(given) => given.get(name).cloned(),
            // what is not Unicode shows as such in the error that it leads to
            None => std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()),
        };
        value.filter(|value| !value.trim().is_empty())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }

    /// A path that the platform fixes.
    pub(crate) fn path(&self, fixed: impl Into<PathBuf>) -> PathBuf {
        let fixed = fixed.into();
        match &self.root {
            Some(root) => root.join(fixed.strip_prefix("/").unwrap_or(&fixed)),
            None => fixed,
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let given = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { given: Some(Arc::new(given)), root: None }
    }
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.given {
            Some(given) => f.debug_set().entries(given.keys()).finish(),
            None => f.write_str("Environment(process)"),
        }
    }
}
