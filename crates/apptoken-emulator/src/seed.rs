//! The seed: a JSON file that declares a whole directory, in Graph's words.
//!
//! ```json
//! {
//!   "tenants": [ { "displayName": "Contoso", "defaultDomain": "contoso.onmicrosoft.com" } ],
//!   "applications": [
//!     { "displayName": "TodoList API", "identifierUris": ["api://todolist"], "requestedAccessTokenVersion": 2,
//!       "appRoles": [ { "value": "DaemonAppRole" } ] },
//!     { "displayName": "Daemon", "passwordCredentials": [ { "secretText": "…" } ],
//!       "requiredResourceAccess": [ { "resource": "api://todolist", "appRoles": ["DaemonAppRole"] } ] }
//!   ]
//! }
//! ```
//! Ids that are left out are made. An application without `homeTenant` lives in the only tenant, and without
//! `servicePrincipals` has one in its home tenant.

mod fault;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use fault::{FaultKind, SeedFault, SeedReplicationDelay};

use crate::directory::{MemberType, OptionalClaims, SeedError, SignInAudience};

/// A whole directory, declared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Seed {
    /// For editors: where the schema of this file is. Ignored.
    #[serde(rename = "$schema")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The tenants.
    pub tenants: Vec<SeedTenant>,
    /// The applications, in any order; they may refer to each other.
    pub applications: Vec<SeedApplication>,
    /// Managed identities of the machine that the emulator's identity endpoints speak for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed_identities: Vec<SeedManagedIdentity>,
    /// Faults that wait from the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<SeedFault>,
    /// How long new credentials are not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replication_delays: Vec<SeedReplicationDelay>,
    /// Seconds by which the clock is ahead of the system's; negative: behind. None means 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset_seconds: Option<i64>,
}

/// A tenant in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedTenant {
    /// Its id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Uuid>,
    /// Name for people; the default domain when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// For example `contoso.onmicrosoft.com`.
    pub default_domain: String,
    /// When it was made; the start of the emulator when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time: Option<Timestamp>,
    /// Two letters (ISO 3166), for example `DE`: what the optional claim `tenant_ctry` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_letter_code: Option<String>,
    /// Two letters (ISO 639-1), for example `de`: what the optional claim `xms_tpl` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_language: Option<String>,
    /// Further domains.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Users for Graph to read.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<SeedUser>,
    /// Groups for Graph to read.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<SeedGroup>,
    /// Authorities that applications registered here may name, to trust certificates by subject name and issuer.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_certificate_authorities: Vec<SeedCertificateAuthority>,
    /// An application that may do through Graph what an administrator does: register others, give them credentials,
    /// grant them roles. Without it there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_application: Option<SeedAdminApplication>,
    /// What is unusual about Microsoft's own applications here.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub microsoft_service_principals: Vec<SeedMicrosoftPrincipal>,
}

/// The credentials of a bootstrap administrator in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedAdminApplication {
    /// `client_id`; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<Uuid>,
    /// Its client secret.
    #[serde(skip_serializing)]
    pub secret_text: SecretText,
}

/// One of Microsoft's own applications in a tenant of a seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedMicrosoftPrincipal {
    /// Its application id.
    pub app_id: Uuid,
    /// Nothing means yes.
    #[serde(default = "yes")]
    pub account_enabled: bool,
    /// Nothing means no.
    #[serde(default)]
    pub app_role_assignment_required: bool,
}

/// A granted app role in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedAssignment {
    /// App ID URI or application id of the API.
    pub resource: String,
    /// Value or id of its role; the empty GUID for an API that has none.
    pub app_role: String,
    /// When it was granted; the start of the emulator when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time: Option<Timestamp>,
}

/// A user in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedUser {
    /// Object id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Name for people.
    pub display_name: String,
    /// Sign-in name.
    pub user_principal_name: String,
    /// Further properties, as Graph has them.
    #[serde(default)]
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub further: Map<String, Value>,
}

/// A group in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedGroup {
    /// Object id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Name for people.
    pub display_name: String,
    /// Object ids, or sign-in names of users.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Further properties, as Graph has them.
    #[serde(default)]
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub further: Map<String, Value>,
}

