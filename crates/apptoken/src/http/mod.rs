//! How requests travel: the [`Transport`] trait, its implementation on reqwest, retries, and what spares the hosts.

mod challenge;
mod circuit;
mod guard;
mod limiter;
mod observed;
mod pin;
#[cfg(feature = "reqwest")]
mod proxy;
mod retry;
mod retry_after;
#[cfg(feature = "reqwest")]
mod showing;
mod skew;
#[cfg(feature = "reqwest")]
mod transport_reqwest;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use bytes::Bytes;

pub use challenge::{WwwAuthenticate, claims_challenge};
pub use circuit::CircuitPolicy;
pub(crate) use guard::Guarded;
pub use limiter::RequestRate;
pub(crate) use observed::{Observed, sent_at};
pub(crate) use pin::ThumbprintPin;
pub use retry::RetryPolicy;
pub(crate) use retry::{random_below, send_to_the_first, send_with_retry};
pub(crate) use retry_after::retry_after;
pub(crate) use skew::Skew;
#[cfg(feature = "reqwest")]
pub use transport_reqwest::{ReqwestTransport, ReqwestTransportBuilder};

/// A request to the authority. Its body holds the credential: never log it.
pub type Request = ::http::Request<Bytes>;

/// The authority's answer, its body read whole.
pub type Response = ::http::Response<Bytes>;

/// Carries one request to its answer. Implement it to send through something else than reqwest; it must not follow
/// redirects, must bound the body that it reads, and gives up after a time of its own. A request with a
/// [`ClientIdentity`](crate::ClientIdentity) among its extensions goes over a connection that shows that certificate, and no
/// other request does.
///
/// ```
/// use apptoken::http::{Request, Response, Transport, TransportError};
///
/// /// Prints what goes out, without the body, which holds the credential.
/// struct Shown<T>(T);
///
/// impl<T: Transport> Transport for Shown<T> {
///     async fn send(&self, request: Request) -> Result<Response, TransportError> {
///         println!("{} {}", request.method(), request.uri());
///         self.0.send(request).await
///     }
/// }
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and reads the answer, whatever its status.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, TransportError>> + Send;
}

impl<T: Transport> Transport for Arc<T> {
    fn send(&self, request: Request) -> impl Future<Output = Result<Response, TransportError>> + Send {
        T::send(self, request)
    }
}

/// A request that got no answer.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    source: Box<dyn std::error::Error + Send + Sync>,
    next_try: Option<Duration>,
}

/// Where a request got stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The answer broke off, or was not HTTP. Retried: a token that is issued twice does no harm.
    Body,
    /// No connection, name resolution included. Retried.
    Connect,
    /// The client itself could not be set up, for example without any trusted root certificate. Not retried.
    Setup,
    /// No answer in time. Retried.
    Timeout,
    /// The server's certificate is not trusted. Not retried.
    Tls,
    /// The answer is longer than allowed. Not retried.
    TooLarge,
    /// The client held the request back, to spare the host: it keeps failing ([`CircuitPolicy`]), or too many requests
    /// wait already ([`RequestRate`]).
    Withheld,
}

impl TransportErrorKind {
    /// Whether the next try may fare better: the network or the host is to blame, and not what was sent.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::Body | Self::Connect | Self::Timeout | Self::Withheld)
    }
}

impl TransportError {
    /// For implementers of [`Transport`].
    pub fn new(kind: TransportErrorKind, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into(), next_try: None }
    }

    fn withheld(why: String, next_try: Duration) -> Self {
        Self { next_try: Some(next_try), ..Self::new(TransportErrorKind::Withheld, why) }
    }

    /// Where the request got stuck.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// When a request that was withheld would be sent.
    pub(crate) fn next_try(&self) -> Option<Duration> {
        self.next_try
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TransportErrorKind::Body => "the answer broke off",
            TransportErrorKind::Connect => "no connection",
            TransportErrorKind::Setup => "the HTTP client could not be set up",
            TransportErrorKind::Timeout => "no answer in time",
            TransportErrorKind::Tls => "the server's certificate is not trusted",
            TransportErrorKind::TooLarge => "the answer is too long",
            TransportErrorKind::Withheld => return write!(f, "it was not sent, because {}", self.source),
        })
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

/// [`Transport`] with its future boxed, so that a client need not be generic over it.
pub(crate) trait DynTransport: Send + Sync + 'static {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + '_>>;
}

impl<T: Transport> DynTransport for T {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + '_>> {
        Box::pin(Transport::send(self, request))
    }
}

/// Whether the host could not do its work, and may later.
pub(crate) fn is_ill(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}
