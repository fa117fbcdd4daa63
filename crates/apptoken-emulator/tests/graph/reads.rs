//! What it demands of a token, and what it shows.

use std::time::Duration;

use serde_json::json;

use crate::common::{self, API_V2, API_V2_DEFAULT, Answer, CONTOSO, DAEMON, GRAPH_DEFAULT, start};

#[tokio::test]
async fn a_token_without_roles_has_insufficient_privileges_until_an_administrator_consents() {
    let entra = start().await;
    let token = entra.granted(GRAPH_DEFAULT).await;
    for path in ["users", "applications", "organization"] {
        let answer = entra.graph(path, &token).await;
        assert_eq!(answer.status, 403, "{path}");
        let error = &answer.json["error"];
        assert_eq!(error["code"], "Authorization_RequestDenied");
        assert_eq!(error["message"], "Insufficient privileges to complete the operation.");
        assert_eq!(error["innerError"]["request-id"], answer.headers["request-id"].to_str().unwrap());
        assert_eq!(error["innerError"]["client-request-id"], answer.headers["client-request-id"].to_str().unwrap());
        assert_eq!(error["innerError"]["date"].as_str().unwrap().len(), "2021-10-29T17:16:30".len());
        assert!(answer.headers.contains_key("x-ms-ags-diagnostic"));
    }
    entra.emulator.directory().grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    assert_eq!(entra.graph("users", &token).await.status, 403, "the old token says what it said");

    let token = entra.granted(GRAPH_DEFAULT).await;
    let users = entra.graph("users", &token).await;
    assert_eq!(users.status, 200);
    assert_eq!(users.json["@odata.context"], format!("{}/v1.0/$metadata#users", entra.emulator.graph_url()));
    assert_eq!(users.json["value"][0]["userPrincipalName"], "ada@contoso.com");
    assert_eq!(users.json["value"].as_array().unwrap().len(), 2);
    let id = users.json["value"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(entra.graph(&format!("users/{id}"), &token).await.json["displayName"], "Alan Turing");
    assert_eq!(entra.graph("users/alan@contoso.com", &token).await.json["id"], id);
    let missing = entra.graph("users/nobody@contoso.com", &token).await;
    assert_eq!((missing.status, &missing.json["error"]["code"]), (404, &json!("Request_ResourceNotFound")));
    assert_eq!(entra.graph("applications", &token).await.status, 403, "another role");
}

#[tokio::test]
async fn applications_and_organization() {
    let entra = start().await;
    let directory = entra.emulator.directory();
    for role in ["Application.Read.All", "Organization.Read.All"] {
        directory
            .assign_app_role("contoso.com", &DAEMON.to_string(), common::GRAPH.to_string().as_str(), role)
            .unwrap();
    }
    let token = entra.granted(GRAPH_DEFAULT).await;
    let organization = entra.graph("organization", &token).await.json;
    assert_eq!(organization["value"][0]["id"], CONTOSO.to_string());
    assert_eq!(organization["value"][0]["displayName"], "Contoso");
    assert_eq!(organization["value"][0]["verifiedDomains"][1]["name"], "contoso.com");

    let applications = entra.graph("applications", &token).await;
    testkit::witness(&applications);
    let found = applications.json["value"].as_array().unwrap();
    let names: Vec<_> = found.iter().map(|app| app["displayName"].as_str().unwrap()).collect();
    assert_eq!(names, ["Daemon", "Orders API", "TodoList API"]);
    assert_eq!(found[0]["passwordCredentials"][0]["secretText"], json!(null));
    assert_eq!(found[0]["requiredResourceAccess"][0]["resourceAppId"], API_V2.to_string());
    assert_eq!(found[2]["api"]["requestedAccessTokenVersion"], 2);
    assert_eq!(found[2]["appRoles"][0]["value"], "DaemonAppRole");
    assert_eq!(entra.graph("users", &token).await.status, 403);
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test]
async fn each_bad_token_is_401() {
    let entra = start().await;
    let good = entra.granted(GRAPH_DEFAULT).await;
    let stranger = start().await.granted(GRAPH_DEFAULT).await;
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    for (what, token, words) in [
        ("none", String::new(), "empty"),
        ("no JWT", "hello".into(), "parsed"),
        ("for another API", entra.granted(API_V2_DEFAULT).await, "audience"),
        ("forged", forged, "signature"),
        ("another authority's", stranger, "signature"),
    ] {
        unauthenticated(&entra.graph("users", &token).await, what, words);
    }
    let bare = entra.send(entra.client.get(format!("{}/v1.0/users", entra.emulator.graph_url()))).await;
    unauthenticated(&bare, "no header", "empty");

    entra.emulator.clock().advance(Duration::from_secs(3601));
    unauthenticated(&entra.graph("users", &good).await, "expired", "expired");
    entra.emulator.clock().rewind(Duration::from_secs(7200));
    unauthenticated(&entra.graph("users", &good).await, "not yet valid", "not valid yet");
}

#[tokio::test]
async fn a_client_that_was_removed_is_not_known_any_more() {
    let entra = start().await;
    let token = entra.granted(GRAPH_DEFAULT).await;
    entra.emulator.directory().set_account_enabled("contoso.com", &DAEMON.to_string(), false).unwrap();
    let answer = entra.graph("users", &token).await;
    assert_eq!((answer.status, &answer.json["error"]["code"]), (401, &json!("Authorization_IdentityNotFound")));
}

#[tokio::test]
async fn what_it_cannot_do_it_says() {
    let entra = start().await;
    entra.emulator.directory().grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    let token = entra.granted(GRAPH_DEFAULT).await;
    let expand = entra.graph("users?$expand=manager", &token).await;
    assert_eq!((expand.status, &expand.json["error"]["code"]), (400, &json!("Request_UnsupportedQuery")));
    let unknown = entra.graph("planets", &token).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.json["error"]["message"], "Resource not found for the segment 'planets'.");
    let url = format!("{}/v1.0/users", entra.emulator.graph_url());
    let post = entra.send(entra.client.post(url).bearer_auth(&token).body("{}")).await;
    assert_eq!((post.status, &post.json["error"]["code"]), (405, &json!("Request_BadRequest")));
}

