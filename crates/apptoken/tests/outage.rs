//! The authority is gone and comes back: who notices, and how many requests it costs.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use apptoken::clock::{Clock, ManualClock, SystemClock};
use apptoken::http::{Request, RequestRate, Response, RetryPolicy, Transport, TransportError, TransportErrorKind};
use apptoken::{AcquiredFrom, ConfidentialClient, ErrorKind, RefreshReason, SecretString};
use apptoken_emulator::{Emulator, Fault};
use apptoken_jose::issue::Ca;
use common::{CONTOSO, DAEMON, TODO, World, minutes, secret, seed};
use tokio::task::JoinHandle;

const CALLERS: usize = 200;

/// Callers that ask all the time.
struct Callers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Seen>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    tokens: u64,
    stale: u64,
    errors: u64,
}

impl Callers {
    fn start(client: &ConfidentialClient, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..CALLERS).map(|_| tokio::spawn(keep_asking(client.clone(), stop.clone(), pause))).collect();
        Self { stop, tasks }
    }

    /// Every one of them ends, and none has panicked.
    async fn stop(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for task in self.tasks {
            let seen = tokio::time::timeout(Duration::from_secs(30), task).await.expect("stuck").unwrap();
            all.tokens += seen.tokens;
            all.stale += seen.stale;
            all.errors += seen.errors;
        }
        all
    }
}

async fn keep_asking(client: ConfidentialClient, stop: Arc<AtomicBool>, pause: Duration) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::SeqCst) {
        match client.acquire_token_for_client([TODO]).await {
            Ok(token) => {
                seen.tokens += 1;
                seen.stale += u64::from(token.metadata().stale);
            }
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                seen.errors += 1;
            }
        }
        tokio::time::sleep(pause).await;
    }
    seen
}

