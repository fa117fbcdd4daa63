//! Claims that tokens carry only because a registration asks for them (Graph's `optionalClaims`).

use serde::{Deserialize, Serialize};

use super::Application;

/// What tokens are to carry besides, by kind of token. An access token is its API's: the API's registration decides,
/// never the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OptionalClaims {
    /// Of ID tokens, which no daemon gets: kept.
    pub id_token: Vec<OptionalClaim>,
    /// Of access tokens for this application.
    pub access_token: Vec<OptionalClaim>,
    /// Of SAML tokens, which no daemon gets: kept.
    pub saml2_token: Vec<OptionalClaim>,
}

/// One claim asked for. Any is kept; a token for an application alone has those of [`OptionalClaims::APP_ONLY`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptionalClaim {
    /// For example `idtyp`.
    pub name: String,
    /// `user` for an extension of users' objects; nothing for the claims that Entra defines.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Means nothing for daemons.
    #[serde(default)]
    pub essential: bool,
    /// How the claim is to be written, for example `use_guid`.
    #[serde(default)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_properties: Vec<String>,
}

impl OptionalClaims {
    /// The optional claims that mean something where no user is: name, and what it puts into a token.
    pub const APP_ONLY: &[(&str, &str)] = &[
        ("idtyp", "app, by which an API tells a daemon from a user"),
        ("aud", "with use_guid: the client ID of the API in version 1.0 too, however it was asked for"),
        ("xms_cc", "cp1, if the client says that it handles claims challenges"),
        ("tenant_ctry", "the tenant's country, if it has one"),
        ("tenant_region_scope", "the tenant's region"),
        ("xms_tpl", "the tenant's preferred language, if it has one"),
    ];

    /// Makes access tokens carry those of [`Self::APP_ONLY`] that are `wanted`, and not the others. Whatever else is asked
    /// for stays.
    pub(crate) fn ask_for(&mut self, wanted: impl Fn(&str) -> bool) {
        for &(name, _) in Self::APP_ONLY {
            let asked = |claim: &OptionalClaim| claim.name == name && claim.source.is_none();
            match self.access_token.iter_mut().find(|claim| asked(claim)) {
                _ if !wanted(name) => self.access_token.retain(|claim| !asked(claim)),
                None => self.access_token.push(OptionalClaim::new(name)),
                Some(aud) if name == "aud" && !aud.additional_properties.iter().any(|one| one == USE_GUID) => {
                    aud.additional_properties.push(USE_GUID.into());
                }
                Some(_) => (),
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.id_token.len() + self.access_token.len() + self.saml2_token.len()
    }
}

impl OptionalClaim {
    /// As the portal adds it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let additional_properties = if name == "aud" { vec![USE_GUID.into()] } else { Vec::new() };
        Self { name, additional_properties, ..Self::default() }
    }
}

impl Application {
    /// Whether access tokens for this API are to carry a claim that Entra defines.
    #[must_use]
    pub fn asks_for_claim(&self, name: &str) -> bool {
        self.asked_for(name).is_some()
    }

    /// Whether `aud` of its tokens is its client ID whatever was asked for, in version 1.0 too.
    #[must_use]
    pub fn audience_is_guid(&self) -> bool {
        self.asked_for("aud").is_some_and(|claim| claim.additional_properties.iter().any(|one| one == USE_GUID))
    }

    fn asked_for(&self, name: &str) -> Option<&OptionalClaim> {
        let claims = &self.optional_claims.as_ref()?.access_token;
        claims.iter().find(|claim| claim.name == name && claim.source.is_none())
    }
}

const USE_GUID: &str = "use_guid";
