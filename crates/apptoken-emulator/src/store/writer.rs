//! The thread that writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;

use super::database::Database;
use super::folder::Folder;
use super::{Kind, Row};
use crate::sign_in::SignInLog;

/// Changes that belong together.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) rows: Vec<Row>,
}

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Jobs up to this one were tried.
    pub(super) tried: u64,
    /// Jobs up to this one are on disk.
    pub(super) done: u64,
    /// Why those between are not.
    pub(super) trouble: String,
}

pub(super) struct Writer {
    pub(super) _folder: Folder,
    pub(super) database: Database,
    pub(super) jobs: Receiver<Job>,
    pub(super) say: watch::Sender<Progress>,
    pub(super) log: Arc<SignInLog>,
    /// How many places at the log's beginning are for the sign-ins that are kept.
    pub(super) restored: usize,
}

impl Writer {
    /// Until nobody can hand over any more.
    pub(super) fn run(mut self) {
        self.restore_sign_ins();
        let mut waiting = BTreeMap::new();
        let mut written = self.restored as u64;
        loop {
            let first = self.jobs.recv_timeout(PULSE);
            let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut last = None;
            // all that has come meanwhile goes in one commit
            for job in first.into_iter().chain(std::iter::from_fn(|| self.jobs.try_recv().ok())) {
                last = Some(job.number);
                waiting.extend(job.rows.into_iter().map(|row| ((row.kind, row.key.clone()), row)));
            }
            self.write(&mut waiting, last);
            written = self.write_sign_ins(written);
            if ended {
                break;
            }
        }
        self.database.close();
    }

    /// What could not be written waits for the next time.
    fn write(&mut self, waiting: &mut BTreeMap<(Kind, String), Row>, last: Option<u64>) {
        if waiting.is_empty() {
            return;
        }
        let outcome = self.database.write(waiting.values());
        self.say.send_modify(|progress| {
            progress.tried = last.unwrap_or(progress.tried);
            match &outcome {
                Ok(()) => (progress.done, progress.trouble) = (progress.tried, String::new()),
                Err(error) => progress.trouble = error.to_string(),
            }
        });
        match outcome {
            Ok(()) => waiting.clear(),
            Err(error) => tracing::error!(%error, "changes could not be written to the data folder; trying again"),
        }
    }

    /// The new entries of the log, up to one that is still being made.
    fn write_sign_ins(&mut self, after: u64) -> u64 {
        let entries = self.log.run_after(after);
        let Some(last) = entries.last().map(|entry| entry.sequence) else { return after };
        match self.database.append(entries.iter().map(|entry| &**entry), self.log.capacity()) {
            Ok(()) => last,
            Err(error) => {
                tracing::warn!(%error, "sign-ins could not be written to the data folder; trying again");
                after
            }
        }
    }

    /// Behind the start's back: the log has kept their places free.
    fn restore_sign_ins(&mut self) {
        match self.database.sign_ins(self.restored) {
            Ok(entries) => self.log.restore(entries),
            Err(error) => tracing::warn!(%error, "the sign-ins in the data folder could not be read"),
        }
    }
}

/// How long a sign-in waits to be written, at most.
const PULSE: Duration = Duration::from_millis(200);
