//! Errors as Graph words them.

use http::StatusCode;
use http::header::{self, HeaderValue};
use jiff::Timestamp;
use serde_json::{Value, json as value};

use crate::aadsts::Ids;
use crate::directory::{DirectoryError, GRAPH};

/// An error in Graph's envelope.
#[derive(Debug)]
pub(super) struct GraphError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// What the next token must have, for the challenge.
    claims: Option<String>,
}

impl GraphError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), claims: None }
    }

    pub(super) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
    }

    /// Continuous access evaluation: the token began before `at`, when its kind was revoked.
    pub(super) fn revoked(at: i64) -> Self {
        let message = "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: \
                       TokenIssuedBeforeRevocationTimestamp";
        let claims = value!({ "access_token": {
            "nbf": { "essential": true, "value": at.to_string() },
            "xms_caeerror": { "value": "10012" },
        } });
        Self { claims: Some(claims.to_string()), ..Self::unauthenticated(message) }
    }

    /// The token has none of the roles that this takes.
    pub(super) fn denied() -> Self {
        let message = "Insufficient privileges to complete the operation.";
        Self::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message)
    }

    pub(super) fn not_found(id: &str) -> Self {
        let message = format!(
            "Resource '{}' does not exist or one of its queried reference-property objects are not present.",
            shown(id)
        );
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    /// The directory does not take what is asked for.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// It is no OData.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    pub(super) fn taken(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Request_MultipleObjectsWithSameKeyValue", message)
    }

    pub(super) fn wrong_method() -> Self {
        let message = "Specified HTTP method is not allowed for the request target.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message)
    }

    pub(super) fn unknown_segment(segment: &str) -> Self {
        Self::malformed(format!("Resource not found for the segment '{}'.", shown(segment)))
    }

    pub(super) fn invalid_property(path: &str) -> Self {
        Self::bad(format!("Invalid property '{}'.", shown(path)))
    }

    pub(super) fn invalid_value(path: &str) -> Self {
        Self::bad(format!("Invalid value specified for property '{}'.", shown(path)))
    }

    pub(super) fn body(&self, ids: Ids, now: i64) -> Value {
        let now = Timestamp::from_second(now).unwrap_or_default();
        value!({ "error": {
            "code": self.code,
            "message": self.message,
            "innerError": {
                "date": now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "request-id": ids.trace,
                "client-request-id": ids.correlation,
            },
        } })
    }

    /// `WWW-Authenticate`, which goes with every 401. `login` is where tokens for this Graph come from.
    pub(super) fn challenge(&self, login: &str) -> Option<(header::HeaderName, HeaderValue)> {
        if self.status != StatusCode::UNAUTHORIZED {
            return None;
        }
        let mut challenge =
            format!("Bearer realm=\"\", authorization_uri=\"{login}/common/oauth2/authorize\", client_id=\"{GRAPH}\"");
        if let Some(claims) = &self.claims {
            let claims = super::standard_base64(claims.as_bytes());
            challenge.push_str(&format!(", error=\"insufficient_claims\", claims=\"{claims}\""));
        }
        Some((header::WWW_AUTHENTICATE, HeaderValue::from_str(&challenge).ok()?))
    }
}

impl From<DirectoryError> for GraphError {
    fn from(error: DirectoryError) -> Self {
        match &error {
            DirectoryError::NoProperty(path) => Self::invalid_property(path),
            DirectoryError::PropertyValue(path) => Self::invalid_value(path),
            DirectoryError::EnabledAppRole { .. } => {
                let message = "An app role that is enabled can be neither deleted nor given another value: disable it \
                               first, in a request of its own.";
                Self::new(StatusCode::BAD_REQUEST, "CannotDeleteOrUpdateEnabledEntitlement", message)
            }
            DirectoryError::Full(_) => {
                let message = "The directory object quota limit for the tenant has been exceeded.";
                Self::new(StatusCode::FORBIDDEN, "Directory_QuotaExceeded", message)
            }
            DirectoryError::Seed(seed) if seed.is_taken() => Self::taken(format!(
                "Another object with the same value for a property exists already: {}.",
                seed.message()
            )),
            DirectoryError::Seed(seed) if seed.path().ends_with(".claimsMatchingExpression.value") => {
                let message =
                    format!("FederatedIdentityCredential.ClaimsMatchingExpression.Value: {}.", seed.message());
                Self::new(StatusCode::BAD_REQUEST, "InvalidFederatedIdentityCredentialValue", message)
            }
            DirectoryError::Seed(seed) => {
                Self::bad(format!("Invalid value specified for property '{}': {}.", seed.path(), seed.message()))
            }
            DirectoryError::NoApplication(_)
            | DirectoryError::NoTenant(_)
            | DirectoryError::NoServicePrincipal { .. } => {
                Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", capital(&error.to_string()))
            }
            _ => Self::bad(capital(&error.to_string())),
        }
    }
}

/// What came from outside, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}
