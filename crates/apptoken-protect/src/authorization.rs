//! The token's way in: one `Authorization` header (RFC 6750 §2.1), and how the client proves that it may use it.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::Rejection;
use crate::scheme::Scheme;

/// The token of a request. The scheme's letters may be of either case (RFC 9110 §11.1); forms and query strings are not
/// looked at.
pub(crate) fn token(headers: &HeaderMap) -> Result<(Scheme, &str), Rejection> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let only = all.next().ok_or(Rejection::TokenMissing)?;
    if all.next().is_some() {
        return Err(Rejection::AuthorizationAmbiguous);
    }
    let value = only.to_str().map_err(|_| Rejection::AuthorizationMalformed)?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let Some(known) = Scheme::parse(scheme) else {
        // Another scheme says nothing about tokens: challenge as if there were no header.
        return Err(if scheme.is_empty() { Rejection::AuthorizationMalformed } else { Rejection::TokenMissing });
    };
    let token = token.trim_start();
    if token.is_empty() || !token.bytes().all(is_b64token) {
        return Err(Rejection::AuthorizationMalformed);
    }
    Ok((known, token))
}

/// Marks the token so that no `Debug` of the headers prints it further inside.
pub(crate) fn conceal(headers: &mut HeaderMap) {
    headers.get_mut(AUTHORIZATION).into_iter().for_each(|value: &mut HeaderValue| value.set_sensitive(true));
}

/// RFC 6750 §2.1: `b64token`.
fn is_b64token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_for_a_token() {
        use Rejection::{AuthorizationAmbiguous, AuthorizationMalformed, TokenMissing};
        type Case = (&'static [&'static str], Result<(Scheme, &'static str), Rejection>);
        let table: [Case; 16] = [
            (&["Bearer a.b.c"], Ok((Scheme::Bearer, "a.b.c"))),
            (&["bearer a.b.c"], Ok((Scheme::Bearer, "a.b.c"))),
            (&["BEARER   a.b.c "], Ok((Scheme::Bearer, "a.b.c"))),
            (&[], Err(TokenMissing)),
            (&["Basic dXNlcjpwYXNz"], Err(TokenMissing)),
            (&["PoP a.b.c"], Ok((Scheme::Pop, "a.b.c"))),
            (&["pop a.b.c"], Ok((Scheme::Pop, "a.b.c"))),
            (&["MTLS_POP a.b.c"], Ok((Scheme::MtlsPop, "a.b.c"))),
            (&["a.b.c"], Err(TokenMissing)),
            (&[""], Err(AuthorizationMalformed)),
            (&["Bearer"], Err(AuthorizationMalformed)),
            (&["Bearer "], Err(AuthorizationMalformed)),
            (&["Bearer a.b.c d.e.f"], Err(AuthorizationMalformed)),
            (&["Bearer a.b.c, Bearer d.e.f"], Err(AuthorizationMalformed)),
            (&["Bearer \"a.b.c\""], Err(AuthorizationMalformed)),
            (&["Bearer a.b.c", "Bearer a.b.c"], Err(AuthorizationAmbiguous)),
        ];
        for (values, expected) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(token(&headers), expected, "{values:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(token(&headers), Err(AuthorizationMalformed));
    }

    #[test]
    fn concealed_from_debug() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer a.b.c"));
        conceal(&mut headers);
        assert!(!format!("{headers:?}").contains("a.b.c"));
    }
}