/// An application in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedApplication {
    /// `client_id`; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<Uuid>,
    /// Object id of the registration; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// When it was registered; the start of the emulator when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time: Option<Timestamp>,
    /// Name for people.
    pub display_name: String,
    /// Id or domain of the tenant where it is registered; may be left out when there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_tenant: Option<String>,
    /// Who may use it.
    #[serde(default)]
    pub sign_in_audience: SignInAudience,
    /// App ID URIs.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifier_uris: Vec<String>,
    /// 1 or 2; nothing means 1, as in Entra.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_access_token_version: Option<u8>,
    /// Claims that tokens carry besides: those in `accessToken` are for tokens issued for it, as an API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional_claims: Option<OptionalClaims>,
    /// What it offers as an API.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_roles: Vec<SeedAppRole>,
    /// What it wishes for as a daemon.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_resource_access: Vec<SeedResourceAccess>,
    /// Client secrets.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub password_credentials: Vec<SeedSecret>,
    /// Certificates.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_credentials: Vec<SeedCertificate>,
    /// Certificates that it trusts by subject name and issuer, instead of by thumbprint: with them, a client assertion
    /// that brings `x5c` is judged by its chain alone.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_subject_name_and_issuers: Vec<SeedTrustedSubjectName>,
    /// Whose tokens stand for a credential of its own.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub federated_identity_credentials: Vec<SeedFederatedCredential>,
    /// Whether it takes each client assertion signed with its certificates only once, by `jti` (50012). Not known of
    /// Entra, and MSAL Node sends one for minutes: for finding out whether a client would bear it. Nothing means no.
    #[serde(default)]
    pub single_use_assertions: bool,
    /// For an agent identity: the application whose tokens, for this identity's id as `fmi_path`, are its credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_identity_blueprint_id: Option<Uuid>,
    /// Where it is present; nothing means its home tenant, an empty list nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_principals: Option<Vec<SeedServicePrincipal>>,
    /// Object ids of the users and service principals that own it.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Uuid>,
    /// Further properties, as Graph has them.
    #[serde(default)]
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub further: Map<String, Value>,
}

/// An application permission in a seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedAppRole {
    /// Made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// What stands in `roles`.
    pub value: String,
    /// Name for people; `value` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it allows, for people; the name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it can be assigned. Nothing means yes.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Who may have it; applications when absent.
    #[serde(default = "applications")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_member_types: Vec<MemberType>,
}

/// Permissions wished for, in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedResourceAccess {
    /// App ID URI or application id of the API.
    pub resource: String,
    /// Values or ids of its roles.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_roles: Vec<String>,
    /// Ids of delegated permissions: kept for Graph, of no use to a daemon.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Uuid>,
}

/// A client secret in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedSecret {
    /// The secret's id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Uuid>,
    /// Name for people.
    #[serde(default)]
    pub display_name: String,
    /// The secret. An export has its digest instead.
    #[serde(default, skip_serializing)]
    pub secret_text: SecretText,
    /// Instead of the secret: the base64url of its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_sha256: Option<String>,
    /// The first characters of the secret, when only its digest is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Valid from; the start of the emulator when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date_time: Option<Timestamp>,
    /// Valid until; two years on when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date_time: Option<Timestamp>,
}

/// A certificate in a seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedCertificate {
    /// The credential's id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Uuid>,
    /// Name for people.
    #[serde(default)]
    pub display_name: String,
    /// PEM text, or the base64 of the DER.
    pub certificate: String,
}

/// A certificate authority that a tenant of a seed knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedCertificateAuthority {
    /// By which applications name it.
    pub id: Uuid,
    /// Name for people.
    #[serde(default)]
    pub display_name: String,
    /// Its root, or several, and the intermediate ones that clients need not send: each PEM text (of one or more), or the
    /// base64 of the DER.
    pub certificates: Vec<String>,
}

/// Certificates that an application of a seed trusts by their name and who issued them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedTrustedSubjectName {
    /// One of `trustedCertificateAuthorities` of the application's home tenant.
    pub authority_id: Uuid,
    /// The common name of the certificate's subject, or one of its DNS names; letter case does not count.
    pub subject_name: String,
    /// Certificates that are revoked (7000214): serial numbers or thumbprints, in hex.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked_certificate_identifiers: Vec<String>,
}

