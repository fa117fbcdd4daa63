use super::METADATA;
use super::endpoint::Endpoint;
use crate::Error;
use crate::env_vars::MSI_ENDPOINT;
use crate::environment::Environment;
use crate::http::Request;
use crate::request::Asked;

/// Cloud Shell.
pub(crate) struct CloudShell {
    endpoint: Endpoint,
}

impl CloudShell {
    pub(super) fn detect(environment: &Environment) -> Result<Option<Self>, Error> {
        Ok(Endpoint::of(environment, MSI_ENDPOINT)?.map(|endpoint| Self { endpoint }))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn request(&self, asked: Asked<'_>) -> Result<Request, Error> {
        self.endpoint.post_form(&[("resource", asked.scope)], [METADATA])
    }
}
