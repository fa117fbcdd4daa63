use ::http::HeaderMap;
use ::http::header::WWW_AUTHENTICATE;
use apptoken_jose::base64url;
use url::Url;

/// One challenge of a `WWW-Authenticate` header (RFC 9110 §11.6.1): a scheme and its parameters, and what Microsoft's APIs
/// say in them.
///
/// ```
/// use apptoken::http::WwwAuthenticate;
///
/// // Blob Storage's answer to a request without a token
/// let challenges = WwwAuthenticate::parse(
///     "Bearer authorization_uri=https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/authorize \
///      resource_id=https://storage.azure.com",
/// );
/// assert_eq!(challenges[0].tenant().as_deref(), Some("72f988bf-86f1-41af-91ab-2d7cd011db47"));
/// assert_eq!(challenges[0].scope().as_deref(), Some("https://storage.azure.com/.default"));
/// ```
///
/// A challenge says what its sender likes: take the tenant or the scope from one only of an API that is trusted with such
/// a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WwwAuthenticate {
    scheme: String,
    parameters: Vec<(String, String)>,
}

/// The claims, as JSON, that an API's 401 demands of the next token in its `WWW-Authenticate`: continuous access
/// evaluation and step-up. They go into [`claims`](crate::AcquireTokenForClient::claims).
///
/// ```
/// use apptoken::http::claims_challenge;
/// use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
///
/// let mut headers = HeaderMap::new();
/// let challenge = r#"Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
/// headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
/// assert_eq!(claims_challenge(&headers).as_deref(), Some(r#"{"access_token":{}}"#));
/// ```
///
/// Any `Bearer` challenge of any `WWW-Authenticate` line counts.
#[must_use]
pub fn claims_challenge(headers: &HeaderMap) -> Option<String> {
    WwwAuthenticate::all(headers).iter().filter(|challenge| challenge.is("Bearer")).find_map(WwwAuthenticate::claims)
}

impl WwwAuthenticate {
    /// The challenges of an answer, whichever lines they stand on, in order.
    #[must_use]
    pub fn all(headers: &HeaderMap) -> Vec<Self> {
        let lines = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(Self::parse).collect()
    }

    /// The challenges of one line. Real servers leave out commas and quotes: whatever can be read is read. Of a line longer
    /// than 64 KiB nothing is.
    #[must_use]
    pub fn parse(line: &str) -> Vec<Self> {
        if line.len() > LONGEST { Vec::new() } else { parse(line) }
    }

    /// `Bearer`, `PoP` or another, as it was written.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether it is of this scheme, in any case.
    #[must_use]
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter's value, without quotes and escapes; the name in any case, the first of several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The names and values, in order.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The claims that are demanded, as JSON. The value is base64 (either alphabet, padded or not), or, from a few older
    /// APIs, the JSON itself; anything but a JSON object is no demand.
    #[must_use]
    pub fn claims(&self) -> Option<String> {
        self.values("claims").find_map(decode)
    }

    /// The authority to ask, `https://host/tenant`, from `authorization_uri` or `authorization`.
    #[must_use]
    pub fn authority(&self) -> Option<String> {
        let (url, tenant) = self.authorization()?;
        Some(format!("{}/{tenant}", url.origin().ascii_serialization()))
    }

    /// The tenant to ask, a GUID or a domain; none for an authority of many tenants (`common`).
    #[must_use]
    pub fn tenant(&self) -> Option<String> {
        let (_, tenant) = self.authorization()?;
        let domain =
            || tenant.contains('.') && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        (uuid::Uuid::try_parse(&tenant).is_ok() || domain()).then_some(tenant)
    }

    /// The scope to ask for: of `scope`, or of the resource in `resource_id` or `resource`.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        let resource = || self.get("resource_id").or_else(|| self.get("resource"));
        let scope = self.get("scope").map(str::to_owned);
        scope.or_else(|| resource().map(|resource| format!("{resource}/.default"))).filter(|scope| !scope.is_empty())
    }

    fn authorization(&self) -> Option<(Url, String)> {
        let url = Url::parse(self.get("authorization_uri").or_else(|| self.get("authorization"))?).ok()?;
        let tenant = url.path_segments()?.next().filter(|tenant| !tenant.is_empty())?.to_owned();
        (url.scheme() == "https").then_some((url, tenant))
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn decode(value: &str) -> Option<String> {
    let json = if value.trim_start().starts_with('{') {
        value.to_owned()
    } else {
        String::from_utf8(base64url::decode_lenient(value).ok()?).ok()?
    };
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&json).is_ok();
    object.then_some(json)
}

