//! What outlives the process: a data folder with an SQLite file, behind a thread of its own. Readers never come here:
//! the directory is a snapshot in memory, and this is where its changes go, in their order. Sign-ins are read off their
//! log, behind the requests' backs.

mod database;
mod error;
mod folder;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use zeroize::Zeroizing;

pub use error::DataFolderError;

use self::database::Database;
use self::error::Why;
use self::folder::Folder;
use self::writer::{Job, Progress, Writer};
use crate::sign_in::SignInLog;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Tenant,
    Application,
    Principal,
    /// Keys and secrets of the server itself.
    Own,
}

/// An object as it is kept, or its end.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    /// Without it, the object is gone.
    pub(crate) json: Option<Zeroizing<String>>,
}

/// A data folder that is open, with what stood in it.
pub(crate) struct Opened {
    folder: Folder,
    database: Database,
    path: std::path::PathBuf,
    pub(crate) objects: Vec<Row>,
    /// How many sign-ins it keeps.
    pub(crate) sign_ins: usize,
}

/// The way to the disk.
pub(crate) struct Store {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    asked: AtomicU64,
    progress: watch::Receiver<Progress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Opened {
    /// Takes the folder and reads what is in it. Blocks.
    pub(crate) fn open(path: &Path) -> Result<Self, DataFolderError> {
        let open = || {
            let folder = Folder::take(path)?;
            let database = Database::open(&folder.file(FILE)?)?;
            let (objects, sign_ins) = (database.objects()?, database.sign_in_count()?);
            Ok::<_, Why>(Self { folder, database, path: path.to_owned(), objects, sign_ins })
        };
        open().map_err(|why| DataFolderError::new(path, why))
    }

    /// Whether it holds a directory: one without a tenant is none.
    pub(crate) fn has_directory(&self) -> bool {
        self.objects.iter().any(|row| row.kind == Kind::Tenant)
    }

    /// One of the server's own things.
    pub(crate) fn own<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, DataFolderError> {
        let row = self.objects.iter().find(|row| row.kind == Kind::Own && row.key == key);
        let json = row.and_then(|row| row.json.as_ref());
        json.map(|json| serde_json::from_str(json).map_err(|_| self.damaged(&format!("{key} cannot be read"))))
            .transpose()
    }

    /// Something in it contradicts itself.
    pub(crate) fn damaged(&self, what: &str) -> DataFolderError {
        DataFolderError::new(&self.path, Why::Damaged(what.to_owned()))
    }

    /// Begins to write what [`Store::save`] is given and what `log` gets.
    pub(crate) fn keep(self, log: Arc<SignInLog>) -> Result<Store, DataFolderError> {
        let (sender, jobs) = mpsc::channel();
        let (say, progress) = watch::channel(Progress::default());
        let restored = log.reserve(self.sign_ins);
        let writer = Writer { _folder: self.folder, database: self.database, jobs, say, log, restored };
        let thread = std::thread::Builder::new().name("apptoken-data".into()).spawn(|| writer.run());
        let thread = thread.map_err(|error| DataFolderError::new(&self.path, error))?;
        Ok(Store {
            jobs: Mutex::new(Some(sender)),
            asked: AtomicU64::new(0),
            progress,
            thread: Mutex::new(Some(thread)),
        })
    }
}

impl Store {
    /// Hands changes over. They are written in the order of these calls; [`Self::saved`] waits for it.
    pub(crate) fn save(&self, rows: Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(jobs) = &*jobs {
            // Nobody listens after a panic of the thread: `saved` finds its end of the channel closed and says so.
            let _ = jobs.send(Job { number, rows });
        }
    }

    /// Waits until everything that was handed over before is on disk.
    ///
    /// # Errors
    /// What the disk said. The change stands in memory, and is tried again.
    pub(crate) async fn saved(&self) -> Result<(), String> {
        let asked = self.asked.load(Ordering::SeqCst);
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.tried >= asked).await;
        match reached {
            Ok(progress) if progress.done >= asked => Ok(()),
            Ok(progress) => Err(progress.trouble.clone()),
            Err(_) => Err("the data folder's thread has ended".into()),
        }
    }

    /// Writes the rest and lets go of the folder. Blocks.
    pub(crate) fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("progress", &*self.progress.borrow()).finish_non_exhaustive()
    }
}

impl Row {
    /// An object as it is now.
    pub(crate) fn put(kind: Kind, key: impl Into<String>, value: &impl Serialize) -> Self {
        // Of our own types: maps have text for keys, and numbers are finite.
        let json = serde_json::to_string(value).unwrap_or_default();
        Self { kind, key: key.into(), json: Some(Zeroizing::new(json)) }
    }

    /// An object that is no more.
    pub(crate) fn gone(kind: Kind, key: impl Into<String>) -> Self {
        Self { kind, key: key.into(), json: None }
    }
}

impl Kind {
    const ALL: [Self; 4] = [Self::Tenant, Self::Application, Self::Principal, Self::Own];

    fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Application => "application",
            Self::Principal => "servicePrincipal",
            Self::Own => "own",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

const FILE: &str = "entra.db";
