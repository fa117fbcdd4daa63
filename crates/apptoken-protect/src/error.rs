//! Why an API could not be protected at start.

use std::fmt;

/// Why [`ProtectBuilder`](crate::ProtectBuilder) did not build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A value given to the builder cannot be used; nothing was sent. The text says what to give instead.
    #[error("{0}")]
    Configuration(String),
    /// The tenant's metadata or keys could not be had.
    #[error("the keys of tenant {tenant} could not be fetched")]
    Metadata {
        /// The tenant, as configured.
        tenant: String,
        /// What went wrong, and at which address.
        source: MetadataError,
    },
}

/// What went wrong with one of the tenant's documents.
#[derive(Debug)]
pub struct MetadataError {
    pub(crate) url: String,
    pub(crate) problem: Problem,
}

/// The ways in which a document is not to be had or not to be used.
#[derive(Debug)]
pub(crate) enum Problem {
    /// No whole answer: name, connection, TLS, time.
    Transport(reqwest::Error),
    /// Another status than 200, and what the authority said about it.
    Status(u16, String),
    TooLong(usize),
    NotJson(serde_json::Error),
    /// Of an issuer that the configured authority or tenant may not have.
    Issuer(String),
    /// Not HTTPS.
    KeyAddress(String),
    NoKeys,
}

impl MetadataError {
    /// The address that was asked.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// This and its causes on one line, for a log.
    pub(crate) fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {} ", self.url)?;
        match &self.problem {
            Problem::Transport(error) if error.is_timeout() => f.write_str("took too long"),
            Problem::Transport(error) if error.is_connect() => {
                f.write_str("found no connection (for a private CA there is add_root_certificate_pem)")
            }
            Problem::Transport(_) => f.write_str("got no whole answer"),
            Problem::Status(status, said) if said.is_empty() => write!(f, "was answered {status}"),
            Problem::Status(status, said) => write!(f, "was answered {status}: {said}"),
            Problem::TooLong(limit) => write!(f, "was answered with more than {limit} bytes"),
            Problem::NotJson(_) => f.write_str("was not answered with the JSON that belongs there"),
            Problem::Issuer(why) => f.write_str(why),
            Problem::KeyAddress(why) => write!(f, "names a jwks_uri {why}"),
            Problem::NoKeys => f.write_str("holds no RSA key to check signatures with"),
        }
    }
}

impl std::error::Error for MetadataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Transport(error) => Some(error),
            Problem::NotJson(error) => Some(error),
            _ => None,
        }
    }
}
