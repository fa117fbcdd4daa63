//! Secrets have no voice: not in a log line at trace level (ours, reqwest's, hyper's, rustls's), a `Debug`, or an error.
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
