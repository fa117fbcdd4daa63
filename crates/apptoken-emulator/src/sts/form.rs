//! The form of a token request (RFC 6749 §4.4.2, `application/x-www-form-urlencoded`), as real clients send it and as
//! hostile ones do.

use std::fmt;

use apptoken_jose::base64url;
use zeroize::Zeroizing;

use crate::aadsts::{Code, Refusal};

/// Parameters of a token request, in their order. Values do not show in `Debug`.
#[derive(Default)]
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// Reads a body; `+` and `%20` are both spaces. Empty values count as absent (RFC 6749 §3.2).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let malformed = |what: &str| Refusal::new(Code::RequestMalformed, &[what]);
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut form = Self::default();
        for pair in body.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            if form.0.len() == MOST_PARAMETERS {
                return Err(malformed("too many parameters"));
            }
            let mut halves = pair.splitn(2, |&b| b == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            let (Some(name), Some(value)) = (half(), half()) else {
                return Err(malformed("a parameter is not valid percent-encoded UTF-8"));
            };
            if PROTOCOL.contains(&name.as_str()) && form.0.iter().any(|(other, _)| *other == *name) {
                return Err(malformed(&format!("the parameter '{}' is there twice", *name)));
            }
            form.0.push((name.as_str().to_owned(), value));
        }
        Ok(form)
    }

    /// The first value of this name that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }

    /// As [`Self::get`], refusing its absence.
    pub(crate) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            let there = self.names();
            let there = if there.is_empty() { "no form parameters".into() } else { there.join(", ") };
            Refusal::new(Code::ParameterMissing, &[name]).evidence("parameters", name, there)
        })
    }

    /// The names, for people. Those that are nearly ours are shown, the others only counted: a piece of a secret may
    /// stand there, after a `&` that was not encoded or in JSON that was sent as a form.
    fn names(&self) -> Vec<String> {
        let nearly = |name: &str| {
            let plain = |name: &str| name.replace(['_', '-', ' '], "").to_ascii_lowercase();
            let name = plain(name.strip_prefix("amp;").unwrap_or(name));
            PROTOCOL.iter().any(|ours| plain(ours) == name)
        };
        let (names, others): (Vec<_>, Vec<_>) = self.0.iter().map(|(name, _)| name).partition(|name| nearly(name));
        let others = (!others.is_empty()).then(|| format!("{} of other names", others.len()));
        names.into_iter().cloned().chain(others).collect()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// What an `Authorization: Basic` header says (RFC 6749 §2.3.1: both parts form-encoded).
pub(crate) struct Basic {
    pub(crate) client_id: String,
    pub(crate) secret: Zeroizing<String>,
}

impl Basic {
    /// Nothing when the header is of another scheme.
    pub(crate) fn parse(header: &str) -> Result<Option<Self>, Refusal> {
        let Some((scheme, value)) = header.split_once(' ') else { return Ok(None) };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Ok(None);
        }
        let parse = || {
            let decoded = Zeroizing::new(base64url::decode_lenient(value).ok()?);
            let colon = decoded.iter().position(|&b| b == b':')?;
            let client_id = decode(&decoded[..colon])?.as_str().to_owned();
            Some(Self { client_id, secret: decode(&decoded[colon + 1..])? })
        };
        match parse() {
            Some(basic) => Ok(Some(basic)),
            None => Err(Refusal::new(Code::RequestMalformed, &["the Basic authorization header cannot be read"])),
        }
    }
}

/// Percent-decoding that refuses what is not percent-encoded UTF-8.
fn decode(text: &[u8]) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, more @ ..] = rest {
        match (first, more) {
            (b'%', [high, low, after @ ..]) => {
                bytes.push(hex(*high)? << 4 | hex(*low)?);
                rest = after;
                continue;
            }
            (b'%', _) => return None,
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = more;
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Parameters that mean something here; sent twice, the request is ambiguous (RFC 6749 §3.2).
const PROTOCOL: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "scope",
    "resource",
    "claims",
    "token_type",
    "req_cnf",
];

/// Clients send about fifteen.
const MOST_PARAMETERS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let form = Form::parse(b"\xef\xbb\xbfscope=a%2Fb+c%20d&&client_id=x&claims=&flag&claims2=1").unwrap();
        assert_eq!(form.get("scope"), Some("a/b c d"));
        assert_eq!((form.get("claims"), form.get("flag"), form.get("client_id")), (None, None, Some("x")));
        assert_eq!(format!("{form:?}"), r#"{"scope", "client_id", "claims", "2 of other names"}"#);
    }

    #[test]
    fn a_misspelt_name_shows_and_a_torn_secret_does_not() {
        let form = Form::parse(b"ClientId=x&amp;scope=y&client_secret=abc&c4n4ry-rest&{\"client_secret\":\"c4n4ry\"}");
        let refusal = form.unwrap().require("grant_type").unwrap_err();
        assert_eq!(refusal.evidence[0].presented, "ClientId, amp;scope, client_secret, 2 of other names");
    }

    #[test]
    fn refuses_what_is_hostile() {
        let many = "a=1&".repeat(129);
        for bad in ["scope=%", "scope=%4", "scope=%zz", "scope=%ff%fe", "%=1", "scope=a&scope=b", &many] {
            assert_eq!(Form::parse(bad.as_bytes()).unwrap_err().code, Code::RequestMalformed, "{bad}");
        }
    }

    #[test]
    fn basic_is_form_encoded_inside() {
        // "app:s%2Bcr%3At"
        let basic = Basic::parse("basic YXBwOnMlMkJjciUzQXQ=").unwrap().unwrap();
        assert_eq!((basic.client_id.as_str(), basic.secret.as_str()), ("app", "s+cr:t"));
        assert!(Basic::parse("Bearer abc").unwrap().is_none());
        assert!(Basic::parse("Basic !!!").is_err());
        assert!(Basic::parse("Basic YXBw").is_err()); // no colon
    }
}
