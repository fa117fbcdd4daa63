use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::response::Seconds;

/// The members of a token response that are used (RFC 6749 §5.1), and whether there are others: as serde derives it but
/// for the latter, which saves a second reading.
pub(super) struct GrantBody<'a> {
    pub(super) access_token: Cow<'a, str>,
    pub(super) token_type: Cow<'a, str>,
    pub(super) expires_in: Seconds,
    /// These two are advice, which does without when it makes no sense.
    pub(super) refresh_in: Value,
    pub(super) ext_expires_in: Value,
    pub(super) has_others: bool,
}

impl<'de> Deserialize<'de> for GrantBody<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = GrantBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token response")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GrantBody<'de>, A::Error> {
        let (mut access_token, mut token_type, mut expires_in) = (None, None, None);
        let (mut refresh_in, mut ext_expires_in) = (None, None);
        let mut has_others = false;
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "access_token" => once(&mut access_token, "access_token", map.next_value()?)?,
                "token_type" => once(&mut token_type, "token_type", map.next_value()?)?,
                "expires_in" => once(&mut expires_in, "expires_in", map.next_value()?)?,
                "refresh_in" => once(&mut refresh_in, "refresh_in", map.next_value()?)?,
                "ext_expires_in" => once(&mut ext_expires_in, "ext_expires_in", map.next_value()?)?,
                _ => {
                    has_others = true;
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Text(access_token) = access_token.ok_or_else(|| A::Error::missing_field("access_token"))?;
        let Text(token_type) = token_type.ok_or_else(|| A::Error::missing_field("token_type"))?;
        Ok(GrantBody {
            access_token,
            token_type,
            expires_in: expires_in.ok_or_else(|| A::Error::missing_field("expires_in"))?,
            refresh_in: refresh_in.unwrap_or_default(),
            ext_expires_in: ext_expires_in.unwrap_or_default(),
            has_others,
        })
    }
}

fn once<T, E: Error>(member: &mut Option<T>, name: &'static str, value: T) -> Result<(), E> {
    match member.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

/// Borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
