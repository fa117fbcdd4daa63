//! The parameter `claims` (OpenID Connect Core §5.5): what a client is capable of, and what an API's challenge wants of
//! the token. Members that mean nothing here are passed over, as at Entra: MSAL Node sends some.

use apptoken_jose::base64url;
use serde_json::Value;

use crate::aadsts::{Code, Refusal};

/// What was asked of the access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requested {
    /// The client can deal with claims challenges (`xms_cc` with `cp1`), so that its tokens may live longer.
    pub(super) handles_challenges: bool,
    /// `nbf` must not be before this: the token's predecessor was revoked then.
    pub(super) not_before: Option<i64>,
}

impl Requested {
    pub(super) fn parse(claims: Option<&str>) -> Result<Self, Refusal> {
        let Some(text) = claims else { return Ok(Self::default()) };
        let malformed = |presented: &str| {
            Refusal::new(Code::RequestMalformed, &["'claims' is not a JSON object"]).evidence(
                "claims",
                "a JSON object",
                presented,
            )
        };
        let claims: Value = serde_json::from_str(text).map_err(|_| malformed(what_it_is(text)))?;
        let token = claims.as_object().ok_or_else(|| malformed("other JSON"))?.get("access_token");
        let claim = |name: &str| token.and_then(|token| token.get(name));
        let capable = |values: &Vec<Value>| {
            values.iter().any(|value| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case("cp1")))
        };
        let values = claim("xms_cc").and_then(|claim| claim.get("values")).and_then(Value::as_array);
        // APIs write the time as a string
        let time = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
        Ok(Self {
            handles_challenges: values.is_some_and(capable),
            not_before: claim("nbf").and_then(|claim| claim.get("value")).and_then(time),
        })
    }
}

/// For people: what is no JSON.
fn what_it_is(text: &str) -> &'static str {
    let decoded = base64url::decode_lenient(text).ok();
    match decoded.is_some_and(|decoded| serde_json::from_slice::<Value>(&decoded).is_ok_and(|value| value.is_object()))
    {
        true => "one in base64, as an API's challenge has it: it is to be decoded first",
        false => "no JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let text = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"},"xms_cc":{"values":["CP1","x"]},
                      "acrs":{"value":"c1"}},"id_token":{"login_hint":{}}}"#;
        let requested = Requested::parse(Some(text)).unwrap();
        assert_eq!(requested, Requested { handles_challenges: true, not_before: Some(1_702_682_181) });
        for nothing in ["{}", r#"{"access_token":null}"#, r#"{"access_token":{"nbf":{"value":true},"xms_cc":{}}}"#] {
            assert_eq!(Requested::parse(Some(nothing)).unwrap(), Requested::default(), "{nothing}");
        }
        for bad in ["[]", "x", r#"{"access_token":"#] {
            assert_eq!(Requested::parse(Some(bad)).unwrap_err().code, Code::RequestMalformed, "{bad}");
        }
        // {"access_token":{}}
        let undecoded = Requested::parse(Some("eyJhY2Nlc3NfdG9rZW4iOnt9fQ==")).unwrap_err();
        assert!(undecoded.evidence[0].presented.contains("base64"), "{undecoded:?}");
    }
}
