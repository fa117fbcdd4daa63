//! `$batch`: each request on its own, in the order that they demand.

use serde_json::{Value, json};

use crate::common::DAEMON;
use crate::desk::{Desk, text};

fn answer<'a>(batch: &'a Value, id: &str) -> &'a Value {
    batch["responses"].as_array().unwrap().iter().find(|response| response["id"] == id).unwrap()
}

#[tokio::test]
async fn requests_are_answered_each_on_its_own() {
    let desk = Desk::open().await;
    let json_type = json!({ "Content-Type": "application/json" });
    let batch = desk
        .post(
            "$batch",
            json!({ "requests": [
                { "id": "users", "method": "GET", "url": "/users?$select=displayName&$top=1" },
                { "id": "make", "method": "POST", "url": "applications", "headers": json_type,
                  "body": { "displayName": "By batch" } },
                { "id": "count", "method": "GET", "url": "/users/$count", "headers": { "consistencylevel": "eventual" } },
                { "id": "missing", "method": "GET", "url": "/users/nobody@contoso.com" },
                { "id": "after", "method": "get", "url": "/applications?$filter=displayName eq 'By batch'",
                  "dependsOn": ["MAKE"] },
                { "id": "in vain", "method": "GET", "url": "/users", "dependsOn": ["missing"] },
                { "id": "in vain too", "method": "GET", "url": "/users", "dependsOn": ["in vain"] },
            ]}),
        )
        .await;
    assert_eq!(batch.status, 200);
    let batch = &batch.json;
    let users = answer(batch, "users");
    assert_eq!((&users["status"], users["body"]["value"].as_array().unwrap().len()), (&json!(200), 1));
    let link = text(&users["body"]["@odata.nextLink"]);
    assert_eq!(desk.get(link.split_once("/v1.0/").unwrap().1).await.names(), ["Alan Turing"]);
    let made = answer(batch, "make");
    assert_eq!(made["status"], 201);
    assert!(text(&made["headers"]["Location"]).ends_with(&text(&made["body"]["id"])));
    assert_eq!(answer(batch, "count")["body"], "2");
    let missing = answer(batch, "missing");
    assert_eq!(
        (&missing["status"], &missing["body"]["error"]["code"]),
        (&json!(404), &json!("Request_ResourceNotFound"))
    );
    assert_eq!(answer(batch, "after")["body"]["value"][0]["id"], made["body"]["id"], "it saw what was made before");
    for id in ["in vain", "in vain too"] {
        let failed = answer(batch, id);
        assert_eq!((&failed["status"], &failed["body"]["error"]["code"]), (&json!(424), &json!("FailedDependency")));
    }
}

/// A batch opens no door that is closed otherwise.
#[tokio::test]
async fn each_request_is_guarded() {
    let desk = Desk::open().await;
    let token = desk.daemon_with(&["User.Read.All"]).await;
    let requests = json!({ "requests": [
        { "id": "1", "method": "GET", "url": "/users" },
        { "id": "2", "method": "GET", "url": "/applications" },
        { "id": "3", "method": "DELETE", "url": format!("/applications(appId='{DAEMON}')") },
    ]});
    let batch = desk.entra.ask("POST", "$batch", &token, Some(requests.clone())).await.json;
    let statuses: Vec<_> = ["1", "2", "3"].iter().map(|id| answer(&batch, id)["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 403, 403]);
    let refused = desk.entra.ask("POST", "$batch", "", Some(requests)).await;
    assert_eq!(refused.refusal(), (401, "InvalidAuthenticationToken"));

    // who removes itself is not known any more in the same batch
    let token = desk.daemon_with(&["Application.ReadWrite.All"]).await;
    let requests = json!({ "requests": [
        { "id": "1", "method": "DELETE", "url": format!("/servicePrincipals(appId='{DAEMON}')") },
        { "id": "2", "method": "GET", "url": "/applications", "dependsOn": ["1"] },
    ]});
    let batch = desk.entra.ask("POST", "$batch", &token, Some(requests)).await.json;
    assert_eq!((&answer(&batch, "1")["status"], &answer(&batch, "2")["status"]), (&json!(204), &json!(401)));
    assert!(text(&answer(&batch, "2")["headers"]["www-authenticate"]).starts_with("Bearer"));
}

#[tokio::test]
async fn malformed_batches() {
    let desk = Desk::open().await;
    let one = |changes: Value| {
        let mut request = json!({ "id": "1", "method": "GET", "url": "/users" });
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "requests": [request] })
    };
    let many: Vec<_> = (0..21).map(|i| json!({ "id": i.to_string(), "method": "GET", "url": "/users" })).collect();
    for body in [
        json!({}),
        json!([]),
        json!({ "requests": [] }),
        json!({ "requests": {} }),
        json!({ "requests": [5] }),
        json!({ "requests": many }),
        json!({ "requests": [many[0], many[0]] }),
        one(json!({ "id": null })),
        one(json!({ "id": 1 })),
        one(json!({ "method": "TRACE" })),
        one(json!({ "url": "" })),
        one(json!({ "url": "https://graph.microsoft.com/v1.0/users" })),
        one(json!({ "url": "/$batch" })),
        one(json!({ "headers": [] })),
        one(json!({ "method": "POST", "body": {} })),
        one(json!({ "dependsOn": ["2"] })),
        one(json!({ "dependsOn": ["1"] })),
        one(json!({ "dependsOn": "1" })),
    ] {
        assert_eq!(desk.post("$batch", body.clone()).await.refusal(), (400, "BadRequest"), "{body}");
    }
    let twenty = json!({ "requests": many[..20] });
    assert_eq!(desk.post("$batch", twenty).await.json["responses"].as_array().unwrap().len(), 20);
    assert_eq!(desk.get("$batch").await.refusal(), (405, "Request_BadRequest"));
}
