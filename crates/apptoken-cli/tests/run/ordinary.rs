//! The proxy's way.

use std::path::Path;
use std::time::Duration;

use apptoken_emulator::Emulator;
use serde_json::{Value, json};
use testkit::CANARY;

use crate::common::{CLIENT_ID, Local, SCOPE, TENANT, apptoken, run};
use crate::{itself, playing, read_json, report, seed, until};

#[test]
fn an_unmodified_program_gets_a_token_from_microsofts_own_host() {
    let got = run(&mut itself(&["--offline"], &["-q", "token", "-s", SCOPE]));
    assert_eq!(got.code, Some(0), "{}", got.err);
    assert!(got.out.starts_with("eyJ") && got.out.lines().count() == 1, "standard output is the program's alone");
    for said in [
        "apptoken run: login.microsoftonline.com and graph.microsoft.com are the local Entra ID at https://localhost:",
        "ended with exit code 0\n",
        "granted once: TodoList daemon (00001111-aaaa-2222-bbbb-3333cccc4444) for api://todolist (DaemonAppRole)",
    ] {
        assert!(got.err.contains(said), "{said}\n{}", got.err);
    }
    let quiet = run(&mut itself(&["--offline", "-q"], &["-q", "token", "-s", SCOPE]));
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""), "--quiet");
}

#[test]
fn graph_answers_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let users = "https://graph.microsoft.com/v1.0/users";
    let mut call = itself(
        &["--offline", "--report", "json", "--seed", &seed(folder.path())],
        &["-q", "call", users, "-s", "https://graph.microsoft.com/.default"],
    );
    call.env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", CLIENT_ID)
        .env("AZURE_CLIENT_SECRET", format!("{CANARY}-of-the-seed"));
    let called = run(&mut call);
    assert_eq!(called.code, Some(0), "{}", called.err);
    assert!(called.out.contains("\"value\""), "{}", called.out);
    let report = report(&called.err);
    assert_eq!(report["tokens"][0]["roles"], json!(["User.Read.All"]));
    let hosts: Vec<_> =
        report["hosts"].as_array().unwrap().iter().map(|host| (&host["host"], &host["verdict"])).collect();
    let (answered, graph, login) =
        (json!("answered"), json!("graph.microsoft.com"), json!("login.microsoftonline.com"));
    assert_eq!(hosts, [(&graph, &answered), (&login, &answered)]);
}

#[test]
fn the_report_says_what_was_refused_and_why_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let seed = seed(folder.path());
    let secret = format!("{CANARY}-not-the-one");
    let refused = |flags: &[&str]| {
        let flags = [&["--seed", &seed, "--offline"], flags].concat();
        let mut command = itself(&flags, &["-q", "token", "-s", SCOPE]);
        command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", CLIENT_ID).env("AZURE_CLIENT_SECRET", &secret);
        run(&mut command)
    };
    let told = refused(&["--report", "json", "--report-file", &file.display().to_string()]);
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""), "{}", told.err);
    assert!(!told.err.contains("refusals"), "the report is in its file: {}", told.err);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(testkit::leak(&text), None, "in the report");
    let report = read_json(&file);
    assert_eq!((&report["exitCode"], &report["tokens"]), (&json!(1), &json!([])));
    let refusal = &report["refusals"][0];
    assert_eq!(refusal["code"], 7_000_215);
    assert_eq!((&refusal["appId"], &refusal["appDisplayName"]), (&json!(CLIENT_ID), &json!("the daemon")));
    assert_eq!(refusal["requests"], 1);
    assert_eq!(refusal["evidence"][0]["subject"], "client_secret");
    assert!(refusal["advice"].as_str().unwrap().len() > 20, "{refusal}");
    assert!(refusal["traceId"].as_str().unwrap().len() == 36, "{refusal}");
    assert_eq!(report["version"], 1);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/run.md")).unwrap();
    for member in members(&report) {
        let named = [format!("`{member}`"), format!("`{member}[]`")].iter().any(|name| page.contains(name));
        assert!(named, "docs/run.md does not know {member}");
    }

    let text = refused(&[]).err;
    for said in [
        "refused once: the daemon (00001111-aaaa-2222-bbbb-3333cccc4444)\n",
        "\n    AADSTS7000215: The client secret",
        "client_secret: expected ",
        "hint: ",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[test]
fn the_directory_of_the_page_works() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/run.md")).unwrap();
    let seed = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("directory.json");
    std::fs::write(&file, seed).unwrap();
    let secret = seed.split("\"secretText\": \"").nth(1).unwrap().split('"').next().unwrap();
    let mut command = itself(&["--seed", &file.display().to_string()], &["token", "-s", SCOPE]);
    command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", CLIENT_ID).env("AZURE_CLIENT_SECRET", secret);
    let said = run(&mut command);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("for api://todolist (DaemonAppRole)"), "{}", said.err);
}

