//! `apptoken demo` and `apptoken emulator`, as processes.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::Duration;

use common::{apptoken, assert_private, run};
use serde_json::{Value, json};

#[test]
fn the_demo_holds() {
    let demo = run(&mut apptoken(&["demo"]));
    assert_eq!(demo.code, Some(0), "{}\n{}", demo.out, demo.err);
    for part in [
        " 1  A token by client secret\n",
        "client_secret=[redacted]",
        "✓ 403: ",
        "✓ 200: 3 things to do\n",
        "403 Authorization_RequestDenied: Insufficient privileges",
        "✓ 200: Adele Vance, Alex Wilber\n",
        "does not end in /.default",
        "AADSTS7000215",
        "aud https://database.windows.net, ",
        "aud https://database.windows.net/, ",
        "1,000 callers have the same token",
        "counted 1 request\n",
        "checks of 13 steps held",
    ] {
        assert!(demo.out.contains(part), "{part}\n{}", demo.out);
    }
    assert!(!demo.out.contains('✗') && !demo.out.contains('\u{1b}'));
    assert_eq!(testkit::leak(&demo.out), None);
    assert_eq!(demo.err, "", "nothing but the story");
}

/// `apptoken demo | head -1`
#[test]
fn a_reader_that_leaves_is_forgiven() {
    let mut demo = child(&["demo"]);
    let mut line = String::new();
    let mut out = BufReader::new(demo.0.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    assert!(line.starts_with("A daemon gets"), "{line}");
    let mut err = String::new();
    demo.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(demo.0.wait().unwrap().code(), Some(0), "{err}");
    assert_eq!(err, "");
}

#[test]
fn kept_running_it_can_be_joined() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("connection.json");
    let _demo = child(&["demo", "--keep", "--connection-file", file.to_str().unwrap()]);
    for _ in 0..600 {
        if file.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_private(&file);
    let connection: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let text = |pointer: &str| connection.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    for pointer in ["/daemon/privateKeyFile", "/daemon/certificateAndKeyFile", "/daemon/pfxFile", "/appsettingsFile"] {
        assert_private(text(pointer));
    }
    let call = |api: &str| {
        run(apptoken(&["call", api, "--config", &text("/appsettingsFile")]).env("APPTOKEN_CA_FILE", text("/caFile")))
    };
    let todos = call("MyWebApi");
    assert_eq!(todos.code, Some(0), "{}", todos.err);
    assert!(todos.out.contains("rotate the secret"), "{}", todos.out);
    assert_eq!(call("Graph").code, Some(0));
}

#[test]
fn the_emulator_prints_what_its_clients_need() {
    let mut emulator = child(&["emulator", "--admin", "--log", "json"]);
    let mut exports = Vec::new();
    let mut out = BufReader::new(emulator.0.stdout.take().unwrap());
    let mut err = BufReader::new(emulator.0.stderr.take().unwrap());
    while exports.len() < 10 {
        let mut line = String::new();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended");
        if let Some((name, value)) = line.trim_end().strip_prefix("export ").and_then(|line| line.split_once('=')) {
            exports.push((name.to_owned(), value.to_owned()));
        }
    }
    let ca = exports.iter().find(|(name, _)| name == "APPTOKEN_CA_FILE").unwrap().1.clone();
    let token = run(apptoken(&["token", "-s", "api://todolist/.default"]).envs(exports.clone()));
    assert_eq!(token.code, Some(0), "{}", token.err);
    let said = run(apptoken(&["decode"]).write_stdin(token.out));
    assert!(said.out.contains("roles    DaemonAppRole"), "{}", said.out);
    let mut line = String::new();
    assert!(out.read_line(&mut line).unwrap() > 0, "it ended");
    let sign_in: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&sign_in["sequence"], &sign_in["outcome"]), (&json!(1), &json!("granted")), "its first line is JSON");

    let value = |name: &str| exports.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let applications = format!("{}/v1.0/applications", value("APPTOKEN_GRAPH"));
    let mut call = apptoken(&["call", &applications, "-s", "https://graph.microsoft.com/.default"]);
    for name in ["TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"] {
        call.env(format!("APPTOKEN_{name}"), value(&format!("APPTOKEN_ADMIN_{name}")));
    }
    for name in ["APPTOKEN_AUTHORITY", "APPTOKEN_CA_FILE"] {
        call.env(name, value(name));
    }
    let said = run(&mut call);
    assert!(said.out.contains("TodoList daemon"), "the administrator sees what there is: {} {}", said.out, said.err);

    #[cfg(unix)]
    {
        let kill = format!("kill -TERM {}", emulator.0.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert_eq!(emulator.0.wait().unwrap().code(), Some(0), "ended when asked to");
        assert!(!std::path::Path::new(&ca).exists(), "its files are gone");
    }
}

#[test]
fn an_empty_folder_has_nothing_to_export_and_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(apptoken(&["emulator", "export", "--data"]).arg(folder.path()));
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{}", said.err);
    assert!(said.err.contains("there is nothing to export"), "{}", said.err);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_seed_that_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("seed.json"), "{\"tenants\":[{\"displayNam\":\"x\"}]}").unwrap();
    let said = run(apptoken(&["emulator", "--seed", "seed.json"]).current_dir(&folder));
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("the seed seed.json is not accepted") && said.err.contains("displayNam"), "{}", said.err);
    assert!(said.err.contains("hint: `apptoken emulator schema`"), "{}", said.err);
}

#[test]
fn what_keeps_the_emulator_from_starting_is_told_before_anything_is_printed() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, says) in [
        (&["emulator", "--port", &port][..], "hint: end what listens there, or name another port"),
        (
            &["emulator", "--admin", "nowhere.example"],
            "there is no tenant nowhere.example\n  hint: name one of contoso.",
        ),
    ] {
        let said = run(&mut apptoken(arguments));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{}", said.err);
        assert!(said.err.contains(says), "{says}\n{}", said.err);
    }
}

#[test]
fn the_ca_file_is_named_for_whoever_works_in_another_folder() {
    let mut emulator = child(&["emulator", "--export-ca", "ca.pem"]);
    let out = BufReader::new(emulator.0.stdout.take().unwrap());
    let line = out
        .lines()
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("export APPTOKEN_CA_FILE=")?.to_owned()));
    let path = line.expect("it is printed");
    assert!(std::path::Path::new(&path).is_absolute() && std::path::Path::new(&path).exists(), "{path}");
}

/// A running program, ended when the test is over, and with it the folder of its temporary files.
struct Running(Child, #[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn child(arguments: &[&str]) -> Running {
    testkit::init();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let program = apptoken(arguments);
    let mut command = std::process::Command::new(program.get_program());
    for (name, _) in program.get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(name);
    }
    command.args(program.get_args()).env("TMPDIR", folder.path()).current_dir(&folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running(command.spawn().expect("the program starts"), folder)
}
