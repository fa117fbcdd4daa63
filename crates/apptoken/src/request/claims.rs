//! The `claims` of a token request: the client's capabilities, claims of its own, and a challenge's, made one.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::Error;

/// What the client is capable of (`cp1`: it answers claims challenges), as `xms_cc` of the access token tells an API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Capabilities(Vec<Value>);

impl Capabilities {
    /// Blanks and repetitions are left out.
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut list: Vec<Value> = Vec::new();
        for name in names {
            let name = name.into().trim().to_owned();
            if !name.is_empty() && !list.iter().any(|known| *known == *name) {
                list.push(name.into());
            }
        }
        Self(list)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Value::as_str)
    }

    /// The body's `claims`: capabilities, then the client's own claims, then the challenge, each over what came before.
    /// One alone goes out as it was given.
    pub(crate) fn with<'a>(&self, client: Option<&'a str>, challenge: Option<&'a str>) -> Option<Cow<'a, str>> {
        let given = [client, challenge];
        let mut given = given.into_iter().flatten();
        match (self.0.is_empty(), given.clone().count()) {
            (true, 0..=1) => given.next().map(Cow::Borrowed),
            _ => {
                let mut claims = Map::new();
                if !self.0.is_empty() {
                    merge(&mut claims, as_claims(&self.0));
                }
                for json in given {
                    // checked when it was given
                    merge(&mut claims, serde_json::from_str(json).unwrap_or_default());
                }
                Some(Cow::Owned(Value::Object(claims).to_string()))
            }
        }
    }
}

/// Members of the assertion that the app signs, besides RFC 7523's.
#[derive(Clone)]
pub(crate) struct AssertionClaims {
    pub(crate) members: Map<String, Value>,
    /// The same as text, in one form.
    pub(crate) text: Box<str>,
}

impl AssertionClaims {
    pub(crate) fn parse(json: &str) -> Result<Self, Error> {
        let members = object("the assertion's extra claims", json)?;
        if let Some(name) = REGISTERED.iter().find(|name| members.contains_key(**name)) {
            return Err(Error::configuration(format!("the assertion's extra claims hold {name:?}"))
                .with_advice("leave it out: the client sets it itself"));
        }
        Ok(Self { text: normalised(members.clone()).into(), members })
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for AssertionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.keys()).finish()
    }
}

/// Checks that `json` is a JSON object. `what` begins the error: `the claims`.
pub(super) fn object(what: &str, json: &str) -> Result<Map<String, Value>, Error> {
    if json.len() > LONGEST {
        return Err(Error::configuration(format!("{what} are longer than {LONGEST} bytes")));
    }
    serde_json::from_str(json).map_err(|_| {
        // without serde's words, which may quote what was given
        Error::configuration(format!("{what} are not a JSON object"))
            .with_advice("pass a claims challenge as the authority or API gave it, decoded if it came in base64")
    })
}

/// Checks that `json` is a claims request (OpenID Connect Core §5.5): an object of objects, as far as it has those that an
/// access token is about.
pub(super) fn request(what: &str, json: &str) -> Result<Map<String, Value>, Error> {
    let claims = object(what, json)?;
    match claims.get("access_token") {
        None | Some(Value::Null | Value::Object(_)) => Ok(claims),
        Some(_) => Err(Error::configuration(format!("the access_token of {what} is not a JSON object"))
            .with_advice("pass a claims challenge as the authority or API gave it")),
    }
}

/// The same text for claims that differ in white space or in the order of members.
pub(super) fn normalised(claims: Map<String, Value>) -> String {
    let mut claims = Value::Object(claims);
    claims.sort_all_objects();
    claims.to_string()
}

fn as_claims(capabilities: &[Value]) -> Map<String, Value> {
    let claims = json!({ "xms_cc": { "values": capabilities } });
    Map::from_iter([("access_token".to_owned(), claims)])
}

