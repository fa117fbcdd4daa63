//! From `scope` or `resource` to the name of one resource.

use crate::aadsts::{Code, Refusal};

/// The resource that a v2.0 scope parameter names: everything before the last slash of `…/.default`.
///
/// The slash matters: `https://database.windows.net//.default` names `https://database.windows.net/`.
pub(crate) fn resource(scope: &str) -> Result<&str, Refusal> {
    if !scope.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
        return Err(Refusal::new(Code::ScopeMalformed, &[scope])); // RFC 6749 §3.3
    }
    let mut scopes: Vec<&str> = scope.split(' ').filter(|s| !s.is_empty() && !OPENID.contains(s)).collect();
    scopes.dedup();
    let not_default = |presented: &str| {
        Refusal::new(Code::ScopeNotDefault, &[presented]).evidence("scope", "<resource>/.default", presented)
    };
    match scopes[..] {
        [] => Err(not_default(scope)),
        [one] => one.strip_suffix(DEFAULT).filter(|resource| !resource.is_empty()).ok_or_else(|| not_default(one)),
        [first, ref others @ ..] => {
            let resource_of = |scope: &str| scope.rsplit_once('/').map(|(resource, _)| resource.to_owned());
            let code = if others.iter().any(|other| resource_of(other) != resource_of(first)) {
                Code::ScopeOfTwoResources
            } else if scopes.iter().any(|scope| scope.ends_with(DEFAULT)) {
                Code::ScopeMalformed // `/.default` mixed with a named permission
            } else {
                return Err(not_default(scope));
            };
            Err(Refusal::new(code, &[scope]).evidence("scope", "one <resource>/.default", scope))
        }
    }
}

const DEFAULT: &str = "/.default";

/// MSAL Go and azidentity add these to every request; Entra takes no notice of them here.
const OPENID: &[&str] = &["openid", "profile", "offline_access", "email"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_before_the_last_slash() {
        for (scope, expected) in [
            ("https://database.windows.net//.default", "https://database.windows.net/"),
            ("https://database.windows.net/.default", "https://database.windows.net"),
            ("api://todolist/.default", "api://todolist"),
            ("api://host/path/.default openid offline_access profile", "api://host/path"),
            ("00000003-0000-0000-c000-000000000000/.default", "00000003-0000-0000-c000-000000000000"),
        ] {
            assert_eq!(resource(scope).unwrap(), expected);
        }
    }

    #[test]
    fn one_default_and_nothing_else() {
        for (scope, code) in [
            ("User.Read.All", Code::ScopeNotDefault),
            ("https://graph.microsoft.com/User.Read.All", Code::ScopeNotDefault),
            (".default", Code::ScopeNotDefault),
            ("/.default", Code::ScopeNotDefault),
            ("openid profile", Code::ScopeNotDefault),
            ("api%3A%2F%2Fx%2F.default", Code::ScopeNotDefault),
            ("https://a/.default https://b/.default", Code::ScopeOfTwoResources),
            ("https://a/.default https://a/Read", Code::ScopeMalformed),
            ("https://a/Write https://a/Read", Code::ScopeNotDefault),
            ("https://a/\".default", Code::ScopeMalformed),
            ("https://ä/.default", Code::ScopeMalformed),
        ] {
            assert_eq!(resource(scope).unwrap_err().code, code, "{scope}");
        }
    }
}
