//! Reading and writing files, with errors that name them.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::exit::Failure;

/// Whether a file that exists may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// Writes a file that only its owner can read (0600 on Unix), whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8], existing: Existing) -> Result<(), Failure> {
    write(path, content, existing, true)
}

/// Writes a file that everyone may read, whole or not at all.
pub(crate) fn write_public(path: &Path, content: &[u8], existing: Existing) -> Result<(), Failure> {
    write(path, content, existing, false)
}

/// Reads a file of at most [`MOST`] bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let named = |error: std::io::Error| Failure::usage(format!("cannot read {}", path.display())).because(&error);
    let file = fs::File::open(path).map_err(named)?;
    // sized so that it does not grow and leave copies of a key behind; a pipe or a device tells no length
    let announced = file.metadata().map_err(named)?.len().min(MOST);
    let mut content = Vec::with_capacity(usize::try_from(announced).unwrap_or_default() + 1);
    file.take(MOST + 1).read_to_end(&mut content).map_err(named)?;
    if content.len() as u64 > MOST {
        return Err(Failure::usage(format!("{} is longer than {MOST} bytes", path.display())));
    }
    Ok(content)
}

/// Refuses early what a later [`write_private`] with [`Existing::Keep`] would refuse.
pub(crate) fn must_not_exist(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::usage(format!("{} exists already", path.display())).hint("--force replaces it"));
    }
    Ok(())
}

/// Refuses early what [`write_public`] would refuse when the work is done: a folder that is not there or not ours.
pub(crate) fn can_be_written(path: &Path) -> Result<(), Failure> {
    if is_stream(path) {
        return Ok(());
    }
    let named = |error: std::io::Error| Failure::usage(format!("cannot write {}", path.display())).because(&error);
    if path.is_dir() {
        return Err(named(std::io::ErrorKind::IsADirectory.into()));
    }
    let beside = beside(path);
    OpenOptions::new().write(true).create_new(true).open(&beside).and_then(|_| fs::remove_file(&beside)).map_err(named)
}

fn write(path: &Path, content: &[u8], existing: Existing, private: bool) -> Result<(), Failure> {
    if existing == Existing::Keep {
        must_not_exist(path)?;
    }
    let named = |error: std::io::Error| Failure::usage(format!("cannot write {}", path.display())).because(&error);
    // a rename would put a file in its place
    if is_stream(path) {
        return OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(content)).map_err(named);
    }
    let beside = beside(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o644 });
    #[cfg(not(unix))]
    let _ = private;
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    // a link fails when the name is taken, a rename replaces it
    let placed = written.and_then(|()| match existing {
        Existing::Keep => fs::hard_link(&beside, path).and_then(|()| fs::remove_file(&beside)),
        Existing::Replace => fs::rename(&beside, path),
    });
    placed.map_err(|error| {
        drop(fs::remove_file(&beside));
        named(error)
    })
}

/// A device, a pipe, or this process's open files by the names that systems give them, whatever they lead to.
fn is_stream(path: &Path) -> bool {
    let open = ["/dev/stdout", "/dev/stderr"].into_iter().any(|name| path == Path::new(name));
    open || path.starts_with("/dev/fd") || fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// A name that nobody else uses, in the same folder.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", Uuid::new_v4().simple()));
    path.with_file_name(name)
}

/// The longest file that is read.
const MOST: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_whole_private_and_never_over_another_unless_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_private(&path, b"one", Existing::Keep).unwrap();
        let refused = write_private(&path, b"two", Existing::Keep).unwrap_err();
        assert!(refused.line().ends_with("a.json exists already"), "{}", refused.line());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_private(&path, b"three", Existing::Replace).unwrap();
        assert_eq!(read(&path).unwrap(), b"three");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_neither_read_without_end_nor_replaced() {
        let endless = read(Path::new("/dev/zero")).unwrap_err();
        assert!(endless.line().ends_with("/dev/zero is longer than 16777216 bytes"), "{}", endless.line());
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("report.json");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        write_public(&link, b"{}", Existing::Replace).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && read(&link).unwrap().is_empty());
        for (path, stream) in [("/dev/stderr", true), ("/dev/fd/2", true), ("/dev", false), ("/dev/shm/report", false)]
        {
            assert_eq!(is_stream(Path::new(path)), stream, "{path}");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let nowhere = Path::new("/nowhere/at/all.json");
        assert!(read(nowhere).unwrap_err().line().starts_with("cannot read /nowhere/at/all.json: "));
        let said = write_public(nowhere, b"", Existing::Keep).unwrap_err();
        assert!(said.line().starts_with("cannot write /nowhere/at/all.json: "));
    }
}
