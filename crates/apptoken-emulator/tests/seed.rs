//! The seed file: what it declares is there, what contradicts itself is refused with the place.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use apptoken_emulator::{Emulator, Seed};
use common::{CONTOSO, DAEMON, good, secret, start_with};
use serde_json::{Value, json};

const ROLE: &str = "99999999-9999-4999-8999-999999999999";

fn whole() -> Value {
    let certificate = apptoken_jose::issue::self_signed("daemon", now(), 10).unwrap().0;
    json!({
        "$schema": "https://example.com/seed.schema.json",
        "tenants": [{
            "tenantId": CONTOSO, "displayName": "Contoso", "defaultDomain": "contoso.onmicrosoft.com",
            "domains": ["contoso.com"], "users": [{ "displayName": "Ada", "userPrincipalName": "ada@contoso.com" }],
        }],
        "applications": [
            { "appId": DAEMON, "displayName": "Daemon", "signInAudience": "AzureADMyOrg",
              "requiredResourceAccess": [
                  { "resource": "api://todolist", "appRoles": ["DaemonAppRole"] },
                  { "resource": "00000003-0000-0000-c000-000000000000", "appRoles": ["df021288-bdef-4463-88db-98f22de89214"] },
              ],
              "passwordCredentials": [{ "displayName": "s", "secretText": secret(), "endDateTime": "2999-01-01T00:00:00Z" }],
              "keyCredentials": [
                  { "displayName": "pem", "certificate": certificate.to_pem() },
                  { "displayName": "der", "certificate": certificate.x5c() },
              ],
              "servicePrincipals": [{ "tenant": "contoso.onmicrosoft.com", "adminConsent": true }] },
            { "displayName": "TodoList API", "homeTenant": "contoso.com", "identifierUris": ["api://todolist"],
              "requestedAccessTokenVersion": 2,
              "appRoles": [{ "value": "DaemonAppRole", "displayName": "Daemons" }] },
        ],
    })
}

