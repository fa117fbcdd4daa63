//! What nobody means well.

use serde_json::{Value, json};

use crate::common::DAEMON;
use crate::desk::Desk;

#[tokio::test]
async fn bodies_are_bounded_and_must_be_json() {
    let desk = Desk::open().await;
    let url = format!("{}/v1.0/applications", desk.entra.emulator.graph_url());
    let send = async |kind: &str, body: Vec<u8>| {
        let request = desk.entra.client.post(&url).bearer_auth(&desk.token).header("content-type", kind);
        desk.entra.send(request.body(body)).await
    };
    let json_type = "application/json; charset=utf-8";
    let deep = format!(r#"{{"displayName":"x","web":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    for (what, kind, body) in [
        ("nothing", json_type, Vec::new()),
        ("no JSON", json_type, b"{\"displayName\":".to_vec()),
        ("no UTF-8", json_type, b"{\"displayName\":\"\xff\"}".to_vec()),
        ("a form", "application/x-www-form-urlencoded", b"displayName=x".to_vec()),
        ("deep", json_type, deep.into_bytes()),
        ("two values", json_type, b"{\"displayName\":\"x\"} {}".to_vec()),
    ] {
        assert_eq!(send(kind, body).await.refusal(), (400, "BadRequest"), "{what}");
    }
    let long = json!({ "displayName": "x", "notes": "y".repeat(200 * 1024) }).to_string();
    assert_eq!(send(json_type, long.into_bytes()).await.status, 413);
    let names = desk.get("applications").await.names();
    assert!(!names.contains(&"x".to_owned()), "{names:?}");
}

#[tokio::test]
async fn paths_and_queries_are_bounded() {
    let desk = Desk::open().await;
    for path in [
        format!("applications/{}", "x".repeat(2000)),
        "applications(appId='x'".into(),
        "applications(appId=x)".into(),
        "applications/%ff".into(),
        format!("applications/{}", "a/".repeat(200)),
        "applications('a'')".into(),
        "auditLogs".into(),
        "auditLogs/planets".into(),
        format!("applications?$filter={}displayName eq 'x'{}", "(".repeat(500), ")".repeat(500)),
        format!("applications?$filter={}displayName eq 'x'", "not ".repeat(500)),
        format!("applications?$filter=displayName in ({})", ["'x'"; 300].join(",")),
        format!("applications?$skiptoken={}", "A".repeat(20_000)),
        format!("applications?$orderby={}", ["displayName"; 50].join(",")),
        format!("users/{DAEMON}/planets"),
        "applications/$count/x".into(),
    ] {
        let answer = desk.get(&path).await;
        assert!(matches!(answer.refusal().0, 400 | 404), "{path}: {}", answer.json);
        assert!(answer.json["error"]["message"].as_str().unwrap().len() < 600, "{path}");
    }
}

/// What a registration can hold has an end.
#[tokio::test]
async fn an_application_cannot_grow_without_end() {
    let desk = Desk::open().await;
    let (id, _) = desk.application("Growing").await;
    let wish = |i: u128| json!({ "id": uuid::Uuid::from_u128(i), "type": "Role" });
    let resource = uuid::Uuid::from_u128(9);
    let many = |count: u128| {
        let access: Vec<Value> = (0..count).map(wish).collect();
        json!({ "requiredResourceAccess": [{ "resourceAppId": resource, "resourceAccess": access }] })
    };
    let path = format!("applications/{id}");
    assert_eq!(desk.patch(&path, many(1199)).await.status, 204);
    assert_eq!(desk.post(&format!("{path}/addPassword"), json!({})).await.refusal(), (400, "Request_BadRequest"));
    assert_eq!(desk.patch(&path, many(1198)).await.status, 204);
    assert_eq!(desk.post(&format!("{path}/addPassword"), json!({})).await.status, 200);
    assert_eq!(desk.patch(&path, many(1300)).await.refusal(), (400, "Request_BadRequest"));
}