/// A federated identity credential in a seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedFederatedCredential {
    /// The credential's id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// 3 to 120 letters, digits, `-` and `_`.
    pub name: String,
    /// `iss` of the tokens that it takes, to the letter.
    pub issuer: String,
    /// `sub` of the tokens that it takes, to the letter.
    #[serde(default)]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// What the claims of the tokens that it takes are like, instead of `subject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_matching_expression: Option<SeedClaimsExpression>,
    /// `aud` of the tokens that it takes: exactly one. `api://AzureADTokenExchange` when absent.
    #[serde(default = "token_exchange")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// What the claims of a token must be like: a *flexible* federated credential, in preview at Entra, for tokens of
/// GitHub, GitLab and Terraform Cloud.
///
/// ```json
/// { "value": "claims['sub'] matches 'repo:contoso/daemon:ref:refs/heads/*' and claims['repository_id'] eq '456789'", "languageVersion": 1 }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedClaimsExpression {
    /// Comparisons joined by `and`, with `eq` or `matches` (`*` any characters, `?` one). GitHub's name `sub` and
    /// `repository_id` or `repository_owner_id`, GitLab's `sub` and `project_id`, `namespace_id` or `user_id`.
    pub value: String,
    /// 1.
    pub language_version: u32,
}

/// A service principal in a seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedServicePrincipal {
    /// Id or domain of the tenant.
    pub tenant: String,
    /// Object id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Nothing means yes.
    #[serde(default = "yes")]
    pub account_enabled: bool,
    /// Nothing means no.
    #[serde(default)]
    pub app_role_assignment_required: bool,
    /// Whether an administrator has granted what `requiredResourceAccess` wishes for. Nothing means no.
    #[serde(default)]
    pub admin_consent: bool,
    /// App roles that it was granted one by one.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_role_assignments: Vec<SeedAssignment>,
    /// When it was made; the start of the emulator when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time: Option<Timestamp>,
    /// Object ids of the users and service principals that own it.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Uuid>,
    /// Further properties, as Graph has them.
    #[serde(default)]
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub further: Map<String, Value>,
}

/// A secret that does not show in `Debug` and is wiped from memory.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(from = "String")]
pub struct SecretText(Zeroizing<String>);

impl Seed {
    /// The JSON Schema (2020-12) of the file, for editors and other tools: also `docs/seed.schema.json`.
    pub const SCHEMA: &str = include_str!("../../../docs/seed.schema.json");

    /// Reads a seed.
    ///
    /// # Errors
    /// [`SeedError`] with the JSON path of what is wrong: syntax, an unknown member, a value of the wrong kind.
    pub fn from_json(text: &str) -> Result<Self, SeedError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with('[') {
            // serde takes a list for the members of an object, in their order
            return Err(SeedError::new(".", "a seed is an object, and this is a list".to_owned()));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let seed = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| SeedError::new(known_path(error.path()), error.inner().to_string()))?;
        json.end().map_err(|error| SeedError::new(".", error.to_string()))?;
        Ok(seed)
    }
}

/// As far as the text could be read; `.` is the whole.
pub(crate) fn known_path(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    let known = path.trim_end_matches('?').trim_end_matches('.');
    if known.is_empty() { ".".to_owned() } else { known.to_owned() }
}

/// A managed identity in a seed: a service principal that belongs to a resource in Azure.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedManagedIdentity {
    /// Name for people.
    pub display_name: String,
    /// Id or domain of its tenant; may be left out when there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its application id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Uuid>,
    /// Its service principal's object id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<Uuid>,
    /// ARM resource id; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Nothing means yes.
    #[serde(default = "yes")]
    pub account_enabled: bool,
    /// When it was made; the start of the emulator when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time: Option<Timestamp>,
    /// Whether it is the machine's own. At most one is.
    #[serde(default)]
    pub system_assigned: bool,
    /// The app roles that it was granted.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app_role_assignments: Vec<SeedResourceAccess>,
    /// Whose tokens stand for a credential of its own; not for a system-assigned one.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub federated_identity_credentials: Vec<SeedFederatedCredential>,
}

