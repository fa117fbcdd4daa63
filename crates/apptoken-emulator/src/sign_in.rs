//! The sign-in log: one entry per token request, expected beside presented for every refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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
            tenant: cut(tenant, 256),
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

    /// What it takes of memory, nearly.
    fn bytes(&self) -> usize {
        let texts = [&self.app_id, &self.app_display_name, &self.resource, &self.message];
        let evidence =
            self.evidence.iter().map(|one| one.subject.len() + one.expected.len() + one.presented.len()).sum::<usize>();
        size_of::<Self>()
            + self.tenant.len()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + self.roles.iter().map(|role| role.len() + size_of::<String>()).sum::<usize>()
            + self.evidence.len() * size_of::<Evidence>()
            + evidence
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
        let cut = |text: String| if text.len() <= LONGEST { text } else { cut(&text, LONGEST) };
        Self { subject: subject.into(), expected: cut(expected.into()), presented: cut(presented.into()) }
    }
}

/// At most so many bytes of it, whole characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// A ring that many write and read at once without a lock; the oldest entries make room for the newest, one for its place
/// and as many as it takes for its bytes.
#[derive(Debug)]
pub(crate) struct SignInLog {
    ring: Box<[ArcSwapOption<SignIn>]>,
    next: AtomicU64,
    /// Entries before this one were let go for their bytes.
    first: AtomicU64,
    bytes: AtomicUsize,
    most_bytes: usize,
    /// Wakes who follows the log; costs nothing when nobody does.
    grown: Notify,
}

impl SignInLog {
    pub(crate) fn new(capacity: usize, most_bytes: usize) -> Self {
        Self {
            ring: (0..capacity.max(1)).map(|_| ArcSwapOption::empty()).collect(),
            next: AtomicU64::new(0),
            first: AtomicU64::new(0),
            bytes: AtomicUsize::new(0),
            most_bytes,
            grown: Notify::new(),
        }
    }

    pub(crate) fn push(&self, mut entry: SignIn) {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        entry.sequence = index + 1;
        self.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
        self.gone(self.slot(index).swap(Some(Arc::new(entry))));
        if index < self.first.load(Ordering::SeqCst) {
            // its place was given up while it was being written
            self.let_go(index);
        }
        self.make_room();
        self.grown.notify_waiters();
    }

    /// Lets the oldest entries go until the others' bytes are few enough. The newest stays, however long.
    fn make_room(&self) {
        while self.bytes.load(Ordering::Relaxed) > self.most_bytes {
            let oldest = self.start();
            if oldest + 1 >= self.next.load(Ordering::Acquire) {
                return;
            }
            self.first.fetch_max(oldest + 1, Ordering::SeqCst);
            self.let_go(oldest);
        }
    }

    fn let_go(&self, index: u64) {
        let slot = self.slot(index);
        let there = slot.load_full().filter(|entry| entry.sequence == index + 1);
        if there.is_some() {
            let before = slot.compare_and_swap(&there, None);
            // not the same: another thread was quicker
            if before.as_ref().map(Arc::as_ptr) == there.as_ref().map(Arc::as_ptr) {
                drop(before);
                self.gone(there);
            }
        }
    }

    fn gone(&self, entry: Option<Arc<SignIn>>) {
        if let Some(entry) = entry {
            self.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
        }
    }

    /// The index of the oldest entry that may be there.
    fn start(&self) -> u64 {
        let end = self.next.load(Ordering::Acquire);
        end.saturating_sub(self.ring.len() as u64).max(self.first.load(Ordering::Acquire))
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
            let none: Option<Arc<SignIn>> = None;
            if self.slot(index).compare_and_swap(&none, Some(Arc::clone(&entry))).is_none() {
                self.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
            }
        }
        self.make_room();
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
        (self.start()..end)
            .filter_map(|index| self.slot(index).load_full().filter(|entry| entry.sequence == index + 1))
            .collect()
    }

    /// Up to the first entry that is still being written, which comes next time with those after it.
    pub(crate) fn run_after(&self, sequence: u64) -> Vec<Arc<SignIn>> {
        let end = self.next.load(Ordering::Acquire);
        let mut run = Vec::new();
        for index in self.start().max(sequence)..end {
            match self.slot(index).load_full() {
                Some(entry) if entry.sequence == index + 1 => run.push(entry),
                Some(entry) if entry.sequence > index + 1 => (), // overwritten meanwhile
                None if index < self.first.load(Ordering::Acquire) => (), // let go meanwhile
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

/// Longest text of a value in the log, bytes.
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
        let log = SignInLog::new(3, usize::MAX);
        for _ in 0..5 {
            log.push(blank());
        }
        assert_eq!(log.entries().iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn what_was_kept_takes_the_places_that_newer_entries_left() {
        let log = SignInLog::new(3, usize::MAX);
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
        let log = SignInLog::new(1000, usize::MAX);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| log.push(blank())));
            }
        });
        assert_eq!(log.entries().len(), 800);
    }
    #[test]
    fn long_entries_push_out_more_than_one() {
        let log = SignInLog::new(100, 20 * blank().bytes());
        (0..100).for_each(|_| log.push(blank()));
        let kept: Vec<_> = log.entries().iter().map(|entry| entry.sequence).collect();
        assert_eq!(kept, (81..=100).collect::<Vec<_>>());
        assert_eq!(log.run_after(0).len(), 20);
        log.push(SignIn { message: Some("x".repeat(15 * blank().bytes())), ..blank() });
        assert_eq!(log.entries().first().map(|entry| entry.sequence), Some(97));
        log.push(SignIn { message: Some("x".repeat(90 * blank().bytes())), ..blank() });
        assert_eq!(log.entries().len(), 1, "the newest stays");
        (0..100).for_each(|_| log.push(blank()));
        assert_eq!(log.entries().len(), 20);
    }

    #[test]
    fn the_bytes_are_counted_whoever_writes() {
        let log = SignInLog::new(64, 20 * blank().bytes());
        std::thread::scope(|scope| {
            for long in 0..4 {
                let (log, entry) = (&log, SignIn { message: Some("x".repeat(long * 400)), ..blank() });
                scope.spawn(move || (0..500).for_each(|_| log.push(entry.clone())));
            }
        });
        let there: usize = log.ring.iter().filter_map(ArcSwapOption::load_full).map(|entry| entry.bytes()).sum();
        assert_eq!(log.bytes.load(Ordering::Relaxed), there);
        assert!(there <= 20 * blank().bytes() && !log.entries().is_empty());
    }
}
