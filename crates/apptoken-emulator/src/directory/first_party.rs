//! Microsoft's own APIs that daemons call, with the ids they have in every tenant.

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
const COSMOS: Uuid = uuid!("a232010e-820c-4083-83bb-3ace5fc29d0b");
const APP_CONFIGURATION: Uuid = uuid!("35ffadb3-7fc1-497e-b61b-381d28e744cc");
const DATA_EXPLORER: Uuid = uuid!("2746ea77-4702-4b45-80ca-3c97e680e8b7");
const SHAREPOINT: Uuid = uuid!("00000003-0000-0ff1-ce00-000000000000");
const DATAVERSE: Uuid = uuid!("00000007-0000-0000-c000-000000000000");

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

/// APIs of which every account, store, site or organisation is a resource of its own name, for example
/// `https://ACCOUNT.blob.core.windows.net`.
pub(super) fn by_account_url(resource: &str) -> Option<Uuid> {
    let host = resource.strip_prefix("https://")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let (account, service) = host.split_once('.')?;
    let label = |text: &str, marks: bool| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || (marks && b == b'-'))
    };
    if STORAGE_SERVICES.contains(&service) {
        return ((3..=24).contains(&account.len()) && label(account, false)).then_some(STORAGE);
    }
    let region = |domain: &str| service.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
    let app_id = match service {
        "documents.azure.com" => COSMOS,
        "azconfig.io" => APP_CONFIGURATION,
        "sharepoint.com" => SHAREPOINT,
        _ if region("kusto.windows.net").is_some_and(|region| label(region, true)) => DATA_EXPLORER,
        _ if region("dynamics.com").is_some_and(|region| region.starts_with("crm") && label(region, false)) => {
            DATAVERSE
        }
        _ => return None,
    };
    label(account, true).then_some(app_id)
}

/// One of them. Their tokens are of version 1, but for the token exchange's.
struct FirstParty {
    app_id: Uuid,
    name: &'static str,
    uris: &'static [&'static str],
    /// Lines of an id and a value.
    roles: &'static str,
}

