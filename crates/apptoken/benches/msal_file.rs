//! A cache file of 10,000 entries: how long it takes to find a token in it, read anew, and to put one in and save it,
//! beside MSAL Python over the same file (`bench/msal_file.py`, in a virtual environment under `target/`), and beside what
//! the kernel takes: to hand the file over, and to put a copy of it in another's place, flushed to the disk.
//! `cargo bench -p apptoken --bench msal_file`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apptoken::ConfidentialClient;
use apptoken::cache::{MsalCacheFile, MsalProfile, TokenCache};
use apptoken::http::{Request, Response, Transport, TransportError};
use serde_json::{Map, Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 3 } else { 15 };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("cache.json");
    std::fs::write(&path, file()).unwrap();

    let beside = place.path().join("beside.json");
    std::fs::copy(&path, &beside).unwrap();
    let python = python().arg(&path).arg(&beside).arg(rounds.to_string()).output().unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    print!("{}", String::from_utf8_lossy(&python.stdout));

    let mut times = [("apptoken", "load"), ("apptoken", "save"), ("limit", "load"), ("limit", "save")]
        .map(|case| (case, Vec::new()));
    for round in 0..rounds {
        let file = MsalCacheFile::new(&path).profile(MsalProfile::Python);
        let client = ConfidentialClient::builder(CLIENT)
            .tenant(TENANT)
            .client_secret("a secret")
            .transport(Canned)
            .token_cache(&TokenCache::msal_file(file).build())
            .build()
            .unwrap();
        let began = now();
        let found = client.acquire_token_for_client(["api://5000/.default"]).await.unwrap();
        times[0].1.push(since(began));
        assert!(found.secret().starts_with("5000"), "from the file");
        let began = now();
        client.acquire_token_for_client([format!("api://new-{round}/.default")]).await.unwrap();
        times[1].1.push(since(began));
        let began = now();
        handed_over(&path);
        times[2].1.push(since(began));
        let began = now();
        copied(&path, &beside);
        times[3].1.push(since(began));
    }
    let saved: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(saved["AccessToken"].as_object().unwrap().len(), ENTRIES + rounds);
    for ((peer, name), mut times) in times {
        times.sort();
        let value = times[times.len() / 2].as_secs_f64() * 1000.0;
        let (case, version) = (format!("msal-file.{name}"), env!("CARGO_PKG_VERSION"));
        println!(
            "{}",
            json!({ "peer": peer, "version": version, "case": case, "n": rounds, "value": value, "unit": "ms" })
        );
    }
}

/// Reads a file to its end and looks at nothing.
fn handed_over(path: &Path) {
    let (mut file, mut window) = (File::open(path).unwrap(), vec![0; 256 << 10]);
    while file.read(&mut window).unwrap() > 0 {}
}

/// Puts a copy in the place of `beside` as it has to be done to survive a kill and a power failure.
fn copied(path: &Path, beside: &Path) {
    let folder = beside.parent().unwrap();
    let temporary = folder.join("copy.tmp");
    let mut copy = File::create_new(&temporary).unwrap();
    std::io::copy(&mut File::open(path).unwrap(), &mut copy).unwrap();
    copy.sync_all().unwrap();
    std::fs::rename(&temporary, beside).unwrap();
    File::open(folder).unwrap().sync_all().unwrap();
}

/// As MSAL Python writes it.
fn file() -> String {
    let end = now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3000;
    let mut rows = Map::new();
    for i in 0..ENTRIES {
        let scope = format!("api://{i}/.default");
        let row = json!({
            "credential_type": "AccessToken", "secret": format!("{i}{}", "a".repeat(1400)), "home_account_id": null,
            "environment": HOST, "client_id": CLIENT, "target": scope, "realm": TENANT, "token_type": "Bearer",
            "cached_at": (end - 3599).to_string(), "expires_on": end.to_string(), "extended_expires_on": end.to_string(),
        });
        rows.insert(format!("-{HOST}-accesstoken-{CLIENT}-{TENANT}-{scope}"), row);
    }
    serde_json::to_string_pretty(&json!({ "AccessToken": rows, "AppMetadata": {} })).unwrap()
}

/// The script, in an environment that has MSAL.
fn python() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // where `cargo xtask interop` has it too
    let venv =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from).join("interop/venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status().unwrap();
        assert!(made.success(), "python3 -m venv");
    }
    if !Command::new(&python).args(["-c", "import msal_extensions"]).stderr(Stdio::null()).status().unwrap().success() {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
        assert!(pip.arg(root.join("interop/python/requirements.txt")).status().unwrap().success(), "pip");
    }
    let mut command = Command::new(python);
    command.arg(root.join("bench/msal_file.py"));
    command
}

/// An authority that takes no time.
struct Canned;

impl Transport for Canned {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        let body = json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "n".repeat(1400) });
        let response = http::Response::builder().header("content-type", "application/json");
        Ok(response.body(body.to_string().into()).unwrap())
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn since(began: SystemTime) -> Duration {
    now().duration_since(began).unwrap_or_default()
}

const ENTRIES: usize = 10_000;
const HOST: &str = "login.microsoftonline.com";
const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
