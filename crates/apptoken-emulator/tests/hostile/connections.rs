//! Connections that are slow, silent, broken off, or many.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::common::{Entra, describe, good, start, start_with};
use super::{TOKEN, closed, parts};

/// Time for each step of a connection.
pub(super) const SHORT: Duration = Duration::from_millis(300);

pub(super) async fn impatient() -> Entra {
    start_with(describe().limits(|limits| {
        limits.handshake = SHORT;
        limits.head = SHORT;
        limits.body = SHORT;
        limits.write = SHORT;
        limits.shutdown = SHORT;
    }))
    .await
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let entra = impatient().await;
    let mut nothing = TcpStream::connect(entra.address()).await.unwrap();
    let mut half_a_hello = TcpStream::connect(entra.address()).await.unwrap();
    half_a_hello.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap();
    let mut no_request = entra.tls().await;
    let mut no_preface = entra.tls_for(&[b"h2"]).await;
    let mut half_a_preface = entra.tls_for(&[b"h2"]).await;
    half_a_preface.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let mut no_stream = entra.tls_for(&[b"h2"]).await;
    no_stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    entra.still_serves().await;
    closed(&mut nothing).await;
    closed(&mut half_a_hello).await;
    for silent in [&mut no_request, &mut no_preface, &mut half_a_preface, &mut no_stream] {
        closed(silent).await;
    }
    entra.still_serves().await;
}

#[tokio::test]
async fn who_drips_is_let_go() {
    let entra = impatient().await;
    let head = entra.tls().await;
    let mut body = entra.tls().await;
    let start = format!("POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
    body.write_all(start.as_bytes()).await.unwrap();
    let drip = |mut stream: tokio_rustls::client::TlsStream<TcpStream>| async move {
        let _ = stream.write_all(b"G").await;
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut byte = [0; 4096];
            match tokio::time::timeout(Duration::from_millis(1), stream.read(&mut byte)).await {
                Err(_) if stream.write_all(b"a").await.is_ok() => (),
                Ok(Ok(read)) if read > 0 => return String::from_utf8_lossy(&byte[..read]).into_owned(),
                _ => return String::new(),
            }
        }
        panic!("still there after ten times the limit");
    };
    let (head, body, ()) = tokio::join!(drip(head), drip(body), entra.still_serves());
    assert!(head.is_empty() || parts(&head).0 == "408", "{head}");
    assert_eq!(parts(&body).0, "408", "{body}");
    entra.still_serves().await;
}

#[tokio::test]
async fn who_does_not_read_is_let_go() {
    let entra = impatient().await;
    let mut greedy = entra.tls().await;
    let ask = "GET /contoso.com/discovery/v2.0/keys HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let mut taken = 0;
    // when the server has gone, writing fails
    while tokio::time::timeout(10 * SHORT, greedy.write_all(ask.as_bytes())).await.expect("let go").is_ok() {
        taken += 1;
        assert!(taken < 2000, "it goes on taking requests whose answers nobody reads");
    }
    entra.still_serves().await;
}

#[tokio::test]
async fn many_at_once() {
    let entra = start().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut half = TcpStream::connect(entra.address()).await.unwrap();
        half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
        held.push(half);
    }
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(entra.tls().await);
    }
    entra.still_serves().await;
    for stream in &mut open {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    }
    for stream in &mut open {
        assert_eq!(parts(&closed(stream).await).0, "200", "every one of them");
    }
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
