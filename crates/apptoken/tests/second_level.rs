//! The second level: who asks when several may, what is kept where, and what a level's failures cost.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::cache::distributed::{CacheError, DistributedCache, InMemoryCache, Lease, Stored};
use apptoken::cache::{CacheFolder, EncryptionKey, TokenCache, TokenCacheBuilder};
use apptoken::clock::{Clock, ManualClock, SystemClock};
use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken::{
    AccessToken, CacheLevel, ConfidentialClient, Credential, Environment, Error, ErrorKind, ManagedIdentityClient,
    ManagedIdentityClientBuilder, RefreshReason, UserAssignedId,
};
use apptoken_emulator::Fault;
use aws_lc_rs::digest::{SHA256, digest};
use common::canned::Canned;
use common::{GRAPH, TODO, World, certificate, minutes, secret, until};
use serde_json::json;
use testkit::CANARY;
use tokio::sync::Notify;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const VAULT: &str = "https://vault.azure.net/.default";

/// A client as another process would make it, which shares the store and nothing else.
fn another(world: &World, store: &Arc<InMemoryCache>) -> (ConfidentialClient, TokenCache) {
    let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
    (world.bare().client_secret(secret()).token_cache(&cache).build().unwrap(), cache)
}

fn level(token: &AccessToken) -> CacheLevel {
    token.metadata().cache_level
}

#[tokio::test]
async fn what_one_process_got_the_next_one_has() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, first_cache) = another(&world, &store);
    let token = first.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(level(&token), CacheLevel::None);
    let (second, second_cache) = another(&world, &store);
    let again = second.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((again.secret(), world.requests()), (token.secret(), 1));
    let metadata = again.metadata();
    assert_eq!((metadata.cache_level, metadata.refresh_reason), (CacheLevel::L2, RefreshReason::NotApplicable));
    assert_eq!(again.correlation_id(), token.correlation_id());
    assert_eq!((again.scopes(), again.tenant_id(), again.token_type()), (TODO, common::CONTOSO, "Bearer"));
    let apart = again.expires_on().max(token.expires_on()).duration_since(again.expires_on().min(token.expires_on()));
    assert!(apart.unwrap() <= Duration::from_secs(1));
    // and then from memory
    assert_eq!(level(&second.acquire_token_for_client([TODO]).await.unwrap()), CacheLevel::L1);
    let (counted, first_counted) = (second_cache.counters(), first_cache.counters());
    assert_eq!((counted.hits, counted.misses, counted.writes), (1, 0, 0));
    assert_eq!((first_counted.hits, first_counted.misses, first_counted.writes), (0, 1, 1));

    // nothing secret is in the store, and another scope, tenant or secret is another key
    for (key, value) in store.contents() {
        testkit::witness_text(&key);
        let text = String::from_utf8_lossy(&value).into_owned();
        assert!(!text.contains("eyJ") && !text.contains("todolist") && !key.contains("todolist"), "{key} {text}");
    }
    second.acquire_token_for_client([GRAPH]).await.unwrap();
    let other = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
    let other = world.bare().certificate(certificate()).token_cache(&other).build().unwrap();
    other.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((store.len(), world.requests()), (3, 3));
    for value in [format!("{first_cache:?}"), format!("{counted:?}"), format!("{store:?}")] {
        testkit::witness_text(&value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_fleet_that_starts_together_one_asks() {
    let world = World::start().await;
    world.entra.faults().latency(Duration::from_millis(300));
    let store = Arc::new(InMemoryCache::new());
    let clients = (0..32).map(|_| {
        let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
        let client = world.bare().client_secret(secret()).clock(Arc::new(SystemClock)).token_cache(&cache);
        (client.build().unwrap(), cache)
    });
    let clients = clients.collect::<Vec<_>>();
    let calls = clients.iter().map(|(client, _)| {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token_for_client([TODO]).await })
    });
    let mut secrets = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        secrets.push(call.await.unwrap().unwrap().secret().to_owned());
    }
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_eq!(world.requests(), 1);
    assert_eq!(clients.iter().map(|(_, cache)| cache.counters().waits).sum::<u64>(), 31);
}

