//! Tokens of strangers: refused, or parsed into what was signed.
#![no_main]

use apptoken_jose::{base64url, jwk::JwkSet, jws::Unverified};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], bool)| {
    let (header, claims, encode) = input;
    let token = if encode {
        format!("{}.{}.c2ln", base64url::encode(header), base64url::encode(claims))
    } else {
        String::from_utf8_lossy(header).into_owned()
    };
    if let Ok(token) = Unverified::parse(&token) {
        let header = token.header();
        let _ = (&header.alg, &header.kid, &header.x5c, token.claims().len());
    }
    if let Ok(keys) = serde_json::from_slice::<JwkSet>(claims) {
        for key in &keys.keys {
            let _ = key.public_key();
        }
    }
});
