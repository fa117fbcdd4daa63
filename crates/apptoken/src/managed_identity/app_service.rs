use secrecy::{ExposeSecret, SecretString};

use super::endpoint::{Endpoint, secret_header};
use super::{Identity, UserAssignedId};
use crate::Error;
use crate::env_vars::{IDENTITY_ENDPOINT, IDENTITY_HEADER};
use crate::environment::Environment;
use crate::http::Request;
use crate::request::Asked;

/// App Service, Functions and Container Apps.
pub(crate) struct AppService {
    endpoint: Endpoint,
    header: SecretString,
}

impl AppService {
    pub(super) fn detect(environment: &Environment) -> Result<Option<Self>, Error> {
        let Some(header) = environment.secret(IDENTITY_HEADER) else { return Ok(None) };
        let endpoint = Endpoint::of(environment, IDENTITY_ENDPOINT)?;
        Ok(endpoint.map(|endpoint| Self { endpoint, header }))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn secret(&self) -> &str {
        self.header.expose_secret()
    }

    pub(super) fn request(&self, identity: &Identity, asked: Asked<'_>) -> Result<Request, Error> {
        let mut query = vec![("api-version", "2019-08-01"), ("resource", asked.scope)];
        if let Identity::User(id) = identity {
            query.push(match id {
                UserAssignedId::Client(id) => ("client_id", id),
                UserAssignedId::Object(id) => ("object_id", id),
                UserAssignedId::Resource(id) => ("mi_res_id", id),
            });
        }
        self.endpoint.get(&query, [("x-identity-header", secret_header(IDENTITY_HEADER, &self.header)?)])
    }
}