#[tokio::test]
async fn one_that_is_due_is_served_and_refreshed_by_one_process() {
    let world = World::start().await;
    world.entra.faults().refresh_in(Some(minutes(30)));
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, _) = another(&world, &store);
    let token = first.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(minutes(31));
    let (second, _) = another(&world, &store);
    let due = second.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((due.secret(), level(&due)), (token.secret(), CacheLevel::L2));
    // now it is in memory, due, and its refresh goes on behind
    let served = second.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((served.secret(), served.metadata().refresh_reason), (token.secret(), RefreshReason::Proactive));
    world.until_requests(2).await;
    // the first process finds it in the store
    first.acquire_token_for_client([TODO]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refreshed = first.acquire_token_for_client([TODO]).await.unwrap();
    assert_ne!(refreshed.secret(), token.secret());
    assert_eq!(world.requests(), 2);
}

/// Processes that found the same token do not come due together.
#[tokio::test]
async fn tokens_of_another_process_are_refreshed_apart() {
    let world = World::start().await;
    world.entra.faults().token_lifetime(Some(minutes(24 * 60)));
    world.entra.faults().refresh_in(Some(minutes(12 * 60)));
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, second) = (another(&world, &store).0, another(&world, &store).0);
    let ask = async |client: &ConfidentialClient, key: usize| {
        client.acquire_token_for_client([TODO]).extra_query_parameter("key", key.to_string()).await.unwrap()
    };
    for key in 0..32 {
        ask(&first, key).await;
        assert_eq!(level(&ask(&second, key).await), CacheLevel::L2);
    }
    // half of the jitter is still to come
    world.advance(minutes(12 * 60) - Duration::from_secs(150));
    let mut due = 0;
    for key in 0..32 {
        due += u32::from(ask(&second, key).await.metadata().refresh_reason == RefreshReason::Proactive);
    }
    assert!((3..30).contains(&due), "{due}");
}

#[tokio::test]
async fn a_valid_token_of_another_process_beats_an_error() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, _) = another(&world, &store);
    let token = first.acquire_token_for_client([TODO]).await.unwrap();
    world.advance(minutes(57));
    world.entra.faults().next_token_requests(100, Fault::Status { status: 503, retry_after: None, body: None });
    let (second, _) = another(&world, &store);
    let stale = second.acquire_token_for_client([TODO]).await.unwrap();
    assert!(stale.metadata().stale && stale.secret() == token.secret());
    world.advance(minutes(10));
    let (third, _) = another(&world, &store);
    assert_eq!(third.acquire_token_for_client([TODO]).await.unwrap_err().kind(), ErrorKind::Transport);
}

/// Told by an API to a process that has just started, and to one that has the token in memory.
#[tokio::test]
async fn a_token_that_was_turned_down_is_replaced_once_for_all_processes() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let ((first, _), (second, _), (third, _)) =
        (another(&world, &store), another(&world, &store), another(&world, &store));
    let token = first.acquire_token_for_client([TODO]).await.unwrap();
    let hash = digest(&SHA256, token.secret().as_bytes());
    let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let fresh = second.acquire_token_for_client([TODO]).refresh_if_token_sha256(&hash).await.unwrap();
    assert!(fresh.secret() != token.secret() && level(&fresh) == CacheLevel::None);
    for client in [&first, &third] {
        let call = client.acquire_token_for_client([TODO]).refresh_if_token_sha256(&hash).claims("{}");
        let found = call.await.unwrap();
        assert_eq!((found.secret(), level(&found)), (fresh.secret(), CacheLevel::L2));
    }
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn a_forced_refresh_passes_the_level_over_and_fills_it() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, _) = another(&world, &store);
    first.acquire_token_for_client([TODO]).await.unwrap();
    let (second, _) = another(&world, &store);
    let forced = second.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    assert_eq!((level(&forced), world.requests()), (CacheLevel::None, 2));
    let (third, _) = another(&world, &store);
    assert_eq!(third.acquire_token_for_client([TODO]).await.unwrap().secret(), forced.secret());
    assert_eq!(world.requests(), 2);
}

