//! One request, step by step: where to, by what proof, what goes out, what comes back.

use std::time::Duration;

use super::{App, Issuer};
use crate::Error;
use crate::clock::Clock;
use crate::credential::{Means, Occasion, Proof};
use crate::http::{Request, Response, TransportError, send_with_retry};
use crate::managed_identity::ManagedIdentity;
use crate::request::Asked;
use crate::token_endpoint::{Grant, TokenRequest};

/// A token, fresh from its issuer.
pub(crate) struct Granted {
    pub(crate) grant: Grant,
    pub(crate) token_endpoint: Box<str>,
    /// What HTTP took of it, retries included.
    pub(crate) http: Duration,
}

impl Issuer {
    pub(crate) async fn ask(&self, asked: Asked<'_>, clock: &dyn Clock) -> Result<Granted, Error> {
        match self {
            Self::Authority(app) => app.ask(asked, clock).await,
            Self::ManagedIdentity(identity) => ask_platform(identity, asked, clock).await,
        }
    }
}

impl App {
    async fn ask(&self, asked: Asked<'_>, clock: &dyn Clock) -> Result<Granted, Error> {
        let endpoint = self.authority.token_endpoint(asked.tenant);
        let proof = self.prove(&endpoint, asked, clock).await?;
        let request = self.request(&endpoint, &proof, asked);
        let sent = clock.now();
        let answer = self.send(request.to_http()?, clock).await;
        let http = clock.now().since(sent);
        let grant = self.read(&request, answer)?;
        Ok(Granted { grant, token_endpoint: endpoint.into(), http })
    }

    async fn prove(&self, token_endpoint: &str, asked: Asked<'_>, clock: &dyn Clock) -> Result<Proof, Error> {
        let capabilities = &self.capabilities;
        let occasion = Occasion { client_id: &self.client_id, token_endpoint, asked, capabilities };
        let means = Means { transport: &*self.transport, clock, retry: &self.retry };
        self.credential.prove(&occasion, means).await
    }

    fn request<'a>(&'a self, endpoint: &'a str, proof: &'a Proof, asked: Asked<'a>) -> TokenRequest<'a> {
        let options = asked.options;
        TokenRequest {
            endpoint,
            client_id: &self.client_id,
            proof,
            asked,
            claims: self.capabilities.with(options.client_claims.as_deref(), options.claims.as_deref()),
            extra: options.extra.over(&self.extra),
        }
    }

    async fn send(&self, request: Request, clock: &dyn Clock) -> Result<Response, TransportError> {
        send_with_retry(&*self.transport, clock, &self.retry, request).await
    }

    fn read(&self, request: &TokenRequest<'_>, answer: Result<Response, TransportError>) -> Result<Grant, Error> {
        request.read(answer).inspect_err(|error| {
            if error.denied().is_some_and(|denied| denied.error() == "invalid_client") {
                self.credential.refused();
            }
        })
    }
}

async fn ask_platform(identity: &ManagedIdentity, asked: Asked<'_>, clock: &dyn Clock) -> Result<Granted, Error> {
    let sent = clock.now();
    let grant = identity.ask(asked, clock).await?;
    let http = clock.now().since(sent);
    Ok(Granted { grant, token_endpoint: identity.endpoint().into(), http })
}
