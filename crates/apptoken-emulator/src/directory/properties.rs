//! Properties of Graph's that no token depends on: what there is, of what kind, and what stands there when nothing was
//! said. They are kept as they were given.

use serde_json::{Map, Value};

/// The further properties of one kind of object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Properties(&'static [(&'static str, Kind)]);

/// What a property may hold.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Text or nothing.
    Text,
    /// Yes, no or nothing.
    Flag,
    /// This, unless said otherwise.
    Switch(bool),
    Texts,
    Objects,
    /// An object of these members; what is not named in a change stays.
    Object(Properties),
    /// An object or nothing, taken as it is.
    Any,
}

impl Properties {
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    /// Takes a value if there is such a property and this can be one of its values; nothing removes what was there.
    ///
    /// # Errors
    /// What is wrong, beginning with the path of the property.
    pub(crate) fn set(self, all: &mut Map<String, Value>, name: &str, value: &Value) -> Result<(), Unfit> {
        let kind = self.kind(name).ok_or_else(|| Unfit::Unknown(name.to_owned()))?;
        match (kind, value) {
            (_, Value::Null) => _ = all.remove(name),
            (Kind::Object(members), Value::Object(given)) => {
                let mut whole = all.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
                for (member, value) in given {
                    members.set(&mut whole, member, value).map_err(|unfit| unfit.within(name))?;
                }
                all.insert(name.to_owned(), Value::Object(whole));
            }
            (kind, value) if kind.takes(value) => _ = all.insert(name.to_owned(), value.clone()),
            _ => return Err(Unfit::Value(name.to_owned())),
        }
        Ok(())
    }

    /// All of them, those that were given and those that were not.
    pub(crate) fn whole(self, given: &Map<String, Value>) -> Map<String, Value> {
        self.0.iter().map(|(name, kind)| ((*name).to_owned(), kind.whole(given.get(*name)))).collect()
    }

    fn kind(self, name: &str) -> Option<Kind> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, kind)| *kind)
    }
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Flag | Self::Switch(_) => value.is_boolean(),
            Self::Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
            Self::Objects => value.as_array().is_some_and(|all| all.iter().all(Value::is_object)),
            Self::Object(_) | Self::Any => value.is_object(),
        }
    }

    fn whole(self, given: Option<&Value>) -> Value {
        match (self, given) {
            (Self::Object(members), given) => {
                let none = Map::new();
                Value::Object(members.whole(given.and_then(Value::as_object).unwrap_or(&none)))
            }
            (_, Some(given)) => given.clone(),
            (Self::Text | Self::Flag | Self::Any, None) => Value::Null,
            (Self::Switch(usual), None) => usual.into(),
            (Self::Texts | Self::Objects, None) => Value::Array(Vec::new()),
        }
    }
}

/// Why a property was not taken: its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Unknown(String),
    Value(String),
}

impl Unfit {
    fn within(self, outer: &str) -> Self {
        match self {
            Self::Unknown(path) => Self::Unknown(format!("{outer}.{path}")),
            Self::Value(path) => Self::Value(format!("{outer}.{path}")),
        }
    }
}

/// Of an application, beside what tokens depend on.
pub(crate) const APPLICATION: Properties = Properties(&[
    ("addIns", Kind::Objects),
    ("api", Kind::Object(API)),
    ("applicationTemplateId", Kind::Text),
    ("defaultRedirectUri", Kind::Text),
    ("description", Kind::Text),
    ("groupMembershipClaims", Kind::Text),
    ("info", Kind::Object(INFO)),
    ("isDeviceOnlyAuthSupported", Kind::Flag),
    ("isFallbackPublicClient", Kind::Flag),
    ("nativeAuthenticationApisEnabled", Kind::Text),
    ("notes", Kind::Text),
    ("parentalControlSettings", Kind::Any),
    ("publicClient", Kind::Object(REDIRECTS)),
    ("requestSignatureVerification", Kind::Any),
    ("samlMetadataUrl", Kind::Text),
    ("serviceManagementReference", Kind::Text),
    ("servicePrincipalLockConfiguration", Kind::Any),
    ("spa", Kind::Object(REDIRECTS)),
    ("tags", Kind::Texts),
    ("tokenEncryptionKeyId", Kind::Text),
    ("uniqueName", Kind::Text),
    ("web", Kind::Object(WEB)),
]);

/// Of a service principal.
pub(crate) const SERVICE_PRINCIPAL: Properties = Properties(&[
    ("addIns", Kind::Objects),
    ("description", Kind::Text),
    ("homepage", Kind::Text),
    ("loginUrl", Kind::Text),
    ("logoutUrl", Kind::Text),
    ("notes", Kind::Text),
    ("notificationEmailAddresses", Kind::Texts),
    ("preferredSingleSignOnMode", Kind::Text),
    ("preferredTokenSigningKeyThumbprint", Kind::Text),
    ("replyUrls", Kind::Texts),
    ("samlSingleSignOnSettings", Kind::Any),
    ("tags", Kind::Texts),
    ("tokenEncryptionKeyId", Kind::Text),
]);

