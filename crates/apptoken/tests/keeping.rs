//! What is kept, for how long, and what happens when the authority fails: over HTTPS, on a clock that stands still.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use apptoken::clock::{Clock, ManualClock};
use apptoken::http::{CircuitPolicy, Request, ReqwestTransport, Response, RetryPolicy, Transport, TransportError};
use apptoken::{AcquiredFrom, ConfidentialClient, ErrorKind, RefreshReason};
use apptoken_emulator::Fault;
use common::{CONTOSO, DAEMON, FABRIKAM, GRAPH, TODO, World, minutes, secret};

const HOUR: Duration = minutes(60);

fn ill(retry_after: Option<Duration>) -> Fault {
    Fault::Status { status: 503, retry_after, body: None }
}

#[tokio::test]
async fn a_miss_asks_and_a_hit_does_not() {
    let world = World::start().await;
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    let again = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((first.secret(), world.requests()), (again.secret(), 1));
    testkit::witness(&first);

    assert_eq!(first.metadata().source, AcquiredFrom::Authority);
    assert_eq!(first.metadata().refresh_reason, RefreshReason::NoCachedToken);
    assert_eq!(again.metadata().source, AcquiredFrom::Cache);
    assert_eq!(again.metadata().refresh_reason, RefreshReason::NotApplicable);
    assert_eq!(first.metadata().token_endpoint, format!("{}/{CONTOSO}/oauth2/v2.0/token", world.entra.authority()));
    assert_eq!((first.token_type(), first.scopes(), first.tenant_id()), ("Bearer", TODO, CONTOSO));
    assert_eq!(first.correlation_id(), again.correlation_id());
    let life = first.expires_on().duration_since(world.clock.system_time()).unwrap();
    assert!((minutes(59)..=minutes(90)).contains(&life), "{life:?}");
    assert_eq!(first.authorization_header().to_str().unwrap(), format!("Bearer {}", first.secret()));
    assert!(first.authorization_header().is_sensitive());
}

#[tokio::test]
async fn tenants_scopes_and_clients_do_not_share() {
    let world = World::start().await;
    let (client, other) = (world.client(), world.client());
    let todo = client.acquire_token_for_client([TODO]).await.unwrap();
    let graph = client.acquire_token_for_client([GRAPH]).await.unwrap();
    let fabrikam = client.acquire_token_for_client([TODO]).tenant(FABRIKAM).await.unwrap();
    let others = other.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 4);
    for (a, b) in [(&todo, &graph), (&todo, &fabrikam), (&todo, &others)] {
        assert_ne!(a.secret(), b.secret());
    }
    assert_eq!(fabrikam.tenant_id(), FABRIKAM);
    client.acquire_token_for_client([TODO]).tenant(FABRIKAM).await.unwrap();
    client.acquire_token_for_client(GRAPH.to_owned()).tenant(CONTOSO).await.unwrap();
    client.token_source(TODO).unwrap().token().await.unwrap();
    assert_eq!((world.requests(), client.cached_tokens()), (4, 3));
}

#[tokio::test]
async fn within_five_minutes_of_its_end_a_token_is_replaced() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(HOUR));
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(HOUR - minutes(5) - Duration::from_secs(5));
    assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
    assert_eq!(world.requests(), 1);
    world.advance(Duration::from_secs(10));
    let second = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_ne!(second.secret(), first.secret());
    assert_eq!((second.metadata().refresh_reason, world.requests()), (RefreshReason::Expired, 2));
}

/// Shorter than the margin itself.
#[tokio::test]
async fn a_short_token_serves_for_half_its_life() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(Duration::from_secs(200)));
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(Duration::from_secs(95));
    assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
    assert_eq!(world.requests(), 1);
    world.advance(Duration::from_secs(10));
    assert_ne!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
}

#[tokio::test]
async fn a_refresh_goes_on_behind_the_callers_back() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(24 * HOUR));
    world.entra.faults().refresh_in(Some(12 * HOUR));
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    let refresh_in = first.refresh_on().unwrap().duration_since(world.clock.system_time()).unwrap();
    assert_eq!(refresh_in, 12 * HOUR);

    // the jitter is five minutes at most, and early
    world.advance(12 * HOUR - minutes(6));
    let early = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(early.metadata().refresh_reason, RefreshReason::NotApplicable);
    world.advance(minutes(7));
    world.entra.faults().latency(Duration::from_millis(200));
    let mut proactive = 0;
    for _ in 0..100 {
        let token = client.acquire_token_for_client([TODO]).await.unwrap();
        assert_eq!(token.secret(), first.secret(), "nobody waits");
        proactive += u32::from(token.metadata().refresh_reason == RefreshReason::Proactive);
    }
    assert_eq!(proactive, 1);
    world.until_requests(2).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let second = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_ne!(second.secret(), first.secret());
    assert_eq!((second.metadata().source, world.requests()), (AcquiredFrom::Cache, 2));
}

