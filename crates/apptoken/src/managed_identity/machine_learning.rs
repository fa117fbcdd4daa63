use secrecy::{ExposeSecret, SecretString};

use super::endpoint::{Endpoint, secret_header};
use super::{Identity, METADATA};
use crate::Error;
use crate::env_vars::{DEFAULT_IDENTITY_CLIENT_ID, MSI_ENDPOINT, MSI_SECRET};
use crate::environment::Environment;
use crate::http::Request;
use crate::request::Asked;

/// Compute of Azure Machine Learning.
pub(crate) struct MachineLearning {
    endpoint: Endpoint,
    secret: SecretString,
    /// The compute's own identity, which stands for the system-assigned one.
    default_client_id: Option<String>,
}

impl MachineLearning {
    pub(super) fn detect(environment: &Environment) -> Result<Option<Self>, Error> {
        let Some(secret) = environment.secret(MSI_SECRET) else { return Ok(None) };
        let endpoint = Endpoint::of(environment, MSI_ENDPOINT)?;
        let default_client_id = environment.get(DEFAULT_IDENTITY_CLIENT_ID);
        Ok(endpoint.map(|endpoint| Self { endpoint, secret, default_client_id }))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn secret(&self) -> &str {
        self.secret.expose_secret()
    }

    pub(super) fn request(&self, identity: &Identity, asked: Asked<'_>) -> Result<Request, Error> {
        let client_id = match identity {
            Identity::User(id) => Some(id.value()),
            Identity::System => self.default_client_id.as_deref(),
        };
        let mut query = vec![("api-version", "2017-09-01"), ("resource", asked.scope)];
        query.extend(client_id.map(|id| ("clientid", id)));
        self.endpoint.get(&query, [METADATA, ("secret", secret_header(MSI_SECRET, &self.secret)?)])
    }
}
