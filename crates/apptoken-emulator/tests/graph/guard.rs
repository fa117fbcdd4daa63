//! Which role opens which door: every operation with each role, one at a time.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use crate::common::{API_V2, DAEMON, GRAPH};
use crate::desk::{Desk, text};

const READ_APPS: &[&str] = &[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const WRITE_APPS: &[&str] = &["Application.ReadWrite.All"];
const READ_USERS: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "User.ReadWrite.All"];
const READ_GROUPS: &[&str] =
    &["Directory.Read.All", "Directory.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All"];

#[tokio::test]
async fn each_role_opens_what_it_opens_in_graph() {
    let desk = Desk::open().await;
    let graph = desk.get(&format!("servicePrincipals(appId='{GRAPH}')")).await.json;
    let known: HashSet<String> =
        graph["appRoles"].as_array().unwrap().iter().map(|role| text(&role["value"])).collect();
    assert!(known.len() > 700);
    let id = text(&desk.get(&format!("applications(appId='{API_V2}')")).await.json["id"]);
    let principal = text(&desk.get(&format!("servicePrincipals(appId='{API_V2}')")).await.json["id"]);
    let app = |rest: &str| format!("applications/{id}{rest}");
    let sp = |rest: &str| format!("servicePrincipals/{principal}{rest}");
    let nobody = uuid::Uuid::new_v4();
    // a body that is refused with 400 by who gets so far, so that nothing changes
    let bad = json!({ "planet": 1 });
    let table: Vec<(&str, String, Value, &[&str])> = vec![
        ("GET", "applications".into(), Value::Null, READ_APPS),
        ("GET", app(""), Value::Null, READ_APPS),
        ("GET", app("/owners"), Value::Null, READ_APPS),
        ("GET", app("/federatedIdentityCredentials"), Value::Null, READ_APPS),
        ("GET", "servicePrincipals".into(), Value::Null, READ_APPS),
        ("GET", sp(""), Value::Null, READ_APPS),
        ("GET", sp("/owners"), Value::Null, READ_APPS),
        ("GET", sp("/memberOf"), Value::Null, READ_APPS),
        ("GET", sp("/appRoleAssignedTo"), Value::Null, READ_APPS),
        ("GET", sp("/appRoleAssignments"), Value::Null, READ_APPS),
        ("POST", "applications".into(), bad.clone(), &["Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"]),
        (
            "POST",
            "servicePrincipals".into(),
            bad.clone(),
            &["Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"],
        ),
        ("PATCH", app(""), bad.clone(), WRITE_APPS),
        ("PATCH", sp(""), bad.clone(), WRITE_APPS),
        ("POST", app("/addPassword"), bad.clone(), WRITE_APPS),
        ("POST", app("/removePassword"), bad.clone(), WRITE_APPS),
        ("POST", app("/addKey"), bad.clone(), WRITE_APPS),
        ("POST", app("/removeKey"), bad.clone(), WRITE_APPS),
        ("POST", app("/federatedIdentityCredentials"), bad.clone(), WRITE_APPS),
        ("DELETE", app("/federatedIdentityCredentials/none"), Value::Null, WRITE_APPS),
        ("POST", app("/owners/$ref"), bad.clone(), WRITE_APPS),
        ("DELETE", app(&format!("/owners/{nobody}/$ref")), Value::Null, WRITE_APPS),
        ("POST", sp("/owners/$ref"), bad.clone(), WRITE_APPS),
        // alone it does not suffice: see below
        ("POST", sp("/appRoleAssignedTo"), bad.clone(), &[]),
        ("POST", sp("/appRoleAssignments"), bad.clone(), &[]),
        ("DELETE", sp("/appRoleAssignedTo/none"), Value::Null, &[]),
        ("GET", "users".into(), Value::Null, READ_USERS),
        ("GET", "users/ada@contoso.com".into(), Value::Null, READ_USERS),
        ("GET", "groups".into(), Value::Null, READ_GROUPS),
        (
            "GET",
            "organization".into(),
            Value::Null,
            &["Directory.Read.All", "Directory.ReadWrite.All", "Organization.Read.All", "Organization.ReadWrite.All"],
        ),
        ("GET", "auditLogs/signIns".into(), Value::Null, &["AuditLog.Read.All", "Directory.Read.All"]),
        (
            "GET",
            format!("directoryObjects/{principal}"),
            Value::Null,
            &["Directory.Read.All", "Directory.ReadWrite.All"],
        ),
        ("POST", "directoryObjects/getByIds".into(), bad.clone(), &["Directory.Read.All", "Directory.ReadWrite.All"]),
    ];
    // those that open something, and some of the hundreds that open nothing here
    let others = ["AppRoleAssignment.ReadWrite.All", "Group.Create", "Mail.Send", "Sites.Selected", "User.Export.All"];
    let all: BTreeSet<&str> = table.iter().flat_map(|(.., opens)| opens.iter().copied()).chain(others).collect();
    for role in all {
        assert!(known.contains(role), "{role}");
        let token = desk.daemon_with(&[role]).await;
        for (method, path, body, opens) in &table {
            let body = (!body.is_null()).then(|| body.clone());
            let answer = desk.entra.ask(method, path, &token, body).await;
            let what = format!("{method} {path} with {role}: {} {}", answer.status, answer.json);
            if opens.contains(&role) {
                assert!(matches!(answer.status, 200 | 400 | 404), "{what}");
                assert_ne!(answer.json["error"]["code"], "Authorization_RequestDenied", "{what}");
            } else {
                assert_eq!(answer.refusal(), (403, "Authorization_RequestDenied"), "{what}");
            }
        }
    }
    // to assign a role one must also be able to see what there is
    let bad = json!({ "planet": 1 });
    for (roles, status) in [
        (&["AppRoleAssignment.ReadWrite.All", "Application.Read.All"][..], 400),
        (&["AppRoleAssignment.ReadWrite.All", "Directory.Read.All"], 400),
        (&["AppRoleAssignment.ReadWrite.All", "User.Read.All"], 403),
        (&["Application.ReadWrite.All", "Directory.ReadWrite.All"], 403),
    ] {
        let token = desk.daemon_with(roles).await;
        let answer = desk.entra.ask("POST", &sp("/appRoleAssignedTo"), &token, Some(bad.clone())).await;
        assert_eq!(answer.status, status, "{roles:?}");
    }
}

