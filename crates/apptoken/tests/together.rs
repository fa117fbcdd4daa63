//! Many callers at once: one request for each key, and leaving disturbs nobody.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use apptoken::clock::SystemClock;
use apptoken::{AccessToken, ConfidentialClient, Error};
use apptoken_emulator::Fault;
use common::{GRAPH, TODO, World};
use tokio::task::JoinHandle;

fn call(client: &ConfidentialClient, force: bool) -> JoinHandle<Result<AccessToken, Error>> {
    let client = client.clone();
    tokio::spawn(async move { client.acquire_token_for_client([TODO]).force_refresh(force).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_make_one_request() {
    let world = World::start().await;
    world.entra.faults().latency(Duration::from_millis(200));
    let client = world.client();
    let calls = (0..1000).map(|_| call(&client, false)).collect::<Vec<_>>();
    let mut tokens = Vec::new();
    for call in calls {
        tokens.push(call.await.unwrap().unwrap());
    }
    assert!(tokens.iter().all(|token| token.secret() == tokens[0].secret()));
    assert_eq!(world.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forced_callers_that_come_together_share_too() {
    let world = World::start().await;
    let client = world.client();
    let kept = client.acquire_token_for_client([TODO]).await.unwrap();
    world.entra.faults().latency(Duration::from_millis(300));
    let forced = (0..1000).map(|_| call(&client, true)).collect::<Vec<_>>();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let meanwhile = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(meanwhile.secret(), kept.secret(), "a hit does not wait for a forced refresh");
    for call in forced {
        assert_ne!(call.await.unwrap().unwrap().secret(), kept.secret());
    }
    assert_eq!(world.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_cancels_nobody_else() {
    let world = World::start().await;
    world.entra.faults().latency(Duration::from_millis(300));
    let client = world.client();
    let first = call(&client, false);
    world.until_requests(1).await;
    let calls = (0..20).map(|_| call(&client, false)).collect::<Vec<_>>();
    tokio::time::sleep(Duration::from_millis(20)).await;
    // the one that leads the request, and half of those that wait
    first.abort();
    let mut staying = Vec::new();
    for (i, call) in calls.into_iter().enumerate() {
        if i % 2 == 0 {
            call.abort();
        } else {
            staying.push(call);
        }
    }
    for call in staying {
        call.await.unwrap().unwrap();
    }
    assert_eq!(world.requests(), 1);
}

/// It gives up for itself alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_with_little_time_takes_none_from_the_others() {
    let world = World::start().await;
    world.entra.faults().latency(Duration::from_millis(300));
    let client = world.client();
    let brief = {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token_for_client([TODO]).timeout(Duration::from_secs(5)).await })
    };
    world.until_requests(1).await;
    let patient = call(&client, false);
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.clock.advance(Duration::from_secs(5));
    let error = brief.await.unwrap().unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_transient()), ("no token within 5s", true));
    patient.await.unwrap().unwrap();
    assert_eq!(world.requests(), 1);
    // and nobody is left waiting for what nobody polls
    assert!(client.acquire_token_for_client([TODO]).timeout(Duration::ZERO).await.is_ok(), "a hit takes no time");
}

/// One who joins the request of another who has more time than the client allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_with_much_time_gives_none_to_the_others() {
    let world = World::start().await;
    world.entra.faults().next_token_requests(1, Fault::Hang);
    let client = world.client();
    let patient = {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token_for_client([TODO]).timeout(Duration::from_secs(900)).await })
    };
    world.until_requests(1).await;
    let usual = call(&client, false);
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.clock.advance(Duration::from_secs(119));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!usual.is_finished());
    world.clock.advance(Duration::from_secs(2));
    let error = tokio::time::timeout(Duration::from_secs(10), usual).await.expect("waits on").unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no token within 120s");
    assert!(!patient.is_finished());
    patient.abort();
}

/// The request's timer is its first caller's runtime's, which nobody drives.
#[test]
fn a_caller_on_another_runtime_keeps_its_own_time() {
    let lasting = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let idle = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = lasting.block_on(World::start());
    world.entra.faults().next_token_requests(2, Fault::Hang);
    let client = world.bare().client_secret(common::secret()).clock(Arc::new(SystemClock));
    let client = client.timeout(Duration::from_millis(400)).build().unwrap();
    idle.block_on(async {
        drop(call(&client, false)); // goes on
        world.until_requests(1).await;
    });
    let second = lasting.block_on(async { tokio::time::timeout(Duration::from_secs(10), call(&client, false)).await });
    let error = second.expect("waits for ever").unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no token within 400ms");
}

