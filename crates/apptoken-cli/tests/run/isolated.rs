//! `--isolated`. A kernel that refuses it fails these tests, in the words that a user gets.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use serde_json::{Value, json};
use testkit::CANARY;

use crate::common::{CLIENT_ID, Local, Run, SCOPE, TENANT, apptoken, run};
use crate::{itself, playing, read_json, report, until};

/// `apptoken run --isolated FLAGS -- PROGRAM`.
fn isolated(flags: &[&str], program: &[&str]) -> Command {
    let mut command = apptoken(&["run", "--isolated", "--report", "json"]);
    command.args(flags).arg("--").args(program);
    command
}

/// What a run said, which went well.
fn good(command: &mut Command) -> Run {
    let ran = run(command);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    ran
}

/// A seed with a machine that has an identity.
fn seed_with_an_identity(folder: &Path) -> String {
    let seed = json!({
        "tenants": [{ "displayName": "Contoso", "defaultDomain": TENANT }],
        "applications": [
            { "displayName": "TodoList API", "identifierUris": ["api://todolist"], "appRoles": [{ "value": "DaemonAppRole" }] },
        ],
        "managedIdentities": [{
            "displayName": "the machine", "systemAssigned": true,
            "appRoleAssignments": [{ "resource": "api://todolist", "appRoles": ["DaemonAppRole"] }],
        }],
    });
    let path = folder.join("seed.json");
    std::fs::write(&path, seed.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn programs_that_know_of_no_proxy_get_a_token() {
    const PYTHON: &str = "import os, json, urllib.parse, urllib.request as u\n\
        e = os.environ\n\
        f = dict(client_id=e['AZURE_CLIENT_ID'], client_secret=e['AZURE_CLIENT_SECRET'], scope='api://todolist/.default', grant_type='client_credentials')\n\
        o = u.build_opener(u.ProxyHandler({}))\n\
        a = o.open('https://login.microsoftonline.com/' + e['AZURE_TENANT_ID'] + '/oauth2/v2.0/token', urllib.parse.urlencode(f).encode())\n\
        print(json.load(a)['token_type'])";
    const NODE: &str = "const e = process.env; \
        const body = new URLSearchParams({ client_id: e.AZURE_CLIENT_ID, client_secret: e.AZURE_CLIENT_SECRET, scope: 'api://todolist/.default', grant_type: 'client_credentials' }); \
        fetch(`https://login.microsoftonline.com/${e.AZURE_TENANT_ID}/oauth2/v2.0/token`, { method: 'POST', body }) \
          .then(a => a.json()).then(t => console.log(t.token_type));";
    const CURL: &str = "curl -sS --noproxy '*' https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token \
        -d grant_type=client_credentials -d client_id=$AZURE_CLIENT_ID --data-urlencode client_secret=$AZURE_CLIENT_SECRET \
        -d scope=api://todolist/.default | grep -o Bearer";
    for program in [["python3", "-c", PYTHON], ["node", "-e", NODE], ["sh", "-c", CURL]] {
        // an inherited proxy would not be reached
        let got = good(
            isolated(&[], &program).env("HTTPS_PROXY", "http://127.0.0.1:9").env("https_proxy", "http://127.0.0.1:9"),
        );
        assert_eq!(got.out, "Bearer\n", "{}", program[0]);
        let report = report(&got.err);
        assert_eq!((&report["tokens"][0]["requests"], &report["tokens"][0]["appId"]), (&json!(1), &json!(CLIENT_ID)));
        let login = json!([{ "host": "login.microsoftonline.com", "verdict": "answered", "tunnels": 1 }]);
        assert_eq!(report["hosts"], login, "{}", program[0]);
    }
}

#[test]
fn the_systems_own_trust_store_holds_the_ca() {
    // without the variables what is left is the system's: curl reads the bundle, openssl the folder
    const SCRIPT: &str = "for name in login.microsoftonline.com graph.microsoft.com login.microsoftonline.us \
        westus2.login.microsoft.com; do \
          curl -sS -o /dev/null -w '%{http_code} ' https://$name/; \
          openssl s_client -verify_return_error -connect $name:443 < /dev/null 2> /dev/null | grep -o 'code: 0 (ok)' | head -n 1; \
        done";
    let got = good(&mut isolated(&[], &["env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", SCRIPT]));
    assert_eq!(got.out, "200 code: 0 (ok)\n".repeat(4), "{}", got.err);
}

#[test]
#[ignore = "needs a JDK"]
fn java_trusts_the_ca_by_its_variable_and_by_its_own_store() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("Get.java");
    let text = "class Get { public static void main(String[] a) throws Exception { \
        System.out.println(((java.net.HttpURLConnection) new java.net.URL(a[0]).openConnection()).getResponseCode()); } }";
    std::fs::write(&source, text).unwrap();
    let get = [source.to_str().unwrap(), "https://login.microsoftonline.com/"];
    let plain = ["env", "-u", "JAVA_TOOL_OPTIONS", "java"];
    for (flag, program) in [("--isolated", &["java"][..]), ("--isolated", &plain), ("--offline", &["java"])] {
        let mut command = apptoken(&["run", flag, "--"]);
        assert_eq!(good(command.args(program).args(get)).out, "200\n", "{flag} {program:?}");
    }
}

#[test]
fn nothing_else_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said.json").display().to_string();
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let beside = format!("http://{}/", outside.local_addr().unwrap());
    for (url, said) in [
        (beside.as_str(), "Connection refused"),
        ("http://1.1.1.1/", "Network is unreachable"),
        ("http://[2606:4700:4700::1111]/", "unreachable"),
        ("https://example.com/", "dns error"),
        ("http://login.microsoftonline.com/", "Connection refused"),
    ] {
        let ran = good(&mut playing(&["--isolated", "--report", "json"], &format!("get {file} {url}")));
        let error = read_json(&file)["error"].to_string();
        assert!(error.contains(said), "{url}: {error}");
        let named = url.contains("example.com");
        let expected =
            if named { json!([{ "host": "example.com", "verdict": "refused", "tunnels": 1 }]) } else { json!([]) };
        assert_eq!(report(&ran.err)["hosts"], expected, "{url}");
    }
    // an address of the machine's network that has another port mapped
    let mapped = ["--map", "169.254.169.254=https://localhost:9", "--map", "10.20.30.40:8443=https://localhost:9"];
    let own = good(&mut isolated(&mapped, &["curl", "-sS", "http://169.254.169.254/metadata/identity/oauth2/token"]));
    assert!(own.out.contains("invalid_request"), "the local Entra ID's, not this machine's: {}", own.out);
    assert_eq!(report(&own.err)["hosts"], json!([{ "host": "169.254.169.254", "verdict": "answered", "tunnels": 1 }]));
    assert_eq!(outside.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the program came out of its network");
}

#[tokio::test(flavor = "multi_thread")]
async fn mapped_hosts_and_a_running_entra_id_are_reached() {
    let local = Local::start().await;
    local.consent();
    let (authority, ca, file) = (local.entra.authority(), local.file("ca.pem"), local.file("said.json"));
    let port = authority.rsplit_once(':').unwrap().1;
    let given = ["--isolated", "--authority", &authority, "--ca-file", &ca];
    let mut token = itself(&given, &["-q", "token", "-s", SCOPE]);
    token.env("AZURE_TENANT_ID", TENANT).env("AZURE_CLIENT_ID", CLIENT_ID).env("AZURE_CLIENT_SECRET", &local.secret);
    let got = good(&mut token);
    assert!(got.out.starts_with("eyJ"), "{}", got.err);
    assert_eq!(local.entra.token_requests(), 1);

    // 421: another server of ours, that does not answer to this name
    for (name, status) in
        [("api.contoso.test", 421), ("10.20.30.40:8443", 200), ("login-us.microsoftonline.com:9443", 200)]
    {
        let map = format!("{name}=https://localhost:{port}");
        let flags = ["--isolated", "--report", "json", "--map", &map, "--ca-file", &ca];
        let mapped = good(&mut playing(&flags, &format!("get {file} https://{name}/")));
        assert_eq!(read_json(&file)["status"], status, "{name}: {}", read_json(&file));
        let host = name.split(':').next().unwrap();
        assert_eq!(report(&mapped.err)["hosts"], json!([{ "host": host, "verdict": "mapped", "tunnels": 1 }]));
    }
    // its own address, as its variable has it
    let own = good(&mut isolated(
        &[],
        &["sh", "-c", "curl -sS $APPTOKEN_EMULATOR_AUTHORITY/portal -o /dev/null -w %{http_code}"],
    ));
    assert_eq!(own.out, "200", "{}", own.err);
}

#[test]
fn the_instance_metadata_service_is_where_it_is_in_azure() {
    let folder = tempfile::tempdir().unwrap();
    let seed = seed_with_an_identity(folder.path());
    let url = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://todolist";
    let got = good(&mut isolated(&["--seed", &seed], &["curl", "-sS", "-H", "Metadata: true", url]));
    let answer: Value = serde_json::from_str(&got.out).unwrap();
    assert!(
        answer["access_token"].as_str().unwrap().starts_with("eyJ"),
        "the token is the program's: {}",
        answer["error"]
    );
    let said = report(&got.err);
    assert_eq!(said["tokens"][0]["appDisplayName"], "the machine");
    assert_eq!(said["hosts"], json!([{ "host": "169.254.169.254", "verdict": "answered", "tunnels": 1 }]));

    let without =
        good(&mut isolated(&["--seed", &seed], &["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url]));
    assert_eq!(without.out, "400", "without its header");
}

#[test]
fn every_platforms_endpoint_is_in_the_programs_network() {
    for (platform, script) in [
        (
            "app-service",
            "curl -sS -H \"X-IDENTITY-HEADER: $IDENTITY_HEADER\" \"$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=api://todolist\"",
        ),
        (
            "imds",
            "curl -sS -H Metadata:true \"${AZURE_POD_IDENTITY_AUTHORITY_HOST-http://169.254.169.254}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://todolist\"",
        ),
        ("cloud-shell", "curl -sS -H Metadata:true -d resource=api://todolist $MSI_ENDPOINT"),
        (
            "machine-learning",
            "curl -sS -H \"secret: $MSI_SECRET\" \"$MSI_ENDPOINT?api-version=2017-09-01&resource=api://todolist&clientid=\"",
        ),
        (
            "service-fabric",
            "curl -sS -H \"secret: $IDENTITY_HEADER\" \"$IDENTITY_ENDPOINT?api-version=2019-07-01-preview&resource=api://todolist\"",
        ),
    ] {
        for ways in [&["--isolated"][..], &[]] {
            let script = format!("test -z \"$AZURE_CLIENT_ID\" && {script}");
            let mut command = apptoken(&["run", "--report", "json", "--managed-identity", platform]);
            command.args(ways).args(["--", "sh", "-c", &script]).env("NO_PROXY", "");
            let got = good(&mut command);
            assert!(got.out.contains("\"access_token\":\"eyJ"), "{platform} {ways:?}: {}", got.err);
            let asked = &report(&got.err)["tokens"][0];
            assert_eq!(
                (&asked["appDisplayName"], &asked["roles"]),
                (&json!("TodoList machine"), &json!(["DaemonAppRole"]))
            );
        }
    }
}

/// As its clients do: the challenge, the file that it names, the token.
const ARC: &str = "ask() { curl -sS -H Metadata:true \"$@\" \"$IDENTITY_ENDPOINT?api-version=2020-06-01&resource=api://todolist\"; }; \
    file=$(ask -D - -o /dev/null | sed -n 's/^www-authenticate: Basic realm=//ip' | tr -d '\\r') && \
    test $(dirname $file) = /var/opt/azcmagent/tokens && test -n \"$IMDS_ENDPOINT\" && \
    ask -H \"Authorization: Basic $(cat $file)\"";

#[test]
fn arcs_key_files_are_where_its_clients_look_for_them() {
    let beside = |folder: &str| {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "azcmagent").collect();
        names.sort();
        names
    };
    let mut command =
        isolated(&["--managed-identity", "arc"], &["sh", "-c", &format!("{ARC}; echo; ls -A /var/opt /var")]);
    let got = good(&mut command);
    let (token, listed) = got.out.split_once('\n').unwrap();
    assert!(token.contains("\"access_token\":\"eyJ"), "{}\n{}", got.out, got.err);
    let asked = &report(&got.err)["tokens"][0];
    assert_eq!((&asked["appDisplayName"], &asked["roles"]), (&json!("TodoList machine"), &json!(["DaemonAppRole"])));
    // what stands beside it the program sees as ever, and the machine sees nothing of it
    for name in [beside("/var"), beside("/var/opt"), vec!["azcmagent".to_owned()]].concat() {
        assert!(listed.lines().any(|line| line == name), "{name} is gone\n{listed}");
    }
    let refused = run(&mut apptoken(&["run", "--managed-identity", "arc", "--", "true"]));
    assert_eq!(refused.code, Some(2));
    for said in
        ["arc needs --isolated: its clients read key files from /var/opt/azcmagent/tokens", "hint: with --isolated"]
    {
        assert!(refused.err.contains(said), "{}", refused.err);
    }
}

#[test]
fn streams_and_exit_codes_are_the_programs() {
    let echo = isolated(&["-q"], &["sh", "-c", "read line; echo out $line; echo err >&2; exit 42"])
        .write_stdin("in\n")
        .output()
        .unwrap();
    assert_eq!(echo.status.code(), Some(42));
    assert_eq!(echo.stdout, b"out in\n");
    let err = String::from_utf8(echo.stderr).unwrap();
    assert!(err.starts_with("err\n{"), "{err}");
    let aborted = run(&mut playing(&["--isolated", "--report", "json"], "abort"));
    assert_eq!((aborted.code, &report(&aborted.err)["signal"]), (Some(128 + 6), &json!(6)));
    let missing = run(&mut isolated(&[], &["no-such-program-anywhere"]));
    assert_eq!(missing.code, Some(127), "{}", missing.err);
    assert!(missing.err.contains("no-such-program-anywhere cannot be run: No such file"), "{}", missing.err);
    let not_one = run(&mut isolated(&[], &["/"]));
    assert_eq!(not_one.code, Some(126), "{}", not_one.err);
}

#[test]
fn signals_reach_the_program_and_it_dies_with_us() {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = |id: u32| Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    for (flags, signal, code) in [
        (&["--isolated"][..], Signal::TERM, Some(128 + 15)),
        (&["--isolated"], Signal::USR1, Some(128 + 10)),
        (&["--isolated"], Signal::KILL, None),
        (&[], Signal::KILL, None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let mut running = std::process::Command::new(assert_cmd::cargo::cargo_bin("apptoken"))
            .args(["-q", "run"])
            .args(flags)
            .arg("--")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_program", "--nocapture"])
            .env("TEST_PART", format!("wait {}", ready.display()))
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = || std::fs::read_to_string(&ready).is_ok_and(|text| !text.is_empty());
        assert!(until(started), "the program did not start");
        let program: u32 = std::fs::read_to_string(&ready).unwrap().parse().unwrap();
        kill_process(pid(running.id()), signal).unwrap();
        assert_eq!(running.wait().unwrap().code(), code, "{signal:?}");
        let ended = || match std::fs::read_to_string(format!("/proc/{program}/stat")) {
            // nobody waits for it any more, perhaps not even the first process
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        assert!(until(ended), "{flags:?} {signal:?}: {program} is an orphan");
    }
}

#[test]
fn the_program_is_the_user_that_it_was_and_may_do_no_more() {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let got = good(&mut isolated(&[], &["cat", "/proc/self/status"]));
    let field = |status: &str, name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(field(&got.out, "Uid:"), field(&own, "Uid:"));
    assert_eq!(field(&got.out, "Gid:"), field(&own, "Gid:"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        let bits = |status: &str| u64::from_str_radix(&field(status, set), 16).unwrap();
        assert_eq!(bits(&got.out) & !bits(&own), 0, "{set} {:x} of {:x}", bits(&got.out), bits(&own));
    }
}

/// The program where an ordinary user, and a user in a namespace, can run it; with a prefix that makes root one.
fn for_everyone(folder: &Path) -> String {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("apptoken");
    std::fs::copy(assert_cmd::cargo::cargo_bin("apptoken"), &program).unwrap();
    program.display().to_string()
}

#[test]
fn an_ordinary_user_needs_no_root() {
    let folder = tempfile::tempdir().unwrap();
    let program = for_everyone(folder.path());
    let root = rustix::process::geteuid().is_root();
    let ordinary = if root { "setpriv --reuid=65534 --regid=65534 --clear-groups" } else { "" };
    let script = format!(
        "cd / && exec {ordinary} {program} -q run --isolated -- sh -c \
         'id -u; grep CapEff /proc/self/status; curl -sS https://login.microsoftonline.com/ | head -c 9'"
    );
    let got = good(Command::new("sh").args(["-c", &script]).env_remove("TMPDIR"));
    let user = if root { "65534".to_owned() } else { rustix::process::geteuid().as_raw().to_string() };
    assert_eq!(got.out, format!("{user}\nCapEff:\t0000000000000000\nThis is a"), "{}", got.err);
    std::fs::write(folder.path().join("arc.sh"), ARC).unwrap();
    let under_arc = "run --isolated --managed-identity arc -- sh arc.sh";
    let script = format!("cd {} && exec {ordinary} {program} -q {under_arc}", folder.path().display());
    let got = good(Command::new("sh").args(["-c", &script]).env_remove("TMPDIR"));
    assert!(got.out.contains("\"access_token\":\"eyJ"), "{}\n{}", got.out, got.err);
}

#[test]
fn a_program_of_roots_may_go_on_as_someone_else() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let curl = "setpriv --reuid=65534 --regid=65534 --clear-groups curl -sS https://login.microsoftonline.com/";
    for way in [&["--isolated"][..], &[]] {
        // what it may read it may; the way by which it came to be is root's
        let script = format!("umask 0; {curl} | head -c 9; ls -ld $(dirname $SSL_CERT_FILE)/launch | head -c 10");
        let mut command = apptoken(&["-q", "run"]);
        let got = good(command.args(way).args(["--", "sh", "-c", &script]).env_remove("TMPDIR"));
        assert_eq!(got.out, "This is adrwx------", "{way:?} {}", got.err);
    }
}

#[test]
fn a_kernel_that_refuses_is_named_and_the_proxy_still_works() {
    let folder = tempfile::tempdir().unwrap();
    let program = for_everyone(folder.path());
    // a nested namespace in which there may be no other; root there, but not of networks
    let refusing = |arguments: &str| {
        let script = format!(
            "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-net_admin --inh-caps=-all \
             {program} {arguments}"
        );
        run(Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", &script])
            .env("APPTOKEN_NO_CACHE", "1"))
    };
    let refused = refusing("run --isolated -- echo it runs");
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{}", refused.err);
    for said in [
        "this machine does not let --isolated work: unshare(CLONE_NEWUSER) failed: No space left on device",
        "user.max_user_namespaces is 0; sysctl -w user.max_user_namespaces=",
        "without --isolated nothing of that is needed: programs are led here by HTTPS_PROXY",
    ] {
        assert!(refused.err.contains(said), "{said}\n{}", refused.err);
    }
    let proxied = refusing(&format!("run -- {program} -q token -s {SCOPE}"));
    assert_eq!(proxied.code, Some(0), "{}", proxied.err);
    assert!(proxied.out.starts_with("eyJ"));
}

#[test]
fn the_plan_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy").display().to_string();
    // what stands in the private folder while the program runs
    let script = format!("cat $(dirname $SSL_CERT_FILE)/launch/plan.json > {copy}");
    good(
        isolated(&[], &["sh", "-c", &script, &format!("{CANARY}-argument")])
            .env("AZURE_CLIENT_SECRET", format!("{CANARY}-variable")),
    );
    let plan = std::fs::read_to_string(copy).unwrap();
    assert!(plan.contains("/etc/hosts"), "{plan}");
    assert_eq!(testkit::leak(&plan), None, "in the plan");
}
