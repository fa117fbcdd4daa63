use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::Error;
use crate::clock::Moment;
use crate::telemetry::TARGET;

/// What was read from files that may change: looked at again when they have, and kept when what they hold now is of no
/// use (half-written, gone).
pub(crate) struct Watched<T> {
    paths: Vec<PathBuf>,
    /// Between two looks at the files.
    every: Duration,
    held: ArcSwapOption<T>,
    /// Milliseconds; no look before then.
    next_look: AtomicU64,
    /// Whether the next look reads, whatever the marks say.
    suspect: AtomicBool,
    /// How often what was read differed from what was held.
    changes: AtomicU64,
    /// Held while the files are looked at, so that who comes meanwhile gets what they hold now.
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// Of the files that `held` came from; empty when they are to be read again whatever their marks.
    marks: Vec<Option<Mark>>,
    /// The complaint in the log that is not repeated.
    complaint: String,
}

/// By which a change shows without reading. A file that is replaced has another inode, as on Kubernetes.
#[derive(Clone, PartialEq, Eq)]
struct Mark {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl<T: PartialEq + Send + Sync + 'static> Watched<T> {
    pub(crate) fn new(paths: Vec<PathBuf>, every: Duration) -> Self {
        Self {
            paths,
            every,
            held: ArcSwapOption::empty(),
            next_look: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }

    /// As [`Self::new`], with a first reading of now.
    pub(crate) fn begun(
        paths: Vec<PathBuf>,
        every: Duration,
        now: Moment,
        read: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let mut watched = Self::new(paths, every);
        watched.next_look = AtomicU64::new((now + every).as_millis());
        let marks = watched.marks();
        watched.held = ArcSwapOption::from_pointee(read()?);
        watched.last.get_mut().marks = marks;
        Ok(watched)
    }

    /// What the files hold; what they held before if they hold nothing of use now.
    pub(crate) async fn current(
        &self,
        now: Moment,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<Arc<T>, Error> {
        let due = || now.as_millis() >= self.next_look.load(Ordering::Acquire);
        if let Some(held) = self.held.load_full()
            && !due()
        {
            return Ok(held);
        }
        let mut last = self.last.lock().await;
        // Race: who held the lock has looked since.
        if let Some(held) = self.held.load_full()
            && !due()
        {
            return Ok(held);
        }
        // before the content, so that a change in between shows as one next time
        let marks = self.marks();
        let outcome = match self.held.load_full() {
            Some(held) if marks == last.marks && !self.suspect.swap(false, Ordering::AcqRel) => Ok(held),
            held => {
                // until it has been read well it is read again each time
                last.marks.clear();
                self.keep(held, off_the_runtime(read).await, marks, &mut last)
            }
        };
        if outcome.is_ok() {
            self.next_look.store((now + self.every).as_millis(), Ordering::Release);
        }
        outcome
    }

    /// The next call of [`Self::current`] reads the files, whatever their marks say: what they held does not work.
    pub(crate) fn read_soon(&self) {
        self.suspect.store(true, Ordering::Release);
        self.next_look.store(0, Ordering::Release);
    }

    pub(crate) fn held(&self) -> Option<Arc<T>> {
        self.held.load_full()
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn keep(
        &self,
        held: Option<Arc<T>>,
        read: Result<T, Error>,
        marks: Vec<Option<Mark>>,
        last: &mut Last,
    ) -> Result<Arc<T>, Error> {
        match (held, read) {
            (held, Ok(read)) => {
                *last = Last { marks, complaint: String::new() };
                if let Some(held) = held {
                    if *held == read {
                        return Ok(held);
                    }
                    self.changes.fetch_add(1, Ordering::AcqRel);
                    tracing::info!(name: "apptoken.credential.read_again", target: TARGET, file = %self.paths[0].display(), "the credential's file has changed and was read again");
                }
                let read = Arc::new(read);
                self.held.store(Some(read.clone()));
                Ok(read)
            }
            (Some(held), Err(error)) => {
                let complaint = error.to_string();
                if complaint != last.complaint {
                    let file = self.paths[0].display();
                    tracing::warn!(name: "apptoken.credential.unusable", target: TARGET, %file, %error, "the credential's file has changed and is of no use: what it held before is used on");
                    last.complaint = complaint;
                }
                Ok(held)
            }
            (None, Err(error)) => Err(error),
        }
    }

    fn marks(&self) -> Vec<Option<Mark>> {
        self.paths.iter().map(|path| Mark::of(path)).collect()
    }
}

impl Mark {
    /// None for a file that is not there: as a mark it is as good as any.
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self { modified: file.modified().ok(), length: file.len(), inode: inode(&file) })
    }
}

#[cfg(unix)]
fn inode(file: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// Opening a PFX takes as long as its key derivation wants: not where other tasks wait.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|cause| {
            Err(Error::credential("the credential's file could not be read").with_source(cause))
        }),
        Err(_) => work(),
    }
}
