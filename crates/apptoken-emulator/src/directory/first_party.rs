//! Microsoft's own APIs, with the ids they have in every tenant.

use std::sync::Arc;

use serde_json::Map;
use uuid::{Uuid, uuid};

use super::Snapshot;
use super::model::{AppRole, Application, SignInAudience, TokenVersion};

/// Microsoft Graph.
pub(crate) const GRAPH: Uuid = uuid!("00000003-0000-0000-c000-000000000000");
/// What tokens that serve as assertions are for.
pub(crate) const TOKEN_EXCHANGE: Uuid = uuid!("fb60f99c-7a34-4190-8149-302f77469936");
const STORAGE: Uuid = uuid!("e406a681-f3d4-42a8-90b6-c2b029497af1");

impl Snapshot {
    /// No tenants yet, but Microsoft's own applications.
    pub(crate) fn with_first_parties() -> Self {
        let mut snapshot = Self::default();
        for api in FIRST_PARTIES {
            snapshot.applications.insert(api.app_id, Arc::new(api.application()));
        }
        snapshot
    }
}

/// Every storage account is a resource of its own name: `https://ACCOUNT.blob.core.windows.net`.
pub(super) fn by_account_url(resource: &str) -> Option<Uuid> {
    let host = resource.strip_prefix("https://")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let (account, service) = host.split_once('.')?;
    let named = (3..=24).contains(&account.len()) && account.bytes().all(|b| b.is_ascii_alphanumeric());
    (named && STORAGE_SERVICES.contains(&service)).then_some(STORAGE)
}

struct FirstParty {
    app_id: Uuid,
    name: &'static str,
    uris: &'static [&'static str],
    version: TokenVersion,
    slash_strict: bool,
    roles: &'static [(Uuid, &'static str)],
}

