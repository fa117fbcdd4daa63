//! What automation does: registers a daemon, gives it credentials, grants it roles, takes all that away again.

use std::time::Duration;

use apptoken_jose::{Algorithm, jws};
use serde_json::{Map, Value, json};

use crate::common::{API_V2, API_V2_DEFAULT, CONTOSO, DAEMON, GRAPH_DEFAULT, daemon_key, form, secret};
use crate::desk::{Desk, NORTHWIND_ADMIN, admin_secret, text};

/// From nothing to a role in a token and back, without a person.
#[tokio::test]
async fn a_daemon_from_registration_to_removal() {
    let desk = Desk::open().await;
    let (id, client_id) = desk.application("Invoices daemon").await;

    let password = json!({ "passwordCredential": { "displayName": "first" } });
    let password = desk.post(&format!("applications/{id}/addPassword"), password).await;
    assert_eq!(password.status, 200, "{}", password.json);
    let (secret, key_id) = (text(&password.json["secretText"]), text(&password.json["keyId"]));
    assert_eq!(password.json["hint"], secret[..3]);
    assert_eq!(password.json["displayName"], "first");
    let shown = desk.get(&format!("applications/{id}")).await.json;
    assert_eq!(shown["passwordCredentials"][0]["secretText"], Value::Null, "it is shown once");
    assert_eq!(shown["passwordCredentials"][0]["hint"], secret[..3]);

    // an application has no service principal until one is made
    let early = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    assert_eq!(early.json["error_codes"], json!([7000229]), "{}", early.json);
    let principal = desk.post("servicePrincipals", json!({ "appId": client_id })).await;
    assert_eq!(principal.status, 201, "{}", principal.json);
    let principal_id = text(&principal.json["id"]);
    assert!(principal.headers["location"].to_str().unwrap().ends_with(&format!("/servicePrincipals/{principal_id}")));
    let token = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    let claims = desk.entra.claims(token.json["access_token"].as_str().unwrap()).await;
    assert!(!claims.contains_key("roles"), "nothing is granted yet");

    let api = desk.get(&format!("servicePrincipals(appId='{API_V2}')")).await.json;
    let role = api["appRoles"].as_array().unwrap().iter().find(|role| role["value"] == "DaemonAppRole").unwrap();
    let grant = json!({ "principalId": principal_id, "resourceId": api["id"], "appRoleId": role["id"] });
    let path = format!("servicePrincipals/{}/appRoleAssignedTo", text(&api["id"]));
    let granted = desk.post(&path, grant.clone()).await;
    assert_eq!(granted.status, 201, "{}", granted.json);
    assert_eq!(granted.json["principalDisplayName"], "Invoices daemon");
    assert_eq!(granted.json["resourceDisplayName"], "TodoList API");
    assert_eq!(granted.json["principalType"], "ServicePrincipal");
    let token = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    let claims = desk.entra.claims(token.json["access_token"].as_str().unwrap()).await;
    assert_eq!(claims["roles"], json!(["DaemonAppRole"]), "the very next token");

    let twice = desk.post(&path, grant).await;
    assert_eq!(twice.refusal(), (400, "Request_BadRequest"));
    let seen = desk.get(&format!("servicePrincipals/{principal_id}/appRoleAssignments")).await.json;
    assert_eq!(seen["value"][0]["id"], granted.json["id"], "from the other end it is the same");
    let one = format!("servicePrincipals/{principal_id}/appRoleAssignments/{}", text(&granted.json["id"]));
    assert_eq!(desk.get(&one).await.json["appRoleId"], role["id"]);
    assert_eq!(desk.delete(&one).await.status, 204);
    assert_eq!(desk.delete(&one).await.refusal(), (404, "Request_ResourceNotFound"));
    let token = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    assert!(!desk.entra.claims(token.json["access_token"].as_str().unwrap()).await.contains_key("roles"));

    let remove = json!({ "keyId": key_id });
    let removed = desk.post(&format!("applications(appId='{client_id}')/removePassword"), remove.clone()).await;
    assert_eq!(removed.status, 204, "{}", removed.json);
    let refused = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    assert_eq!((refused.status, &refused.json["error_codes"]), (401, &json!([7000215])));
    let again = desk.post(&format!("applications/{id}/removePassword"), remove).await;
    assert_eq!(again.refusal(), (400, "Request_BadRequest"));

    assert_eq!(desk.delete(&format!("applications/{id}")).await.status, 204);
    assert_eq!(desk.get(&format!("applications/{id}")).await.refusal(), (404, "Request_ResourceNotFound"));
    let gone = desk.get(&format!("servicePrincipals/{principal_id}")).await;
    assert_eq!(gone.refusal(), (404, "Request_ResourceNotFound"));
    let refused = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    assert_eq!(refused.json["error_codes"], json!([700016]));
    let logged = testkit::logged();
    assert!(!logged.contains(&secret), "a secret that was generated is in no log");
}

