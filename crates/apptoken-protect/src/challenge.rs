//! `WWW-Authenticate` (RFC 6750 §3) with the parameters that Entra's own APIs add.

use http::HeaderValue;

use crate::scheme::Scheme;

/// What every challenge of one API says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: Scheme,
    /// `Bearer realm="…", authorization_uri="…"[, client_id="…"]`
    base: String,
}

impl Challenge {
    /// `None` when a part cannot stand in a header (RFC 9110 §5.6.4: visible ASCII and spaces).
    pub(crate) fn new(scheme: Scheme, realm: &str, authorization_uri: &str, client_id: Option<&str>) -> Option<Self> {
        let mut base = format!("{} ", scheme.as_str());
        push(&mut base, "realm", realm);
        base.push_str(", ");
        push(&mut base, "authorization_uri", authorization_uri);
        if let Some(client_id) = client_id {
            base.push_str(", ");
            push(&mut base, "client_id", client_id);
        }
        base.bytes().all(|b| (b' '..=b'~').contains(&b)).then_some(Self { scheme, base })
    }

    /// The header, with an RFC 6750 error word and its text; without them for a request that carried no token at all.
    pub(crate) fn header(&self, error: Option<(&'static str, &'static str)>) -> HeaderValue {
        let mut value = self.base.clone();
        if let Some((error, description)) = error {
            for (name, text) in [("error", error), ("error_description", description)] {
                value.push_str(", ");
                push(&mut value, name, text);
            }
        }
        HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static(self.scheme.as_str()))
    }
}

fn push(value: &mut String, name: &str, text: &str) {
    value.push_str(name);
    value.push_str("=\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            value.push('\\');
        }
        value.push(c);
    }
    value.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shaped_like_entras() {
        let challenge = Challenge::new(
            Scheme::Bearer,
            "api://todolist",
            "https://login.microsoftonline.com/t/oauth2/authorize",
            Some("id"),
        );
        let challenge = challenge.unwrap();
        assert_eq!(
            challenge.header(None),
            r#"Bearer realm="api://todolist", authorization_uri="https://login.microsoftonline.com/t/oauth2/authorize", client_id="id""#
        );
        assert_eq!(
            Challenge::new(Scheme::Bearer, "", "u", None).unwrap().header(Some(("invalid_token", "It is expired."))),
            r#"Bearer realm="", authorization_uri="u", error="invalid_token", error_description="It is expired.""#
        );
    }

    #[test]
    fn quotes_are_escaped_and_controls_refused() {
        let quoted = Challenge::new(Scheme::Bearer, r#"a"b\c"#, "u", None).unwrap().header(None);
        assert_eq!(quoted, r#"Bearer realm="a\"b\\c", authorization_uri="u""#);
        assert_eq!(Challenge::new(Scheme::Bearer, "a\r\nX: y", "u", None), None);
        assert_eq!(Challenge::new(Scheme::Bearer, "é", "u", None), None);
    }
}
