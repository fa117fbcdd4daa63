//! Query options: what they do, and how what they cannot do is refused.

use serde_json::json;

use crate::common::{API_V2, DAEMON, GRAPH};
use crate::desk::{Desk, text};

#[tokio::test]
async fn filters_find() {
    let desk = Desk::open().await;
    for (filter, names) in [
        ("displayName eq 'daemon'", &["Daemon"][..]),
        ("startswith(displayName,'to')", &["TodoList API"]),
        ("startsWith(displayName, 'Or') or appId eq 'DAEMON'", &["Daemon", "Orders API"]),
        ("displayName in ('Daemon', 'Orders API', 'Nobody')", &["Daemon", "Orders API"]),
        ("identifierUris/any(uri:uri eq 'api://todolist')", &["TodoList API"]),
        ("identifierUris/any(u:startswith(u,'https://contoso'))", &["Orders API"]),
        (
            "(displayName eq 'Daemon' or displayName eq 'Orders API') and signInAudience eq 'AzureADMyOrg'",
            &["Daemon", "Orders API"],
        ),
        ("createdDateTime le 2020-01-01T00:00:00Z", &[]),
        ("displayName eq 'O''Neil'", &[]),
        ("displayName ge 'p'", &["TodoList API"]),
    ] {
        let filter = filter.replace("DAEMON", &DAEMON.to_string());
        let found = desk.get(&format!("applications?$filter={filter}")).await;
        assert_eq!(found.names(), names, "{filter}");
    }
    let graph =
        desk.get("servicePrincipals?$filter=servicePrincipalNames/any(n:n eq 'https://graph.microsoft.com')").await;
    assert_eq!(graph.json["value"][0]["appId"], GRAPH.to_string());
    let enabled = desk.get("servicePrincipals?$filter=accountEnabled eq false").await;
    assert_eq!(enabled.json["value"], json!([]));

    // ids of assignments are GUIDs, which have no quotes
    let api = desk.get(&format!("servicePrincipals(appId='{API_V2}')")).await.json;
    desk.entra.emulator.directory().grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    let granted = format!("servicePrincipals(appId='{DAEMON}')/appRoleAssignments");
    let of_api = desk.get(&format!("{granted}?$filter=resourceId eq {}", text(&api["id"]))).await;
    assert_eq!(of_api.json["value"].as_array().unwrap().len(), 2);
    let quoted = desk.get(&format!("{granted}?$filter=resourceId eq '{}'", text(&api["id"]))).await;
    assert_eq!(quoted.refusal(), (400, "BadRequest"));
}

#[tokio::test]
async fn filters_that_graph_does_not_take() {
    let desk = Desk::open().await;
    for (filter, code) in [
        ("planet eq 'x'", "BadRequest"),
        ("displayName eq", "BadRequest"),
        ("displayName eq 'x", "BadRequest"),
        ("displayName is 'x'", "BadRequest"),
        ("displayName eq 'x' nor displayName eq 'y'", "BadRequest"),
        ("displayName eq 5", "BadRequest"),
        ("identifierUris eq 'api://todolist'", "BadRequest"),
        ("(displayName eq 'x'", "BadRequest"),
        ("", "BadRequest"),
        ("passwordCredentials/any(p:p/keyId eq 'x')", "Request_UnsupportedQuery"),
        ("notes eq 'x'", "Request_UnsupportedQuery"),
        ("contains(displayName,'x')", "Request_UnsupportedQuery"),
        ("displayName ne 'x'", "Request_UnsupportedQuery"),
        ("not startswith(displayName,'x')", "Request_UnsupportedQuery"),
        ("endswith(displayName,'x')", "Request_UnsupportedQuery"),
    ] {
        let refused = desk.get(&format!("applications?$filter={filter}")).await;
        assert_eq!(refused.refusal(), (400, code), "{filter}");
    }
    for word in [" or ", " and "] {
        let sixteen = ["displayName eq 'x'"; 16].join(word);
        let refused = desk.get(&format!("applications?$filter={sixteen}")).await;
        assert_eq!(refused.refusal(), (400, "Request_UnsupportedQuery"), "{word}");
        let fifteen = ["displayName eq 'x'"; 15].join(word);
        assert_eq!(desk.get(&format!("applications?$filter={fifteen}")).await.status, 200, "{word}");
    }
}

