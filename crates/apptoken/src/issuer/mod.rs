//! Who issues the tokens of a client.

mod ask;

use std::sync::Arc;

pub(crate) use ask::Granted;

use crate::authority::Authority;
use crate::credential::Rotating;
use crate::http::{DynTransport, RetryPolicy};
use crate::managed_identity::ManagedIdentity;
use crate::request::{Capabilities, Extra};

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
    pub(crate) authority: Authority,
    pub(crate) credential: Rotating,
    pub(crate) transport: Box<dyn DynTransport>,
    pub(crate) retry: RetryPolicy,
    /// What every request says: in its claims, and besides the standard fields.
    pub(crate) capabilities: Capabilities,
    pub(crate) extra: Extra,
    pub(crate) telemetry_headers: bool,
}

impl Issuer {
    /// Whose tokens these are, for those who watch.
    pub(crate) fn client_id(&self) -> &str {
        match self {
            Self::Authority(app) => &app.client_id,
            Self::ManagedIdentity(identity) => identity.id(),
        }
    }
}
