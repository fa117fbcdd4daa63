//! `apptoken init` and `apptoken cert new`: what they write, and what they do not overwrite.

mod common;

use apptoken_jose::{Certificate, SigningKey, pfx};
use common::{GRAPH_SCOPE, Local, TENANT, apptoken, assert_private, run};
use testkit::CANARY;

#[test]
fn init_writes_a_private_file_and_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appsettings.json");
    let made = run(apptoken(&["init"]).current_dir(&folder));
    assert_eq!((made.code, made.out.as_str()), (Some(0), "appsettings.json\n"), "{}", made.err);
    assert_private(&file);
    let again = run(apptoken(&["init"]).current_dir(&folder));
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("appsettings.json exists already") && again.err.contains("--force"), "{}", again.err);
    let forced = run(apptoken(&["init", "--force", "-t", TENANT]).current_dir(&folder));
    assert_eq!(forced.code, Some(0));
    assert!(std::fs::read_to_string(&file).unwrap().contains(TENANT));
    // as long as a placeholder is left, the file is refused with its name
    let refused = run(apptoken(&["call", "MyWebApi"]).current_dir(&folder));
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("appsettings.json") && refused.err.contains("ClientId"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_writes_works() {
    let local = Local::start().await;
    local.consent();
    let (authority, graph) = (local.entra.authority(), format!("{}/v1.0", local.entra.graph_url()));
    let arguments = [
        "init",
        "--tenant",
        TENANT,
        "--client-id",
        common::CLIENT_ID,
        "--authority",
        &authority,
        "--api-url",
        &graph,
        "--api-path",
        "users",
        "--scope",
        GRAPH_SCOPE,
    ];
    let made = run(&mut local.apptoken(&arguments));
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(made.err.contains("AzureAd__ClientCredentials__0__ClientSecret"), "{}", made.err);
    let called =
        run(local.apptoken(&["call", "MyWebApi"]).env("AzureAd__ClientCredentials__0__ClientSecret", &local.secret));
    assert_eq!(called.code, Some(0), "{}", called.err);
    assert!(called.out.contains("Adele Vance"));
}

#[test]
fn init_refuses_what_the_files_readers_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| run(apptoken(&[&["init"], arguments].concat()).current_dir(&folder));
    let secret = format!("{CANARY}-taken-for-the-id");
    for (arguments, says) in [
        (["-t", "contoso"], "the tenant \"contoso\" is neither a GUID nor a domain name"),
        (["-t", "common"], "AzureAd:TenantId names \"common\", which stands for many tenants"),
        (["--client-id", &secret], "AzureAd:ClientId is not a GUID: what belongs there is the application (client) id"),
        (["-s", "https://graph.microsoft.com/User.Read"], "MyWebApi:Scopes:0 cannot be used: the scope https://graph"),
        (["-s", "api://<id>/.default"], "MyWebApi:Scopes:0 still holds the placeholder"),
        (["--api-url", "localhost:44372"], "MyWebApi:BaseUrl is \"localhost:44372\": it must begin with https://"),
        (
            ["--api-url", "http://api.example"],
            "MyWebApi:BaseUrl is \"http://api.example\": a token sent over plain http",
        ),
        (["--api-path", "../admin"], "MyWebApi:RelativePath is \"../admin\": it must stay below BaseUrl"),
        (["--authority", "http://login.example"], "the authority \"http://login.example\" is plain http"),
    ] {
        let refused = init(&arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?} {}", refused.out);
        assert!(refused.err.contains(says), "{says}\n{}", refused.err);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is written");
    let made = init(&["--certificate", "made-later.pfx", "--client-id", common::CLIENT_ID]);
    assert_eq!(made.code, Some(0), "{}", made.err);
}

#[test]
fn cert_new_writes_what_belongs_together() {
    let folder = tempfile::tempdir().unwrap();
    let password = format!("{CANARY}-pfx");
    std::fs::write(folder.path().join("pw"), format!("{password}\n")).unwrap();
    let arguments = ["cert", "new", "daemon", "--days", "90", "--subject", "my daemon", "--pfx-password-file", "pw"];
    let made = run(apptoken(&arguments).current_dir(&folder));
    assert_eq!(made.code, Some(0), "{}", made.err);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let certificate = Certificate::from_pem(&read("daemon.crt")).unwrap().remove(0);
    let key = SigningKey::from_pem(&read("daemon.key"), None).unwrap();
    assert_eq!(certificate.public_key().as_ref(), Ok(key.public_key()));
    let pfx = pfx::open(&read("daemon.pfx"), password.as_bytes()).unwrap();
    assert_eq!(pfx.chain, std::slice::from_ref(&certificate));
    assert!(certificate.subject().contains("my daemon"));
    let days = (certificate.not_after() - certificate.not_before()) / 86_400;
    assert_eq!(days, 90);
    for name in ["daemon.key", "daemon.pfx"] {
        assert_private(folder.path().join(name));
    }
    assert!(made.out.contains(&format!("SHA-1        {}\n", certificate.thumbprint_hex())), "{}", made.out);
    assert_eq!(testkit::leak(&made.out), None);
    assert!(made.err.contains("Upload daemon.crt"), "{}", made.err);

    let again = run(apptoken(&["cert", "new", "daemon"]).current_dir(&folder));
    assert_eq!(again.code, Some(2), "{}", again.err);
    assert_eq!(Certificate::from_pem(&read("daemon.crt")).unwrap(), [certificate], "nothing was overwritten");
    let outside = run(apptoken(&["cert", "new", "../daemon"]).current_dir(&folder));
    assert_eq!(outside.code, Some(2), "{}", outside.err);
}

/// The thumbprints as OpenSSL computes them.
#[test]
fn openssl_agrees_on_the_thumbprints() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(apptoken(&["cert", "new", "daemon"]).current_dir(&folder));
    for (digest, label) in [("-sha1", "SHA-1"), ("-sha256", "SHA-256")] {
        let openssl = std::process::Command::new("openssl")
            .args(["x509", "-in", "daemon.crt", "-noout", "-fingerprint", digest])
            .current_dir(&folder)
            .output();
        let Ok(openssl) = openssl else {
            // nothing to compare with on this machine
            return;
        };
        let said = String::from_utf8(openssl.stdout).unwrap();
        let (_, fingerprint) = said.trim().split_once('=').unwrap();
        let line = format!("{label:<12} {}\n", fingerprint.replace(':', ""));
        assert!(made.out.contains(&line), "{line}\n{}", made.out);
    }
}

#[test]
fn a_certificates_name_stays_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "..", "/", "a/", "a/b", "/tmp"] {
        let refused = run(apptoken(&["cert", "new", name]).current_dir(&folder));
        assert_eq!(refused.code, Some(2), "{name:?}");
        assert!(refused.err.contains("cannot be a file's name") && refused.err.contains("--folder"), "{}", refused.err);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
