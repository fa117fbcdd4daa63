//! What a token is asked for.

use std::borrow::Cow;

use crate::Error;

/// What [`acquire_token_for_client`](crate::ConfidentialClient::acquire_token_for_client) takes: one scope, alone or in
/// any list, as MSAL takes a list. One borrowed scope is not copied.
pub trait IntoScopes<'a> {
    /// The scopes, joined by a space (RFC 6749 §3.3).
    fn into_scopes(self) -> Cow<'a, str>;
}

impl<'a> IntoScopes<'a> for &'a str {
    fn into_scopes(self) -> Cow<'a, str> {
        Cow::Borrowed(self)
    }
}

impl<'a> IntoScopes<'a> for &'a String {
    fn into_scopes(self) -> Cow<'a, str> {
        Cow::Borrowed(self)
    }
}

impl<'a> IntoScopes<'a> for String {
    fn into_scopes(self) -> Cow<'a, str> {
        Cow::Owned(self)
    }
}

impl<'a, const N: usize> IntoScopes<'a> for [&'a str; N] {
    fn into_scopes(self) -> Cow<'a, str> {
        join(&self)
    }
}

impl<'a> IntoScopes<'a> for &[&'a str] {
    fn into_scopes(self) -> Cow<'a, str> {
        join(self)
    }
}

impl<'a, const N: usize> IntoScopes<'a> for &[&'a str; N] {
    fn into_scopes(self) -> Cow<'a, str> {
        join(self)
    }
}

impl<'a> IntoScopes<'a> for &'a [String] {
    fn into_scopes(self) -> Cow<'a, str> {
        match self {
            [one] => Cow::Borrowed(one),
            many => Cow::Owned(many.join(" ")),
        }
    }
}

impl<'a> IntoScopes<'a> for &'a Vec<String> {
    fn into_scopes(self) -> Cow<'a, str> {
        self.as_slice().into_scopes()
    }
}

impl<'a> IntoScopes<'a> for Cow<'a, str> {
    fn into_scopes(self) -> Self {
        self
    }
}

impl<'a, const N: usize> IntoScopes<'a> for [String; N] {
    fn into_scopes(self) -> Cow<'a, str> {
        Cow::Owned(self.join(" "))
    }
}

impl<'a, const N: usize> IntoScopes<'a> for [&'a String; N] {
    fn into_scopes(self) -> Cow<'a, str> {
        join(&self.map(String::as_str))
    }
}

impl<'a> IntoScopes<'a> for Vec<String> {
    fn into_scopes(self) -> Cow<'a, str> {
        Cow::Owned(self.join(" "))
    }
}

impl<'a> IntoScopes<'a> for Vec<&'a str> {
    fn into_scopes(self) -> Cow<'a, str> {
        join(&self)
    }
}

fn join<'a>(scopes: &[&'a str]) -> Cow<'a, str> {
    match scopes {
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.join(" ")),
    }
}

/// Which scopes a client lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeRule {
    /// Entra's: exactly one resource, ending in `/.default`.
    OneDefault,
    /// Another identity provider's: anything that RFC 6749 §3.3 allows.
    Any,
    /// A managed identity's: exactly one resource, with or without `/.default` after it.
    Resource,
}

impl ScopeRule {
    /// What a token for `scope` is asked for and kept under: a slice of it, since a hit calls this.
    pub(crate) fn asked_for(self, scope: &str) -> &str {
        match self {
            Self::OneDefault | Self::Any => scope,
            Self::Resource if ends_in_default(scope) => &scope[..scope.len() - DEFAULT.len()],
            Self::Resource => scope,
        }
    }

