//! The cache file that all MSALs share: what others wrote is used, what is theirs stays, and writers take turns.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use apptoken::cache::{MsalCacheFile, MsalProfile, TokenCache};
use apptoken::clock::{Clock, SystemClock};
use apptoken::http::{Request, Response, Transport, TransportError, TransportErrorKind};
use apptoken::{CacheLevel, ConfidentialClient, ConfidentialClientBuilder, ErrorKind};
use common::canned::Canned;
use common::{secret, until};
use serde_json::{Value, json};
use testkit::CANARY;

const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const VAULT: &str = "https://vault.azure.net/.default";

/// No authority at all.
struct Nobody;

impl Transport for Nobody {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        Err(TransportError::new(TransportErrorKind::Setup, "nobody is to be asked"))
    }
}

fn in_the_public_cloud(file: MsalCacheFile) -> ConfidentialClientBuilder {
    let cache = TokenCache::msal_file(file).build();
    ConfidentialClient::builder(CLIENT).tenant(TENANT).client_secret(secret()).token_cache(&cache)
}

/// A file with a token as the MSAL of this name writes it, good for half an hour.
fn written_by(msal: &str, path: &Path) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/msal_cache").join(format!("{msal}.json"));
    let mut file: Value = serde_json::from_slice(&std::fs::read(sample).unwrap()).unwrap();
    let now = SystemClock.system_time().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for row in file["AccessToken"].as_object_mut().unwrap().values_mut() {
        row["expires_on"] = (now + 1800).to_string().into();
        row["cached_at"] = (now - 1799).to_string().into();
        row.as_object_mut().unwrap().remove("refresh_on");
        let plain = row["secret"].as_str().unwrap().to_owned();
        row["secret"] = format!("{CANARY}-{plain}").into();
    }
    std::fs::write(path, file.to_string()).unwrap();
}

#[tokio::test]
async fn a_token_that_another_msal_got_is_used() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    for msal in ["python", "node", "go", "java", "dotnet"] {
        let path = place.path().join(msal);
        written_by(msal, &path);
        let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(Nobody).build().unwrap();
        let token = client.acquire_token_for_client([VAULT]).await.unwrap();
        assert_eq!(token.secret(), format!("{CANARY}-PLAIN-{msal}"));
        assert_eq!(token.metadata().cache_level, CacheLevel::L2);
        testkit::witness(&token);
    }
}

#[tokio::test]
async fn a_token_is_put_into_the_file_and_everything_else_stays() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    let strange =
        json!({ "RefreshToken": { "u": { "secret": "R" } }, "Future": [1], "AccessToken": { "x": { "y": null } } });
    std::fs::write(&path, strange.to_string()).unwrap();
    let authority = Canned::default();
    for profile in [MsalProfile::All, MsalProfile::Python] {
        let client = in_the_public_cloud(MsalCacheFile::new(&path).profile(profile)).transport(authority.clone());
        client.build().unwrap().acquire_token_for_client([VAULT]).await.unwrap();
    }
    assert_eq!(authority.asked(), 1);
    let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!((&now["RefreshToken"], &now["Future"]), (&strange["RefreshToken"], &strange["Future"]));
    assert_eq!(now["AccessToken"]["x"], json!({ "y": null }));
    assert_eq!(now["AccessToken"].as_object().unwrap().len(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(authority.clone()).build().unwrap();
    client.acquire_token_for_client([VAULT]).await.unwrap();
    assert!(client.remove_tokens_for_client().await);
    let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(now["AccessToken"], json!({ "x": { "y": null } }));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "no lock, no half-written file");
}

#[tokio::test]
async fn a_broken_file_is_set_aside_and_told() {
    testkit::init();
    for broken in ["{\"AccessToken\": {\"a\"", "not JSON", "[]", "{}}"] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("cache.json");
        std::fs::write(&path, broken).unwrap();
        let authority = Canned::default();
        let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(authority.clone()).build().unwrap();
        client.acquire_token_for_client([VAULT]).await.unwrap();
        let names = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let aside = names.iter().find(|name| name.to_string_lossy().contains(".corrupt-")).unwrap();
        assert_eq!(std::fs::read_to_string(aside).unwrap(), broken);
        assert!(testkit::logged().contains(&format!("aside={}", aside.display())), "told");
        // and the cache goes on
        let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(Nobody).build().unwrap();
        client.acquire_token_for_client([VAULT]).await.unwrap();
    }
    // one that is too long is not for us, and stays
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    std::fs::write(&path, "not JSON, and long").unwrap();
    let file = MsalCacheFile::new(&path).max_bytes(8);
    let client = in_the_public_cloud(file).transport(Canned::default()).build().unwrap();
    client.acquire_token_for_client([VAULT]).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not JSON, and long");
}

/// As MSAL Python holds it: a file that exists, and is locked.
fn held(path: &Path) -> (std::fs::File, impl FnOnce()) {
    let lock = path.with_extension("json.lockfile");
    let file = std::fs::File::create_new(&lock).unwrap();
    file.lock().unwrap();
    (file, move || std::fs::remove_file(lock).unwrap())
}

