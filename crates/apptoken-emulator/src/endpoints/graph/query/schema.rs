//! What queries know of each kind of object: its properties, and which of them a filter may look at.

use crate::directory::properties::{self, Properties};

/// One of Graph's types.
#[derive(Debug)]
pub(in crate::endpoints::graph) struct Schema {
    /// `microsoft.graph.…`
    pub(in crate::endpoints::graph) name: &'static str,
    /// Of the directory, where some of the queries are *advanced*.
    pub(in crate::endpoints::graph) directory: bool,
    properties: &'static [&'static str],
    further: Option<Properties>,
    filterable: &'static [(&'static str, Type)],
    /// What is shown without `$select`; everything when nothing is said.
    pub(in crate::endpoints::graph) default: Option<&'static [&'static str]>,
}

/// What a filter compares a property with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    /// A GUID without quotes.
    Id,
    Flag,
    Date,
    Number,
    /// A collection of texts.
    Texts,
}

impl Schema {
    pub(super) fn has(&self, property: &str) -> bool {
        self.properties.contains(&property)
            || self.further.is_some_and(|further| further.names().any(|name| name == property))
    }

    pub(super) fn filterable(&self, path: &str) -> Option<Type> {
        self.filterable.iter().find(|(name, _)| *name == path).map(|(_, kind)| *kind)
    }
}

pub(in crate::endpoints::graph) const APPLICATION: Schema = Schema {
    name: "application",
    directory: true,
    properties: &[
        "id",
        "appId",
        "appRoles",
        "createdDateTime",
        "deletedDateTime",
        "disabledByMicrosoftStatus",
        "displayName",
        "identifierUris",
        "keyCredentials",
        "optionalClaims",
        "passwordCredentials",
        "publisherDomain",
        "requiredResourceAccess",
        "signInAudience",
        "verifiedPublisher",
    ],
    further: Some(properties::APPLICATION),
    filterable: &[
        ("appId", Type::Text),
        ("createdDateTime", Type::Date),
        ("displayName", Type::Text),
        ("id", Type::Text),
        ("identifierUris", Type::Texts),
        ("publisherDomain", Type::Text),
        ("signInAudience", Type::Text),
        ("tags", Type::Texts),
        ("uniqueName", Type::Text),
    ],
    default: None,
};

pub(in crate::endpoints::graph) const SERVICE_PRINCIPAL: Schema = Schema {
    name: "servicePrincipal",
    directory: true,
    properties: &[
        "id",
        "accountEnabled",
        "alternativeNames",
        "appDescription",
        "appDisplayName",
        "appId",
        "appOwnerOrganizationId",
        "appRoleAssignmentRequired",
        "appRoles",
        "applicationTemplateId",
        "createdDateTime",
        "deletedDateTime",
        "disabledByMicrosoftStatus",
        "displayName",
        "info",
        "keyCredentials",
        "oauth2PermissionScopes",
        "passwordCredentials",
        "servicePrincipalNames",
        "servicePrincipalType",
        "signInAudience",
        "verifiedPublisher",
    ],
    further: Some(properties::SERVICE_PRINCIPAL),
    filterable: &[
        ("accountEnabled", Type::Flag),
        ("alternativeNames", Type::Texts),
        ("appId", Type::Text),
        ("appOwnerOrganizationId", Type::Id),
        ("createdDateTime", Type::Date),
        ("displayName", Type::Text),
        ("id", Type::Text),
        ("servicePrincipalNames", Type::Texts),
        ("servicePrincipalType", Type::Text),
        ("tags", Type::Texts),
    ],
    default: None,
};

pub(in crate::endpoints::graph) const APP_ROLE_ASSIGNMENT: Schema = Schema {
    name: "appRoleAssignment",
    directory: true,
    properties: &[
        "id",
        "appRoleId",
        "createdDateTime",
        "deletedDateTime",
        "principalDisplayName",
        "principalId",
        "principalType",
        "resourceDisplayName",
        "resourceId",
    ],
    further: None,
    filterable: &[("appRoleId", Type::Id), ("principalId", Type::Id), ("resourceId", Type::Id)],
    default: None,
};

pub(in crate::endpoints::graph) const FEDERATED_CREDENTIAL: Schema = Schema {
    name: "federatedIdentityCredential",
    directory: true,
    properties: &["id", "name", "issuer", "subject", "description", "audiences"],
    further: None,
    filterable: &[("name", Type::Text), ("issuer", Type::Text), ("subject", Type::Text)],
    default: None,
};

