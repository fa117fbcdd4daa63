use std::fmt;

use super::selection::{are, why_not};
use super::{
    AcquireToken, ConfidentialClient, ConfidentialClientBuilder, EnvironmentCredential, ManagedIdentityClient,
    ManagedIdentityClientBuilder, Selection, TokenSource,
};
use crate::env_vars::AZURE_CLIENT_ID;
use crate::environment::Environment;
use crate::managed_identity::UserAssignedId;
use crate::scope::IntoScopes;
use crate::telemetry::TARGET;
use crate::{Error, ManagedIdentitySource};

/// The identity that the environment gives the program, whatever its kind: a secret or certificate, workload identity,
/// a managed identity, in this order. [`selection`](Self::selection) tells which, and why not the others.
///
/// A credential whose variables are not all set is passed over. One whose variables are all set is the one meant: if it
/// cannot be used, that is an error, and nothing else is tried in its place.
///
/// ```no_run
/// # async fn example() -> Result<(), apptoken::Error> {
/// use apptoken::EnvironmentClient;
///
/// let client = EnvironmentClient::from_environment()?;
/// println!("{}", client.selection());
/// let token = client.acquire_token("https://vault.azure.net/.default").await?;
/// # let _ = token; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct EnvironmentClient {
    client: AnyClient,
    selection: Selection,
}

/// A client of either kind, used in the same way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyClient {
    /// An app with a credential.
    Confidential(ConfidentialClient),
    /// The platform's identity.
    ManagedIdentity(ManagedIdentityClient),
}

impl EnvironmentClient {
    /// From the process's environment.
    ///
    /// # Errors
    /// The chosen credential cannot be used.
    pub fn from_environment() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Begins one with settings.
    pub fn builder() -> EnvironmentClientBuilder {
        EnvironmentClientBuilder {
            environment: Environment::process(),
            confidential: Box::new(|builder| builder),
            managed_identity: Box::new(|builder| builder),
        }
    }

    /// As [`AnyClient::acquire_token`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn acquire_token<'a>(&'a self, scope: impl IntoScopes<'a>) -> AcquireToken<'a> {
        self.client.acquire_token(scope)
    }

    /// As [`AnyClient::token_source`].
    ///
    /// # Errors
    /// A wrong scope.
    pub fn token_source<'a>(&self, scope: impl IntoScopes<'a>) -> Result<TokenSource, Error> {
        self.client.token_source(scope)
    }

    /// The client that does the work.
    #[must_use]
    pub fn client(&self) -> &AnyClient {
        &self.client
    }

    /// What was chosen, and why.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl AnyClient {
    /// A token for `scope`, one resource with `/.default` after it, which suits every kind of client. Awaiting what this
    /// returns runs it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn acquire_token<'a>(&'a self, scope: impl IntoScopes<'a>) -> AcquireToken<'a> {
        match self {
            Self::Confidential(client) => AcquireToken::new(&client.inner, scope.into_scopes()),
            Self::ManagedIdentity(client) => client.acquire_token(scope),
        }
    }

    /// A handle for one scope, for whoever asks often.
    ///
    /// # Errors
    /// A wrong scope.
    pub fn token_source<'a>(&self, scope: impl IntoScopes<'a>) -> Result<TokenSource, Error> {
        match self {
            Self::Confidential(client) => client.token_source(scope),
            Self::ManagedIdentity(client) => client.token_source(scope),
        }
    }
}

impl From<ConfidentialClient> for AnyClient {
    fn from(client: ConfidentialClient) -> Self {
        Self::Confidential(client)
    }
}

impl From<ManagedIdentityClient> for AnyClient {
    fn from(client: ManagedIdentityClient) -> Self {
        Self::ManagedIdentity(client)
    }
}

impl From<EnvironmentClient> for AnyClient {
    fn from(client: EnvironmentClient) -> Self {
        client.client
    }
}

/// Settings of an [`EnvironmentClient`].
#[must_use]
pub struct EnvironmentClientBuilder {
    environment: Environment,
    confidential: Box<dyn FnOnce(ConfidentialClientBuilder) -> ConfidentialClientBuilder + Send>,
    managed_identity: Box<dyn FnOnce(ManagedIdentityClientBuilder) -> ManagedIdentityClientBuilder + Send>,
}