/// The challenges of one header line. A comma separates both parameters and challenges: what follows one is a parameter
/// if an equals sign comes next, a scheme if not.
fn parse(line: &str) -> Vec<WwwAuthenticate> {
    let mut challenges: Vec<WwwAuthenticate> = Vec::new();
    let mut rest = Cursor(line);
    loop {
        rest.skip(|c| c == ',' || c.is_ascii_whitespace());
        let word = rest.take_while(is_token);
        if word.is_empty() {
            match rest.0.chars().next() {
                // a stray character: step over it and look again
                Some(stray) => rest.0 = &rest.0[stray.len_utf8()..],
                None => return challenges,
            }
            continue;
        }
        let after = rest.0.trim_start();
        if let (Some(value), Some(challenge)) = (after.strip_prefix('='), challenges.last_mut()) {
            rest.0 = value.trim_start();
            challenge.parameters.push((word.to_owned(), rest.value()));
            continue;
        }
        rest.skip(|c| c.is_ascii_whitespace());
        rest.skip_token68();
        challenges.push(WwwAuthenticate { scheme: word.to_owned(), parameters: Vec::new() });
    }
}

/// What is still to be read.
struct Cursor<'l>(&'l str);

impl<'l> Cursor<'l> {
    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    fn take_while(&mut self, what: impl Fn(char) -> bool) -> &'l str {
        let end = self.0.find(|c| !what(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// A quoted string without its quotes and escapes, or everything up to the next comma or blank: stricter would
    /// refuse unquoted base64 with its padding.
    fn value(&mut self) -> String {
        let Some(quoted) = self.0.strip_prefix('"') else {
            return self.take_while(|c| c != ',' && !c.is_ascii_whitespace()).to_owned();
        };
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        self.0 = "";
        value
    }

    /// Credentials in one piece after a scheme (`Negotiate YII…=`): not a parameter, as nothing follows the padding.
    fn skip_token68(&mut self) {
        let mut ahead = Cursor(self.0);
        let body = ahead.take_while(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        ahead.skip(|c| c == '=');
        let after = ahead.0.trim_start();
        if !body.is_empty() && (after.is_empty() || after.starts_with(',')) {
            self.0 = after;
        }
    }
}

/// RFC 9110 §5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Bytes. No server takes headers of this size, and no client should.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}"#;
    /// `CLAIMS`, as Microsoft's documentation of continuous access evaluation shows it.
    const ENCODED: &str = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAyNjgyMTgxIn19fQ";

    fn of(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(line).unwrap());
        }
        claims_challenge(&headers)
    }

