//! Plain HTTP goes to loopback only, so never to a proxy, which would read the secret.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::Command;

use apptoken::ConfidentialClient;

#[test]
fn plain_http_goes_past_the_proxy() {
    let (authority, proxy) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    // a process of its own, because the environment is everybody's
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "one_token_from_the_authority", "--ignored"]);
    child.env("AUTHORITY", url(&authority)).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, url(&proxy));
    }
    proxy.set_nonblocking(true).unwrap();
    std::thread::spawn(move || grant(&authority));
    let output = child.output().unwrap();
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the proxy was asked");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
#[ignore = "the other test runs it, in an environment of its own"]
async fn one_token_from_the_authority() {
    let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .authority(std::env::var("AUTHORITY").unwrap())
        .allow_http_loopback(true)
        .client_secret("secret")
        .retry(apptoken::http::RetryPolicy::NONE)
        .build()
        .unwrap();
    let token = client.acquire_token_for_client("https://graph.microsoft.com/.default").await.unwrap();
    assert_eq!(token.secret(), "good");
}

fn grant(authority: &TcpListener) {
    let (mut stream, _) = authority.accept().unwrap();
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&request).contains("grant_type=client_credentials") {
        let length = stream.read(&mut chunk).unwrap();
        request.extend_from_slice(&chunk[..length]);
    }
    let body = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"good"}"#;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
}
