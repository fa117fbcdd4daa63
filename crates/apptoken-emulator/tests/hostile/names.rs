//! By which name and path it is called, and from where.

use serde_json::Value;

use super::common::{describe, good, start, start_with};
use super::{TOKEN, parts};

#[tokio::test]
async fn a_web_page_that_rebinds_its_name_is_turned_away() {
    let entra = start().await;
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:443", "", "a b"] {
        let answer = entra.raw(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 421 ") || answer.starts_with("HTTP/1.1 400 "), "{host:?} {answer}");
    }
    for bad in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET https://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let answer = entra.raw(bad).await;
        assert!(answer.contains(" 421 ") || answer.contains(" 400 "), "{bad:?} {answer}");
    }
    let own = entra.raw("GET / HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n").await;
    assert!(own.starts_with("HTTP/1.1 200 "), "{own}");
}

#[tokio::test]
async fn paths() {
    let entra = start().await;
    for path in [
        TOKEN,
        "//contoso.com//oauth2/v2.0/token/",
        "/CONTOSO.com/oauth2/v2.0/token",
        "/%63ontoso.com/oauth2/v2.0/token",
    ] {
        assert_eq!(parts(&entra.raw_token(path).await).0, "200", "{path}");
    }
    let long = format!("/{}/oauth2/v2.0/token", "a".repeat(8000));
    for (path, status, code) in [
        ("/contoso.com/oauth2/v2.0/token/x", "404", 0),
        ("/contoso.com/OAUTH2/V2.0/TOKEN", "404", 0),
        ("/../../etc/passwd", "404", 0),
        ("/contoso.com/../contoso.com/oauth2/v2.0/token", "404", 0),
        ("/./contoso.com/oauth2/v2.0/token", "404", 0),
        ("/%2e%2e/oauth2/v2.0/token", "400", 900_023),
        ("/contoso.com%2Foauth2%2Fv2.0%2Ftoken", "404", 0),
        ("/x%2Fcontoso.com/oauth2/v2.0/token", "400", 900_023),
        ("/contoso.com%00/oauth2/v2.0/token", "400", 900_023),
        ("/%7Btenant%7D/oauth2/v2.0/token", "400", 900_023),
        ("/contoso.com;x/oauth2/v2.0/token", "400", 900_023),
        ("/contoso.com./oauth2/v2.0/token", "400", 900_023),
        ("/fabrikam.onmicrosoft.com/oauth2/v2.0/token", "400", 700_016),
        ("/graph/v1.0/users/../users", "401", 0),
        (long.as_str(), "400", 900_023),
    ] {
        let answer = entra.raw_token(path).await;
        let (got, body) = parts(&answer);
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        assert_eq!((got, json["error_codes"][0].as_u64().unwrap_or(0)), (status, code), "{path}: {answer}");
        assert!(body.len() < 2000, "{path}: the answer does not grow with the question");
    }
    entra.still_serves().await;
}

#[tokio::test]
async fn it_does_not_leave_loopback_unless_told_so() {
    testkit::init();
    let error = describe().listen("0.0.0.0:0").start().await.unwrap_err();
    assert!(error.to_string().starts_with("0.0.0.0:0 can be reached from other machines"), "{error}");
    let error = describe().plain_http("0.0.0.0:0").allow_connections_from_other_machines().start().await.unwrap_err();
    assert!(error.to_string().contains("other machines"), "{error}");
    let told = describe().listen("0.0.0.0:0").allow_connections_from_other_machines().start().await.unwrap();
    told.shutdown().await;
    let error = describe().listen("nonsense").start().await.unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on nonsense: "), "{error}");
}

#[tokio::test]
async fn plain_http_on_request_and_on_loopback() {
    let entra = start_with(describe().plain_http("127.0.0.1:0")).await;
    let http = entra.emulator.http_authority().unwrap().to_owned();
    let request = entra
        .client
        .post(format!("{http}{TOKEN}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(good(&[]));
    assert_eq!(entra.send(request).await.status, 200);
    let json = entra.send(entra.client.get(format!("{http}/common/v2.0/.well-known/openid-configuration"))).await.json;
    assert_eq!(json["token_endpoint"], format!("{http}/common/oauth2/v2.0/token"));
    assert_eq!(start().await.emulator.http_authority(), None);
}
