//! Applications, service principals, groups: made, changed, read back.

use serde_json::{Value, json};

use crate::common::{self, API_V2, CONTOSO, DAEMON, FABRIKAM, GRAPH, start_with};
use crate::desk::{Desk, text};

#[tokio::test]
async fn an_application_is_what_it_was_made() {
    let desk = Desk::open().await;
    let role = "88888888-aaaa-4aaa-8aaa-000000000001";
    let scope = "88888888-aaaa-4aaa-8aaa-000000000002";
    let graph = desk.get(&format!("servicePrincipals(appId='{GRAPH}')")).await.json;
    let wished = &graph["appRoles"][0]["id"];
    let made = desk
        .post(
            "applications",
            json!({
                "displayName": "Whole", "signInAudience": "AzureADMultipleOrgs", "identifierUris": ["api://whole"],
                "api": { "requestedAccessTokenVersion": 2, "knownClientApplications": [DAEMON] },
                "appRoles": [{
                    "id": role, "value": "Do.It", "displayName": "Do it", "description": "Does it",
                    "allowedMemberTypes": ["Application"], "isEnabled": true,
                }],
                "requiredResourceAccess": [{ "resourceAppId": GRAPH, "resourceAccess": [
                    { "id": wished, "type": "Role" }, { "id": scope, "type": "Scope" },
                ]}],
                "web": { "redirectUris": ["https://localhost"] }, "tags": ["a", "b"], "notes": "n", "description": "d",
                "passwordCredentials": [{ "displayName": "p" }],
                "owners@odata.bind": [format!("https://graph.microsoft.com/v1.0/directoryObjects/{}", text(&graph["id"]))],
            }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.json);
    let path = format!("applications/{}", text(&made.json["id"]));
    assert!(made.headers["location"].to_str().unwrap().ends_with(&path));
    assert_eq!(made.headers["odata-version"], "4.0");
    assert_eq!(text(&made.json["passwordCredentials"][0]["secretText"]).len(), 40);
    let mut seen = desk.get(&path).await.json;
    seen["passwordCredentials"][0]["secretText"] = made.json["passwordCredentials"][0]["secretText"].clone();
    assert_eq!(seen, made.json);
    assert_eq!(seen["api"]["requestedAccessTokenVersion"], 2);
    assert_eq!(seen["api"]["knownClientApplications"], json!([DAEMON]));
    assert_eq!(seen["appRoles"][0]["description"], "Does it");
    assert_eq!(seen["requiredResourceAccess"][0]["resourceAccess"][1], json!({ "id": scope, "type": "Scope" }));
    assert_eq!(seen["web"]["redirectUris"], json!(["https://localhost"]));
    assert_eq!((&seen["tags"], &seen["notes"]), (&json!(["a", "b"]), &json!("n")));
    assert_eq!(desk.get(&format!("{path}/owners")).await.json["value"][0]["id"], graph["id"]);

    // a change leaves what it does not name
    let change = json!({ "displayName": "Renamed", "web": { "homePageUrl": "https://h" }, "notes": null, "tags": [] });
    assert_eq!(desk.patch(&path, change).await.status, 204);
    let seen = desk.get(&path).await.json;
    assert_eq!((&seen["displayName"], &seen["notes"], &seen["tags"]), (&json!("Renamed"), &Value::Null, &json!([])));
    assert_eq!(seen["web"]["redirectUris"], json!(["https://localhost"]));
    assert_eq!(seen["appRoles"][0]["id"], role);
    // the secret goes when an update's list is without it
    assert_eq!(desk.patch(&path, json!({ "passwordCredentials": [] })).await.status, 204);
    assert_eq!(desk.get(&path).await.json["passwordCredentials"], json!([]));
}

#[tokio::test]
async fn a_bad_application_is_refused_and_nothing_is_made() {
    let desk = Desk::open().await;
    let before = desk.get("applications").await.names();
    let role = |changes: Value| {
        let id = uuid::Uuid::new_v4();
        let mut role = json!({
            "id": id, "value": "R", "displayName": "R", "description": "R", "allowedMemberTypes": ["Application"],
        });
        role.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "displayName": "Bad", "appRoles": [role] })
    };
    for (body, code) in [
        (json!({}), "Request_BadRequest"),
        (json!({ "displayName": "" }), "Request_BadRequest"),
        (json!({ "displayName": 5 }), "Request_BadRequest"),
        (json!({ "displayName": "x".repeat(257) }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "planet": 1 }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "appId": DAEMON }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "id": DAEMON }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "tags": "a" }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "web": { "planet": 1 } }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "signInAudience": "Everybody" }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "api": { "requestedAccessTokenVersion": 3 } }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "signInAudience": "AzureADandPersonalMicrosoftAccount" }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "identifierUris": ["no uri"] }), "Request_BadRequest"),
        (json!({ "displayName": "Bad", "identifierUris": ["https://example.org/x"] }), "HostNameNotOnVerifiedDomain"),
        (json!({ "displayName": "Bad", "identifierUris": ["HTTPS://example.org/x"] }), "HostNameNotOnVerifiedDomain"),
        (
            json!({ "displayName": "Bad", "requiredResourceAccess": [{ "resourceAppId": "graph" }] }),
            "Request_BadRequest",
        ),
        (
            json!({ "displayName": "Bad", "keyCredentials": [{ "type": "AsymmetricX509Cert", "usage": "Verify", "key": "AAAA" }] }),
            "Request_BadRequest",
        ),
        (
            json!({ "displayName": "Bad", "keyCredentials": [{ "type": "Symmetric", "usage": "Verify", "key": "AAAA" }] }),
            "Request_BadRequest",
        ),
        (
            json!({ "displayName": "Bad", "passwordCredentials": [
                {}, { "startDateTime": "2040-01-01T00:00:00Z", "endDateTime": "2039-01-01T00:00:00Z" },
            ] }),
            "Request_BadRequest",
        ),
        (role(json!({ "value": "a b" })), "Request_BadRequest"),
        (role(json!({ "allowedMemberTypes": [] })), "Request_BadRequest"),
        (role(json!({ "id": "x" })), "Request_BadRequest"),
        (role(json!({ "description": null })), "Request_BadRequest"),
        (role(json!({ "planet": 1 })), "Request_BadRequest"),
    ] {
        let refused = desk.post("applications", body.clone()).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
    let taken = desk.post("applications", json!({ "displayName": "Bad", "identifierUris": ["api://TodoList"] })).await;
    assert_eq!(taken.refusal(), (409, "Request_MultipleObjectsWithSameKeyValue"));
    assert_eq!(desk.get("applications").await.names(), before);
    let named = json!({ "displayName": "One", "uniqueName": "one" });
    assert_eq!(desk.post("applications", named.clone()).await.status, 201);
    assert_eq!(desk.post("applications", named).await.refusal(), (409, "Request_MultipleObjectsWithSameKeyValue"));
    let again = desk.patch("applications(uniqueName='one')", json!({ "uniqueName": "one", "notes": "n" })).await;
    assert_eq!(again.status, 204, "it keeps its own: {}", again.json);
    for path in ["applications/not-an-id", "applications(planet='x')", "servicePrincipals/not-an-id"] {
        assert_eq!(desk.get(path).await.status, 400, "{path}");
    }
}