/// A store that does what a test says.
#[derive(Default)]
struct Ill {
    inner: InMemoryCache,
    fails: AtomicBool,
    /// So many more times.
    fails_times: AtomicU64,
    hangs: AtomicBool,
    /// Milliseconds that each answer takes.
    slow: AtomicU64,
    asked: AtomicU64,
    /// What is held up until the test lets it go on.
    holds: Mutex<Option<&'static str>>,
    reached: Notify,
    goes_on: Notify,
}

impl Ill {
    async fn suffer(&self, what: &'static str) -> Result<(), CacheError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.holds.lock().unwrap().take_if(|held| *held == what).is_some() {
            self.reached.notify_one();
            self.goes_on.notified().await;
        }
        match self.slow.load(Ordering::SeqCst) {
            0 => {}
            slow => tokio::time::sleep(Duration::from_millis(slow)).await,
        }
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let once_more = |left: u64| left.checked_sub(1);
        let fails = self.fails_times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, once_more).is_ok();
        if fails || self.fails.load(Ordering::SeqCst) { Err("connection refused".into()) } else { Ok(()) }
    }
}

impl DistributedCache for Ill {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, CacheError> {
        self.suffer("get").await?;
        self.inner.get(key).await
    }
    async fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Result<Stored, CacheError> {
        self.suffer("set").await?;
        self.inner.set(key, value, ttl, fence).await
    }
    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        self.suffer("remove").await?;
        self.inner.remove(key).await
    }
    async fn try_lease(&self, key: &str, ttl: Duration) -> Result<Option<Lease>, CacheError> {
        self.suffer("try_lease").await?;
        self.inner.try_lease(key, ttl).await
    }
    async fn release(&self, key: &str, lease: Lease) -> Result<(), CacheError> {
        self.suffer("release").await?;
        self.inner.release(key, lease).await
    }
}

#[tokio::test]
async fn a_level_that_fails_is_left_alone_and_heals() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    store.fails.store(true, Ordering::SeqCst);
    let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
    let client = world.bare().client_secret(secret()).token_cache(&cache).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    let counted = cache.counters();
    assert_eq!((counted.errors, counted.hits, counted.writes), (3, 0, 0), "one question, three times");
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    assert_eq!(store.asked.load(Ordering::SeqCst), 3, "after three failures it is not asked");
    assert_eq!(cache.counters().skipped, 5);
    // who comes when its pause is over has it tried, and does not wait for that: it is still ill
    world.advance(Duration::from_millis(51));
    client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    until(|| cache.counters().errors == 4).await;
    assert_eq!(store.asked.load(Ordering::SeqCst), 4, "by one question");
    // it comes back
    store.fails.store(false, Ordering::SeqCst);
    world.advance(Duration::from_millis(101));
    client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    until(|| testkit::logged().contains("the second token cache answers again")).await;
    assert_eq!(store.inner.len(), 0, "what was tried leaves nothing");
    client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    let counted = cache.counters();
    assert_eq!((counted.writes, counted.errors), (1, 4));
    assert_eq!(world.requests(), 5);
}

/// A connection that was lost is found to be so by who asks next, and that is no reason to go alone.
#[tokio::test]
async fn a_single_failure_is_asked_again() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    let client = || {
        let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
        (world.bare().client_secret(secret()).token_cache(&cache).build().unwrap(), cache)
    };
    client().0.acquire_token_for_client([TODO]).await.unwrap();
    let (second, cache) = client();
    store.fails_times.store(2, Ordering::SeqCst);
    let found = second.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((level(&found), cache.counters().errors, world.requests()), (CacheLevel::L2, 2, 1));
}

#[tokio::test]
async fn a_level_that_hangs_costs_its_deadline_only() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    store.hangs.store(true, Ordering::SeqCst);
    let cache = TokenCache::distributed(store.clone()).connect_deadline(Duration::ZERO).build();
    let client = world.bare().client_secret(secret()).clock(Arc::new(SystemClock)).token_cache(&cache).build().unwrap();
    let started = SystemClock.now();
    let calls = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token_for_client([TODO]).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let took = SystemClock.now().since(started);
    assert_eq!(cache.counters().timeouts, 3);
    // three deadlines and the request, on a machine that may be busy
    assert!(took < Duration::from_secs(3), "{took:?}");
    // and perhaps one behind everyone's back
    assert!(store.asked.load(Ordering::SeqCst) <= 4);
}

