//! Claims of a challenge and of the client, merged with the client's capabilities: refused, or sent as one JSON object.
#![no_main]

use std::future::IntoFuture;

use apptoken_fuzz::{Authority, GOOD, GRAPH, client, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (challenge, own) = input;
    let authority = Authority::default();
    authority.answer(200, &[], GOOD);
    let client = client(&authority).client_capabilities(["cp1"]).build().expect("its settings are right");
    let call = client.acquire_token_for_client([GRAPH]).claims(challenge).claims_from_client(own);
    let outcome = run(call.into_future());
    let requests = authority.requests();
    assert_eq!(outcome.is_ok(), !requests.is_empty(), "refused after it was sent, or the other way round");
    for request in requests {
        let form = String::from_utf8(request.body().to_vec()).expect("a form is ASCII");
        let claims = form.split('&').find_map(|field| field.strip_prefix("claims=")).expect("capabilities are claims");
        let claims: serde_json::Value = serde_json::from_str(&decoded(claims)).expect("claims are JSON");
        assert!(claims["access_token"].is_object());
        // whoever gives other capabilities in so many words means them
        if !challenge.contains("xms_cc") && !own.contains("xms_cc") && !(challenge.to_owned() + own).contains("\\u") {
            assert_eq!(claims["access_token"]["xms_cc"]["values"][0], "cp1");
        }
    }
});

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap_or_default(), 16).expect("two hex digits")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8 went in")
}
