//! `apptoken token`.

mod common;

use common::{CLIENT_ID, Local, SCOPE, TENANT, apptoken, run, run_telling_secrets};
use serde_json::Value;
use testkit::CANARY;

#[tokio::test(flavor = "multi_thread")]
async fn printed_in_four_ways() {
    let local = Local::start().await;
    let token = run(&mut local.as_daemon(&["token", "-s", SCOPE]));
    assert_eq!(token.code, Some(0), "{}", token.err);
    assert!(token.out.starts_with("eyJ") && token.out.lines().count() == 1);
    assert!(token.err.contains("app 00001111-aaaa-2222-bbbb-3333cccc4444 (APPTOKEN_CLIENT_ID)"), "{}", token.err);
    assert!(token.err.contains("token for api://todolist/.default from the authority in "), "{}", token.err);
    assert!(token.err.contains("expires in 59 minutes"), "{}", token.err);

    let header = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-o", "header", "-q"]));
    assert!(header.out.starts_with("Authorization: Bearer eyJ"));
    assert_eq!(header.err, "", "--quiet");
    let env = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-o", "env"]));
    assert!(env.out.starts_with("export APPTOKEN_ACCESS_TOKEN=eyJ"));
    let json = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-o", "json"]));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["access_token"].as_str().unwrap().starts_with("eyJ"));
    assert_eq!((&json["scope"], &json["tenant"]), (&SCOPE.into(), &TENANT.into()));
    assert_eq!(local.entra.token_requests(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_shown_without_its_secrets() {
    let local = Local::start().await;
    let id = "33334444-dddd-5555-eeee-6666ffff7777";
    let shown = run(&mut local.as_daemon(&["token", "-s", SCOPE, "--show-request", "--correlation-id", id]));
    for line in [
        "POST /contoso.onmicrosoft.com/oauth2/v2.0/token HTTP/1.1\n",
        "Host: localhost:",
        "Content-Type: application/x-www-form-urlencoded\n",
        "client_id=00001111-aaaa-2222-bbbb-3333cccc4444\n",
        "&scope=api%3A%2F%2Ftodolist%2F.default\n",
        "&client_secret=[redacted]\n",
        "HTTP/1.1 200 OK\n",
        "\"access_token\": \"[redacted]\"",
        "\"expires_in\": 3599",
    ] {
        assert!(shown.err.contains(line), "{line}\n{}", shown.err);
    }
    assert!(shown.err.contains(id), "{}", shown.err);
    assert_eq!(local.entra.sign_ins()[0].correlation_id.to_string(), id);

    let open = run_telling_secrets(&mut local.as_daemon(&["token", "-s", SCOPE, "--show-request", "--show-secrets"]));
    assert!(open.err.contains(&format!("&client_secret={CANARY}-client-secret\n")));
    assert!(open.err.contains(open.out.trim_end()), "the token that it got");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_at_trace_level() {
    let local = Local::start().await;
    let traced = run(local.as_daemon(&["token", "-s", SCOPE]).env("APPTOKEN_LOG", "trace"));
    assert_eq!(traced.code, Some(0));
    assert!(traced.err.contains("TRACE") && traced.err.contains("hyper"), "the log is on");
    let flag = run(&mut local.as_daemon(&["token", "-s", SCOPE, "--log", "apptoken=debug"]));
    assert!(flag.err.contains("apptoken") && !flag.err.contains("TRACE"), "{}", flag.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_code_1_with_the_next_step() {
    let local = Local::start().await;
    let wrong = run(local.as_daemon(&["token", "-s", SCOPE]).env("APPTOKEN_CLIENT_SECRET", format!("{CANARY}-wrong")));
    assert_eq!((wrong.code, wrong.out.as_str()), (Some(1), ""));
    assert!(
        wrong.err.contains("AADSTS7000215") && wrong.err.contains("hint: the client secret is wrong"),
        "{}",
        wrong.err
    );
    let nowhere = run(&mut local.as_daemon(&["token", "-s", "api://nobody/.default"]));
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.err.contains("AADSTS500011"), "{}", nowhere.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_code_2_and_nothing_is_sent() {
    let local = Local::start().await;
    std::fs::write(local.file("empty"), "\n").unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&["-s", "https://graph.microsoft.com/User.Read.All"], "does not end in /.default"),
        (&["-s", SCOPE, "--tenant", "common"], "common"),
        (&["-s", SCOPE, "--authority", "http://login.example.com"], "http"),
        (&["-s", SCOPE, "--client-secret-file", "empty"], "empty is empty"),
        (&["-s", SCOPE, "--client-secret-file", "nowhere"], "cannot read nowhere"),
        (&["-s", SCOPE, "--ca-file", "empty"], "CERTIFICATE"),
        (&["-s", SCOPE, "--ca-file", "empty"], "the CA file empty cannot be used"),
        (&["-s", SCOPE, "--authority", "http://localhost:1"], "hint: secrets travel over TLS only; write https"),
        (&["-s", SCOPE, "--correlation-id", "x"], "this is not a GUID"),
    ];
    for (arguments, says) in cases {
        let said = run(&mut local.as_daemon(&[&["token"], arguments].concat()));
        assert_eq!(said.code, Some(2), "{arguments:?}\n{}", said.err);
        assert!(said.err.contains(says), "{says}\n{}", said.err);
    }
    let no_app = run(&mut local.apptoken(&["token", "-s", SCOPE]));
    assert_eq!(no_app.code, Some(2));
    assert!(no_app.err.contains("neither --client-id nor an appsettings.json"), "{}", no_app.err);
    let no_credential = run(local.as_daemon(&["token", "-s", SCOPE]).env_remove("APPTOKEN_CLIENT_SECRET"));
    assert_eq!(no_credential.code, Some(2));
    assert!(no_credential.err.contains("no credential") && no_credential.err.contains("APPTOKEN_CLIENT_SECRET"));
    let no_tenant = run(local.as_daemon(&["token", "-s", SCOPE]).env_remove("APPTOKEN_TENANT_ID"));
    assert_eq!(no_tenant.code, Some(2));
    assert!(no_tenant.err.contains("hint: give the tenant's id or domain name with --tenant\n"), "{}", no_tenant.err);
    assert_eq!(local.entra.token_requests(), 0);
}

/// The HTTP library would go past each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_cannot_be_used_is_not_gone_past() {
    let local = Local::start().await;
    local.write_settings();
    let token = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-q"])).out;
    let authority = local.entra.authority();
    let commands: [&[&str]; 4] = [
        &["token", "-s", SCOPE],
        &["call", "MyWebApi"],
        &["call", "https://localhost:9/", "-s", SCOPE],
        &["decode", "--authority", &authority, token.trim_end()],
    ];
    for arguments in commands {
        for (name, address, why) in [
            ("HTTPS_PROXY", format!("htp://user:{CANARY}@localhost:1"), "its scheme is neither http nor https"),
            ("https_proxy", format!("socks5://user:{CANARY}@localhost:1"), "its scheme is neither http nor https"),
            ("all_proxy", format!("ftp://user:{CANARY}@localhost"), "its scheme is neither http nor https"),
            ("HTTPS_PROXY", format!("http://user:{CANARY} x@localhost:1"), "it is not a URL of a host and a port"),
            ("HTTPS_PROXY", format!("localhost:1/{CANARY}"), "it is not a URL of a host and a port"),
            ("HTTPS_PROXY", format!("/{CANARY}"), "it has no host"),
        ] {
            let mut command = match arguments {
                ["call", "MyWebApi"] => local.apptoken(arguments),
                _ => local.as_daemon(arguments),
            };
            for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
                command.env_remove(variable);
            }
            let said = run(command.env(name, &address));
            assert_eq!(said.code, Some(2), "{arguments:?} {}", said.err);
            let words = format!("{name} names a proxy that cannot be used: {why}");
            assert!(said.err.contains(&words), "{words}\n{}", said.err);
            assert_eq!(testkit::leak(&said.err), None);
        }
    }
    assert_eq!(local.entra.token_requests(), 1, "that before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_is_not_trusted_has_its_flag_named() {
    let local = Local::start().await;
    local.write_settings();
    for mut command in [local.as_daemon(&["token", "-s", SCOPE]), local.apptoken(&["call", "MyWebApi"])] {
        let said = run(command.env_remove("APPTOKEN_CA_FILE"));
        assert_eq!(said.code, Some(3), "{}", said.err);
        assert!(said.err.contains("CA is given with --ca-file"), "{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_there_is_code_3() {
    let local = Local::start().await;
    // nobody listens on the discard port
    let gone = run(&mut local.as_daemon(&["token", "-s", SCOPE, "--authority", "https://localhost:9"]));
    assert_eq!(gone.code, Some(3), "{}", gone.err);
    local.entra.faults().next_token_requests(
        1,
        apptoken_emulator::Fault::Status {
            status: 429,
            retry_after: Some(std::time::Duration::from_secs(7)),
            body: None,
        },
    );
    let throttled = run(&mut local.as_daemon(&["token", "-s", SCOPE]));
    assert_eq!(throttled.code, Some(3), "{}", throttled.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_variables_will_do() {
    let local = Local::start().await;
    let token = run(apptoken(&["token", "-s", SCOPE])
        .env("AZURE_AUTHORITY_HOST", local.entra.authority())
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", CLIENT_ID)
        .env("AZURE_CLIENT_SECRET", &local.secret)
        .env("APPTOKEN_CA_FILE", local.file("ca.pem"))
        .current_dir(&local.folder));
    assert_eq!(token.code, Some(0), "{}", token.err);
    assert!(token.err.contains("(AZURE_CLIENT_ID)"), "{}", token.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_and_flags_alone_will_do() {
    let local = Local::start().await;
    std::fs::write(local.file("secret"), format!("{}\r\n", local.secret)).unwrap();
    let authority = local.entra.authority();
    let arguments = [
        "token",
        "-s",
        SCOPE,
        "-t",
        TENANT,
        "--client-id",
        CLIENT_ID,
        "--client-secret-file",
        "secret",
        "--authority",
        &authority,
        "--ca-file",
        "ca.pem",
    ];
    let token = run(apptoken(&arguments).current_dir(&local.folder));
    assert_eq!(token.code, Some(0), "{}", token.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_from_cert_new_will_do() {
    let local = Local::start().await;
    std::fs::write(local.file("pw"), format!("{CANARY}-pfx\n")).unwrap();
    let made = run(&mut local.apptoken(&["cert", "new", "daemon", "--pfx-password-file", "pw"]));
    assert_eq!(made.code, Some(0), "{}", made.err);
    let certificate = std::fs::read(local.file("daemon.crt")).unwrap();
    let certificate = apptoken_jose::Certificate::from_pem(&certificate).unwrap().remove(0);
    local.entra.directory().add_certificate(CLIENT_ID, "test", &certificate).unwrap();

    let forms: [&[&str]; 2] = [
        &["--certificate", "daemon.crt", "--key", "daemon.key"],
        &["--certificate", "daemon.pfx", "--password-file", "pw"],
    ];
    for form in forms {
        let base: &[&str] = &["token", "-s", SCOPE, "--show-request"];
        let token = run(local.as_daemon(&[base, form].concat()).env_remove("APPTOKEN_CLIENT_SECRET"));
        assert_eq!(token.code, Some(0), "{form:?}\n{}", token.err);
        let expected = format!("&client_assertion=[redacted: a JWT, alg PS256, x5t#S256 {}]", certificate.x5t_s256());
        assert!(token.err.contains(&expected), "{}", token.err);
    }
    for (variable, file, flags) in [
        ("APPTOKEN_CERTIFICATE", "daemon.crt", ["--key", "daemon.key"]),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "daemon.pfx", ["--password-file", "pw"]),
    ] {
        let mut command = local.as_daemon(&[&["token", "-s", SCOPE], &flags[..]].concat());
        let token = run(command.env_remove("APPTOKEN_CLIENT_SECRET").env(variable, local.file(file)));
        assert_eq!(token.code, Some(0), "{variable}\n{}", token.err);
    }
    for (arguments, says) in [
        (&["--key", "daemon.key"][..], "--key belongs to a certificate, and there is none"),
        (&["--password-file", "pw"], "--password-file belongs to a certificate, and there is none"),
        (&["--client-secret-file", "pw", "--key", "daemon.key"], "cannot be used with"),
        (
            &["--certificate", "daemon.pfx"][..],
            "if it has a password, give it by --password-file or APPTOKEN_CERTIFICATE_PASSWORD",
        ),
        (&["--certificate", "daemon.crt"], "no private key"),
        (&["--certificate", "pw"], "the certificate pw cannot be used"),
    ] {
        let said = run(&mut local.as_daemon(&[&["token", "-s", SCOPE], arguments].concat()));
        assert_eq!(said.code, Some(2), "{arguments:?}");
        assert!(said.err.contains(says), "{says}\n{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appsettings_json_will_do() {
    let local = Local::start().await;
    local.write_settings();
    let token = run(&mut local.apptoken(&["token", "-s", SCOPE]));
    assert_eq!(token.code, Some(0), "{}", token.err);
    assert!(token.err.contains("appsettings.json)"), "{}", token.err);
    let overridden = run(local
        .apptoken(&["token", "-s", SCOPE, "-c", "appsettings.json"])
        .env("AzureAd__ClientCredentials__0__ClientSecret", format!("{CANARY}-other")));
    assert_eq!(overridden.code, Some(1), "the variable wins: {}", overridden.err);
    for flag in ["--certificate", "--key", "--password-file"] {
        let both = run(&mut local.apptoken(&["token", "-s", SCOPE, flag, "x.pfx"]));
        assert_eq!(both.code, Some(2));
        assert!(both.err.contains("--client-id"), "{}", both.err);
    }
}