/// The names of all members of a JSON document.
fn members(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => {
            object.iter().flat_map(|(name, v)| [vec![name.clone()], members(v)].concat()).collect()
        }
        Value::Array(array) => array.iter().flat_map(members).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_refusal_can_fail_the_run() {
    let ok = assert_cmd::cargo::cargo_bin("apptoken").display().to_string();
    let script = format!("{ok} -q token -s {SCOPE} > /dev/null 2>&1; exit 0");
    let told = |flags: &[&str], secret: Option<&str>| {
        let mut command = apptoken(&["run", "--offline", "-q"]);
        command.args(flags).args(["--", "sh", "-c", &script]);
        if let Some(secret) = secret {
            command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", CLIENT_ID).env("AZURE_CLIENT_SECRET", secret);
        }
        run(&mut command).code
    };
    let wrong = format!("{CANARY}-not-the-one");
    assert_eq!(told(&["--fail-on-refusal"], Some(&wrong)), Some(1));
    assert_eq!(told(&[], Some(&wrong)), Some(0));
    assert_eq!(told(&["--fail-on-refusal"], None), Some(0), "granted");

    let folder = tempfile::tempdir().unwrap();
    let part = format!("get {} https://example.com/", folder.path().join("said").display());
    for way in ["--offline", "--isolated"].into_iter().filter(|way| cfg!(target_os = "linux") || *way == "--offline") {
        assert_eq!(run(&mut playing(&[way, "--fail-on-refusal"], &part)).code, Some(1), "{way}: a host");
        assert_eq!(
            run(&mut playing(&[way, "--fail-on-refusal"], "exit 7")).code,
            Some(7),
            "{way}: the program's first"
        );
    }
}

#[test]
fn exit_codes_are_the_programs() {
    for code in [0, 7, 42] {
        assert_eq!(run(&mut playing(&[], &format!("exit {code}"))).code, Some(code));
    }
    let nobody = run(&mut playing(&[], "exit 0"));
    assert!(nobody.err.contains("no token was asked for"), "{}", nobody.err);
    let missing = run(&mut apptoken(&["run", "--", "no-such-program-anywhere"]));
    assert_eq!(missing.code, Some(127), "{}", missing.err);
    assert!(missing.err.contains("no-such-program-anywhere cannot be run"), "{}", missing.err);
}

#[cfg(unix)]
#[test]
fn a_death_by_signal_is_told_as_a_shell_tells_it() {
    let aborted = run(&mut playing(&["--report", "json"], "abort"));
    assert_eq!(aborted.code, Some(128 + 6), "{}", aborted.err);
    assert_eq!(report(&aborted.err)["signal"], 6);
}

/// nohup(1), and what a shell starts in the background.
#[cfg(target_os = "linux")]
#[test]
fn what_we_were_told_to_ignore_the_program_ignores() {
    let script = "trap '' HUP; exec \"$0\" -q run -- sh -c 'kill -HUP $PPID; kill -HUP $$; echo alive'";
    let got = run(assert_cmd::Command::new("sh").arg("-c").arg(script).arg(assert_cmd::cargo::cargo_bin("apptoken")));
    assert_eq!((got.code, got.out.as_str()), (Some(0), "alive\n"), "{}", got.err);
}

#[cfg(unix)]
#[test]
fn signals_reach_the_program_and_the_files_are_removed() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let this = std::env::current_exe().unwrap();
        let mut running = std::process::Command::new(assert_cmd::cargo::cargo_bin("apptoken"))
            .args(["-q", "run", "--"])
            .arg(this)
            .args(["--exact", "a_program", "--nocapture"])
            .env("TEST_PART", format!("wait {}", ready.display()))
            .env("TMPDIR", folder.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        assert!(until(|| ready.exists()), "the program did not start");
        let runs = || std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
        assert_eq!(runs(), 1, "the private folder");
        kill_process(Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap(), signal).unwrap();
        assert_eq!(running.wait().unwrap().code(), Some(128 + number));
        assert_eq!(runs(), 0, "the private folder is gone");
    }
}

