//! How the app proves who it is. A credential turns into form fields of a token request, and nothing more: it holds no
//! token.

mod app_token;
mod assertion;
mod bound;
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
use zeroize::Zeroizing;

pub(crate) use app_token::DynAppTokenProvider;
pub use app_token::{AppToken, AppTokenProvider, AppTokenRequest};
pub(crate) use assertion::DynAssertionSource;
pub use assertion::{AssertionRequest, AssertionSource};
pub(crate) use bound::DynBoundAssertionSource;
pub use bound::{BoundAssertion, BoundAssertionSource};
pub use certificate::Certificate;
pub use certificate_file::CertificateFile;
pub(crate) use certificates::CertificateCredential;
pub use certificates::{CertificateProvider, CertificateSource};
pub(crate) use client_assertion::AssertionSettings;
pub use given::Credential;
pub(crate) use given::Workshop;
pub(crate) use pipeline_oidc::PipelineOidc;
pub(crate) use rotation::{Rotating, Used};
pub(crate) use signer::DynSigner;
pub use signer::Signer;
pub(crate) use token_file::TokenFile;

use crate::ClientIdentity;
use crate::Error;
use crate::authority::AssertionForm;
use crate::clock::{Clock, Moment};
use crate::error::Denied;
use crate::http::{DynTransport, RetryPolicy};
use crate::request::{Asked, Capabilities};
use crate::token::Scheme;

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
    BoundAssertion(Box<dyn DynBoundAssertionSource>),
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
        /// Shown on TLS besides, when the client is told to.
        identity: Option<ClientIdentity>,
    },
    /// The certificate on TLS, and nothing in the form (RFC 8705 §2).
    Certificate(ClientIdentity),
    /// An assertion that goes with a certificate on TLS.
    Bound { assertion: SecretString, identity: ClientIdentity },
}