/// Who may read groups or applications may not read the users in and behind them.
#[tokio::test]
async fn what_may_not_be_read_has_an_id_only() {
    let desk = Desk::open().await;
    let (id, _) = desk.application("Owned").await;
    let ada = text(&desk.get("users/ada@contoso.com").await.json["id"]);
    let reference = json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/users/{ada}") });
    assert_eq!(desk.post(&format!("applications/{id}/owners/$ref"), reference).await.status, 204);
    for (roles, named) in [
        (&["Application.Read.All"][..], false),
        (&["Application.Read.All", "User.Read.All"], true),
        (&["Directory.Read.All"], true),
    ] {
        let token = desk.daemon_with(roles).await;
        let owners = desk.entra.graph(&format!("applications/{id}/owners"), &token).await.json;
        let owner = &owners["value"][0];
        assert_eq!((&owner["id"], &owner["@odata.type"]), (&json!(ada), &json!("#microsoft.graph.user")));
        for property in ["displayName", "userPrincipalName", "jobTitle", "businessPhones"] {
            let hidden = owner[property].is_null();
            assert!(!(hidden && named && property == "displayName") && (hidden || named), "{roles:?} {owner}");
        }
    }
}

/// `Application.ReadWrite.OwnedBy`: what it makes is its own, and only what is its own can it change.
#[tokio::test]
async fn an_owner_manages_its_own() {
    let desk = Desk::open().await;
    let token = desk.daemon_with(&["Application.ReadWrite.OwnedBy"]).await;
    let ask = async |method: &str, path: &str, body: Value| {
        desk.entra.ask(method, path, &token, (!body.is_null()).then_some(body)).await
    };
    let made = ask("POST", "applications", json!({ "displayName": "Mine" })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let mine = format!("applications/{}", text(&made.json["id"]));
    let owners = ask("GET", &format!("{mine}/owners"), Value::Null).await.json;
    assert_eq!(owners["value"][0]["appId"], DAEMON.to_string());
    assert_eq!(owners["value"][0]["@odata.type"], "#microsoft.graph.servicePrincipal");
    assert_eq!(ask("PATCH", &mine, json!({ "notes": "n" })).await.status, 204);
    assert_eq!(ask("POST", &format!("{mine}/addPassword"), json!({})).await.status, 200);
    let principal = ask("POST", "servicePrincipals", json!({ "appId": made.json["appId"] })).await;
    assert_eq!(principal.status, 201, "{}", principal.json);
    let principal = format!("servicePrincipals/{}", text(&principal.json["id"]));
    assert_eq!(ask("PATCH", &principal, json!({ "accountEnabled": false })).await.status, 204);

    let (other, other_app) = desk.application("Not mine").await;
    let other = format!("applications/{other}");
    assert_eq!(ask("GET", &other, Value::Null).await.status, 200, "all can be read");
    for (method, path, body) in [
        ("PATCH", other.clone(), json!({ "notes": "n" })),
        ("DELETE", other.clone(), Value::Null),
        ("POST", format!("{other}/addPassword"), json!({})),
        ("POST", "servicePrincipals".into(), json!({ "appId": other_app })),
    ] {
        assert_eq!(ask(method, &path, body).await.refusal(), (403, "Authorization_RequestDenied"), "{method} {path}");
    }

    // until it is made an owner
    let daemon = text(&desk.get(&format!("servicePrincipals(appId='{DAEMON}')")).await.json["id"]);
    let reference = json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{daemon}") });
    let add = format!("{other}/owners/$ref");
    assert_eq!(desk.post(&add, reference.clone()).await.status, 204);
    assert_eq!(ask("PATCH", &other, json!({ "notes": "n" })).await.status, 204);
    assert_eq!(desk.post(&add, reference).await.refusal().0, 409, "it is one already");
    assert_eq!(desk.delete(&format!("{other}/owners/{daemon}/$ref")).await.status, 204);
    assert_eq!(ask("PATCH", &other, json!({ "notes": "n" })).await.status, 403);
    let stranger = json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/users/{}", uuid::Uuid::new_v4()) });
    assert_eq!(desk.post(&add, stranger).await.refusal(), (404, "Request_ResourceNotFound"));
    assert_eq!(ask("DELETE", &mine, Value::Null).await.status, 204);
}