/// In the beta version.
pub(in crate::endpoints::graph) const FEDERATED_CREDENTIAL_BETA: Schema = Schema {
    properties: &["id", "name", "issuer", "subject", "description", "audiences", "claimsMatchingExpression"],
    ..FEDERATED_CREDENTIAL
};

pub(in crate::endpoints::graph) const USER: Schema = Schema {
    name: "user",
    directory: true,
    properties: &["id", "displayName", "userPrincipalName", "deletedDateTime"],
    further: Some(properties::USER),
    filterable: &[
        ("accountEnabled", Type::Flag),
        ("city", Type::Text),
        ("companyName", Type::Text),
        ("country", Type::Text),
        ("createdDateTime", Type::Date),
        ("department", Type::Text),
        ("displayName", Type::Text),
        ("employeeId", Type::Text),
        ("givenName", Type::Text),
        ("id", Type::Text),
        ("jobTitle", Type::Text),
        ("mail", Type::Text),
        ("mailNickname", Type::Text),
        ("officeLocation", Type::Text),
        ("proxyAddresses", Type::Texts),
        ("surname", Type::Text),
        ("usageLocation", Type::Text),
        ("userPrincipalName", Type::Text),
        ("userType", Type::Text),
    ],
    default: Some(&[
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    ]),
};

pub(in crate::endpoints::graph) const GROUP: Schema = Schema {
    name: "group",
    directory: true,
    properties: &["id", "displayName", "deletedDateTime"],
    further: Some(properties::GROUP),
    filterable: &[
        ("createdDateTime", Type::Date),
        ("displayName", Type::Text),
        ("groupTypes", Type::Texts),
        ("id", Type::Text),
        ("mail", Type::Text),
        ("mailEnabled", Type::Flag),
        ("mailNickname", Type::Text),
        ("proxyAddresses", Type::Texts),
        ("securityEnabled", Type::Flag),
    ],
    default: None,
};

/// What owners, members and their like are: objects of several types.
pub(in crate::endpoints::graph) const DIRECTORY_OBJECT: Schema = Schema {
    name: "directoryObject",
    directory: true,
    properties: &["id", "displayName", "appId", "userPrincipalName", "mail", "deletedDateTime"],
    further: None,
    filterable: &[("id", Type::Text), ("displayName", Type::Text)],
    default: None,
};

pub(in crate::endpoints::graph) const ORGANIZATION: Schema = Schema {
    name: "organization",
    directory: true,
    properties: &[
        "id",
        "countryLetterCode",
        "createdDateTime",
        "deletedDateTime",
        "displayName",
        "preferredLanguage",
        "tenantType",
        "verifiedDomains",
    ],
    further: None,
    filterable: &[],
    default: None,
};

pub(in crate::endpoints::graph) const SIGN_IN: Schema = Schema {
    name: "signIn",
    directory: false,
    properties: &[
        "id",
        "appDisplayName",
        "appId",
        "appliedConditionalAccessPolicies",
        "clientAppUsed",
        "clientCredentialType",
        "conditionalAccessStatus",
        "correlationId",
        "createdDateTime",
        "deviceDetail",
        "ipAddress",
        "isInteractive",
        "location",
        "resourceDisplayName",
        "resourceId",
        "riskDetail",
        "riskEventTypes",
        "riskEventTypes_v2",
        "riskLevelAggregated",
        "riskLevelDuringSignIn",
        "riskState",
        "servicePrincipalId",
        "servicePrincipalName",
        "signInEventTypes",
        "status",
        "uniqueTokenIdentifier",
        "userDisplayName",
        "userId",
        "userPrincipalName",
    ],
    further: None,
    filterable: &[
        ("appDisplayName", Type::Text),
        ("appId", Type::Text),
        ("correlationId", Type::Text),
        ("createdDateTime", Type::Date),
        ("id", Type::Text),
        ("resourceDisplayName", Type::Text),
        ("resourceId", Type::Text),
        ("servicePrincipalId", Type::Text),
        ("servicePrincipalName", Type::Text),
        ("signInEventTypes", Type::Texts),
        ("status/errorCode", Type::Number),
    ],
    default: None,
};
