//! The one error type.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::advice;
use crate::refresh_reason::RefreshReason;

/// Why there is no token. One word wide and cloneable: everyone who waited for a request gets its failure.
///
/// [`Display`](fmt::Display) is one line without secrets; the cause is in [`source`](std::error::Error::source), the
/// next step in [`advice`](Self::advice).
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Default)]
struct Inner {
    kind: Option<ErrorKind>,
    message: Cow<'static, str>,
    advice: Option<Cow<'static, str>>,
    denied: Option<Denied>,
    transient: bool,
    retry_after: Option<Duration>,
    /// It is this client's own pause, and not the authority's wish.
    withheld: bool,
    /// The generation of the credential that it was said to, if it is not the one that the request began with.
    credential: Option<u64>,
    correlation_id: Option<Uuid>,
    metadata: Option<Box<FailureMetadata>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What kind of failure it is: who caused it, and whether it is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The cache failed. Never retried, as the cache is asked again by the next call.
    Cache,
    /// The program or its settings are wrong; nothing was sent. Never retried.
    Configuration,
    /// The app's secret, certificate or assertion cannot be used, or the caller's assertion callback failed; nothing
    /// was sent. Not retried here.
    Credential,
    /// The authority refused: see [`Error::denied`]. Not retried, since the same request would be refused again.
    Denied,
    /// The answer is not one that a token endpoint gives. Not retried.
    Protocol,
    /// The authority asked to wait: see [`Error::retry_after`]. Nothing more is sent for this token before then.
    Throttled,
    /// The authority could not be reached, answered too late or said that it is ill. Retried as the client's
    /// [`RetryPolicy`](crate::http::RetryPolicy) says; this error is the last try's.
    Transport,
}

/// What is known about the request that failed, as [`Metadata`](crate::Metadata) is of one that did not; the same for
/// everyone who waited for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureMetadata {
    /// Why the authority was asked.
    pub refresh_reason: RefreshReason,
    /// The endpoint that was asked last; empty if there was none yet, such as when its discovery failed.
    pub token_endpoint: String,
    /// What the request took in all: assertion, tries and the waits between them.
    pub duration_total: Duration,
    /// The part of it that was spent on token requests, retries included.
    pub duration_http: Duration,
}

/// What the authority said when it refused (RFC 6749 §5.2 and Entra's own members).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    pub(crate) http_status: u16,
    pub(crate) error: String,
    pub(crate) suberror: Option<String>,
    pub(crate) codes: Vec<u32>,
    pub(crate) description: String,
    pub(crate) claims: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) timestamp: Option<String>,
}

impl Error {
    /// A mistake in the program or its settings, for layers above this library.
    #[must_use]
    pub fn configuration(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// A credential that cannot be used, for layers above this library and for assertion callbacks.
    #[must_use]
    pub fn credential(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Credential, message)
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind.unwrap_or(ErrorKind::Protocol)
    }

    /// The authority's words, when it answered with an OAuth error.
    #[must_use]
    pub fn denied(&self) -> Option<&Denied> {
        self.0.denied.as_ref()
    }

    /// Whether the same call may succeed later without any change: the network, throttling, an ill authority.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// How long the authority wants to be left alone, or, while the client spares a failing one, when it is asked next;
    /// counted from when this error was made.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the authority is down or throttles, and has not said no.
    pub(crate) fn is_outage(&self) -> bool {
        self.is_transient() && matches!(self.kind(), ErrorKind::Throttled | ErrorKind::Transport)
    }

    /// How long the authority asked to be left alone.
    pub(crate) fn asked_to_wait(&self) -> Option<Duration> {
        self.0.retry_after.filter(|_| !self.0.withheld)
    }

