use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::disk::{self, LockFile};
use super::distributed::{CacheError, DistributedCache, Lease, Stored};
use super::seal;
use crate::clock::{Clock, SystemClock};

/// Our own cache on disk: a folder with a file for each token, which all programs of a user may share. One-shot programs
/// that want the same token ask the authority once.
///
/// The folder is its owner's alone (0700, files 0600). Values come encrypted, as
/// [`TokenCache::encrypted_folder`](super::TokenCache::encrypted_folder) puts them; what a file gives away is which app
/// asked for which scope, and until when. A file is replaced in one step, so that a program that is killed leaves the old
/// one or the new one; one that is damaged all the same is as good as none.
pub struct CacheFolder(Arc<Inner>);

struct Inner {
    path: PathBuf,
    most: usize,
    clock: Arc<dyn Clock>,
    /// The highest fence that this process has given.
    last_fence: AtomicU64,
    /// The leases that this process holds.
    leases: Mutex<HashMap<String, (Lease, LockFile)>>,
}

/// One file of a [`CacheFolder`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderEntry {
    /// The key that it is kept under.
    pub key: String,
    /// The app's client id, as all that follows empty if it was not said.
    pub client_id: String,
    /// The tenant, as it was named.
    pub tenant: String,
    /// The scope.
    pub scope: String,
    /// The authority's address, with the tenant in it where it has tenants: `https://login.microsoftonline.com/contoso.com`;
    /// `managed identity Imds` and the like of a platform's.
    pub authority: String,
    /// When it expires.
    pub expires_on: SystemTime,
    /// The file's length in bytes.
    pub size: u64,
}

impl CacheFolder {
    /// The folder at `path`, which is made when there is something to keep.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_clock(path, Arc::new(SystemClock))
    }

    /// The same on a clock of its own.
    pub fn with_clock(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            most: MOST_FILES,
            clock,
            last_fence: AtomicU64::new(0),
            leases: Mutex::default(),
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether something can be kept there: makes the folder if it is not there, and a file in it that goes at once.
    /// Clients go on without a folder that cannot be used, and only the log tells; a program may ask here, and tell its user.
    ///
    /// # Errors
    /// Why not: it is no folder, say, or may not be written to.
    pub fn check(&self) -> io::Result<()> {
        disk::make_folder(self.path())?;
        disk::try_beside(&self.path().join("check"))
    }

    /// What is in it, expired tokens too, by scope and tenant.
    ///
    /// # Errors
    /// The folder cannot be read; one that is not there is empty.
    pub fn entries(&self) -> io::Result<Vec<FolderEntry>> {
        let mut entries = Vec::new();
        for path in self.0.files()? {
            let (Some(key), Ok(Some(content))) = (key_of(&path), disk::read(&path, MOST_BYTES)) else { continue };
            let Some((header, value)) = Header::split(&content) else { continue };
            let mut said = seal::label(value).unwrap_or_default().split('\t').map(str::to_owned);
            let mut next = || said.next().unwrap_or_default();
            entries.push(FolderEntry {
                key,
                client_id: next(),
                tenant: next(),
                scope: next(),
                authority: next(),
                expires_on: UNIX_EPOCH + Duration::from_millis(header.expires),
                size: content.len() as u64,
            });
        }
        let order = |entry: &FolderEntry| (entry.scope.clone(), entry.tenant.clone(), entry.expires_on);
        entries.sort_by_key(order);
        Ok(entries)
    }

    /// Removes all that is in it, and says how many tokens there were.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn clear(&self) -> io::Result<usize> {
        let mut removed = 0;
        for path in self.0.files()? {
            removed += usize::from(disk::remove(&path)?);
        }
        Ok(removed)
    }
}

