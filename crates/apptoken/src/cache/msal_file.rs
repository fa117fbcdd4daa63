use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::KeptToken;
use super::disk::{self, LockFile, Stamp};
use super::distributed::CacheError;
use super::msal_json::{Change, MsalProfile, Outline, Stopped, Wanted};

/// The token cache file that all MSALs share, in the clear: what MSAL Python, Node, Go, Java and .NET wrote is found,
/// what is written they find, and what is not ours (accounts, refresh tokens, members of the future) stays as it is.
///
/// Writers take turns by the lock file of MSAL's extensions; the file is replaced in one step, is its owner's alone
/// (0600), and is read again only when it has changed. A file that cannot be parsed is set aside under the name
/// `<file>.corrupt-<time>` and told in the log.
///
/// ```
/// use apptoken::cache::{MsalCacheFile, MsalProfile, TokenCache};
///
/// let file = MsalCacheFile::new("/var/lib/daemon/msal_cache.json").profile(MsalProfile::Python);
/// let cache = TokenCache::msal_file(file).build();
/// ```
pub struct MsalCacheFile {
    path: PathBuf,
    profile: MsalProfile,
    max_bytes: u64,
    loaded: Mutex<Loaded>,
}

/// The file as it was read last.
#[derive(Default)]
struct Loaded {
    stamp: Option<Stamp>,
    outline: Outline,
}

/// A file, or nothing in its place.
trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// [`Wanted`], owned: it goes to another thread.
#[derive(Clone, Debug)]
pub(super) struct MsalKey {
    pub(super) host: String,
    pub(super) aliases: Vec<String>,
    pub(super) client_id: String,
    pub(super) realm: String,
    pub(super) target: String,
    pub(super) components: super::msal_json::Components,
}

impl MsalCacheFile {
    /// The file at `path`, which is made when there is something to keep.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), profile: MsalProfile::All, max_bytes: MAX_BYTES, loaded: Mutex::default() }
    }

    /// In whose form tokens are written. Default: one that Python, Node and Go find.
    #[must_use]
    pub fn profile(mut self, profile: MsalProfile) -> Self {
        self.profile = profile;
        self
    }

    /// The longest file that is read or written. Default: 64 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something can be kept there: makes the file's folder if it is not there, and a file beside it that goes at
    /// once. Clients go on without a file that cannot be used, and only the log tells; a program may ask here, and tell
    /// its user.
    ///
    /// # Errors
    /// Why not: it is a folder, say, or its folder may not be written to.
    pub fn check(&self) -> io::Result<()> {
        let path = self.resolved();
        make_parent(&path)?;
        Stamp::of(&path)?;
        disk::try_beside(&path)
    }

    pub(super) fn read(&self, key: &MsalKey, now: SystemTime) -> Result<Option<KeptToken>, CacheError> {
        let path = self.resolved();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if Stamp::of(&path)? == loaded.stamp && !loaded.outline.may_have(&key.wanted()) {
            return Ok(None);
        }
        let Some((mut file, stamp)) = disk::open(&path, self.max_bytes)? else {
            *loaded = Loaded::default();
            return Ok(None);
        };
        // other MSALs write in place: what looks broken or is changing may be half-written, so it is looked at again
        // under the lock
        if stamp.length() > 0
            && loaded.follow(&file, stamp)?.is_ok()
            && let Ok(found) = loaded.outline.find(&key.wanted(), &mut file)
            && disk::is_unchanged(&file, stamp)?
        {
            return Ok(found);
        }
        let _lock = self.lock(&path, now)?;
        let file = self.load(&path, &mut loaded, now)?;
        Ok(file.map(|mut file| loaded.outline.find(&key.wanted(), &mut file)).transpose()?.flatten())
    }

    /// `wanted`, asked under the lock, says whether to do it after all.
    pub(super) fn put(
        &self,
        key: &MsalKey,
        token: &KeptToken,
        now: SystemTime,
        wanted: impl FnOnce() -> bool,
    ) -> Result<(), CacheError> {
        self.update(now, |outline, file| {
            if !wanted() {
                return Ok(Change::default());
            }
            Change::put(outline, &mut *file, &key.wanted(), token, self.profile)
        })
    }

    pub(super) fn remove(&self, key: &MsalKey, now: SystemTime) -> Result<(), CacheError> {
        self.update(now, |outline, file| Change::remove(outline, file, &key.wanted()))
    }

    /// Removes all app-only tokens of a client.
    pub(super) fn clear(&self, client_id: &str, now: SystemTime) -> Result<(), CacheError> {
        self.update(now, |outline, file| {
            Change::default().and_app_tokens(outline, file, |id, _| id.eq_ignore_ascii_case(client_id))
        })
    }

    /// Reads, changes and replaces the file, alone.
    fn update(
        &self,
        now: SystemTime,
        change: impl FnOnce(&Outline, &mut dyn Source) -> io::Result<Change>,
    ) -> Result<(), CacheError> {
        let path = self.resolved();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        make_parent(&path)?;
        let lock = self.lock(&path, now)?;
        // what is copied is what was looked at under the lock: a stamp may be the same by chance
        loaded.stamp = None;
        let (mut old, mut nothing) = (self.load(&path, &mut loaded, now)?, io::empty());
        let source: &mut dyn Source = match &mut old {
            Some(file) => file,
            None => &mut nothing,
        };
        let looked_at = loaded.stamp;
        let mut change = change(&loaded.outline, source)?;
        if change.is_nothing() {
            return Ok(());
        }
        let mut changed = change.of(&loaded.outline);
        if changed.length() > self.max_bytes {
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let is_over = |_: &str, expires_on: Option<u64>| expires_on.is_some_and(|end| end <= now);
            change = change.and_app_tokens(&loaded.outline, source, is_over)?;
            changed = change.of(&loaded.outline);
        }
        if changed.length() > self.max_bytes {
            return Err(format!("{} would be longer than {} bytes", path.display(), self.max_bytes).into());
        }
        disk::replace_with(&path, true, |new| {
            match &mut old {
                Some(file) => changed.write(file, new)?,
                None => changed.write(&mut io::empty(), new)?,
            }
            // parts of two files may be anything, and what was written meanwhile is not ours to lose
            if Stamp::of(&path)? != looked_at {
                let problem = format!("{} is being written by a program that takes no lock", path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, problem));
            }
            if cfg!(windows) {
                drop(old.take()); // an open file is not replaced everywhere
            }
            Ok(())
        })?;
        disk::sweep(&path, now);
        *loaded = Loaded::default();
        drop(lock);
        if let Some(old) = old {
            disk::close(old);
        }
        Ok(())
    }

    /// Opens the file under the lock and reads it if it has changed. One that cannot be parsed is set aside.
    fn load(&self, path: &Path, loaded: &mut Loaded, now: SystemTime) -> Result<Option<File>, CacheError> {
        let Some((file, stamp)) = disk::open(path, self.max_bytes)? else {
            *loaded = Loaded::default();
            return Ok(None);
        };
        let Err(place) = loaded.follow(&file, stamp)? else { return Ok(Some(file)) };
        let aside = aside(path, now);
        fs::rename(path, &aside)?;
        // nothing of the file is told but the place
        tracing::warn!(file = %path.display(), aside = %aside.display(), place, "a token cache that is not JSON was set aside");
        *loaded = Loaded::default();
        Ok(None)
    }

    fn lock(&self, path: &Path, now: SystemTime) -> io::Result<LockFile> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lockfile");
        let mut waited = Duration::ZERO;
        LockFile::wait(Path::new(&name), PATIENCE, || {
            waited += disk::LOOK_AGAIN;
            now + waited
        })
    }

    /// Where the file really is: a link stays a link.
    fn resolved(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => disk::make_folder(folder),
        None => Ok(()),
    }
}

