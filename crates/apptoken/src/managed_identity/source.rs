use super::app_service::AppService;
use super::arc::AzureArc;
use super::cloud_shell::CloudShell;
use super::endpoint::Endpoint;
use super::imds::Imds;
use super::machine_learning::MachineLearning;
use super::service_fabric::ServiceFabric;
use super::{Identity, ManagedIdentitySource, UserAssignedId};
use crate::Error;
use crate::env_vars::{IDENTITY_ENDPOINT, IDENTITY_HEADER, MSI_ENDPOINT, MSI_SECRET};
use crate::environment::Environment;
use crate::http::{Request, ThumbprintPin};
use crate::request::Asked;

/// A source as found in the environment, with its endpoint and secrets.
pub(crate) enum Source {
    AppService(AppService),
    AzureArc(AzureArc),
    CloudShell(CloudShell),
    Imds(Imds),
    MachineLearning(MachineLearning),
    ServiceFabric(ServiceFabric),
}

impl Source {
    /// The source that the environment speaks of. The variables decide and nothing is probed, so that building a client
    /// sends nothing; the instance-metadata service, which announces itself by no variable, is what remains.
    pub(crate) fn detect(environment: &Environment) -> Result<Self, Error> {
        if let Some(fabric) = ServiceFabric::detect(environment)? {
            return Ok(Self::ServiceFabric(fabric));
        }
        if let Some(service) = AppService::detect(environment)? {
            return Ok(Self::AppService(service));
        }
        if let Some(learning) = MachineLearning::detect(environment)? {
            return Ok(Self::MachineLearning(learning));
        }
        if let Some(shell) = CloudShell::detect(environment)? {
            return Ok(Self::CloudShell(shell));
        }
        if let Some(arc) = AzureArc::detect(environment)? {
            return Ok(Self::AzureArc(arc));
        }
        Imds::detect(environment).map(Self::Imds)
    }

    /// What the environment says of another source, without saying enough for it.
    pub(crate) fn half_announced(&self, environment: &Environment) -> Option<String> {
        let Self::Imds(_) = self else { return None };
        let (there, missing) =
            [(IDENTITY_ENDPOINT, IDENTITY_HEADER), (IDENTITY_HEADER, IDENTITY_ENDPOINT), (MSI_SECRET, MSI_ENDPOINT)]
                .into_iter()
                .find(|(there, missing)| environment.has(there) && !environment.has(missing))?;
        Some(format!("{there} is set but {missing} is not, so it was not taken for another platform's"))
    }

    pub(crate) fn kind(&self) -> ManagedIdentitySource {
        match self {
            Self::AppService(_) => ManagedIdentitySource::AppService,
            Self::AzureArc(_) => ManagedIdentitySource::AzureArc,
            Self::CloudShell(_) => ManagedIdentitySource::CloudShell,
            Self::Imds(_) => ManagedIdentitySource::Imds,
            Self::MachineLearning(_) => ManagedIdentitySource::MachineLearning,
            Self::ServiceFabric(_) => ManagedIdentitySource::ServiceFabric,
        }
    }

    /// The certificate that the source's server must show, when it is not one that a CA vouches for.
    pub(crate) fn pin(&self) -> Option<ThumbprintPin> {
        match self {
            Self::ServiceFabric(fabric) => Some(fabric.pin()),
            _ => None,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        match self {
            Self::AppService(source) => source.endpoint(),
            Self::AzureArc(source) => source.endpoint(),
            Self::CloudShell(source) => source.endpoint(),
            Self::Imds(source) => source.endpoint(),
            Self::MachineLearning(source) => source.endpoint(),
            Self::ServiceFabric(source) => source.endpoint(),
        }
    }

    /// What a server that echoes requests must not get into an error.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::AppService(source) => Some(source.secret()),
            Self::MachineLearning(source) => Some(source.secret()),
            Self::ServiceFabric(source) => Some(source.secret()),
            Self::AzureArc(_) | Self::CloudShell(_) | Self::Imds(_) => None,
        }
    }

    /// Refuses an identity that the source cannot name.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), Error> {
        let Identity::User(id) = identity else { return Ok(()) };
        let (source, what) = (self.kind(), id.what());
        let (problem, advice) = match (self, id) {
            (Self::AppService(_) | Self::Imds(_), _)
            | (Self::MachineLearning(_), UserAssignedId::Client(_))
            | (Self::ServiceFabric(_), UserAssignedId::Object(_)) => return Ok(()),
            (Self::AzureArc(_) | Self::CloudShell(_), _) => {
                (format!("{source} has no user-assigned identities"), "use ManagedIdentityClient::system_assigned()")
            }
            (Self::MachineLearning(_), _) => (
                format!("{source} does not know a user-assigned identity by its {what}"),
                "name it by its client id: UserAssignedId::Client",
            ),
            (Self::ServiceFabric(_), _) => (
                format!("{source} does not know a user-assigned identity by its {what}"),
                "name it by its object id, UserAssignedId::Object, or in the application manifest",
            ),
        };
        Err(Error::configuration(problem).with_advice(advice))
    }

    pub(super) fn request(&self, identity: &Identity, asked: Asked<'_>) -> Result<Request, Error> {
        match self {
            Self::AppService(source) => source.request(identity, asked),
            Self::AzureArc(source) => source.request(asked),
            Self::CloudShell(source) => source.request(asked),
            Self::Imds(source) => source.request(identity, asked),
            Self::MachineLearning(source) => source.request(identity, asked),
            Self::ServiceFabric(source) => source.request(identity, asked),
        }
    }
}