/// All of a change or none of it.
#[tokio::test]
async fn a_change_that_fails_changes_nothing() {
    let desk = Desk::open().await;
    let path = format!("applications(appId='{API_V2}')");
    let before = desk.get(&path).await.json;
    let change = json!({ "displayName": "New", "identifierUris": ["api://new", "https://example.org/x"] });
    assert_eq!(desk.patch(&path, change).await.status, 400);
    let change = json!({ "displayName": "New", "identifierUris": ["api://new", "api://new/"] });
    assert_eq!(desk.patch(&path, change).await.status, 409);
    let change = json!({ "displayName": "New", "tags": ["a"], "web": { "planet": 1 } });
    assert_eq!(desk.patch(&path, change).await.status, 400);
    assert_eq!(desk.patch(&path, json!({ "displayName": null, "notes": "n" })).await.status, 400);
    let unknown = json!({ "displayName": "New", "passwordCredentials": [{ "displayName": "p" }] });
    assert_eq!(desk.patch(&path, unknown).await.status, 400);
    assert_eq!(desk.get(&path).await.json, before);
}

/// As in Entra: first disable, then delete.
#[tokio::test]
async fn an_enabled_role_stays() {
    let desk = Desk::open().await;
    let path = format!("applications(appId='{API_V2}')");
    let mut roles = desk.get(&path).await.json["appRoles"].clone();
    let principal = desk.get(&format!("servicePrincipals(appId='{API_V2}')")).await.json;
    let daemon = text(&desk.get(&format!("servicePrincipals(appId='{DAEMON}')")).await.json["id"]);
    let refused = desk.patch(&path, json!({ "appRoles": [] })).await;
    assert_eq!(refused.refusal(), (400, "CannotDeleteOrUpdateEnabledEntitlement"));
    let mut renamed = roles.clone();
    renamed[0]["value"] = "Other".into();
    let refused = desk.patch(&path, json!({ "appRoles": renamed })).await;
    assert_eq!(refused.refusal(), (400, "CannotDeleteOrUpdateEnabledEntitlement"));

    roles[0]["isEnabled"] = false.into();
    assert_eq!(desk.patch(&path, json!({ "appRoles": roles })).await.status, 204);
    let grant = json!({ "principalId": daemon, "resourceId": principal["id"], "appRoleId": roles[0]["id"] });
    let to = format!("servicePrincipals/{}/appRoleAssignedTo", text(&principal["id"]));
    assert_eq!(desk.post(&to, grant).await.refusal(), (400, "Request_BadRequest"), "nobody gets a disabled role");
    let mut given = |value: &str| {
        roles[0]["value"] = value.into();
        json!({ "appRoles": roles })
    };
    let taken = given(&text(&desk.get(&path).await.json["appRoles"][1]["value"]));
    assert_eq!(desk.patch(&path, taken).await.refusal(), (409, "Request_MultipleObjectsWithSameKeyValue"));
    for bad in ["", "a b"] {
        assert_eq!(desk.patch(&path, given(bad)).await.refusal(), (400, "Request_BadRequest"), "{bad:?}");
    }
    assert_eq!(desk.patch(&path, given("Other")).await.status, 204);
    roles.as_array_mut().unwrap().remove(0);
    assert_eq!(desk.patch(&path, json!({ "appRoles": roles })).await.status, 204);
    assert_eq!(desk.get(&path).await.json["appRoles"], roles);
    let twice = json!([roles[0], roles[0]]);
    assert_eq!(desk.patch(&path, json!({ "appRoles": twice })).await.refusal(), (400, "Request_BadRequest"));
}

