//! Managed identities in a tenant that is being described.

use uuid::Uuid;

use super::TenantBuilder;
use crate::seed::{SeedFederatedCredential, SeedManagedIdentity, SeedResourceAccess};

/// A managed identity being described.
#[derive(Debug)]
pub struct ManagedIdentityBuilder {
    seed: SeedManagedIdentity,
}

impl TenantBuilder {
    /// A managed identity of the machine that the emulator's identity endpoints speak for: user-assigned, unless said
    /// otherwise. Gives its client id.
    pub fn managed_identity(
        &mut self,
        display_name: impl Into<String>,
        describe: impl FnOnce(&mut ManagedIdentityBuilder),
    ) -> Uuid {
        let client_id = Uuid::new_v4();
        let seed = SeedManagedIdentity {
            display_name: display_name.into(),
            tenant: Some(self.tenant.default_domain.clone()),
            client_id: Some(client_id),
            ..SeedManagedIdentity::default()
        };
        let mut builder = ManagedIdentityBuilder { seed };
        describe(&mut builder);
        let client_id = builder.seed.client_id.unwrap_or(client_id);
        self.identities.push(builder.seed);
        client_id
    }
}

impl ManagedIdentityBuilder {
    /// The machine's own identity. There is at most one.
    pub fn system_assigned(&mut self) -> &mut Self {
        self.seed.system_assigned = true;
        self
    }

    /// Its client id, instead of one that is made.
    pub fn client_id(&mut self, id: Uuid) -> &mut Self {
        self.seed.client_id = Some(id);
        self
    }

    /// Its service principal's object id, instead of one that is made.
    pub fn principal_id(&mut self, id: Uuid) -> &mut Self {
        self.seed.principal_id = Some(id);
        self
    }

    /// Its ARM resource id, instead of one that is made.
    pub fn resource_id(&mut self, id: impl Into<String>) -> &mut Self {
        self.seed.resource_id = Some(id.into());
        self
    }

    /// App roles of an API (App ID URI or application id) that it was granted.
    pub fn granted<const N: usize>(&mut self, api: impl Into<String>, roles: [&str; N]) -> &mut Self {
        let app_roles = roles.map(str::to_owned).to_vec();
        self.seed.app_role_assignments.push(SeedResourceAccess { resource: api.into(), app_roles, scopes: Vec::new() });
        self
    }

    /// Tokens of this issuer with this subject, for `api://AzureADTokenExchange`, stand for a credential.
    pub fn federated(
        &mut self,
        name: impl Into<String>,
        issuer: impl Into<String>,
        subject: impl Into<String>,
    ) -> &mut Self {
        let credential = SeedFederatedCredential::new(name, issuer, subject);
        self.seed.federated_identity_credentials.push(credential);
        self
    }
}
