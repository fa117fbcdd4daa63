use ::http::HeaderValue;

use super::endpoint::Endpoint;
use super::{Identity, METADATA, UserAssignedId};
use crate::Error;
use crate::env_vars::AZURE_POD_IDENTITY_AUTHORITY_HOST;
use crate::environment::Environment;
use crate::http::Request;
use crate::request::Asked;

/// The instance-metadata service, version 1.
pub(crate) struct Imds {
    endpoint: Endpoint,
}

impl Imds {
    pub(super) fn detect(environment: &Environment) -> Result<Self, Error> {
        let endpoint = match Endpoint::of(environment, AZURE_POD_IDENTITY_AUTHORITY_HOST)? {
            Some(elsewhere) => elsewhere.at(PATH),
            None => Endpoint::fixed(HOST)?.at(PATH),
        };
        Ok(Self { endpoint })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn request(&self, identity: &Identity, asked: Asked<'_>) -> Result<Request, Error> {
        let mut query = vec![("api-version", "2018-02-01"), ("resource", asked.scope)];
        if let Identity::User(id) = identity {
            query.push(match id {
                UserAssignedId::Client(id) => ("client_id", id),
                UserAssignedId::Object(id) => ("object_id", id),
                UserAssignedId::Resource(id) => ("msi_res_id", id),
            });
        }
        let id = HeaderValue::try_from(asked.correlation_id.to_string())
            .map_err(|_| Error::configuration("the correlation id is not fit for a header"))?;
        let headers = [METADATA, ("x-ms-client-request-id", id)];
        self.endpoint.get(&query, headers)
    }
}

const HOST: &str = "http://169.254.169.254";
const PATH: &str = "/metadata/identity/oauth2/token";