#[test]
fn without_a_runtime_a_token_that_is_due_is_handed_out_as_it_is() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = runtime.block_on(World::start());
    world.entra.faults().token_lifetime(Some(24 * HOUR));
    let client = world.client();
    let first = runtime.block_on(client.acquire_token_for_client([TODO]).into_future()).unwrap();
    world.advance(13 * HOUR);
    let mut call = pin!(client.acquire_token_for_client([TODO]).into_future());
    let Poll::Ready(token) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nobody waits for a refresh")
    };
    let token = token.unwrap();
    assert_eq!((token.secret(), world.requests()), (first.secret(), 1));
    assert_eq!(token.metadata().refresh_reason, RefreshReason::NotApplicable, "nothing is fetched");
}

#[tokio::test]
async fn half_the_life_of_a_long_token_is_when_to_refresh() {
    let world = World::start().await;
    world.entra.faults().refresh_in(None);
    world.entra.faults().token_lifetime(Some(2 * HOUR));
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    let refresh_in = |on: SystemTime| on.duration_since(world.clock.system_time()).unwrap();
    assert_eq!(first.refresh_on().map(refresh_in), Some(HOUR));
    world.entra.faults().token_lifetime(Some(2 * HOUR - Duration::from_secs(1)));
    assert_eq!(client.acquire_token_for_client([GRAPH]).await.unwrap().refresh_on(), None);
}

#[tokio::test]
async fn a_token_that_is_valid_outlives_a_failing_authority() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(HOUR));
    let client = world.bare().client_secret(secret()).retry(RetryPolicy::NONE).build().unwrap();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    assert!(!first.metadata().stale);

    world.entra.faults().next_token_requests(1000, ill(None));
    world.advance(minutes(56));
    let kept = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(kept.secret(), first.secret());
    assert!(kept.metadata().stale);
    assert_eq!(world.requests(), 2);
    // the failure is not repeated for each caller
    for _ in 0..100 {
        assert!(client.acquire_token_for_client([TODO]).await.unwrap().metadata().stale);
    }
    assert_eq!(world.requests(), 2);
    world.advance(Duration::from_secs(31));
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 3);

    world.advance(minutes(4));
    let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    assert!(error.to_string().contains("HTTP 503"), "{error}");
    world.entra.faults().clear();
    let second = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_ne!(second.secret(), first.secret());
    assert_eq!(second.metadata().refresh_reason, RefreshReason::Expired);
}

/// Not only an outage: a secret that ended, say, is noticed by who has no token left.
#[tokio::test]
async fn a_token_that_is_valid_outlives_a_refusal() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(HOUR));
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    let body = r#"{"error":"invalid_client","error_codes":[7000222]}"#.to_owned();
    let refused = Fault::Status { status: 401, retry_after: None, body: Some(body) };
    world.entra.faults().next_token_requests(1000, refused);
    world.advance(minutes(56));
    for _ in 0..100 {
        let kept = client.acquire_token_for_client([TODO]).await.unwrap();
        assert_eq!((kept.secret(), kept.metadata().stale), (first.secret(), true));
    }
    assert_eq!(world.requests(), 2, "the refusal is not repeated for each caller");
    let forced = client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap_err();
    assert_eq!(forced.kind(), ErrorKind::Denied, "who wants a new one is told");
    assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
    world.advance(minutes(5));
    let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Denied, false));
}

#[tokio::test]
async fn tokens_that_came_together_are_refreshed_apart() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(24 * HOUR));
    world.entra.faults().refresh_in(Some(12 * HOUR));
    let client = world.client();
    let ask = async |key: usize| {
        client.acquire_token_for_client([TODO]).extra_query_parameter("key", key.to_string()).await.unwrap()
    };
    for key in 0..32 {
        ask(key).await;
    }
    // half of the jitter is still to come
    world.advance(12 * HOUR - Duration::from_secs(150));
    let mut left = Vec::new();
    for key in 0..32 {
        if ask(key).await.metadata().refresh_reason != RefreshReason::Proactive {
            left.push(key);
        }
    }
    assert!((3..30).contains(&left.len()), "{left:?}");
    world.advance(Duration::from_secs(150));
    for key in left {
        assert_eq!(ask(key).await.metadata().refresh_reason, RefreshReason::Proactive, "none is late");
    }
}

