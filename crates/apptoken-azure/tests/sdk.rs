//! The Azure SDK's own pipeline calls an API over HTTPS with tokens from our client.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use apptoken::{ConfidentialClient, Error};
use apptoken_azure::AzureCredential;
use apptoken_emulator::Emulator;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{ClientOptions, Context, Method, Pipeline, Request, Transport};
use serde_json::{Value, json};
use testkit::CANARY;

const GRAPH: &str = "https://graph.microsoft.com/.default";
const DAEMON: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const CONTOSO: &str = "contoso.onmicrosoft.com";

async fn entra() -> Emulator {
    testkit::init();
    let seed = json!({
        "tenants": [{ "tenantId": "11111111-1111-4111-8111-111111111111", "displayName": "Contoso", "defaultDomain": CONTOSO }],
        "applications": [{
            "appId": DAEMON, "displayName": "Daemon", "homeTenant": CONTOSO,
            "requiredResourceAccess": [{ "resource": "https://graph.microsoft.com", "appRoles": ["User.Read.All"] }],
            "passwordCredentials": [{ "displayName": "test", "secretText": format!("{CANARY}-secret") }],
            "servicePrincipals": [{ "tenant": CONTOSO, "adminConsent": true }],
        }],
    });
    Emulator::builder().seed(serde_json::from_value(seed).unwrap()).start().await.unwrap()
}

fn credential(entra: &Emulator, secret: &str) -> Arc<AzureCredential> {
    let client = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .authority(entra.authority())
        .add_root_certificate_pem(entra.ca_pem())
        .client_secret(format!("{CANARY}-{secret}"));
    Arc::new(AzureCredential::new(client.build().unwrap()))
}

#[tokio::test]
async fn the_sdks_pipeline_calls_an_api() {
    let entra = entra().await;
    let ca = reqwest::Certificate::from_pem(entra.ca_pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_merge([ca]).build().unwrap();
    let options = ClientOptions { transport: Some(Transport::new(Arc::new(http))), ..ClientOptions::default() };
    let bearer = BearerTokenAuthorizationPolicy::new(credential(&entra, "secret"), [GRAPH]);
    let pipeline = Pipeline::new(Some("apptoken-test"), Some("1"), options, Vec::new(), vec![Arc::new(bearer)], None);
    for _ in 0..3 {
        let url = format!("{}/v1.0/users", entra.graph_url()).parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let response = pipeline.send(&Context::new(), &mut request, None).await.unwrap();
        let users: Value = serde_json::from_slice(response.body()).unwrap();
        assert!(users["value"].is_array(), "{users}");
    }
    assert_eq!(entra.token_requests(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_our_error() {
    let entra = entra().await;
    let credential = credential(&entra, "wrong");
    testkit::witness(&credential);
    let error = credential.get_token(&[GRAPH], None).await.unwrap_err();
    testkit::witness_error(&error);
    assert!(matches!(error.kind(), ErrorKind::Credential));
    assert!(error.to_string().contains("AADSTS7000215") && error.to_string().contains("not its Secret ID"), "{error}");
    let ours = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>()).unwrap();
    assert!(ours.denied().unwrap().has_code(7000215));
    let error = credential.get_token(&[GRAPH, "https://vault.azure.net/.default"], None).await.unwrap_err();
    assert!(error.to_string().contains("at a time"), "{error}");
    assert_eq!(entra.token_requests(), 1);
}
