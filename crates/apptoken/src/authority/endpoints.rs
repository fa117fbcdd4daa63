//! Where each token request goes: worked out from the authority, what its cloud or provider says, and the region.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;

use super::health::Health;
use super::host::{self, Channel};
use super::instance::{self, Verdict};
use super::kept::{Found, Kept};
use super::oidc::{self, Configuration};
use super::region::{self, Region, RegionSource};
use super::{Authority, Cloud, Kind, Tenant};
use crate::Error;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::http::{DynTransport, Response, RetryPolicy, TransportError, TransportErrorKind, is_ill};
use crate::token::{RegionOutcome, RegionUse};

/// The token endpoints of one client.
pub(crate) struct Endpoints {
    authority: Authority,
    hosts: Hosts,
    region: RegionSource,
    health: Health,
    net: Net,
}

/// What look-ups travel by.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) transport: Arc<dyn DynTransport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retry: RetryPolicy,
}

/// What the program says about where tokens come from.
#[derive(Default)]
pub(crate) struct Settings<'a> {
    /// Instance discovery for unknown hosts.
    pub(crate) no_discovery: bool,
    /// What instance discovery would say.
    pub(crate) metadata: Option<&'a str>,
    /// A region's name, or one of MSAL's words.
    pub(crate) region: Option<&'a str>,
    pub(crate) allow_http_loopback: bool,
}

/// How the host is known.
enum Hosts {
    Known(Arc<Cloud>),
    /// Entra is asked about it.
    Asked(Arc<Kept<Verdict>>),
    /// The provider says where its endpoints are.
    Configured {
        kept: Arc<Kept<Result<Arc<Configuration>, Error>>>,
        allow_http_loopback: bool,
    },
}

/// What a token request needs.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) tenant: &'a Tenant,
    /// In place of the client's.
    pub(crate) region: Option<&'a Region>,
    pub(crate) channel: Channel,
}

/// One token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenEndpoint {
    pub(crate) url: Box<str>,
    pub(crate) region: Option<Region>,
    pub(crate) outcome: RegionOutcome,
}

impl TokenEndpoint {
    /// What an assertion is for: the endpoint without its query.
    pub(crate) fn audience(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    pub(crate) fn region_use(&self) -> RegionUse {
        RegionUse { region: self.region.as_ref().map(|region| region.as_str().into()), outcome: self.outcome }
    }

    /// How long an answer is waited for, where another endpoint stands behind this one.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.region.is_some().then_some(REGIONAL_PATIENCE)
    }
}

