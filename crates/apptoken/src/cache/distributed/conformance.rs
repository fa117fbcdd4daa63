//! What every [`DistributedCache`] must do, as checks for its author's tests.
//!
//! ```
//! # use apptoken::cache::distributed::{InMemoryCache, conformance};
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! conformance::check(&InMemoryCache::new()).await;
//! # });
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::{ChangeListener, DistributedCache, Lease, Stored};

/// Runs all checks, under keys of their own: the store may hold other things, and be used meanwhile. Takes about three
/// seconds, because the shortest time to live that all stores know is one of them.
///
/// # Panics
/// At the first thing that is not as [`DistributedCache`] says, with what it is.
pub async fn check(cache: &impl DistributedCache) {
    values_are_kept_replaced_and_removed(cache).await;
    values_are_bytes(cache).await;
    values_and_leases_end_by_their_time(cache).await;
    one_lease_at_a_time(cache).await;
    a_paused_holder_overwrites_nothing(cache).await;
    keys_do_not_touch_each_other(cache).await;
}

/// Checks two caches over one store that [tells of changes](DistributedCache::notify): what `writer` puts, `reader`
/// hears of, within five seconds of listening.
///
/// # Panics
/// It is not told, or not of the right key.
pub async fn check_changes(writer: &impl DistributedCache, reader: &impl DistributedCache) {
    let (key, other) = (self::key(), self::key());
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    reader.notify(ChangeListener::new(move |key| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(key.map(str::to_owned));
    }));
    let is_told = || told.lock().unwrap_or_else(PoisonError::into_inner).contains(&Some(key.clone()));
    for _ in 0..100 {
        set(writer, &key, b"value", None).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if is_told() {
            break;
        }
    }
    assert!(is_told(), "a value that is put is told of");
    let heard = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(!heard.contains(&Some(other)), "a value that was not put is not");
    writer.remove(&key).await.expect("remove");
}

async fn values_are_kept_replaced_and_removed(cache: &impl DistributedCache) {
    let key = key();
    assert_eq!(get(cache, &key).await, None, "an unknown key has no value");
    assert_eq!(set(cache, &key, b"one", None).await, Stored::Stored);
    assert_eq!(get(cache, &key).await.as_deref(), Some(&b"one"[..]), "a value is kept");
    assert_eq!(set(cache, &key, b"two", None).await, Stored::Stored);
    assert_eq!(get(cache, &key).await.as_deref(), Some(&b"two"[..]), "a value is replaced");
    cache.remove(&key).await.expect("remove");
    assert_eq!(get(cache, &key).await, None, "a removed value is gone");
    cache.remove(&key).await.expect("removing what is not there is no error");
}

async fn values_are_bytes(cache: &impl DistributedCache) {
    let key = key();
    let all = (0..=255).cycle().take(64 * 1024).collect::<Vec<u8>>();
    for value in [&all[..], b"", b"\0", b"\xff\xfe", "é\r\n".as_bytes()] {
        set(cache, &key, value, None).await;
        let kept = get(cache, &key).await;
        assert!(kept.as_deref() == Some(value), "{} bytes come back as they were put", value.len());
    }
    cache.remove(&key).await.expect("remove");
}

async fn values_and_leases_end_by_their_time(cache: &impl DistributedCache) {
    let key = key();
    let second = Duration::from_secs(1);
    cache.set(&key, b"short", second, None).await.expect("set");
    let first = cache.try_lease(&key, second).await.expect("try_lease").expect("nobody has a lease");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(get(cache, &key).await, None, "a value ends by its time");
    let second = lease(cache, &key).await.expect("a lease ends by its time, whether or not its holder lives");
    assert!(second.fence > first.fence, "a later lease has a higher fence, after its value's end too");
    cache.release(&key, first).await.expect("releasing a lease that has ended is no error");
    assert_eq!(lease(cache, &key).await, None, "and it does not end another's");
    cache.release(&key, second).await.expect("release");
    let late = set(cache, &key, b"late", Some(first.fence)).await;
    assert_eq!(late, Stored::Outdated, "a later lease was given, though it has ended and no value was put");
    assert_eq!(get(cache, &key).await, None);
    cache.remove(&key).await.expect("remove");
}

async fn one_lease_at_a_time(cache: &impl DistributedCache) {
    let key = key();
    let first = lease(cache, &key).await.expect("the first one gets the lease");
    assert_eq!(lease(cache, &key).await, None, "the second one does not");
    assert_eq!(set(cache, &key, b"one", Some(first.fence)).await, Stored::Stored, "its holder may write");
    assert_eq!(lease(cache, &key).await, None, "writing does not end it");
    cache.release(&key, first).await.expect("release");
    let second = lease(cache, &key).await.expect("after its release another gets it");
    assert!(second.fence > first.fence, "with a higher fence");
    cache.release(&key, second).await.expect("release");
    cache.remove(&key).await.expect("remove");
}

async fn a_paused_holder_overwrites_nothing(cache: &impl DistributedCache) {
    let key = key();
    let first = lease(cache, &key).await.expect("the first lease");
    cache.release(&key, first).await.expect("release");
    let second = lease(cache, &key).await.expect("the second lease");
    assert_eq!(set(cache, &key, b"old", Some(first.fence)).await, Stored::Outdated, "a later lease was given");
    assert_eq!(set(cache, &key, b"new", Some(second.fence)).await, Stored::Stored);
    assert_eq!(set(cache, &key, b"old", Some(first.fence)).await, Stored::Outdated, "a later value was put");
    assert_eq!(get(cache, &key).await.as_deref(), Some(&b"new"[..]));
    cache.release(&key, second).await.expect("release");

    let third = lease(cache, &key).await.expect("the third lease");
    assert_eq!(set(cache, &key, b"without", None).await, Stored::Stored, "who has no lease is served");
    assert_eq!(set(cache, &key, b"old", Some(third.fence)).await, Stored::Outdated, "and outdates the lease");
    assert_eq!(get(cache, &key).await.as_deref(), Some(&b"without"[..]));
    cache.release(&key, third).await.expect("release");
    cache.remove(&key).await.expect("remove");
}

async fn keys_do_not_touch_each_other(cache: &impl DistributedCache) {
    let (one, other) = (key(), key());
    set(cache, &one, b"one", None).await;
    let lease_of_one = lease(cache, &one).await.expect("a lease");
    let lease_of_other = lease(cache, &other).await.expect("another key has its own lease");
    assert_eq!(get(cache, &other).await, None, "and its own value");
    cache.release(&one, lease_of_one).await.expect("release");
    assert_eq!(lease(cache, &other).await, None, "which another key's release does not end");
    cache.release(&other, lease_of_other).await.expect("release");
    cache.remove(&one).await.expect("remove");
}

async fn get(cache: &impl DistributedCache, key: &str) -> Option<Vec<u8>> {
    cache.get(key).await.expect("get")
}

async fn set(cache: &impl DistributedCache, key: &str, value: &[u8], fence: Option<u64>) -> Stored {
    cache.set(key, value, MINUTE, fence).await.expect("set")
}

async fn lease(cache: &impl DistributedCache, key: &str) -> Option<Lease> {
    cache.try_lease(key, MINUTE).await.expect("try_lease")
}

fn key() -> String {
    format!("apptoken-test-{}", Uuid::new_v4().simple())
}

const MINUTE: Duration = Duration::from_secs(60);
