//! Tokens that are kept between runs.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;
use common::{CLIENT_ID, GRAPH_SCOPE, Local, SCOPE, TENANT, apptoken, assert_private, run};
use serde_json::Value;
use testkit::CANARY;

/// The daemon's program with a cache folder of the test's own.
fn caching(local: &Local, arguments: &[&str]) -> Command {
    let mut command = local.as_daemon(arguments);
    command.env_remove("APPTOKEN_NO_CACHE").env("APPTOKEN_CACHE_DIR", local.file("cache"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_asks_nobody() {
    let local = Local::start().await;
    let first = run(&mut caching(&local, &["token", "-s", SCOPE]));
    assert!(first.err.contains("from the authority"), "{}", first.err);
    let second = run(&mut caching(&local, &["token", "-s", SCOPE]));
    assert!(second.err.contains("from the cache"), "{}", second.err);
    assert_eq!((second.out, local.entra.token_requests()), (first.out, 1));
    // `call` and appsettings.json take part
    local.consent();
    local.write_settings();
    let settings = |arguments: &[&str]| {
        let mut command = local.apptoken(arguments);
        command.env_remove("APPTOKEN_NO_CACHE").env("APPTOKEN_CACHE_DIR", local.file("cache"));
        run(&mut command)
    };
    for _ in 0..2 {
        assert_eq!(settings(&["call", "MyWebApi"]).code, Some(0));
    }
    assert_eq!(local.entra.token_requests(), 2);
    assert!(settings(&["token", "-s", GRAPH_SCOPE]).err.contains("from the cache"));

    for file in std::fs::read_dir(local.file("cache")).unwrap() {
        let path = file.unwrap().path();
        assert_private(&path);
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!content.contains("eyJ") && !content.contains(CANARY), "sealed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_or_will_not_use_it_asks() {
    let local = Local::start().await;
    run(&mut caching(&local, &["token", "-s", SCOPE]));
    for flags in [&["--no-cache"][..], &["--show-request"], &["--force-refresh"]] {
        let said = run(&mut caching(&local, &[&["token", "-s", SCOPE], flags].concat()));
        assert!(said.err.contains("from the authority"), "{flags:?} {}", said.err);
    }
    run(caching(&local, &["token", "-s", SCOPE]).env("APPTOKEN_NO_CACHE", "1"));
    assert_eq!(local.entra.token_requests(), 5);
    // another secret opens nothing, although the app is the same
    let wrong = run(caching(&local, &["token", "-s", SCOPE]).env("APPTOKEN_CLIENT_SECRET", format!("{CANARY}-wrong")));
    assert_eq!(wrong.code, Some(1), "{}", wrong.err);
}

/// A place that cannot be used costs a request, and whoever named it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_used_is_told() {
    let local = Local::start().await;
    let (file, folder) = (local.file("file"), local.file("folder"));
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(&folder).unwrap();
    let below = format!("{file}/below");
    let token = |environment: &[(&str, &str)], flags: &[&str]| {
        let mut command = caching(&local, &[&["token", "-s", SCOPE], flags].concat());
        command.envs(environment.iter().copied());
        let said = run(&mut command);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.starts_with("eyJ"), "{}", said.out);
        said.err
    };
    for (environment, flags, place) in [
        (&[("APPTOKEN_CACHE_DIR", file.as_str())][..], &[][..], &file),
        (&[("APPTOKEN_CACHE_DIR", &below)], &[], &below),
        (&[], &["--msal-cache", &folder], &folder),
        (&[], &["--msal-cache", &below], &below),
    ] {
        let said = token(environment, flags);
        let warning = format!("warning: no token can be kept in {place}: ");
        assert!(said.matches(&warning).count() == 1 && said.contains("from the authority"), "{place}\n{said}");
        assert_eq!(token(environment, &[flags, &["--quiet"]].concat()), "");
    }
    // it does not matter to who keeps nothing, nor where nobody named the place
    assert!(!token(&[("APPTOKEN_CACHE_DIR", &file)], &["--no-cache"]).contains("warning"));
    let mut unnamed = local.as_daemon(&["token", "-s", SCOPE]);
    unnamed.env_remove("APPTOKEN_NO_CACHE").env_remove("APPTOKEN_CACHE_DIR");
    let said = run(unnamed.env("HOME", &file).env("XDG_CACHE_HOME", &file).env("LOCALAPPDATA", &file));
    assert!(said.code == Some(0) && !said.err.contains("warning"), "{}", said.err);
    // and one that can be used is not touched
    assert!(!token(&[], &[]).contains("warning"));
    let kept = std::fs::read_dir(local.file("cache")).unwrap().count();
    assert_eq!(kept, 1, "nothing but the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_that_start_together_ask_once() {
    let local = Local::start().await;
    local.entra.faults().latency(Duration::from_millis(300));
    let program = assert_cmd::cargo::cargo_bin("apptoken");
    let children = (0..16).map(|_| {
        let mut command = std::process::Command::new(&program);
        command
            .args(["token", "-s", SCOPE, "-q"])
            .current_dir(&local.folder)
            .env("APPTOKEN_AUTHORITY", local.entra.authority())
            .env("APPTOKEN_CA_FILE", local.file("ca.pem"))
            .env("APPTOKEN_TENANT_ID", TENANT)
            .env("APPTOKEN_CLIENT_ID", CLIENT_ID)
            .env("APPTOKEN_CLIENT_SECRET", &local.secret)
            .env("APPTOKEN_CACHE_DIR", local.file("cache"))
            .env_remove("APPTOKEN_NO_CACHE")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    });
    let mut tokens = Vec::new();
    for child in children.collect::<Vec<_>>() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        tokens.push(output.stdout);
    }
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(local.entra.token_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_and_cleared() {
    let local = Local::start().await;
    let empty = run(&mut caching(&local, &["cache", "list"]));
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), ""));
    run(&mut caching(&local, &["token", "-s", SCOPE]));
    run(&mut caching(&local, &["token", "-s", GRAPH_SCOPE]));
    assert!(empty.err.starts_with("0 tokens in "), "{}", empty.err);
    let list = run(&mut caching(&local, &["cache", "list"]));
    let authority = format!("{}/{TENANT}", local.entra.authority());
    assert!(list.out.contains(&format!("{SCOPE} for {CLIENT_ID} at {authority}, expires in ")), "{}", list.out);
    assert!(list.out.lines().count() == 2 && list.out.contains(", expires in 59 minutes"), "{}", list.out);
    assert_eq!(testkit::leak(&list.out), None);
    let json: Value = serde_json::from_str(&run(&mut caching(&local, &["cache", "list", "--json"])).out).unwrap();
    assert_eq!((json[0]["scope"].as_str(), json[1]["scope"].as_str()), (Some(SCOPE), Some(GRAPH_SCOPE)));
    assert_eq!((&json[0]["authority"], &json[0]["tenant"]), (&authority.into(), &TENANT.into()));
    assert_eq!((&json[0]["client_id"], json[0]["expires_on"].is_u64()), (&CLIENT_ID.into(), true));
    let help = run(&mut apptoken(&["cache", "list", "--help"]));
    for member in json[0].as_object().unwrap().keys() {
        assert!(help.out.contains(member), "{member} is not explained\n{}", help.out);
    }
    let cleared = run(&mut caching(&local, &["cache", "clear"]));
    assert!(cleared.err.contains("removed 2 tokens"), "{}", cleared.err);
    assert!(run(&mut caching(&local, &["token", "-s", SCOPE])).err.contains("from the authority"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_msals_serves_too() {
    let local = Local::start().await;
    let file = local.file("made when needed/msal.json");
    for from in ["from the authority", "from the cache"] {
        let said = run(&mut local.as_daemon(&["token", "-s", SCOPE, "--msal-cache", &file]));
        assert!(said.err.contains(from), "{}", said.err);
    }
    assert_private(&file);
    let rows: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(rows["AccessToken"].as_object().unwrap().len(), 2, "in the forms of Python and of Node");
}
