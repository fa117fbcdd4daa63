//! One request, step by step: where to, by what proof, what goes out, what comes back.

use std::time::Duration;

use super::{App, Issuer};
use crate::authority::{Channel, TokenEndpoint, Wanted};
use crate::clock::{Clock, Moment};
use crate::credential::{AppToken, Means, Occasion, Proof, Used};
use crate::http::{Request, Response, TransportError, send_to_the_first, send_with_retry, sent_at};
use crate::managed_identity::ManagedIdentity;
use crate::request::Asked;
use crate::token::{Additional, RegionUse, Scheme, header};
use crate::token_endpoint::{Grant, TokenRequest};
use crate::{ClientIdentity, Error};

/// A token, fresh from its issuer.
pub(crate) struct Granted {
    pub(crate) grant: Grant,
    pub(crate) token_endpoint: Box<str>,
    pub(crate) region: RegionUse,
    /// What a token of type `mtls_pop` is bound to.
    pub(crate) binding: Option<ClientIdentity>,
    /// From when its lifetime counts: when the request was sent that brought it. The issuer began to count no sooner.
    pub(crate) sent: Moment,
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

/// What came of one endpoint.
struct Exchanged {
    granted: Result<Granted, Error>,
    /// Where the same request goes instead: the endpoint is a region's, and the region is ill.
    instead: Option<TokenEndpoint>,
    http: Duration,
}

impl App {
    async fn ask(&self, asked: Asked<'_>, clock: &dyn Clock) -> Result<Granted, Error> {
        let credential = self.credential.current();
        // before anything is looked up: the provider has no need of an authority
        if let Some(token) = credential.app_token(&self.client_id, &self.capabilities, asked).await {
            return granted_elsewhere(&token?, asked, clock.now());
        }
        let channel = if credential.is_shown_on_tls(asked) { Channel::MutualTls } else { Channel::Tls };
        let wanted = Wanted { tenant: asked.tenant, region: asked.options.region.as_ref(), channel };
        let mut endpoint = self.endpoints.token_endpoint(wanted).await?;
        let mut http = Duration::ZERO;
        let granted = loop {
            match self.ask_at(&credential, &endpoint, wanted, asked, clock).await {
                Ok(exchanged) => {
                    http += exchanged.http;
                    match exchanged.instead {
                        Some(global) => endpoint = global,
                        None => break exchanged.granted,
                    }
                }
                Err(error) => break Err(error),
            }
        };
        granted.map(|granted| Granted { http, ..granted }).map_err(|error| {
            error.with_metadata(|metadata| {
                metadata.token_endpoint = endpoint.url.into();
                metadata.duration_http = http;
            })
        })
    }

    /// By the credential's proof, and by another where that one was refused and the credential has one.
    async fn ask_at(
        &self,
        credential: &Used,
        endpoint: &TokenEndpoint,
        wanted: Wanted<'_>,
        asked: Asked<'_>,
        clock: &dyn Clock,
    ) -> Result<Exchanged, Error> {
        let authority = self.endpoints.authority();
        let occasion = Occasion {
            client_id: &self.client_id,
            authority: authority.origin(),
            form: authority.kind().assertion_form(),
            token_endpoint: endpoint.audience(),
            asked,
            capabilities: &self.capabilities,
        };
        let retry = self.retry.within(asked.deadline.since(clock.now()));
        let means = Means { transport: &*self.transport, clock, retry: &retry };
        let proof = credential.prove(&occasion, means).await?;
        let exchanged = self.exchange(endpoint, wanted, asked, &proof, clock).await;
        let another = match exchanged.granted.as_ref().err().and_then(Error::denied) {
            Some(denied) => self.credential.another(credential, &proof, denied, &occasion, means).await,
            None => None,
        };
        let (mut exchanged, proof) = match another {
            Some(proof) => {
                let generation = self.credential.generation();
                let again = self.exchange(endpoint, wanted, asked, &proof, clock).await;
                let granted = again.granted.map_err(|error| error.said_to(generation));
                (Exchanged { granted, http: exchanged.http + again.http, ..again }, proof)
            }
            None => (exchanged, proof),
        };
        if let Ok(granted) = &mut exchanged.granted {
            granted.binding = proof.identity().filter(|_| asked.options.scheme == Scheme::MtlsPop).cloned();
        }
        Ok(exchanged)
    }

