//! The header of an API that turns a token down.
#![no_main]

use apptoken::http::WwwAuthenticate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    for challenge in WwwAuthenticate::parse(line) {
        assert!(!challenge.scheme().is_empty());
        for (name, value) in challenge.parameters() {
            assert!(!name.is_empty());
            assert!(value.len() <= line.len());
        }
        if let Some(claims) = challenge.claims() {
            let claims: serde_json::Value = serde_json::from_str(&claims).expect("claims are JSON");
            assert!(claims.is_object());
        }
        let _ = (challenge.authority(), challenge.tenant(), challenge.scope());
    }
});
