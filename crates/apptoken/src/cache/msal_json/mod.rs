//! The JSON that every MSAL keeps its tokens in: one object of sections, each a map from key to entity.
//!
//! What is not ours is carried as the text it came in: sections and members that no MSAL of today knows, other
//! programs' accounts and refresh tokens, the spelling of numbers. Of the access tokens only those are parsed whose key
//! says that they may be wanted.

mod key;
mod row;
mod rows;
mod write;

use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub(crate) use key::{Components, Wanted};
pub use write::MsalProfile;

use self::rows::Rows;
use crate::cache::KeptToken;

/// A cache file's content.
#[derive(Default)]
pub(crate) struct Document {
    /// Named sections in the order of the file; the access tokens' is `None` and stands in `access_tokens`.
    sections: Vec<(String, Option<Box<RawValue>>)>,
    access_tokens: Rows,
}

impl Document {
    /// Reads a file's content. Nothing at all, or nothing but white space, is an empty cache, as for all MSALs.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let text = text.strip_prefix(BOM).unwrap_or(text);
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(text)
    }

    /// What is written.
    pub(crate) fn to_text(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        // sized, so that it does not grow and leave copies behind
        let mut text = Zeroizing::new(Vec::with_capacity(self.size()));
        serde_json::to_writer(&mut *text, self)?;
        Ok(text)
    }

    /// The token that is wanted, of several the one that lives longest.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Option<KeptToken> {
        let rows = wanted.keys().into_iter().filter_map(|key| self.access_tokens.get(&key));
        rows.filter_map(|row| row::read(row, wanted)).max_by_key(|token| token.expires_on)
    }

    /// Puts a token in the place of those that it follows.
    pub(crate) fn put(&mut self, wanted: &Wanted<'_>, token: &KeptToken, profile: MsalProfile) {
        self.remove(wanted);
        for (key, row) in write::rows(wanted, token, profile) {
            self.access_tokens.put(key, row);
        }
        if self.sections.is_empty() {
            self.sections = SECTIONS.iter().map(|&name| (name.to_owned(), None)).collect();
        } else if !self.sections.iter().any(|(name, _)| name == ACCESS_TOKEN) {
            self.sections.push((ACCESS_TOKEN.to_owned(), None));
        }
    }

    /// Removes a token in all its forms, and says whether there was one.
    pub(crate) fn remove(&mut self, wanted: &Wanted<'_>) -> bool {
        let mut removed = false;
        for key in wanted.keys() {
            removed |= self.access_tokens.remove(&key);
        }
        removed
    }

    /// Removes the app-only tokens that `doomed` says, by client id and expiry (seconds since 1970), and counts them.
    pub(crate) fn remove_app_tokens(&mut self, doomed: impl Fn(&str, Option<u64>) -> bool) -> usize {
        self.access_tokens.retain(|_, text| match row::app_only(text) {
            Some((client_id, expires_on)) => !doomed(&client_id, expires_on),
            None => true,
        })
    }

    /// How many access tokens there are, anybody's.
    pub(crate) fn len(&self) -> usize {
        self.access_tokens.len()
    }

    fn size(&self) -> usize {
        let others =
            self.sections.iter().map(|(name, text)| name.len() + text.as_ref().map_or(2, |t| t.get().len()) + 8);
        others.sum::<usize>() + self.access_tokens.size() + 16
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sections;

        impl<'de> Visitor<'de> for Sections {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of sections")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                while let Some(name) = map.next_key::<String>()? {
                    if document.sections.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom(format_args!("two members {name:?}")));
                    }
                    let section = if name == ACCESS_TOKEN {
                        document.access_tokens = map.next_value::<Option<Rows>>()?.unwrap_or_default();
                        None
                    } else {
                        Some(map.next_value::<Box<RawValue>>()?)
                    };
                    document.sections.push((name, section));
                }
                Ok(document)
            }
        }

        deserializer.deserialize_map(Sections)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.sections.len()))?;
        for (name, section) in &self.sections {
            match section {
                Some(text) => map.serialize_entry(name, text)?,
                None if name == ACCESS_TOKEN => map.serialize_entry(name, &self.access_tokens)?,
                None => map.serialize_entry(name, &Rows::default())?,
            }
        }
        map.end()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.sections.iter().map(|(name, _)| name).collect::<Vec<_>>();
        f.debug_struct("Document").field("sections", &sections).field("access_tokens", &self.len()).finish()
    }
}

const ACCESS_TOKEN: &str = "AccessToken";
/// What MSAL Go, .NET and Java begin a file with.
const SECTIONS: [&str; 5] = [ACCESS_TOKEN, "RefreshToken", "IdToken", "Account", "AppMetadata"];
const BOM: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests;