    /// Checks what has passed [`IntoScopes`]. The resource is everything before the *last* slash, so that the audience
    /// `https://database.windows.net/` is asked for as `https://database.windows.net//.default`.
    pub(crate) fn check(self, scopes: &str) -> Result<(), Error> {
        if scopes.trim().is_empty() {
            return Err(Error::configuration("no scope was given").with_advice(ONE_SCOPE));
        }
        if let Some(odd) = scopes.chars().find(|&c| !is_scope_char(c)) {
            return Err(Error::configuration(format!(
                "the scope {scopes:?} holds a character that no scope can have: {odd:?}"
            ))
            .with_advice(ONE_SCOPE));
        }
        if self == Self::Any {
            return Ok(());
        }
        let list = scopes.split(' ').filter(|scope| !scope.is_empty()).collect::<Vec<_>>();
        let [scope] = list[..] else {
            return Err(Error::configuration(format!(
                "{} scopes were given ({}), and an app-only token is for exactly one resource",
                list.len(),
                list.join(", ")
            ))
            .with_advice(
                "ask for one scope of the form <resource>/.default at a time: each resource has a token of its own",
            ));
        };
        if scope != scopes {
            return Err(Error::configuration(format!("the scope {scopes:?} has a space before or after it"))
                .with_advice(ONE_SCOPE));
        }
        if self == Self::Resource || (scope.len() > DEFAULT.len() && ends_in_default(scope)) {
            return Ok(());
        }
        Err(Error::configuration(format!("the scope {scope} does not end in /.default")).with_advice(format!(
            "an app-only token carries the permissions that an admin granted, so ask for {} (single permissions cannot be asked for)",
            probably_meant(scope)
        )))
    }
}

fn ends_in_default(scope: &str) -> bool {
    let start = scope.len().checked_sub(DEFAULT.len());
    start.and_then(|start| scope.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(DEFAULT))
}

/// The scope that someone who wrote `scope` most likely wants.
fn probably_meant(scope: &str) -> String {
    let scope = scope.trim_end_matches('.');
    if scope.eq_ignore_ascii_case(".default") || scope.eq_ignore_ascii_case(DEFAULT) {
        return format!("<resource>{DEFAULT}, for example https://graph.microsoft.com{DEFAULT}");
    }
    let after_scheme = scope.find("://").map(|at| at + 3);
    let resource = match after_scheme {
        // `User.Read` is short for Graph's; a bare GUID is an API's client id
        None if scope.contains('.') && !scope.contains('/') => "https://graph.microsoft.com",
        None => scope.split('/').next().unwrap_or(scope),
        // an authority alone (`https://graph.microsoft.com`) or with a slash that counts (`https://database.windows.net/`)
        Some(start) => match scope[start..].rfind('/') {
            Some(slash) if start + slash + 1 < scope.len() => &scope[..start + slash],
            _ => scope,
        },
    };
    format!("{resource}{DEFAULT}")
}

/// RFC 6749 §3.3: scope-token characters, and the space between tokens.
fn is_scope_char(c: char) -> bool {
    matches!(c, ' ' | '!' | '#'..='[' | ']'..='~')
}

const DEFAULT: &str = "/.default";
const ONE_SCOPE: &str =
    "give one scope of the form <resource>/.default, for example https://graph.microsoft.com/.default";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_scope_is_named() {
        for (wrong, meant) in [
            ("https://graph.microsoft.com/User.Read.All", "https://graph.microsoft.com/.default"),
            ("https://graph.microsoft.com", "https://graph.microsoft.com/.default"),
            ("https://database.windows.net/", "https://database.windows.net//.default"),
            ("api://todolist/access_as_app", "api://todolist/.default"),
            ("api://todolist", "api://todolist/.default"),
            ("User.Read", "https://graph.microsoft.com/.default"),
            ("00001111-aaaa-2222-bbbb-3333cccc4444", "00001111-aaaa-2222-bbbb-3333cccc4444/.default"),
            (".default", "<resource>/.default"),
            ("/.default", "<resource>/.default"),
        ] {
            let error = ScopeRule::OneDefault.check(wrong).unwrap_err();
            assert!(error.advice().unwrap().contains(meant), "{wrong}: {error:?}");
        }
    }

    #[test]
    fn what_entra_takes_passes() {
        for scope in [
            "https://graph.microsoft.com/.default",
            "https://database.windows.net//.default",
            "api://00001111-aaaa-2222-bbbb-3333cccc4444/.default",
            "00001111-aaaa-2222-bbbb-3333cccc4444/.default",
            "api://host/path/.Default",
        ] {
            ScopeRule::OneDefault.check(scope).unwrap();
        }
        ScopeRule::Any.check("read write").unwrap();
        assert!(ScopeRule::Any.check("read\nwrite").is_err());
    }
}