    /// What to do about it, in a sentence: for a person.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref().or_else(|| {
            let denied = self.denied()?;
            Some(denied.codes.iter().find_map(|&code| advice::for_code(code)).unwrap_or(ASK_MICROSOFT))
        })
    }

    /// The correlation id of the request, to be quoted to Microsoft's support and to find the sign-in in the log.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.0.correlation_id
    }

    /// How the request went that failed; `None` where nothing was asked, as with bad input.
    #[must_use]
    pub fn metadata(&self) -> Option<&FailureMetadata> {
        self.0.metadata.as_deref()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind: Some(kind), message: message.into(), ..Inner::default() }))
    }

    pub(crate) fn with_advice(self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.with(|inner| inner.advice = Some(advice.into()))
    }

    pub(crate) fn with_denied(self, denied: Denied) -> Self {
        self.with(|inner| inner.denied = Some(denied))
    }

    pub(crate) fn with_correlation_id(self, id: Uuid) -> Self {
        self.with(|inner| inner.correlation_id = Some(id))
    }

    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        self.with(|inner| inner.retry_after = wait)
    }

    pub(crate) fn withheld_for(self, pause: Option<Duration>) -> Self {
        self.with(|inner| (inner.retry_after, inner.withheld) = (pause, pause.is_some()))
    }

    pub(crate) fn with_metadata(self, change: impl FnOnce(&mut FailureMetadata)) -> Self {
        self.with(|inner| change(inner.metadata.get_or_insert_default()))
    }

    /// It was said to another credential than the one that the request began with.
    pub(crate) fn said_to(self, generation: u64) -> Self {
        self.with(|inner| inner.credential = Some(generation))
    }

    /// The generation of the credential that it was said to, if it is not the one that the request began with.
    pub(crate) fn heard_by(&self) -> Option<u64> {
        self.0.credential
    }

    pub(crate) fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let source = source.into();
        self.with(|inner| inner.source = Some(source.into()))
    }

    pub(crate) fn transient(self) -> Self {
        self.with(|inner| inner.transient = true)
    }

    /// Errors are made in one place and shared afterwards: a copy is taken only to tell a later caller what is left of
    /// the authority's `Retry-After`.
    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if Arc::get_mut(&mut self.0).is_none() {
            self = Self(Arc::new(self.0.copy()));
        }
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }
}

impl Inner {
    fn copy(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            advice: self.advice.clone(),
            denied: self.denied.clone(),
            transient: self.transient,
            retry_after: self.retry_after,
            withheld: self.withheld,
            credential: self.credential,
            correlation_id: self.correlation_id,
            metadata: self.metadata.clone(),
            source: self.source.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(id) = self.correlation_id() {
            write!(f, " [correlation id {id}")?;
            if let Some(trace) = self.denied().and_then(Denied::trace_id) {
                write!(f, ", trace id {trace}")?;
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("message", &self.0.message)
            .field("advice", &self.advice())
            .field("denied", &self.0.denied)
            .field("transient", &self.0.transient)
            .field("retry_after", &self.0.retry_after)
            .field("correlation_id", &self.0.correlation_id)
            .field("metadata", &self.0.metadata)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl Denied {
    /// The HTTP status: 401 for `invalid_client`, 400 otherwise, 429 when throttled.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.http_status
    }

    /// The OAuth error word, for example `invalid_client`.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.error
    }

    /// Entra's finer word, for example `message_only`.
    #[must_use]
    pub fn suberror(&self) -> Option<&str> {
        self.suberror.as_deref()
    }

    /// The AADSTS numbers.
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// Whether AADSTS`code` is among [`codes`](Self::codes).
    #[must_use]
    pub fn has_code(&self, code: u32) -> bool {
        self.codes.contains(&code)
    }

    /// The authority's own sentence, without the ids that Entra appends. Its wording changes: decide by code.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The claims challenge (JSON) to be passed to
    /// [`claims`](crate::AcquireTokenForClient::claims), when conditional access asks for more.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }

    /// Entra's id of this refusal, the key of its sign-in log.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }

    /// The correlation id as the authority repeated it.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// When the authority refused, by its own clock.
    #[must_use]
    pub fn timestamp(&self) -> Option<&str> {
        self.timestamp.as_deref()
    }
}

/// For a refusal that the table does not know.
const ASK_MICROSOFT: &str = "look the AADSTS code up at https://login.microsoftonline.com/error, or give Microsoft's support the ids and the time";
