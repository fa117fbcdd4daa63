//! A refusal of any status, `Retry-After` and bytes: an error in words, bounded, without secrets; and no lasting harm.
#![no_main]

use std::future::IntoFuture;

use apptoken_fuzz::{Authority, GRAPH, SECRET, client, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8], &[u8], &[u8])| {
    let (status, retry_after, date, body) = input;
    let status = [400, 401, 403, 404, 408, 412, 429, 500, 503, 504, 301, 204][usize::from(status) % 12];
    let authority = Authority::default();
    let client = client(&authority).build().expect("its settings are right");
    authority.answer(status, &[("retry-after", retry_after), ("date", date)], body);
    let error = run(client.acquire_token_for_client([GRAPH]).into_future()).expect_err("no token came");
    let shown = format!("{error} {error:?} {:?}", error.advice());
    assert!(!shown.contains(SECRET));
    assert!(shown.len() < 64 * 1024, "{} bytes of error", shown.len());
    let line = error.to_string();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    let _ = (error.kind(), error.is_transient(), error.retry_after());
    if let Some(denied) = error.denied() {
        let _ = (denied.codes(), denied.claims(), denied.suberror(), denied.trace_id(), denied.timestamp());
    }
});