/// A minute of outage on a clock that is driven fast: while the token is valid nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_without_the_authority_is_not_felt_while_the_token_is_valid() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(minutes(60)));
    let client = world.client();
    client.acquire_token_for_client([TODO]).await.unwrap();
    // the token is in its last minutes for the whole outage
    world.advance(minutes(56));
    world.entra.faults().next_token_requests(u32::MAX, Fault::Reset);
    let callers = Callers::start(&client, Duration::from_millis(1));
    let end = world.clock.now() + minutes(1);
    while world.clock.now() < end {
        world.advance(Duration::from_millis(250));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let during = callers.stop().await;
    assert_eq!(during.errors, 0, "{during:?}");
    assert!(during.tokens > 1000 && during.stale == during.tokens, "{during:?}");
    // one acquisition of four tries each quarter of a minute at most, and not one for each caller
    assert!(world.requests() <= 1 + 4 * 6, "{} requests", world.requests());

    // a try that was under way behind the callers' backs ends before the authority is back
    let mut sent = 0;
    while sent < world.requests() {
        sent = world.requests();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    world.entra.faults().clear();
    let sent = world.requests();
    // a request that was under way may still end badly; the next one is due within half a minute
    for waited in 0.. {
        if !client.acquire_token_for_client([TODO]).await.unwrap().metadata().stale {
            break;
        }
        assert!(waited < 350, "it is back, and nobody notices");
        // one that was sent is answered in a busy machine's own time
        if world.requests() == sent && waited < 150 {
            world.advance(Duration::from_secs(1));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// With no token to serve, callers get errors; the authority gets a bounded number of requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_authority_is_not_hammered_and_its_return_is_noticed_within_seconds() {
    let world = World::start().await;
    let client = world.bare().client_secret(secret()).retry(RetryPolicy::NONE).build().unwrap();
    world.entra.faults().next_token_requests(u32::MAX, Fault::Reset);
    let callers = Callers::start(&client, Duration::from_millis(1));
    let end = world.clock.now() + minutes(1);
    while world.clock.now() < end {
        world.advance(Duration::from_millis(250));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    // the first may be the one who tries
    let _ = client.acquire_token_for_client([TODO]).await;
    let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
    testkit::witness_error(&error);
    let next_try = error.retry_after().expect("the circuit is open");
    assert!(next_try <= Duration::from_secs(10), "{next_try:?}");
    assert!(error.to_string().contains("to this host failed, the very last with: the answer broke off"), "{error}");
    let sent = world.requests();
    // five to open the circuit, then after about 1, 2, 4, 8 seconds and every five to ten
    assert!((8..=20).contains(&sent), "{sent} requests in a minute");

    world.entra.faults().clear();
    world.advance(Duration::from_secs(10));
    client.acquire_token_for_client([TODO]).await.unwrap();
    let all = callers.stop().await;
    assert!(all.errors > 1000, "{all:?}");
    assert_eq!(world.requests(), sent + 1);
}

/// The real thing, in real time: the process's sockets are closed and opened again, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_is_killed_and_started_again() {
    testkit::init();
    let ca = || {
        let (certificate, key) = CA.get_or_init(|| {
            let ca = Ca::generate("Outage", SystemClock.system_time()).unwrap();
            (ca.certificate().to_pem(), ca.key_pem().to_string())
        });
        Ca::from_pem(certificate, key).unwrap()
    };
    let entra = Emulator::builder().seed(seed()).certificate_authority(ca()).start().await.unwrap();
    let authority = entra.authority().to_owned();
    let address = format!("127.0.0.1:{}", authority.rsplit(':').next().unwrap());
    let client = |retry| {
        let client = ConfidentialClient::builder(DAEMON).tenant(CONTOSO).authority(&authority).retry(retry);
        client.add_root_certificate_pem(entra.ca_pem()).client_secret(secret()).build().unwrap()
    };
    // the one's token is valid throughout; the other's expires during the outage
    let (holder, brief) = (client(RetryPolicy::default()), client(RetryPolicy::NONE));
    entra.faults().token_lifetime(Some(Duration::from_secs(600)));
    holder.acquire_token_for_client([TODO]).await.unwrap();
    entra.faults().token_lifetime(Some(Duration::from_secs(2)));
    brief.acquire_token_for_client([TODO]).await.unwrap();
    let held = Callers::start(&holder, Duration::from_millis(2));
    let lost = Callers::start(&brief, Duration::from_millis(2));
    entra.shutdown().await;
    tokio::time::sleep(Duration::from_secs(4)).await;

    let entra = Emulator::builder().seed(seed()).certificate_authority(ca()).listen(&address).start().await.unwrap();
    let recovered = async {
        while brief.acquire_token_for_client([TODO]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), recovered).await.expect("it has been back for long");
    let (held, lost) = (held.stop().await, lost.stop().await);
    assert_eq!(held.errors, 0, "{held:?}");
    assert!(lost.errors > 0 && lost.tokens > 0, "{lost:?}");
    assert!(entra.token_requests() <= 3, "{} requests", entra.token_requests());
}

static CA: std::sync::OnceLock<(String, String)> = std::sync::OnceLock::new();

/// Ten thousand tokens are due in the same second, and their callers all ask.
#[tokio::test]
async fn ten_thousand_slots_come_back_spread_out() {
    const SLOTS: usize = 10_000;
    testkit::init();
    let clock = Arc::new(ManualClock::default());
    let counted = Counted { requests: Arc::default(), under_way: Arc::default(), most: Arc::default() };
    let rate = RequestRate { per_second: 500, burst: 100, in_flight: 50 };
    let client = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .client_secret(SecretString::from(format!("{}-secret", testkit::CANARY)))
        .transport(counted.clone())
        .request_rate(rate)
        .clock(clock.clone())
        .build()
        .unwrap();
    let started = Arc::new(AtomicU64::new(0));
    let call = |i: usize| {
        let client = client.clone();
        let started = started.clone();
        tokio::spawn(async move {
            started.fetch_add(1, Ordering::SeqCst);
            client.acquire_token_for_client(format!("api://{i}/.default")).await
        })
    };
    let calls = (0..SLOTS).map(call).collect::<Vec<_>>();
    while started.load(Ordering::SeqCst) < SLOTS as u64 {
        tokio::task::yield_now().await;
    }
    let (mut before, mut seconds) = (0, 0);
    while counted.requests.load(Ordering::SeqCst) < SLOTS as u64 {
        quiet(&counted).await;
        let sent = counted.requests.load(Ordering::SeqCst);
        let allowed = if seconds == 0 { rate.burst } else { rate.per_second };
        assert!(sent - before <= u64::from(allowed) + 1, "{} in second {seconds}", sent - before);
        before = sent;
        for _ in 0..4 {
            quiet(&counted).await;
            clock.advance(Duration::from_millis(250));
        }
        seconds += 1;
        assert!(seconds < 30, "{sent} in {seconds} seconds");
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!((19..=23).contains(&seconds), "{seconds} seconds");
    assert!(counted.most.load(Ordering::SeqCst) <= u64::from(rate.in_flight));

    // half a day later all are due: nobody waits, and the refreshes go out as slowly
    clock.advance(minutes(12 * 60 + 1));
    let calls = (0..SLOTS).map(call).collect::<Vec<_>>();
    for call in calls {
        let served = tokio::time::timeout(Duration::from_secs(30), call).await.expect("it queues");
        let metadata = served.unwrap().unwrap().metadata();
        assert_eq!((metadata.source, metadata.refresh_reason), (AcquiredFrom::Cache, RefreshReason::Proactive));
    }
    quiet(&counted).await;
    let at_once = counted.requests.load(Ordering::SeqCst) - SLOTS as u64;
    assert!((1..=u64::from(rate.burst)).contains(&at_once), "{at_once} at once");
    clock.advance(Duration::from_secs(1));
    quiet(&counted).await;
    let after_a_second = counted.requests.load(Ordering::SeqCst) - SLOTS as u64;
    assert!((500..=601).contains(&after_a_second), "{after_a_second} after a second");
}

/// Until nothing more is sent at this moment of the clock.
async fn quiet(counted: &Counted) {
    let (mut last, mut looks) = (u64::MAX, 0);
    while looks < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let sent = counted.requests.load(Ordering::SeqCst);
        looks = if sent == last && counted.under_way.load(Ordering::SeqCst) == 0 { looks + 1 } else { 0 };
        last = sent;
    }
}

/// Who would wait for longer than an acquisition may take is told so at once.
#[tokio::test]
async fn a_queue_that_is_too_long_is_an_error_at_once() {
    let clock = Arc::new(ManualClock::default());
    let client = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .client_secret(SecretString::from(format!("{}-secret", testkit::CANARY)))
        .transport(Counted { requests: Arc::default(), under_way: Arc::default(), most: Arc::default() })
        .request_rate(RequestRate { per_second: 1, burst: 1, in_flight: 1 })
        .timeout(Duration::from_secs(5))
        .clock(clock)
        .build()
        .unwrap();
    client.acquire_token_for_client("api://first/.default").await.unwrap();
    let waiting = (0..5)
        .map(|i| {
            let client = client.clone();
            tokio::spawn(async move { client.acquire_token_for_client(format!("api://{i}/.default")).await })
        })
        .collect::<Vec<_>>();
    tokio::task::yield_now().await;
    let error = client.acquire_token_for_client("api://last/.default").await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(6)), "{error}");
    assert!(error.to_string().contains("wait for their turn"), "{error}");
    waiting.iter().for_each(JoinHandle::abort);
}

/// An authority in the same process that counts.
#[derive(Clone)]
struct Counted {
    requests: Arc<AtomicU64>,
    under_way: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

impl Transport for Counted {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let body = r#"{"token_type":"Bearer","expires_in":86400,"access_token":"t"}"#;
        http::Response::builder().body(body.into()).map_err(|e| TransportError::new(TransportErrorKind::Body, e))
    }
}
