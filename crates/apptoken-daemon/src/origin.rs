//! Where a setting was written.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a setting was written: kept with each value, so that an error can say what to edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line, counted from 1, of a file.
    File { path: Arc<Path>, line: u32 },
    /// An environment variable, as spelt there.
    Variable { name: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable { name } => write!(f, "environment variable {name}"),
        }
    }
}
