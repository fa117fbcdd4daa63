use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

/// A token as it is kept outside this process: its times are the wall clock's, in whole seconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeptToken {
    pub(crate) secret: Zeroizing<String>,
    pub(crate) expires_on: u64,
    pub(crate) refresh_on: Option<u64>,
    pub(crate) cached_at: Option<u64>,
    pub(crate) correlation_id: Option<Uuid>,
}

impl fmt::Debug for KeptToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptToken")
            .field("secret", &"[redacted]")
            .field("expires_on", &self.expires_on)
            .field("refresh_on", &self.refresh_on)
            .field("cached_at", &self.cached_at)
            .field("correlation_id", &self.correlation_id)
            .finish()
    }
}
