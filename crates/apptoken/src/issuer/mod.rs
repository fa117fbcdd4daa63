//! Who issues the tokens of a client.

mod ask;

use std::sync::Arc;

pub(crate) use ask::Granted;

use crate::Error;
use crate::authority::{Endpoints, Tenant};
use crate::credential::Rotating;
use crate::http::{DynTransport, RetryPolicy};
use crate::managed_identity::ManagedIdentity;
use crate::pop::PopKeys;
use crate::request::{Capabilities, Extra};
use crate::telemetry::Caller;

/// Who is asked when there is no token.
pub(crate) enum Issuer {
    /// A token endpoint, by an app that proves itself.
    Authority(Arc<App>),
    /// The platform that the program runs on.
    ManagedIdentity(Box<ManagedIdentity>),
}

/// An app, and where and how it asks.
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) credential: Arc<Rotating>,
    pub(crate) transport: Arc<dyn DynTransport>,
    pub(crate) retry: RetryPolicy,
    /// What every request says: in its claims, and besides the standard fields.
    pub(crate) capabilities: Capabilities,
    pub(crate) extra: Extra,
    /// Besides the client's own. None: any.
    pub(crate) allowed_tenants: Option<Vec<String>>,
    pub(crate) telemetry_headers: bool,
    /// The library above, where Entra is told about libraries.
    pub(crate) caller: Caller,
    /// What requests to APIs are signed with, when a call asks for that.
    pub(crate) pop_keys: PopKeys,
}

impl Issuer {
    /// Whose tokens these are, for those who watch.
    pub(crate) fn client_id(&self) -> &str {
        match self {
            Self::Authority(app) => &app.client_id,
            Self::ManagedIdentity(identity) => identity.id(),
        }
    }

    /// Another number for each credential that there has been.
    pub(crate) fn generation(&self) -> u64 {
        match self {
            Self::Authority(app) => app.credential.generation(),
            Self::ManagedIdentity(_) => 0,
        }
    }
}

impl App {
    /// The tenant that a call names.
    pub(crate) fn tenant_named(&self, tenant: &str) -> Result<Tenant, Error> {
        let named = self.endpoints.authority().tenant_named(tenant)?;
        let same = |allowed: &str| allowed.eq_ignore_ascii_case(named.as_str());
        let allowed = self.allowed_tenants.as_ref().is_none_or(|list| list.iter().any(|allowed| same(allowed)));
        if allowed || same(self.endpoints.authority().tenant().as_str()) {
            return Ok(named);
        }
        Err(Error::configuration(format!("the tenant {named} is not among those that this client is allowed to ask"))
            .with_advice("if it is to be, name it in the builder's allowed_tenants, as it is named in the call"))
    }
}
