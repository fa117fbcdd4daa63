//! Tokens of the identity that the platform gave to a VM, function, container or job: no credential of one's own.
//!
//! Each platform has an endpoint on the machine itself, and a dialect of its own: one file each. Which one it is shows
//! in the environment, in the order of [`Source::detect`].

mod answer;
mod app_service;
mod arc;
mod cloud_shell;
mod date;
mod endpoint;
mod imds;
mod machine_learning;
mod retry;
mod service_fabric;
mod source;

use std::fmt;

use ::http::HeaderValue;
use ::http::header::AUTHORIZATION;

use self::retry::Rules;
pub(crate) use self::source::Source;
use crate::Error;
use crate::clock::{Clock, Moment};
use crate::http::{DynTransport, Request, Response, sent_at};
use crate::request::Asked;
use crate::telemetry::library_headers;
use crate::token_endpoint::Grant;

/// A user-assigned identity, by one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UserAssignedId {
    /// Its client (application) id.
    Client(String),
    /// Its object (principal) id.
    Object(String),
    /// Its Azure resource id, `/subscriptions/…/userAssignedIdentities/…`.
    Resource(String),
}

/// What kind of platform gives the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ManagedIdentitySource {
    /// App Service, Functions, Container Apps and what else speaks their dialect.
    AppService,
    /// A machine outside Azure with the Azure Connected Machine agent.
    AzureArc,
    /// Cloud Shell: the signed-in user's tokens.
    CloudShell,
    /// The instance-metadata service of virtual machines, scale sets, container instances and Kubernetes nodes.
    Imds,
    /// Compute of Azure Machine Learning.
    MachineLearning,
    /// A Service Fabric cluster.
    ServiceFabric,
}

/// Which of the identities that a platform has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    System,
    User(UserAssignedId),
}

/// One identity at one source.
pub(crate) struct ManagedIdentity {
    source: Source,
    identity: Identity,
    transport: Box<dyn DynTransport>,
    retry: bool,
    telemetry_headers: bool,
    /// What somebody should know who finds that this was the wrong source.
    note: Option<String>,
}

impl ManagedIdentity {
    /// Refuses an identity that the source cannot name.
    pub(crate) fn new(
        source: Source,
        identity: Identity,
        transport: Box<dyn DynTransport>,
        retry: bool,
        note: Option<String>,
    ) -> Result<Self, Error> {
        if let Identity::User(id) = &identity
            && id.value().trim().is_empty()
        {
            return Err(Error::configuration(format!("the {} of the user-assigned identity is empty", id.what()))
                .with_advice("copy it from the identity's page in the portal"));
        }
        source.check(&identity)?;
        Ok(Self { source, identity, transport, retry, telemetry_headers: true, note })
    }

    /// Whether the instance-metadata service is told which library asks.
    pub(crate) fn telemetry_headers(self, send: bool) -> Self {
        Self { telemetry_headers: send, ..self }
    }

    /// The user-assigned identity's id; what kind it is if it is the machine's own.
    pub(crate) fn id(&self) -> &str {
        match &self.identity {
            Identity::System => "system_assigned",
            Identity::User(id) => id.value(),
        }
    }

    /// The address that is asked.
    pub(crate) fn endpoint(&self) -> &str {
        self.source.endpoint().shown()
    }

    /// Asks the source for a token, and says when it sent the request that brought it.
    pub(crate) async fn ask(&self, asked: Asked<'_>, clock: &dyn Clock) -> Result<(Grant, Option<Moment>), Error> {
        let outcome = match self.exchange(asked, clock).await {
            Ok(response) => answer::read(&response, self, clock.system_time()).map(|grant| (grant, sent_at(&response))),
            Err(error) => Err(error),
        };
        outcome.map_err(|error| error.with_correlation_id(asked.correlation_id))
    }

    async fn exchange(&self, asked: Asked<'_>, clock: &dyn Clock) -> Result<Response, Error> {
        let mut request = self.source.request(&self.identity, asked)?;
        if let (Source::Imds(_), true) = (&self.source, self.telemetry_headers) {
            request.headers_mut().extend(library_headers());
        }
        let response = self.send(request.clone(), clock).await?;
        if let Source::AzureArc(arc) = &self.source
            && let Some(basic) = arc.answer_challenge(&response)?
        {
            request.headers_mut().insert(AUTHORIZATION, basic);
            return self.send(request, clock).await;
        }
        Ok(response)
    }

    async fn send(&self, request: Request, clock: &dyn Clock) -> Result<Response, Error> {
        let rules = match (&self.source, self.retry) {
            (_, false) => Rules::None,
            (Source::Imds(_), true) => Rules::Imds,
            (_, true) => Rules::Usual,
        };
        let answer = retry::send(&*self.transport, clock, rules, request).await;
        answer.map_err(|cause| answer::unreachable(cause, self))
    }
}

impl UserAssignedId {
    pub(crate) fn value(&self) -> &str {
        match self {
            Self::Client(id) | Self::Object(id) | Self::Resource(id) => id,
        }
    }

    fn what(&self) -> &'static str {
        match self {
            Self::Client(_) => "client id",
            Self::Object(_) => "object id",
            Self::Resource(_) => "resource id",
        }
    }
}

impl fmt::Display for ManagedIdentitySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppService => "App Service",
            Self::AzureArc => "Azure Arc",
            Self::CloudShell => "Cloud Shell",
            Self::Imds => "IMDS",
            Self::MachineLearning => "Machine Learning",
            Self::ServiceFabric => "Service Fabric",
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system-assigned identity"),
            Self::User(id) => write!(f, "the user-assigned identity with {} {}", id.what(), id.value()),
        }
    }
}

impl fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} at {}", self.identity, self.source.kind(), self.endpoint())
    }
}

/// `Metadata: true`, which a browser or a naive proxy cannot be made to send.
const METADATA: (&str, HeaderValue) = ("metadata", HeaderValue::from_static("true"));