impl Proof {
    pub(crate) fn fields(&self) -> [Option<(&'static str, &str)>; 2] {
        match self {
            Self::Secret(secret) => [Some(("client_secret", secret.expose_secret())), None],
            Self::Assertion(assertion) | Self::Signed { assertion, .. } => {
                [Some(("client_assertion_type", JWT_BEARER)), Some(("client_assertion", assertion.expose_secret()))]
            }
            Self::Bound { assertion, .. } => {
                [Some(("client_assertion_type", JWT_POP)), Some(("client_assertion", assertion.expose_secret()))]
            }
            Self::Certificate(_) => [None, None],
        }
    }

    /// The part that nobody may see.
    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Secret(secret)
            | Self::Assertion(secret)
            | Self::Signed { assertion: secret, .. }
            | Self::Bound { assertion: secret, .. } => secret.expose_secret(),
            Self::Certificate(_) => "",
        }
    }

    /// What the connection is to show.
    pub(crate) fn identity(&self) -> Option<&ClientIdentity> {
        match self {
            Self::Certificate(identity) | Self::Bound { identity, .. } => Some(identity),
            Self::Signed { identity, .. } => identity.as_ref(),
            Self::Secret(_) | Self::Assertion(_) => None,
        }
    }

    /// Whether this proof, made after `refused`, differs from it in what it was refused for.
    fn may_fare_better_than(&self, refused: &Self, denied: &Denied) -> bool {
        match (refused, self) {
            (Self::Signed { certificate: old, reused, .. }, Self::Signed { certificate: new, .. }) => {
                // this machine's clock may have been set since the old one was made
                old != new || (*reused && denied.has_code(OUTSIDE_ITS_TIME))
            }
            (Self::Certificate(old), Self::Certificate(new)) => old != new,
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
        if occasion.asked.options.scheme == Scheme::MtlsPop {
            // the credential may have been replaced by one without a certificate since the call was made
            self.binding(means.clock)?;
        }
        let assertion = match self {
            Self::Secret(secret) => return Ok(Proof::Secret(secret.clone())),
            Self::Certificate(credential) if occasion.asked.options.scheme == Scheme::MtlsPop => {
                return credential.identity(occasion, means.clock).await.map(Proof::Certificate);
            }
            Self::Certificate(credential) => {
                let (signed, certificate) = credential.assertion(occasion, means.clock).await?;
                let identity = credential.is_shown_on_tls().then(|| certificate.identity()).transpose()?;
                let (certificate, reused) = (certificate.leaf().thumbprint_sha256(), signed.reused);
                return Ok(Proof::Signed { assertion: signed.assertion, certificate, reused, identity });
            }
            Self::BoundAssertion(source) => {
                let (assertion, identity) = bound::from_source(&**source, occasion).await?;
                return Ok(Proof::Bound { assertion, identity });
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
    async fn app_token(
        &self,
        client_id: &str,
        capabilities: &Capabilities,
        asked: Asked<'_>,
    ) -> Option<Result<AppToken, Error>> {
        match self {
            Self::AppTokens(provider) => {
                Some(app_token::from_provider(&**provider, client_id, capabilities, asked).await)
            }
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
            (Self::Certificate(credential), Proof::Certificate(identity)) => {
                credential.refused(identity.thumbprint_sha256(), for_good, now);
            }
            (Self::TokenFile(file), _) => file.refused(),
            _ => {}
        }
    }

    /// Whether its token requests go over connections that show a certificate, whatever is asked for.
    fn is_shown_on_tls(&self) -> bool {
        match self {
            Self::Certificate(credential) => credential.is_shown_on_tls(),
            Self::BoundAssertion(_) => true,
            Self::Secret(_) | Self::Assertion(_) | Self::TokenFile(_) | Self::Pipeline(_) | Self::AppTokens(_) => false,
        }
    }

    /// The certificate that tokens would be bound to, as far as it is known before anything is asked.
    fn binding(&self, clock: &dyn Clock) -> Result<Option<Certificate>, Error> {
        match self {
            Self::Certificate(credential) => credential.held(clock),
            Self::BoundAssertion(_) => Ok(None),
            Self::Secret(_) | Self::Assertion(_) | Self::TokenFile(_) | Self::Pipeline(_) | Self::AppTokens(_) => {
                Err(Error::configuration(
                    "a token that is bound to a certificate was asked for, and the credential has none",
                )
                .with_advice("give the client a certificate, or a bound_client_assertion"))
            }
        }
    }

    /// What only the app has, if it has something.
    fn own_secret(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Secret(secret) => Some(Zeroizing::new(secret.expose_secret().as_bytes().to_vec())),
            Self::Certificate(credential) => credential.private_key(),
            Self::Assertion(_)
            | Self::TokenFile(_)
            | Self::Pipeline(_)
            | Self::AppTokens(_)
            | Self::BoundAssertion(_) => None,
        }
    }

    /// How often it was found renewed on disk.
    fn changes(&self) -> u64 {
        match self {
            Self::Certificate(credential) => credential.changes(),
            Self::TokenFile(file) => file.changes(),
            Self::Secret(_) | Self::Assertion(_) | Self::Pipeline(_) | Self::AppTokens(_) | Self::BoundAssertion(_) => {
                0
            }
        }
    }
}

impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret([redacted])"),
            Self::Certificate(certificate) => certificate.fmt(f),
            Self::Assertion(_) => f.write_str("Assertion(callback)"),
            Self::BoundAssertion(_) => f.write_str("BoundAssertion(callback)"),
            Self::TokenFile(file) => file.fmt(f),
            Self::Pipeline(pipeline) => pipeline.fmt(f),
            Self::AppTokens(_) => f.write_str("AppTokens(callback)"),
        }
    }
}

/// AADSTS700024: the assertion is outside its time.
const OUTSIDE_ITS_TIME: u32 = 700_024;
/// What Entra calls an assertion that goes with a certificate on TLS.
const JWT_POP: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-pop";
/// RFC 7523 §2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