/// Of a user.
pub(crate) const USER: Properties = Properties(&[
    ("accountEnabled", Kind::Switch(true)),
    ("ageGroup", Kind::Text),
    ("businessPhones", Kind::Texts),
    ("city", Kind::Text),
    ("companyName", Kind::Text),
    ("country", Kind::Text),
    ("createdDateTime", Kind::Text),
    ("department", Kind::Text),
    ("employeeId", Kind::Text),
    ("employeeType", Kind::Text),
    ("givenName", Kind::Text),
    ("jobTitle", Kind::Text),
    ("mail", Kind::Text),
    ("mailNickname", Kind::Text),
    ("mobilePhone", Kind::Text),
    ("officeLocation", Kind::Text),
    ("onPremisesSyncEnabled", Kind::Flag),
    ("otherMails", Kind::Texts),
    ("postalCode", Kind::Text),
    ("preferredLanguage", Kind::Text),
    ("proxyAddresses", Kind::Texts),
    ("state", Kind::Text),
    ("streetAddress", Kind::Text),
    ("surname", Kind::Text),
    ("usageLocation", Kind::Text),
    ("userType", Kind::Text),
]);

/// Of a group.
pub(crate) const GROUP: Properties = Properties(&[
    ("classification", Kind::Text),
    ("createdDateTime", Kind::Text),
    ("description", Kind::Text),
    ("groupTypes", Kind::Texts),
    ("isAssignableToRole", Kind::Flag),
    ("mail", Kind::Text),
    ("mailEnabled", Kind::Switch(false)),
    ("mailNickname", Kind::Text),
    ("membershipRule", Kind::Text),
    ("onPremisesSyncEnabled", Kind::Flag),
    ("proxyAddresses", Kind::Texts),
    ("securityEnabled", Kind::Switch(true)),
    ("visibility", Kind::Text),
]);

/// `api` without `requestedAccessTokenVersion`, which tokens depend on.
const API: Properties = Properties(&[
    ("acceptMappedClaims", Kind::Flag),
    ("knownClientApplications", Kind::Texts),
    ("oauth2PermissionScopes", Kind::Objects),
    ("preAuthorizedApplications", Kind::Objects),
]);

const INFO: Properties = Properties(&[
    ("logoUrl", Kind::Text),
    ("marketingUrl", Kind::Text),
    ("privacyStatementUrl", Kind::Text),
    ("supportUrl", Kind::Text),
    ("termsOfServiceUrl", Kind::Text),
]);

const REDIRECTS: Properties = Properties(&[("redirectUris", Kind::Texts)]);

const WEB: Properties = Properties(&[
    ("homePageUrl", Kind::Text),
    ("implicitGrantSettings", Kind::Object(IMPLICIT)),
    ("logoutUrl", Kind::Text),
    ("redirectUris", Kind::Texts),
    ("redirectUriSettings", Kind::Objects),
]);

const IMPLICIT: Properties =
    Properties(&[("enableAccessTokenIssuance", Kind::Switch(false)), ("enableIdTokenIssuance", Kind::Switch(false))]);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(all: &mut Map<String, Value>, name: &str, value: &Value) -> Result<(), Unfit> {
        APPLICATION.set(all, name, value)
    }

    #[test]
    fn a_change_of_an_object_keeps_its_other_members() {
        let mut all = Map::new();
        set(&mut all, "web", &json!({ "redirectUris": ["https://a"] })).unwrap();
        set(&mut all, "web", &json!({ "homePageUrl": "https://h" })).unwrap();
        set(&mut all, "web", &json!({ "implicitGrantSettings": { "enableIdTokenIssuance": true } })).unwrap();
        set(&mut all, "notes", &json!("n")).unwrap();
        set(&mut all, "notes", &Value::Null).unwrap();
        let whole = APPLICATION.whole(&all);
        assert_eq!(
            whole["web"],
            json!({
                "homePageUrl": "https://h", "logoutUrl": null, "redirectUris": ["https://a"], "redirectUriSettings": [],
                "implicitGrantSettings": { "enableAccessTokenIssuance": false, "enableIdTokenIssuance": true },
            })
        );
        assert_eq!((&whole["notes"], &whole["tags"]), (&Value::Null, &json!([])));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut all = Map::new();
        for (name, value, unfit) in [
            ("planet", json!(1), Unfit::Unknown("planet".into())),
            ("web", json!({ "x": 1 }), Unfit::Unknown("web.x".into())),
            ("web", json!({ "redirectUris": [1] }), Unfit::Value("web.redirectUris".into())),
            ("web", json!([]), Unfit::Value("web".into())),
            ("tags", json!("a"), Unfit::Value("tags".into())),
            ("isFallbackPublicClient", json!("yes"), Unfit::Value("isFallbackPublicClient".into())),
        ] {
            assert_eq!(set(&mut all, name, &value), Err(unfit));
        }
        assert!(all.is_empty());
    }
}
