//! Trouble, declared: in a seed, and in the admin API.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A fault and whom it meets: every token request, unless it says otherwise.
///
/// ```json
/// { "fault": "status", "status": 429, "retryAfterSeconds": 5, "times": 3, "app": "33333333-cccc-4ccc-8ccc-000000000003" }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedFault {
    /// What happens.
    pub fault: FaultKind,
    /// For `status`: 400 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For `status`: sent as `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// For `status`: sent as it is, instead of Entra's envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// For `latency`: at most 60,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
    /// For `refusal`: an AADSTS code that can be had on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// How many requests meet it; until it is taken away when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Only in this tenant, by id or domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only for this `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Uuid>,
    /// Only for this resource, as the client spells it; a slash at the end does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// At the managed-identity endpoints instead of the token endpoint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub managed_identities: bool,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FaultKind {
    /// An HTTP status, with `Retry-After` and a body.
    #[default]
    Status,
    /// The proper answer, later.
    Latency,
    /// The connection is reset.
    Reset,
    /// No answer, ever.
    Hang,
    /// 200 with a body that is not JSON.
    Garbage,
    /// The body breaks off.
    Truncated,
    /// 53003 with a claims challenge, instead of what would be granted.
    ConditionalAccess,
    /// An AADSTS code, instead of what would be granted.
    Refusal,
}

/// How long new credentials (secrets, certificates, federated ones) are not known to the token endpoint yet: 7000215,
/// 700027, 70021 until then, as while Entra replicates them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedReplicationDelay {
    /// From the moment that a credential is made; seeded ones are known at once.
    pub seconds: u32,
    /// Only in this tenant, by id or domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Only for this `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Uuid>,
}