impl FirstParty {
    fn application(&self) -> Application {
        Application {
            app_id: self.app_id,
            id: Uuid::new_v4(),
            display_name: self.name.into(),
            home_tenant: None,
            sign_in_audience: SignInAudience::AzureADMultipleOrgs,
            identifier_uris: self.uris.iter().map(|&uri| uri.into()).collect(),
            token_version: self.version,
            optional_claims: None,
            app_roles: self.roles.iter().map(|&(id, value)| AppRole::new(id, value, value)).collect(),
            required_resource_access: Vec::new(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            trusted_subject_names: Vec::new(),
            federated: Vec::new(),
            single_use_assertions: false,
            agent_blueprint: None,
            managed_identity: None,
            first_party: true,
            slash_strict: self.slash_strict,
            created: 0,
            owners: Vec::new(),
            further: Map::new(),
        }
    }
}

const STORAGE_SERVICES: &[&str] = &[
    "blob.core.windows.net",
    "dfs.core.windows.net",
    "file.core.windows.net",
    "queue.core.windows.net",
    "table.core.windows.net",
];

const FIRST_PARTIES: &[FirstParty] = &[
    FirstParty {
        app_id: GRAPH,
        name: "Microsoft Graph",
        uris: &["https://graph.microsoft.com/", "https://graph.microsoft.com"],
        version: TokenVersion::V1,
        slash_strict: false,
        roles: GRAPH_ROLES,
    },
    FirstParty {
        app_id: uuid!("797f4846-ba00-4fd7-ba43-dac1f8f63013"),
        name: "Windows Azure Service Management API",
        uris: &["https://management.azure.com/", "https://management.core.windows.net/"],
        version: TokenVersion::V1,
        slash_strict: false,
        roles: &[],
    },
    FirstParty {
        app_id: STORAGE,
        name: "Azure Storage",
        uris: &["https://storage.azure.com/"],
        version: TokenVersion::V1,
        slash_strict: false,
        roles: &[],
    },
    FirstParty {
        app_id: uuid!("cfa8b339-82a2-471a-a3c9-0fc0be7a4093"),
        name: "Azure Key Vault",
        uris: &["https://vault.azure.net"],
        version: TokenVersion::V1,
        slash_strict: false,
        roles: &[],
    },
    FirstParty {
        app_id: uuid!("022907d3-0f1b-48f7-badc-1ba6abab6d66"),
        name: "Azure SQL Database",
        uris: &["https://database.windows.net/"],
        version: TokenVersion::V1,
        slash_strict: true,
        roles: &[],
    },
    FirstParty {
        app_id: uuid!("80a10ef9-8168-493d-abf9-3297c4ef6e3c"),
        name: "Microsoft.ServiceBus",
        uris: &["https://servicebus.azure.net"],
        version: TokenVersion::V1,
        slash_strict: false,
        roles: &[],
    },
    FirstParty {
        app_id: TOKEN_EXCHANGE,
        name: "AAD Token Exchange Endpoint",
        uris: &["api://AzureADTokenExchange"],
        version: TokenVersion::V2,
        slash_strict: false,
        roles: &[],
    },
];

/// Application permissions that daemons ask for, with Graph's own ids (Microsoft Graph permissions reference).
const GRAPH_ROLES: &[(Uuid, &str)] = &[
    (uuid!("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"), "Application.Read.All"),
    (uuid!("1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"), "Application.ReadWrite.All"),
    (uuid!("18a4783c-866b-4cc7-a460-3d5e5662c884"), "Application.ReadWrite.OwnedBy"),
    (uuid!("06b708a9-e830-4db3-a914-8e69da51d44f"), "AppRoleAssignment.ReadWrite.All"),
    (uuid!("b0afded3-3588-46d8-8b3d-9842eff778da"), "AuditLog.Read.All"),
    (uuid!("7ab1d382-f21e-4acd-a863-ba3e13f7da61"), "Directory.Read.All"),
    (uuid!("19dbc75e-c2e2-444c-a770-ec69d8559fc7"), "Directory.ReadWrite.All"),
    (uuid!("01d4889c-1287-42c6-ac1f-5d1e02578ef6"), "Files.Read.All"),
    (uuid!("75359482-378d-4052-8f01-80520e7db3cd"), "Files.ReadWrite.All"),
    (uuid!("5b567255-7703-4780-807c-7be8301ae99b"), "Group.Read.All"),
    (uuid!("62a82d76-70ea-41e2-9197-370581804d09"), "Group.ReadWrite.All"),
    (uuid!("98830695-27a2-44f7-8c18-0c3ebc9698f6"), "GroupMember.Read.All"),
    (uuid!("810c84a8-4a9e-49e6-bf7d-12d183f40d01"), "Mail.Read"),
    (uuid!("e2a3a72e-5f79-4c64-b1b1-878b674786c9"), "Mail.ReadWrite"),
    (uuid!("b633e1c5-b582-4048-a93e-9f11b44c7e96"), "Mail.Send"),
    (uuid!("498476ce-e0fe-48b0-b801-37ba7e2685c6"), "Organization.Read.All"),
    (uuid!("292d869f-3427-49a8-9dab-8c70152b74e9"), "Organization.ReadWrite.All"),
    (uuid!("246dd0d5-5bd0-4def-940b-0421030a5b68"), "Policy.Read.All"),
    (uuid!("9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8"), "RoleManagement.ReadWrite.Directory"),
    (uuid!("332a536c-c7ef-4017-ab91-336970924f0d"), "Sites.Read.All"),
    (uuid!("883ea226-0bf2-4a8f-9f9d-92c9162a727d"), "Sites.Selected"),
    (uuid!("df021288-bdef-4463-88db-98f22de89214"), "User.Read.All"),
    (uuid!("741f803b-c850-494e-b5df-cde7c675a1ca"), "User.ReadWrite.All"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_accounts_are_resources() {
        assert_eq!(by_account_url("https://acct01.blob.core.windows.net"), Some(STORAGE));
        assert_eq!(by_account_url("https://acct01.queue.core.windows.net/"), Some(STORAGE));
        for no in ["https://a.blob.core.windows.net", "https://evil.example", "acct01.blob.core.windows.net"] {
            assert_eq!(by_account_url(no), None, "{no}");
        }
    }
}
