//! Files that several programs read and write: private, replaced whole, under a lock.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::distributed::CacheError;

/// What tells whether a file has changed since it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    /// `None` for a file that is not there.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Self::new(&metadata).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new(metadata: &fs::Metadata) -> io::Result<Self> {
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(metadata),
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

/// A file that is there to be read, of at most `most` bytes, and its stamp; `None` when it is not there.
pub(super) fn open(path: &Path, most: u64) -> io::Result<Option<(File, Stamp)>> {
    // a pipe would not even open
    if Stamp::of(path)?.is_none() {
        return Ok(None);
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let stamp = Stamp::new(&file.metadata()?)?;
    if stamp.length > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {most} bytes")));
    }
    Ok(Some((file, stamp)))
}

/// Whether an open file is still as its `stamp` says.
pub(super) fn is_unchanged(file: &File, stamp: Stamp) -> io::Result<bool> {
    Ok(Stamp::new(&file.metadata()?)? == stamp)
}

/// The content of a file of at most `most` bytes; `None` when it is not there.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some((file, stamp)) = open(path, most)? else { return Ok(None) };
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(stamp.length).unwrap_or_default() + 1));
    file.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {most} bytes")));
    }
    Ok(Some(content))
}

/// Puts a file of `parts` in the place of what is there, as [`replace_with`] does.
pub(super) fn replace(path: &Path, parts: &[&[u8]], durable: bool) -> io::Result<()> {
    replace_with(path, durable, |file| parts.iter().try_for_each(|part| file.write_all(part)))
}

/// Puts a file that `write` fills in the place of what is there, in one step: who reads it sees the old one or the new
/// one. `durable`: also after a power failure.
pub(super) fn replace_with(
    path: &Path,
    durable: bool,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let beside = beside(path);
    let written = private().write(true).create_new(true).open(&beside).and_then(|mut file| {
        write(&mut file)?;
        if durable { file.sync_all() } else { Ok(()) }
    });
    let replaced = written.and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        drop(fs::remove_file(&beside));
    }
    replaced?;
    #[cfg(unix)]
    if durable && let Some(folder) = path.parent() {
        // some file systems know no such thing
        drop(File::open(folder).and_then(|folder| folder.sync_all()));
    }
    Ok(())
}

/// Closes a file that has been replaced. The kernel then frees what it held; for a long one nobody waits for that.
pub(super) fn close(file: File) {
    if file.metadata().is_ok_and(|metadata| metadata.len() > LONG) {
        drop(std::thread::Builder::new().spawn(move || drop(file)));
    }
}

/// Removes what writers left beside `path` that were killed a while ago.
pub(super) fn sweep(path: &Path, now: SystemTime) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let begins = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let left = entry.file_name().to_string_lossy().into_owned();
        let old =
            || entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|then| then + LEFT_BEHIND < now);
        if left.starts_with(&begins) && left.ends_with(TEMPORARY) && old() {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Does what waits for the disk where waiting stops nobody: off the runtime's thread, if there is a runtime.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

/// Makes a folder that only its owner can enter, if it is not there.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Whether a file could be put in the place of `path`: one beside it is made, and removed at once.
pub(super) fn try_beside(path: &Path) -> io::Result<()> {
    let beside = beside(path);
    private().write(true).create_new(true).open(&beside)?;
    fs::remove_file(&beside)
}

/// Removes a file that may not be there, and says whether it was.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A lock that ends with the process that holds it: a file that exists and is locked by the operating system, removed
/// when the lock is given back.
///
/// It is the protocol of MSAL's extensions: Node's take the lock by creating the file and by nothing else, Python's also
/// lock it, and after five seconds take over one that was left behind.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    file: Option<File>,
}

/// Why a lock was not to be had at once.
enum Refused {
    Held,
    Failed(io::Error),
}

impl LockFile {
    /// Waits for the lock at most about `patience`.
    pub(super) fn wait(path: &Path, patience: Duration, mut now: impl FnMut() -> SystemTime) -> io::Result<Self> {
        let tries = patience.as_millis() / LOOK_AGAIN.as_millis();
        for _ in 0..tries {
            if let Some(lock) = Self::attempt(path, now())? {
                return Ok(lock);
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Self::attempt(path, now())?.ok_or_else(|| {
            io::Error::new(io::ErrorKind::WouldBlock, format!("{} is held by another process", path.display()))
        })
    }

    /// The lock, or `None` while another has it.
    pub(super) fn attempt(path: &Path, now: SystemTime) -> io::Result<Option<Self>> {
        match Self::create(path).or_else(|refused| match refused {
            Refused::Held => Self::take_over(path, now),
            Refused::Failed(error) => Err(Refused::Failed(error)),
        }) {
            Ok(lock) => Ok(Some(lock)),
            Err(Refused::Held) => Ok(None),
            Err(Refused::Failed(error)) => Err(error),
        }
    }

    /// From `until` on, others may [`take`](Self::take) it, whether its holder lives or not.
    pub(super) fn ends(&self, until: SystemTime) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.set_modified(until))
    }

    /// The lock, also from a holder whose time is over. One process at a time may do this for one path.
    pub(super) fn take(path: &Path, now: SystemTime) -> io::Result<Option<Self>> {
        if let Some(lock) = Self::attempt(path, now)? {
            return Ok(Some(lock));
        }
        // its end is set a moment after it is made
        let over = fs::metadata(path).and_then(|there| there.modified()).is_ok_and(|until| until + MOMENT < now);
        if over {
            remove(path)?;
            return Self::attempt(path, now);
        }
        Ok(None)
    }

