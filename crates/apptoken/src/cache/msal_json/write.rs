use serde::Serialize;
use zeroize::Zeroizing;

use super::key::Wanted;
use crate::cache::KeptToken;

/// In whose form tokens are written. All forms are read.
///
/// MSAL Python finds a token only if its `home_account_id` is null, MSAL Node only if it is an empty string, MSAL Go
/// either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MsalProfile {
    /// Each token twice, once as MSAL Python and once as MSAL Node writes it: Python, Node and Go find it.
    #[default]
    All,
    /// As MSAL Python writes: Python and Go find it.
    Python,
    /// As MSAL Node writes: Node and Go find it.
    Node,
}

/// The entities of a token. One with components is written as MSAL Python and Go do, whatever the profile: MSAL Node
/// would take it for a plain one, and Go one of Node's.
pub(super) fn rows(wanted: &Wanted<'_>, token: &KeptToken, profile: MsalProfile) -> Vec<(String, Zeroizing<Vec<u8>>)> {
    let python = wanted.bare_host();
    let target = wanted.sorted_target();
    let mut rows = Vec::with_capacity(2);
    let mut row = |key: String, entity: Entity<'_>| {
        // sized, so that it does not grow and leave copies behind
        let length = 1024 + 6 * (entity.secret.len() + entity.realm.len() + entity.target.len());
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        if serde_json::to_writer(&mut *text, &entity).is_ok() {
            rows.push((key, text));
        }
    };
    if !wanted.components.is_empty() {
        let hash = wanted.components.hash();
        let entity = Entity { ext_cache_key: Some(&hash), ..Entity::new(wanted, token, python, &target) };
        row(wanted.key(python, "atext", &target, &format!("-{hash}")), entity);
        return rows;
    }
    if matches!(profile, MsalProfile::All | MsalProfile::Python) {
        row(wanted.key(python, "accesstoken", &target, ""), Entity::new(wanted, token, python, &target));
    }
    if matches!(profile, MsalProfile::All | MsalProfile::Node) {
        let entity = Entity { home_account_id: Some(""), ..Entity::new(wanted, token, wanted.host, &target) };
        row(wanted.key(wanted.host, "accesstoken", &target, "-"), entity);
    }
    rows
}

/// Times are whole seconds in strings and nothing but the home account is null: anything else makes an MSAL fail.
#[derive(Serialize)]
struct Entity<'a> {
    home_account_id: Option<&'a str>,
    environment: &'a str,
    credential_type: &'a str,
    client_id: &'a str,
    secret: &'a str,
    realm: &'a str,
    target: &'a str,
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_at: Option<String>,
    expires_on: String,
    extended_expires_on: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ext_cache_key: Option<&'a str>,
}

impl<'a> Entity<'a> {
    fn new(wanted: &Wanted<'a>, token: &'a KeptToken, environment: &'a str, target: &'a str) -> Self {
        Self {
            home_account_id: None,
            environment,
            credential_type: "AccessToken",
            client_id: wanted.client_id,
            secret: &token.secret,
            realm: wanted.realm,
            target,
            token_type: "Bearer",
            cached_at: token.cached_at.map(|time| time.to_string()),
            expires_on: token.expires_on.to_string(),
            extended_expires_on: token.expires_on.to_string(),
            refresh_on: token.refresh_on.map(|time| time.to_string()),
            ext_cache_key: None,
        }
    }
}
