//! Who called, once the token is believed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::tenant::Guid;

/// The validated caller. [`Protect`](crate::Protect) puts it into the request's extensions; cloning it copies a pointer.
///
/// ```
/// # use apptoken_protect::Caller;
/// fn who<B>(request: &http::Request<B>) -> Option<&str> {
///     request.extensions().get::<Caller>().map(Caller::app_id)
/// }
/// ```
#[derive(Clone)]
pub struct Caller(Arc<Facts>);

/// What the claims said, each checked for its type.
pub(crate) struct Facts {
    pub(crate) app_id: String,
    pub(crate) object_id: String,
    pub(crate) tenant_id: Guid,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) app_only: bool,
    pub(crate) expires: i64,
    pub(crate) claims: Map<String, Value>,
}

impl Caller {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    /// Client id of the calling application: `azp` of a version 2.0 token, `appid` of a version 1.0 token.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.0.app_id
    }

    /// Object id (`oid`): of the application's service principal, or of the user in a user's token.
    #[must_use]
    pub fn object_id(&self) -> &str {
        &self.0.object_id
    }

    /// Id of the tenant that issued the token (`tid`), in lower case.
    #[must_use]
    pub fn tenant_id(&self) -> &str {
        self.0.tenant_id.as_str()
    }

    /// App roles granted on this API (`roles`); empty when there are none.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }

    /// Whether `role` was granted. Compared letter by letter, as Microsoft.Identity.Web does.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.0.roles.iter().any(|granted| granted == role)
    }

    /// Delegated permissions (`scp`): only in a user's token, see
    /// [`allow_user_tokens`](crate::ProtectBuilder::allow_user_tokens).
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.0.scopes
    }

    /// Whether the application called for itself and not for a user.
    #[must_use]
    pub fn is_app_only(&self) -> bool {
        self.0.app_only
    }

    /// When the token expires (`exp`).
    #[must_use]
    pub fn expires_on(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.0.expires).unwrap_or(0))
    }

    /// Every claim of the token, the unknown ones too.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.0.claims
    }
}

impl fmt::Debug for Caller {
    /// Without the claims: a user's token has personal data in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("app_id", &self.app_id())
            .field("object_id", &self.object_id())
            .field("tenant_id", &self.tenant_id())
            .field("roles", &self.roles())
            .field("app_only", &self.is_app_only())
            .finish_non_exhaustive()
    }
}