impl Inner {
    fn file(&self, key: &str) -> Result<PathBuf, CacheError> {
        // a key becomes part of a path
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(format!("{key:?} cannot be a file's name").into());
        }
        Ok(self.path.join(format!("{key}{TOKEN}")))
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|path| key_of(path).is_some()).collect())
    }

    fn now(&self) -> u64 {
        let now = self.clock.system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self, key: &str, what: &str) -> PathBuf {
        self.path.join(format!(".{key}.{what}"))
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let Some(content) = disk::read(&self.file(key)?, MOST_BYTES)? else { return Ok(None) };
        let alive = Header::split(&content).filter(|(header, _)| self.now() < header.expires);
        Ok(alive.map(|(_, value)| value.to_vec()))
    }

    fn header(&self, key: &str) -> Result<Option<Header>, CacheError> {
        let content = disk::read(&self.file(key)?, MOST_BYTES)?;
        Ok(content.and_then(|content| Header::split(&content).map(|(header, _)| header)))
    }

    fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Result<Stored, CacheError> {
        let file = self.file(key)?;
        if value.len() as u64 + HEADER as u64 > MOST_BYTES {
            return Err(format!("a value of {} bytes", value.len()).into());
        }
        disk::make_folder(&self.path)?;
        let _writing = LockFile::wait(&self.lock(key, "write"), WRITE_PATIENCE, || self.clock.system_time())?;
        let before = self.header(key)?.map_or(0, |header| header.fence);
        let fence = match fence {
            Some(fence) if fence <= before || !self.holds(key, fence) => return Ok(Stored::Outdated),
            Some(fence) => fence,
            None => {
                // whoever has the lease has it no more; Windows keeps a file that is open, and the fence is higher anyway
                drop(disk::remove(&self.lock(key, "lease")));
                self.next_fence(before)
            }
        };
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let header = Header { fence, expires: self.now().saturating_add(ttl) };
        self.make_room()?;
        // a token that a power failure takes is asked for again
        disk::replace(&file, &[&header.bytes(), value], false)?;
        disk::sweep(&file, self.clock.system_time());
        Ok(Stored::Stored)
    }

    /// Higher than any given before, also by a lease that left no trace: the time counts on, in nanoseconds.
    fn next_fence(&self, written: u64) -> u64 {
        let now = self.clock.system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let least = now.max(written.saturating_add(1));
        let before = self.last_fence.fetch_max(least, Ordering::SeqCst);
        if before < least { least } else { self.last_fence.fetch_add(1, Ordering::SeqCst) + 1 }
    }

    /// Whether the lease with this fence is still in force: neither given back nor, after its end, taken by another.
    fn holds(&self, key: &str, fence: u64) -> bool {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(key).is_some_and(|(lease, lock)| lease.fence == fence && lock.is_held())
    }

    /// When there are many files, the expired ones go; when that is not enough, those that expire first.
    fn make_room(&self) -> Result<(), CacheError> {
        let files = self.files()?;
        if files.len() < self.most {
            return Ok(());
        }
        let mut ages = Vec::with_capacity(files.len());
        for path in files {
            let content = disk::read(&path, MOST_BYTES).ok().flatten();
            let header = content.and_then(|content| Header::split(&content).map(|(header, _)| header));
            ages.push((header.map_or(0, |header| header.expires), path));
        }
        ages.sort();
        let now = self.now();
        let expired = ages.iter().take_while(|(expires, _)| *expires <= now).count();
        for (_, path) in ages.iter().take(expired.max(self.most / 16 + 1)) {
            disk::remove(path)?;
        }
        Ok(())
    }

    fn try_lease(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, CacheError> {
        self.file(key)?;
        disk::make_folder(&self.path)?;
        let (path, now) = (self.lock(key, "lease"), self.clock.system_time());
        let lock = match LockFile::attempt(&path, now)? {
            Some(lock) => Some(lock),
            None => match LockFile::attempt(&self.lock(key, "write"), now)? {
                Some(_alone) => LockFile::take(&path, now)?,
                None => None,
            },
        };
        let Some(lock) = lock else { return Ok(None) };
        let written = self.header(key)?.map_or(0, |header| header.fence);
        let lease = Lease::new(self.next_fence(written));
        lock.ends(now + ttl.min(LONGEST_LEASE))?;
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), (lease, lock));
        Ok(Some(lease))
    }

    fn release(&self, key: &str, lease: Lease) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.get(key).is_some_and(|(held, _)| *held == lease) {
            leases.remove(key);
        }
    }
}