#[test]
fn the_environment_speaks_every_language() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("environment.json");
    let extra = folder.path().join("corporate.pem");
    let corporate =
        apptoken_jose::issue::Ca::generate("Contoso Root", std::time::UNIX_EPOCH + Duration::from_secs(1 << 30))
            .unwrap()
            .certificate()
            .to_pem();
    std::fs::write(&extra, &corporate).unwrap();
    let mut command = playing(&[], &format!("environment {}", file.display()));
    command
        .env("SSL_CERT_FILE", &extra)
        .env_remove("SSL_CERT_DIR")
        .env("REQUESTS_CA_BUNDLE", &extra)
        .env_remove("CURL_CA_BUNDLE")
        .env("NODE_EXTRA_CA_CERTS", &extra)
        .env("NO_PROXY", "corp.example,*,login.microsoftonline.com")
        .env("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
        .env("TMPDIR", folder.path());
    let ran = run(&mut command);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    let seen = read_json(&file);
    assert_eq!(
        (&seen["roots"], &seen["ca"], &seen["node"]),
        (&json!(2), &json!(1), &json!(2)),
        "ours and the user's, once"
    );
    let variables = &seen["variables"];
    assert_eq!(variables["HTTPS_PROXY"], variables["https_proxy"]);
    assert!(variables["HTTPS_PROXY"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(variables["HTTP_PROXY"], Value::Null, "only --offline takes plain http too");
    assert_eq!(variables["NO_PROXY"], "localhost,127.0.0.1,::1,corp.example");
    assert_eq!(variables["NO_PROXY"], variables["no_proxy"]);
    assert_eq!(variables["NODE_USE_ENV_PROXY"], "1");
    assert_eq!(variables["SSL_CERT_FILE"], variables["REQUESTS_CA_BUNDLE"]);
    assert_eq!(variables["SSL_CERT_FILE"], variables["CURL_CA_BUNDLE"]);
    assert_eq!(variables["AZURE_AUTHORITY_HOST"], "https://login.microsoftonline.us", "left as it is");
    assert_eq!(variables["AZURE_CLIENT_ID"], CLIENT_ID, "the starter's");
    assert!(variables["APPTOKEN_EMULATOR_AUTHORITY"].as_str().unwrap().starts_with("https://localhost:"));
    assert!(!Path::new(variables["SSL_CERT_FILE"].as_str().unwrap()).exists(), "removed");
}

#[test]
fn offline_lets_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said.json").display().to_string();
    let refused = run(&mut playing(&["--offline", "--report", "json"], &format!("get {file} https://example.com/")));
    assert_eq!(refused.code, Some(0), "{}", refused.err);
    let said = read_json(&file);
    assert!(said["error"].is_string(), "{said}");
    let expected = json!([{ "host": "example.com", "verdict": "refused", "tunnels": 1 }]);
    assert_eq!(report(&refused.err)["hosts"], expected);

    run(&mut playing(&["--offline"], &format!("raw {file} CONNECT example.com:443 HTTP/1.1\\r\\n\\r\\n")));
    let answer = std::fs::read_to_string(&file).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.contains("Map it with --map example.com=URL, or run without --offline."), "{answer}");
    let text = run(&mut playing(&["--offline"], &format!("get {file} http://example.com/"))).err;
    assert!(text.contains("not let out: example.com"), "{text}");
    assert_eq!(read_json(&file)["status"], 403);
}

