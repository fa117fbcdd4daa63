//! `--managed-identity`: the platform in Azure that the program finds itself on.

use std::path::{Path, PathBuf};

use apptoken_emulator::{Emulator, ManagedIdentitySource};

/// As typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Platform {
    /// App Service, Functions and Container Apps: IDENTITY_ENDPOINT and IDENTITY_HEADER
    AppService,
    /// A virtual machine: 169.254.169.254, or without --isolated AZURE_POD_IDENTITY_AUTHORITY_HOST
    Imds,
    /// Cloud Shell: MSI_ENDPOINT
    CloudShell,
    /// Azure Machine Learning: MSI_ENDPOINT and MSI_SECRET
    MachineLearning,
    /// A machine under Azure Arc: IDENTITY_ENDPOINT and IMDS_ENDPOINT; with --isolated only
    Arc,
    /// Service Fabric: IDENTITY_ENDPOINT, IDENTITY_HEADER and IDENTITY_SERVER_THUMBPRINT
    ServiceFabric,
}

impl Platform {
    /// The variables by which it tells the program of its endpoint. An isolated program has the one plain HTTP address
    /// that a virtual machine has, and every platform's path there.
    pub(super) fn variables(self, entra: &Emulator, isolated: bool) -> Vec<(String, String)> {
        let variables = entra.managed_identity_environment(self.source());
        let plain = entra.authority();
        match self {
            Self::Imds if isolated => Vec::new(),
            // HTTPS in Azure too
            Self::ServiceFabric => variables,
            _ if isolated => {
                let here = |value: String| match value.strip_prefix(&plain) {
                    Some(path) => format!("{METADATA}{path}"),
                    None => value,
                };
                variables.into_iter().map(|(name, value)| (name, here(value))).collect()
            }
            _ => variables,
        }
    }

    fn source(self) -> ManagedIdentitySource {
        match self {
            Self::AppService => ManagedIdentitySource::AppService,
            Self::Arc => ManagedIdentitySource::AzureArc,
            Self::Imds => ManagedIdentitySource::Imds,
            Self::CloudShell => ManagedIdentitySource::CloudShell,
            Self::MachineLearning => ManagedIdentitySource::MachineLearning,
            Self::ServiceFabric => ManagedIdentitySource::ServiceFabric,
        }
    }
}

/// Where a run keeps the key files of Azure Arc's challenges.
pub(super) fn arc_keys(run: &Path) -> PathBuf {
    run.join("arc-keys")
}

/// Where clients look for them on Linux.
pub(super) const ARC_KEYS: &str = "/var/opt/azcmagent/tokens";
const METADATA: &str = "http://169.254.169.254";
