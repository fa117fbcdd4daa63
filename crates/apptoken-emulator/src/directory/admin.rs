//! The application by which automation begins: it may do through Graph what an administrator does by hand.

use uuid::Uuid;

use super::{Directory, DirectoryError, GRAPH, NewSecret};
use crate::seed::{SeedApplication, SeedResourceAccess, SeedSecret, SeedServicePrincipal};

impl Directory {
    /// Makes the tenant's bootstrap administrator, or, where there is one, a further secret for it: an application
    /// with the permissions on Graph to register others, give them credentials and grant them roles. Its `client_id` and
    /// its secret, which cannot be read again.
    ///
    /// # Errors
    /// No such tenant.
    pub fn add_admin_application(&self, tenant: &str) -> Result<(Uuid, NewSecret), DirectoryError> {
        self.change(|next, now| {
            let id = next.named_tenant(tenant)?;
            let known = next.applications().find(|app| app.home_tenant == Some(id) && app.display_name == NAME);
            let app_id = match known {
                Some(app) => app.app_id,
                None => {
                    let app_id = Uuid::new_v4();
                    let application = admin_application(&id.to_string(), Some(app_id), Vec::new());
                    next.import_applications(&[application], "applications", now)?;
                    app_id
                }
            };
            let (new, secret) = NewSecret::make("bootstrap", (None, None), now)?;
            next.add_secret(app_id, secret)?;
            Ok((app_id, new))
        })
    }
}

/// With admin consent.
pub(crate) fn admin_application(tenant: &str, app_id: Option<Uuid>, secrets: Vec<SeedSecret>) -> SeedApplication {
    SeedApplication {
        app_id,
        display_name: NAME.into(),
        home_tenant: Some(tenant.into()),
        password_credentials: secrets,
        required_resource_access: vec![SeedResourceAccess {
            resource: GRAPH.to_string(),
            app_roles: ROLES.iter().map(|&role| role.into()).collect(),
            scopes: Vec::new(),
        }],
        service_principals: Some(vec![SeedServicePrincipal {
            admin_consent: true,
            ..SeedServicePrincipal::new(tenant)
        }]),
        ..SeedApplication::default()
    }
}

const NAME: &str = "Bootstrap administrator";

/// Application permissions on Microsoft Graph.
const ROLES: &[&str] = &[
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "AuditLog.Read.All",
    "Directory.Read.All",
    "Group.Read.All",
    "Organization.Read.All",
    "User.Read.All",
];
