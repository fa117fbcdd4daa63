//! One request for a token: of whom, for what, and what is unusual about it.

use uuid::Uuid;

use crate::authority::Tenant;
use crate::token::RefreshReason;

/// What an issuer is asked. It goes whole from the decision to the wire, so that a new option is a field of [`Options`]
/// and its use.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) tenant: &'a Tenant,
    /// For a managed identity the resource.
    pub(crate) scope: &'a str,
    pub(crate) correlation_id: Uuid,
    pub(crate) options: &'a Options,
    pub(crate) reason: RefreshReason,
    /// A token that was turned down by an API: a platform that can be told so is not to give it again.
    pub(crate) rejected: Option<&'a str>,
}

/// What is unusual about a request. A plain one has none, and a plain hit never looks here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// A claims challenge, JSON.
    pub(crate) claims: Option<Box<str>>,
    pub(crate) force_refresh: bool,
    /// What tells the token from a plain one with the same tenant and scope, besides claims; unambiguous. Empty when
    /// nothing does.
    pub(crate) extra_key: Box<str>,
}
