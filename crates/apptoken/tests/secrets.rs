//! Secrets have no voice: not in a log line at trace level (ours, reqwest's, hyper's, rustls's), a `Debug`, or an error.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, Error, SecretString};
use apptoken_emulator::Fault;
use common::{CONTOSO, DAEMON, TODO, World, certificate, secret};

/// An authority that repeats the credential in its refusal.
struct Parrot;

impl Transport for Parrot {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let form = url::form_urlencoded::parse(request.body()).into_owned();
        let said = form.map(|(_, value)| value).collect::<Vec<_>>().join(" ");
        let said = format!("{said} {}", String::from_utf8_lossy(request.body()));
        let body = serde_json::json!({
            "error": "invalid_client", "error_description": format!("AADSTS7000215: {said}"), "suberror": said, "claims": said,
        });
        let mut response = Response::new(body.to_string().into());
        *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        Ok(response)
    }
}

/// Grants, and keeps nothing.
struct Granting;

impl Transport for Granting {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        Ok(Response::new(r#"{"token_type":"Bearer","expires_in":3599,"access_token":"t"}"#.into()))
    }
}

/// Searches this process's own memory: what was freed and not wiped is still there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_secret_leaves_no_trace_in_memory() {
    // never in one piece but in the secret itself
    let hidden: Vec<u8> = uuid::Uuid::new_v4().simple().to_string().bytes().map(|byte| byte ^ 0x80).collect();
    let secret = || {
        let mut text = String::with_capacity(hidden.len());
        text.extend(hidden.iter().map(|byte| char::from(byte ^ 0x80)));
        SecretString::from(text)
    };
    let kept = secret();
    assert_ne!(in_memory(&hidden), 0, "the search finds what is there");
    drop(kept);
    assert_eq!(in_memory(&hidden), 0);
    let client = ConfidentialClient::builder(DAEMON).tenant(CONTOSO).client_secret(secret());
    let client = client.transport(Granting).build().unwrap();
    client.acquire_token_for_client([TODO]).await.unwrap();
    client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    drop(client);
    assert_eq!(in_memory(&hidden), 0);
}

/// How often the text is in what this process can write to.
#[cfg(target_os = "linux")]
fn in_memory(hidden: &[u8]) -> usize {
    use std::io::{Read as _, Seek as _, SeekFrom};

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut found = 0;
    let mut page = vec![0; 1 << 16];
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        while from < to {
            let length = usize::try_from((to - from).min(page.len() as u64)).unwrap();
            if memory.seek(SeekFrom::Start(from)).is_err() || memory.read_exact(&mut page[..length]).is_err() {
                break;
            }
            let here = |window: &[u8]| window.iter().zip(hidden).all(|(byte, hidden)| byte ^ 0x80 == *hidden);
            found += page[..length].windows(hidden.len()).filter(|window| here(window)).count();
            // nothing of it stays behind in the buffer
            page.fill(0);
            from += length as u64;
        }
    }
    found
}

#[tokio::test]
async fn no_secret_is_ever_written() {
    let world = World::start().await;
    let secret_client = world.client();
    let certificate_client = world.bare().certificate(certificate()).build().unwrap();
    let assertion_client = world.bare().client_assertion(|_| async { Ok::<_, Error>(secret()) }).build().unwrap();
    let wrong = world.bare().client_secret(format!("{}-wrong", testkit::CANARY)).build().unwrap();
    let parrot =
        ConfidentialClient::builder(DAEMON).tenant(CONTOSO).client_secret(secret()).transport(Parrot).build().unwrap();
    for client in [&secret_client, &certificate_client, &assertion_client, &wrong, &parrot] {
        testkit::witness(client);
        testkit::witness(&client.acquire_token_for_client([TODO]));
        testkit::witness(&client.token_source(TODO).unwrap());
        for force in [false, true] {
            match client.acquire_token_for_client([TODO]).force_refresh(force).await {
                Ok(token) => {
                    testkit::witness(&token);
                    testkit::witness(&token.metadata());
                    testkit::witness(&token.authorization_header());
                }
                Err(error) => testkit::witness_error(&error),
            }
        }
    }
    for fault in
        [Fault::Garbage, Fault::Truncated, Fault::Reset, Fault::Status { status: 500, retry_after: None, body: None }]
    {
        world.entra.faults().clear();
        world.entra.faults().next_token_requests(4, fault);
        let error = secret_client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap_err();
        testkit::witness_error(&error);
    }
    testkit::witness(&ReqwestTransport::new());
    testkit::witness(&SecretString::from(format!("{}-secret", testkit::CANARY)));
    testkit::witness(&world.entra);

    let log = testkit::logged();
    for line in log.lines() {
        assert_eq!(testkit::leak(line), None, "in a line of {} characters that begins {:.60}", line.len(), line);
    }
    // the search has something to search in: the lines of everyone on the way
    for expected in ["token acquired", "no token", ": hyper", ": rustls", "reqwest", "testkit"] {
        assert!(log.contains(expected), "{expected}");
    }
}