impl SeedFederatedCredential {
    /// For the audience `api://AzureADTokenExchange`.
    #[must_use]
    pub fn new(name: impl Into<String>, issuer: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            issuer: issuer.into(),
            subject: subject.into(),
            audiences: token_exchange(),
            ..Self::default()
        }
    }

    /// By an expression instead of a subject ([`SeedClaimsExpression`]), for the audience `api://AzureADTokenExchange`.
    #[must_use]
    pub fn matching(name: impl Into<String>, issuer: impl Into<String>, expression: impl Into<String>) -> Self {
        let expression = SeedClaimsExpression { value: expression.into(), language_version: 1 };
        Self { claims_matching_expression: Some(expression), ..Self::new(name, issuer, "") }
    }
}

impl SeedServicePrincipal {
    /// Present in a tenant: enabled, no assignment required, nothing granted.
    #[must_use]
    pub fn new(tenant: impl Into<String>) -> Self {
        Self {
            tenant: tenant.into(),
            id: None,
            account_enabled: true,
            app_role_assignment_required: false,
            admin_consent: false,
            app_role_assignments: Vec::new(),
            created_date_time: None,
            owners: Vec::new(),
            further: Map::new(),
        }
    }
}

impl Default for SeedManagedIdentity {
    fn default() -> Self {
        Self {
            display_name: String::new(),
            tenant: None,
            client_id: None,
            principal_id: None,
            resource_id: None,
            account_enabled: true,
            created_date_time: None,
            system_assigned: false,
            app_role_assignments: Vec::new(),
            federated_identity_credentials: Vec::new(),
        }
    }
}

impl Default for SeedAppRole {
    fn default() -> Self {
        Self {
            id: None,
            value: String::new(),
            display_name: None,
            description: None,
            is_enabled: true,
            allowed_member_types: applications(),
        }
    }
}

impl SecretText {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for SecretText {
    fn from(text: T) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

fn token_exchange() -> Vec<String> {
    vec!["api://AzureADTokenExchange".into()]
}

fn applications() -> Vec<MemberType> {
    vec![MemberType::Application]
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `APPTOKEN_BLESS=1` writes it anew.
    #[test]
    fn the_published_schema_is_the_parsers() {
        let mut schema = serde_json::to_value(schemars::schema_for!(Seed)).unwrap();
        schema["title"] = "A directory for the local Entra ID of apptoken".into();
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("APPTOKEN_BLESS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/seed.schema.json"), &text).unwrap();
        } else {
            assert_eq!(text, Seed::SCHEMA, "run it once with APPTOKEN_BLESS=1");
        }
    }

    #[test]
    fn errors_name_the_path() {
        let cases = [
            (r#"{"applications":[{"displayName":"A"},{"displayName":7}]}"#, "applications[1].displayName"),
            (r#"{"tenants":[{"defaultDomain":"a.b","user":[]}]}"#, "tenants[0].user"),
            (r#"{"tenants":[{}]}"#, "tenants[0]"),
            (
                r#"{"applications":[{"displayName":"A","passwordCredentials":[{"secretText":"x","endDateTime":"soon"}]}]}"#,
                "applications[0].passwordCredentials[0].endDateTime",
            ),
        ];
        for (json, path) in cases {
            let error = Seed::from_json(json).unwrap_err().to_string();
            assert!(error.starts_with(&format!("seed: {path}: ")), "{error}");
        }
        for (broken, said) in
            [("{", "seed: EOF"), ("{} {}", "seed: trailing"), ("{\"tenants\":[{\"", "seed: tenants[0]: EOF")]
        {
            let error = Seed::from_json(broken).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        assert!(Seed::from_json("\u{feff}{}").is_ok());
    }

    #[test]
    fn a_secret_does_not_show() {
        let secret = format!("{}-seed", testkit::CANARY);
        let json = format!(
            r#"{{"applications":[{{"displayName":"A","passwordCredentials":[{{"secretText":"{secret}"}}]}}]}}"#
        );
        let seed = Seed::from_json(&json).unwrap();
        assert!(!format!("{seed:?}").contains(&secret));
        testkit::witness(&seed);
    }
}
