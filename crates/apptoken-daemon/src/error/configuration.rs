//! A wrong setting, and where it stands.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::origin::Origin;

/// A setting that is missing, misspelt, of the wrong type, still a template's placeholder, or in an unreadable file.
///
/// Names the file and line, or the environment variable, that holds it, the key with its section
/// (`AzureAd:ClientId`), and what belongs there. Values of keys that hold secrets are never part of it.
#[derive(Clone)]
pub struct ConfigurationError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    file: Option<PathBuf>,
    line: Option<u32>,
    column: Option<u32>,
    variable: Option<String>,
    key: Option<String>,
    problem: String,
    source: Option<apptoken::Error>,
}

impl ConfigurationError {
    /// The file that holds the setting, or that should hold it.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line in [`file`](Self::file), counted from 1; for a missing key, the line where its section begins.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.0.line
    }

    /// The column in [`line`](Self::line), counted from 1, where the file is not valid JSON.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        self.0.column
    }

    /// The environment variable that holds the setting, as it is spelt there.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        self.0.variable.as_deref()
    }

    /// The key with its section: `AzureAd:ClientId`, `AzureAd:ClientCredentials:0:ClientSecret`.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// What is wrong and what belongs there, without the place.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// An error with nothing but its text; the other constructors add a place to it.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            file: None,
            line: None,
            column: None,
            variable: None,
            key: None,
            problem: problem.into(),
            source: None,
        }))
    }

    /// A file that cannot be read or is not JSON.
    pub(crate) fn in_file(file: &Path, at: Option<(u32, u32)>, problem: impl Into<String>) -> Self {
        Self::new(problem).with(|inner| {
            inner.file = Some(file.to_owned());
            inner.line = at.map(|(line, _)| line);
            inner.column = at.map(|(_, column)| column);
        })
    }

    /// A setting at `origin`.
    pub(crate) fn at(origin: &Origin, key: &str, problem: impl Into<String>) -> Self {
        Self::new(problem).with_key(key).with_origin(origin)
    }

    pub(crate) fn with_key(self, key: &str) -> Self {
        self.with(|inner| inner.key = Some(key.to_owned()))
    }

    pub(crate) fn with_origin(self, origin: &Origin) -> Self {
        self.with(|inner| match origin {
            Origin::File { path, line } => {
                inner.file = Some(path.to_path_buf());
                inner.line = Some(*line);
            }
            Origin::Variable { name } => inner.variable = Some(name.clone()),
        })
    }

    pub(crate) fn caused_by(self, source: apptoken::Error) -> Self {
        self.with(|inner| inner.source = Some(source))
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(&mut self.0);
        self
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, line, column, variable, key, problem, source: _ } = &*self.0;
        if let Some(variable) = variable {
            write!(f, "environment variable {variable}: ")?;
        } else if let Some(file) = file {
            write!(f, "{}", file.display())?;
            for part in [line, column].into_iter().flatten() {
                write!(f, ":{part}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(key) = key {
            write!(f, "{key} ")?;
        }
        f.write_str(problem)
    }
}

impl fmt::Debug for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigurationError({:?})", self.to_string())
    }
}

impl std::error::Error for ConfigurationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // the text of `source` is already in `problem`: only its causes are news
        self.0.source.as_ref().and_then(std::error::Error::source)
    }
}
