use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::ConfidentialClientBuilder;
use crate::Error;
use crate::client::assertions::{AppAssertion, ManagedIdentityAssertion};
use crate::client::{ConfidentialClient, ManagedIdentityClient};
use crate::clock::Clock;
use crate::credential::{
    AssertionSource, Certificate, CertificateCredential, Credential, DynAssertionSource, PipelineOidc, TokenFile,
};
use crate::environment::Environment;

/// How the app is to prove itself, as the program gave it.
#[derive(Default)]
pub(super) struct Credentials {
    given: Vec<Given>,
    send_x5c: bool,
}

enum Given {
    Secret(SecretString),
    Certificate(Certificate),
    Assertion(Box<dyn DynAssertionSource>),
    GitHubActions,
    /// By the service connection's id.
    AzurePipelines(String),
}

impl ConfidentialClientBuilder {
    /// Proves the app by a client secret.
    pub fn client_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.credentials.given.push(Given::Secret(secret.into()));
        self
    }

    /// Proves the app by a certificate: assertions signed with PS256 under its SHA-256 thumbprint.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.credentials.given.push(Given::Certificate(certificate));
        self
    }

    /// Proves the app by assertions that `source` gives: signed elsewhere, or federated.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), apptoken::Error> {
    /// use apptoken::ConfidentialClient;
    ///
    /// let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
    ///     .tenant("contoso.onmicrosoft.com")
    ///     .client_assertion(|_request| async { std::fs::read_to_string("/var/run/secrets/token") })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn client_assertion(mut self, source: impl AssertionSource) -> Self {
        self.credentials.given.push(Given::Assertion(Box::new(source)));
        self
    }

    /// Proves the app by the assertion in a file that the platform keeps fresh: workload identity federation, as on
    /// Kubernetes (`AZURE_FEDERATED_TOKEN_FILE`). The file is read for each token request.
    pub fn federated_token_file(self, path: impl Into<PathBuf>) -> Self {
        self.client_assertion(TokenFile(path.into()))
    }

    /// Proves the app by the identity of the GitHub Actions job that the program runs in, which needs the permission
    /// `id-token: write`. The app's registration trusts the repository by a federated credential. The job's token is
    /// asked for with each token request, over this client's transport.
    pub fn github_actions_oidc(mut self) -> Self {
        self.credentials.given.push(Given::GitHubActions);
        self
    }

    /// Proves the app by a service connection (by its id) of the Azure Pipelines job that the program runs in, which
    /// maps `$(System.AccessToken)` to the variable
    /// [`SYSTEM_ACCESSTOKEN`](crate::env_vars::SYSTEM_ACCESSTOKEN). The connection's token is asked for with each token
    /// request, over this client's transport.
    pub fn azure_pipelines_oidc(mut self, service_connection_id: impl Into<String>) -> Self {
        self.credentials.given.push(Given::AzurePipelines(service_connection_id.into()));
        self
    }

    /// Proves the app by a managed identity that its registration trusts (a federated credential): no secret anywhere,
    /// and tokens of other tenants too.
    pub fn managed_identity_assertion(self, identity: ManagedIdentityClient) -> Self {
        self.client_assertion(ManagedIdentityAssertion(identity))
    }

    /// Proves the app by a token that another app gets for `scope`, which is most often
    /// `api://AzureADTokenExchange/.default`: the first of two legs.
    pub fn app_assertion(self, app: ConfidentialClient, scope: impl Into<String>) -> Self {
        self.client_assertion(AppAssertion { app, scope: scope.into() })
    }

    /// Sends the certificate's chain with each assertion (`x5c`), for apps that are registered by subject name and
    /// issuer. Default: no.
    pub fn send_x5c(mut self, send: bool) -> Self {
        self.credentials.send_x5c = send;
        self
    }
}

impl Credentials {
    /// The one that was given, ready for use.
    pub(super) fn make(
        self,
        environment: &Environment,
        allow_http_loopback: bool,
        clock: &dyn Clock,
    ) -> Result<Credential, Error> {
        Ok(match only(self.given)? {
            Given::GitHubActions => {
                Credential::Pipeline(PipelineOidc::github_actions(environment, allow_http_loopback)?)
            }
            Given::AzurePipelines(id) => {
                Credential::Pipeline(PipelineOidc::azure_pipelines(environment, &id, allow_http_loopback)?)
            }
            Given::Assertion(source) => Credential::Assertion(source),
            Given::Certificate(certificate) => {
                certificate.check_validity(clock.system_time())?;
                Credential::Certificate(CertificateCredential::new(certificate, self.send_x5c))
            }
            Given::Secret(secret) if secret.expose_secret().trim().is_empty() => {
                return Err(Error::credential("the client secret is empty").with_advice(
                    "check where it comes from: an environment variable that is not set, a file without content",
                ));
            }
            Given::Secret(secret) => Credential::Secret(secret),
        })
    }
}

fn only(mut given: Vec<Given>) -> Result<Given, Error> {
    const ADVICE: &str = "give one of client_secret, certificate, client_assertion, federated_token_file, \
         github_actions_oidc, azure_pipelines_oidc, managed_identity_assertion and app_assertion";
    match (given.pop(), given.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Error::credential("more than one credential was given").with_advice(ADVICE)),
        (None, _) => Err(Error::credential("no credential was given").with_advice(ADVICE)),
    }
}
