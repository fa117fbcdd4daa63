//! `apptoken decode`.

mod common;

use common::{Local, SCOPE, apptoken, run};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn in_words() {
    let local = Local::start().await;
    let token = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-o", "header"])).out;
    let said = run(apptoken(&["decode"]).write_stdin(token.as_str()));
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in [
        "An app-only access token, version 1.0\n",
        "signature not checked: anyone could have written this",
        "for      api://todolist  aud\n",
        "proof    a client secret  appidacr\n",
        "missing  roles: the app was granted none on this API",
        "\nheader\n",
        "  alg                \"RS256\"\n",
        "\nclaims\n",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    assert_eq!(testkit::leak(&said.out), None, "the token itself is not repeated");

    local.consent();
    let token = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-q"])).out;
    let said = run(&mut apptoken(&["decode", token.trim_end()]));
    assert!(said.out.contains("roles    DaemonAppRole  roles\n") && !said.out.contains("missing"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signature_is_checked_when_asked() {
    let local = Local::start().await;
    let token = run(&mut local.as_daemon(&["token", "-s", SCOPE, "-q"])).out;
    let token = token.trim_end();
    let authority = local.entra.authority();
    let checked = run(local.apptoken(&["decode", "--authority", &authority]).write_stdin(token));
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    assert!(checked.out.contains("signature checked: key "), "{}", checked.out);
    let json = run(local.apptoken(&["decode", "--json", "--authority", &authority]).write_stdin(token));
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["signature"], &json["claims"]["aud"]), (&"good".into(), &"api://todolist".into()));
    assert_eq!(json["header"]["alg"], "RS256");

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{signed}.{first}{}", &signature[1..]);
    let wrong = run(local.apptoken(&["decode", "--authority", &authority]).write_stdin(forged));
    assert_eq!(wrong.code, Some(1));
    assert!(
        wrong.out.contains("signature wrong") && wrong.err.contains("the signature does not hold"),
        "{}",
        wrong.err
    );
    // keys of somebody else
    std::fs::write(local.file("jwks.json"), "{\"keys\":[]}").unwrap();
    let other = run(local.apptoken(&["decode", "--jwks", "jwks.json"]).write_stdin(token));
    assert_eq!(other.code, Some(1));
    assert!(other.out.contains("there is no key"), "{}", other.out);
    let gone = run(local.apptoken(&["decode", "--authority", "https://localhost:9"]).write_stdin(token));
    assert_eq!(gone.code, Some(3), "{}", gone.err);
}

#[test]
fn what_is_no_token() {
    for (text, says) in [
        ("", "no token"),
        ("opaque", "three parts"),
        ("cut.off", "see that it is whole"),
        ("a.b.c", "cannot be read as a token"),
    ] {
        let said = run(apptoken(&["decode"]).write_stdin(text));
        assert_eq!(said.code, Some(2), "{text:?}");
        assert!(said.err.contains(says), "{says}\n{}", said.err);
    }
}

#[test]
fn a_files_name_and_what_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token.txt"), "a.b.c").unwrap();
    let named = run(apptoken(&["decode", "token.txt"]).current_dir(&folder));
    assert!(named.code == Some(2) && named.err.contains("hint: it is the name of a file: apptoken decode < token.txt"));
    let bytes = run(apptoken(&["decode"]).write_stdin([0xff, 0xfe].as_slice()));
    assert!(bytes.code == Some(2) && bytes.err.contains("standard input cannot be read"), "{}", bytes.err);
}

#[test]
fn a_token_does_not_paint_over_the_verdict() {
    let encode = |json: Value| apptoken_jose::base64url::encode(json.to_string().as_bytes());
    let header = encode(serde_json::json!({ "alg": "RS256", "kid": "\u{1b}[1A", "\u{1b}[2J": "\u{9b}2J" }));
    let claims = encode(serde_json::json!({ "aud": "a\u{1b}[2A\rsignature checked: key", "ver": "\u{7}", "exp": 1 }));
    // colours forced, so that nothing is left out on the way into the pipe
    let mut command = apptoken(&["decode"]);
    let said = run(command.env("CLICOLOR_FORCE", "1").write_stdin(format!("{header}.{claims}.AAAA")));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let styles = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m"];
    let bare = styles.iter().fold(said.out.clone(), |text, style| text.replace(style, ""));
    assert!(said.out.contains("\u{1b}[31m"), "{:?}", said.out);
    assert_eq!(bare.find(|c: char| c.is_control() && c != '\n'), None, "{bare:?}");
    assert!(bare.contains("for      a\u{fffd}[2A\u{fffd}signature checked: key  aud\n"), "{bare:?}");
}