#[tokio::test]
async fn the_bootstrap_administrator_is_there_only_where_it_was_asked_for() {
    let desk = Desk::open().await;
    let found = desk.get("applications?$filter=displayName eq 'Bootstrap administrator'").await;
    assert_eq!(found.names(), ["Bootstrap administrator"]);
    let (client_id, second) = desk.entra.emulator.directory().add_admin_application("contoso.com").unwrap();
    assert_eq!(found.json["value"][0]["appId"], client_id.to_string(), "one administrator, another secret");
    assert_eq!(desk.entra.token_of(&client_id.to_string(), &second.text, GRAPH_DEFAULT).await.status, 200);
    assert!(desk.entra.emulator.directory().add_admin_application("nowhere.com").is_err());
    let asked: Vec<_> = std::thread::scope(|scope| {
        let ask = || desk.entra.emulator.directory().add_admin_application("fabrikam.onmicrosoft.com").unwrap().0;
        let all: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(asked.iter().all(|id| *id == asked[0]), "one administrator for all who ask at once: {asked:?}");

    // Northwind's, from a seed
    let form = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &NORTHWIND_ADMIN.to_string()),
        ("client_secret", &admin_secret()),
        ("scope", GRAPH_DEFAULT),
    ]);
    let token = desk.entra.send(desk.entra.post("/northwind.com/oauth2/v2.0/token", form)).await;
    let token = text(&token.json["access_token"]);
    let seen = desk.entra.graph("applications", &token).await;
    assert_eq!(seen.names(), ["Bootstrap administrator"], "it sees its own tenant only");
    assert_eq!(seen.json["value"][0]["appId"], NORTHWIND_ADMIN.to_string());
    let daemon = desk.entra.graph(&format!("applications(appId='{DAEMON}')"), &token).await;
    assert_eq!(daemon.refusal(), (404, "Request_ResourceNotFound"));
    let directory = desk.entra.emulator.directory().snapshot();
    let adminless = directory.tenant("adminless.com").unwrap().id;
    assert_eq!(directory.applications().filter(|app| app.home_tenant == Some(adminless)).count(), 0);
}

#[tokio::test]
async fn secrets_have_dates() {
    let desk = Desk::open().await;
    let (id, client_id) = desk.application("Dated").await;
    assert_eq!(desk.post("servicePrincipals", json!({ "appId": client_id })).await.status, 201);
    let start = desk.entra.emulator.clock().now_unix() + 3600;
    let path = format!("applications/{id}/addPassword");
    let later = json!({ "passwordCredential": { "startDateTime": date(start), "endDateTime": date(start + 60) } });
    let later = desk.post(&path, later).await;
    assert_eq!(later.json["startDateTime"], date(start));
    assert_eq!(later.json["endDateTime"], date(start + 60));
    let secret = text(&later.json["secretText"]);
    desk.entra.emulator.clock().advance(Duration::from_secs(3700));
    let expired = desk.entra.token_of(&client_id, &secret, API_V2_DEFAULT).await;
    assert_eq!(expired.json["error_codes"], json!([7000222]));

    let backwards = json!({ "passwordCredential": { "startDateTime": date(start), "endDateTime": date(start - 1) } });
    for (body, code) in [
        (backwards, "Request_BadRequest"),
        (json!({ "passwordCredential": { "secretText": "my own" } }), "Request_BadRequest"),
        (json!({ "passwordCredential": { "endDateTime": "soon" } }), "Request_BadRequest"),
        (json!({ "password": {} }), "Request_BadRequest"),
        (json!([]), "BadRequest"),
    ] {
        let token = desk.daemon_with(&["Application.ReadWrite.All"]).await;
        let refused = desk.entra.ask("POST", &path, &token, Some(body.clone())).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
    }
}

