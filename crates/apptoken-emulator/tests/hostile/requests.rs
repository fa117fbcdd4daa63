//! Bodies.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::common::{good, start};
use super::{TOKEN, closed, parts};

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
    for framing in ["Content-Length: 10485760", "Transfer-Encoding: chunked"] {
        let mut stream = entra.tls().await;
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let head = format!("POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n{framing}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut sent = 0;
        let chunk =
            if framing.starts_with('T') { format!("10000\r\n{}\r\n", "a".repeat(65536)) } else { "a".repeat(65536) };
        while sent < 10 << 20 && stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 65536;
        }
        assert!(sent < 5 << 20, "{framing}: {sent} bytes were taken");
        entra.still_serves().await;
    }
    // 129 KiB fit on the way, and are answered
    let answer = entra.send(entra.post(TOKEN, "a".repeat(129 * 1024))).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (413, &json!([9002313])));
    let said = answer.json["error_description"].as_str().unwrap();
    assert!(said.contains("the body is longer than 131072 bytes"), "{said}");
}

/// An answer that comes before the body, and the reset after it (RFC 9113 §8.1), are an error to curl before 8.
#[tokio::test]
async fn over_http2_who_is_turned_away_hears_why() {
    let entra = start().await;
    for path in ["/admin/faults", "/nothing", "/graph/v1.0/me", "/portal/apps"] {
        let mut stream = entra.tls_for(&[b"h2"]).await;
        let mut fields = vec![0x83, 0x87]; // POST, https
        for (name, value) in [(1, "localhost"), (4, path)] {
            fields.extend([name, u8::try_from(value.len()).unwrap()]);
            fields.extend(value.as_bytes());
        }
        let mut head = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        head.extend([0, 0, u8::try_from(fields.len()).unwrap(), HEADERS, END_OF_HEADERS, 0, 0, 0, 1]);
        head.extend(fields);
        stream.write_all(&head).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let body = [0, 0, 2, DATA, END_OF_STREAM, 0, 0, 0, 1, b'{', b'}'];
        let ping = [0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        stream.write_all(&body).await.unwrap();

        let (mut answered, mut ponged) = (false, false);
        while !ponged {
            let mut head = [0; 9];
            let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut head)).await;
            read.expect(path).unwrap();
            let [_, high, low, kind, flags, .., of] = head;
            let mut payload = vec![0; usize::from(high) << 8 | usize::from(low)];
            stream.read_exact(&mut payload).await.unwrap();
            assert_ne!(kind, RESET, "{path}: {payload:?}");
            if of == 1 && flags & END_OF_STREAM != 0 {
                answered = true;
                stream.write_all(&ping).await.unwrap();
            }
            ponged = kind == PING && flags & 1 == 1;
        }
        assert!(answered, "{path}");
    }
    entra.still_serves().await;
}

#[tokio::test]
async fn lengths_that_contradict_themselves() {
    let entra = start().await;
    let body = good(&[]);
    for framing in [
        "Content-Length: 5\r\nContent-Length: 6".to_owned(),
        "Content-Length: -1".into(),
        "Content-Length: 18446744073709551616".into(),
        "Transfer-Encoding: gzip".into(),
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked", body.len()),
    ] {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
        let answer =
            entra.raw(&format!("POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n{framing}\r\n\r\n{body}")).await;
        assert_eq!(parts(&answer).0, "400", "{framing}: {answer}");
    }
    // more than was announced is no second request of anybody's
    let mut stream = entra.tls().await;
    let kind = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
    let head = format!("POST {TOKEN} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: 5\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = closed(&mut stream).await;
    assert_eq!((parts(&answer).0, answer.matches("HTTP/1.1").count()), ("400", 1), "{answer}");
    entra.still_serves().await;
}

// HTTP/2 frames (RFC 9113 §6): types, flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const PING: u8 = 6;
const END_OF_STREAM: u8 = 1;
const END_OF_HEADERS: u8 = 4;
