//! The objects of the directory, as Entra has them: an application is global, a service principal is its presence in
//! one tenant, an app role assignment is what an administrator granted that presence.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use apptoken_jose::{Certificate, PublicKey, base64url};
use aws_lc_rs::{constant_time, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::federated::FederatedCredential;
use super::optional_claims::OptionalClaims;
use super::subject_names::{CertificateAuthority, TrustedSubjectName};

/// An organisation's directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct Tenant {
    /// `tid` in tokens.
    pub id: Uuid,
    /// Name for people.
    pub display_name: String,
    /// For example `contoso.onmicrosoft.com`.
    pub default_domain: String,
    /// All its domains, the default one first, lower case.
    pub domains: Vec<String>,
    /// When it was made, Unix seconds.
    pub created: i64,
    /// Two letters (ISO 3166), for example `DE`.
    pub country_letter_code: Option<String>,
    /// Two letters (ISO 639-1), for example `de`.
    pub preferred_language: Option<String>,
    /// Enough of its users for Graph to read.
    pub users: Vec<User>,
    /// Its groups, for Graph to read.
    pub groups: Vec<Group>,
    /// Authorities whose certificates its applications may trust by subject name.
    pub certificate_authorities: Vec<CertificateAuthority>,
    /// Applications present here, by application id.
    #[serde(skip)]
    pub(crate) principals: HashMap<Uuid, Arc<ServicePrincipal>>,
    /// Application ids by App ID URI, as [`resource_key`] writes it.
    #[serde(skip)]
    pub(crate) resources: HashMap<String, Uuid>,
}

/// A user, as far as Graph shows one here.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// Object id.
    pub id: Uuid,
    /// Name for people.
    pub display_name: String,
    /// Sign-in name.
    pub user_principal_name: String,
    /// Further properties, as Graph has them.
    pub further: Map<String, Value>,
}

/// A group, as far as Graph shows one here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Group {
    /// Object id.
    pub id: Uuid,
    /// Name for people.
    pub display_name: String,
    /// Object ids of users, service principals and groups.
    pub members: Vec<Uuid>,
    /// Further properties, as Graph has them.
    pub further: Map<String, Value>,
}

/// An application registration: global, whatever tenant it is used in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct Application {
    /// `client_id` of the daemon, `aud` of the API.
    pub app_id: Uuid,
    /// Object id of the registration.
    pub id: Uuid,
    /// Name for people.
    pub display_name: String,
    /// Where it is registered; none for Microsoft's own.
    pub home_tenant: Option<Uuid>,
    /// Who may use it.
    pub sign_in_audience: SignInAudience,
    /// App ID URIs, as registered.
    pub identifier_uris: Vec<String>,
    /// Version of the tokens issued *for* it.
    pub token_version: TokenVersion,
    /// What tokens issued for it carry besides.
    pub optional_claims: Option<OptionalClaims>,
    /// What it, as an API, lets daemons be granted.
    pub app_roles: Vec<AppRole>,
    /// What it, as a daemon, wishes for. Means nothing until an administrator consents.
    pub required_resource_access: Vec<RequiredResourceAccess>,
    /// Its client secrets.
    pub secrets: Vec<Secret>,
    /// Its certificates.
    pub certificates: Vec<KeyCredential>,
    /// Certificates that it trusts by subject name and issuer.
    pub trusted_subject_names: Vec<TrustedSubjectName>,
    /// Whose tokens stand for a credential of its own.
    pub federated: Vec<FederatedCredential>,
    /// Takes each client assertion of its own (`jti`) once. Entra is not known to.
    pub single_use_assertions: bool,
    /// Set when this is an agent identity: the application whose tokens stand for its credential.
    pub agent_blueprint: Option<Uuid>,
    /// Set when this is no registration but a managed identity of Azure's.
    pub managed_identity: Option<ManagedIdentity>,
    /// One of Microsoft's own: its tokens carry more claims.
    pub first_party: bool,
    /// As an API, compares `aud` with a slash at its end or without, as its App ID URI is written (Azure SQL).
    pub slash_strict: bool,
    /// When it was registered, Unix seconds.
    pub created: i64,
    /// Object ids of the users and service principals that own it.
    pub owners: Vec<Uuid>,
    /// Further properties, as Graph has them: no token depends on them.
    pub further: Map<String, Value>,
}

/// What makes an application a managed identity: the resource in Azure that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedIdentity {
    /// ARM resource id: of the user-assigned identity, or of what the system assigned the identity to. `xms_mirid`.
    pub resource_id: String,
    /// Goes with its host; otherwise assigned by a user.
    pub system_assigned: bool,
}