impl Endpoints {
    pub(crate) fn new(
        authority: Authority,
        settings: &Settings<'_>,
        environment: &Environment,
        net: Net,
    ) -> Result<Self, Error> {
        let hosts = match (authority.kind(), settings.metadata) {
            (Kind::Entra, Some(json)) => Hosts::Known(Arc::new(instance::given(&authority, json)?)),
            (_, Some(_)) => {
                let kind = authority.kind().name();
                return Err(Error::configuration(format!("instance metadata was given, and {kind} has none"))
                    .with_advice("leave it out"));
            }
            (Kind::Oidc, None) => {
                Hosts::Configured { kept: Kept::new(), allow_http_loopback: settings.allow_http_loopback }
            }
            (_, None) if !settings.no_discovery && instance::is_needed(&authority) => Hosts::Asked(Kept::new()),
            (_, None) => Hosts::Known(Arc::new(authority.cloud())),
        };
        let region = RegionSource::choose(settings.region, &authority, environment)?;
        Ok(Self { authority, hosts, region, health: Health::default(), net })
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The cloud as far as it is known without asking: its names are those that other MSALs keep tokens under.
    pub(crate) fn cloud(&self) -> Arc<Cloud> {
        match &self.hosts {
            Hosts::Known(cloud) => cloud.clone(),
            Hosts::Asked(kept) => match kept.last() {
                Some(Verdict::Cloud(cloud)) => cloud,
                _ => Arc::new(self.authority.cloud()),
            },
            Hosts::Configured { .. } => Arc::new(self.authority.cloud()),
        }
    }

    /// Where a request goes. Looks up what is not known yet.
    pub(crate) async fn token_endpoint(&self, wanted: Wanted<'_>) -> Result<TokenEndpoint, Error> {
        let cloud = match &self.hosts {
            Hosts::Known(cloud) => cloud.clone(),
            Hosts::Asked(kept) => self.discover(kept, wanted.tenant).await?,
            Hosts::Configured { kept, allow_http_loopback } => {
                return self.configured(kept, *allow_http_loopback, wanted.channel).await;
            }
        };
        if wanted.region.is_some() {
            region::of_kind(self.authority.kind())?;
        }
        let (region, outcome) = self.region(wanted.region).await;
        self.at(&cloud, region, outcome, wanted)
    }

    /// What an answer says about its endpoint: where the same request goes instead, when the region is ill.
    pub(crate) fn instead_of(
        &self,
        endpoint: &TokenEndpoint,
        answer: &Result<Response, TransportError>,
        wanted: Wanted<'_>,
    ) -> Option<TokenEndpoint> {
        let region = endpoint.region.as_ref()?;
        let why = match answer {
            Ok(response) if is_ill(response.status()) => format!("HTTP {}", response.status().as_u16()),
            Ok(_) => {
                self.health.answered(region);
                return None;
            }
            Err(error) if matches!(error.kind(), TransportErrorKind::Setup | TransportErrorKind::TooLarge) => {
                return None;
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(%region, why, "the region is ill; the global endpoint is asked");
        // what was not sent says nothing new about the region
        if !matches!(answer, Err(error) if error.kind() == TransportErrorKind::Withheld) {
            self.health.failed(region, self.net.clock.now());
        }
        self.at(&self.cloud(), None, RegionOutcome::Ill, wanted).ok()
    }

    /// Adds what only the authority's kind explains.
    pub(crate) fn explain(&self, error: Error, status: Option<StatusCode>, endpoint: &TokenEndpoint) -> Error {
        let codes = error.denied().map(|denied| denied.codes().to_vec()).unwrap_or_default();
        if *self.authority.kind() == Kind::Oidc
            && codes.iter().any(|code| [500_207, 900_144].contains(code))
            && !self.authority.url.path().contains("/v2.0")
        {
            let url = &self.authority.url;
            return error.with_advice(format!("the authority {url} may lack /v2.0 at its end: try it with that"));
        }
        if status == Some(StatusCode::NOT_FOUND) && error.denied().is_none() {
            let region = endpoint.region.as_ref().map(|region| format!(" in the region {region}")).unwrap_or_default();
            let (kind, url) = (self.authority.kind().name(), &endpoint.url);
            return error.with_advice(format!(
                "there is no token endpoint at {url}{region}, an address made for {kind}: check the host, and whether the \
                 authority is of that kind; for another identity provider use oidc_authority"
            ));
        }
        error
    }

    async fn discover(&self, kept: &Arc<Kept<Verdict>>, tenant: &Tenant) -> Result<Arc<Cloud>, Error> {
        let ask = |_| instance::ask(self.net.clone(), self.authority.clone(), tenant.clone());
        match kept.get(&self.net.clock, ask).await {
            Verdict::Cloud(cloud) => Ok(cloud),
            Verdict::Unknown(error) => Err(error),
        }
    }

    async fn configured(
        &self,
        kept: &Arc<Kept<Result<Arc<Configuration>, Error>>>,
        allow_http_loopback: bool,
        channel: Channel,
    ) -> Result<TokenEndpoint, Error> {
        let fetch = |last: Option<Result<Arc<Configuration>, Error>>| {
            let (net, url) = (self.net.clone(), self.authority.url.clone());
            let old = last.and_then(Result::ok);
            async move {
                match (oidc::fetch(&net, &url, allow_http_loopback).await, old) {
                    (Ok(new), _) => Found { value: Ok(Arc::new(new)), good_for: oidc::GOOD },
                    (Err(error), Some(old)) => {
                        tracing::warn!(%error, "the provider's configuration could not be fetched anew; the old one is used");
                        Found { value: Ok(old), good_for: oidc::FAILED_ANEW }
                    }
                    (Err(error), None) => Found { value: Err(error), good_for: oidc::FAILED },
                }
            }
        };
        let configuration = kept.get(&self.net.clock, fetch).await?;
        let url = match channel {
            Channel::Tls => &configuration.token_endpoint,
            Channel::MutualTls => {
                configuration.mtls_token_endpoint.as_ref().ok_or_else(|| host::no_mutual_tls_for(&self.authority))?
            }
        };
        Ok(TokenEndpoint { url: url.as_str().into(), region: None, outcome: RegionOutcome::NotUsed })
    }

    async fn region(&self, asked: Option<&Region>) -> (Option<Region>, RegionOutcome) {
        let (region, outcome) = match (asked, &self.region) {
            (Some(region), _) => (region.clone(), RegionOutcome::Named),
            (None, RegionSource::Global) => return (None, RegionOutcome::NotUsed),
            (None, RegionSource::Named(region)) => (region.clone(), RegionOutcome::Named),
            (None, RegionSource::Detected(detection)) => match detection.region(&self.net).await {
                Some(region) => (region, RegionOutcome::Detected),
                None => return (None, RegionOutcome::NotDetected),
            },
        };
        if self.health.may_try(&region, self.net.clock.now()) {
            (Some(region), outcome)
        } else {
            (None, RegionOutcome::Ill)
        }
    }

    fn at(
        &self,
        cloud: &Cloud,
        region: Option<Region>,
        outcome: RegionOutcome,
        wanted: Wanted<'_>,
    ) -> Result<TokenEndpoint, Error> {
        let host = match (self.authority.kind(), wanted.channel) {
            (Kind::Entra, channel) => host::host(cloud, region.as_ref(), channel)?,
            (_, Channel::Tls) => cloud.preferred_network.clone(),
            (_, Channel::MutualTls) => return Err(host::no_mutual_tls_for(&self.authority)),
        };
        // an address has no regions
        let region = region.filter(|_| host != cloud.preferred_network);
        let url = self.authority.token_endpoint_at(&host, wanted.tenant).unwrap_or_default().into();
        Ok(TokenEndpoint { url, region, outcome })
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.authority.fmt(f)
    }
}

/// A regional endpoint that says nothing for this long is ill.
const REGIONAL_PATIENCE: Duration = Duration::from_secs(10);
