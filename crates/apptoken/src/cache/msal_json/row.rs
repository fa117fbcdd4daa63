use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::key::Wanted;
use crate::cache::KeptToken;

/// The token of an entity, if it is the one that is wanted; its key has been looked at already.
pub(super) fn read(text: &str, wanted: &Wanted<'_>) -> Option<KeptToken> {
    let mut row = Row::parse(text)?;
    let fits = row.is_app_only_bearer()
        && row.text("client_id")?.eq_ignore_ascii_case(wanted.client_id)
        && row.text("realm")?.eq_ignore_ascii_case(wanted.realm)
        && wanted.is_environment(row.text("environment")?)
        && wanted.is_target(row.text("target")?)
        && row.has_components(wanted);
    if !fits {
        return None;
    }
    let Some(Value::String(secret)) = row.0.remove("secret") else { return None };
    let secret = Zeroizing::new(secret);
    if secret.is_empty() {
        return None;
    }
    Some(KeptToken {
        secret,
        expires_on: row.time("expires_on")?,
        refresh_on: row.time("refresh_on"),
        cached_at: row.time("cached_at"),
        correlation_id: None,
    })
}

/// Whose token an entity is, and when it expires, if it is an app-only access token.
pub(super) fn app_only(text: &str) -> Option<(String, Option<u64>)> {
    let row = Row::parse(text)?;
    if !row.is_empty("home_account_id") || row.assertion_hash() {
        return None;
    }
    Some((row.text("client_id")?.to_owned(), row.time("expires_on")))
}

/// An entity's members by name in lower case.
struct Row(Map<String, Value>);

impl Row {
    fn parse(text: &str) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_str(text).ok()?;
        Some(Self(members.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()))
    }

    /// A user's token, one for a proof of possession and one with a claims challenge's answer are none of ours.
    fn is_app_only_bearer(&self) -> bool {
        let kind = self.text("credential_type").unwrap_or_default();
        let bearer =
            self.is_empty("token_type") || self.text("token_type").is_some_and(|t| t.eq_ignore_ascii_case("bearer"));
        (kind.eq_ignore_ascii_case("accesstoken") || kind.eq_ignore_ascii_case("atext"))
            && bearer
            && self.is_empty("home_account_id")
            && !self.assertion_hash()
            && ["key_id", "keyid", "kid", "requestedclaims", "requestedclaimshash"]
                .iter()
                .all(|name| self.is_empty(name))
    }

    /// Whether it has the components that are wanted, no more and no less, in whichever MSAL's form.
    fn has_components(&self, wanted: &Wanted<'_>) -> bool {
        let hash = self.text("ext_cache_key").filter(|hash| !hash.is_empty());
        let objects = ["ext", "additionalcachekeycomponents"].map(|name| self.0.get(name)).into_iter().flatten();
        let mut objects = objects.filter(|object| !is_empty(object));
        if wanted.components.is_empty() {
            let kind = self.text("credential_type").unwrap_or_default();
            return self.is_empty("ext_cache_key") && objects.next().is_none() && !kind.eq_ignore_ascii_case("atext");
        }
        let first = objects.next();
        let stated = hash.is_some() || first.is_some();
        let same = |object: &Value| {
            let pairs = object
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            pairs
                .collect::<Option<Vec<_>>>()
                .is_some_and(|pairs| super::key::Components::new(pairs) == *wanted.components)
        };
        stated
            && hash.is_none_or(|hash| hash.eq_ignore_ascii_case(&wanted.components.hash()))
            && first.is_none_or(same)
            && objects.all(same)
    }

    fn assertion_hash(&self) -> bool {
        ["user_assertion_hash", "userassertionhash"].iter().any(|name| !self.is_empty(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn is_empty(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(is_empty)
    }

    /// Seconds since 1970: a string or a number, whole or not.
    fn time(&self, name: &str) -> Option<u64> {
        let seconds = match self.0.get(name)? {
            Value::String(text) => text.trim().parse::<f64>().ok()?,
            Value::Number(number) => number.as_f64()?,
            _ => return None,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded first")]
        (0.0..=MOST_SECONDS).contains(&seconds).then_some(seconds as u64)
    }
}

/// One that is not wanted has a secret as well.
impl Drop for Row {
    fn drop(&mut self) {
        if let Some(Value::String(secret)) = self.0.get_mut("secret") {
            secret.zeroize();
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The year 9999.
const MOST_SECONDS: f64 = 253_402_300_799.0;