/// An application's presence in one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePrincipal {
    /// Object id; `oid` and `sub` in tokens.
    pub id: Uuid,
    /// The application.
    pub app_id: Uuid,
    /// May get tokens, and tokens may be issued for it.
    pub account_enabled: bool,
    /// As an API: issues tokens only to who has one of its roles.
    pub app_role_assignment_required: bool,
    /// The roles that it was granted on other applications.
    pub app_role_assignments: Vec<AppRoleAssignment>,
    /// When it was made, Unix seconds.
    pub created: i64,
    /// Object ids of the users and service principals that own it.
    pub owners: Vec<Uuid>,
    /// Further properties, as Graph has them: no token depends on them.
    pub further: Map<String, Value>,
}

/// A granted application permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct AppRoleAssignment {
    /// Application id of the API.
    pub resource: Uuid,
    /// Id of the role.
    pub app_role: Uuid,
    /// When it was granted, Unix seconds.
    pub created: i64,
}

/// The tenant of personal accounts, which is no organisation's.
pub(crate) const CONSUMERS: Uuid = uuid::uuid!("9188040d-6c67-4c5b-b112-36a304b66dad");

/// What stands in an assignment to an API without naming a role of it: to APIs that have none.
pub(crate) const DEFAULT_ACCESS: Uuid = Uuid::nil();

/// An application permission that an API offers.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct AppRole {
    /// Id.
    pub id: Uuid,
    /// What stands in the `roles` claim.
    pub value: String,
    /// Name for people.
    pub display_name: String,
    /// What it allows, for people.
    pub description: String,
    /// Whether it can be assigned; one that is not can be taken away.
    pub enabled: bool,
    /// Who may have it.
    pub allowed_member_types: Vec<MemberType>,
}

/// Who may have an app role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum MemberType {
    /// Daemons: an application permission.
    Application,
    /// Users and groups.
    User,
}

/// Application permissions wished for on one API.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct RequiredResourceAccess {
    /// Application id of the API.
    pub resource: Uuid,
    /// Role ids.
    pub app_roles: Vec<Uuid>,
    /// Ids of delegated permissions: kept for Graph, of no use to a daemon.
    pub scopes: Vec<Uuid>,
}

/// Version of access tokens (`ver`), as the API's `requestedAccessTokenVersion` says; the endpoint has no part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TokenVersion {
    /// `1.0`, also when nothing is said.
    #[default]
    V1,
    /// `2.0`.
    V2,
}

/// Who may use an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum SignInAudience {
    /// Its own tenant.
    #[default]
    AzureADMyOrg,
    /// Any tenant, once it has a service principal there.
    AzureADMultipleOrgs,
    /// Any tenant, and personal accounts, which are nothing to a daemon.
    AzureADandPersonalMicrosoftAccount,
}

impl SignInAudience {
    /// Whether its service principals live in its home tenant only.
    #[must_use]
    pub fn is_one_tenant(self) -> bool {
        self == Self::AzureADMyOrg
    }
}

/// A client secret. Only its SHA-256 is kept, and its first characters.
#[derive(Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    /// The secret's id, which people mistake for the secret.
    pub key_id: Uuid,
    /// Name for people.
    pub display_name: String,
    #[serde(with = "super::kept::bytes")]
    digest: [u8; 32],
    /// Its first three characters, by which people tell one from another.
    pub hint: String,
    /// Valid from, Unix seconds.
    pub start: i64,
    /// Valid until, Unix seconds.
    pub end: i64,
    /// When it was registered, Unix seconds; 0 when it was there from the start.
    pub(crate) added: i64,
}

/// A registered certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "super::kept::KeptKey")]
#[non_exhaustive]
pub struct KeyCredential {
    /// The credential's id.
    pub key_id: Uuid,
    /// Name for people.
    pub display_name: String,
    /// The certificate; its dates bound its use.
    #[serde(serialize_with = "super::kept::der")]
    pub certificate: Certificate,
    /// When it was registered, Unix seconds; 0 when it was there from the start.
    pub(crate) added: i64,
    #[serde(skip)]
    pub(crate) sha1: [u8; 20],
    #[serde(skip)]
    pub(crate) sha256: [u8; 32],
    #[serde(skip)]
    pub(crate) key: PublicKey,
}

impl Tenant {
    /// The service principal of an application in this tenant.
    #[must_use]
    pub fn service_principal(&self, app_id: Uuid) -> Option<&ServicePrincipal> {
        self.principals.get(&app_id).map(Arc::as_ref)
    }

    /// All service principals here, in no order.
    pub fn service_principals(&self) -> impl Iterator<Item = &ServicePrincipal> {
        self.principals.values().map(Arc::as_ref)
    }
}

impl AppRole {
    /// An application permission that can be assigned.
    pub(crate) fn new(id: Uuid, value: &str, display_name: &str) -> Self {
        Self {
            id,
            value: value.into(),
            display_name: display_name.into(),
            description: display_name.into(),
            enabled: true,
            allowed_member_types: vec![MemberType::Application],
        }
    }
}

