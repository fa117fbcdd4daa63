//! A managed identity in a container with nothing in it: the process's own variables, no trusted roots, and a proxy that
//! must not be asked.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod stub;

use std::process::Command;

use apptoken::{EnvironmentClient, EnvironmentCredential, ManagedIdentityClient, ManagedIdentitySource};
use stub::Stub;
use stub::imds::{VAULT, grant, platform_secret};

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_is_asked_and_nothing_else() {
    let function = Stub::start(|request| match request.header("x-identity-header") {
        Some(header) if header == platform_secret() => grant("bare"),
        _ => stub::json(401, &serde_json::json!({})),
    })
    .await;
    let proxy = Stub::start(|_| stub::json(200, &serde_json::json!({}))).await;
    // a process of its own, because the environment is everybody's
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_token_from_the_platform", "--ignored"]).env_clear();
    child.env("IDENTITY_ENDPOINT", function.url("/msi/token")).env("IDENTITY_HEADER", platform_secret());
    child.env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, proxy.url(""));
    }
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((function.requests(), proxy.requests()), (2, 0));
}

#[tokio::test]
#[ignore = "the other test runs it, in an environment of its own"]
async fn a_token_from_the_platform() {
    let client = ManagedIdentityClient::system_assigned().build().unwrap();
    assert_eq!(client.source(), ManagedIdentitySource::AppService);
    assert_eq!(client.acquire_token(VAULT).await.unwrap().secret(), "bare");
    let client = EnvironmentClient::from_environment().unwrap();
    assert_eq!(client.selection().chosen, EnvironmentCredential::ManagedIdentity);
    assert_eq!(client.acquire_token("https://vault.azure.net/.default").await.unwrap().secret(), "bare");
}