/// The first answer may take longer, since it takes a connection; when none comes, nobody waits for another.
#[tokio::test]
async fn a_level_that_cannot_be_connected_to_costs_one_wait() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    *store.holds.lock().unwrap() = Some("get");
    let slow = {
        let store = store.clone();
        tokio::spawn(async move {
            store.reached.notified().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            store.goes_on.notify_one();
        })
    };
    let cache = TokenCache::distributed(store.clone()).build();
    let client = world.bare().client_secret(secret()).clock(Arc::new(SystemClock)).token_cache(&cache).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    slow.await.unwrap();
    assert_eq!((cache.counters().timeouts, cache.counters().writes), (0, 1), "twenty deadlines late, and waited for");

    store.hangs.store(true, Ordering::SeqCst);
    let cache = TokenCache::distributed(store.clone()).connect_deadline(Duration::from_millis(500)).build();
    let client = world.bare().client_secret(secret()).clock(Arc::new(SystemClock)).token_cache(&cache).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(cache.counters().timeouts, 1);
}

/// A client and its memory, as another process would have them.
fn in_real_time(world: &World, store: &Arc<Ill>) -> (ConfidentialClient, TokenCache) {
    let cache = TokenCache::distributed(store.clone()).build();
    let client = world.bare().client_secret(secret()).clock(Arc::new(SystemClock)).token_cache(&cache);
    (client.build().unwrap(), cache)
}

/// When everyone asks at once a level is slow, and would be slower if they went alone.
#[tokio::test]
async fn a_level_that_a_crowd_makes_slow_is_waited_for() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    let (first, second) = (in_real_time(&world, &store), in_real_time(&world, &store));
    for (client, _) in [&first, &second] {
        client.acquire_token_for_client([GRAPH]).await.unwrap();
    }
    store.slow.store(60, Ordering::SeqCst);
    let before = world.requests();
    let calls = [&first, &second].map(|(client, _)| {
        (0..12).map(|i| {
            let client = client.clone();
            let key = format!("{i}");
            tokio::spawn(async move { client.acquire_token_for_client([TODO]).extra_query_parameter("key", key).await })
        })
    });
    for call in calls.into_iter().flatten().collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(world.requests() - before, 12, "{:?} {:?}", first.1, second.1);
}

/// Who waits for another process's token sleeps between two looks, also while the level is left alone.
#[tokio::test]
async fn who_waits_through_a_silence_of_the_level_sleeps() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    let (first, _) = in_real_time(&world, &store);
    let (second, cache) = in_real_time(&world, &store);
    world.entra.faults().latency(Duration::from_secs(1));
    let asks = tokio::spawn(async move { first.acquire_token_for_client([TODO]).await });
    while world.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waits = tokio::spawn(async move { second.acquire_token_for_client([TODO]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.fails.store(true, Ordering::SeqCst);
    waits.await.unwrap().unwrap();
    asks.await.unwrap().unwrap();
    let counted = cache.counters();
    assert!((1..100).contains(&counted.skipped), "{counted:?}");
}

#[tokio::test]
async fn garbage_is_as_good_as_nothing_and_is_replaced() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, _) = another(&world, &store);
    first.acquire_token_for_client([TODO]).await.unwrap();
    let garbage: [fn(&mut Vec<u8>); 4] =
        [|v| v.clear(), |v| v.truncate(40), |v| *v = b"apptoken\x02 of another version".to_vec(), |v| v[60] ^= 1];
    for (i, change) in garbage.into_iter().enumerate() {
        store.tamper(change);
        let (client, cache) = another(&world, &store);
        let token = client.acquire_token_for_client([TODO]).await.unwrap();
        assert_eq!((level(&token), world.requests()), (CacheLevel::None, i as u64 + 2));
        assert_eq!(
            (cache.counters().errors, cache.counters().writes),
            (2, 1),
            "seen twice, with and without the lease"
        );
        let (next, _) = another(&world, &store);
        assert_eq!(next.acquire_token_for_client([TODO]).await.unwrap().secret(), token.secret());
    }
}