/// A lease is a lock of the operating system, which ends with its holder's process if not before.
impl DistributedCache for CacheFolder {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        let (inner, key) = (self.0.clone(), key.to_owned());
        disk::off_thread(move || inner.get(&key)).await
    }

    async fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Result<Stored, CacheError> {
        let (inner, key, value) = (self.0.clone(), key.to_owned(), value.to_vec());
        disk::off_thread(move || inner.set(&key, &value, ttl, fence)).await
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        let (inner, key) = (self.0.clone(), key.to_owned());
        disk::off_thread(move || Ok(disk::remove(&inner.file(&key)?).map(drop)?)).await
    }

    async fn try_lease(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, CacheError> {
        let (inner, key) = (self.0.clone(), key.to_owned());
        disk::off_thread(move || inner.try_lease(&key, ttl)).await
    }

    async fn release(&self, key: &str, lease: Lease) -> Result<(), CacheError> {
        self.0.release(key, lease);
        Ok(())
    }
}

impl fmt::Debug for CacheFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheFolder").field(&self.0.path).finish()
    }
}

/// What stands before the value in a file: magic, fence, and the end in milliseconds since 1970.
#[derive(Clone, Copy)]
struct Header {
    fence: u64,
    expires: u64,
}

impl Header {
    fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.fence.to_be_bytes());
        bytes[16..].copy_from_slice(&self.expires.to_be_bytes());
        bytes
    }

    fn split(content: &[u8]) -> Option<(Self, &[u8])> {
        let rest = content.strip_prefix(MAGIC)?;
        let (fence, rest) = rest.split_first_chunk()?;
        let (expires, value) = rest.split_first_chunk()?;
        Some((Self { fence: u64::from_be_bytes(*fence), expires: u64::from_be_bytes(*expires) }, value))
    }
}

fn key_of(path: &Path) -> Option<String> {
    let key = path.file_name()?.to_str()?.strip_suffix(TOKEN)?;
    (!key.starts_with('.')).then(|| key.to_owned())
}

