//! Under Microsoft's own names, to which a proxy or `/etc/hosts` leads, it serves what the real ones serve.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::net::SocketAddr;

use apptoken_emulator::{Emulator, is_microsoft_host, microsoft_hosts};
use common::{CONTOSO, DAEMON, GRAPH_DEFAULT, describe, secret};
use reqwest::{Certificate, Client, RequestBuilder, Url};
use serde_json::Value;

/// A client for which `name` leads to the emulator, at the port that it asks for.
fn client_of(entra: &Emulator, name: &str) -> Client {
    let port = Url::parse(&entra.authority()).unwrap().port().unwrap();
    Client::builder()
        .tls_certs_only([Certificate::from_pem(entra.ca_pem().as_bytes()).unwrap()])
        .resolve(name, SocketAddr::from(([127, 0, 0, 1], port)))
        .no_proxy()
        .build()
        .unwrap()
}

async fn get(entra: &Emulator, host: &str, path: &str) -> (u16, Value) {
    read(client_of(entra, host).get(url(entra, host, path))).await
}

async fn read(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

/// `resolve` takes the address and leaves the port to the URL.
fn url(entra: &Emulator, host: &str, path: &str) -> String {
    let port = Url::parse(&entra.authority()).unwrap().port().unwrap();
    format!("https://{host}:{port}{path}")
}

#[tokio::test]
async fn each_of_microsofts_names_has_its_certificate_and_its_urls() {
    let entra = describe().start().await.unwrap();
    for host in microsoft_hosts().chain(["westus2.login.microsoft.com"]) {
        let (status, json) = get(&entra, host, &format!("/{CONTOSO}/v2.0/.well-known/openid-configuration")).await;
        assert_eq!(status, 200, "{host}");
        assert_eq!(json["token_endpoint"], url(&entra, host, &format!("/{CONTOSO}/oauth2/v2.0/token")));
        assert_eq!(json["jwks_uri"], url(&entra, host, &format!("/{CONTOSO}/discovery/v2.0/keys")));
    }
}

#[tokio::test]
async fn a_name_that_is_not_microsofts_gets_no_certificate() {
    let entra = describe().start().await.unwrap();
    for host in ["example.com", "microsoft.com", "evil-login.microsoft.com"] {
        assert!(!is_microsoft_host(host));
        let error = client_of(&entra, host).get(url(&entra, host, "/")).send().await.unwrap_err();
        assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusals_page_is_at_the_host_that_was_asked() {
    let entra = describe().start().await.unwrap();
    for (host, page) in [
        ("login.microsoftonline.us", "login.microsoftonline.us"),
        ("westus2.login.microsoft.com", "westus2.login.microsoft.com"),
        ("localhost", "login.microsoftonline.com"),
    ] {
        for path in [format!("/{CONTOSO}/oauth2/v2.0/token"), "/undefined/discovery/v2.0/keys".into()] {
            let (status, json) = get(&entra, host, &path).await;
            let code = &json["error_codes"][0];
            let expected = format!("https://{page}/error?code={code}");
            assert_eq!((status, json["error_uri"].as_str()), (400, Some(expected.as_str())), "{host}{path}");
        }
    }
}

#[tokio::test]
async fn instance_discovery_leads_back_to_the_host_that_was_named() {
    let entra = describe().start().await.unwrap();
    let asked = format!(
        "/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com/{CONTOSO}/oauth2/v2.0/authorize"
    );
    for host in ["login.microsoftonline.com", "login.microsoftonline.us"] {
        let (status, json) = get(&entra, host, &asked).await;
        assert_eq!(status, 200);
        assert_eq!(
            json["tenant_discovery_endpoint"],
            format!("https://login.microsoftonline.com/{CONTOSO}/v2.0/.well-known/openid-configuration")
        );
        assert_eq!(json["metadata"][0]["aliases"][0], "login.microsoftonline.com");
    }
}

#[tokio::test]
async fn a_token_from_entras_name_opens_graph_at_its_own() {
    let entra = describe().start().await.unwrap();
    entra.directory().grant_admin_consent(&CONTOSO.to_string(), &DAEMON.to_string()).unwrap();
    for (host, graph, scope) in [
        ("login.microsoftonline.com", "graph.microsoft.com", GRAPH_DEFAULT),
        ("login.microsoftonline.com", "graph.microsoft.us", GRAPH_DEFAULT),
        ("login.microsoftonline.us", "graph.microsoft.us", "https://graph.microsoft.us/.default"),
    ] {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &DAEMON.to_string()),
            ("client_secret", &secret()),
            ("scope", scope),
        ];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = client_of(&entra, host)
            .post(url(&entra, host, &format!("/{CONTOSO}/oauth2/v2.0/token")))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let (_, token) = read(request).await;
        let request = client_of(&entra, graph)
            .get(url(&entra, graph, "/v1.0/users"))
            .bearer_auth(token["access_token"].as_str().unwrap());
        let (_, users) = read(request).await;
        assert_eq!(users["value"].as_array().unwrap().len(), 2, "{users}");
    }
    assert_eq!(entra.token_requests(), 3);
}
