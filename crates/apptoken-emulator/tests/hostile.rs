//! Input meant to hurt. Nothing here may panic, block others, or grow without bound.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Entra, describe, good, start, start_with};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const TOKEN: &str = "/contoso.com/oauth2/v2.0/token";

#[tokio::test]
async fn forms() {
    let entra = start().await;
    let many = "a=1&".repeat(5000);
    for (what, body) in [
        ("a lone percent", "grant_type=%".to_owned()),
        ("no UTF-8", "grant_type=%ff%fe".into()),
        ("twice", good(&[]) + "&client_id=x"),
        ("thousands of fields", many),
        ("a name that is no UTF-8", "%ff=1".into()),
    ] {
        let answer = entra.send(entra.post(TOKEN, body)).await;
        assert_eq!((answer.status, &answer.json["error_codes"]), (400, &json!([9002313])), "{what}");
    }
    for body in ["", "&&&&", "=", "====", "grant_type", "\0\0\0", "{\"grant_type\":1}", "<xml/>"] {
        let answer = entra.send(entra.post(TOKEN, body.into())).await;
        assert_eq!((answer.status, &answer.json["error_codes"]), (400, &json!([900144])), "{body:?}");
    }
    let long = "x".repeat(100_000);
    for field in ["grant_type", "client_id", "client_secret", "scope", "client_assertion", "client-request-id"] {
        let changes = [
            (field, long.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
        let answer = entra.token(&changes).await;
        assert!(answer.json.to_string().len() < 2000, "{field}: the answer does not grow with the question");
        assert!(format!("{:?}", entra.last_sign_in()).len() < 5000, "{field}: nor does the log");
    }
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_not_read() {
    let entra = start().await;
    let request = entra.post(TOKEN, "a".repeat(10 << 20));
    match request.send().await {
        Ok(response) => assert_eq!(response.status(), 413),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"), // closed while still sending
    }
    assert_eq!(entra.token(&[]).await.status, 200);
}

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
    let long = format!("/{}/oauth2/v2.0/token", "a".repeat(8000));
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/oauth2/v2.0/token",
        "/contoso.com%2Foauth2%2Fv2.0%2Ftoken",
        "/%00/oauth2/v2.0/token",
        "/%7Btenant%7D/oauth2/v2.0/token",
        "/contoso.com;x/oauth2/v2.0/token",
        "/graph/v1.0",
        "/graph/v1.0/users/a/b/c",
        &long,
    ] {
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let answer = entra.raw(&request).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(["400", "401", "404"].contains(&status), "{path}: {answer}");
    }
}

#[tokio::test]
async fn slow_clients_are_let_go_and_hold_nobody_up() {
    let entra = start_with(describe().limits(|limits| {
        limits.handshake = Duration::from_millis(300);
        limits.head = Duration::from_millis(300);
        limits.body = Duration::from_millis(300);
    }))
    .await;
    let address = entra.address();

    // One that never says hello, one that never ends its head, one that never ends its body.
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut head = entra.tls().await;
    head.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let mut body = entra.tls().await;
    let start = "POST /contoso.com/oauth2/v2.0/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ngrant";
    body.write_all(start.as_bytes()).await.unwrap();

    assert_eq!(entra.token(&[]).await.status, 200, "others are served meanwhile");
    let limit = Duration::from_secs(5);
    let mut byte = [0];
    let end = tokio::time::timeout(limit, silent.read(&mut byte)).await.expect("closed in time");
    assert!(matches!(end, Ok(0) | Err(_)));
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(limit, head.read_to_end(&mut rest)).await.expect("closed in time");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(limit, body.read_to_end(&mut answer)).await.expect("closed in time");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn connections_have_a_bound() {
    let entra = start_with(describe().limits(|limits| limits.connections = 3)).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(entra.tls().await);
    }
    let mut fourth = TcpStream::connect(entra.address()).await.unwrap();
    let mut byte = [0];
    let end = tokio::time::timeout(Duration::from_secs(5), fourth.read(&mut byte)).await.expect("closed at once");
    assert!(matches!(end, Ok(0) | Err(_)));
    drop(held);
    for _ in 0..50 {
        if let Ok(response) = entra.post(TOKEN, good(&[])).send().await {
            return assert_eq!(response.status(), 200);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not served again");
}

#[tokio::test]
async fn plain_bytes_on_the_tls_port() {
    let entra = start().await;
    for bytes in [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0; 64]] {
        let mut tcp = TcpStream::connect(entra.address()).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        drop(tcp);
    }
    assert_eq!(entra.token(&[]).await.status, 200);
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

impl Entra {
    fn address(&self) -> std::net::SocketAddr {
        let port = self.emulator.authority().rsplit_once(':').unwrap().1.parse().unwrap();
        std::net::SocketAddr::from(([127, 0, 0, 1], port))
    }

    async fn tls(&self) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.emulator.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
    }

    /// Bytes that no HTTP library would send.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.tls().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("an end");
        String::from_utf8_lossy(&answer).into_owned()
    }
}
