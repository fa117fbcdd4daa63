use secrecy::{ExposeSecret, SecretString};

use super::Identity;
use super::endpoint::{Endpoint, secret_header};
use crate::Error;
use crate::env_vars::{IDENTITY_ENDPOINT, IDENTITY_HEADER, IDENTITY_SERVER_THUMBPRINT};
use crate::environment::Environment;
use crate::http::{Request, ThumbprintPin};
use crate::request::{Asked, TokenHash};

/// A Service Fabric cluster. Its server's certificate is signed by nobody: the platform tells its thumbprint.
pub(crate) struct ServiceFabric {
    endpoint: Endpoint,
    header: SecretString,
    pin: ThumbprintPin,
}

impl ServiceFabric {
    pub(super) fn detect(environment: &Environment) -> Result<Option<Self>, Error> {
        let (Some(header), Some(thumbprint)) =
            (environment.secret(IDENTITY_HEADER), environment.get(IDENTITY_SERVER_THUMBPRINT))
        else {
            return Ok(None);
        };
        let Some(endpoint) = Endpoint::of(environment, IDENTITY_ENDPOINT)? else { return Ok(None) };
        if !endpoint.is_https() {
            return Err(Error::configuration(format!(
                "{IDENTITY_SERVER_THUMBPRINT} is set and {IDENTITY_ENDPOINT} is not https, so the server cannot be told"
            ))
            .with_advice("leave both as Service Fabric set them"));
        }
        let pin = ThumbprintPin::parse(&thumbprint).ok_or_else(|| {
            Error::configuration(format!("{IDENTITY_SERVER_THUMBPRINT} is not a thumbprint in hex"))
                .with_advice("leave it as Service Fabric set it")
        })?;
        Ok(Some(Self { endpoint, header, pin }))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn secret(&self) -> &str {
        self.header.expose_secret()
    }

    pub(super) fn pin(&self) -> ThumbprintPin {
        self.pin
    }

    /// The one source that can be told which token an API has turned down.
    pub(super) fn request(&self, identity: &Identity, asked: Asked<'_>) -> Result<Request, Error> {
        let rejected = asked.rejected.map(TokenHash::to_hex);
        let mut query = vec![("api-version", "2020-05-01"), ("resource", asked.scope)];
        if let Identity::User(id) = identity {
            query.push(("principalId", id.value()));
        }
        query.extend(rejected.as_deref().map(|hash| ("token_sha256_to_refresh", hash)));
        self.endpoint.get(&query, [("secret", secret_header(IDENTITY_HEADER, &self.header)?)])
    }
}
