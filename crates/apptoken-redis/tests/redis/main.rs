//! Against real servers of Debian's package `redis-server`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod faults;
mod fleet;
mod kinds;
mod processes;
mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::cache::distributed::{ChangeListener, DistributedCache as _, Stored, conformance};
use apptoken_redis::RedisCache;
use fleet::Fleet;
use processes::Run;
use server::Server;
use testkit::CANARY;

#[tokio::test]
async fn a_server_is_a_distributed_cache() {
    testkit::init();
    let server = Server::start(&[]).await;
    let cache = || RedisCache::server(&server.url()).build().unwrap();
    conformance::check(&cache()).await;
    conformance::check_changes(&cache(), &cache()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cold_fleet_asks_once_for_each_key() {
    let (fleet, server) = (Fleet::start().await, Server::start(&[]).await);
    let processes = fleet.patient(8, || RedisCache::server(&server.url()).build().unwrap());
    let seen = fleet.all_ask(&processes, 0..50).await;
    assert_eq!((seen.errors, seen.requests), (0, 50), "{seen:?}");
    // each of them keeps it, and one that comes later has it from Redis
    let late = fleet.patient(1, || RedisCache::server(&server.url()).build().unwrap());
    let seen = fleet.all_ask(&late, 0..50).await;
    assert_eq!((seen.errors, seen.requests, late[0].cache.counters().hits), (0, 0, 50), "{seen:?}");
    // nothing of them can be read there, and everything ends by itself
    for key in server.cli(&["KEYS", "*"]).lines() {
        assert!(key.starts_with("apptoken:1:{") && !key.contains("api-") && !key.contains("contoso"), "{key}");
        let kept = server.cli(&["GET", key]);
        assert!(!kept.contains("eyJ") && !kept.contains("api-") && !kept.contains(CANARY), "{key}");
        assert!(server.cli(&["PTTL", key]).parse::<i64>().unwrap() > 0, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cold_fleet_of_processes_asks_once_for_each_key() {
    let seen = Run { processes: 8, keys: 50, deadline: BUSY }.calm().await;
    assert!(seen.requests == 50 && seen.errors == 0, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_dies_and_comes_back_is_no_error_to_a_fleet_of_processes() {
    let [during, after] = Run { processes: 8, keys: 100, deadline: BUSY }.with_a_restart().await;
    // while it is away each asks for itself, and never for what it has
    assert!((100..=800).contains(&during.requests) && during.errors == 0, "{during:?}");
    assert!(after.requests == 100 && after.errors == 0, "one fleet again: {after:?}");
}

/// One process of a fleet, which the two tests above start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child process of another test"]
async fn one_of_a_fleet() {
    processes::serve().await;
}

#[tokio::test]
async fn fences_go_on_rising_when_everything_was_lost() {
    testkit::init();
    let server = Server::start(&[]).await;
    let cache = RedisCache::server(&server.url()).build().unwrap();
    let minute = Duration::from_secs(60);
    let paused = cache.try_lease("k", minute).await.unwrap().unwrap();
    server.cli(&["FLUSHALL"]);
    let second = cache.try_lease("k", minute).await.unwrap().unwrap();
    assert!(second.fence > paused.fence);
    assert_eq!(cache.set("k", b"new", minute, Some(second.fence)).await.unwrap(), Stored::Stored);
    assert_eq!(cache.set("k", b"old", minute, Some(paused.fence)).await.unwrap(), Stored::Outdated);
    assert_eq!(cache.get("k").await.unwrap().as_deref(), Some(&b"new"[..]));
}

/// Redis may throw keys away when its memory is full: the value itself says how old it is.
#[tokio::test]
async fn a_paused_holder_overwrites_nothing_newer_though_the_last_fence_was_lost() {
    testkit::init();
    let server = Server::start(&[]).await;
    let cache = RedisCache::server(&server.url()).build().unwrap();
    let minute = Duration::from_secs(60);
    let paused = cache.try_lease("k", minute).await.unwrap().unwrap();
    cache.release("k", paused).await.unwrap();
    let second = cache.try_lease("k", minute).await.unwrap().unwrap();
    assert_eq!(cache.set("k", b"new", minute, Some(second.fence)).await.unwrap(), Stored::Stored);
    assert_eq!(server.cli(&["DEL", "apptoken:1:{k}:f", "apptoken:1:{k}:l"]), "2");
    assert_eq!(cache.set("k", b"old", minute, Some(paused.fence)).await.unwrap(), Stored::Outdated);
    assert_eq!(cache.get("k").await.unwrap().as_deref(), Some(&b"new"[..]));
    let third = cache.try_lease("k", minute).await.unwrap().unwrap();
    assert!(third.fence > second.fence);
}

#[tokio::test]
async fn a_token_in_anothers_place_does_not_open() {
    testkit::init();
    let (fleet, server) = (Fleet::with_keys(2).await, Server::start(&[]).await);
    let process = || fleet.patient(1, || RedisCache::server(&server.url()).build().unwrap());
    fleet.all_ask(&process(), 0..2).await;
    let keys = server.cli(&["KEYS", "*:v"]);
    let [one, other] = keys.lines().collect::<Vec<_>>()[..] else { panic!("{keys}") };
    assert_eq!(server.cli(&["COPY", one, other, "REPLACE"]), "1");
    let late = process();
    let seen = fleet.all_ask(&late, 0..2).await;
    let counted = late[0].cache.counters();
    assert_eq!((seen.requests, seen.errors, counted.hits), (1, 0, 1), "{counted:?}");
    assert!(counted.errors > 0, "told: {counted:?}");
}

#[tokio::test]
async fn what_one_puts_the_others_are_told_of_after_a_restart_too() {
    testkit::init();
    let mut server = Server::start(&[]).await;
    let cache = || RedisCache::server(&server.url()).build().unwrap();
    let (writer, reader) = (cache(), cache());
    let told = Arc::new(Mutex::new(Vec::new()));
    reader.notify(listener(&told));
    until(&told, None).await;
    writer.set("one", b"value", Duration::from_secs(9), None).await.unwrap();
    until(&told, Some("one")).await;
    server.kill();
    told.lock().unwrap().clear();
    server.restart().await;
    until(&told, None).await;
    let mut put = writer.set("two", b"value", Duration::from_secs(9), None).await;
    if put.is_err() {
        // the first one finds that the connection is lost
        put = writer.set("two", b"value", Duration::from_secs(9), None).await;
    }
    put.unwrap();
    until(&told, Some("two")).await;
}

#[test]
fn settings_that_cannot_be_are_refused_and_keep_their_secrets() {
    testkit::init();
    let secret = format!("{CANARY}-password");
    let with_password = format!("redis://user:{secret}@127.0.0.1:6379");
    testkit::witness(&RedisCache::server(&with_password));
    testkit::witness(&RedisCache::server(&with_password).build().unwrap());
    for wrong in [
        RedisCache::server(&format!("http://user:{secret}@127.0.0.1")),
        RedisCache::server("redis://127.0.0.1").prefix("a{b}"),
        RedisCache::server("redis://127.0.0.1").add_root_certificate_pem(b"none"),
        RedisCache::server("rediss://127.0.0.1").add_root_certificate_pem(b"none"),
        RedisCache::cluster([]),
    ] {
        testkit::witness(&wrong);
        let error = wrong.build().unwrap_err();
        assert_eq!(error.kind(), apptoken::ErrorKind::Configuration);
        testkit::witness_error(&error);
    }
}

/// This machine may be busy: what is slow here for no reason of Redis's is not to be part of the figures.
const BUSY: Option<Duration> = Some(Duration::from_secs(2));

fn listener(told: &Arc<Mutex<Vec<Option<String>>>>) -> ChangeListener {
    let told = told.clone();
    ChangeListener::new(move |key| told.lock().unwrap().push(key.map(str::to_owned)))
}

async fn until(told: &Mutex<Vec<Option<String>>>, key: Option<&str>) {
    for _ in 0..1000 {
        if told.lock().unwrap().iter().any(|told| told.as_deref() == key) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nobody was told of {key:?}: {:?}", told.lock().unwrap());
}