/// As MSAL merges: objects member by member, lists one after the other, and otherwise the later wins unless it is null.
/// Unlike MSAL's, a list does not repeat what it has.
fn merge(into: &mut Map<String, Value>, later: Map<String, Value>) {
    for (name, value) in later {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => merge(ours, theirs),
            (Some(Value::Array(ours)), Value::Array(theirs)) => {
                for value in theirs {
                    if !ours.contains(&value) {
                        ours.push(value);
                    }
                }
            }
            (Some(_), Value::Null) => {}
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

/// What every assertion has (RFC 7523 §3), and the client sets.
const REGISTERED: [&str; 7] = ["aud", "iss", "sub", "jti", "iat", "nbf", "exp"];
/// Bytes. A request with more is refused by every server anyway.
const LONGEST: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const NBF: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}"#;

    fn with(capabilities: &[&str], client: Option<&str>, challenge: Option<&str>) -> Option<Value> {
        let claims = Capabilities::new(capabilities.iter().copied()).with(client, challenge)?;
        Some(serde_json::from_str(&claims).unwrap())
    }

    #[test]
    fn one_alone_goes_out_as_it_was_given() {
        let none = Capabilities::default();
        assert_eq!(none.with(None, None), None);
        let odd = "{ \"z\":1,\n\"a\" : 2 }";
        assert_eq!(none.with(None, Some(odd)).as_deref(), Some(odd));
        assert_eq!(none.with(Some(odd), None).as_deref(), Some(odd));
    }

    #[test]
    fn capabilities_and_claims_become_one_object() {
        let cases = [
            (&["cp1"][..], None, None, json!({"access_token": {"xms_cc": {"values": ["cp1"]}}})),
            (&["cp1", " cp1 ", "", "llt"], None, None, json!({"access_token": {"xms_cc": {"values": ["cp1", "llt"]}}})),
            (
                &["cp1"],
                None,
                Some(NBF),
                json!({"access_token": {
                    "nbf": {"essential": true, "value": "1702682181"}, "xms_cc": {"values": ["cp1"]},
                }}),
            ),
            // a member beside access_token stays where it is
            (
                &["cp1"],
                Some(r#"{"nsp":{"essential":true}}"#),
                Some(r#"{"userinfo":{"given_name":null}}"#),
                json!({
                    "access_token": {"xms_cc": {"values": ["cp1"]}},
                    "nsp": {"essential": true}, "userinfo": {"given_name": null},
                }),
            ),
            // the challenge has the last word, a null is no word, and lists grow without repeating
            (
                &["cp1"],
                Some(r#"{"nsp":{"value":"v1"},"kept":{"value":1}}"#),
                Some(r#"{"nsp":{"value":"v2"},"kept":null,"access_token":{"xms_cc":{"values":["cp1","cp2"]}}}"#),
                json!({
                    "access_token": {"xms_cc": {"values": ["cp1", "cp2"]}},
                    "nsp": {"value": "v2"}, "kept": {"value": 1},
                }),
            ),
            // of different kinds: the later
            (&["cp1"], None, Some(r#"{"access_token":"x"}"#), json!({"access_token": "x"})),
        ];
        for (capabilities, client, challenge, want) in cases {
            assert_eq!(with(capabilities, client, challenge), Some(want), "{capabilities:?} {client:?} {challenge:?}");
        }
    }

    #[test]
    fn normalised_claims_differ_only_where_they_mean_something_else() {
        let normal = |json| normalised(object("the claims", json).unwrap());
        assert_eq!(normal(r#"{ "z" : 1 , "a" : {"y":[2,1],"b":null} }"#), r#"{"a":{"b":null,"y":[2,1]},"z":1}"#);
        assert_ne!(normal(r#"{"a":[1,2]}"#), normal(r#"{"a":[2,1]}"#));
    }

    #[test]
    fn what_is_no_object_is_refused_without_being_quoted() {
        for json in ["", "not-json", "[]", "\"string\"", "42", "null", "{\"a\":", "e30"] {
            let error = object("the claims", json).unwrap_err();
            assert_eq!(error.to_string(), "the claims are not a JSON object");
        }
        assert!(object("the claims", &"[".repeat(10_000)).is_err());
        assert!(object("the claims", &format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST))).is_err());
    }
}
