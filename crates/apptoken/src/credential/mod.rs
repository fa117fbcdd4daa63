//! How the app proves who it is. A credential turns into form fields of a token request, and nothing more: it holds no
//! token.

mod assertion;
mod certificate;
mod pipeline_oidc;
mod token_file;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

pub(crate) use assertion::DynAssertionSource;
pub use assertion::{AssertionRequest, AssertionSource};
pub use certificate::Certificate;
pub(crate) use certificate::CertificateCredential;
pub(crate) use pipeline_oidc::PipelineOidc;
pub(crate) use token_file::TokenFile;

use crate::Error;
use crate::clock::Clock;
use crate::http::{DynTransport, RetryPolicy};
use crate::request::{Asked, Capabilities};

/// The one credential of a client.
pub(crate) enum Credential {
    Secret(SecretString),
    Certificate(CertificateCredential),
    Assertion(Box<dyn DynAssertionSource>),
    /// The identity provider of the pipeline that the program runs in.
    Pipeline(PipelineOidc),
}

/// What a token request says to prove who sends it.
pub(crate) enum Proof {
    /// `client_secret` (RFC 6749 §2.3.1).
    Secret(SecretString),
    /// `client_assertion` (RFC 7523 §2.2).
    Assertion(SecretString),
}

impl Proof {
    pub(crate) fn fields(&self) -> [Option<(&'static str, &str)>; 2] {
        match self {
            Self::Secret(secret) => [Some(("client_secret", secret.expose_secret())), None],
            Self::Assertion(assertion) => {
                [Some(("client_assertion_type", JWT_BEARER)), Some(("client_assertion", assertion.expose_secret()))]
            }
        }
    }

    /// The part that nobody may see.
    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Secret(secret) | Self::Assertion(secret) => secret.expose_secret(),
        }
    }
}

/// The request that a proof is made for.
pub(crate) struct Occasion<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) token_endpoint: &'a str,
    pub(crate) asked: Asked<'a>,
    pub(crate) capabilities: &'a Capabilities,
}

/// What a proof is made with.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) transport: &'a dyn DynTransport,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) retry: &'a RetryPolicy,
}

impl Credential {
    pub(crate) async fn prove(&self, occasion: &Occasion<'_>, means: Means<'_>) -> Result<Proof, Error> {
        match self {
            Self::Secret(secret) => Ok(Proof::Secret(secret.clone())),
            Self::Certificate(certificate) => certificate.assertion(occasion, means.clock).map(Proof::Assertion),
            Self::Assertion(source) => assertion::from_source(&**source, occasion).await.map(Proof::Assertion),
            Self::Pipeline(pipeline) => pipeline.assertion(occasion, means).await.map(Proof::Assertion),
        }
    }

    /// The authority refused this credential's proof: nothing made from it is used again.
    pub(crate) fn refused(&self) {
        if let Self::Certificate(certificate) = self {
            certificate.forget_assertions();
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret([redacted])"),
            Self::Certificate(certificate) => certificate.fmt(f),
            Self::Assertion(_) => f.write_str("Assertion(callback)"),
            Self::Pipeline(pipeline) => pipeline.fmt(f),
        }
    }
}

/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
