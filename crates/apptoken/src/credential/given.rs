use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::assertion::StaticAssertion;
use super::certificates::DynCertificateProvider;
use super::client_assertion::AssertionSettings;
use super::{
    AppTokenProvider, AssertionSource, BoundAssertionSource, CertificateCredential, CertificateProvider,
    CertificateSource, DynAppTokenProvider, DynAssertionSource, DynBoundAssertionSource, InUse, PipelineOidc,
    TokenFile,
};
use crate::Error;
use crate::clock::Clock;
use crate::environment::Environment;

/// How an app proves who it is: what [`ConfidentialClientBuilder`](crate::ConfidentialClientBuilder)'s methods of the same
/// names give a new client, and [`replace_credential`](crate::ConfidentialClient::replace_credential) a living one.
pub struct Credential(Given);

enum Given {
    Secret(SecretString),
    Certificates(Vec<CertificateSource>),
    CertificateProvider(Box<dyn DynCertificateProvider>),
    Assertion(Box<dyn DynAssertionSource>),
    TokenFile(PathBuf),
    BoundAssertion(Box<dyn DynBoundAssertionSource>),
    GitHubActions,
    /// By the service connection's id.
    AzurePipelines(String),
    AppTokens(Box<dyn DynAppTokenProvider>),
}

impl Credential {
    /// A client secret.
    pub fn client_secret(secret: impl Into<SecretString>) -> Self {
        Self(Given::Secret(secret.into()))
    }

    /// A [`Certificate`](crate::Certificate), or a [`CertificateFile`](crate::CertificateFile) that is read again when it
    /// changes.
    pub fn certificate(certificate: impl Into<CertificateSource>) -> Self {
        Self(Given::Certificates(vec![certificate.into()]))
    }

    /// Several certificates, as while one is being replaced by another. Of those valid now the one is used that became so
    /// last; one that the authority refuses is passed over for five minutes, in which another may do.
    pub fn certificates<S: Into<CertificateSource>>(certificates: impl IntoIterator<Item = S>) -> Self {
        Self(Given::Certificates(certificates.into_iter().map(Into::into).collect()))
    }

    /// The certificate that `provider` gives for each token request.
    pub fn certificate_callback(provider: impl CertificateProvider) -> Self {
        Self(Given::CertificateProvider(Box::new(provider)))
    }

    /// Assertions that `source` gives.
    pub fn client_assertion(source: impl AssertionSource) -> Self {
        Self(Given::Assertion(Box::new(source)))
    }

    /// No proof at all: tokens that `provider` gets in place of the authority.
    pub fn app_token_provider(provider: impl AppTokenProvider) -> Self {
        Self(Given::AppTokens(Box::new(provider)))
    }

    /// Assertions that `source` gives, each with the certificate that it is bound to.
    pub fn bound_client_assertion(source: impl BoundAssertionSource) -> Self {
        Self(Given::BoundAssertion(Box::new(source)))
    }

    /// One assertion, made elsewhere; it works until it expires, which is minutes as a rule.
    pub fn static_assertion(assertion: impl Into<SecretString>) -> Self {
        Self::client_assertion(StaticAssertion(assertion.into()))
    }

    /// The assertion in a file that the platform keeps fresh.
    pub fn federated_token_file(path: impl Into<PathBuf>) -> Self {
        Self(Given::TokenFile(path.into()))
    }

    /// The identity of the GitHub Actions job that the program runs in.
    #[must_use]
    pub fn github_actions_oidc() -> Self {
        Self(Given::GitHubActions)
    }

    /// A service connection (by its id) of the Azure Pipelines job that the program runs in.
    pub fn azure_pipelines_oidc(service_connection_id: impl Into<String>) -> Self {
        Self(Given::AzurePipelines(service_connection_id.into()))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Given::Secret(_) => f.write_str("Secret([redacted])"),
            Given::Certificates(certificates) => f.debug_tuple("Certificates").field(certificates).finish(),
            Given::CertificateProvider(_) => f.write_str("Certificate(callback)"),
            Given::Assertion(_) => f.write_str("Assertion(callback)"),
            Given::BoundAssertion(_) => f.write_str("BoundAssertion(callback)"),
            Given::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
            Given::GitHubActions => f.write_str("GitHubActions"),
            Given::AzurePipelines(_) => f.write_str("AzurePipelines"),
            Given::AppTokens(_) => f.write_str("AppTokens(callback)"),
        }
    }
}

/// What a credential is made ready with.
pub(crate) struct Workshop {
    pub(crate) environment: Environment,
    pub(crate) allow_http_loopback: bool,
    pub(crate) assertions: AssertionSettings,
}

impl Workshop {
    /// Checks a credential and makes it ready, reading certificates from disk.
    pub(super) fn make(&self, Credential(given): Credential, clock: &dyn Clock) -> Result<InUse, Error> {
        let (environment, allow_http) = (&self.environment, self.allow_http_loopback);
        if self.assertions.shown_on_tls && !matches!(given, Given::Certificates(_) | Given::CertificateProvider(_)) {
            return Err(Error::configuration(
                "send_certificate_over_mtls was asked for, and the credential is no certificate",
            )
            .with_advice("give the client a certificate, or leave it out"));
        }
        Ok(match given {
            Given::Secret(secret) if secret.expose_secret().trim().is_empty() => {
                return Err(Error::credential("the client secret is empty").with_advice(
                    "check where it comes from: an environment variable that is not set, a file without content",
                ));
            }
            Given::Secret(secret) => InUse::Secret(secret),
            Given::Certificates(sources) => {
                InUse::Certificate(CertificateCredential::listed(sources, self.assertions.clone(), clock)?)
            }
            Given::CertificateProvider(provider) => {
                InUse::Certificate(CertificateCredential::provided(provider, self.assertions.clone()))
            }
            Given::Assertion(source) => InUse::Assertion(source),
            Given::BoundAssertion(source) => InUse::BoundAssertion(source),
            Given::TokenFile(path) => InUse::TokenFile(TokenFile::new(path)),
            Given::GitHubActions => InUse::Pipeline(PipelineOidc::github_actions(environment, allow_http)?),
            Given::AppTokens(provider) => InUse::AppTokens(provider),
            Given::AzurePipelines(id) => InUse::Pipeline(PipelineOidc::azure_pipelines(environment, &id, allow_http)?),
        })
    }
}
