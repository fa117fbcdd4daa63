//! The values of fields and attributes: stable, unlike `Debug`.

use crate::ErrorKind;
use crate::token::{AcquiredFrom, CacheLevel, RefreshReason};

pub(crate) trait InWords {
    fn in_words(self) -> &'static str;
}

impl InWords for AcquiredFrom {
    fn in_words(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Cache => "cache",
        }
    }
}

impl InWords for CacheLevel {
    fn in_words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::L1 => "l1",
            Self::L2 => "l2",
        }
    }
}

impl InWords for RefreshReason {
    fn in_words(self) -> &'static str {
        match self {
            Self::NotApplicable => "not_applicable",
            Self::ForceRefreshOrClaims => "force_refresh_or_claims",
            Self::NoCachedToken => "no_cached_token",
            Self::Expired => "expired",
            Self::Proactive => "proactive",
        }
    }
}

impl InWords for ErrorKind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Configuration => "configuration",
            Self::Credential => "credential",
            Self::Denied => "denied",
            Self::Protocol => "protocol",
            Self::Throttled => "throttled",
            Self::Transport => "transport",
        }
    }
}