#[tokio::test]
async fn clients_of_one_app_share_what_they_are_given_to_share() {
    let world = World::start().await;
    let cache = TokenCache::in_memory();
    let client = || world.bare().client_secret(secret()).token_cache(&cache).build().unwrap();
    let token = client().acquire_token_for_client([TODO]).await.unwrap();
    let again = client().acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((again.secret(), level(&again)), (token.secret(), CacheLevel::L1));
    // another app has its own tokens, whatever it shares
    let other = ConfidentialClient::builder("99999999-aaaa-2222-bbbb-3333cccc4444")
        .tenant(common::CONTOSO)
        .authority(world.entra.authority())
        .add_root_certificate_pem(world.entra.ca_pem())
        .client_secret(secret())
        .token_cache(&cache)
        .build()
        .unwrap();
    assert_eq!(other.acquire_token_for_client([TODO]).await.unwrap_err().kind(), ErrorKind::Denied);
    let alone = world.client();
    alone.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(world.requests(), 3);
}

#[tokio::test]
async fn a_newer_token_of_another_process_takes_the_place_of_the_one_in_memory() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let ((first, _), (second, _)) = (another(&world, &store), another(&world, &store));
    let old = first.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!(second.acquire_token_for_client([TODO]).await.unwrap().secret(), old.secret());
    world.advance(minutes(10));
    let new = first.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    assert_ne!(new.secret(), old.secret());
    // the second one asks nobody, its token is fresh, and yet it changes
    let mut hit = second.acquire_token_for_client([TODO]).await.unwrap();
    for _ in 0..2000 {
        if hit.secret() == new.secret() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        hit = second.acquire_token_for_client([TODO]).await.unwrap();
    }
    assert_eq!((hit.secret(), level(&hit), world.requests()), (new.secret(), CacheLevel::L1, 2));
    // one that ends sooner replaces none
    world.entra.faults().token_lifetime(Some(minutes(20)));
    let shorter = first.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_ne!(shorter.secret(), new.secret());
    assert_eq!(second.acquire_token_for_client([TODO]).await.unwrap().secret(), new.secret());
}

#[tokio::test]
async fn what_is_kept_is_sealed_with_the_credential_of_the_day() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let by_certificate = || {
        let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
        world.bare().certificate(certificate()).token_cache(&cache).build().unwrap()
    };
    let (client, cache) = another(&world, &store);
    let old = client.acquire_token_for_client([TODO]).await.unwrap();
    client.replace_credential(Credential::certificate(certificate())).unwrap();
    client.clear_tokens();
    let new = client.acquire_token_for_client([TODO]).await.unwrap();
    assert_ne!(new.secret(), old.secret(), "what the old one sealed is a miss");
    assert_eq!((cache.counters().errors, store.len(), world.requests()), (0, 2, 2), "and no error");
    let found = by_certificate().acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((found.secret(), level(&found)), (new.secret(), CacheLevel::L2));
}

#[tokio::test]
async fn a_tenants_capitals_are_no_other_key() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (first, second) = (another(&world, &store).0, another(&world, &store).0);
    first.acquire_token_for_client([TODO]).await.unwrap();
    let shouted = common::CONTOSO.to_uppercase();
    let found = second.acquire_token_for_client([TODO]).tenant(&shouted).await.unwrap();
    assert_eq!((level(&found), world.requests()), (CacheLevel::L2, 1));
}

/// The instance-metadata service, which counts.
impl Canned {
    fn identity(
        &self,
        builder: ManagedIdentityClientBuilder,
        cache: &TokenCache,
    ) -> Result<ManagedIdentityClient, Error> {
        let machine = Environment::from_iter([("X", "")]).root("/nowhere");
        builder.environment(machine).transport(Imds(self.count.clone())).token_cache(cache).build()
    }
}