#[tokio::test]
async fn service_principals() {
    let desk = Desk::open().await;
    let (_, app_id) = desk.application("Service").await;
    let made = desk.post("servicePrincipals", json!({ "appId": app_id, "tags": ["HideApp"] })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let path = format!("servicePrincipals/{}", text(&made.json["id"]));
    assert_eq!(made.json["servicePrincipalNames"], json!([app_id]));
    assert_eq!(made.json["appOwnerOrganizationId"], CONTOSO.to_string());
    let again = desk.post("servicePrincipals", json!({ "appId": app_id })).await;
    assert_eq!(again.refusal(), (409, "Request_MultipleObjectsWithSameKeyValue"));
    for (body, code) in [
        (json!({}), "Request_BadRequest"),
        (json!({ "appId": "x" }), "Request_BadRequest"),
        (json!({ "appId": uuid::Uuid::new_v4() }), "NoBackingApplicationObject"),
    ] {
        assert_eq!(desk.post("servicePrincipals", body).await.refusal(), (400, code));
    }
    let change =
        json!({ "accountEnabled": false, "appRoleAssignmentRequired": true, "notes": "n", "displayName": "Service" });
    assert_eq!(desk.patch(&path, change).await.status, 204);
    let seen = desk.get(&path).await.json;
    assert_eq!((&seen["accountEnabled"], &seen["appRoleAssignmentRequired"]), (&json!(false), &json!(true)));
    assert_eq!((&seen["notes"], &seen["tags"]), (&json!("n"), &json!(["HideApp"])));
    for body in [json!({ "displayName": "Other" }), json!({ "planet": 1 }), json!({ "accountEnabled": "no" })] {
        assert_eq!(desk.patch(&path, body).await.refusal(), (400, "Request_BadRequest"));
    }
    assert_eq!(desk.delete(&path).await.status, 204);
    assert_eq!(desk.get(&path).await.status, 404);
    let graph = format!("servicePrincipals(appId='{GRAPH}')");
    assert_eq!(desk.delete(&graph).await.refusal(), (403, "Authorization_RequestDenied"));
    let application = desk.get(&format!("applications(appId='{GRAPH}')")).await;
    assert_eq!(application.refusal(), (404, "Request_ResourceNotFound"), "Microsoft's are registered elsewhere");

    // another tenant's application, once it is for all tenants
    let directory = desk.entra.emulator.directory();
    let seed = apptoken_emulator::seed::SeedApplication {
        display_name: "Foreign".into(),
        home_tenant: Some(FABRIKAM.to_string()),
        ..Default::default()
    };
    let foreign = directory.add_application(&seed).unwrap().to_string();
    let body = json!({ "appId": foreign });
    assert_eq!(desk.post("servicePrincipals", body.clone()).await.refusal(), (400, "NoBackingApplicationObject"));
    directory.set_sign_in_audience(&foreign, apptoken_emulator::SignInAudience::AzureADMultipleOrgs).unwrap();
    let made = desk.post("servicePrincipals", body).await;
    assert_eq!((made.status, &made.json["appOwnerOrganizationId"]), (201, &json!(FABRIKAM)));
}

#[tokio::test]
async fn assignments_that_cannot_be() {
    let desk = Desk::open().await;
    let api = desk.get(&format!("servicePrincipals(appId='{API_V2}')")).await.json;
    let daemon = desk.get(&format!("servicePrincipals(appId='{DAEMON}')")).await.json;
    let user = desk.get("users/ada@contoso.com").await.json;
    let to = format!("servicePrincipals/{}/appRoleAssignedTo", text(&api["id"]));
    let good = json!({ "principalId": daemon["id"], "resourceId": api["id"], "appRoleId": api["appRoles"][0]["id"] });
    for (what, change, refusal) in [
        ("another API than the path's", json!({ "resourceId": daemon["id"] }), (400, "Request_BadRequest")),
        ("no such principal", json!({ "principalId": uuid::Uuid::new_v4() }), (404, "Request_ResourceNotFound")),
        ("a user", json!({ "principalId": user["id"] }), (400, "Request_BadRequest")),
        ("no such role", json!({ "appRoleId": uuid::Uuid::new_v4() }), (400, "Request_BadRequest")),
        ("no GUID", json!({ "appRoleId": "DaemonAppRole" }), (400, "Request_BadRequest")),
        ("missing", json!({ "principalId": null }), (400, "Request_BadRequest")),
        ("unknown property", json!({ "planet": 1 }), (400, "Request_BadRequest")),
    ] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(desk.post(&to, body).await.refusal(), refusal, "{what}");
    }
    assert_eq!(desk.get(&to).await.json["value"], json!([]));
}

