//! Heads of requests.

use super::common::{client, start};
use super::{TOKEN, parts};

#[tokio::test]
async fn heads_have_a_bound() {
    let entra = start().await;
    let get = |more: &str| format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
    let fits = get(&format!("X: {}\r\n", "a".repeat(40_000)));
    assert_eq!(parts(&entra.raw(&fits).await).0, "200");
    let long = get(&format!("X: {}\r\n", "a".repeat(200_000)));
    let many = get(&(0..200).map(|n| format!("X-{n}: a\r\n")).collect::<String>());
    for head in [long, many] {
        assert_eq!(parts(&entra.raw(&head).await).0, "431");
        entra.still_serves().await;
    }
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "a".repeat(200_000));
    let answer = entra.raw(&path).await;
    assert!(["414", "431"].contains(&parts(&answer).0), "{answer}");
    entra.still_serves().await;
}

#[tokio::test]
async fn so_have_those_of_http_2() {
    let entra = start().await;
    let client = client(&entra.emulator).http2_prior_knowledge().build().unwrap();
    let get = |length: usize| client.get(entra.url("/")).header("x", "a".repeat(length)).send();
    assert_eq!(get(10_000).await.unwrap().status(), 200);
    match get(60_000).await {
        Ok(answer) => assert_eq!(answer.status(), 431),
        Err(error) => assert!(error.is_request(), "{error:?}"), // the stream was reset while it was still sent
    }
    assert_eq!(get(10_000).await.unwrap().status(), 200, "the same connection goes on");
}

#[tokio::test]
async fn what_is_no_http() {
    let entra = start().await;
    for bytes in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n",
        "GET / HTTP/1.1\r\nHo\0st: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02",
    ] {
        let mut stream = entra.tls().await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, bytes.as_bytes()).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.unwrap();
        let answer = super::closed(&mut stream).await;
        assert!(answer.is_empty() || parts(&answer).0 == "400", "{bytes:?}: {answer}");
    }
    let odd = entra.raw(&format!("BREW {TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
    assert_eq!(parts(&odd).0, "400");
    assert!(parts(&odd).1.contains("AADSTS900561"), "{odd}");
    entra.still_serves().await;
}
