//! A refusal in full, for those who run the API.

use std::fmt;

use super::Rejection;

impl Rejection {
    /// One event: what an operator asks about is at `info`, what is the API's own fault at `error`, and a request that
    /// merely came without a token at `debug`.
    pub(crate) fn log(&self) {
        let (status, reason) = (self.status().as_u16(), self.reason());
        match self {
            Self::TokenMissing => tracing::debug!(target: "apptoken_protect", status, reason, "refused: {self}"),
            Self::ProtectMissing => tracing::error!(target: "apptoken_protect", status, reason, "refused: {self}"),
            Self::KeysUnavailable | Self::ReplayMemoryFull => {
                tracing::warn!(target: "apptoken_protect", status, reason, "refused: {self}")
            }
            _ => tracing::info!(target: "apptoken_protect", status, reason, "refused: {self}"),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlgorithmRefused { presented } => {
                write!(f, "the token's alg is `{presented}`, only RS256 is accepted")
            }
            Self::AudienceMismatch { expected, presented } => {
                write!(
                    f,
                    "the token's aud is `{presented}`, accepted is {expected}{}",
                    audience_hint(expected, presented)
                )
            }
            Self::BindingMismatch { expected, presented } => {
                write!(f, "the token is bound to `{expected}`, proved was `{presented}`")
            }
            Self::ClientCertificateMissing => f.write_str(
                "an mtls_pop token over a connection without a client certificate: the client showed none, or this server \
                 does not ask for it and put a ClientCertificate into the request's extensions",
            ),
            Self::ProofRequired => f.write_str("a bearer token where proof of possession is required"),
            Self::ReplayMemoryFull => {
                f.write_str("more signed requests than replay_memory can hold: allow more, or a shorter lifetime")
            }
            Self::SignedRequestExpired { signed_at, now } => write!(
                f,
                "the request was signed {} s ago (ts {signed_at}, now {now})",
                now.saturating_sub(*signed_at)
            ),
            Self::SignedRequestInvalid { problem } => write!(f, "the signed request {problem}"),
            Self::SignedRequestMismatch { claim, expected, presented } => {
                write!(f, "the signed request's claim `{claim}` is `{presented}`, the request's own is `{expected}`")
            }
            Self::SignedRequestReplayed => f.write_str("a signed request came twice"),
            Self::TokenBound { scheme } => write!(f, "a bound token sent as Bearer, not as {scheme}"),
            Self::TokenNotBound => f.write_str("the token's cnf is missing or not of the kind that the scheme needs"),
            Self::AuthorizationAmbiguous => f.write_str("more than one Authorization header"),
            Self::AuthorizationMalformed => f.write_str("the Authorization header is not a scheme and one token"),
            Self::ClaimInvalid { claim, problem } => write!(f, "the token's claim `{claim}` {problem}"),
            Self::Expired { expired_at, now } => {
                write!(f, "the token expired {} s ago (exp {expired_at}, now {now})", now.saturating_sub(*expired_at))
            }
            Self::IssuerMismatch { expected, presented } => {
                write!(f, "the token's iss is `{presented}`, the tenant's is {expected}")
            }
            Self::KeyIdMissing => f.write_str("the token's header has no kid"),
            Self::KeyIssuerMismatch { expected, presented } => {
                write!(f, "the signing key belongs to issuer `{expected}`, the token's iss is `{presented}`")
            }
            Self::KeyUnknown { presented } => write!(f, "no key of the tenant has the token's kid `{presented}`"),
            Self::KeysUnavailable => {
                f.write_str("the tenant's keys have not been fetched yet, see the earlier warning")
            }
            Self::NotYetValid { valid_from, now } => {
                write!(f, "the token is valid in {} s (nbf {valid_from}, now {now})", valid_from.saturating_sub(*now))
            }
            Self::ProtectMissing => {
                f.write_str("RequireRoles saw a request without a Caller: add the Protect layer outside it")
            }
            Self::RoleMissing { required, all, granted, app_id } => {
                let (how, granted) = (if *all { "all of" } else { "one of" }, list(granted));
                write!(f, "application {app_id} has roles [{granted}], needed is {how} [{}]", list(required))
            }
            Self::RolesAbsent { app_id } => write!(
                f,
                "application {app_id} has no app role on this API: grant one and consent to it, or admit it with allow_callers"
            ),
            Self::SignatureInvalid => f.write_str("the token's signature does not match the key that its kid names"),
            Self::TenantMismatch { expected, presented } => {
                write!(f, "the token's tid is `{presented}`, the configured tenant is {expected}")
            }
            Self::TokenMalformed { problem } => write!(f, "the token is malformed: {problem}"),
            Self::TokenMissing => f.write_str("no access token"),
            Self::TokenTooLong { bytes } => write!(f, "the token has {bytes} bytes"),
            Self::UserToken { because, app_id } => {
                write!(f, "a user's token ({because}), got through application {app_id}; allow_user_tokens is off")
            }
        }
    }
}

impl std::error::Error for Rejection {}

/// Text from a token that is not believed, fit for one line of a log: escaped and cut.
pub(crate) fn presented(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_PRESENTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_PRESENTED).is_some() {
        shown.push('…');
    }
    shown
}

/// The two mistakes that are behind most refused audiences.
fn audience_hint(expected: &str, presented: &str) -> &'static str {
    let accepted = || expected.split(", ").map(|quoted| quoted.trim_matches('`'));
    if accepted().any(|one| one.trim_end_matches('/') == presented.trim_end_matches('/')) {
        " (they differ by a slash at the end: add the other spelling with audience())"
    } else if crate::tenant::Guid::parse(presented).is_some()
        && !accepted().any(|one| crate::tenant::Guid::parse(one).is_some())
    {
        " (a version 2.0 token names the API by its client id: if this one is yours, add it with client_id())"
    } else {
        ""
    }
}

pub(super) fn list(roles: &[String]) -> String {
    roles.join(", ")
}

const MAX_PRESENTED: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_audiences_come_with_the_likely_cause() {
        let said = |presented: &str| {
            Rejection::AudienceMismatch { expected: "`api://todolist`".into(), presented: presented.into() }.to_string()
        };
        assert!(said("api://todolist/").contains("differ by a slash"));
        assert!(said("00001111-aaaa-2222-bbbb-3333cccc4444").contains("add it with client_id()"));
        assert!(said("https://graph.microsoft.com").ends_with("accepted is `api://todolist`"));
    }

    #[test]
    fn presented_text_cannot_forge_a_log_line() {
        assert_eq!(presented("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(presented(&"x".repeat(300)).chars().count(), MAX_PRESENTED + 1);
    }
}
