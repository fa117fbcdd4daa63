//! Paths: `applications/ID/owners/$ref`, `applications(appId='ID')/addPassword`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::GraphError;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `applications`; `auditLogs/signIns` is one.
    pub(super) collection: String,
    pub(super) key: Option<Key>,
    /// After the object: what leads on from it, or is done with it.
    pub(super) rest: Vec<String>,
}

/// Which of the objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `applications/ID`
    Id(String),
    /// `applications(appId='ID')`
    By(String, String),
}

impl Target {
    /// `applications/ID/federatedIdentityCredentials` and what is under it.
    pub(super) fn is_federated_credential(&self) -> bool {
        self.collection == "applications"
            && self.rest.first().is_some_and(|segment| segment == "federatedIdentityCredentials")
    }

    /// Of a path after `/v1.0`, as it stands in a URL.
    pub(super) fn parse(path: &str) -> Result<Self, GraphError> {
        let mut names = Vec::new();
        let mut key = None;
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            let segment = decode(segment)?;
            if names.len() + usize::from(key.is_some()) > DEEPEST {
                return Err(GraphError::unknown_segment(&segment));
            }
            match parenthesised(&segment) {
                Some((name, inner)) if key.is_none() && names.is_empty() => {
                    names.push(name.to_owned());
                    key = Some(inner.ok_or_else(|| GraphError::malformed("The key of the path cannot be read."))?);
                }
                // the key of a federated credential, say, is as good in parentheses
                Some((name, Some(Key::Id(inner)))) => names.extend([name.to_owned(), inner]),
                Some((name, Some(Key::By(property, inner)))) => {
                    names.extend([name.to_owned(), format!("{property}={inner}")]);
                }
                Some((_, None)) => return Err(GraphError::unknown_segment(&segment)),
                None => names.push(segment.into_owned()),
            }
        }
        let mut names = names.into_iter();
        let mut collection = names.next().unwrap_or_default();
        if matches!(collection.as_str(), "auditLogs" | "directory")
            && let Some(inner) = names.next()
        {
            collection = format!("{collection}/{inner}");
        }
        if key.is_none() && names.as_slice().first().is_some_and(|next| !next.starts_with('$') && next != "getByIds") {
            key = names.next().map(Key::Id);
        }
        let plain = |name: String| name.strip_prefix("microsoft.graph.").map_or_else(|| name.clone(), str::to_owned);
        Ok(Self { collection, key, rest: names.map(plain).collect() })
    }

    /// What follows the object, for matching.
    pub(super) fn rest(&self) -> Vec<&str> {
        self.rest.iter().map(String::as_str).collect()
    }
}

impl Key {
    /// As it stood in the path.
    pub(super) fn shown(&self) -> &str {
        match self {
            Self::Id(id) | Self::By(_, id) => id,
        }
    }
}

fn decode(segment: &str) -> Result<Cow<'_, str>, GraphError> {
    let decoded = percent_decode_str(segment).decode_utf8();
    decoded.map_err(|_| GraphError::malformed("The path of the request is not UTF-8."))
}

/// `name(…)`: the name, and the key if it can be read.
fn parenthesised(segment: &str) -> Option<(&str, Option<Key>)> {
    let (name, inner) = segment.strip_suffix(')')?.split_once('(')?;
    let text = |quoted: &str| {
        let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
        let doubled = inner.replace("''", "");
        (!doubled.contains('\'')).then(|| inner.replace("''", "'"))
    };
    let key = match inner.split_once('=') {
        Some((property, value)) if !property.starts_with('\'') => {
            text(value.trim()).map(|value| Key::By(property.trim().to_owned(), value))
        }
        _ => text(inner.trim()).map(Key::Id),
    };
    Some((name, key))
}

/// Segments.
const DEEPEST: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> (String, Option<Key>, String) {
        let target = Target::parse(path).unwrap();
        (target.collection, target.key, target.rest.join("/"))
    }

    #[test]
    fn paths_are_read() {
        let id = |id: &str| Some(Key::Id(id.into()));
        assert_eq!(target("applications"), ("applications".into(), None, String::new()));
        assert_eq!(target("/users/ada%40contoso.com/"), ("users".into(), id("ada@contoso.com"), String::new()));
        assert_eq!(target("users('o''neil')/memberOf"), ("users".into(), id("o'neil"), "memberOf".into()));
        let by = Some(Key::By("appId".into(), "x".into()));
        assert_eq!(target("applications(appId='x')/addPassword"), ("applications".into(), by, "addPassword".into()));
        assert_eq!(target("applications/$count"), ("applications".into(), None, "$count".into()));
        assert_eq!(target("auditLogs/signIns/1"), ("auditLogs/signIns".into(), id("1"), String::new()));
        assert_eq!(target("groups/g/microsoft.graph.x"), ("groups".into(), id("g"), "x".into()));
        let rest = "federatedIdentityCredentials/name=main".to_owned();
        assert_eq!(
            target("applications/a/federatedIdentityCredentials(name='main')"),
            ("applications".into(), id("a"), rest)
        );
    }

    #[test]
    fn tricks_are_refused() {
        for bad in ["applications(appId=x)", "applications('a'b')", "a/b/c/d/e/f/g/h", "users/%ff", "applications('a)"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }
}
