//! Any bytes as the cache file of the MSALs: a token is had either way and kept in the file, and a file that can be read
//! keeps what is others'; one that cannot is set aside as it was.
#![no_main]

use std::fs;
use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::LazyLock;

use apptoken::cache::{MsalCacheFile, TokenCache};
use apptoken_fuzz::{Authority, GOOD, GRAPH, client, run};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|content: &[u8]| {
    let _ = fs::remove_dir_all(&*FOLDER);
    fs::create_dir_all(&*FOLDER).expect("a place for files");
    let path = FOLDER.join("cache.json");
    fs::write(&path, content).expect("a file");

    let first = token(&path);
    let written = fs::read(&path).expect("it is there");
    assert_eq!(token(&path), first, "another process finds it");
    assert_eq!(fs::read(&path).expect("it is there"), written, "and has nothing to write");

    let aside = fs::read_dir(&*FOLDER).expect("a folder").flatten().find(|file| file.path() != path);
    if let Some(aside) = aside {
        assert_eq!(fs::read(aside.path()).expect("it was set aside"), content);
        serde_json::from_slice::<Map<String, Value>>(&written).expect("a new file");
    } else if let Ok(before) = serde_json::from_slice::<Map<String, Value>>(content) {
        let sections: Map<String, Value> = serde_json::from_slice(&written).expect("what is written is JSON");
        for (name, section) in before.iter().filter(|(name, _)| *name != "AccessToken") {
            assert_eq!(sections.get(name), Some(section));
        }
        let rows =
            |file: &Map<String, Value>| file.get("AccessToken").and_then(Value::as_object).cloned().unwrap_or_default();
        let now = rows(&sections);
        for (key, row) in rows(&before).iter().filter(|(key, _)| !key.to_lowercase().contains("contoso")) {
            assert_eq!(now.get(key), Some(row));
        }
    }
});

/// What a process gets that begins with this file.
fn token(path: &PathBuf) -> String {
    let authority = Authority::default();
    authority.answer(200, &[], GOOD);
    let cache = TokenCache::msal_file(MsalCacheFile::new(path)).build();
    let client = client(&authority).token_cache(&cache).build().expect("its settings are right");
    run(client.acquire_token_for_client([GRAPH]).into_future()).expect("a token").secret().to_owned()
}

/// In memory where there is such a place: what is written is flushed.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    place.join(format!("apptoken-fuzz-{}", std::process::id()))
});
