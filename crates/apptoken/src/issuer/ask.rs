//! One request, step by step: where to, by what proof, what goes out, what comes back.

use std::borrow::Cow;
use std::time::Duration;

use super::{App, Issuer, mutual_tls};
use crate::clock::Clock;
use crate::credential::{AppToken, Means, Occasion, Proof};
use crate::http::send_with_retry;
use crate::managed_identity::ManagedIdentity;
use crate::request::Asked;
use crate::token::{Scheme, header};
use crate::token_endpoint::{Grant, TokenRequest};
use crate::{ClientIdentity, Error};

/// A token, fresh from its issuer.
pub(crate) struct Granted {
    pub(crate) grant: Grant,
    pub(crate) token_endpoint: Box<str>,
    /// What a token of type `mtls_pop` is bound to.
    pub(crate) binding: Option<ClientIdentity>,
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
        let credential = self.credential.current();
        let token_endpoint = &self.authority.token_endpoint(asked.tenant);
        let token_endpoint = &match credential.is_shown_on_tls(asked) {
            true => Cow::Owned(mutual_tls::endpoint(token_endpoint)?),
            false => Cow::Borrowed(token_endpoint.as_str()),
        };
        let authority = &self.authority.origin();
        let form = self.authority.kind().assertion_form();
        let capabilities = &self.capabilities;
        let occasion = Occasion { client_id: &self.client_id, authority, form, token_endpoint, asked, capabilities };
        let retry = self.retry.within(asked.deadline.since(clock.now()));
        let means = Means { transport: &*self.transport, clock, retry: &retry };
        if let Some(token) = credential.app_token(&occasion).await {
            return granted_elsewhere(&token?, asked);
        }
        let proof = credential.prove(&occasion, means).await?;
        let (granted, http) = self.exchange(&occasion, &proof, clock).await;
        let denied = granted.as_ref().err().and_then(Error::denied);
        let another = match denied {
            Some(denied) => self.credential.another(&credential, &proof, denied, &occasion, means).await,
            None => None,
        };
        let (grant, proof, http) = match another {
            Some(proof) => {
                let (granted, more) = self.exchange(&occasion, &proof, clock).await;
                (granted?, proof, http + more)
            }
            None => (granted?, proof, http),
        };
        let binding = proof.identity().filter(|_| asked.options.scheme == Scheme::MtlsPop).cloned();
        Ok(Granted { grant, token_endpoint: token_endpoint.as_ref().into(), binding, http })
    }

    /// Request and answer, and what HTTP took of it.
    async fn exchange(
        &self,
        occasion: &Occasion<'_>,
        proof: &Proof,
        clock: &dyn Clock,
    ) -> (Result<Grant, Error>, Duration) {
        let Occasion { client_id, token_endpoint, asked, .. } = *occasion;
        let options = asked.options;
        let request = TokenRequest {
            endpoint: token_endpoint,
            client_id,
            proof,
            asked,
            claims: self.capabilities.with(options.client_claims.as_deref(), options.claims.as_deref()),
            extra: options.extra.over(&self.extra),
            telemetry_headers: self.telemetry_headers,
        };
        let sent = clock.now();
        let retry = self.retry.within(asked.deadline.since(sent));
        let granted = match request.to_http() {
            Ok(http) => {
                let answer = send_with_retry(&*self.transport, clock, &retry, http).await;
                request.read(answer, clock.system_time())
            }
            Err(error) => Err(error),
        };
        (granted, clock.now().since(sent))
    }
}

/// A token that the program got by itself; no HTTP of ours, and no endpoint.
fn granted_elsewhere(token: &AppToken, asked: Asked<'_>) -> Result<Granted, Error> {
    let (expires_in, refresh_in) = token.life();
    let scheme = asked.options.scheme;
    if !matches!(scheme, Scheme::Bearer) {
        return Err(Error::configuration(
            "a proof-of-possession token was asked for, and an app token provider gives bearer tokens",
        ));
    }
    let header = header(scheme, &[token.access_token()])?;
    let grant = Grant { header, scheme, expires_in, ext_expires_in: None, refresh_in };
    Ok(Granted { grant, token_endpoint: Box::default(), binding: None, http: Duration::ZERO })
}

async fn ask_platform(identity: &ManagedIdentity, asked: Asked<'_>, clock: &dyn Clock) -> Result<Granted, Error> {
    let sent = clock.now();
    let grant = identity.ask(asked, clock).await?;
    let http = clock.now().since(sent);
    Ok(Granted { grant, token_endpoint: identity.endpoint().into(), binding: None, http })
}
