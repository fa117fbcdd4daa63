//! What can go wrong between a settings file and an API's answer: [`Error`].

mod configuration;
mod http;

pub use configuration::ConfigurationError;
pub use http::HttpError;
pub(crate) use http::Parts as HttpErrorParts;

use std::fmt;

/// Why a token could not be had or an API could not be called.
///
/// `Display` is one line that says what failed, where, and what to do about it; it never holds a secret or a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The settings are wrong: a file, a key or an environment variable. Nothing was sent. Never retried; someone must
    /// edit what the error names.
    Configuration(ConfigurationError),
    /// No token: refused by the authority, or the authority could not be reached. [`apptoken::Error`] knows whether
    /// trying again makes sense, and what to change if not. The API was not called.
    Token(apptoken::Error),
    /// The API answered, but with a status other than 2xx.
    Http(HttpError),
    /// The API could not be reached, or the connection broke. The request may or may not have been carried out.
    Transport(TransportError),
    /// The API answered 2xx with something that is not what the caller asked for: another media type, JSON of another
    /// shape, or more bytes than allowed. The request was carried out.
    Response(ResponseError),
}

/// The API could not be reached: see [`Error::Transport`].
#[derive(Clone, Debug)]
pub struct TransportError {
    pub(crate) method: ::http::Method,
    pub(crate) url: String,
    pub(crate) problem: &'static str,
    pub(crate) timeout: bool,
    /// The API's certificate is not trusted, which no later try changes.
    pub(crate) untrusted: bool,
    pub(crate) source: std::sync::Arc<dyn std::error::Error + Send + Sync>,
}

/// The API's answer could not be used: see [`Error::Response`].
#[derive(Clone, Debug)]
pub struct ResponseError {
    pub(crate) method: ::http::Method,
    pub(crate) url: String,
    pub(crate) status: ::http::StatusCode,
    pub(crate) problem: String,
}

impl Error {
    /// Whether the same call may succeed later without anyone changing anything: the authority or the API is down,
    /// busy (408, 429, 5xx) or not reachable.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Token(error) => error.is_transient(),
            Self::Http(error) => error.is_transient(),
            Self::Transport(error) => !error.untrusted,
            Self::Configuration(_) | Self::Response(_) => false,
        }
    }

    /// The answer that the API gave instead of success, if that is what went wrong.
    #[must_use]
    pub fn http(&self) -> Option<&HttpError> {
        if let Self::Http(error) = self { Some(error) } else { None }
    }

    /// The error of the token request, if that is what went wrong.
    #[must_use]
    pub fn token(&self) -> Option<&apptoken::Error> {
        if let Self::Token(error) = self { Some(error) } else { None }
    }

    /// The setting that is wrong, if that is what went wrong.
    #[must_use]
    pub fn configuration(&self) -> Option<&ConfigurationError> {
        if let Self::Configuration(error) = self { Some(error) } else { None }
    }

    /// What to do next, where this crate or the authority's error code knows; the errors of settings say it themselves.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Token(error) => error.advice(),
            Self::Http(error) => error.advice(),
            Self::Configuration(_) | Self::Transport(_) | Self::Response(_) => None,
        }
    }
}

impl TransportError {
    /// Whether the time ran out (connecting, or waiting for the answer).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.timeout
    }

    /// The address that was called, without its query.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl ResponseError {
    /// The status the API answered with.
    #[must_use]
    pub fn status(&self) -> ::http::StatusCode {
        self.status
    }

    /// The address that was called, without its query.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
            Self::Http(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::Response(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.problem)
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} answered {}, {}", self.method, self.url, self.status, self.problem)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // transparent: the variants' own `Display` is this one's, so the chain goes on with their causes
        match self {
            Self::Configuration(error) => error.source(),
            Self::Token(error) => error.source(),
            Self::Http(_) | Self::Response(_) => None,
            Self::Transport(error) => error.source(),
        }
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl std::error::Error for ResponseError {}

impl From<ConfigurationError> for Error {
    fn from(error: ConfigurationError) -> Self {
        Self::Configuration(error)
    }
}

impl From<apptoken::Error> for Error {
    fn from(error: apptoken::Error) -> Self {
        Self::Token(error)
    }
}

/// The text of a token library's error and its next step in one sentence.
pub(crate) fn with_advice(error: &apptoken::Error) -> String {
    match error.advice() {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    }
}