/// Timers go with the runtime on which they were made, and panic when polled on another: who waits there asks anew.
#[test]
fn a_runtime_that_ends_leaves_no_panic_to_others() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (lasting, brief) = (runtime(), runtime());
    let world = lasting.block_on(World::start());
    world.entra.faults().next_token_requests(1, Fault::Hang);
    let client = world.bare().client_secret(common::secret()).clock(Arc::new(SystemClock)).build().unwrap();
    brief.block_on(async {
        drop(call(&client, false)); // goes on
        world.until_requests(1).await;
    });
    let entered = lasting.enter();
    let second = call(&client, false);
    drop(entered);
    lasting.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
    brief.shutdown_timeout(Duration::from_secs(5));
    let second = lasting.block_on(async { tokio::time::timeout(Duration::from_secs(10), second).await });
    second.expect("waits for ever").expect("a panic").expect("the next one asks anew");
}

/// A `select!` that moves on with the call still in its hands, or a buffered stream: it does not poll the request that it
/// began, and wants the same token.
#[tokio::test]
async fn a_caller_that_is_held_up_holds_nobody_up() {
    let world = World::start().await;
    world.entra.faults().latency(Duration::from_millis(100));
    let client = world.client();
    let mut first = pin!(client.acquire_token_for_client([TODO]).into_future());
    let brief = tokio::time::timeout(Duration::from_millis(20), first.as_mut()).await;
    assert!(brief.is_err(), "the request is under way");
    let second = client.acquire_token_for_client([TODO]).into_future();
    let second = tokio::time::timeout(Duration::from_secs(10), second).await.expect("waits for ever").unwrap();
    assert_eq!((first.await.unwrap().secret(), world.requests()), (second.secret(), 1));
}

#[tokio::test]
async fn when_all_leave_the_next_caller_begins_anew() {
    let world = World::start().await;
    world.entra.faults().next_token_requests(1, Fault::Hang);
    let client = world.client();
    let only = call(&client, false);
    world.until_requests(1).await;
    only.abort();
    assert!(only.await.unwrap_err().is_cancelled());
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_shared_by_all_who_waited() {
    let world = World::start().await;
    world.entra.faults().latency(Duration::from_millis(200));
    let client = world.bare().client_secret(format!("{}-wrong", testkit::CANARY)).build().unwrap();
    let calls = (0..100).map(|_| call(&client, false)).collect::<Vec<_>>();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(error.denied().unwrap().has_code(7000215));
    }
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
async fn a_hit_does_not_wait_for_another_key() {
    let world = World::start().await;
    let client = world.client();
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    world.entra.faults().next_token_requests(1, Fault::Hang);
    let hanging = call(&client, false);
    world.until_requests(2).await;
    for _ in 0..1000 {
        client.acquire_token_for_client([GRAPH]).await.unwrap();
    }
    assert_eq!(world.requests(), 2);
    hanging.abort();
}

/// A refresh behind the caller's back runs on the caller's runtime; when that one ends first, the next caller's refreshes.
#[test]
fn a_runtime_that_ends_takes_only_its_refresh_along() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let lasting = runtime();
    let world = lasting.block_on(World::start());
    world.entra.faults().token_lifetime(Some(common::minutes(24 * 60)));
    let client = world.client();
    let first = runtime().block_on(async { client.acquire_token_for_client([TODO]).await.unwrap() });
    world.advance(common::minutes(13 * 60));
    world.entra.faults().next_token_requests(1, Fault::Hang);
    let brief = runtime();
    brief.block_on(async {
        client.acquire_token_for_client([TODO]).await.unwrap();
        world.until_requests(2).await;
    });
    brief.shutdown_timeout(Duration::from_secs(5));
    world.advance(common::minutes(2));
    lasting.block_on(async {
        assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
        world.until_requests(3).await;
        assert_ne!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
    });
}