#[test]
fn what_is_no_tunnel_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer").display().to_string();
    let long = format!("CONNECT example.com:443 HTTP/1.1\\r\\nX: {}", "x".repeat(20_000));
    for (request, status) in [
        ("GET http://example.com/ HTTP/1.1\\r\\n\\r\\n", "405 Method Not Allowed"),
        ("CONNECT example.com HTTP/1.1\\r\\n\\r\\n", "400 Bad Request"),
        ("CONNECT user@example.com:443 HTTP/1.1\\r\\n\\r\\n", "400 Bad Request"),
        ("nonsense\\r\\n\\r\\n", "400 Bad Request"),
        ("CONNECT 127.0.0.1:1 HTTP/1.1\\r\\n\\r\\n", "502 Bad Gateway"),
        (&long, "400 Bad Request"),
    ] {
        run(&mut playing(&[], &format!("raw {file} {request}")));
        let answer = std::fs::read_to_string(&file).unwrap();
        // the kernel may drop the answer when bytes were left unread
        let reset = request.len() > 20_000 && answer.is_empty();
        assert!(reset || answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_host_is_a_server_of_ours() {
    let local = Local::start().await;
    let file = local.file("said.json");
    // any HTTPS server on this machine: the other Entra ID says what it is at /, under the Host that it was called by
    let port = local.entra.authority().rsplit_once(':').unwrap().1.to_owned();
    let map = format!("login-us.microsoftonline.com=https://localhost:{port}");
    let part =
        format!("get {file} https://login-us.microsoftonline.com/{TENANT}/v2.0/.well-known/openid-configuration");
    let ca = local.file("ca.pem");
    let flags = ["--offline", "--report", "json", "--map", &map, "--ca-file", &ca];
    let mapped = run(&mut playing(&flags, &part));
    assert_eq!(mapped.code, Some(0), "{}", mapped.err);
    let said = read_json(&file);
    assert_eq!(said["status"], 200, "{said}: the tenant is the other one's");
    assert!(said["text"].as_str().unwrap().contains("https://login-us.microsoftonline.com/"), "{said}");
    let expected = json!([{ "host": "login-us.microsoftonline.com", "verdict": "mapped", "tunnels": 1 }]);
    assert_eq!(report(&mapped.err)["hosts"], expected);

    // a server that the CA file does not cover
    let untrusted = run(&mut playing(&flags[..5], &part));
    assert!(read_json(&file)["error"].is_string());
    assert_eq!(report(&untrusted.err)["hosts"][0]["verdict"], "failed", "{}", untrusted.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_own_proxy_stands_behind_ours() {
    let local = Local::start().await;
    let (file, ca) = (local.file("said"), local.file("ca.pem"));
    let port = local.entra.authority().rsplit_once(':').unwrap().1.to_owned();
    // the outer run is the machine's proxy, the only one that knows the name
    let map = format!("entra.localdomain.test=https://localhost:{port}");
    let nested = |flags: &[&str], part: &str| {
        let this = std::env::current_exe().unwrap();
        let inner = [&["run"], flags, &["--"]].concat();
        let mut command = itself(&["--offline", "--map", &map, "--ca-file", &ca], &inner);
        command.arg(this).args(["--exact", "a_program", "--nocapture"]).env("TEST_PART", part);
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        run(&mut command)
    };
    // 421: it is reached, and does not answer to that name
    let through = nested(&[], &format!("get {file} https://entra.localdomain.test/"));
    assert_eq!(read_json(&file)["status"], 421, "{}", through.err);
    assert!(through.err.contains("let through: entra.localdomain.test"), "{}", through.err);
    assert!(through.err.contains("mapped: entra.localdomain.test"), "{}", through.err);

    nested(&[], &format!("raw {file} CONNECT example.com:443 HTTP/1.1\\r\\n\\r\\n"));
    let answer = std::fs::read_to_string(&file).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    assert!(answer.contains("the proxy of HTTPS_PROXY answered 403"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_entra_id_can_be_used() {
    let local = Local::start().await;
    local.consent();
    let (authority, ca) = (local.entra.authority(), local.file("ca.pem"));
    let mut command =
        itself(&["--offline", "--authority", &authority, "--ca-file", &ca], &["-q", "token", "-s", SCOPE]);
    command.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", CLIENT_ID).env("AZURE_CLIENT_SECRET", &local.secret);
    let got = run(&mut command);
    assert_eq!(got.code, Some(0), "{}", got.err);
    assert!(got.err.contains(&format!("the sign-in log is with {authority}")), "{}", got.err);
    assert_eq!(local.entra.token_requests(), 1);

    let free = Emulator::builder().start().await.unwrap();
    let gone = free.authority();
    free.shutdown().await;
    let nobody = run(&mut apptoken(&["run", "--authority", &gone, "--", "true"]));
    assert_eq!(nobody.code, Some(3), "{}", nobody.err);
}

#[test]
fn the_help_says_what_does_not_work_this_way() {
    let help = run(&mut apptoken(&["run", "--help"])).out;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "The program meets the local Entra ID under Microsoft's own names",
        "For programs that ignore proxies there is --isolated",
        "--offline is no sandbox",
    ] {
        assert!(words.contains(said), "{said}\n{help}");
    }
}

#[test]
fn mistakes_are_named_before_anything_runs() {
    for (flags, said) in [
        (&["--map", "api.contoso.com"][..], "a mapping is written HOST=URL"),
        (&["--map", "a=http://10.0.0.1"], "plain http leads to this machine only"),
        (&["--authority", "http://localhost:1"], "is not an https URL without a path"),
        (&["--authority", "https://localhost:1/contoso"], "is not an https URL without a path"),
        (&["--seed", "/nowhere.json"], "cannot read /nowhere.json"),
        (&["--ca-file", "/nowhere.pem"], "cannot read /nowhere.pem"),
        (&["--report-file", "/nowhere/report.json"], "cannot write /nowhere/report.json"),
        (&["--report-file", "/tmp"], "cannot write /tmp"),
    ] {
        let mistaken = run(&mut playing(flags, "exit 0"));
        assert_eq!(mistaken.code, Some(2), "{}", mistaken.err);
        assert!(mistaken.err.contains(said), "{said}\n{}", mistaken.err);
        assert!(!mistaken.err.contains("are the local Entra ID"), "{}", mistaken.err);
    }
    let nothing = run(&mut apptoken(&["run"]));
    assert_eq!(nothing.code, Some(2));
    for (variable, address, said) in [
        ("HTTPS_PROXY", format!("socks5://{CANARY}:1"), "cannot be used: its scheme is neither http nor https"),
        ("ALL_PROXY", format!("socks5://{CANARY}:1"), "cannot be used: its scheme is neither http nor https"),
        ("HTTPS_PROXY", format!("https://{CANARY}:1"), "cannot stand behind ours: its scheme is not http"),
    ] {
        let mut command = playing(&[], "exit 0");
        let proxied = run(command.env_remove("HTTPS_PROXY").env_remove("https_proxy").env(variable, address));
        assert_eq!(proxied.code, Some(2), "{}", proxied.err);
        assert!(proxied.err.contains(&format!("{variable} names a proxy that {said}")), "{said}\n{}", proxied.err);
    }
}
