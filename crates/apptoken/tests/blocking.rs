//! Tokens without async: threads, one request, a refresh behind, and a call from where it does not belong.
#![cfg(feature = "blocking")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Barrier;
use std::time::Duration;

use apptoken::blocking::Wait as _;
use apptoken::{Environment, ErrorKind, ManagedIdentityClient, PopRequest, RefreshReason};
use common::{TODO, World, minutes};

/// The local Entra ID, with threads of its own.
fn world() -> (tokio::runtime::Runtime, World) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = runtime.block_on(World::start());
    (runtime, world)
}

#[test]
fn many_threads_wait_for_one_request() {
    let (_runtime, world) = world();
    world.entra.faults().latency(Duration::from_millis(200));
    let (client, ready) = (world.client(), Barrier::new(50));
    let source = client.token_source(TODO).unwrap();
    let tokens = std::thread::scope(|scope| {
        let waiters = (0..50).map(|number| {
            let (client, source, ready) = (&client, &source, &ready);
            scope.spawn(move || {
                ready.wait();
                let token =
                    if number % 2 == 0 { source.token().wait() } else { client.acquire_token_for_client(TODO).wait() };
                token.unwrap().secret().to_owned()
            })
        });
        let waiters = waiters.collect::<Vec<_>>();
        waiters.into_iter().map(|waiter| waiter.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(world.requests(), 1);
}

#[test]
fn requests_are_signed_too() {
    let (_runtime, world) = world();
    let request = PopRequest::new(http::Method::GET, "https://api.contoso.com/todolist").unwrap();
    let signed = world.client().acquire_token_for_client(TODO).signed_http_request(request).wait().unwrap();
    assert!(signed.authorization_header().to_str().unwrap().starts_with("PoP "));
}

#[test]
fn a_hit_takes_no_thread_and_a_refresh_goes_on_behind() {
    let (runtime, world) = world();
    world.entra.faults().token_lifetime(Some(minutes(24 * 60)));
    let client = world.client();
    let first = client.acquire_token_for_client(TODO).wait().unwrap();
    let hits = allocation_counter::measure(|| {
        for _ in 0..100 {
            drop(client.acquire_token_for_client(TODO).wait().unwrap());
        }
    });
    assert_eq!(hits.count_total, 0);
    world.advance(minutes(13 * 60));
    let due = client.acquire_token_for_client(TODO).wait().unwrap();
    assert_eq!((due.secret(), due.metadata().refresh_reason), (first.secret(), RefreshReason::Proactive));
    runtime.block_on(world.until_requests(2));
    assert_ne!(client.acquire_token_for_client(TODO).wait().unwrap().secret(), first.secret());
}

#[test]
fn errors_are_the_calls_own() {
    let (_runtime, world) = world();
    let wrong = world.bare().client_secret(format!("{}-wrong", testkit::CANARY)).build().unwrap();
    let error = wrong.acquire_token_for_client(TODO).wait().unwrap_err();
    assert!(error.denied().unwrap().has_code(7_000_215), "{error}");
    let nowhere = Environment::from_iter([("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")]);
    let machine = ManagedIdentityClient::system_assigned().environment(nowhere).retry(false).build().unwrap();
    let error = machine.acquire_token("https://vault.azure.net").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transport, "{error}");
}

#[test]
fn within_a_runtime_it_does_not_panic() {
    let (runtime, world) = world();
    let client = world.client();
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let token = other.block_on(async { client.acquire_token_for_client(TODO).wait() }).unwrap();
    let again = client.clone();
    let same = runtime.block_on(async {
        tokio::task::spawn_blocking(move || again.acquire_token_for_client(TODO).force_refresh(true).wait())
            .await
            .unwrap()
    });
    assert_ne!(token.secret(), same.unwrap().secret());
    assert_eq!(world.requests(), 2);
}
