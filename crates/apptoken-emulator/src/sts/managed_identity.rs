//! Tokens of managed identities: Azure vouches for them, so that there is no credential to check.

use super::issue::{Client, Granted, issue};
use super::pop::Binding;
use super::requested::Requested;
use crate::aadsts::{Code, Ids, Refusal};
use crate::directory::{Application, ServicePrincipal, Snapshot, Tenant};
use crate::sign_in::{CredentialKind, SignIn};
use crate::state::State;

/// What an identity endpoint asks for.
pub(crate) struct IdentityRequest<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) application: &'a Application,
    pub(crate) principal: &'a ServicePrincipal,
    pub(crate) resource: &'a str,
    pub(crate) ids: Ids,
}

/// A token of a managed identity.
pub(crate) fn for_managed_identity(
    state: &State,
    directory: &Snapshot,
    request: &IdentityRequest<'_>,
    log: &mut SignIn,
) -> Result<Granted, Refusal> {
    let IdentityRequest { tenant, application, principal, resource, ids } = *request;
    log.tenant_id = Some(tenant.id);
    log.app_id = Some(application.app_id.to_string());
    log.app_display_name = Some(application.display_name.clone());
    log.credential = Some(CredentialKind::ManagedIdentity);
    if !principal.account_enabled {
        let app = application.app_id.to_string();
        return Err(Refusal::new(Code::PrincipalDisabled, &[&app, &application.display_name]));
    }
    let credential = CredentialKind::ManagedIdentity;
    let (binding, requested) = (Binding::Bearer, Requested::default());
    let client = Client { tenant, application, principal, credential, binding, fmi_path: None, requested };
    issue(state, directory, client, resource, ids, log)
}
