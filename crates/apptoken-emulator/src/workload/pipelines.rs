//! Jobs of Azure Pipelines, with the identity of a service connection.

use serde::Deserialize;
use uuid::Uuid;

/// In the form of Azure DevOps organisations' issuers, in no real organisation's name.
pub(super) const REAL_ISSUER: &str = "https://vstoken.dev.azure.com/00000000-0000-0000-0000-000000000000";

/// A job that may use a service connection with workload identity federation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelinesJob {
    pub(super) organization: String,
    pub(super) project: String,
    pub(super) service_connection: String,
    pub(super) service_connection_id: Uuid,
}

impl PipelinesJob {
    /// Of `organization` and `project`, with the service connection of this name and id.
    #[must_use]
    pub fn new(
        organization: impl Into<String>,
        project: impl Into<String>,
        service_connection: impl Into<String>,
        service_connection_id: Uuid,
    ) -> Self {
        Self {
            organization: organization.into(),
            project: project.into(),
            service_connection: service_connection.into(),
            service_connection_id,
        }
    }

    /// `sub` of its tokens.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("sc://{}/{}/{}", self.organization, self.project, self.service_connection)
    }
}
