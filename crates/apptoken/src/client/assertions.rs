//! Tokens of other identities as assertions (workload identity federation).

use secrecy::SecretString;

use super::{ConfidentialClient, ManagedIdentityClient};
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
    pub(super) scope: String,
}

impl AssertionSource for AppAssertion {
    async fn assertion(&self, request: AssertionRequest) -> Result<SecretString, Cause> {
        let call = self.app.acquire_token_for_client(&self.scope).correlation_id(request.correlation_id);
        // an agent's first leg: a token of the blueprint's for this agent
        let call = match &request.fmi_path {
            Some(path) => call.fmi_path(path),
            None => call,
        };
        let token = match &request.claims {
            Some(claims) => call.claims(claims).await,
            None => call.await,
        };
        token.map(|token| SecretString::from(token.secret())).map_err(first_leg)
    }
}

/// Says by itself what is to be done.
fn first_leg(error: Error) -> Cause {
    Box::new(error)
}
