//! Scopes: refused with nothing sent, or asked for as they are.
#![no_main]

use std::future::IntoFuture;

use apptoken_fuzz::{Authority, GOOD, client, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, bool)| {
    let (scope, any) = input;
    let authority = Authority::default();
    authority.answer(200, &[], GOOD);
    let client = client(&authority).allow_any_scope(any).build().expect("its settings are right");
    let outcome = run(client.acquire_token_for_client([scope]).into_future());
    assert_eq!(outcome.is_ok(), authority.requests().len() == 1);
    if outcome.is_ok() && !any {
        assert!(scope.to_ascii_lowercase().ends_with("/.default"), "{scope:?} was let through");
        assert!(!scope.contains(char::is_whitespace), "{scope:?} is two");
    }
});
