//! Headers that settings may add to a call, and those they may not.

use http::{HeaderName, HeaderValue};

/// A header of `ExtraHeaderParameters`, its value kept out of `Debug`.
///
/// # Errors
/// What is wrong, to follow the key's name: not a header, or one that is not the settings' to set.
pub(super) fn extra(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("holds {name:?}, which is no header's name"))?;
    if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| matches(reserved, name.as_str())) {
        return Err(format!("holds {name}, which cannot be set here: {why}"));
    }
    let mut value = header_value(value).map_err(|problem| format!("holds {name}, whose value {problem}"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// # Errors
/// What is wrong, to follow the key's name.
pub(super) fn header_value(value: &str) -> Result<HeaderValue, &'static str> {
    HeaderValue::from_str(value).map_err(|_| "holds a character that a header cannot carry")
}

fn matches(reserved: &str, name: &str) -> bool {
    match reserved.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == reserved,
    }
}

/// Microsoft.Identity.Web's list of what proxies and App Service take for facts about the caller, and the headers
/// that frame the message or that have keys of their own.
const RESERVED: [(&str, &str); 18] = [
    ("accept", "use AcceptHeader"),
    ("authorization", "it carries the token"),
    ("connection", FRAMING),
    ("content-length", FRAMING),
    ("content-type", "use ContentType"),
    ("cookie", IDENTITY),
    ("expect", FRAMING),
    ("host", "it follows from BaseUrl"),
    ("keep-alive", FRAMING),
    ("proxy-*", IDENTITY),
    ("te", FRAMING),
    ("trailer", FRAMING),
    ("transfer-encoding", FRAMING),
    ("upgrade", FRAMING),
    ("x-forwarded-*", IDENTITY),
    ("x-ms-client-principal*", IDENTITY),
    ("x-ms-token-*", IDENTITY),
    ("x-original-url", IDENTITY),
];

const FRAMING: &str = "it belongs to the connection";
const IDENTITY: &str = "servers take it for a fact about the caller";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_headers_pass_and_hide_their_value() {
        let (name, value) = extra("Ocp-Apim-Subscription-Key", "key").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("ocp-apim-subscription-key", "key"));
        assert!(!format!("{value:?}").contains("key"));
        extra("X-Api-Version", "2").unwrap();
    }

    #[test]
    fn reserved_headers_do_not() {
        for name in [
            "Authorization",
            "AUTHORIZATION",
            "Cookie",
            "Host",
            "X-Original-URL",
            "X-MS-CLIENT-PRINCIPAL",
            "X-MS-CLIENT-PRINCIPAL-ID",
            "X-Forwarded-For",
            "X-MS-TOKEN-AAD-ID-TOKEN",
            "Proxy-Authorization",
            "Content-Length",
            "Transfer-Encoding",
            "Accept",
            "Content-Type",
        ] {
            let problem = extra(name, "x").unwrap_err();
            assert!(
                problem.starts_with(&format!("holds {}, which cannot be set here: ", name.to_lowercase())),
                "{problem}"
            );
        }
        assert_eq!(extra("a b", "x").unwrap_err(), "holds \"a b\", which is no header's name");
        assert_eq!(
            extra("x", "a\nb").unwrap_err(),
            "holds x, whose value holds a character that a header cannot carry"
        );
    }
}