struct Imds(Arc<AtomicU64>);

impl Transport for Imds {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let token = format!("{CANARY}-token-{count}");
        let body = json!({ "access_token": token, "expires_in": "3599", "token_type": "Bearer", "resource": VAULT });
        let response = http::Response::builder().header("content-type", "application/json");
        Ok(response.body(body.to_string().into()).unwrap())
    }
}

#[tokio::test]
async fn a_managed_identitys_tokens_are_kept_when_a_key_is_given() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    let machine = Canned::default();
    let key = EncryptionKey::from_bytes(format!("{CANARY} 32 bytes of key, or some more").as_bytes()).unwrap();
    let folder = || TokenCache::encrypted_folder(place.path().join("tokens"));
    let user = || ManagedIdentityClient::user_assigned(UserAssignedId::Client(CLIENT.to_owned()));
    machine.identity(user(), &folder().build()).unwrap().acquire_token(VAULT).await.unwrap();
    assert!(!place.path().join("tokens").exists(), "no key, nothing on disk");
    for expected in [CacheLevel::None, CacheLevel::L2] {
        let client = machine.identity(user(), &folder().encryption_key(key.clone()).build()).unwrap();
        assert_eq!(level(&client.acquire_token(VAULT).await.unwrap()), expected);
    }
    let system =
        machine.identity(ManagedIdentityClient::system_assigned(), &folder().encryption_key(key.clone()).build());
    assert_eq!(level(&system.unwrap().acquire_token(VAULT).await.unwrap()), CacheLevel::None, "another identity");

    let store = Arc::new(InMemoryCache::new());
    let fleet = || TokenCache::distributed(store.clone());
    let refused = machine.identity(user(), &fleet().build()).unwrap_err();
    assert!(refused.advice().unwrap().contains("encryption_key"), "{refused}");
    // each machine has its own under that name
    let system = |cache: TokenCacheBuilder| {
        let cache = cache.encryption_key(key.clone()).build();
        machine.identity(ManagedIdentityClient::system_assigned(), &cache)
    };
    let refused = system(fleet()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(refused.advice().unwrap().contains("partition"), "{refused}");
    system(fleet().partition("the web app's")).unwrap().acquire_token(VAULT).await.unwrap();
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn tokens_are_removed_from_all_levels() {
    let world = World::start().await;
    let store = Arc::new(InMemoryCache::with_clock(world.clock.clone()));
    let (client, _) = another(&world, &store);
    let source = client.token_source(TODO).unwrap();
    source.token().await.unwrap();
    client.acquire_token_for_client([GRAPH]).await.unwrap();
    assert_eq!(store.len(), 2);
    assert!(client.remove_tokens_for_client().await);
    assert_eq!(store.len(), 0);
    assert_eq!(level(&source.token().await.unwrap()), CacheLevel::None);
    assert_eq!(world.requests(), 3);
}

#[tokio::test]
async fn what_is_in_flight_when_tokens_are_removed_is_not_put_back() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
    let client = world.bare().client_secret(secret()).token_cache(&cache).build().unwrap();
    // while the authority is asked
    let (token, told) = tokio::join!(client.acquire_token_for_client([TODO]), client.remove_tokens_for_client());
    assert_eq!((level(&token.unwrap()), told, store.inner.len()), (CacheLevel::None, true, 0));
    // while the level is told
    *store.holds.lock().unwrap() = Some("set");
    let removed = async {
        store.reached.notified().await;
        let told = client.remove_tokens_for_client().await;
        store.goes_on.notify_one();
        told
    };
    let (token, told) = tokio::join!(client.acquire_token_for_client([TODO]), removed);
    assert_eq!((level(&token.unwrap()), told, store.inner.len()), (CacheLevel::None, true, 0));
    assert_eq!(client.cached_tokens(), 0);
    client.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((store.inner.len(), world.requests()), (1, 3), "later ones are kept again");
}