impl EnvironmentClientBuilder {
    /// Where variables are looked up. Default: the process's.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Further settings for the case that an app with a credential is chosen: a CA to trust, a transport, a clock.
    pub fn confidential(
        mut self,
        settings: impl FnOnce(ConfidentialClientBuilder) -> ConfidentialClientBuilder + Send + 'static,
    ) -> Self {
        self.confidential = Box::new(settings);
        self
    }

    /// Further settings for the case that a managed identity is chosen.
    pub fn managed_identity(
        mut self,
        settings: impl FnOnce(ManagedIdentityClientBuilder) -> ManagedIdentityClientBuilder + Send + 'static,
    ) -> Self {
        self.managed_identity = Box::new(settings);
        self
    }

    /// Chooses, checks and makes the client. Sends nothing.
    ///
    /// # Errors
    /// The chosen credential cannot be used.
    pub fn build(self) -> Result<EnvironmentClient, Error> {
        let environment = self.environment;
        let missing = EnvironmentCredential::ALL.map(|credential| (credential, credential.missing(&environment)));
        // the last always may be
        let chosen = missing
            .iter()
            .find(|(_, missing)| missing.is_empty())
            .map_or(EnvironmentCredential::ManagedIdentity, |(credential, _)| *credential);
        let passed_over = missing
            .iter()
            .filter(|(credential, _)| *credential != chosen)
            .map(|(credential, missing)| (*credential, why_not(missing, chosen)))
            .collect();
        for (credential, missing) in missing.iter().take_while(|(credential, _)| *credential != chosen) {
            if credential.is_begun(&environment) {
                let missing = missing.join(", ");
                tracing::warn!(name: "apptoken.credential.incomplete", target: TARGET, %credential, missing, "a credential of the environment is incomplete and passed over");
            }
        }
        let selection = Selection { chosen, reason: String::new(), passed_over };
        let (client, reason) = match chosen {
            EnvironmentCredential::ManagedIdentity => {
                let (builder, which) = match environment.get(AZURE_CLIENT_ID) {
                    Some(id) => {
                        let which = format!("user-assigned, as {AZURE_CLIENT_ID} is set");
                        (ManagedIdentityClient::user_assigned(UserAssignedId::Client(id)), which)
                    }
                    None => (ManagedIdentityClient::system_assigned(), "system-assigned".to_owned()),
                };
                let builder = builder.environment(environment).note(selection.passed_over_in_one_line());
                let client = (self.managed_identity)(builder).build()?;
                let source = match client.source() {
                    ManagedIdentitySource::Imds => "IMDS, as no variable speaks of another source".to_owned(),
                    other => format!("{other}, as its variables are set"),
                };
                (AnyClient::ManagedIdentity(client), format!("{which}; from {source}"))
            }
            credential => {
                let builder = credential.builder(environment.clone())?;
                let client = (self.confidential)(builder).build()?;
                let reason = format!("{} and what belongs to it are set", credential.variable());
                (AnyClient::Confidential(client), reason)
            }
        };
        let selection = Selection { reason, ..selection };
        tracing::debug!(name: "apptoken.credential.chosen", target: TARGET, chosen = %selection.chosen, reason = selection.reason, "the environment's credential");
        Ok(EnvironmentClient { client, selection })
    }
}

impl ConfidentialClient {
    /// Begins a client for the workload identity that Kubernetes' webhook announces in `environment`: the app, its
    /// tenant, the cloud and the file with the service account's token, which is read for each token request.
    ///
    /// # Errors
    /// A variable is not set.
    pub fn workload_identity(environment: &Environment) -> Result<ConfidentialClientBuilder, Error> {
        let missing = EnvironmentCredential::WorkloadIdentity.missing(environment);
        if !missing.is_empty() {
            return Err(Error::credential(format!("no workload identity: {} not set", are(&missing))).with_advice(
                "label the pod azure.workload.identity/use: \"true\" and annotate its service account with the client id",
            ));
        }
        EnvironmentCredential::WorkloadIdentity.builder(environment.clone())
    }
}

impl fmt::Debug for EnvironmentClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentClientBuilder").field("environment", &self.environment).finish_non_exhaustive()
    }
}