/// `ne`, `not`, `endsWith`, counting: only for who takes results that may lag behind.
#[tokio::test]
async fn advanced_queries() {
    let desk = Desk::open().await;
    let ask = async |path: &str| {
        let url = format!("{}/v1.0/{path}", desk.entra.emulator.graph_url());
        let request = desk.entra.client.get(url).bearer_auth(&desk.token).header("ConsistencyLevel", "eventual");
        desk.entra.send(request).await
    };
    let found =
        ask("applications?$count=true&$filter=displayName ne 'Daemon' and not startswith(displayName,'Boot')").await;
    assert_eq!(found.names(), ["Orders API", "TodoList API"]);
    assert_eq!(found.json["@odata.count"], 2);
    let found = ask("applications?$count=true&$filter=endswith(displayName,'api')&$orderby=displayName desc").await;
    assert_eq!(found.names(), ["TodoList API", "Orders API"]);
    assert_eq!(ask("applications?$filter=displayName ne 'x'").await.refusal(), (400, "Request_UnsupportedQuery"));

    for (path, number) in [("applications/$count", "4"), ("users/$count?$filter=startswith(displayName,'ada')", "1")] {
        let url = format!("{}/v1.0/{path}", desk.entra.emulator.graph_url());
        let request = desk.entra.client.get(url).bearer_auth(&desk.token).header("ConsistencyLevel", "eventual");
        let answer = request.send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        assert_eq!(answer.text().await.unwrap(), number);
    }
    assert_eq!(desk.get("applications/$count").await.refusal(), (400, "Request_BadRequest"));
    assert!(desk.get("applications?$count=true").await.json.get("@odata.count").is_none(), "passed over");
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end() {
    let desk = Desk::open().await;
    for i in 0..7 {
        desk.application(&format!("page {i}")).await;
    }
    for order in ["", "&$orderby=displayName desc", "&$select=displayName,appId"] {
        let mut seen = Vec::new();
        let mut next = format!("applications?$top=3{order}");
        loop {
            let page = desk.get(&next).await;
            seen.extend(page.names());
            assert!(page.names().len() <= 3);
            let Some(link) = page.json["@odata.nextLink"].as_str() else { break };
            assert!(link.contains("$skiptoken=") && link.contains("$top=3"), "{link}");
            next = link.split_once("/v1.0/").unwrap().1.to_owned();
            if seen.len() == 6 {
                // what is made or removed in between neither repeats nor hides another
                desk.application("a first one").await;
                let id = desk.get("applications?$filter=displayName eq 'a first one'").await;
                desk.delete(&format!("applications/{}", text(&id.json["value"][0]["id"]))).await;
            }
        }
        let mut sorted = seen.clone();
        sorted.sort_by_key(|name| name.to_lowercase());
        if order.contains("desc") {
            sorted.reverse();
        }
        assert_eq!((seen.len(), &seen), (11, &sorted), "{order}");
    }
    for (query, code) in [
        ("$top=0", "Request_BadRequest"),
        ("$top=1000", "Request_BadRequest"),
        ("$top=x", "Request_BadRequest"),
        ("$top=2&$top=3", "BadRequest"),
        ("$skiptoken=x", "Directory_ExpiredPageToken"),
        ("$skiptoken=WzFd", "Directory_ExpiredPageToken"),
        ("$skip=2", "Request_UnsupportedQuery"),
        ("$search=\"displayName:x\"", "Request_UnsupportedQuery"),
        ("$expand=owners", "Request_UnsupportedQuery"),
        ("$orderby=notes", "Request_UnsupportedQuery"),
        ("$orderby=displayName up", "BadRequest"),
        ("$orderby=displayName&$filter=displayName eq 'x'", "Request_UnsupportedQuery"),
        ("$count=maybe", "BadRequest"),
        ("$planet=1", "BadRequest"),
    ] {
        assert_eq!(desk.get(&format!("applications?{query}")).await.refusal(), (400, code), "{query}");
    }
}

#[tokio::test]
async fn only_what_is_selected_is_shown() {
    let desk = Desk::open().await;
    let page = desk.get("applications?$select=displayName,appId&$top=1").await.json;
    let object = page["value"][0].as_object().unwrap();
    assert_eq!(object.keys().collect::<Vec<_>>(), ["appId", "displayName"]);
    assert!(text(&page["@odata.context"]).ends_with("$metadata#applications(displayName,appId)"));
    let one = desk.get(&format!("applications(appId='{DAEMON}')?$select=id")).await.json;
    assert_eq!(one.as_object().unwrap().len(), 2, "{one}");
    assert!(text(&one["@odata.context"]).ends_with("#applications(id)/$entity"));
    // the dollar can be left out
    let bare = desk.get(&format!("applications(appId='{DAEMON}')?select=displayName")).await.json;
    assert_eq!(bare["displayName"], "Daemon");

    let user = desk.get("users/ada@contoso.com").await.json;
    assert!(user.get("accountEnabled").is_none(), "not unless it is selected");
    let user = desk.get("users/ada@contoso.com?$select=accountEnabled,displayName").await.json;
    assert_eq!((&user["accountEnabled"], &user["displayName"]), (&json!(true), &json!("Ada Lovelace")));
    assert_eq!(desk.get("applications?$select=planet").await.refusal(), (400, "BadRequest"));
    let filtered = desk.get(&format!("applications(appId='{DAEMON}')?$filter=id eq 'x'")).await;
    assert_eq!(filtered.refusal(), (400, "Request_UnsupportedQuery"));
}

/// Who takes back what each page shows comes to the end of it.
#[tokio::test]
async fn pages_hold_while_assignments_go() {
    let desk = Desk::open().await;
    desk.daemon_with(&["User.Read.All", "Group.Read.All", "Directory.Read.All"]).await;
    let daemon = desk.get(&format!("servicePrincipals(appId='{DAEMON}')")).await.json;
    let path = format!("servicePrincipals/{}/appRoleAssignments", daemon["id"].as_str().unwrap());
    let graph = desk.get(&format!("servicePrincipals(appId='{GRAPH}')")).await.json;
    let filter = format!("$filter=resourceId eq {}", graph["id"].as_str().unwrap());
    let page = desk.get(&format!("{path}?{filter}&$top=2")).await.json;
    assert_eq!(page["value"].as_array().unwrap().len(), 2, "{page}");
    for gone in page["value"].as_array().unwrap() {
        assert_eq!(desk.delete(&format!("{path}/{}", gone["id"].as_str().unwrap())).await.status, 204);
    }
    let next = page["@odata.nextLink"].as_str().unwrap().split_once("/v1.0/").unwrap().1;
    let rest = desk.get(next).await.json;
    assert_eq!(rest["value"].as_array().unwrap().len(), 1, "{rest}");
}