/// `addKey` demands a proof by a key that is registered; `PATCH` of `keyCredentials` does not.
#[tokio::test]
async fn keys_are_rolled_with_a_proof() {
    let desk = Desk::open().await;
    let emulator = &desk.entra.emulator;
    let (id, client_id) = desk.application("Rolling").await;
    assert_eq!(desk.post("servicePrincipals", json!({ "appId": client_id })).await.status, 201);
    let (first, second) = (daemon_key(emulator), daemon_key(emulator));
    let credential = |key: &crate::common::DaemonKey| json!({ "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(key.certificate.der()), "displayName": "k" });
    let path = format!("applications/{id}");
    let add = format!("{path}/addKey");
    let now = emulator.clock().now_unix();
    let proof = |key: &crate::common::DaemonKey, changes: Value| {
        let mut claims = json!({ "aud": GRAPH_ID, "iss": id, "nbf": now, "exp": now + 600 });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        jws::sign(&Map::new(), &claims, &key.key, Algorithm::Rs256).unwrap()
    };

    // the first key cannot be proven by another
    let unproven = json!({ "keyCredential": credential(&first), "proof": proof(&first, json!({})) });
    let refused = desk.post(&add, unproven.clone()).await;
    assert_eq!(refused.refusal(), (401, "Authentication_MissingOrMalformed"));
    let patched = desk.patch(&path, json!({ "keyCredentials": [credential(&first)] })).await;
    assert_eq!(patched.status, 204, "{}", patched.json);

    for (what, token) in [
        ("another key", proof(&second, json!({}))),
        ("another audience", proof(&first, json!({ "aud": "https://graph.microsoft.com" }))),
        ("another issuer", proof(&first, json!({ "iss": client_id }))),
        ("too long", proof(&first, json!({ "exp": now + 601 }))),
        ("expired", proof(&first, json!({ "nbf": now - 700, "exp": now - 100 }))),
        ("without time", proof(&first, json!({ "nbf": null }))),
        ("no token", "hello".into()),
    ] {
        let body = json!({ "keyCredential": credential(&second), "passwordCredential": null, "proof": token });
        assert_eq!(desk.post(&add, body).await.refusal(), (401, "Authentication_MissingOrMalformed"), "{what}");
    }
    let body =
        json!({ "keyCredential": credential(&second), "passwordCredential": null, "proof": proof(&first, json!({})) });
    let added = desk.post(&add, body).await;
    assert_eq!(added.status, 200, "{}", added.json);
    assert_eq!(added.json["customKeyIdentifier"], second.certificate.thumbprint_hex());
    assert_eq!(sign_in(&desk, &client_id, &second).await, 200, "the new key signs in at once");

    let keys = desk.get(&path).await.json["keyCredentials"].clone();
    assert_eq!((keys.as_array().unwrap().len(), &keys[0]["key"]), (2, &Value::Null));
    let selected = desk.get(&format!("{path}?$select=keyCredentials")).await.json;
    assert_eq!(selected["keyCredentials"][1]["key"], base64(second.certificate.der()), "shown where it is selected");
    let remove = json!({ "keyId": keys[0]["keyId"], "proof": proof(&second, json!({})) });
    assert_eq!(desk.post(&format!("{path}/removeKey"), remove.clone()).await.status, 204);
    assert_eq!(sign_in(&desk, &client_id, &first).await, 401);
    let again = desk.post(&format!("{path}/removeKey"), remove).await;
    assert_eq!(again.refusal(), (400, "Request_BadRequest"));

    // what a PATCH does not name goes; what it names by its id stays
    let kept = json!({ "keyCredentials": [{ "keyId": keys[1]["keyId"], "key": null }, credential(&first)] });
    assert_eq!(desk.patch(&path, kept).await.status, 204);
    assert_eq!((sign_in(&desk, &client_id, &first).await, sign_in(&desk, &client_id, &second).await), (200, 200));
    assert_eq!(desk.patch(&path, json!({ "keyCredentials": [] })).await.status, 204);
    assert_eq!(sign_in(&desk, &client_id, &first).await, 401);
}

/// An application needs no permission to roll its own keys.
#[tokio::test]
async fn a_daemon_rolls_its_own_keys() {
    let desk = Desk::open().await;
    let key = desk.entra.new_certificate();
    let next = daemon_key(&desk.entra.emulator);
    let daemon = desk.get(&format!("applications(appId='{DAEMON}')")).await.json;
    let now = desk.entra.emulator.clock().now_unix();
    let claims = json!({ "aud": GRAPH_ID, "iss": daemon["id"], "nbf": now, "exp": now + 600 });
    let proof = jws::sign(&Map::new(), &claims, &key.key, Algorithm::Rs256).unwrap();
    let credential = json!({ "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(next.certificate.der()) });
    let body = json!({ "keyCredential": credential, "proof": proof });
    let roleless = desk.daemon_with(&[]).await;
    // even to look itself up it would need one: it knows its own id
    let path = format!("applications/{}/addKey", text(&daemon["id"]));
    let added = desk.entra.ask("POST", &path, &roleless, Some(body.clone())).await;
    assert_eq!(added.status, 200, "{}", added.json);
    let (other, _) = desk.application("Another").await;
    let others = desk.entra.ask("POST", &format!("applications/{other}/addKey"), &roleless, Some(body)).await;
    assert_eq!(others.refusal(), (403, "Authorization_RequestDenied"));
}

/// Each is added to those that are there when it is its turn, not to those that its request began with.
#[tokio::test(flavor = "multi_thread")]
async fn keys_added_at_the_same_time_are_all_there() {
    let desk = std::sync::Arc::new(Desk::open().await);
    let (id, _) = desk.application("Busy").await;
    let path = format!("applications/{id}");
    let first = daemon_key(&desk.entra.emulator);
    let credential =
        |der: &[u8]| json!({ "type": "AsymmetricX509Cert", "usage": "Verify", "key": base64(der), "displayName": "k" });
    let patched = desk.patch(&path, json!({ "keyCredentials": [credential(first.certificate.der())] })).await;
    assert_eq!(patched.status, 204, "{}", patched.json);
    let now = desk.entra.emulator.clock().now_unix();
    let claims = json!({ "aud": GRAPH_ID, "iss": id, "nbf": now, "exp": now + 600 });
    let proof = jws::sign(&Map::new(), &claims, &first.key, Algorithm::Rs256).unwrap();
    let body = json!({ "keyCredential": credential(first.certificate.der()), "proof": proof });
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let (desk, add, body) = (std::sync::Arc::clone(&desk), format!("{path}/addKey"), body.clone());
        adding.spawn(async move { desk.post(&add, body).await.json });
    }
    let mut made = Vec::new();
    while let Some(added) = adding.join_next().await {
        let added = added.unwrap();
        assert!(added["keyId"].is_string(), "{added}");
        made.push(text(&added["keyId"]));
    }
    let keys = async || {
        let all = desk.get(&path).await.json["keyCredentials"].clone();
        all.as_array().unwrap().iter().map(|key| text(&key["keyId"])).collect::<Vec<_>>()
    };
    let there = keys().await;
    assert!(made.iter().all(|id| there.contains(id)), "{} of {}", there.len(), made.len() + 1);

    // one goes, though all are of the same certificate; and no two have one id
    let remove = json!({ "keyId": made[0], "proof": proof });
    assert_eq!(desk.post(&format!("{path}/removeKey"), remove).await.status, 204);
    assert_eq!(keys().await.len(), 24);
    let mut again = body.clone();
    again["keyCredential"]["keyId"] = made[1].clone().into();
    assert_eq!(desk.post(&format!("{path}/addKey"), again.clone()).await.status, 409);
    let twice = json!({ "keyCredentials": [again["keyCredential"], again["keyCredential"]] });
    assert_eq!(desk.patch(&path, twice).await.status, 409);
}

#[tokio::test]
async fn federated_credentials_and_their_limits() {
    let desk = Desk::open().await;
    let (id, _) = desk.application("Federated").await;
    let path = format!("applications/{id}/federatedIdentityCredentials");
    let credential = |name: &str, subject: &str| {
        json!({
            "name": name, "issuer": "https://token.actions.githubusercontent.com", "subject": subject,
            "audiences": ["api://AzureADTokenExchange"],
        })
    };
    let made = desk.post(&path, credential("main-branch", "repo:o/r:ref:refs/heads/main")).await;
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!((&made.json["name"], &made.json["description"]), (&json!("main-branch"), &Value::Null));
    let by_name = desk.get(&format!("{path}/main-branch")).await;
    assert_eq!(by_name.json["id"], made.json["id"]);
    let in_parentheses = desk.get(&format!("{path}(name='main-branch')")).await;
    assert_eq!(in_parentheses.json["id"], made.json["id"]);
    let one = format!("{path}/{}", text(&made.json["id"]));
    let change = json!({ "subject": "repo:o/r:environment:prod", "description": "d" });
    assert_eq!(desk.patch(&one, change).await.status, 204);
    let seen = desk.get(&one).await.json;
    assert_eq!((&seen["subject"], &seen["description"]), (&json!("repo:o/r:environment:prod"), &json!("d")));
    assert_eq!(seen["issuer"], "https://token.actions.githubusercontent.com", "what was not named stays");
    assert_eq!(desk.patch(&one, json!({ "description": null })).await.status, 204);
    assert_eq!(desk.get(&one).await.json["description"], Value::Null, "what is nothing goes");
    assert_eq!(desk.patch(&one, json!({ "subject": null })).await.status, 400);

    let many = |count: usize| json!({ "audiences": vec!["api://AzureADTokenExchange"; count] });
    for (what, refused) in [
        ("renamed", desk.patch(&one, json!({ "name": "other" })).await),
        ("two audiences", desk.patch(&one, many(2)).await),
        ("no audience", desk.patch(&one, many(0)).await),
        ("long", desk.patch(&one, json!({ "subject": "x".repeat(601) })).await),
        ("short name", desk.post(&path, credential("ab", "s")).await),
        ("no name", desk.post(&path, json!({ "issuer": "https://i", "subject": "s", "audiences": ["a"] })).await),
        ("unknown", desk.post(&path, json!({ "name": "abc", "claimsMatching": 1 })).await),
    ] {
        assert_eq!(refused.refusal(), (400, "Request_BadRequest"), "{what}");
    }
    let same_name = desk.post(&path, credential("main-branch", "other")).await;
    assert_eq!(same_name.refusal(), (409, "Request_MultipleObjectsWithSameKeyValue"));
    let same_subject = desk.post(&path, credential("another", "repo:o/r:environment:prod")).await;
    assert_eq!(same_subject.refusal(), (409, "Request_MultipleObjectsWithSameKeyValue"));
    for i in 1..20 {
        assert_eq!(desk.post(&path, credential(&format!("n-{i}"), &format!("s-{i}"))).await.status, 201);
    }
    let refused = desk.post(&path, credential("too-many", "t")).await;
    assert_eq!(refused.refusal(), (400, "Request_BadRequest"));
    assert_eq!(desk.get(&format!("{path}?$top=999")).await.json["value"].as_array().unwrap().len(), 20);
    assert_eq!(desk.delete(&one).await.status, 204);
    assert_eq!(desk.get(&one).await.refusal(), (404, "Request_ResourceNotFound"));
}

/// Expressions in a subject's place are the beta version's.
#[tokio::test]
async fn flexible_federated_credentials_by_the_beta_version() {
    let desk = Desk::open().await;
    let (id, _) = desk.application("Flexible").await;
    let beta = async |method: &str, rest: &str, body: Option<Value>| {
        let url = format!("{}/beta/applications/{id}{rest}", desk.entra.emulator.graph_url());
        let request = desk.entra.client.request(method.parse().unwrap(), url).bearer_auth(&desk.token);
        desk.entra
            .send(match body {
                Some(body) => request.header("content-type", "application/json").body(body.to_string()),
                None => request,
            })
            .await
    };
    let path = "/federatedIdentityCredentials";
    let value = "claims['sub'] matches 'repo:o/r:ref:refs/heads/*' and claims['repository_id'] eq '2'";
    let expression = json!({ "value": value, "languageVersion": 1 });
    let credential = json!({
        "name": "branches", "issuer": "https://token.actions.githubusercontent.com",
        "audiences": ["api://AzureADTokenExchange"], "subject": null, "claimsMatchingExpression": expression,
    });
    let made = beta("POST", path, Some(credential.clone())).await;
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!((&made.json["claimsMatchingExpression"], &made.json["subject"]), (&expression, &Value::Null));
    assert!(text(&made.json["@odata.context"]).contains("/graph/beta/$metadata#"), "{}", made.json);
    let one = format!("{path}/{}", text(&made.json["id"]));
    assert_eq!(beta("GET", &one, None).await.json["claimsMatchingExpression"], expression);
    assert_eq!(beta("GET", path, None).await.json["value"][0]["claimsMatchingExpression"], expression);
    let selected = beta("GET", &format!("{one}?$select=claimsMatchingExpression"), None).await.json;
    assert_eq!((&selected["claimsMatchingExpression"], &selected["name"]), (&expression, &Value::Null));

    // v1.0 shows that there is one, and knows no expressions
    let stable = format!("applications/{id}{path}");
    let seen = desk.get(&format!("{stable}/branches")).await.json;
    assert_eq!((&seen["subject"], seen.get("claimsMatchingExpression")), (&Value::Null, None));
    let refused = desk.post(&stable, json!({ "name": "stable", "issuer": "https://i", "subject": "s", "audiences": ["a"], "claimsMatchingExpression": expression })).await;
    assert_eq!(refused.refusal(), (400, "Request_BadRequest"));

    // from an expression to a subject and back, never both
    for (change, status) in [
        (json!({ "subject": "repo:o/r:environment:p" }), 400),
        (json!({ "claimsMatchingExpression": null }), 400),
        (json!({ "subject": "repo:o/r:environment:p", "claimsMatchingExpression": null }), 204),
        (json!({ "claimsMatchingExpression": expression }), 400),
        (json!({ "subject": null, "claimsMatchingExpression": expression }), 204),
        (json!({ "description": "d" }), 204),
    ] {
        assert_eq!(beta("PATCH", &one, Some(change.clone())).await.status, status, "{change}");
    }
    assert_eq!(beta("GET", &one, None).await.json["claimsMatchingExpression"], expression);

    let changed = |value: &str| {
        let mut credential = credential.clone();
        credential["name"] = "other".into();
        credential["claimsMatchingExpression"]["value"] = value.into();
        credential
    };
    let lacking = beta("POST", path, Some(changed("claims['sub'] matches 'repo:o/*'"))).await;
    assert_eq!(lacking.refusal(), (400, "InvalidFederatedIdentityCredentialValue"), "{}", lacking.json);
    let mut version = changed(value);
    version["claimsMatchingExpression"]["languageVersion"] = "1".into();
    assert_eq!(beta("POST", path, Some(version)).await.refusal(), (400, "Request_BadRequest"));
    assert_eq!(beta("GET", "", None).await.refusal(), (400, "BadRequest"), "all else is v1.0's");
    assert_eq!(beta("DELETE", &one, None).await.status, 204);
}

/// What the portal, the seed and a test's own code have is what Graph has.
#[tokio::test]
async fn the_sign_in_log_newest_first() {
    let desk = Desk::open().await;
    let wrong = desk.entra.token(&[("client_secret", "wrong")]).await;
    let trace = text(&wrong.json["trace_id"]);
    assert_eq!(desk.entra.token(&[]).await.status, 200);
    let log = desk.get("auditLogs/signIns").await.json;
    let newest = &log["value"][0];
    assert_eq!(newest["appId"], DAEMON.to_string());
    assert_eq!(newest["status"]["errorCode"], 0);
    assert_eq!(newest["resourceDisplayName"], "TodoList API");
    assert_eq!(newest["resourceId"], API_V2.to_string());
    assert_eq!(newest["signInEventTypes"], json!(["servicePrincipal"]));
    let refused = &log["value"][1];
    assert_eq!(refused["id"], trace);
    assert_eq!(refused["status"]["errorCode"], 7000215);
    assert!(text(&refused["status"]["failureReason"]).starts_with("AADSTS7000215"));
    assert_eq!(
        desk.get(&format!("auditLogs/signIns/{trace}")).await.json["correlationId"],
        wrong.json["correlation_id"]
    );

    let failures = desk.get("auditLogs/signIns?$filter=status/errorCode ne 0").await.json;
    assert_eq!(failures["value"].as_array().unwrap().len(), 1);
    let kinds = "auditLogs/signIns?$filter=signInEventTypes/any(t:t eq 'managedIdentity')";
    assert_eq!(desk.get(kinds).await.json["value"], json!([]));
    let of_daemon =
        format!("auditLogs/signIns?$filter=appId eq '{DAEMON}' and createdDateTime ge 2020-01-01T00:00:00Z");
    assert_eq!(desk.get(&of_daemon).await.json["value"].as_array().unwrap().len(), 2);

    // pages hold while the log grows
    let page = desk.get("auditLogs/signIns?$top=1").await.json;
    assert_eq!(desk.entra.token(&[]).await.status, 200);
    let next = text(&page["@odata.nextLink"]);
    let next = next.split_once("/v1.0/").unwrap().1;
    assert_eq!(desk.get(next).await.json["value"][0]["id"], trace);
    // Fabrikam's are Fabrikam's
    let elsewhere = crate::common::good(&[]);
    desk.entra.send(desk.entra.post("/fabrikam.onmicrosoft.com/oauth2/v2.0/token", elsewhere)).await;
    let log = desk.get("auditLogs/signIns?$count=true").await.json;
    assert_eq!(log["@odata.count"], 4, "{log}");
    assert!(!log.to_string().contains(&secret()) && !log.to_string().contains("wrong"));
}

pub(crate) async fn sign_in(desk: &Desk, client_id: &str, key: &crate::common::DaemonKey) -> u16 {
    let url = desk.entra.url(&format!("/{CONTOSO}/oauth2/v2.0/token"));
    let now = desk.entra.emulator.clock().now_unix();
    let header = Map::from_iter([("x5t#S256".to_owned(), Value::from(key.certificate.x5t_s256()))]);
    let jti = uuid::Uuid::new_v4();
    let claims = json!({ "aud": url, "iss": client_id, "sub": client_id, "jti": jti, "nbf": now, "exp": now + 600 });
    let assertion = jws::sign(&header, &claims, &key.key, Algorithm::Ps256).unwrap();
    let form = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
        ("scope", API_V2_DEFAULT),
    ]);
    desk.entra.send(desk.entra.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), form)).await.status
}

