//! `apptoken run`. The programs that it runs are itself and this test binary, which plays a part when told to.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod isolated;
mod ordinary;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use common::{CLIENT_ID, TENANT, apptoken};
use serde_json::{Value, json};
use testkit::CANARY;

/// Not a test: the program that the tests below run, by re-running this binary.
#[test]
fn a_program() {
    let Ok(part) = std::env::var("TEST_PART") else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    match part.split_once(' ').unwrap_or((&part, "")) {
        ("exit", code) => end(code.parse().unwrap()),
        ("abort", _) => std::process::abort(),
        ("environment", file) => {
            let names = [
                "SSL_CERT_FILE",
                "REQUESTS_CA_BUNDLE",
                "CURL_CA_BUNDLE",
                "NODE_EXTRA_CA_CERTS",
                "HTTPS_PROXY",
                "https_proxy",
                "HTTP_PROXY",
                "NO_PROXY",
                "no_proxy",
                "NODE_USE_ENV_PROXY",
                "AZURE_AUTHORITY_HOST",
                "AZURE_CLIENT_ID",
                "APPTOKEN_EMULATOR_AUTHORITY",
                "APPTOKEN_EMULATOR_CA_FILE",
            ];
            let values: serde_json::Map<_, _> =
                names.iter().map(|&name| (name.to_owned(), json!(std::env::var(name).ok()))).collect();
            for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "APPTOKEN_EMULATOR_CA_FILE"] {
                assert_for_everyone(&variable(name));
            }
            let count = |name: &str| std::fs::read_to_string(variable(name)).unwrap().matches("BEGIN CERT").count();
            let values = json!({ "variables": values, "roots": count("SSL_CERT_FILE"), "ca": count("APPTOKEN_EMULATOR_CA_FILE"),
                "node": count("NODE_EXTRA_CA_CERTS") });
            std::fs::write(file, values.to_string()).unwrap();
        }
        ("get", rest) => {
            let (file, url) = rest.split_once(' ').unwrap();
            let said = tokio::runtime::Runtime::new().unwrap().block_on(async {
                match reqwest::get(url).await {
                    Ok(answer) => json!({ "status": answer.status().as_u16(), "text": answer.text().await.unwrap() }),
                    Err(error) => json!({ "error": format!("{error:?}") }),
                }
            });
            std::fs::write(file, said.to_string()).unwrap();
        }
        ("raw", rest) => {
            let (file, request) = rest.split_once(' ').unwrap();
            let address: SocketAddr = variable("HTTPS_PROXY").strip_prefix("http://").unwrap().parse().unwrap();
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream.write_all(request.replace("\\r\\n", "\r\n").as_bytes()).unwrap();
            let mut answer = String::new();
            // a proxy that hangs up on what it did not read to the end resets the connection
            let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
            std::fs::write(file, answer).unwrap();
        }
        ("wait", file) => {
            std::fs::write(file, std::process::id().to_string()).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        other => panic!("{other:?}"),
    }
}

/// The program may go on as someone else, who is to read it and not to change it.
fn assert_for_everyone(path: &str) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.as_ref()), 0o644, "{path}");
        assert_eq!(mode(Path::new(path).parent().unwrap()), 0o711, "{path}");
    }
}

#[expect(clippy::exit, reason = "the test harness would choose another exit code")]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

/// `apptoken run FLAGS -- this binary`, playing a part.
fn playing(flags: &[&str], part: &str) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = apptoken(&["run"]);
    command.args(flags).arg("--").arg(this).args(["--exact", "a_program", "--nocapture"]).env("TEST_PART", part);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command
}

/// `apptoken run FLAGS -- apptoken ARGUMENTS`.
fn itself(flags: &[&str], arguments: &[&str]) -> Command {
    let mut command = apptoken(&["run"]);
    command.args(flags).arg("--").arg(assert_cmd::cargo::cargo_bin("apptoken")).args(arguments);
    command
}

fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The last line of standard error.
fn report(err: &str) -> Value {
    serde_json::from_str(err.trim_end().lines().last().unwrap()).unwrap()
}

/// A seed with a daemon that has a secret but no consent.
fn seed(folder: &Path) -> String {
    let seed = json!({
        "tenants": [{ "displayName": "Contoso", "defaultDomain": TENANT }],
        "applications": [
            { "displayName": "TodoList API", "identifierUris": ["api://todolist"], "appRoles": [{ "value": "DaemonAppRole" }] },
            {
                "appId": CLIENT_ID, "displayName": "the daemon",
                "passwordCredentials": [{ "secretText": format!("{CANARY}-of-the-seed") }],
                "requiredResourceAccess": [
                    { "resource": "00000003-0000-0000-c000-000000000000", "appRoles": ["User.Read.All"] },
                ],
                "servicePrincipals": [{ "tenant": TENANT, "adminConsent": true }],
            },
        ],
    });
    let path = folder.join("seed.json");
    std::fs::write(&path, seed.to_string()).unwrap();
    path.display().to_string()
}

/// Whether it comes true in half a minute.
fn until(condition: impl Fn() -> bool) -> bool {
    (0..600).any(|_| {
        let held = condition();
        if !held {
            std::thread::sleep(Duration::from_millis(50));
        }
        held
    })
}
