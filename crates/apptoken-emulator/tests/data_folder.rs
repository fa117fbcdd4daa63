//! What outlives the process, whatever ends it.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use apptoken_emulator::seed::{SeedApplication, SeedTenant};
use apptoken_emulator::{Emulator, EmulatorBuilder, GithubJob, StartError, WorkloadIssuers};
use common::{API_V2_DEFAULT, CONTOSO, DAEMON, Entra, describe, good, start_with};
use serde_json::{Value, json};
use testkit::CANARY;
use uuid::Uuid;

const WORKLOAD_KEYS: &str = "workload signing keys";
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("entra-").tempdir().unwrap()
}

fn in_folder(path: &Path) -> EmulatorBuilder {
    testkit::init();
    Emulator::builder().data_folder(path)
}

/// What tells whether it is the same Entra ID: its CA, the keys that it publishes.
async fn identity(entra: &Entra) -> (String, Value) {
    (entra.emulator.ca_pem().to_owned(), entra.get("/common/discovery/v2.0/keys").await.json)
}

fn open(folder: &tempfile::TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("entra.db")).unwrap()
}

/// What it keeps of the server itself.
fn own(folder: &tempfile::TempDir) -> Vec<String> {
    let database = open(folder);
    let mut keys = database.prepare("SELECT key FROM objects WHERE kind = 'own'").unwrap();
    keys.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn refusal(builder: EmulatorBuilder) -> StartError {
    builder.start().await.expect_err("it must not start")
}

#[tokio::test]
async fn it_is_the_same_after_a_restart() {
    let folder = folder();
    let entra = start_with(describe().data_folder(folder.path())).await;
    assert!(!entra.emulator.is_restored());
    let directory = entra.emulator.directory();
    let key = entra.new_certificate();
    directory.grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    directory.set_account_enabled("contoso.com", &common::API_V1.to_string(), false).unwrap();
    let fabrikam = SeedTenant { default_domain: "new.example".into(), ..SeedTenant::default() };
    let fabrikam = directory.add_tenant(&fabrikam).unwrap();
    let app = SeedApplication { display_name: "Short-lived".into(), ..SeedApplication::default() };
    let app = SeedApplication { home_tenant: Some(fabrikam.to_string()), ..app };
    let gone = directory.add_application(&app).unwrap();
    directory.remove_application(&gone.to_string()).unwrap();
    let secret = directory.add_secret(&DAEMON.to_string(), "another", YEAR).unwrap();
    let token = entra.granted(API_V2_DEFAULT).await;
    entra.emulator.rotate_signing_key().await.unwrap();
    let (before, snapshot) = (identity(&entra).await, directory.snapshot());
    let sign_in = entra.last_sign_in();
    entra.emulator.shutdown().await;

    let entra = start_with(in_folder(folder.path())).await;
    assert!(entra.emulator.is_restored());
    assert_eq!(identity(&entra).await, before);
    assert_eq!(before.1["keys"].as_array().unwrap().len(), 2);
    assert_eq!(entra.claims(&token).await["roles"], json!(["DaemonAppRole", "Reader"]), "an older token is still good");
    assert_eq!(entra.claims(&entra.granted(API_V2_DEFAULT).await).await["roles"], json!(["DaemonAppRole", "Reader"]));
    let again = entra.token(&[("client_secret", &secret.text)]).await;
    assert_eq!(again.status, 200);
    let restored = entra.emulator.directory().snapshot();
    let objects = |snapshot: &apptoken_emulator::Snapshot| {
        let mut ids: Vec<_> =
            snapshot.tenants().flat_map(|t| t.service_principals().map(|p| (t.id, p.clone()))).collect();
        ids.sort_by_key(|(tenant, principal)| (*tenant, principal.app_id));
        ids
    };
    assert_eq!(objects(&restored), objects(&snapshot), "principals, their ids and grants, Microsoft's own too");
    assert!(restored.application(gone).is_none() && restored.tenant("NEW.example").unwrap().id == fabrikam);
    assert!(!restored.tenant("contoso.com").unwrap().service_principal(common::API_V1).unwrap().account_enabled);
    assert_eq!(restored.application(DAEMON).unwrap().certificates[0].certificate, key.certificate);
    assert_eq!(
        restored.resource(restored.tenant("contoso.com").unwrap(), "API://todolist/").unwrap().0.app_id,
        common::API_V2
    );

    // the log goes on where it ended
    let log = loop {
        let log = entra.emulator.sign_ins_after(0).await;
        if log.len() == 3 {
            break log;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!((log[0].trace_id, log[0].sequence, &log[0].roles), (sign_in.trace_id, 1, &sign_in.roles));
    entra.emulator.shutdown().await;
}

/// Its own identity provider, under the providers' real names: the same issuer at every start.
#[tokio::test]
async fn a_jobs_assertion_is_good_after_a_restart() {
    let exchange = async |entra: &Entra, assertion: &str| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields = [("client_secret", ""), ("client_assertion", assertion), ("client_assertion_type", kind)];
        entra.token(&fields).await.json["error_codes"].clone()
    };
    let folder = folder();
    let start = async |builder: EmulatorBuilder| {
        start_with(builder.data_folder(folder.path()).workload_issuers(WorkloadIssuers::Real)).await
    };
    let entra = start(describe()).await;
    assert!(!own(&folder).contains(&WORKLOAD_KEYS.into()), "a key that nobody needs is not made");
    let job = entra.emulator.issuer().github(&GithubJob::new("contoso/daemon"));
    entra.emulator.directory().add_federated_credential(&DAEMON.to_string(), &job.credential("main")).unwrap();
    let first = job.token("api://AzureADTokenExchange").unwrap();
    entra.emulator.saved().await.unwrap();
    assert!(own(&folder).contains(&WORKLOAD_KEYS.into()));
    entra.emulator.issuer().rotate_key().unwrap();
    let second = job.token("api://AzureADTokenExchange").unwrap();
    let published = entra.get("/issuer/github/keys").await.json;
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    entra.emulator.shutdown().await;

    let entra = start(Emulator::builder()).await;
    assert_eq!(entra.get("/issuer/github/keys").await.json, published);
    for assertion in [&first, &second] {
        assert_eq!(exchange(&entra, assertion).await, Value::Null);
    }
    entra.emulator.issuer().rotate_key().unwrap();
    assert_eq!(entra.get("/issuer/github/keys").await.json["keys"].as_array().unwrap().len(), 3);
    entra.emulator.shutdown().await;

    let change = "UPDATE objects SET json = '[]' WHERE key = ?1";
    assert_eq!(open(&folder).execute(change, [WORKLOAD_KEYS]).unwrap(), 1);
    let error = refusal(in_folder(folder.path())).await.to_string();
    assert!(error.contains(WORKLOAD_KEYS), "{error}");
}

/// The key that a request makes is kept before the answer tells of it.
#[tokio::test]
async fn an_issuers_key_is_on_disk_when_it_is_published() {
    let folder = folder();
    let entra = start_with(describe().data_folder(folder.path())).await;
    let published = entra.get("/issuer/kubernetes/keys").await;
    assert_eq!((published.status, own(&folder).contains(&WORKLOAD_KEYS.into())), (200, true));
    entra.emulator.shutdown().await;
}

#[tokio::test]
async fn a_folder_goes_before_the_seed() {
    let folder = folder();
    let entra = start_with(describe().data_folder(folder.path())).await;
    entra.emulator.directory().remove_application(&DAEMON.to_string()).unwrap();
    entra.emulator.shutdown().await;
    let entra = start_with(describe().data_folder(folder.path())).await;
    assert!(entra.emulator.is_restored() && entra.emulator.directory().snapshot().application(DAEMON).is_none());
    assert_eq!(entra.emulator.directory().snapshot().tenants().count(), 2);
    entra.emulator.shutdown().await;
}

#[tokio::test]
async fn a_folder_without_a_directory_takes_the_seed() {
    let folder = folder();
    let entra = start_with(in_folder(folder.path())).await;
    let keys = identity(&entra).await;
    entra.emulator.shutdown().await;
    let entra = start_with(describe().data_folder(folder.path())).await;
    assert!(!entra.emulator.is_restored());
    assert_eq!((entra.token(&[]).await.status, identity(&entra).await), (200, keys));
    entra.emulator.shutdown().await;
    assert!(start_with(in_folder(folder.path())).await.emulator.is_restored());
}

#[tokio::test]
async fn what_the_portal_did_is_on_disk_when_it_answers() {
    let folder = folder();
    let entra = start_with(describe().data_folder(folder.path())).await;
    let page = entra.client.get(entra.url("/portal/apps")).send().await.unwrap();
    let cookie = page.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = entra.client.get(entra.url("/portal/apps")).header("cookie", &cookie).send().await.unwrap();
    let page = page.text().await.unwrap();
    let token = page.split(r#"name="form_token" value=""#).nth(1).unwrap().split('"').next().unwrap();
    let fields = [("form_token", token), ("name", "On disk"), ("domain", "ondisk.example")];
    let request = entra.post("/portal/tenants", common::form(&fields)).header("cookie", cookie);
    assert!(entra.send(request).await.status < 400);
    // nobody says goodbye: another process copies what is there now
    let copy = tempfile::tempdir().unwrap();
    for file in ["entra.db", "entra.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let other = start_with(in_folder(copy.path())).await;
    assert!(other.emulator.directory().snapshot().tenant("ondisk.example").is_some());
    other.emulator.shutdown().await;
}

/// Format 1 kept signing keys of two primes.
#[tokio::test]
async fn a_folder_of_an_older_version_gets_a_new_signing_key_and_keeps_the_rest() {
    let folder = folder();
    let entra = start_with(describe().data_folder(folder.path())).await;
    let (ca, keys) = identity(&entra).await;
    entra.emulator.shutdown().await;
    let database = open(&folder);
    let older = r#"[{"certificate":"-----BEGIN CERTIFICATE-----","key":"-----BEGIN PRIVATE KEY-----"}]"#;
    assert_eq!(database.execute("UPDATE objects SET json = ?1 WHERE key = 'signing keys'", [older]).unwrap(), 1);
    database.pragma_update(None, "user_version", 1).unwrap();
    database.close().unwrap();

    let entra = start_with(in_folder(folder.path())).await;
    let renewed = identity(&entra).await;
    assert!(entra.emulator.is_restored() && renewed.0 == ca && renewed.1 != keys);
    entra.claims(&entra.granted(API_V2_DEFAULT).await).await;
    entra.emulator.shutdown().await;
    assert_eq!(identity(&start_with(in_folder(folder.path())).await).await, renewed);
}

#[tokio::test]
async fn a_signing_key_that_is_not_its_certificates_is_refused() {
    let folders = [folder(), folder()];
    for folder in &folders {
        start_with(describe().data_folder(folder.path())).await.emulator.shutdown().await;
    }
    let [mut mixed, mut other] = folders.each_ref().map(|folder| {
        let keys = "SELECT json FROM objects WHERE key = 'signing keys'";
        let keys: String = open(folder).query_row(keys, [], |row| row.get(0)).unwrap();
        serde_json::from_str::<Value>(&keys).unwrap()
    });
    mixed[0]["primes"] = other[0]["primes"].take();
    let mix = "UPDATE objects SET json = ?1 WHERE key = 'signing keys'";
    open(&folders[0]).execute(mix, [mixed.to_string()]).unwrap();
    let error = refusal(in_folder(folders[0].path())).await;
    assert!(matches!(&error, StartError::DataFolder(error) if error.is_damaged()), "{error}");
    assert!(error.to_string().contains("signing keys: not a readable key of its certificate"), "{error}");
}

#[tokio::test]
async fn two_processes_do_not_share_a_folder() {
    let folder = folder();
    let first = start_with(describe().data_folder(folder.path())).await;
    let error = refusal(in_folder(folder.path())).await;
    assert!(matches!(&error, StartError::DataFolder(error) if error.is_in_use()), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    first.emulator.shutdown().await;
    start_with(in_folder(folder.path())).await.emulator.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_left_alone() {
    let folder = folder();
    let database = folder.path().join("entra.db");
    start_with(describe().data_folder(folder.path())).await.emulator.shutdown().await;
    let whole = std::fs::read(&database).unwrap();

    // a newer version's
    let newer = rusqlite::Connection::open(&database).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    newer.close().unwrap();
    let bytes = std::fs::read(&database).unwrap();
    let error = refusal(in_folder(folder.path())).await;
    assert!(matches!(&error, StartError::DataFolder(error) if error.is_newer()), "{error}");
    assert!(error.to_string().contains("newer version of this program (format 99"), "{error}");
    assert_eq!(std::fs::read(&database).unwrap(), bytes);

    // damaged: no database, a torn one, objects that contradict each other
    let mut torn = whole.clone();
    torn[4096..].fill(0x5a);
    for bytes in [b"not a database at all, but text of some length".repeat(99), torn] {
        std::fs::write(&database, &bytes).unwrap();
        let error = refusal(in_folder(folder.path())).await;
        assert!(matches!(&error, StartError::DataFolder(error) if error.is_damaged()), "{error}");
        assert_eq!(std::fs::read(&database).unwrap(), bytes);
    }
    std::fs::write(&database, &whole).unwrap();
    let changed = rusqlite::Connection::open(&database).unwrap();
    changed.execute("DELETE FROM objects WHERE kind = 'application' AND key = ?1", [DAEMON.to_string()]).unwrap();
    changed.close().unwrap();
    let error = refusal(in_folder(folder.path())).await;
    assert!(error.to_string().contains(&DAEMON.to_string()), "{error}");

    // somebody else's
    std::fs::remove_file(&database).unwrap();
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute("CREATE TABLE mine (a)", []).unwrap();
    other.close().unwrap();
    let error = refusal(in_folder(folder.path())).await;
    assert!(error.to_string().contains("entra.db is not a database of this program"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = folder();
    let path = parent.path().join("made/by/us");
    let entra = start_with(describe().data_folder(&path)).await;
    let secret = entra.emulator.directory().add_secret(&DAEMON.to_string(), "x", YEAR).unwrap();
    entra.emulator.saved().await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let mut whole = Vec::new();
    for file in std::fs::read_dir(&path).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        whole.extend(std::fs::read(file).unwrap());
    }
    let has = |text: &str| whole.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&DAEMON.to_string()), "the search works");
    assert!(!has(&secret.text) && !has(CANARY), "secrets are digests");
    entra.emulator.shutdown().await;

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = refusal(in_folder(&path)).await;
    assert!(error.to_string().contains("other users may write to it"), "{error}");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_no_acknowledgement() {
    let folder = folder();
    let entra = start_with(describe().data_folder(folder.path())).await;
    // somebody holds the database: as good as a full disk, and it ends
    let other = rusqlite::Connection::open(folder.path().join("entra.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let secret = entra.emulator.directory().add_secret(&DAEMON.to_string(), "x", YEAR).unwrap();
    let error = entra.emulator.saved().await.unwrap_err();
    assert!(error.to_string().contains("locked"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    while entra.emulator.saved().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    entra.emulator.shutdown().await;
    let entra = start_with(in_folder(folder.path())).await;
    assert_eq!(entra.token(&[("client_secret", &secret.text)]).await.status, 200);
    entra.emulator.shutdown().await;
}

/// Twenty times: a process writes as fast as it can and says what was acknowledged; it is killed (SIGKILL) in the midst of
/// it, and the next one finds everything.
#[tokio::test]
async fn killed_at_any_moment_it_keeps_what_was_acknowledged() {
    let folder = folder();
    start_with(describe().data_folder(folder.path())).await.emulator.shutdown().await;
    let mut first = None;
    let mut acknowledged = Vec::new();
    for round in 0_u32..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "writes_until_it_is_killed"])
            .env("APPTOKEN_TEST_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // a different number of changes each time, then not at once: the kill meets any state of a commit
        let wanted = acknowledged.len() + 1 + (round as usize * 7) % 23;
        let mut line = String::new();
        while acknowledged.len() < wanted {
            line = lines.next().expect("the child goes on until it is killed");
            acknowledged.extend(line.strip_prefix("done ").map(str::to_owned));
        }
        assert!(line.starts_with("done "));
        std::thread::sleep(Duration::from_micros(u64::from(round) * 397));
        child.kill().unwrap();
        child.wait().unwrap();
        // what it said before it died counts too, but for a line that was not finished
        acknowledged.extend(
            lines.filter_map(|line| line.strip_prefix("done ").filter(|l| l.ends_with('.')).map(str::to_owned)),
        );

        let entra = start_with(in_folder(folder.path())).await;
        let snapshot = entra.emulator.directory().snapshot();
        let daemon = snapshot.application(DAEMON).unwrap();
        for id in &acknowledged {
            let (what, id) = id.trim_end_matches('.').split_once(' ').unwrap();
            let id: Uuid = id.parse().unwrap();
            match what {
                "secret" => {
                    assert!(daemon.secrets.iter().any(|secret| secret.key_id == id), "round {round}: secret {id}")
                }
                "application" => assert!(snapshot.application(id).is_some(), "round {round}: application {id}"),
                _ => assert!(snapshot.application(id).is_none(), "round {round}: removed application {id}"),
            }
        }
        let now = identity(&entra).await;
        let before = first.get_or_insert_with(|| now.clone());
        assert_eq!(*before, now, "round {round}");
        let answer = entra.send(entra.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), good(&[]))).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        entra.emulator.shutdown().await;
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
}

#[test]
#[ignore = "a child process of killed_at_any_moment_it_keeps_what_was_acknowledged"]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os("APPTOKEN_TEST_FOLDER") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let entra = Emulator::builder().data_folder(folder).start().await.unwrap();
        let directory = entra.directory();
        let say = |what: &str, id: Uuid| {
            let mut out = std::io::stdout();
            writeln!(out, "\ndone {what} {id}.").unwrap();
            out.flush().unwrap();
        };
        for round in 0_u64.. {
            let id = directory.add_secret(&DAEMON.to_string(), "loop", YEAR).unwrap().key_id;
            entra.saved().await.unwrap();
            say("secret", id);
            let app = SeedApplication { display_name: format!("App {round}"), ..SeedApplication::default() };
            let app = SeedApplication { home_tenant: Some(CONTOSO.to_string()), ..app };
            let (kept, gone) = (directory.add_application(&app).unwrap(), directory.add_application(&app).unwrap());
            entra.saved().await.unwrap();
            say("application", kept);
            directory.remove_application(&gone.to_string()).unwrap();
            entra.saved().await.unwrap();
            say("removed", gone);
        }
    });
}