    /// Request and answer, and what HTTP took of it.
    async fn exchange(
        &self,
        endpoint: &TokenEndpoint,
        wanted: Wanted<'_>,
        asked: Asked<'_>,
        proof: &Proof,
        clock: &dyn Clock,
    ) -> Exchanged {
        let options = asked.options;
        let region = endpoint.region_use();
        let extra = options.extra.over(&self.extra);
        let extra = match options.hooks.add(extra, &self.client_id, &endpoint.url, asked).await {
            Ok(extra) => extra,
            Err(error) => {
                let error = error.with_correlation_id(asked.correlation_id);
                return Exchanged { granted: Err(error), instead: None, http: Duration::ZERO };
            }
        };
        let request = TokenRequest {
            endpoint: &endpoint.url,
            client_id: &self.client_id,
            proof,
            asked,
            claims: self.capabilities.with(options.client_claims.as_deref(), options.claims.as_deref()),
            extra,
            region: &region,
            caller: self.telemetry_headers.then_some(&self.caller),
        };
        let sent = clock.now();
        let answer = match request.to_http() {
            Ok(http) => self.send(http, endpoint, asked, clock).await,
            Err(error) => return Exchanged { granted: Err(error), instead: None, http: Duration::ZERO },
        };
        let http = clock.now().since(sent);
        let instead = self.endpoints.instead_of(endpoint, &answer, wanted);
        let status = answer.as_ref().ok().map(Response::status);
        let sent = answer.as_ref().ok().and_then(sent_at).unwrap_or(sent);
        let token_endpoint = endpoint.url.clone();
        let granted = request.read(answer, clock.system_time());
        let granted = granted
            .map(|grant| Granted { grant, token_endpoint, region, binding: None, sent, http })
            .map_err(|error| self.endpoints.explain(error, status, endpoint));
        Exchanged { granted, instead, http }
    }

    async fn send(
        &self,
        request: Request,
        endpoint: &TokenEndpoint,
        asked: Asked<'_>,
        clock: &dyn Clock,
    ) -> Result<Response, TransportError> {
        let retry = self.retry.within(asked.deadline.since(clock.now()));
        match endpoint.patience() {
            None => send_with_retry(&*self.transport, clock, &retry, request).await,
            Some(patience) => send_to_the_first(&*self.transport, clock, &retry, request, patience).await,
        }
    }
}

/// A token that the program got by itself; no HTTP of ours, and no endpoint.
fn granted_elsewhere(token: &AppToken, asked: Asked<'_>, sent: Moment) -> Result<Granted, Error> {
    let (expires_in, refresh_in) = token.life();
    let scheme = asked.options.scheme;
    if !matches!(scheme, Scheme::Bearer) {
        return Err(Error::configuration(
            "a proof-of-possession token was asked for, and an app token provider gives bearer tokens",
        ));
    }
    let header = header(scheme, &[token.access_token()])?;
    let grant =
        Grant { header, scheme, expires_in, ext_expires_in: None, refresh_in, additional: Additional::default() };
    let region = RegionUse::default();
    Ok(Granted { grant, token_endpoint: Box::default(), region, binding: None, sent, http: Duration::ZERO })
}

async fn ask_platform(identity: &ManagedIdentity, asked: Asked<'_>, clock: &dyn Clock) -> Result<Granted, Error> {
    let sent = clock.now();
    let grant = identity.ask(asked, clock).await;
    let http = clock.now().since(sent);
    let (grant, last_sent) = grant.map_err(|error| {
        error.with_metadata(|metadata| {
            metadata.token_endpoint = identity.endpoint().to_owned();
            metadata.duration_http = http;
        })
    })?;
    let (region, sent) = (RegionUse::default(), last_sent.unwrap_or(sent));
    Ok(Granted { grant, token_endpoint: identity.endpoint().into(), region, binding: None, sent, http })
}
