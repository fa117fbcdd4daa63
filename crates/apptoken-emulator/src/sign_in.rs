//! The sign-in log: one entry per token request, expected beside presented for every refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

/// One token request and what became of it. Never holds a secret, an assertion or a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignIn {
    /// Counts from 1; anew at each start, the entries that a data folder kept first.
    pub sequence: u64,
    /// Unix seconds by the emulator's clock.
    pub time: i64,
    /// The `trace_id` of the answer, also its `x-ms-request-id`; in a token, `uti` is its base64url.
    pub trace_id: Uuid,
    /// What the client named, or made up here.
    pub correlation_id: Uuid,
    /// The tenant as the path named it.
    pub tenant: String,
    /// The tenant found.
    pub tenant_id: Option<Uuid>,
    /// `client_id` as sent; of one that is no GUID, and so perhaps a secret in the wrong place, only the length.
    pub app_id: Option<String>,
    /// The application found.
    pub app_display_name: Option<String>,
    /// The resource asked for, as spelt in the scope.
    pub resource: Option<String>,
    /// How the client proved who it is.
    pub credential: Option<CredentialKind>,
    /// What came of it.
    pub outcome: Outcome,
    /// AADSTS code; none on success.
    pub code: Option<u32>,
    /// The refusal's text, or a note on a token that its API will not like.
    pub message: Option<String>,
    /// The app roles in the token.
    pub roles: Vec<String>,
    /// Expected beside presented.
    pub evidence: Vec<Evidence>,
}

impl SignIn {
    /// Of a request that has just come; nothing is known but where it came.
    pub(crate) fn begun(now: i64, tenant: &str, (trace_id, correlation_id): (Uuid, Uuid)) -> Self {
        Self {
            sequence: 0,
            time: now,
            trace_id,
            correlation_id,
            tenant: tenant.chars().take(256).collect(),
            tenant_id: None,
            app_id: None,
            app_display_name: None,
            resource: None,
            credential: None,
            outcome: Outcome::Granted,
            code: None,
            message: None,
            roles: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// The request was refused.
    pub(crate) fn refuse(&mut self, code: u32, message: String, evidence: Vec<Evidence>) {
        self.outcome = Outcome::Refused;
        self.code = Some(code);
        self.message = Some(message);
        self.roles.clear();
        self.evidence = evidence;
    }
}

/// How a client proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum CredentialKind {
    /// `client_secret`, in the body or the Basic header.
    Secret,
    /// An assertion signed with a registered certificate.
    Certificate,
    /// An assertion of another issuer, by a federated credential.
    Federated,
    /// None: Azure vouches for a managed identity.
    ManagedIdentity,
}

/// What came of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Outcome {
    /// A token.
    Granted,
    /// An AADSTS refusal.
    Refused,
    /// A fault that was asked for.
    Faulted,
}

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Evidence {
    /// What was compared: `thumbprint`, `audience`, `time`, …
    pub subject: String,
    /// What would have been right.
    pub expected: String,
    /// What came.
    pub presented: String,
}

impl Evidence {
    pub(crate) fn new(subject: &str, expected: impl Into<String>, presented: impl Into<String>) -> Self {
        let cut = |text: String| text.chars().take(LONGEST).collect();
        Self { subject: subject.into(), expected: cut(expected.into()), presented: cut(presented.into()) }
    }
}

/// A ring that many write and read at once without a lock; the oldest entry makes room for the newest.
#[derive(Debug)]
pub(crate) struct SignInLog {
    ring: Box<[ArcSwapOption<SignIn>]>,
    next: AtomicU64,
    /// Wakes who follows the log; costs nothing when nobody does.
    grown: Notify,
}