#[tokio::test]
async fn who_wants_a_new_token_is_not_served_by_anothers_look_into_the_level() {
    let world = World::start().await;
    let store = Arc::new(Ill::default());
    let client = || {
        let cache = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
        world.bare().client_secret(secret()).token_cache(&cache).build().unwrap()
    };
    let old = client().acquire_token_for_client([TODO]).await.unwrap();
    let second = client();
    *store.holds.lock().unwrap() = Some("get");
    let go = async {
        store.reached.notified().await;
        store.goes_on.notify_one();
    };
    let plain = second.acquire_token_for_client([TODO]).into_future();
    let forced = second.acquire_token_for_client([TODO]).force_refresh(true).into_future();
    let (plain, forced, ()) = tokio::join!(plain, forced, go);
    assert_eq!((plain.unwrap().secret(), world.requests()), (old.secret(), 2));
    assert_ne!(forced.unwrap().secret(), old.secret());

    // nor is one whose token was turned down, by what another process kept
    let third = client();
    let kept = third.acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((level(&kept), world.requests()), (CacheLevel::L2, 2));
    let fourth = client();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, kept.secret().as_bytes());
    let hash = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let better = fourth.acquire_token_for_client([TODO]).refresh_if_token_sha256(hash).await.unwrap();
    assert_ne!(better.secret(), kept.secret());
    assert_eq!(world.requests(), 3);
}

#[tokio::test]
async fn a_kept_token_that_serves_in_spite_of_an_error_keeps_nobody_asking() {
    testkit::init();
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(InMemoryCache::with_clock(clock.clone()));
    let authority = Canned::default();
    let client = |authority: &Canned| {
        let cache = TokenCache::distributed(store.clone()).build();
        let client = ConfidentialClient::builder(CLIENT).tenant(TENANT).client_secret(secret()).clock(clock.clone());
        client.transport(authority.clone()).token_cache(&cache).build().unwrap()
    };
    let token = client(&authority).acquire_token_for_client([VAULT]).await.unwrap();
    clock.advance(minutes(57));
    let refusing = Canned { refuses: true, ..Canned::default() };
    let second = client(&refusing);
    // nothing takes time here, the clock stands still, and no wait of a caller's can end: each call asks, or does not
    for _ in 0..4 {
        let again = second.acquire_token_for_client([VAULT]).await.unwrap();
        assert_eq!((again.secret(), again.metadata().stale), (token.secret(), true));
        assert_eq!(refusing.asked(), 1, "the authority gets a pause");
    }
    clock.advance(Duration::from_secs(31));
    second.acquire_token_for_client([VAULT]).await.unwrap();
    assert_eq!(refusing.asked(), 2, "and is asked again after it");
}

#[tokio::test]
async fn an_encrypted_folder_is_of_use_to_the_same_app_only() {
    let world = World::start().await;
    let place = tempfile::tempdir().unwrap();
    let folder = || TokenCache::folder(CacheFolder::with_clock(place.path().join("tokens"), world.clock.clone()));
    let client = |cache: &TokenCache| world.bare().client_secret(secret()).token_cache(cache).build().unwrap();
    let token = client(&folder().build()).acquire_token_for_client([TODO]).await.unwrap();
    let cache = folder().build();
    let again = client(&cache).acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((again.secret(), level(&again)), (token.secret(), CacheLevel::L2));
    assert_eq!((world.requests(), cache.counters().errors), (1, 0));
    // a certificate of the same app has a key of its own
    let by_certificate = || world.bare().certificate(certificate()).token_cache(&folder().build()).build().unwrap();
    by_certificate().acquire_token_for_client([TODO]).await.unwrap();
    let second = by_certificate().acquire_token_for_client([TODO]).await.unwrap();
    assert_eq!((level(&second), world.requests()), (CacheLevel::L2, 2));
    // what can be seen
    let files = CacheFolder::new(place.path().join("tokens"));
    let entries = files.entries().unwrap();
    assert_eq!(entries.len(), 2);
    let one = &entries[0];
    assert_eq!((&*one.client_id, &*one.tenant, &*one.scope), (common::DAEMON, common::CONTOSO, TODO));
    assert_eq!(one.authority, format!("{}/{}", world.entra.authority(), common::CONTOSO));
    for entry in std::fs::read_dir(files.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains("eyJ"), "in the clear");
    }
    testkit::witness(&files);
}

