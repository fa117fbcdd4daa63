//! The whole way over real HTTPS: the local Entra ID issues, the API judges.

use std::time::Duration;

use apptoken_emulator::{Emulator, IssuerMode};
use apptoken_protect::{BuildError, Protect};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::caller::api;
use crate::tokens::{API, APP, TENANT};

const LEGACY_API: &str = "66667777-aaaa-8888-bbbb-9999cccc0000";
pub(crate) const DOMAIN: &str = "contoso.onmicrosoft.com";

#[tokio::test(flavor = "multi_thread")]
async fn from_401_to_200() {
    testkit::init();
    for issuers in [IssuerMode::Entra, IssuerMode::Local] {
        for (resource, client_id, version) in [("api://todolist", API, "2.0"), ("api://legacy", LEGACY_API, "1.0")] {
            let start = Emulator::builder().seed_json(&seed()).unwrap().issuer_mode(issuers).start();
            let entra = start.await.unwrap();
            walk(&entra, resource, client_id, version).await;
            entra.shutdown().await;
        }
    }
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

/// One API, from a caller without a token to one who may.
async fn walk(entra: &Emulator, resource: &str, client_id: &str, version: &str) {
    let protect = guard(entra, resource).client_id(client_id).unwrap().build().await.unwrap();
    let (url, client) = serve(protect.clone()).await;
    let todo = async |token: Option<&str>| {
        let mut request = client.get(format!("{url}/todo"));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = request.send().await.unwrap();
        let challenge = answer.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), challenge.unwrap_or_default(), answer.text().await.unwrap())
    };

    let (status, challenge, _) = todo(None).await;
    assert_eq!(status, 401);
    let authorize = format!(r#"authorization_uri="{}/{TENANT}/oauth2/authorize""#, entra.authority());
    assert!(challenge.contains(&authorize) && challenge.contains(client_id), "{challenge}");

    let before = token(entra, resource).await;
    let (status, challenge, body) = todo(Some(&before)).await;
    assert_eq!(status, 403, "{body}");
    assert!(challenge.contains("insufficient_scope") && body.contains("roles_absent"), "{challenge} {body}");

    entra.directory().grant_admin_consent(DOMAIN, APP).unwrap();
    let (status, ..) = todo(Some(&before)).await;
    assert_eq!(status, 403, "a token does not learn of a later consent");
    let after = token(entra, resource).await;
    let (status, _, body) = todo(Some(&after)).await;
    assert_eq!((status, body.as_str()), (200, APP));
    let caller = protect.validate(&after).await.unwrap();
    assert_eq!((caller.claims()["ver"].as_str(), caller.tenant_id()), (Some(version), TENANT));
    assert!(caller.is_app_only() && caller.has_role("DaemonAppRole"));

    let graph = token(entra, "https://graph.microsoft.com").await;
    let (status, challenge, body) = todo(Some(&graph)).await;
    assert_eq!(status, 401, "{body}");
    assert!(challenge.contains("invalid_token") && body.contains("audience_mismatch"), "{body}");

    entra.clock().advance(Duration::from_secs(2 * 3600));
    let (status, _, body) = todo(Some(&after)).await;
    assert_eq!(status, 401);
    assert!(body.contains("expired"), "{body}");
    let fresh = token(entra, resource).await;
    assert_eq!(todo(Some(&fresh)).await.0, 200);

    entra.rotate_signing_key().await.unwrap();
    let of_new_key = token(entra, resource).await;
    assert_ne!(of_new_key.split('.').next(), fresh.split('.').next(), "another kid");
    assert_eq!(todo(Some(&of_new_key)).await.0, 200);
    assert_eq!(todo(Some(&fresh)).await.0, 200, "the old key is still published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_must_be_trusted_and_a_tenant_must_exist() {
    testkit::init();
    let entra = Emulator::builder().seed_json(&seed()).unwrap().start().await.unwrap();
    let untrusting = Protect::api("api://todolist").tenant(TENANT).authority(entra.authority()).build().await;
    let Err(BuildError::Metadata { source, .. }) = untrusting else { panic!("{untrusting:?}") };
    assert!(source.to_string().contains("add_root_certificate_pem"), "{source}");
    let lost = guard(&entra, "api://todolist").tenant("nowhere.example").build().await;
    let Err(BuildError::Metadata { source, .. }) = lost else { panic!("{lost:?}") };
    assert!(source.to_string().contains("was answered 400: AADSTS90002"), "{source}");
    // By its domain the tenant is found, and its id learnt.
    let found = guard(&entra, "api://todolist").tenant(DOMAIN).client_id(API).unwrap().build().await;
    assert!(found.is_ok(), "{found:?}");
    entra.shutdown().await;
}

pub(crate) fn guard(entra: &Emulator, resource: &str) -> apptoken_protect::ProtectBuilder {
    let clock = entra.clock().clone();
    Protect::api(resource)
        .tenant(TENANT)
        .authority(entra.authority())
        .add_root_certificate_pem(entra.ca_pem())
        .unwrap()
        .clock(move || clock.now())
}

async fn serve(protect: Protect) -> (String, reqwest::Client) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = api(protect);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, reqwest::Client::builder().no_proxy().build().unwrap())
}

async fn token(entra: &Emulator, resource: &str) -> String {
    let ca = reqwest::Certificate::from_pem(entra.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
    let form = format!(
        "grant_type=client_credentials&client_id={APP}&client_secret={}-secret&scope={resource}/.default",
        testkit::CANARY
    );
    let answer = client
        .post(format!("{}/{TENANT}/oauth2/v2.0/token", entra.authority()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {}", answer["error_description"])).to_owned()
}

/// A daemon that wishes for a role on two APIs, one of each token version; nobody has consented.
pub(crate) fn seed() -> String {
    let api = |name: &str, app_id: &str, uri: &str, version: Value| {
        json!({
            "appId": app_id, "displayName": name, "homeTenant": DOMAIN, "identifierUris": [uri],
            "requestedAccessTokenVersion": version,
            "appRoles": [{ "value": "DaemonAppRole", "displayName": "Daemon" }],
        })
    };
    json!({
        "tenants": [{ "tenantId": TENANT, "displayName": "Contoso", "defaultDomain": DOMAIN }],
        "applications": [
            api("TodoList", API, "api://todolist", json!(2)),
            api("Legacy", LEGACY_API, "api://legacy", Value::Null),
            {
                "appId": APP, "displayName": "Daemon", "homeTenant": DOMAIN,
                "requiredResourceAccess": [
                    { "resource": "api://todolist", "appRoles": ["DaemonAppRole"] },
                    { "resource": "api://legacy", "appRoles": ["DaemonAppRole"] },
                ],
                "passwordCredentials": [{ "displayName": "test", "secretText": format!("{}-secret", testkit::CANARY) }],
            },
        ],
    })
    .to_string()
}