#[tokio::test]
async fn a_refresh_behind_that_fails_disturbs_nobody() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(24 * HOUR));
    let client = world.bare().client_secret(secret()).retry(RetryPolicy::NONE).build().unwrap();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    world.entra.faults().next_token_requests(1, ill(None));
    world.advance(13 * HOUR);
    for _ in 0..10 {
        assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
    }
    world.until_requests(2).await;
    for _ in 0..10 {
        assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
    }
    assert_eq!(world.requests(), 2, "a failed refresh is not tried again at once");
    world.advance(Duration::from_secs(31));
    client.acquire_token_for_client([TODO]).await.unwrap();
    world.until_requests(3).await;
    assert_ne!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), first.secret());
}

#[tokio::test]
async fn retry_after_is_remembered_by_the_slot() {
    let world = World::start().await;
    let client = world.client();
    world
        .entra
        .faults()
        .next_token_requests(1, Fault::Status { status: 429, retry_after: Some(Duration::from_secs(60)), body: None });
    let first = client.acquire_token_for_client([TODO]).await.unwrap_err();
    testkit::witness_error(&first);
    assert_eq!((first.kind(), first.retry_after()), (ErrorKind::Throttled, Some(Duration::from_secs(60))));
    world.advance(Duration::from_secs(20));
    let again = client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap_err();
    assert_eq!(again.retry_after(), Some(Duration::from_secs(40)));
    assert_eq!(world.requests(), 1);
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    assert_eq!(world.requests(), 2, "another slot is not made to wait");
    world.advance(Duration::from_secs(40));
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 3);
}

#[tokio::test]
async fn a_corrected_secret_is_not_made_to_wait() {
    let world = World::start().await;
    let client = world.bare().client_secret(format!("{}-wrong", testkit::CANARY)).build().unwrap();
    let body = Some(r#"{"error":"invalid_client","error_codes":[7000215]}"#.to_owned());
    let refused = Fault::Status { status: 401, retry_after: Some(minutes(10)), body };
    world.entra.faults().next_token_requests(1, refused);
    for _ in 0..3 {
        let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Denied, Some(minutes(10))));
    }
    assert_eq!(world.requests(), 1, "the same secret waits");
    client.replace_credential(apptoken::Credential::client_secret(secret())).unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn retries_are_as_configured() {
    let world = World::start().await;
    for (policy, failures, want) in [
        (RetryPolicy::default(), 1, Ok(2)),
        (RetryPolicy::default(), 3, Ok(4)),
        (RetryPolicy::default(), 4, Err(4)),
        (RetryPolicy::NONE, 1, Err(1)),
        (RetryPolicy { max_retries: 1, ..RetryPolicy::default() }, 2, Err(2)),
        (RetryPolicy { max_retries: 6, base_delay: Duration::from_millis(500), ..RetryPolicy::default() }, 6, Ok(7)),
        (RetryPolicy { max_retries: 9, give_up_after: Duration::ZERO, ..RetryPolicy::default() }, 9, Err(1)),
    ] {
        world.entra.faults().clear();
        world.entra.faults().next_token_requests(failures, ill(None));
        let (before, slept) = (world.requests(), world.clock.slept());
        // whose pauses are random, and take tries away
        let client = world.bare().client_secret(secret()).retry(policy).circuit(CircuitPolicy::NONE).build().unwrap();
        let outcome = client.acquire_token_for_client([TODO]).await;
        let sent = world.requests() - before;
        assert_eq!(outcome.map(|_| sent).map_err(|_| sent), want, "{policy:?}");
        assert!(world.clock.slept() - slept <= policy.max_delay * policy.max_retries);
    }
}

#[tokio::test]
async fn a_failure_tells_how_it_went() {
    let world = World::start().await;
    let client = world.bare().client_secret(secret()).retry(RetryPolicy { max_retries: 2, ..RetryPolicy::default() });
    let client = client.build().unwrap();
    world.entra.faults().next_token_requests(3, ill(None));
    let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    let failed = error.metadata().unwrap();
    assert_eq!(failed.refresh_reason, RefreshReason::NoCachedToken);
    assert_eq!(failed.token_endpoint, format!("{}/{CONTOSO}/oauth2/v2.0/token", world.entra.authority()));
    let waited = world.clock.slept();
    assert!(!waited.is_zero());
    assert_eq!((failed.duration_total, failed.duration_http), (waited, waited));
    let error = client.acquire_token_for_client(["no scope"]).await.unwrap_err();
    assert_eq!(error.metadata(), None, "nothing was asked");
}