#[tokio::test]
async fn what_another_wrote_under_its_lock_is_read_before_the_file_is_replaced() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    let authority = Canned::default();
    let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(authority.clone()).build().unwrap();
    client.acquire_token_for_client(["api://one/.default"]).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let (lock, give_back) = held(&path);
    let waiting = tokio::spawn(async move { client.acquire_token_for_client(["api://two/.default"]).await });
    until(|| authority.asked() == 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(std::fs::read(&path).unwrap(), before, "the lock is another's");
    // it puts its own, and takes ours out
    let theirs = json!({ "Account": { "u": { "name": "theirs" } }, "AccessToken": {} });
    std::fs::write(&path, theirs.to_string()).unwrap();
    give_back();
    drop(lock);
    waiting.await.unwrap().unwrap();
    let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(now["Account"], theirs["Account"]);
    let rows = now["AccessToken"].as_object().unwrap();
    assert!(!rows.is_empty() && rows.values().all(|row| row["target"] == "api://two/.default"), "{:?}", rows.keys());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "no lock stays behind");
}

/// Other MSALs write in place.
#[tokio::test]
async fn a_file_that_is_half_written_is_read_when_its_writer_is_done() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    written_by("python", &path);
    let whole = std::fs::read(&path).unwrap();
    for half in [&whole[..whole.len() / 2], b""] {
        let (lock, give_back) = held(&path);
        std::fs::write(&path, half).unwrap();
        let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(Nobody).build().unwrap();
        let waiting = tokio::spawn(async move { client.acquire_token_for_client([VAULT]).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        std::fs::write(&path, &whole).unwrap();
        give_back();
        drop(lock);
        assert_eq!(waiting.await.unwrap().unwrap().secret(), format!("{CANARY}-PLAIN-python"));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing is set aside");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_one_file_lose_nothing_of_each_other() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    let writers = (0..8).map(|writer| {
        let path = path.clone();
        tokio::spawn(async move {
            let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(Canned::default()).build().unwrap();
            for i in 0..10 {
                client.acquire_token_for_client([format!("api://{writer}-{i}/.default")]).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(Nobody).build().unwrap();
    for (writer, i) in (0..8).flat_map(|writer| (0..10).map(move |i| (writer, i))) {
        client.acquire_token_for_client([format!("api://{writer}-{i}/.default")]).await.unwrap();
    }
}

#[tokio::test]
async fn a_tenant_of_no_msal_has_no_place_in_their_file() {
    testkit::init();
    let cache = TokenCache::msal_file(MsalCacheFile::new("never made")).build();
    let client = ConfidentialClient::builder(CLIENT).authority("https://adfs.contoso.com/adfs").client_secret(secret());
    let refused = client.token_cache(&cache).build().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Configuration);
    testkit::witness_error(&refused);
}

/// The other end of [`a_writer_that_is_killed_leaves_a_whole_file`]: writes until it is killed.
#[tokio::test]
#[ignore = "a child process of another test"]
async fn child_that_writes_without_end() {
    let Some(path) = std::env::var_os("APPTOKEN_TEST_CACHE_FILE") else { return };
    let client = in_the_public_cloud(MsalCacheFile::new(path)).transport(Canned::default()).build().unwrap();
    loop {
        for i in 0..50 {
            let scope = format!("api://{i}/.default");
            client.acquire_token_for_client([scope]).force_refresh(true).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_a_whole_file() {
    testkit::init();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    let theirs = json!({ "Account": { "u": { "name": "theirs" } } });
    std::fs::write(&path, theirs.to_string()).unwrap();
    let mut rows = 0;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_that_writes_without_end"])
            .env("APPTOKEN_TEST_CACHE_FILE", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        // until it is at work, and then some
        for _ in 0..2000 {
            if std::fs::metadata(&path).is_ok_and(|now| now.modified().unwrap() != before) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_micros(round * 777)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let left: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(left["Account"], theirs["Account"]);
        let now = left["AccessToken"].as_object().unwrap().len();
        assert!(now >= rows, "{now} rows, {rows} before");
        rows = now;
    }
    assert!(rows >= 2, "they wrote");
    // what the dead hold, the living need not wait for
    let started = SystemClock.now();
    let client = in_the_public_cloud(MsalCacheFile::new(&path)).transport(Canned::default()).build().unwrap();
    client.acquire_token_for_client([VAULT]).await.unwrap();
    // but five seconds for a lock whose maker was killed before it could sign it
    assert!(SystemClock.now().since(started) < Duration::from_secs(8));
    let names = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.collect::<Vec<_>>().iter().any(|name| name.contains("corrupt")), "nothing was set aside");
}

#[test]
fn whether_a_file_can_be_used_is_told_and_leaves_no_trace() {
    let place = tempfile::tempdir().unwrap();
    let (folder, file) = (place.path().join("a"), place.path().join("a/msal.json"));
    MsalCacheFile::new(&file).check().unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    std::fs::write(&file, "{}").unwrap();
    MsalCacheFile::new(&file).check().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
    for bad in [folder, file.join("below")] {
        MsalCacheFile::new(&bad).check().unwrap_err();
    }
}