    fn create(path: &Path) -> Result<Self, Refused> {
        let file =
            private().read(true).write(true).create_new(true).open(path).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Refused::Held,
                // Windows, while the last holder's file is going
                io::ErrorKind::PermissionDenied if cfg!(windows) => Refused::Held,
                _ => Refused::Failed(error),
            })?;
        Self::lock(path, file)
    }

    /// A file that is there but not locked was left behind by a process that died, or is MSAL Node's. Which one it is, its
    /// age tells; and its content if we wrote it, because we do so after locking it.
    fn take_over(path: &Path, now: SystemTime) -> Result<Self, Refused> {
        // a link would have us write into what it leads to, a pipe have us wait
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            let problem = format!("{} is not a regular file", path.display());
            return Err(Refused::Failed(io::Error::new(io::ErrorKind::InvalidInput, problem)));
        }
        let file = private().read(true).write(true).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Refused::Held, // given back just now
            io::ErrorKind::PermissionDenied if cfg!(windows) => Refused::Held,
            _ => Refused::Failed(error),
        })?;
        let mut holder = Vec::new();
        let read = (&file).take(256).read_to_end(&mut holder);
        let ours = read.is_ok() && holder.ends_with(OURS.as_bytes());
        let age = file.metadata().and_then(|metadata| metadata.modified()).ok();
        let old = age.is_some_and(|then| then + ABANDONED < now);
        if ours || old { Self::lock(path, file) } else { Err(Refused::Held) }
    }

    fn lock(path: &Path, file: File) -> Result<Self, Refused> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refused::Held),
            // a file system without locks: the file's existence is the lock, as for MSAL Node
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(Refused::Failed(error)),
        }
        // Race: its holder may have given it back, and removed it, between our opening and locking it. Nor is it ours if it
        // has another name, or has become a link.
        if !same_file(path, &file) {
            return Err(Refused::Held);
        }
        let say = |mut file: &File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(format!("{}{OURS}", std::process::id()).as_bytes())
        };
        say(&file).map_err(Refused::Failed)?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    /// Whether nobody has [taken](Self::take) it.
    pub(super) fn is_held(&self) -> bool {
        self.file.as_ref().is_some_and(|file| same_file(&self.path, file))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // removed before it is unlocked, so that nobody locks a file that is going; not when it was taken from us
        if self.is_held() {
            drop(fs::remove_file(&self.path));
        }
        drop(self.file.take());
    }
}

#[cfg(unix)]
fn same_file(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (fs::symlink_metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()) && here.nlink() <= 1,
        _ => false,
    }
}

/// Elsewhere an open file's name is not given to another.
#[cfg(not(unix))]
fn same_file(path: &Path, _file: &File) -> bool {
    path.exists()
}

fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}{TEMPORARY}", Uuid::new_v4().simple()));
    path.with_file_name(name)
}

const TEMPORARY: &str = ".tmp";
const OURS: &str = " apptoken";
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// MSAL Python's figure: a lock file that nobody locks and that is older was left behind.
const ABANDONED: Duration = Duration::from_secs(5);
/// A thread takes less time than freeing so many bytes.
const LONG: u64 = 1 << 20;
const MOMENT: Duration = Duration::from_secs(1);
const LEFT_BEHIND: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn one_holder_at_a_time_and_the_file_goes_with_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.lockfile");
        let now = SystemClock.system_time();
        let lock = LockFile::attempt(&path, now).unwrap().unwrap();
        assert!(LockFile::attempt(&path, now).unwrap().is_none());
        let late = now + Duration::from_secs(60);
        assert!(LockFile::attempt(&path, late).unwrap().is_none(), "a long work is no reason to take it");
        drop(lock);
        assert!(!path.exists());
        LockFile::attempt(&path, now).unwrap().unwrap();
    }

    #[test]
    fn a_lock_that_was_left_behind_is_taken_over_when_it_surely_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.lockfile");
        let now = SystemClock.system_time();
        // MSAL Node's: alive for all that can be seen
        fs::write(&path, "4711").unwrap();
        assert!(LockFile::attempt(&path, now).unwrap().is_none());
        drop(LockFile::attempt(&path, now + Duration::from_secs(6)).unwrap().unwrap());
        // ours, whose process would hold it locked if it lived
        fs::write(&path, "4711 apptoken").unwrap();
        drop(LockFile::attempt(&path, now).unwrap().unwrap());
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_leads_elsewhere_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, path) = (folder.path().join("victim"), folder.path().join("cache.lockfile"));
        let later = SystemClock.system_time() + Duration::from_secs(60);
        fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(LockFile::attempt(&path, later).unwrap_err().to_string().contains("not a regular file"));
        fs::remove_file(&path).unwrap();
        fs::hard_link(&victim, &path).unwrap();
        assert!(LockFile::attempt(&path, later).unwrap().is_none());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
        assert!(LockFile::attempt(&path, later).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!folder.path().join("nowhere").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_a_files_place_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(read(&path, 10).is_err());
        assert!(LockFile::attempt(&path, SystemClock.system_time()).is_err());
    }

    #[test]
    fn what_killed_writers_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        replace(&path, &[b"{", b"}"], true).unwrap();
        fs::write(beside(&path), "half").unwrap();
        fs::write(folder.path().join(".other.json.1.tmp"), "another's").unwrap();
        let now = SystemClock.system_time();
        sweep(&path, now);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "it may be at work");
        sweep(&path, now + Duration::from_secs(61));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(**read(&path, 2).unwrap().unwrap(), *b"{}");
        assert!(read(&path, 1).is_err());
    }
}