/// With padding, as SDKs send it.
pub(crate) fn base64(der: &[u8]) -> String {
    let certificate = apptoken_jose::Certificate::from_der(der).unwrap();
    certificate.to_pem().lines().filter(|line| !line.starts_with("---")).collect()
}

fn date(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).unwrap().to_string()
}

pub(crate) const GRAPH_ID: &str = "00000003-0000-0000-c000-000000000000";

/// Whatever the names are, they are kept; the shape is Graph's. Tokens follow at once.
#[tokio::test]
async fn optional_claims_are_graphs() {
    let desk = Desk::open().await;
    let (id, client_id) = desk.application("API").await;
    let path = format!("applications/{id}");
    assert_eq!(desk.get(&path).await.json["optionalClaims"], Value::Null);
    desk.post("servicePrincipals", json!({ "appId": client_id })).await;
    let idtyp = async || {
        let answer = desk.entra.token(&[("scope", &format!("{client_id}/.default"))]).await;
        let claims = desk.entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        claims.get("idtyp").cloned()
    };
    assert_eq!(idtyp().await, None);
    let claims =
        json!({ "accessToken": [{ "name": "idtyp", "essential": true }, { "name": "planet", "source": "user" }] });
    let changed = desk.patch(&path, json!({ "optionalClaims": claims })).await;
    assert_eq!(changed.status, 204, "{}", changed.json);
    let shown = json!({
        "accessToken": [
            { "name": "idtyp", "essential": true, "source": null, "additionalProperties": [] },
            { "name": "planet", "essential": false, "source": "user", "additionalProperties": [] },
        ],
        "idToken": [],
        "saml2Token": [],
    });
    assert_eq!(desk.get(&format!("{path}?$select=optionalClaims")).await.json["optionalClaims"], shown);
    assert_eq!(idtyp().await, Some(json!("app")));

    for bad in [
        json!([]),
        json!({ "refreshToken": [] }),
        json!({ "accessToken": "idtyp" }),
        json!({ "accessToken": ["idtyp"] }),
        json!({ "accessToken": [{}] }),
        json!({ "accessToken": [{ "name": "" }] }),
        json!({ "accessToken": [{ "name": "aud", "additionalProperties": "use_guid" }] }),
        json!({ "accessToken": [{ "name": "idtyp", "colour": "red" }] }),
        json!({ "accessToken": vec![json!({ "name": "x" }); 1_201] }),
    ] {
        let refused = desk.patch(&path, json!({ "optionalClaims": bad })).await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.json);
    }
    assert_eq!(desk.get(&path).await.json["optionalClaims"], shown, "nothing of that was taken");

    let gone = desk.patch(&path, json!({ "optionalClaims": null })).await;
    assert_eq!((gone.status, idtyp().await), (204, None));
    assert_eq!(desk.get(&path).await.json["optionalClaims"], Value::Null);
}