#[tokio::test]
async fn claims_pass_the_kept_token_over_and_replace_it() {
    let world = World::start().await;
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    let challenged = client.acquire_token_for_client([TODO]).claims(r#"{"access_token":{}}"#).await.unwrap();
    assert_ne!(first.secret(), challenged.secret());
    assert_eq!(challenged.metadata().refresh_reason, RefreshReason::ForceRefreshOrClaims);
    assert_eq!(client.acquire_token_for_client([TODO]).await.unwrap().secret(), challenged.secret());
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn the_correlation_id_is_sent_and_returned() {
    let world = World::start().await;
    let client = world.client();
    let id = uuid::Uuid::new_v4();
    let token = client.acquire_token_for_client([TODO]).correlation_id(id).await.unwrap();
    assert_eq!(token.correlation_id(), id);
    assert_eq!(world.entra.sign_ins().last().unwrap().correlation_id, id);
}

#[tokio::test]
async fn nobody_who_has_a_valid_token_waits_for_a_slow_authority() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(HOUR));
    let client = world.client();
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    world.entra.faults().next_token_requests(1, Fault::Hang);
    world.advance(minutes(56));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.acquire_token_for_client([TODO]).await }
    });
    world.until_requests(2).await;
    assert!(!waiting.is_finished(), "a few seconds are worth waiting for a new one");
    world.advance(Duration::from_secs(6));
    let token = waiting.await.unwrap().unwrap();
    assert_eq!((token.secret(), token.metadata().stale), (first.secret(), true));
    for _ in 0..100 {
        let token = client.acquire_token_for_client([TODO]).await.unwrap();
        assert_eq!((token.secret(), token.metadata().stale), (first.secret(), true));
    }
    assert_eq!(world.requests(), 2, "the request goes on behind");
}

#[tokio::test]
async fn an_acquisition_has_an_end() {
    let world = World::start().await;
    let never = world.bare().client_assertion(|_| std::future::pending::<Result<String, std::io::Error>>());
    let client = never.timeout(minutes(1)).build().unwrap();
    for _ in 0..2 {
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.acquire_token_for_client([TODO]).await }
        });
        tokio::task::yield_now().await;
        world.clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        world.clock.advance(Duration::from_secs(1));
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
        assert!(error.to_string().contains("no token within 60s"), "{error}");
    }
}

/// Its answers come late, on the client's clock.
struct Late {
    network: ReqwestTransport,
    clock: Arc<ManualClock>,
    by: Duration,
}

impl Transport for Late {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let answer = self.network.send(request).await;
        self.clock.advance(self.by);
        answer
    }
}

fn late(world: &World, by: Duration) -> ConfidentialClient {
    let network =
        ReqwestTransport::builder().add_root_certificate_pem(world.entra.ca_pem().as_bytes()).unwrap().build();
    let transport = Late { network, clock: world.clock.clone(), by };
    let client = ConfidentialClient::builder(DAEMON).tenant(CONTOSO).authority(world.entra.authority());
    client.clock(world.clock.clone()).transport(transport).client_secret(secret()).build().unwrap()
}

#[tokio::test]
async fn a_token_lives_from_the_sending_of_the_request_that_brought_it() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(minutes(10)));
    // a try that fails: the token's time begins with the one that brought it
    world.entra.faults().next_token_requests(1, ill(Some(Duration::from_secs(3))));
    let by = Duration::from_secs(20);
    let client = late(&world, by);
    let token = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 2);
    assert_eq!(token.expires_on(), world.clock.system_time() - by + minutes(10));
    world.clock.advance(minutes(5) - by - Duration::from_millis(1));
    let again = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((again.metadata().source, world.requests()), (AcquiredFrom::Cache, 2));
    world.clock.advance(Duration::from_millis(1));
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 3, "its last minutes have begun");
}

#[tokio::test]
async fn a_token_that_has_expired_on_its_way_is_not_handed_out() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(Duration::from_secs(8)));
    let error = late(&world, Duration::from_secs(20)).acquire_token_for_client([TODO]).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Transport && error.is_transient(), "{error}");
    testkit::witness(&error);
}

#[tokio::test]
async fn who_is_polled_late_gets_no_token_that_is_over() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(Duration::from_secs(60)));
    let client = world.client();
    let mut late = pin!(client.acquire_token_for_client([TODO]).into_future());
    assert!(late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let first = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 1, "both wait for the same request");
    world.clock.advance(Duration::from_secs(61));
    let token = late.await.unwrap();
    assert!(token.secret() != first.secret() && token.expires_on() > world.clock.system_time());
    assert_eq!(world.requests(), 2);
}
