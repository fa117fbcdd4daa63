//! The scene of `cargo xtask interop`: a local Entra ID in which every refusal of its table of cases is waiting, and an
//! API that takes its tokens. `interop FOLDER CLIENT…` writes its files and then `scene.json`, which names them all,
//! into the folder, and each sign-in as a line into `sign-ins.jsonl`; it ends when standard input does.

mod api;
mod credentials;
mod directory;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apptoken_emulator::{Emulator, Fault, FaultRule, IssuerMode, ManagedIdentitySource};
use apptoken_jose::issue::Ca;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::credentials::Keys;
use crate::directory::{API_SCOPE, Apps, TENANT};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: interop FOLDER CLIENT…")?);
    let clients: Vec<String> = arguments.collect();

    let (keys, apps) = (Keys::generate(now())?, Apps::new(&clients));
    let ca = Ca::generate("apptoken interop", now())?;
    let server = credentials::server(&folder, &ca.server_leaf(&["localhost", "127.0.0.1"], now())?)?;
    let same_ca = Ca::from_pem(&ca.certificate().to_pem(), &ca.key_pem())?;
    let entra = directory::describe(&apps, &keys).certificate_authority(ca).plain_http("127.0.0.1:0").start().await?;
    // the same directory, whose tokens name this server itself as their issuer
    let local = directory::describe(&apps, &keys).certificate_authority(same_ca).issuer_mode(IssuerMode::Local);
    let local = local.start().await?;
    let entra = Arc::new(entra);
    trouble(&entra, &apps);
    let credentials = keys.write(&folder, &entra, &apps)?;
    let mut daemon = credentials["certificate-sha256"].clone();
    daemon["clientId"] = json!(apps.named["daemon"]);
    daemon["clientSecret"] = credentials["secret"]["secret"].clone();
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, entra.ca_pem())?;
    let sign_ins = folder.join("sign-ins.jsonl");
    let log = std::fs::File::create(&sign_ins)?;
    let api = api::start(&entra, &apps).await?;
    let scene = json!({
        "authority": entra.authority(),
        "localAuthority": local.authority(),
        "httpAuthority": entra.http_authority(),
        "tenantId": apps.tenant,
        "tenantDomain": TENANT,
        "caFile": ca_file,
        "server": server,
        "signIns": sign_ins,
        "api": { "url": format!("{api}/api/todolist"), "scope": API_SCOPE, "clientId": apps.api },
        "graph": {
            "url": format!("{}/v1.0/organization", entra.graph_url()),
            "scope": "https://graph.microsoft.com/.default",
        },
        "revoke": format!("{api}/revoke"),
        "daemon": daemon,
        "apps": apps.named,
        "perClient": apps.per_client,
        "credentials": credentials,
        "environments": {
            "appService": environment(&entra, ManagedIdentitySource::AppService),
            "imds": environment(&entra, ManagedIdentitySource::Imds),
        },
    });
    write_whole(&folder.join("scene.json"), &scene)?;

    tokio::select! {
        failed = follow(&entra, log) => failed,
        () = end_of_input() => Ok(()),
    }
}

/// What is wrong with some apps, as long as the scene lasts.
fn trouble(entra: &Emulator, apps: &Apps) {
    let throttled = Fault::Status { status: 429, retry_after: Some(Duration::from_secs(1)), body: None };
    for app in apps.per_client.values().filter_map(|apps| apps.get("throttled")) {
        entra.faults().add(FaultRule::new(throttled.clone()).app(*app));
    }
    if let Some(app) = apps.named.get("blocked") {
        entra.faults().add(FaultRule::new(Fault::ConditionalAccess).app(*app));
    }
}

fn environment(entra: &Emulator, source: ManagedIdentitySource) -> BTreeMap<String, String> {
    entra.managed_identity_environment(source).into_iter().collect()
}

/// Each sign-in as a line of JSON, when it happens.
async fn follow(entra: &Emulator, mut log: std::fs::File) -> Result<()> {
    let mut last = 0;
    loop {
        for entry in entra.sign_ins_after(last).await {
            last = entry.sequence;
            writeln!(log, "{}", serde_json::to_string(&entry)?)?;
        }
    }
}

/// So that the scene never outlives who started it.
async fn end_of_input() {
    let ended = tokio::task::spawn_blocking(|| {
        let mut rest = Vec::new();
        std::io::stdin().read_to_end(&mut rest)
    });
    drop(ended.await);
}

/// The file appears whole, so that others may wait for it.
fn write_whole(path: &Path, json: &Value) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, format!("{json:#}\n"))?;
    Ok(std::fs::rename(unfinished, path)?)
}

#[expect(clippy::disallowed_methods, reason = "this program's one look at the machine's clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Ids of apps by their names in the table of cases.
type Ids = BTreeMap<String, Uuid>;