impl AppRoleAssignment {
    /// Whether it grants this role of this API.
    #[must_use]
    pub fn grants(&self, resource: Uuid, app_role: Uuid) -> bool {
        self.resource == resource && self.app_role == app_role
    }
}

impl ServicePrincipal {
    /// Enabled, with nothing granted.
    pub(super) fn new(id: Uuid, app_id: Uuid, created: i64) -> Self {
        Self {
            id,
            app_id,
            account_enabled: true,
            app_role_assignment_required: false,
            app_role_assignments: Vec::new(),
            created,
            owners: Vec::new(),
            further: Map::new(),
        }
    }

    /// Grants a role that it does not have yet; whether it was new.
    pub(super) fn grant(&mut self, resource: Uuid, app_role: Uuid, now: i64) -> bool {
        let new = !self.app_role_assignments.iter().any(|assignment| assignment.grants(resource, app_role));
        if new {
            self.app_role_assignments.push(AppRoleAssignment { resource, app_role, created: now });
        }
        new
    }
}

impl Application {
    /// The role with this `value`, or with this id.
    #[must_use]
    pub fn role(&self, value_or_id: &str) -> Option<&AppRole> {
        // an id first: another role's value may look like it
        let by_id = guid(value_or_id).and_then(|id| self.app_roles.iter().find(|role| role.id == id));
        by_id.or_else(|| self.app_roles.iter().find(|role| role.value == value_or_id))
    }

    /// The id of what can be assigned by this name: a role's, or [`DEFAULT_ACCESS`].
    pub(super) fn assignable(&self, value_or_id: &str) -> Option<Uuid> {
        let role = self.role(value_or_id).map(|role| role.id);
        role.or_else(|| guid(value_or_id).filter(|&id| id == DEFAULT_ACCESS))
    }

    /// Whether this API takes a v1 token with this audience: its App ID URIs or its id, and a slash at the end counts
    /// only for the strict ones.
    #[must_use]
    pub fn accepts_audience(&self, audience: &str) -> bool {
        if guid(audience) == Some(self.app_id) {
            return true;
        }
        self.identifier_uris
            .iter()
            .any(|uri| if self.slash_strict { uri == audience } else { resource_key(uri) == resource_key(audience) })
    }
}

impl Secret {
    pub(crate) fn new(key_id: Uuid, display_name: &str, text: &str, start: i64, end: i64) -> Self {
        let hint = text.chars().take(3).collect();
        Self { key_id, display_name: display_name.into(), digest: sha256(text), hint, start, end, added: 0 }
    }

    /// One of which only the base64url of its digest is known.
    pub(crate) fn of_digest(
        key_id: Uuid,
        display_name: &str,
        digest: &str,
        hint: &str,
        (start, end): (i64, i64),
    ) -> Option<Self> {
        let digest = base64url::decode(digest).ok()?.try_into().ok()?;
        Some(Self { key_id, display_name: display_name.into(), digest, hint: hint.into(), start, end, added: 0 })
    }

    pub(super) fn added_at(self, now: i64) -> Self {
        Self { added: now, ..self }
    }

    pub(crate) fn digest_text(&self) -> String {
        base64url::encode(&self.digest)
    }

    /// Whether `digest`, from [`sha256`], is this secret's; takes the same time whatever it is.
    pub(crate) fn matches(&self, digest: &[u8; 32]) -> bool {
        constant_time::verify_slices_are_equal(&self.digest, digest).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("key_id", &self.key_id).field("end", &self.end).finish_non_exhaustive()
    }
}

impl KeyCredential {
    /// # Errors
    /// When the certificate's key is not RSA, or not readable.
    pub(crate) fn new(
        key_id: Uuid,
        display_name: &str,
        certificate: Certificate,
    ) -> Result<Self, apptoken_jose::KeyError> {
        Ok(Self {
            key_id,
            display_name: display_name.into(),
            added: 0,
            sha1: certificate.thumbprint_sha1(),
            sha256: certificate.thumbprint_sha256(),
            key: certificate.public_key()?,
            certificate,
        })
    }

    /// Whether it is old enough for the token endpoint to know it: see `faults::Delays`.
    pub(crate) fn is_known(&self, known_until: i64) -> bool {
        self.added == 0 || self.added <= known_until
    }
}

/// An App ID URI for comparing: one slash at the end, and letter case, do not count.
pub(crate) fn resource_key(uri: &str) -> String {
    uri.strip_suffix('/').unwrap_or(uri).to_ascii_lowercase()
}

/// A GUID in the one form that Entra takes: 32 digits with hyphens.
pub(crate) fn guid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

pub(crate) fn sha256(text: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    std::array::from_fn(|i| digest.as_ref()[i])
}