impl Loaded {
    /// Reads an open file if it is another than the one that was read last. One that is not JSON is so from the place
    /// on that is returned.
    fn follow(&mut self, file: &File, stamp: Stamp) -> io::Result<Result<(), u64>> {
        if self.stamp == Some(stamp) {
            return Ok(Ok(()));
        }
        match Outline::read(file.take(stamp.length()), stamp.length()) {
            Ok(outline) => {
                *self = Self { stamp: Some(stamp), outline };
                Ok(Ok(()))
            }
            Err(Stopped::Broken(place)) => Ok(Err(place)),
            Err(Stopped::Failed(error)) => Err(error),
        }
    }
}

impl MsalKey {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            host: &self.host,
            aliases: &self.aliases,
            client_id: &self.client_id,
            realm: &self.realm,
            target: &self.target,
            components: &self.components,
        }
    }
}

impl fmt::Debug for MsalCacheFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MsalCacheFile")
            .field("path", &self.path)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

fn aside(path: &Path, now: SystemTime) -> PathBuf {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".corrupt-{millis}"));
    name.into()
}

const MAX_BYTES: u64 = 64 << 20;
/// As long as MSAL Python waits, and a little longer than it takes to see that a lock was left behind.
const PATIENCE: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::cache::msal_json::Components;
    use crate::clock::{Clock as _, SystemClock};

    /// Who writes in place and takes no lock can do so while the file is copied.
    #[test]
    fn a_file_that_another_changes_meanwhile_is_left_as_it_is() {
        let now = SystemClock.system_time();
        let token = KeptToken {
            secret: Zeroizing::new("SECRET".into()),
            expires_on: 4_000_000_000,
            refresh_on: None,
            cached_at: None,
            correlation_id: None,
        };
        let key = MsalKey {
            host: "login.microsoftonline.com".into(),
            aliases: Vec::new(),
            client_id: "client".into(),
            realm: "tenant".into(),
            target: "api://a/.default".into(),
            components: Components::default(),
        };
        let theirs = format!(r#"{{"RefreshToken":{{"x":{{"secret":"{}"}}}}}}"#, "R".repeat(1000));
        for before in [Some(r#"{"AccessToken":{"a":{},"b":{}},"Account":{}}"#), Some(&theirs[..]), None] {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("cache.json");
            let file = MsalCacheFile::new(&path);
            if let Some(text) = before {
                fs::write(&path, text).unwrap();
            }
            let longer = format!("{}{}", " ".repeat(500), theirs);
            let put = file.put(&key, &token, now, || fs::write(&path, &longer).is_ok());
            assert!(put.unwrap_err().to_string().contains("takes no lock"));
            assert_eq!(fs::read_to_string(&path).unwrap(), longer, "{before:?}");
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left behind");
            file.put(&key, &token, now, || true).unwrap();
            assert!(fs::read_to_string(&path).unwrap().contains(&theirs[1..theirs.len() - 1]));
            assert!(file.read(&key, now).unwrap().is_some());
        }
    }
}