#[tokio::test]
async fn a_whole_directory_from_json() {
    testkit::init();
    let builder = Emulator::builder().seed_json(&whole().to_string()).unwrap();
    testkit::witness(&builder);
    let entra = start_with(builder).await;
    let claims = entra.claims(&entra.granted("api://todolist/.default").await).await;
    assert_eq!((&claims["roles"], &claims["ver"]), (&json!(["DaemonAppRole"]), &json!("2.0")));
    let claims = entra.claims(&entra.granted("https://graph.microsoft.com/.default").await).await;
    assert_eq!(claims["roles"], json!(["User.Read.All"]));

    let snapshot = entra.emulator.directory().snapshot();
    testkit::witness(&snapshot);
    let daemon = snapshot.application(DAEMON).unwrap();
    assert_eq!(daemon.certificates.len(), 2);
    assert_eq!(daemon.certificates[0].certificate, daemon.certificates[1].certificate);
    assert_eq!(snapshot.tenant("CONTOSO.com").unwrap().id, CONTOSO);
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test]
async fn without_consent_it_is_only_a_wish() {
    testkit::init();
    let mut seed = whole();
    seed["applications"][0].as_object_mut().unwrap().remove("servicePrincipals");
    let entra = start_with(Emulator::builder().seed_json(&seed.to_string()).unwrap()).await;
    let claims = entra.claims(&entra.granted("api://todolist/.default").await).await;
    assert_eq!(claims.get("roles"), None);
    let answer = entra.send(entra.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), good(&[]))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn contradictions_are_refused_with_their_place() {
    testkit::init();
    let change = |pointer: &str, value: Value| {
        let mut seed = whole();
        *seed.pointer_mut(pointer).unwrap() = value;
        seed
    };
    let cases = [
        (
            change("/applications/0/requiredResourceAccess/0/resource", json!("api://other")),
            "applications[0].requiredResourceAccess[0].resource: no application has the App ID URI or id \"api://other\"",
        ),
        (
            change("/applications/0/requiredResourceAccess/0/appRoles/0", json!("Nope")),
            "applications[0].requiredResourceAccess[0].appRoles[0]: TodoList API has no app role \"Nope\"",
        ),
        (
            change("/applications/0/servicePrincipals/0/tenant", json!("fabrikam.com")),
            "applications[0].servicePrincipals[0].tenant: no tenant \"fabrikam.com\" in this directory",
        ),
        (
            change("/applications/1/homeTenant", json!("x.y")),
            "applications[1].homeTenant: no tenant \"x.y\" in this directory",
        ),
        (
            change("/applications/1/requestedAccessTokenVersion", json!(3)),
            "applications[1].requestedAccessTokenVersion: 3 is neither 1 nor 2",
        ),
        (
            change("/applications/0/keyCredentials/0/certificate", json!("@@")),
            "applications[0].keyCredentials[0].certificate: neither PEM nor the base64 of a DER certificate",
        ),
        (
            change("/applications/0/passwordCredentials/0/secretText", json!("")),
            "applications[0].passwordCredentials[0].secretText: an empty secret",
        ),
        (
            change("/applications/0/requiredResourceAccess/0/appRoles", json!([uuid::Uuid::nil()])),
            "applications[0].requiredResourceAccess[0].appRoles: the empty GUID is no app role to ask for",
        ),
        (
            change("/applications/0/appId", json!(uuid::Uuid::nil())),
            "applications[0].appId: the empty GUID names no application",
        ),
        (
            change("/applications/0/appId", json!("7d312290-28c8-473c-a0ed-8e53749b6d6d")),
            "applications[0].appId: 7d312290-28c8-473c-a0ed-8e53749b6d6d is Microsoft's own Microsoft Cognitive Services, \
             which is here already",
        ),
        (
            change("/tenants/0/tenantId", json!("9188040d-6c67-4c5b-b112-36a304b66dad")),
            "tenants[0].tenantId: 9188040d-6c67-4c5b-b112-36a304b66dad names no organisation at Entra: nobody could ask for \
             a token there",
        ),
        (
            change("/tenants/0/defaultDomain", json!("contoso")),
            "tenants[0]: \"contoso\" is not a domain name such as contoso.com",
        ),
        (
            change("/applications/1/appRoles", json!([{ "value": "A" }, { "value": "A" }])),
            "applications[1].appRoles[1].value: \"A\" is empty or used twice",
        ),
        (
            change("/applications/1/appRoles", json!([{ "id": ROLE, "value": "A" }, { "id": ROLE, "value": "B" }])),
            "applications[1].appRoles[1].id: 99999999-9999-4999-8999-999999999999 is used twice",
        ),
    ];
    for (seed, expected) in cases {
        let seed = Seed::from_json(&seed.to_string()).unwrap();
        let error = Emulator::builder().seed(seed).start().await.unwrap_err();
        assert_eq!(error.to_string(), format!("seed: {expected}"));
    }
    let error = Emulator::builder().seed_json(r#"{"applications":[{"displayName":"A","apRoles":[]}]}"#).unwrap_err();
    assert!(error.to_string().starts_with("seed: applications[0].apRoles: unknown field `apRoles`"), "{error}");
    assert_eq!(error.path(), "applications[0].apRoles");
    let list = Emulator::builder().seed_json("\n[]").unwrap_err();
    assert_eq!(list.to_string(), "seed: a seed is an object, and this is a list");
}

fn now() -> std::time::SystemTime {
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_384_015)
}

#[tokio::test]
async fn groups_owners_and_further_properties() {
    testkit::init();
    let owner = "77777777-aaaa-4aaa-8aaa-000000000007";
    let seed = format!(
        r#"{{
        "tenants": [{{ "defaultDomain": "contoso.com",
            "users": [{{ "displayName": "Ada", "userPrincipalName": "ada@contoso.com", "further": {{ "jobTitle": "Analyst" }} }}],
            "groups": [{{ "displayName": "Engine", "members": ["ADA@contoso.com", "{owner}"] }}] }}],
        "applications": [{{ "displayName": "API", "owners": ["{owner}"], "further": {{ "notes": "n" }},
            "appRoles": [{{ "value": "Old", "isEnabled": false, "allowedMemberTypes": ["User"], "description": "d" }}] }}]
    }}"#
    );
    let entra = Emulator::builder().seed_json(&seed).unwrap().start().await.unwrap();
    let directory = entra.directory().snapshot();
    let tenant = directory.tenant("contoso.com").unwrap();
    assert_eq!(tenant.users[0].further["jobTitle"], "Analyst");
    assert_eq!(tenant.groups[0].members, [tenant.users[0].id, owner.parse().unwrap()]);
    let api = directory.applications().find(|app| app.display_name == "API").unwrap();
    assert_eq!((api.owners[0].to_string().as_str(), &api.further["notes"]), (owner, &serde_json::json!("n")));
    let role = &api.app_roles[0];
    assert_eq!((role.enabled, &role.allowed_member_types[..]), (false, &[apptoken_emulator::MemberType::User][..]));
    let unknown = seed.replace("ADA@contoso.com", "eve@contoso.com");
    let error = Emulator::builder().seed_json(&unknown).unwrap().start().await.unwrap_err().to_string();
    assert!(error.contains("tenants[0].groups[0].members[0]"), "{error}");
}
