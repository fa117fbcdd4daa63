//! How the app proves who it is. A credential turns into form fields of a token request, and nothing more: it holds no
//! token.

mod app_token;
mod assertion;
mod certificate;
mod certificate_file;
mod certificates;
mod client_assertion;
mod given;
mod pipeline_oidc;
mod rotation;
mod signer;
mod token_file;
mod watched;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

pub(crate) use app_token::DynAppTokenProvider;
pub use app_token::{AppToken, AppTokenProvider, AppTokenRequest};
pub(crate) use assertion::DynAssertionSource;
pub use assertion::{AssertionRequest, AssertionSource};
pub use certificate::Certificate;
pub use certificate_file::CertificateFile;
pub(crate) use certificates::CertificateCredential;
pub use certificates::{CertificateProvider, CertificateSource};
pub(crate) use client_assertion::AssertionSettings;
pub use given::Credential;
pub(crate) use given::Workshop;
pub(crate) use pipeline_oidc::PipelineOidc;
pub(crate) use rotation::Rotating;
pub(crate) use signer::DynSigner;
pub use signer::Signer;
pub(crate) use token_file::TokenFile;

use crate::Error;
use crate::authority::AssertionForm;
use crate::clock::{Clock, Moment};
use crate::error::Denied;
use crate::http::{DynTransport, RetryPolicy};
use crate::request::{Asked, Capabilities};

/// The one credential of a client, ready for use.
pub(crate) enum InUse {
    Secret(SecretString),
    Certificate(CertificateCredential),
    Assertion(Box<dyn DynAssertionSource>),
    TokenFile(TokenFile),
    /// The identity provider of the pipeline that the program runs in.
    Pipeline(PipelineOidc),
    /// Instead of a proof: tokens from elsewhere.
    AppTokens(Box<dyn DynAppTokenProvider>),
}

/// What a token request says to prove who sends it.
pub(crate) enum Proof {
    /// `client_secret` (RFC 6749 §2.3.1).
    Secret(SecretString),
    /// `client_assertion` (RFC 7523 §2.2).
    Assertion(SecretString),
    /// The same, signed by us.
    Signed {
        assertion: SecretString,
        /// SHA-256 thumbprint.
        certificate: [u8; 32],
        /// Whether it was made for an earlier request.
        reused: bool,
    },
}

impl Proof {
    pub(crate) fn fields(&self) -> [Option<(&'static str, &str)>; 2] {
        match self {
            Self::Secret(secret) => [Some(("client_secret", secret.expose_secret())), None],
            Self::Assertion(assertion) | Self::Signed { assertion, .. } => {
                [Some(("client_assertion_type", JWT_BEARER)), Some(("client_assertion", assertion.expose_secret()))]
            }
        }
    }

    /// The part that nobody may see.
    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Secret(secret) | Self::Assertion(secret) | Self::Signed { assertion: secret, .. } => {
                secret.expose_secret()
            }
        }
    }

    /// Whether this proof, made after `refused`, differs from it in what it was refused for.
    fn may_fare_better_than(&self, refused: &Self, denied: &Denied) -> bool {
        match (refused, self) {
            (Self::Signed { certificate: old, reused, .. }, Self::Signed { certificate: new, .. }) => {
                // this machine's clock may have been set since the old one was made
                old != new || (*reused && denied.has_code(OUTSIDE_ITS_TIME))
            }
            (old, new) => old.secret() != new.secret(),
        }
    }
}

/// The request that a proof is made for.
pub(crate) struct Occasion<'a> {
    pub(crate) client_id: &'a str,
    /// Scheme and host.
    pub(crate) authority: &'a str,
    /// What the authority takes.
    pub(crate) form: AssertionForm,
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

impl InUse {
    async fn prove(&self, occasion: &Occasion<'_>, means: Means<'_>) -> Result<Proof, Error> {
        let assertion = match self {
            Self::Secret(secret) => return Ok(Proof::Secret(secret.clone())),
            Self::Certificate(credential) => {
                let (signed, certificate) = credential.assertion(occasion, means.clock).await?;
                return Ok(Proof::Signed { assertion: signed.assertion, certificate, reused: signed.reused });
            }
            Self::Assertion(source) => assertion::from_source(&**source, occasion).await?,
            Self::TokenFile(file) => file.assertion(means.clock.now()).await?,
            Self::Pipeline(pipeline) => pipeline.assertion(occasion, means).await?,
            Self::AppTokens(_) => {
                return Err(Error::credential("an app token provider proves nothing to an authority"));
            }
        };
        Ok(Proof::Assertion(assertion))
    }

    /// The token, if it is not an authority that gives it.
    async fn app_token(&self, occasion: &Occasion<'_>) -> Option<Result<AppToken, Error>> {
        match self {
            Self::AppTokens(provider) => Some(app_token::from_provider(&**provider, occasion).await),
            _ => None,
        }
    }

    /// The authority refused a proof of this credential: nothing made from it is used again, and if its material is to
    /// blame (`for_good`), it is renewed if it can be.
    fn refused(&self, proof: &Proof, for_good: bool, now: Moment) {
        match (self, proof) {
            (Self::Certificate(credential), Proof::Signed { certificate, .. }) => {
                credential.refused(*certificate, for_good, now);
            }
            (Self::TokenFile(file), _) => file.refused(),
            _ => {}
        }
    }

    /// How often it was found renewed on disk.
    fn changes(&self) -> u64 {
        match self {
            Self::Certificate(credential) => credential.changes(),
            Self::TokenFile(file) => file.changes(),
            Self::Secret(_) | Self::Assertion(_) | Self::Pipeline(_) | Self::AppTokens(_) => 0,
        }
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret([redacted])"),
            Self::Certificate(certificate) => certificate.fmt(f),
            Self::Assertion(_) => f.write_str("Assertion(callback)"),
            Self::TokenFile(file) => file.fmt(f),
            Self::Pipeline(pipeline) => pipeline.fmt(f),
            Self::AppTokens(_) => f.write_str("AppTokens(callback)"),
        }
    }
}

/// AADSTS700024: the assertion is outside its time.
const OUTSIDE_ITS_TIME: u32 = 700_024;
/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