const TOKEN: &str = ".token";
const MAGIC: &[u8; 8] = b"apptkn\x00\x01";
const HEADER: usize = 24;
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 1 << 20;
/// Who asks for longer means: for as long as it takes.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);
/// Writing a file takes far less.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn folder(most: usize) -> (tempfile::TempDir, Arc<ManualClock>, CacheFolder) {
        let place = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let mut cache = CacheFolder::with_clock(place.path().join("tokens"), clock.clone());
        Arc::get_mut(&mut cache.0).unwrap().most = most;
        (place, clock, cache)
    }

    #[tokio::test]
    async fn the_bound_holds_and_the_expired_go_first() {
        let (_place, clock, cache) = folder(4);
        for (key, minutes) in [("a", 1), ("b", 30), ("c", 1), ("d", 60)] {
            cache.set(key, b"v", Duration::from_secs(60 * minutes), None).await.unwrap();
        }
        clock.advance(Duration::from_secs(61));
        cache.set("e", b"v", Duration::from_secs(60), None).await.unwrap();
        let keys = |cache: &CacheFolder| {
            let mut keys = cache.entries().unwrap().into_iter().map(|entry| entry.key).collect::<Vec<_>>();
            keys.sort();
            keys
        };
        assert_eq!(keys(&cache), ["b", "d", "e"]);
        for key in ["f", "g"] {
            cache.set(key, b"v", Duration::from_secs(6000), None).await.unwrap();
        }
        assert_eq!(keys(&cache), ["b", "d", "f", "g"], "then the one that expires first");
        assert_eq!(cache.clear().unwrap(), 4);
        assert!(cache.entries().unwrap().is_empty());
    }

    #[test]
    fn whether_it_can_be_used_is_told_and_leaves_no_trace() {
        let place = tempfile::tempdir().unwrap();
        let (good, file) = (place.path().join("a/b"), place.path().join("file"));
        CacheFolder::new(&good).check().unwrap();
        assert_eq!(fs::read_dir(&good).unwrap().count(), 0);
        fs::write(&file, "").unwrap();
        for bad in [file.clone(), file.join("below")] {
            CacheFolder::new(&bad).check().unwrap_err();
        }
    }

    #[tokio::test]
    async fn it_is_a_distributed_cache() {
        let place = tempfile::tempdir().unwrap();
        let cache = CacheFolder::new(place.path());
        crate::cache::distributed::conformance::check(&cache).await;
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "and cleans up");
    }

    /// The fence is compared with what is there under the lock that the file is replaced under.
    #[tokio::test]
    async fn a_value_waits_for_another_process_that_is_writing_and_gives_way_to_it() {
        let (_place, clock, cache) = folder(4);
        let minute = Duration::from_secs(60);
        let lease = cache.try_lease("a", minute).await.unwrap().unwrap();
        let file = cache.path().join("a.token");
        let newer = Header { fence: lease.fence + 1, expires: u64::MAX };
        for (fence, there, outcome) in
            [(Some(lease.fence), Some(newer), Stored::Outdated), (None, None, Stored::Stored)]
        {
            let writing = LockFile::attempt(&cache.0.lock("a", "write"), clock.system_time()).unwrap().unwrap();
            let before = disk::read(&file, MOST_BYTES).unwrap();
            let set = tokio::spawn({
                let cache = CacheFolder(cache.0.clone());
                async move { cache.set("a", b"ours", minute, fence).await.unwrap() }
            });
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(!set.is_finished() && disk::read(&file, MOST_BYTES).unwrap() == before);
            if let Some(header) = there {
                disk::replace(&file, &[&header.bytes(), b"theirs"], false).unwrap();
            }
            drop(writing);
            assert_eq!(set.await.unwrap(), outcome);
        }
    }

    /// Each has a fence above that of the value it replaces: none is written over another that came in between.
    #[test]
    fn writers_of_one_value_take_turns() {
        let (place, clock, cache) = folder(4);
        let minute = Duration::from_secs(60);
        cache.0.set("a", b"v", minute, None).unwrap();
        let fence = || cache.0.header("a").unwrap().unwrap().fence;
        let first = fence();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let another = CacheFolder::with_clock(place.path().join("tokens"), clock.clone());
                let put = move |_| assert_eq!(another.0.set("a", b"v", minute, None).unwrap(), Stored::Stored);
                scope.spawn(move || (0..50).for_each(put));
            }
        });
        assert_eq!(fence() - first, 200);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_look() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_place, _clock, cache) = folder(4);
        cache.set("a", b"v", Duration::from_secs(60), None).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(cache.path()), mode(&cache.path().join("a.token"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1, "no lock stays behind");
    }

    #[tokio::test]
    async fn damage_and_strange_names_cost_themselves_only() {
        let (_place, _clock, cache) = folder(4);
        cache.set("a", b"v", Duration::from_secs(60), None).await.unwrap();
        fs::write(cache.path().join("b.token"), "not ours").unwrap();
        fs::write(cache.path().join("notes.txt"), "not ours").unwrap();
        assert_eq!(cache.get("b").await.unwrap(), None);
        assert_eq!(cache.entries().unwrap().len(), 1);
        assert!(cache.get("../a").await.is_err());
        assert!(cache.set("", b"v", Duration::from_secs(60), None).await.is_err());
        cache.set("b", b"w", Duration::from_secs(60), None).await.unwrap();
        assert_eq!(cache.get("b").await.unwrap().as_deref(), Some(&b"w"[..]));
    }
}
