use std::path::PathBuf;

use secrecy::SecretString;

use super::ConfidentialClientBuilder;
use crate::Error;
use crate::authority::AssertionForm;
use crate::client::assertions::{AppAssertion, ManagedIdentityAssertion};
use crate::client::{ConfidentialClient, ManagedIdentityClient};
use crate::clock::Clock;
use crate::credential::{
    AppTokenProvider, AssertionSettings, AssertionSource, BoundAssertionSource, CertificateProvider, CertificateSource,
    Credential, Rotating, Workshop,
};
use crate::environment::Environment;
use crate::request::AssertionClaims;

/// How the app is to prove itself, as the program gave it.
#[derive(Default)]
pub(super) struct Credentials {
    given: Vec<Credential>,
    send_x5c: bool,
    shown_on_tls: bool,
    form: Option<AssertionForm>,
    extra_claims: Option<String>,
}

impl ConfidentialClientBuilder {
    /// Proves the app by `credential`: the general form of the methods below.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.given.push(credential);
        self
    }

    /// Proves the app by a client secret.
    pub fn client_secret(self, secret: impl Into<SecretString>) -> Self {
        self.credential(Credential::client_secret(secret))
    }

    /// Proves the app by a certificate: a [`Certificate`](crate::Certificate), or a
    /// [`CertificateFile`](crate::CertificateFile) that is read again when it changes. Its assertions are signed with PS256
    /// under its SHA-256 thumbprint, unless [`assertion_form`](Self::assertion_form) says otherwise.
    pub fn certificate(self, certificate: impl Into<CertificateSource>) -> Self {
        self.credential(Credential::certificate(certificate))
    }

    /// Proves the app by one of several certificates, as while one is being replaced by another: of those valid now the
    /// one that became so last. One that the authority refuses, being not registered yet perhaps, is passed over for five
    /// minutes.
    pub fn certificates<S: Into<CertificateSource>>(self, certificates: impl IntoIterator<Item = S>) -> Self {
        self.credential(Credential::certificates(certificates))
    }

    /// Proves the app by the certificate that `provider` gives for each token request.
    pub fn certificate_callback(self, provider: impl CertificateProvider) -> Self {
        self.credential(Credential::certificate_callback(provider))
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
    pub fn client_assertion(self, source: impl AssertionSource) -> Self {
        self.credential(Credential::client_assertion(source))
    }

    /// Proves the app by one assertion, made elsewhere. It works until it expires, which is minutes as a rule: a program
    /// that lives longer gives a [`client_assertion`](Self::client_assertion).
    pub fn static_assertion(self, assertion: impl Into<SecretString>) -> Self {
        self.credential(Credential::static_assertion(assertion))
    }

    /// Proves the app by the assertion in a file that the platform keeps fresh: workload identity federation, as on
    /// Kubernetes (`AZURE_FEDERATED_TOKEN_FILE`). The file is looked at for each token request, and read when it has
    /// changed.
    pub fn federated_token_file(self, path: impl Into<PathBuf>) -> Self {
        self.credential(Credential::federated_token_file(path))
    }

    /// Proves the app by the identity of the GitHub Actions job that the program runs in, which needs the permission
    /// `id-token: write`. The app's registration trusts the repository by a federated credential. The job's token is
    /// asked for with each token request, over this client's transport.
    pub fn github_actions_oidc(self) -> Self {
        self.credential(Credential::github_actions_oidc())
    }

    /// Proves the app by a service connection (by its id) of the Azure Pipelines job that the program runs in, which
    /// maps `$(System.AccessToken)` to the variable
    /// [`SYSTEM_ACCESSTOKEN`](crate::env_vars::SYSTEM_ACCESSTOKEN). The connection's token is asked for with each token
    /// request, over this client's transport.
    pub fn azure_pipelines_oidc(self, service_connection_id: impl Into<String>) -> Self {
        self.credential(Credential::azure_pipelines_oidc(service_connection_id))
    }

    /// Proves the app by a managed identity that its registration trusts (a federated credential): no secret anywhere,
    /// and tokens of other tenants too.
    pub fn managed_identity_assertion(self, identity: ManagedIdentityClient) -> Self {
        self.client_assertion(ManagedIdentityAssertion(identity))
    }

    /// Proves the app by a token that another app gets for `scope`, which is most often
    /// `api://AzureADTokenExchange/.default`: the first of two legs. A request's
    /// [`fmi_path_for_client_assertion`](crate::AcquireTokenForClient::fmi_path_for_client_assertion) is that leg's
    /// `fmi_path`. For agents there is [`ConfidentialClient::agent_identity`].
    pub fn app_assertion(self, app: ConfidentialClient, scope: impl Into<String>) -> Self {
        self.client_assertion(AppAssertion { app, scope: Some(scope.into()), fmi_path: None })
    }

    /// Gets tokens from `provider` in place of the authority: the client keeps them, refreshes them and lets no two callers
    /// ask for the same. The authority and the tenant are then only words that the provider is told.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), apptoken::Error> {
    /// use apptoken::{AppToken, AppTokenRequest, ConfidentialClient};
    /// use std::time::Duration;
    ///
    /// # async fn minted(_: &str) -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
    ///     .tenant("contoso.onmicrosoft.com")
    ///     .app_token_provider(|request: AppTokenRequest| async move {
    ///         minted(&request.scope).await.map(|token| AppToken::new(token, Duration::from_secs(3600)))
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn app_token_provider(self, provider: impl AppTokenProvider) -> Self {
        self.credential(Credential::app_token_provider(provider))
    }

    /// Sends the certificate's chain with each assertion (`x5c`), for apps that are registered by subject name and
    /// issuer. Default: no.
    pub fn send_x5c(mut self, send: bool) -> Self {
        self.credentials.send_x5c = send;
        self
    }

    /// Proves the app by assertions that `source` gives, each with the certificate that it is bound to: the connection to
    /// the token endpoint shows it. What is needed for tokens that are
    /// [bound to a certificate](crate::AcquireTokenForClient::mtls_proof_of_possession) without registering one.
    pub fn bound_client_assertion(self, source: impl BoundAssertionSource) -> Self {
        self.credential(Credential::bound_client_assertion(source))
    }

    /// Shows the certificate on the TLS connection as well as signing assertions with it, whose chain is sent then: for
    /// apps and tenants that demand it. Tokens stay bearer tokens. Only with a certificate. Default: no.
    pub fn send_certificate_over_mtls(mut self, send: bool) -> Self {
        self.credentials.shown_on_tls = send;
        self
    }

    /// How assertions are signed and name their certificate. Default: as the authority wants it.
    pub fn assertion_form(mut self, form: AssertionForm) -> Self {
        self.credentials.form = Some(form);
        self
    }

    /// Claims (a JSON object) that a certificate's assertions carry besides their own, for authorities that ask for some.
    /// None of the assertion's own may be among them.
    pub fn assertion_claims(mut self, claims: impl Into<String>) -> Self {
        self.credentials.extra_claims = Some(claims.into());
        self
    }
}

impl Credentials {
    /// The one that was given, ready for use.
    pub(super) fn make(
        self,
        environment: Environment,
        allow_http_loopback: bool,
        clock: &dyn Clock,
    ) -> Result<Rotating, Error> {
        let claims = self.extra_claims.as_deref().map(AssertionClaims::parse).transpose()?;
        let claims = claims.map(|claims| claims.members).unwrap_or_default();
        let assertions =
            AssertionSettings { send_x5c: self.send_x5c, shown_on_tls: self.shown_on_tls, form: self.form, claims };
        Rotating::new(only(self.given)?, Workshop { environment, allow_http_loopback, assertions }, clock)
    }
}

fn only(mut given: Vec<Credential>) -> Result<Credential, Error> {
    const ADVICE: &str = "give one of client_secret, certificate, certificates, client_assertion, federated_token_file, \
         github_actions_oidc, azure_pipelines_oidc, managed_identity_assertion, app_assertion and app_token_provider";
    match (given.pop(), given.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Error::credential("more than one credential was given").with_advice(ADVICE)),
        (None, _) => Err(Error::credential("no credential was given").with_advice(ADVICE)),
    }
}