impl SignInLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            ring: (0..capacity.max(1)).map(|_| ArcSwapOption::empty()).collect(),
            next: AtomicU64::new(0),
            grown: Notify::new(),
        }
    }

    pub(crate) fn push(&self, mut entry: SignIn) {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        entry.sequence = index + 1;
        self.slot(index).store(Some(Arc::new(entry)));
        self.grown.notify_waiters();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.ring.len()
    }

    /// Keeps the first places free for [`Self::restore`]: at most as many as there are.
    pub(crate) fn reserve(&self, entries: usize) -> usize {
        let entries = entries.min(self.ring.len());
        self.next.store(entries as u64, Ordering::Release);
        entries
    }

    /// Puts entries of an earlier run into the places that were kept free, unless newer ones have them by now.
    pub(crate) fn restore(&self, entries: Vec<Option<SignIn>>) {
        for (index, entry) in (0..).zip(entries) {
            let unread = || SignIn {
                message: Some("this entry of an earlier run cannot be read".into()),
                ..SignIn::begun(0, "", (Uuid::nil(), Uuid::nil()))
            };
            let entry = Arc::new(SignIn { sequence: index + 1, ..entry.unwrap_or_else(unread) });
            self.slot(index).rcu(|there| match there {
                Some(newer) => Some(Arc::clone(newer)),
                None => Some(Arc::clone(&entry)),
            });
        }
        self.grown.notify_waiters();
    }

    /// The entries after this sequence number, oldest first; waits until there are any.
    pub(crate) async fn after(&self, sequence: u64) -> Vec<Arc<SignIn>> {
        loop {
            let grown = self.grown.notified();
            let entries = self.run_after(sequence);
            if !entries.is_empty() {
                return entries;
            }
            grown.await;
        }
    }

    /// Oldest first. An entry that is being written at this moment may be missing.
    pub(crate) fn entries(&self) -> Vec<SignIn> {
        self.shared().into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// As [`Self::entries`], not copied.
    pub(crate) fn shared(&self) -> Vec<Arc<SignIn>> {
        let end = self.next.load(Ordering::Acquire);
        let start = end.saturating_sub(self.ring.len() as u64);
        (start..end)
            .filter_map(|index| self.slot(index).load_full().filter(|entry| entry.sequence == index + 1))
            .collect()
    }

    /// Up to the first entry that is still being written, which comes next time with those after it.
    pub(crate) fn run_after(&self, sequence: u64) -> Vec<Arc<SignIn>> {
        let end = self.next.load(Ordering::Acquire);
        let start = end.saturating_sub(self.ring.len() as u64).max(sequence);
        let mut run = Vec::new();
        for index in start..end {
            match self.slot(index).load_full() {
                Some(entry) if entry.sequence == index + 1 => run.push(entry),
                Some(entry) if entry.sequence > index + 1 => (), // overwritten meanwhile
                _ => break,
            }
        }
        run
    }

    /// How many entries there have been.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    fn slot(&self, index: u64) -> &ArcSwapOption<SignIn> {
        &self.ring[(index % self.ring.len() as u64) as usize]
    }
}

/// Longest text of a presented value in the log, characters.
const LONGEST: usize = 512;

#[cfg(test)]
pub(crate) fn blank() -> SignIn {
    SignIn::begun(0, "", (Uuid::nil(), Uuid::nil()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest() {
        let log = SignInLog::new(3);
        for _ in 0..5 {
            log.push(blank());
        }
        assert_eq!(log.entries().iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn what_was_kept_takes_the_places_that_newer_entries_left() {
        let log = SignInLog::new(3);
        assert_eq!(log.reserve(5), 3);
        log.push(blank());
        let old = |tenant: &str| Some(SignIn { tenant: tenant.into(), ..blank() });
        log.restore(vec![old("a"), None, old("c")]);
        let entries = log.run_after(0);
        assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(entries[0].message.is_some() && entries[1].tenant == "c" && entries[2].tenant.is_empty());
    }

    #[test]
    fn takes_writers_from_many_threads() {
        let log = SignInLog::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| log.push(blank())));
            }
        });
        assert_eq!(log.entries().len(), 800);
    }
}
