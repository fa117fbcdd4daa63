//! Why a request was turned away, told twice: to the client in words that help an honest one, to the log in full.

mod answer;
mod log;

use http::StatusCode;

pub(crate) use log::presented;

/// Why a request was turned away.
///
/// `Display` is for the log and the API's own people: it says what was expected and what came. [`Self::detail`] is for
/// the client and says less. Neither holds the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// `alg` is not RS256: `none`, an HMAC keyed with the public key, anything else. Caused by the client.
    AlgorithmRefused {
        /// What the header says.
        presented: String,
    },
    /// `aud` names another resource. Mostly a client that asked for the wrong scope, or an API whose client id is not
    /// configured while its tokens are of version 2.0.
    AudienceMismatch {
        /// What this API accepts.
        expected: String,
        /// What the token says.
        presented: String,
    },
    /// The token is bound (`cnf`) to another certificate or key than the one that was proved: a stolen token, or one from
    /// before the certificate was renewed.
    BindingMismatch {
        /// The thumbprint in `cnf`.
        expected: String,
        /// The thumbprint of what was proved.
        presented: String,
    },
    /// More than one `Authorization` header (RFC 6750 §2: one method, one token).
    AuthorizationAmbiguous,
    /// An `Authorization` header that is not `Bearer` and one token.
    AuthorizationMalformed,
    /// A claim is missing or has the wrong type. Entra writes none such.
    ClaimInvalid {
        /// Its name.
        claim: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `Authorization: mtls_pop` over a connection without a [`ClientCertificate`](crate::ClientCertificate): the client
    /// showed none, or this API's server did not ask for one or does not hand it on.
    ClientCertificateMissing,
    /// `exp` is past, the skew included. The client should ask for a new token.
    Expired {
        /// `exp`, seconds since 1970.
        expired_at: i64,
        /// This API's time, seconds since 1970.
        now: i64,
    },
    /// `iss` is not the configured tenant's: another tenant's token, or another authority's.
    IssuerMismatch {
        /// The issuers in the tenant's metadata.
        expected: String,
        /// What the token says.
        presented: String,
    },
    /// The header has no `kid`.
    KeyIdMissing,
    /// The key belongs to another issuer than the token's (`issuer` in the JWK).
    KeyIssuerMismatch {
        /// The key's issuer.
        expected: String,
        /// The token's issuer.
        presented: String,
    },
    /// No key of the tenant has this `kid`, not even after the refresh that was due.
    KeyUnknown {
        /// What the header says.
        presented: String,
    },
    /// The tenant's keys could not be fetched yet, so nothing can be judged. Not the client's fault; worth a retry.
    KeysUnavailable,
    /// `nbf` lies ahead, the skew included: a clock is wrong.
    NotYetValid {
        /// `nbf`, seconds since 1970.
        valid_from: i64,
        /// This API's time, seconds since 1970.
        now: i64,
    },
    /// A bearer token, where only tokens bound to a key are let in.
    ProofRequired,
    /// [`RequireRoles`](crate::RequireRoles) saw a request that had not passed [`Protect`](crate::Protect). A mistake
    /// in the API's own router: `Protect` must be the outer layer.
    ProtectMissing,
    /// More signed requests arrive than can be remembered, so that a replay would not be noticed. Not the client's fault;
    /// worth a retry. See [`ProtectBuilder::replay_memory`](crate::ProtectBuilder::replay_memory).
    ReplayMemoryFull,
    /// A good token without the app roles that this route demands.
    RoleMissing {
        /// What the route demands.
        required: Vec<String>,
        /// Whether it demands them all, or one of them.
        all: bool,
        /// What the caller was granted.
        granted: Vec<String>,
        /// The caller's client id.
        app_id: String,
    },
    /// A good app-only token without any app role, from an application that is not on the list. Entra issues one to any
    /// application of the tenant that asks: nobody has granted it anything.
    RolesAbsent {
        /// The caller's client id.
        app_id: String,
    },
    /// The signature does not fit: forged, or damaged on the way.
    SignatureInvalid,
    /// A signed request was signed too long ago, or ahead of this clock.
    SignedRequestExpired {
        /// `ts`, seconds since 1970.
        signed_at: i64,
        /// This API's time, seconds since 1970.
        now: i64,
    },
    /// `Authorization: PoP` without a well-formed signed request, or with one signed by another key.
    SignedRequestInvalid {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A signed request was signed for another one than it came with.
    SignedRequestMismatch {
        /// `m` (method), `u` (host) or `p` (path).
        claim: &'static str,
        /// What this request has.
        expected: String,
        /// What was signed.
        presented: String,
    },
    /// A signed request that came before: its nonce is spent.
    SignedRequestReplayed,
    /// `tid` is another tenant.
    TenantMismatch {
        /// The configured tenant.
        expected: String,
        /// What the token says.
        presented: String,
    },
    /// A token with `cnf` sent as a bearer token: who bears it has proved nothing.
    TokenBound {
        /// The scheme to send it with: `mtls_pop` or `PoP`.
        scheme: &'static str,
    },
    /// Not a compact JWS, or one that is refused unread.
    TokenMalformed {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No `Authorization: Bearer` at all.
    TokenMissing,
    /// `mtls_pop` or `PoP` with a token that is not bound to a certificate, or to a key.
    TokenNotBound,
    /// Longer than allowed.
    TokenTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A user's token, where only applications are let in.
    UserToken {
        /// What makes it a user's.
        because: &'static str,
        /// The application that the user signed in to.
        app_id: String,
    },
}

impl Rejection {
    /// The HTTP status: 401 for a token that is missing or not believed, 403 for a believed one that is not enough,
    /// 400 for a header that cannot be read (RFC 6750 §3.1), 503 and 500 when the fault is on this side.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::AuthorizationAmbiguous | Self::AuthorizationMalformed => StatusCode::BAD_REQUEST,
            Self::RoleMissing { .. } | Self::RolesAbsent { .. } | Self::UserToken { .. } => StatusCode::FORBIDDEN,
            Self::KeysUnavailable | Self::ReplayMemoryFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::ProtectMissing => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The error word of RFC 6750 §3.1; none for a request without a token, and none when the fault is on this side.
    #[must_use]
    pub fn error(&self) -> Option<&'static str> {
        match self.status() {
            _ if *self == Self::TokenMissing => None,
            StatusCode::BAD_REQUEST => Some("invalid_request"),
            StatusCode::UNAUTHORIZED => Some("invalid_token"),
            StatusCode::FORBIDDEN => Some("insufficient_scope"),
            _ => None,
        }
    }

    /// A stable word for programs and dashboards, for example `audience_mismatch`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.words().0
    }

    /// What the client is told: enough for an honest one, without what was expected of a token that is not believed.
    #[must_use]
    pub fn detail(&self) -> String {
        let said = self.words().1;
        match self {
            Self::RoleMissing { required, all, .. } if !required.is_empty() => {
                let how = if *all && required.len() > 1 { "all of" } else { "one of" };
                format!("{said} Needed: {how} {}.", log::list(required))
            }
            _ => said.to_owned(),
        }
    }

    /// The fixed words: `reason`, and the `error_description` of the challenge.
    pub(crate) fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::AlgorithmRefused { .. } => ("algorithm_refused", "The access token is not signed with RS256."),
            Self::AudienceMismatch { .. } => (
                "audience_mismatch",
                "The access token is for another resource. Ask for this API's scope: its App ID URI and /.default.",
            ),
            Self::BindingMismatch { .. } => (
                "binding_mismatch",
                "The access token is bound to another certificate or key than the one presented. Ask for a new one.",
            ),
            Self::AuthorizationAmbiguous => {
                ("authorization_ambiguous", "The request carries more than one Authorization header.")
            }
            Self::AuthorizationMalformed => (
                "authorization_malformed",
                "The Authorization header is not 'Bearer' (or 'mtls_pop', 'PoP') and one access token.",
            ),
            Self::ClaimInvalid { .. } => {
                ("claim_invalid", "A claim of the access token is missing or has the wrong type.")
            }
            Self::ClientCertificateMissing => (
                "client_certificate_missing",
                "The connection has no client certificate. Present the one that the access token is bound to.",
            ),
            Self::Expired { .. } => ("expired", "The access token is expired. Ask for a new one."),
            Self::IssuerMismatch { .. } => {
                ("issuer_mismatch", "The access token is from another issuer. Ask the tenant that this API belongs to.")
            }
            Self::KeyIdMissing => ("key_id_missing", "The access token does not say which key signed it."),
            Self::KeyIssuerMismatch { .. } => {
                ("key_issuer_mismatch", "The key that signed the access token belongs to another issuer.")
            }
            Self::KeyUnknown { .. } => {
                ("key_unknown", "The key that signed the access token is not known. Ask for a new token.")
            }
            Self::KeysUnavailable => ("keys_unavailable", "Access tokens cannot be checked at the moment. Try again."),
            Self::NotYetValid { .. } => ("not_yet_valid", "The access token is not valid yet. Compare the clocks."),
            Self::ProofRequired => {
                ("proof_required", "The access token must be bound to a key: ask for one with proof of possession.")
            }
            Self::ReplayMemoryFull => {
                ("replay_memory_full", "Signed requests cannot be checked at the moment. Try again.")
            }
            Self::ProtectMissing => ("protect_missing", "The API is not set up correctly."),
            Self::RoleMissing { .. } => {
                ("role_missing", "The application has not been granted an app role that this request needs.")
            }
            Self::RolesAbsent { .. } => (
                "roles_absent",
                "The access token carries no app role. An administrator must grant the application one, then ask for a new token.",
            ),
            Self::SignatureInvalid => ("signature_invalid", "The signature of the access token is not valid."),
            Self::SignedRequestExpired { .. } => (
                "signed_request_expired",
                "The request was not signed just now. Sign each anew, and compare the clocks.",
            ),
            Self::SignedRequestInvalid { .. } => {
                ("signed_request_invalid", "The signed request is not well-formed, or not signed by the token's key.")
            }
            Self::SignedRequestMismatch { .. } => {
                ("signed_request_mismatch", "The signature is for another method, host or path than this request's.")
            }
            Self::SignedRequestReplayed => {
                ("signed_request_replayed", "The signed request was used before. Sign each with a nonce of its own.")
            }
            Self::TenantMismatch { .. } => {
                ("tenant_mismatch", "The access token is from another tenant. Ask the one that this API belongs to.")
            }
            Self::TokenBound { .. } => (
                "token_bound",
                "The access token is bound to a key. Send it with proof of possession, not as a bearer token.",
            ),
            Self::TokenNotBound => {
                ("token_not_bound", "The access token is not bound to a key in the way that the scheme needs.")
            }
            Self::TokenMalformed { .. } => ("token_malformed", "The access token is not a well-formed JSON Web Token."),
            Self::TokenMissing => {
                ("token_missing", "The request carries no access token. Send one as 'Authorization: Bearer'.")
            }
            Self::TokenTooLong { .. } => ("token_too_long", "The access token is too long."),
            Self::UserToken { .. } => (
                "user_token",
                "The access token was issued for a user. This API serves applications that call for themselves.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_a_challenge_and_tell_the_next_step() {
        // RFC 6750 §3: error_description is %x20-21 / %x23-5B / %x5D-7E.
        for rejection in samples() {
            let (reason, said) = rejection.words();
            assert!(said.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{reason}: {said}");
            assert!(said.ends_with('.') && said.starts_with(char::is_uppercase), "{said}");
            let log = rejection.to_string();
            assert!(!log.ends_with('.') && !log.contains('\n') && !log.starts_with(char::is_uppercase), "{log}");
        }
    }

    #[test]
    fn expectations_stay_in_the_log() {
        for rejection in samples().into_iter().filter(|r| r.status() == StatusCode::UNAUTHORIZED) {
            let told = rejection.detail();
            assert!(!told.contains("EXPECTED") && !told.contains("PRESENTED"), "{told}");
        }
        let audience = Rejection::AudienceMismatch { expected: "EXPECTED".into(), presented: "PRESENTED".into() };
        assert_eq!(audience.to_string(), "the token's aud is `PRESENTED`, accepted is EXPECTED");
    }

    #[test]
    fn roles_are_named_to_a_caller_that_is_believed() {
        let missing = |all| Rejection::RoleMissing {
            required: vec!["Read".into(), "Write".into()],
            all,
            granted: vec!["Other".into()],
            app_id: "app".into(),
        };
        assert!(missing(false).detail().ends_with("Needed: one of Read, Write."));
        assert!(missing(true).detail().ends_with("Needed: all of Read, Write."));
        assert!(!missing(true).detail().contains("Other"));
        assert_eq!(missing(true).to_string(), "application app has roles [Other], needed is all of [Read, Write]");
    }

    fn samples() -> Vec<Rejection> {
        let (expected, presented) = (|| "EXPECTED".to_owned(), || "PRESENTED".to_owned());
        vec![
            Rejection::AlgorithmRefused { presented: presented() },
            Rejection::AudienceMismatch { expected: expected(), presented: presented() },
            Rejection::BindingMismatch { expected: expected(), presented: presented() },
            Rejection::ClientCertificateMissing,
            Rejection::ProofRequired,
            Rejection::ReplayMemoryFull,
            Rejection::SignedRequestExpired { signed_at: 1, now: 2 },
            Rejection::SignedRequestInvalid { problem: "has no at" },
            Rejection::SignedRequestMismatch { claim: "m", expected: expected(), presented: presented() },
            Rejection::SignedRequestReplayed,
            Rejection::TokenBound { scheme: "PoP" },
            Rejection::TokenNotBound,
            Rejection::AuthorizationAmbiguous,
            Rejection::AuthorizationMalformed,
            Rejection::ClaimInvalid { claim: "oid", problem: "is missing" },
            Rejection::Expired { expired_at: 1, now: 2 },
            Rejection::IssuerMismatch { expected: expected(), presented: presented() },
            Rejection::KeyIdMissing,
            Rejection::KeyIssuerMismatch { expected: expected(), presented: presented() },
            Rejection::KeyUnknown { presented: presented() },
            Rejection::KeysUnavailable,
            Rejection::NotYetValid { valid_from: 2, now: 1 },
            Rejection::RolesAbsent { app_id: "app".into() },
            Rejection::RoleMissing { required: vec![], all: false, granted: vec![], app_id: "app".into() },
            Rejection::SignatureInvalid,
            Rejection::TenantMismatch { expected: expected(), presented: presented() },
            Rejection::TokenMalformed { problem: "not a compact JWS" },
            Rejection::TokenMissing,
            Rejection::TokenTooLong { bytes: 17 },
            Rejection::UserToken { because: "it has scp", app_id: "app".into() },
        ]
    }
}