impl FirstParty {
    const fn new(app_id: Uuid, name: &'static str, uris: &'static [&'static str]) -> Self {
        Self { app_id, name, uris, roles: "" }
    }

    const fn with_roles(self, roles: &'static str) -> Self {
        Self { roles, ..self }
    }

    fn application(&self) -> Application {
        Application {
            app_id: self.app_id,
            id: Uuid::new_v4(),
            display_name: self.name.into(),
            home_tenant: None,
            sign_in_audience: SignInAudience::AzureADMultipleOrgs,
            identifier_uris: self.uris.iter().map(|&uri| uri.into()).collect(),
            token_version: match self.app_id {
                TOKEN_EXCHANGE => TokenVersion::V2,
                _ => TokenVersion::V1,
            },
            optional_claims: None,
            app_roles: self.app_roles().collect(),
            required_resource_access: Vec::new(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            trusted_subject_names: Vec::new(),
            federated: Vec::new(),
            single_use_assertions: false,
            agent_blueprint: None,
            managed_identity: None,
            first_party: true,
            slash_strict: self.app_id == SQL,
            created: 0,
            owners: Vec::new(),
            further: Map::new(),
        }
    }

    fn app_roles(&self) -> impl Iterator<Item = AppRole> {
        self.roles.lines().filter_map(|line| {
            let (id, value) = line.trim().split_once(' ')?;
            Some(AppRole::new(Uuid::try_parse(id).ok()?, value, value))
        })
    }
}

const SQL: Uuid = uuid!("022907d3-0f1b-48f7-badc-1ba6abab6d66");

const STORAGE_SERVICES: &[&str] = &[
    "blob.core.windows.net",
    "dfs.core.windows.net",
    "file.core.windows.net",
    "queue.core.windows.net",
    "table.core.windows.net",
];

const FIRST_PARTIES: &[FirstParty] = &[
    FirstParty::new(
        GRAPH,
        "Microsoft Graph",
        &[
            "https://graph.microsoft.com/",
            "https://graph.microsoft.com",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "https://microsoftgraph.chinacloudapi.cn",
        ],
    )
    .with_roles(include_str!("graph_roles.txt")),
    FirstParty::new(
        uuid!("797f4846-ba00-4fd7-ba43-dac1f8f63013"),
        "Windows Azure Service Management API",
        &[
            "https://management.azure.com/",
            "https://management.core.windows.net/",
            "https://management.usgovcloudapi.net",
            "https://management.core.usgovcloudapi.net/",
            "https://management.chinacloudapi.cn",
            "https://management.core.chinacloudapi.cn/",
        ],
    ),
    FirstParty::new(STORAGE, "Azure Storage", &["https://storage.azure.com/"]),
    FirstParty::new(uuid!("cfa8b339-82a2-471a-a3c9-0fc0be7a4093"), "Azure Key Vault", &["https://vault.azure.net"]),
    FirstParty::new(
        uuid!("589d5083-6f11-4d30-a62a-a4b316a14abf"),
        "Azure Key Vault Managed HSM",
        &["https://managedhsm.azure.net"],
    ),
    FirstParty::new(
        SQL,
        "Azure SQL Database",
        &["https://database.windows.net/", "https://database.usgovcloudapi.net/", "https://database.chinacloudapi.cn/"],
    ),
    FirstParty::new(
        uuid!("123cd850-d9df-40bd-94d5-c9f07b7fa203"),
        "Azure OSSRDBMS Database",
        &["https://ossrdbms-aad.database.windows.net"],
    ),
    FirstParty::new(COSMOS, "Azure Cosmos DB", &["https://cosmos.azure.com"]),
    FirstParty::new(
        uuid!("acca5fbb-b7e4-4009-81f1-37e38fd66d78"),
        "Azure Cache for Redis",
        &["https://redis.azure.com"],
    ),
    FirstParty::new(
        uuid!("80a10ef9-8168-493d-abf9-3297c4ef6e3c"),
        "Microsoft.ServiceBus",
        &["https://servicebus.azure.net"],
    ),
    FirstParty::new(
        uuid!("80369ed6-5f11-4dd9-bef3-692475845e77"),
        "Microsoft.EventHubs",
        &["https://eventhubs.azure.net"],
    ),
    FirstParty::new(
        uuid!("4962773b-9cdb-44cf-a8bf-237846a00ab7"),
        "Microsoft.EventGrid",
        &["https://eventgrid.azure.net"],
    ),
    FirstParty::new(
        APP_CONFIGURATION,
        "Azure App Configuration",
        &["https://azconfig.io", "https://appconfig.azure.com"],
    ),
    FirstParty::new(
        uuid!("e933bd07-d2ee-4f1d-933c-3752b819567b"),
        "Azure Monitor Control Service",
        &["https://monitor.azure.com/"],
    ),
    FirstParty::new(
        uuid!("ca7f3f0b-7d91-482c-8e09-c5d840d0eac5"),
        "Log Analytics API",
        &["https://api.loganalytics.io"],
    ),
    FirstParty::new(
        uuid!("f5c26e74-f226-4ae8-85f0-b4af0080ac9e"),
        "Application Insights API",
        &["https://api.applicationinsights.io"],
    ),
    FirstParty::new(DATA_EXPLORER, "Azure Data Explorer", &["https://kusto.kusto.windows.net"]),
    FirstParty::new(
        uuid!("7d312290-28c8-473c-a0ed-8e53749b6d6d"),
        "Microsoft Cognitive Services",
        &["https://cognitiveservices.azure.com"],
    ),
    FirstParty::new(
        uuid!("18a66f5f-dbdf-4c17-9dd7-1634712a9cbe"),
        "Azure Machine Learning",
        &["https://ml.azure.com", "https://ai.azure.com"],
    ),
    FirstParty::new(
        uuid!("880da380-985e-4198-81b9-e05b1cc53158"),
        "Azure Cognitive Search",
        &["https://search.azure.com"],
    ),
    FirstParty::new(
        uuid!("6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26"),
        "Azure Container Registry",
        &["https://containerregistry.azure.net"],
    ),
    FirstParty::new(
        uuid!("ddbf3205-c6bd-46ae-8127-60eb93363864"),
        "Microsoft Azure Batch",
        &["https://batch.core.windows.net/"],
    ),
    FirstParty::new(
        uuid!("0b07f429-9f4b-4714-9392-cc5e8e80c8b0"),
        "Azure Digital Twins",
        &["https://digitaltwins.azure.net"],
    ),
    FirstParty::new(
        uuid!("499b84ac-1321-427f-aa17-267ca6975798"),
        "Azure DevOps",
        &["https://app.vssps.visualstudio.com"],
    ),
    FirstParty::new(uuid!("2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"), "AzureDatabricks", &[]),
    FirstParty::new(uuid!("6dae42f8-4368-4678-94ff-3960e28e3630"), "Azure Kubernetes Service AAD Server", &[]),
    FirstParty::new(
        uuid!("00000002-0000-0ff1-ce00-000000000000"),
        "Office 365 Exchange Online",
        &["https://outlook.office365.com", "https://outlook.office.com"],
    )
    .with_roles(EXCHANGE_ROLES),
    FirstParty::new(SHAREPOINT, "Office 365 SharePoint Online", &[]).with_roles(SHAREPOINT_ROLES),
    FirstParty::new(
        uuid!("c5393580-f805-4401-95e8-94b7a6ef2fc2"),
        "Office 365 Management APIs",
        &["https://manage.office.com"],
    )
    .with_roles(OFFICE_MANAGEMENT_ROLES),
    FirstParty::new(
        uuid!("00000009-0000-0000-c000-000000000000"),
        "Power BI Service",
        &["https://analysis.windows.net/powerbi/api", "https://api.fabric.microsoft.com"],
    )
    .with_roles(POWER_BI_ROLES),
    FirstParty::new(DATAVERSE, "Dataverse", &[]),
    FirstParty::new(TOKEN_EXCHANGE, "AAD Token Exchange Endpoint", &["api://AzureADTokenExchange"]),
];

const EXCHANGE_ROLES: &str = "798ee544-9d2d-430c-a058-570e29e34338 Calendars.Read
    2dfdc6dc-2fa7-4a2c-a922-dbd4f85d17be Calendars.Read.All
    ef54d2bf-783f-4e0f-bca1-3210c0444d99 Calendars.ReadWrite.All
    089fe4d0-434a-44c5-8827-41ba8a0b17f5 Contacts.Read
    6918b873-d17a-4dc1-b314-35f528134491 Contacts.ReadWrite
    dc50a0fb-09a3-484d-be87-e023b12c6440 Exchange.ManageAsApp
    dc890d15-9560-4a4c-9b7f-a736ec74ec40 full_access_as_app
    5e5addcd-3e8d-4e90-baf5-964efab2b20a IMAP.AccessAsApp
    810c84a8-4a9e-49e6-bf7d-12d183f40d01 Mail.Read
    e2a3a72e-5f79-4c64-b1b1-878b674786c9 Mail.ReadWrite
    b633e1c5-b582-4048-a93e-9f11b44c7e96 Mail.Send
    f7264778-fba9-422d-8e9e-2675a2c4b513 Mailbox.Migration
    d45fa9f8-36e5-4cd2-b601-b063c7cf9ac2 MailboxSettings.Read
    f9156939-25cd-4ba8-abfe-7fabcf003749 MailboxSettings.ReadWrite
    cb842b43-da6e-4506-86fe-bb12199c656d POP.AccessAsApp
    b4d5a5c7-c085-487f-b922-ef0d6ebde6b1 ReportingWebService.Read.All
    7146a1f0-8703-45b3-9eae-527a64c00995 SMTP.SendAsApp";

const SHAREPOINT_ROLES: &str = "678536fe-1083-478a-9c59-b99265e6b0d3 Sites.FullControl.All
    9bff6588-13f2-4c48-bbf2-ddab62256b36 Sites.Manage.All
    d13f72ca-a275-4b96-b789-48ebcc4da984 Sites.Read.All
    fbcd29d2-fcca-4405-aded-518d457caae4 Sites.ReadWrite.All
    20d37865-089c-4dee-8c41-6967602d4ac8 Sites.Selected
    2a8d57a5-4090-4a41-bf1c-3c621d2ccad3 TermStore.Read.All
    c8e3537c-ec53-43b9-bed3-b2bd3617ae97 TermStore.ReadWrite.All
    df021288-bdef-4463-88db-98f22de89214 User.Read.All
    741f803b-c850-494e-b5df-cde7c675a1ca User.ReadWrite.All";

const OFFICE_MANAGEMENT_ROLES: &str = "594c1fb6-4f81-4475-ae41-0c394909246c ActivityFeed.Read
    4807a72c-ad38-4250-94c9-4eabfe26cd55 ActivityFeed.ReadDlp
    e2cea78f-e743-4d8f-a16a-75b629a038ae ServiceHealth.Read";

const POWER_BI_ROLES: &str = "654b31ae-d941-4e22-8798-7add8fdf049f Tenant.Read.All
    28379fa9-8596-4fd9-869e-cb60a93b5d84 Tenant.ReadWrite.All";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn accounts_are_resources() {
        for (resource, app_id) in [
            ("https://acct01.blob.core.windows.net", STORAGE),
            ("https://acct01.queue.core.windows.net/", STORAGE),
            ("https://my-cosmos.documents.azure.com", COSMOS),
            ("https://my-store.azconfig.io", APP_CONFIGURATION),
            ("https://contoso-my.sharepoint.com/", SHAREPOINT),
            ("https://logs.westeurope.kusto.windows.net", DATA_EXPLORER),
            ("https://contoso.crm4.dynamics.com", DATAVERSE),
        ] {
            assert_eq!(by_account_url(resource), Some(app_id), "{resource}");
        }
        for no in [
            "https://a.blob.core.windows.net",
            "https://evil.example",
            "acct01.blob.core.windows.net",
            "https://.documents.azure.com",
            "https://a.b.documents.azure.com",
            "https://contoso.sharepoint.com/sites/x",
            "https://contoso.evil.dynamics.com",
            "https://contoso.xkusto.windows.net",
            "https://user@contoso.sharepoint.com",
        ] {
            assert_eq!(by_account_url(no), None, "{no}");
        }
    }

    #[test]
    fn each_line_of_the_roles_is_read_and_ids_and_values_are_unique() {
        let mut uris = HashSet::new();
        for api in FIRST_PARTIES {
            let roles: Vec<_> = api.app_roles().collect();
            assert_eq!(roles.len(), api.roles.lines().count(), "{}", api.name);
            let ids: HashSet<_> = roles.iter().map(|role| role.id).collect();
            let values: HashSet<_> = roles.iter().map(|role| &role.value).collect();
            assert_eq!((ids.len(), values.len()), (roles.len(), roles.len()), "{}", api.name);
            assert!(values.iter().all(|value| !value.contains(char::is_whitespace)), "{}", api.name);
            assert!(api.uris.iter().all(|uri| uris.insert(*uri)), "{}", api.name);
        }
        let ids: HashSet<_> = FIRST_PARTIES.iter().map(|api| api.app_id).collect();
        assert_eq!(ids.len(), FIRST_PARTIES.len());
    }
}
