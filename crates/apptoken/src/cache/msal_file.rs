use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::KeptToken;
use super::disk::{self, LockFile, Stamp};
use super::distributed::CacheError;
use super::msal_json::{Document, MsalProfile, Wanted};

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
    document: Document,
}

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

    pub(super) fn read(&self, key: &MsalKey, now: SystemTime) -> Result<Option<KeptToken>, CacheError> {
        let path = self.resolved();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&path)?;
        if stamp != loaded.stamp {
            // other MSALs write in place: what looks broken may be half-written, so it is looked at again under the lock
            let content = disk::read(&path, self.max_bytes)?.unwrap_or_default();
            match Document::parse(&content) {
                Ok(document) if !content.is_empty() || stamp.is_none() => *loaded = Loaded { stamp, document },
                _ => {
                    let _lock = self.lock(&path, now)?;
                    self.load(&path, &mut loaded, now)?;
                }
            }
        }
        Ok(loaded.document.find(&key.wanted()))
    }

    /// `wanted`, asked under the lock, says whether to do it after all.
    pub(super) fn put(
        &self,
        key: &MsalKey,
        token: &KeptToken,
        now: SystemTime,
        wanted: impl FnOnce() -> bool,
    ) -> Result<(), CacheError> {
        self.update(now, |document| {
            let wanted = wanted();
            if wanted {
                document.put(&key.wanted(), token, self.profile);
            }
            wanted
        })
    }

    pub(super) fn remove(&self, key: &MsalKey, now: SystemTime) -> Result<(), CacheError> {
        self.update(now, |document| document.remove(&key.wanted()))
    }

    /// Removes all app-only tokens of a client.
    pub(super) fn clear(&self, client_id: &str, now: SystemTime) -> Result<(), CacheError> {
        self.update(now, |document| document.remove_app_tokens(|id, _| id.eq_ignore_ascii_case(client_id)) > 0)
    }

    /// Reads, changes and replaces the file, alone. `change` says whether there is anything to write.
    fn update(&self, now: SystemTime, change: impl FnOnce(&mut Document) -> bool) -> Result<(), CacheError> {
        let path = self.resolved();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            disk::make_folder(folder)?;
        }
        let _lock = self.lock(&path, now)?;
        if Stamp::of(&path)? != loaded.stamp {
            self.load(&path, &mut loaded, now)?;
        }
        // whatever comes of it, what is in memory is no longer what was read
        loaded.stamp = None;
        if !change(&mut loaded.document) {
            loaded.stamp = Stamp::of(&path)?;
            return Ok(());
        }
        let mut text = loaded.document.to_text()?;
        if text.len() as u64 > self.max_bytes {
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            loaded.document.remove_app_tokens(|_, expires_on| expires_on.is_some_and(|end| end <= now));
            text = loaded.document.to_text()?;
        }
        if text.len() as u64 > self.max_bytes {
            return Err(format!("{} would be longer than {} bytes", path.display(), self.max_bytes).into());
        }
        disk::replace(&path, &[&text], true)?;
        disk::sweep(&path, now);
        loaded.stamp = Stamp::of(&path)?;
        Ok(())
    }

    /// Reads the file under the lock. One that cannot be parsed is set aside.
    fn load(&self, path: &Path, loaded: &mut Loaded, now: SystemTime) -> Result<(), CacheError> {
        let stamp = Stamp::of(path)?;
        let content = disk::read(path, self.max_bytes)?.unwrap_or_default();
        *loaded = match Document::parse(&content) {
            Ok(document) => Loaded { stamp, document },
            Err(error) => {
                let aside = aside(path, now);
                fs::rename(path, &aside)?;
                // the error quotes nothing of the file but the place
                let (line, column) = (error.line(), error.column());
                tracing::warn!(file = %path.display(), aside = %aside.display(), line, column, "a token cache that is not JSON was set aside");
                Loaded::default()
            }
        };
        Ok(())
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
