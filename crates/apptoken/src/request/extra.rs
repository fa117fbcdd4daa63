//! Fields that a program adds to a token request, and those that are not its to set.

use std::fmt;

use ::http::{HeaderName, HeaderValue};

use crate::Error;

/// Query, body and header fields besides the standard ones.
#[derive(Clone, Default)]
pub(crate) struct Extra {
    pub(crate) query: Vec<(Box<str>, Box<str>)>,
    pub(crate) body: Vec<(Box<str>, Box<str>)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Extra {
    /// A second value of a name takes the first one's place; case does not matter, as in MSAL.
    pub(crate) fn query(&mut self, name: &str, value: &str) -> Result<(), Error> {
        check_parameter("query", name)?;
        set(&mut self.query, name, value, str::eq_ignore_ascii_case);
        Ok(())
    }

    /// A second value of a name takes the first one's place.
    pub(crate) fn body(&mut self, name: &str, value: &str) -> Result<(), Error> {
        check_parameter("body", name)?;
        self.standard_body(name, value);
        Ok(())
    }

    /// A field that an option of its own has set.
    pub(super) fn standard_body(&mut self, name: &str, value: &str) {
        set(&mut self.body, name, value, PartialEq::eq);
    }

    /// A second value of a name takes the first one's place.
    pub(crate) fn header(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let wrong = |why: &str| Error::configuration(format!("the extra header {name:?} {why}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("has no header's name"))?;
        let reserved = |own: &&str| match own.strip_suffix('*') {
            Some(prefix) => key.as_str().starts_with(prefix),
            None => key.as_str() == *own,
        };
        if HEADERS.iter().any(reserved) {
            return Err(wrong("is not the program's to set")
                .with_advice("leave it out: it frames the request, proves who sends it, or is set by this library"));
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| wrong("holds a character that no header can carry"))?;
        value.set_sensitive(true);
        self.headers.retain(|(other, _)| *other != key);
        self.headers.push((key, value));
        Ok(())
    }

    /// What both give, `self` first where both name the same.
    pub(crate) fn over(&self, under: &Self) -> Self {
        let mut all = under.clone();
        for (name, value) in &self.query {
            set(&mut all.query, name, value, str::eq_ignore_ascii_case);
        }
        for (name, value) in &self.body {
            set(&mut all.body, name, value, PartialEq::eq);
        }
        for (name, value) in &self.headers {
            all.headers.retain(|(other, _)| other != name);
            all.headers.push((name.clone(), value.clone()));
        }
        all
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |fields: &[(Box<str>, Box<str>)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Extra")
            .field("query", &names(&self.query))
            .field("body", &names(&self.body))
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

fn set(fields: &mut Vec<(Box<str>, Box<str>)>, name: &str, value: &str, same: fn(&str, &str) -> bool) {
    fields.retain(|(other, _)| !same(other, name));
    fields.push((name.into(), value.into()));
}

fn check_parameter(place: &str, name: &str) -> Result<(), Error> {
    let wrong = |why: &str| Error::configuration(format!("the extra {place} parameter {name:?} {why}"));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:".contains(&b)) {
        return Err(wrong("has no parameter's name").with_advice("use letters, digits and - . _ ~ : only"));
    }
    match STANDARD.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
        Some((_, instead)) => Err(wrong("is a standard field").with_advice(*instead)),
        None => Ok(()),
    }
}

/// Fields of a token request and components of the cache's key, with what sets them.
const STANDARD: [(&str, &str); 27] = [
    ("assertion", OTHER_GRANT),
    ("attribute_tokens", "set it by attribute_tokens"),
    ("attributes", "set it by attributes"),
    ("claims", "answer a challenge by claims; set your own by claims_from_client"),
    ("client_assertion", CREDENTIAL),
    ("client_assertion_type", CREDENTIAL),
    ("client_claims", "set them by claims_from_client"),
    ("client_id", "give it to ConfidentialClient::builder"),
    ("client_info", LIBRARY),
    ("client_secret", CREDENTIAL),
    ("code", OTHER_GRANT),
    ("code_verifier", OTHER_GRANT),
    ("credential_fmi_path", "set it by fmi_path_for_client_assertion"),
    ("device_code", OTHER_GRANT),
    ("extra_client_assertion_claims", "set them by extra_client_assertion_claims"),
    ("fmi_path", "set it by fmi_path"),
    ("grant_type", LIBRARY),
    ("key_id", LIBRARY),
    ("password", OTHER_GRANT),
    ("redirect_uri", OTHER_GRANT),
    ("refresh_token", OTHER_GRANT),
    ("req_cnf", LIBRARY),
    ("requested_token_use", OTHER_GRANT),
    ("resource", "name the resource in the scope: <resource>/.default"),
    ("scope", "give it to acquire_token_for_client"),
    ("token_type", LIBRARY),
    ("username", OTHER_GRANT),
];
const CREDENTIAL: &str = "give the credential to the client's builder";
const LIBRARY: &str = "leave it out: this library sets it";
const OTHER_GRANT: &str = "leave it out: it belongs to another grant";

/// Headers that this library sets, that frame a message, or that servers take for proof of who sends it.
const HEADERS: [&str; 21] = [
    "accept",
    "accept-encoding",
    "authorization",
    "client-request-id",
    "connection",
    "content-*",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-*",
    "return-client-request-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-client-*",
    "x-forwarded-*",
    "x-ms-lib-capability",
    "x-ms-pkeyauth",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_fields_are_refused_in_any_case() {
        let mut extra = Extra::default();
        for name in STANDARD.iter().flat_map(|(name, _)| [(*name).to_owned(), name.to_uppercase()]) {
            for error in [extra.body(&name, "x").unwrap_err(), extra.query(&name, "x").unwrap_err()] {
                assert!(error.to_string().ends_with("is a standard field"), "{error}");
                assert!(error.advice().is_some());
            }
        }
        for name in ["", " a", "a b", "a=b", "a&b", "?a", "#a", "é", "a\r\nb"] {
            assert!(extra.body(name, "x").is_err() && extra.query(name, "x").is_err(), "{name}");
        }
    }

    #[test]
    fn headers_that_are_not_the_programs_are_refused() {
        let mut extra = Extra::default();
        for name in HEADERS.iter().map(|name| name.replace('*', "x")) {
            assert!(extra.header(&name.to_uppercase(), "x").is_err(), "{name}");
        }
        assert!(extra.header("a b", "x").is_err());
        assert!(extra.header("x-a", "1\r\n2").is_err());
        extra.header("X-Ms-Tenant-Hint", "secret value").unwrap();
        assert!(!format!("{extra:?}").contains("secret value"));
    }

    #[test]
    fn the_later_and_the_nearer_win() {
        let (mut app, mut request) = (Extra::default(), Extra::default());
        app.query("Slice", "1").unwrap();
        app.query("dc", "ests").unwrap();
        request.query("slice", "2").unwrap();
        request.query("SLICE", "3").unwrap();
        let all = request.over(&app);
        assert_eq!(all.query, [("dc".into(), "ests".into()), ("SLICE".into(), "3".into())]);
    }
}
