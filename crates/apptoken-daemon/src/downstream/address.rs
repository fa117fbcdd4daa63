//! The address of an API call: `BaseUrl`, `RelativePath` and query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

/// An API's `BaseUrl`: https, or http where a token may travel over it; no query, fragment or credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(Url);

impl BaseUrl {
    /// # Errors
    /// What is wrong with `text`, to follow the key's name.
    pub(super) fn parse(text: &str, allow_http: bool) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => format!("is {text:?}: it must begin with https://"),
            other => format!("is {text:?}, which is not a URL: {other}"),
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user name or password: leave it out, the token says who calls".to_owned());
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if allow_http || is_loopback(&host) => {}
            ("http", Some(_)) => {
                return Err(format!(
                    "is {text:?}: a token sent over plain http can be stolen, so http is for this machine (localhost) only; write https"
                ));
            }
            _ => return Err(format!("is {text:?}: it must begin with https://")),
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("holds a query or fragment: put the query into RelativePath or ExtraQueryParameters".to_owned());
        }
        Ok(Self(url))
    }

    pub(super) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The base without its trailing slash, one slash, the path without its leading one; then the query, with
    /// everything but RFC 3986's unreserved characters percent-encoded.
    ///
    /// # Errors
    /// What is wrong with `path`, to follow the key's name.
    pub(super) fn join(&self, path: &str, query: &[(String, String)]) -> Result<Url, String> {
        check_path(path)?;
        let base = self.0.as_str().trim_end_matches('/');
        let path = path.trim_start_matches('/');
        let joined = if path.is_empty() { self.0.to_string() } else { format!("{base}/{path}") };
        let mut url = Url::parse(&joined).map_err(|error| format!("does not make a URL: {error}"))?;
        for (name, value) in query {
            let pair = format!("{}={}", utf8_percent_encode(name, ENCODED), utf8_percent_encode(value, ENCODED));
            let whole = match url.query() {
                Some(before) if !before.is_empty() => format!("{before}&{pair}"),
                _ => pair,
            };
            url.set_query(Some(&whole));
        }
        Ok(url)
    }
}

/// The address without its query, for logs and errors: a query may hold what is nobody's business.
pub(super) fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// A path may hold a query; it may not leave the base.
fn check_path(path: &str) -> Result<(), String> {
    let before_query = path.split('?').next().unwrap_or_default();
    let climbs = before_query.split(['/', '\\']).any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    });
    if climbs {
        return Err(format!("is {path:?}: it must stay below BaseUrl, without . or .. as a step"));
    }
    if path.contains('#') {
        return Err(format!("is {path:?}: a # would cut the address off, write it as %23"));
    }
    if path.contains(|c: char| c.is_control()) {
        return Err("holds a control character".to_owned());
    }
    Ok(())
}

/// Whether a call of `url` stays on this machine.
pub(super) fn is_on_this_machine(url: &Url) -> bool {
    url.host().is_some_and(|host| is_loopback(&host))
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        // other names below .localhost go where the resolver says
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// All but RFC 3986's unreserved characters, as .NET's `Uri.EscapeDataString`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn join(base: &str, path: &str, query: &[(&str, &str)]) -> Result<String, String> {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BaseUrl::parse(base, false)?.join(path, &query).map(String::from)
    }

    #[test]
    fn one_slash_whatever_is_written() {
        for (base, path, whole) in [
            ("https://localhost:44372/", "api/TodoList", "https://localhost:44372/api/TodoList"),
            ("https://localhost:44372", "/api/TodoList", "https://localhost:44372/api/TodoList"),
            ("https://localhost:44372/", "//api/TodoList", "https://localhost:44372/api/TodoList"),
            ("https://api.example/v1/", "todo/", "https://api.example/v1/todo/"),
            ("https://api.example/v1", "", "https://api.example/v1"),
            ("https://api.example/v1/", "", "https://api.example/v1/"),
            ("https://api.example", "", "https://api.example/"),
            ("https://api.example", "todo?top=5", "https://api.example/todo?top=5"),
            ("https://api.example", "todo/ä b", "https://api.example/todo/%C3%A4%20b"),
            ("https://api.example", "https://evil.example/", "https://api.example/https://evil.example/"),
            ("https://api.example", "@evil.example/", "https://api.example/@evil.example/"),
            ("http://127.0.0.1:8080", "x", "http://127.0.0.1:8080/x"),
            ("http://[::1]:8080", "x", "http://[::1]:8080/x"),
        ] {
            assert_eq!(join(base, path, &[]).as_deref(), Ok(whole), "{base} + {path}");
        }
    }

    #[test]
    fn query_is_escaped_and_added() {
        let query = [("$filter", "name eq 'a&b'"), ("top", "5")];
        let want = "%24filter=name%20eq%20%27a%26b%27&top=5";
        assert_eq!(join("https://api.example", "todo", &query).unwrap(), format!("https://api.example/todo?{want}"));
        assert_eq!(
            join("https://api.example", "todo?a=b", &query).unwrap(),
            format!("https://api.example/todo?a=b&{want}")
        );
        assert_eq!(join("https://api.example", "todo?", &[("a", "")]).unwrap(), "https://api.example/todo?a=");
    }

    #[test]
    fn what_would_lead_astray_is_refused() {
        for (base, path, problem) in [
            ("localhost:44372", "", "is \"localhost:44372\": it must begin with https://"),
            ("api.example", "", "is \"api.example\": it must begin with https://"),
            ("ftp://api.example", "", "is \"ftp://api.example\": it must begin with https://"),
            (
                "http://api.example",
                "",
                "is \"http://api.example\": a token sent over plain http can be stolen, so http is for this machine (localhost) only; write https",
            ),
            (
                "http://localhost.evil.example",
                "",
                "is \"http://localhost.evil.example\": a token sent over plain http can be stolen, so http is for this machine (localhost) only; write https",
            ),
            (
                "http://api.localhost",
                "",
                "is \"http://api.localhost\": a token sent over plain http can be stolen, so http is for this machine (localhost) only; write https",
            ),
            ("https://u:p@api.example", "", "holds a user name or password: leave it out, the token says who calls"),
            (
                "https://api.example?x=1",
                "",
                "holds a query or fragment: put the query into RelativePath or ExtraQueryParameters",
            ),
            ("https://", "", "is \"https://\", which is not a URL: empty host"),
            (
                "https://api.example/v1",
                "../admin",
                "is \"../admin\": it must stay below BaseUrl, without . or .. as a step",
            ),
            (
                "https://api.example/v1",
                "a/%2E%2e/b",
                "is \"a/%2E%2e/b\": it must stay below BaseUrl, without . or .. as a step",
            ),
            (
                "https://api.example/v1",
                "a\\..\\b",
                "is \"a\\\\..\\\\b\": it must stay below BaseUrl, without . or .. as a step",
            ),
            ("https://api.example", "c#", "is \"c#\": a # would cut the address off, write it as %23"),
            ("https://api.example", "a\nb", "holds a control character"),
        ] {
            assert_eq!(join(base, path, &[]), Err(problem.to_owned()), "{base} + {path}");
        }
        assert!(BaseUrl::parse("http://api.example", true).is_ok());
    }
}
