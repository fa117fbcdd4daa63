//! One request for a token: of whom, for what, and what is unusual about it.

mod claims;
mod extra;
mod hook;
mod key;
mod options;

use uuid::Uuid;

pub(crate) use claims::{AssertionClaims, Capabilities};
pub(crate) use extra::Extra;
pub use hook::{BeforeTokenRequest, TokenRequestHook};
pub(crate) use options::{Options, TokenHash};

use crate::authority::Tenant;
use crate::clock::Moment;
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
    /// The end of the acquisition: no retry begins after it.
    pub(crate) deadline: Moment,
    /// A token that was turned down by an API: a platform that can be told so is not to give it again.
    pub(crate) rejected: Option<TokenHash>,
}
