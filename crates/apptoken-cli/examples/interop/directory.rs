//! Who is in the directory: a daemon that is in order, and one app for each thing that can be wrong with one.

use std::collections::BTreeMap;

use apptoken_emulator::{ApplicationBuilder, Emulator, EmulatorBuilder, TenantBuilder};
use uuid::Uuid;

use crate::Ids;
use crate::credentials::Keys;

/// The ids of everything that cases name.
pub(crate) struct Apps {
    pub(crate) tenant: Uuid,
    pub(crate) api: Uuid,
    pub(crate) named: Ids,
    /// Apps that no two clients may share.
    pub(crate) per_client: BTreeMap<String, Ids>,
}

impl Apps {
    pub(crate) fn new(clients: &[String]) -> Self {
        let ids = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), Uuid::new_v4())).collect::<Ids>();
        Self {
            tenant: Uuid::new_v4(),
            api: Uuid::new_v4(),
            named: ids(&["daemon", "unconsented", "expired", "disabled", "blocked", "unassigned", "unknown"]),
            per_client: clients.iter().map(|client| (client.clone(), ids(&["throttled", "challenged"]))).collect(),
        }
    }
}

pub(crate) fn describe(apps: &Apps, keys: &Keys) -> EmulatorBuilder {
    Emulator::builder().tenant("contoso", |contoso| {
        contoso.id(apps.tenant).display_name("Contoso");
        contoso.application("TodoList API", |api| {
            api.app_id(apps.api).identifier_uri("api://todolist").app_role(ROLE).v2_tokens();
        });
        contoso.application("Members only API", |api| {
            api.identifier_uri("api://members").app_role("Member").assignment_required();
        });
        contoso.managed_identity("the machine", |identity| {
            identity.system_assigned().granted("api://todolist", [ROLE]);
        });
        for (name, &id) in &apps.named {
            daemon(contoso, name, id, keys);
        }
        for &id in apps.per_client.values().flat_map(BTreeMap::values) {
            daemon(contoso, "in order", id, keys);
        }
    })
}

fn daemon(contoso: &mut TenantBuilder, name: &str, id: Uuid, keys: &Keys) {
    let credentials = |app: &mut ApplicationBuilder| {
        app.app_id(id).certificate(keys.certificate());
        app.requires("api://todolist", [ROLE]).requires("https://graph.microsoft.com", ["Organization.Read.All"]);
    };
    match name {
        "unknown" => return,
        "expired" => contoso.application(name, |app| {
            credentials(app);
            app.secret_until(keys.secret(), YESTERDAYS).admin_consent();
        }),
        "disabled" => contoso.application(name, |app| {
            credentials(app);
            app.secret(keys.secret()).admin_consent().disabled();
        }),
        "unconsented" => contoso.application(name, |app| {
            credentials(app);
            app.secret(keys.secret());
        }),
        _ => contoso.application(name, |app| {
            credentials(app);
            app.secret(keys.secret()).admin_consent();
        }),
    };
}

pub(crate) const TENANT: &str = "contoso.onmicrosoft.com";
pub(crate) const API_SCOPE: &str = "api://todolist/.default";
/// The app role that the API demands.
pub(crate) const ROLE: &str = "DaemonAppRole";
/// 2025-01-01.
const YESTERDAYS: i64 = 1_735_689_600;
