//! The folder itself: who may read it, and that one process has it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::error::Why;

/// A folder that this process has for itself. What is in it can be read by its owner only.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked while this lives; the system lets go of it however the process ends.
    _lock: File,
}

impl Folder {
    /// Takes the folder, made if it is not there (0700).
    pub(super) fn take(path: &Path) -> Result<Self, Why> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        refuse_strangers(path)?;
        let lock = private(&path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Why::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The path of a file in it, which is there and can be read by its owner only.
    pub(super) fn file(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        private(&path)?;
        Ok(path)
    }
}

/// Opens a file for its owner only (0600), also one that somebody copied here with other rights.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// A folder that others may write to is one where they can put another database.
#[cfg(unix)]
fn refuse_strangers(path: &Path) -> Result<(), Why> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path)?.permissions());
    if mode & 0o022 != 0 { Err(Why::OpenToOthers) } else { Ok(()) }
}

#[cfg(not(unix))]
fn refuse_strangers(path: &Path) -> Result<(), Why> {
    fs::metadata(path)?;
    Ok(())
}
