//! Why a data folder cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why a data folder cannot be used; the folder is as it was.
#[derive(Debug, thiserror::Error)]
#[error("the data folder {path} cannot be used: {why}")]
pub struct DataFolderError {
    path: String,
    #[source]
    why: Why,
}

impl DataFolderError {
    pub(super) fn new(path: &Path, why: impl Into<Why>) -> Self {
        Self { path: path.display().to_string(), why: why.into() }
    }

    /// Another process has it.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self.why, Why::InUse)
    }

    /// A newer version of this program wrote it.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        matches!(self.why, Why::Newer { .. })
    }

    /// What stands in it cannot be read.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self.why, Why::Damaged(_) | Why::NotOurs(_))
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error("another process is using it; end that one, or name another folder")]
    InUse,
    #[error(
        "it was written by a newer version of this program (format {found}, and this one knows {known}); use that version, \
         or name another folder"
    )]
    Newer { found: i64, known: i64 },
    #[error("other users may write to it; take that from them (chmod go-w), or name another folder")]
    OpenToOthers,
    #[error("{} is not a database of this program; name another folder", .0.display())]
    NotOurs(PathBuf),
    #[error("its database is damaged ({0}); put a copy in its place, or begin with another folder")]
    Damaged(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its database answers: {0}")]
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Why {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Database(error),
        }
    }
}