#[tokio::test]
async fn a_credential_without_a_secret_keeps_nothing_unless_a_key_is_given() {
    let world = World::start().await;
    let place = tempfile::tempdir().unwrap();
    let assertion = |cache: &TokenCache| {
        let transport = Canned::default();
        let client = ConfidentialClient::builder(CLIENT).tenant(TENANT).transport(transport);
        client
            .client_assertion(|_| async { Ok::<_, std::io::Error>(format!("{CANARY}-assertion")) })
            .token_cache(cache)
            .build()
    };
    let folder = || TokenCache::encrypted_folder(place.path().join("tokens"));
    assertion(&folder().build()).unwrap().acquire_token_for_client([VAULT]).await.unwrap();
    assert!(!place.path().join("tokens").exists());
    let key = EncryptionKey::from_bytes(format!("{CANARY} 32 bytes of key, or some more").as_bytes()).unwrap();
    for source in [CacheLevel::None, CacheLevel::L2] {
        let cache = folder().encryption_key(key.clone()).build();
        let token = assertion(&cache).unwrap().acquire_token_for_client([VAULT]).await.unwrap();
        assert_eq!(level(&token), source);
    }
    let elsewhere = folder().encryption_key(key).partition("elsewhere").build();
    let token = assertion(&elsewhere).unwrap().acquire_token_for_client([VAULT]).await.unwrap();
    assert_eq!(level(&token), CacheLevel::None);
    // a store of a fleet says so at once
    let refused = assertion(&TokenCache::distributed(InMemoryCache::new()).build()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    assert!(refused.advice().unwrap().contains("encryption_key"), "{refused}");
    drop(world);
}

/// Clients that differ in one thing share no token, in memory or in a store, with the same key for all.
#[tokio::test]
async fn whatever_tells_tokens_apart_is_in_the_key() {
    testkit::init();
    let store = Arc::new(InMemoryCache::new());
    let first = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
    let sharing = [TokenCache::in_memory(), first];
    for (place, cache) in sharing.iter().enumerate() {
        let authority = Canned::default();
        let other_client = CLIENT.replace('a', "b");
        let other_tenant = TENANT.replace('1', "9");
        let clients = [
            (CLIENT, TENANT, "login.microsoftonline.com", None, None, None),
            (CLIENT, &*other_tenant, "login.microsoftonline.com", None, None, None),
            (&*other_client, TENANT, "login.microsoftonline.com", None, None, None),
            (CLIENT, TENANT, "login.microsoftonline.us", None, None, None),
            (CLIENT, TENANT, "login.microsoftonline.com", Some("cp1"), None, None),
            (CLIENT, TENANT, "login.microsoftonline.com", None, Some("1"), None),
            (CLIENT, TENANT, "login.microsoftonline.com", None, Some("2"), None),
            (CLIENT, TENANT, "login.microsoftonline.com", None, None, Some("part")),
        ];
        // the second time, by another process where there is a store
        for found in [false, true] {
            let another = TokenCache::distributed(store.clone()).deadline(Duration::from_secs(5)).build();
            let cache = if found && place == 1 { &another } else { cache };
            for (number, (client, tenant, host, capability, slice, part)) in (1..).zip(clients) {
                let client = ConfidentialClient::builder(client).authority(format!("https://{host}/{tenant}"));
                let client = client.client_capabilities(capability).client_secret(secret()).token_cache(cache);
                let client =
                    if let Some(slice) = slice { client.extra_query_parameter("slice", slice) } else { client };
                let client = client.transport(authority.clone()).build().unwrap();
                let call = client.acquire_token_for_client([VAULT]);
                let call = if let Some(part) = part { call.fmi_path(part) } else { call };
                let token = call.await.unwrap();
                assert_eq!(token.secret(), format!("{CANARY}-token-{number}"), "{place} {found} {client:?}");
            }
            assert_eq!(authority.asked(), 8, "{place} {found}");
        }
    }
}
