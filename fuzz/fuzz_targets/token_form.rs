//! The token endpoint's form, of both versions, and the Basic header: no token without the secret. The input is the
//! header's line, then the body.
#![no_main]

use apptoken_fuzz::SECRET;
use apptoken_fuzz::entra::{CLIENT, ENTRA};
use apptoken_jose::base64url;
use libfuzzer_sys::fuzz_target;
use url::form_urlencoded;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
    let (authorization, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let headers: &[(&str, &[u8])] = &[("authorization", authorization)];
    let headers = if authorization.is_empty() { &[] } else { headers };
    for path in ["oauth2/v2.0/token", "oauth2/token"] {
        if ENTRA.ask(path, headers, body).is_some() {
            let form = fields(body);
            let has = |name: &str, value: &str| form.iter().any(|(n, v)| n == name && v == value);
            let (id, secret) = basic(authorization).unwrap_or_default();
            assert!(has("grant_type", "client_credentials"));
            assert!(has("client_secret", SECRET) || secret == SECRET, "a token without the secret");
            assert!(form.iter().any(|(n, v)| n == "client_id" && same(v)) || same(&id), "a token for another client");
        }
    }
});

fn fields(form: &[u8]) -> Vec<(String, String)> {
    let form = form.strip_prefix(b"\xef\xbb\xbf").unwrap_or(form);
    form_urlencoded::parse(form).into_owned().collect()
}

fn basic(header: &[u8]) -> Option<(String, String)> {
    let header = std::str::from_utf8(header).ok()?;
    let bytes = base64url::decode_lenient(header.split_once(' ')?.1).ok()?;
    let colon = bytes.iter().position(|&b| b == b':')?;
    let plain = |part: &[u8]| fields(&[b"x=", part].concat()).into_iter().next().map(|(_, value)| value);
    Some((plain(&bytes[..colon])?, plain(&bytes[colon + 1..])?))
}

/// A GUID may be written in several ways.
fn same(id: &str) -> bool {
    let plain = |id: &str| id.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_lowercase();
    plain(id) == plain(CLIENT)
}