    #[test]
    fn claims_are_found_wherever_they_stand() {
        for line in [
            format!(
                r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="{ENCODED}""#
            ),
            format!(r#"Bearer claims="{ENCODED}", error="insufficient_claims""#),
            format!(r#"Bearer claims="{ENCODED}==""#),
            format!(r#"bearer CLAIMS = "{ENCODED}""#),
            format!("Bearer claims={ENCODED}, error=insufficient_claims"),
            format!("Bearer claims={ENCODED}=="),
            format!(r#"Negotiate, Bearer error="a, b=\"c\"",claims="{ENCODED}""#),
            format!(r#"Negotiate YIIKcw==, Basic realm="x, y", Bearer claims="{ENCODED}", PoP nonce="n""#),
            format!(r#"PoP nonce="n", claims="e30", Bearer claims="{ENCODED}""#),
            format!(r#",, Bearer ,claims="{ENCODED}",,"#),
            format!(r#"Bearer claims="{}""#, CLAIMS.replace('"', "\\\"")),
        ] {
            assert_eq!(of(&[&line]).as_deref(), Some(CLAIMS), "{line}");
        }
        assert_eq!(of(&["Negotiate", &format!("Bearer claims={ENCODED}")]).as_deref(), Some(CLAIMS));
    }

    #[test]
    fn what_is_no_demand_is_none() {
        for line in [
            "",
            "Bearer",
            r#"Bearer realm="x", error="invalid_token""#,
            r#"Bearer claims="""#,
            r#"Bearer claims="!!!""#,
            r#"Bearer claims="bm90IGpzb24""#,
            r#"Bearer claims="WzFd""#,
            r#"Basic claims="e30""#,
            r#"Bearer error="claims=e30""#,
            r#"claims="e30""#,
            r#"Bearer claims="e3"#,
            "\"\"\"===,,,\\",
        ] {
            assert_eq!(of(&[line]), None, "{line}");
        }
    }

    #[test]
    fn challenges_and_parameters_are_told_apart() {
        let challenge = |scheme: &str, parameters: &[(&str, &str)]| WwwAuthenticate {
            scheme: scheme.into(),
            parameters: parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        // RFC 9110 §11.6.1's own example
        assert_eq!(
            parse(r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#),
            [
                challenge("Basic", &[("realm", "simple")]),
                challenge("Newauth", &[("realm", "apps"), ("type", "1"), ("title", "Login to \"apps\"")]),
            ]
        );
        assert_eq!(parse("Negotiate abc==, NTLM"), [challenge("Negotiate", &[]), challenge("NTLM", &[])]);
    }

    #[test]
    fn what_real_apis_say_is_read() {
        const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        let login = format!("https://login.microsoftonline.com/{TENANT}");
        for (line, tenant, scope) in [
            // Key Vault, Blob Storage, Resource Manager, Graph
            (
                format!(r#"Bearer authorization="{login}", resource="https://vault.azure.net""#),
                Some(TENANT),
                Some("https://vault.azure.net/.default"),
            ),
            (
                format!("Bearer authorization_uri={login}/oauth2/authorize resource_id=https://storage.azure.com"),
                Some(TENANT),
                Some("https://storage.azure.com/.default"),
            ),
            (format!(r#"Bearer authorization_uri="{login}", error="invalid_token""#), Some(TENANT), None),
            (
                r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize""#
                    .into(),
                None,
                None,
            ),
            (r#"Bearer authorization_uri="http://login.example/contoso.com""#.into(), None, None),
            (r#"Bearer authorization_uri="https://login.example""#.into(), None, None),
            (r#"Bearer authorization_uri="https://login.example/contoso.com/x""#.into(), Some("contoso.com"), None),
            (r#"Bearer authorization_uri="https://login.example/a%0db.com""#.into(), None, None),
            (r#"Bearer scope="api://todolist/.default""#.into(), None, Some("api://todolist/.default")),
        ] {
            let [challenge] = &WwwAuthenticate::parse(&line)[..] else { panic!("{line}") };
            assert_eq!(challenge.tenant().as_deref(), tenant, "{line}");
            assert_eq!(challenge.scope().as_deref(), scope, "{line}");
            let authority = challenge.authority();
            assert!(
                tenant.is_none_or(|tenant| authority.is_some_and(|authority| authority.ends_with(tenant))),
                "{line}"
            );
        }
        assert!(WwwAuthenticate::parse(&"Bearer ".repeat(LONGEST)).is_empty());
        let nonce = WwwAuthenticate::parse(r#"Bearer, PoP nonce="n""#);
        assert_eq!((nonce[1].scheme(), nonce[1].get("NONCE")), ("PoP", Some("n")));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_panic(line in ".*") {
            parse(&line);
        }

        #[test]
        fn parameters_survive_quoting(names in proptest::collection::vec("[a-z]{1,8}", 1..5), value in "[ -~]*") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let line: Vec<String> = names.iter().map(|name| format!("{name}=\"{quoted}\"")).collect();
            let parsed = parse(&format!("Bearer {}", line.join(", ")));
            let want: Vec<_> = names.iter().map(|name| (name.clone(), value.clone())).collect();
            proptest::prop_assert_eq!(parsed, [WwwAuthenticate { scheme: "Bearer".into(), parameters: want }]);
        }
    }
}