#[tokio::test]
async fn groups_and_their_members() {
    let seed = r#"{ "tenants": [{ "defaultDomain": "woodgrove.com",
        "users": [{ "displayName": "Ada", "userPrincipalName": "ada@woodgrove.com", "further": { "jobTitle": "Analyst" } }],
        "groups": [
            { "id": "99999999-aaaa-4aaa-8aaa-000000000001", "displayName": "Inner", "members": ["ada@woodgrove.com"] },
            { "displayName": "Outer", "members": ["99999999-aaaa-4aaa-8aaa-000000000001"],
              "further": { "mailNickname": "outer", "description": "all" } }
        ],
        "adminApplication": { "secretText": "SECRET" } }] }"#;
    let secret = crate::desk::admin_secret();
    let entra = start_with(common::describe().seed_json(&seed.replace("SECRET", &secret)).unwrap()).await;
    let directory = entra.emulator.directory().snapshot();
    let home = directory.tenant("woodgrove.com").unwrap().id;
    let admin = directory.applications().find(|app| app.home_tenant == Some(home)).unwrap().app_id.to_string();
    let form = common::form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &admin),
        ("client_secret", &secret),
        ("scope", common::GRAPH_DEFAULT),
    ]);
    let token = entra.send(entra.post("/woodgrove.com/oauth2/v2.0/token", form)).await;
    let token = text(&token.json["access_token"]);
    let get = async |path: &str| entra.graph(path, &token).await;

    let groups = get("groups").await;
    assert_eq!(groups.names(), ["Inner", "Outer"]);
    let outer = &groups.json["value"][1];
    assert_eq!((&outer["mailNickname"], &outer["securityEnabled"]), (&json!("outer"), &json!(true)));
    let outer = format!("groups/{}", text(&outer["id"]));
    assert_eq!(get(&format!("{outer}/members")).await.names(), ["Inner"]);
    let all = get(&format!("{outer}/transitiveMembers")).await;
    assert_eq!(all.names(), ["Inner", "Ada"]);
    assert_eq!(all.json["value"][1]["@odata.type"], "#microsoft.graph.user");
    assert_eq!(get("users/ada@woodgrove.com/memberOf").await.names(), ["Inner"]);
    assert_eq!(get("users/ada@woodgrove.com/transitiveMemberOf").await.names(), ["Inner", "Outer"]);
    assert_eq!(get("groups?$filter=mailNickname eq 'OUTER'").await.names(), ["Outer"]);
    let user = get("users/ada@woodgrove.com").await.json;
    assert_eq!(user["jobTitle"], "Analyst");
    let object = get(&format!("directoryObjects/{}", text(&user["id"]))).await.json;
    assert_eq!((&object["@odata.type"], &object["jobTitle"]), (&json!("#microsoft.graph.user"), &json!("Analyst")));
    let ids = json!({ "ids": [user["id"], uuid::Uuid::new_v4()], "types": ["user", "group"] });
    let found = entra.ask("POST", "directoryObjects/getByIds", &token, Some(ids)).await;
    assert_eq!(found.names(), ["Ada"]);
    assert_eq!(get(&format!("organization/{home}")).await.json["displayName"], "woodgrove.com");
    assert_eq!(get(&format!("organization/{CONTOSO}")).await.refusal(), (404, "Request_ResourceNotFound"));
}
