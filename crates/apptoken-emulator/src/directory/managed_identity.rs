//! Managed identities: service principals that belong to resources in Azure, with no registration of their own.

use std::sync::Arc;

use serde_json::Map;
use uuid::Uuid;

use super::model::{Application, ManagedIdentity, ServicePrincipal, SignInAudience, Tenant, TokenVersion};
use super::{Directory, DirectoryError, SeedError, Snapshot};
use crate::seed::SeedManagedIdentity;

impl Directory {
    /// A new managed identity; its client id.
    ///
    /// # Errors
    /// What a seed would be refused for.
    pub fn add_managed_identity(&self, identity: &SeedManagedIdentity) -> Result<Uuid, DirectoryError> {
        self.change(|next, now| Ok(next.import_managed_identity(identity, "managedIdentity", now)?))
    }
}

impl Snapshot {
    /// The managed identities of all tenants, by name.
    pub(crate) fn managed_identities(&self) -> Vec<(&Tenant, &Application, &ServicePrincipal)> {
        let of_tenant =
            |application: &'_ Arc<Application>| application.managed_identity.as_ref().and(application.home_tenant);
        let mut all: Vec<_> = self
            .applications
            .values()
            .filter_map(|application| {
                let tenant = self.tenants.get(&of_tenant(application)?)?;
                Some((&**tenant, &**application, tenant.service_principal(application.app_id)?))
            })
            .collect();
        all.sort_by_key(|(_, application, _)| (&application.display_name, application.app_id));
        all
    }

    pub(super) fn import_managed_identity(
        &mut self,
        seed: &SeedManagedIdentity,
        path: &str,
        now: i64,
    ) -> Result<Uuid, SeedError> {
        let wrong = |member: &str, why: String| Err(SeedError::new(format!("{path}.{member}"), why));
        let app_id = seed.client_id.unwrap_or_else(Uuid::new_v4);
        if self.applications.contains_key(&app_id) {
            return wrong("clientId", format!("{app_id} is used twice"));
        }
        let home = self.home(seed.tenant.as_deref(), &format!("{path}.tenant"))?;
        let is_system = |identity: &ManagedIdentity| identity.system_assigned;
        if seed.system_assigned && self.managed_identities().iter().any(|(_, app, _)| app.is_identity(is_system)) {
            return wrong("systemAssigned", "the machine has a system-assigned identity already".into());
        }
        if seed.system_assigned && !seed.federated_identity_credentials.is_empty() {
            let why = "a system-assigned identity has none; a user-assigned one may".into();
            return wrong("federatedIdentityCredentials", why);
        }
        let resource_id = seed.resource_id.clone().unwrap_or_else(|| usual_resource_id(seed));
        if self.managed_identities().iter().any(|(_, app, _)| app.is_identity(|other| other.resource_id == resource_id))
        {
            return wrong("resourceId", format!("{resource_id} is used twice"));
        }
        let granted = self.app_roles(&seed.app_role_assignments, Some(home), &format!("{path}.appRoleAssignments"))?;
        let made = super::import::made(seed.created_date_time, now);
        let mut application = Application {
            app_id,
            id: app_id,
            display_name: seed.display_name.clone(),
            home_tenant: Some(home),
            sign_in_audience: SignInAudience::AzureADMyOrg,
            identifier_uris: Vec::new(),
            token_version: TokenVersion::V1,
            optional_claims: None,
            app_roles: Vec::new(),
            required_resource_access: Vec::new(),
            secrets: Vec::new(),
            certificates: Vec::new(),
            trusted_subject_names: Vec::new(),
            federated: Vec::new(),
            single_use_assertions: false,
            agent_blueprint: None,
            managed_identity: Some(ManagedIdentity { resource_id, system_assigned: seed.system_assigned }),
            first_party: false,
            slash_strict: false,
            created: made,
            owners: Vec::new(),
            further: Map::new(),
        };
        application.federate(&seed.federated_identity_credentials, path)?;
        let mut principal = ServicePrincipal::new(seed.principal_id.unwrap_or_else(Uuid::new_v4), app_id, made);
        principal.account_enabled = seed.account_enabled;
        for access in &granted {
            for &role in &access.app_roles {
                principal.grant(access.resource, role, made);
            }
        }
        self.edit_tenant(home, |tenant| tenant.admit(&application, principal));
        self.applications.insert(app_id, Arc::new(application));
        Ok(app_id)
    }
}

impl Application {
    fn is_identity(&self, like: impl Fn(&ManagedIdentity) -> bool) -> bool {
        self.managed_identity.as_ref().is_some_and(like)
    }
}

/// As Azure Resource Manager writes them.
fn usual_resource_id(seed: &SeedManagedIdentity) -> String {
    let provider = match seed.system_assigned {
        true => "Microsoft.Compute/virtualMachines",
        false => "Microsoft.ManagedIdentity/userAssignedIdentities",
    };
    let group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/local";
    format!("{group}/providers/{provider}/{}", seed.display_name.replace([' ', '/'], "-"))
}
