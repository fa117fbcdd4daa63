//! Tokens of other identities as assertions (workload identity federation).

use secrecy::SecretString;

use super::{ConfidentialClient, ConfidentialClientBuilder, ManagedIdentityClient};
use crate::Error;
use crate::authority::token_exchange;
use crate::credential::{AssertionRequest, AssertionSource};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A managed identity's token for the cloud's token exchange.
pub(super) struct ManagedIdentityAssertion(pub(super) ManagedIdentityClient);

impl AssertionSource for ManagedIdentityAssertion {
    async fn assertion(&self, request: AssertionRequest) -> Result<SecretString, Cause> {
        let audience = token_exchange(&request.token_endpoint);
        let call = self.0.acquire_token(audience).correlation_id(request.correlation_id);
        let token = match &request.claims {
            Some(claims) => call.claims(claims).await,
            None => call.await,
        };
        token.map(|token| SecretString::from(token.secret())).map_err(first_leg)
    }
}

/// Another app's token for a scope.
pub(super) struct AppAssertion {
    pub(super) app: ConfidentialClient,
    /// None: the cloud's token exchange.
    pub(super) scope: Option<String>,
    /// The part of the app that the token is for, its agent. None: what the request says, if anything.
    pub(super) fmi_path: Option<String>,
}

impl AssertionSource for AppAssertion {
    async fn assertion(&self, request: AssertionRequest) -> Result<SecretString, Cause> {
        let exchange = || format!("{}/.default", token_exchange(&request.token_endpoint));
        let scope = self.scope.clone().unwrap_or_else(exchange);
        let mut call = self.app.acquire_token_for_client(scope).correlation_id(request.correlation_id);
        if let Some(claims) = &request.claims {
            call = call.claims(claims);
        }
        if let Some(path) = self.fmi_path.as_ref().or(request.fmi_path.as_ref()) {
            call = call.fmi_path(path);
            // both legs are in one tenant
            if self.app.authority() == request.authority {
                call = call.tenant(&request.tenant);
            }
        }
        call.await.map(|token| SecretString::from(token.secret())).map_err(first_leg)
    }
}

impl ConfidentialClient {
    /// Begins a client for an agent of this app, its blueprint, by the agent's id: at the same authority, in the same
    /// tenant and region, over the same transport, under one request rate and circuit. The agent proves itself by a token that the blueprint gets for it
    /// (`fmi_path`), in the tenant of each request.
    ///
    /// ```no_run
    /// # async fn example(blueprint: apptoken::ConfidentialClient) -> Result<(), apptoken::Error> {
    /// let agent = blueprint.agent_identity("11112222-bbbb-3333-cccc-4444dddd5555").build()?;
    /// let token = agent.acquire_token_for_client(["https://graph.microsoft.com/.default"]).await?;
    /// # let _ = token; Ok(()) }
    /// ```
    pub fn agent_identity(&self, agent_id: impl Into<String>) -> ConfidentialClientBuilder {
        let agent_id = agent_id.into();
        let by_blueprint = AppAssertion { app: self.clone(), scope: None, fmi_path: Some(agent_id.clone()) };
        ConfidentialClientBuilder::like(agent_id, self).client_assertion(by_blueprint)
    }

    /// Scheme, host and port of the authority.
    fn authority(&self) -> String {
        self.app.endpoints.authority().origin().to_owned()
    }
}

/// Says by itself what is to be done.
fn first_leg(error: Error) -> Cause {
    Box::new(error)
}