/// Behind `graph.microsoft.com`, as `apptoken run` and entries in a hosts file make it, the paths are Graph's own.
#[tokio::test]
async fn it_answers_by_graphs_own_name() {
    let builder = common::describe().host_name("graph.microsoft.com");
    let entra = common::start_with(builder).await;
    let port: u16 = entra.emulator.authority().rsplit_once(':').unwrap().1.parse().unwrap();
    let client = common::client(&entra.emulator)
        .resolve("graph.microsoft.com", std::net::SocketAddr::from(([127, 0, 0, 1], port)))
        .build()
        .unwrap();
    entra.emulator.directory().grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    let token = entra.granted(GRAPH_DEFAULT).await;
    let url = format!("https://graph.microsoft.com:{port}/v1.0/users");
    let answer = entra.send(client.get(&url).bearer_auth(&token)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["@odata.context"], format!("https://graph.microsoft.com:{port}/v1.0/$metadata#users"));
    let refused = entra.send(client.get(&url)).await;
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains(r#"authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize""#));
}

fn unauthenticated(answer: &Answer, what: &str, words: &str) {
    assert_eq!(answer.status, 401, "{what}");
    assert_eq!(answer.json["error"]["code"], "InvalidAuthenticationToken", "{what}");
    assert!(answer.json["error"]["message"].as_str().unwrap().contains(words), "{what}: {}", answer.json);
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with(r#"Bearer realm="", authorization_uri="https://localhost:"#), "{challenge}");
    assert!(challenge.ends_with(r#"client_id="00000003-0000-0000-c000-000000000000""#), "{challenge}");
}
