//! A 200 of any bytes: a token that can be used, or an error; the next good answer is taken either way.
#![no_main]

use std::future::IntoFuture;

use apptoken_fuzz::{Authority, GOOD, GRAPH, SECRET, client, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let authority = Authority::default();
    let client = client(&authority).build().expect("its settings are right");
    authority.answer(200, &[("content-type", b"application/json")], body);
    match run(client.acquire_token_for_client([GRAPH]).into_future()) {
        Ok(token) => {
            assert!(!token.secret().is_empty() && token.secret().bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(token.authorization_header().is_sensitive());
            assert!(!format!("{token:?}").contains(SECRET));
            let again = run(client.acquire_token_for_client([GRAPH]).into_future()).expect("it was kept");
            assert_eq!(again.secret(), token.secret());
        }
        Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET)),
    }
    authority.answer(200, &[], GOOD);
    let token = run(client.acquire_token_for_client([GRAPH]).force_refresh(true).into_future());
    assert_eq!(token.expect("the slot is poisoned").secret(), "c4n4ry.good.token");
});
