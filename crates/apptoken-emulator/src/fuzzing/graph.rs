//! Whatever JSON comes to Graph, for whatever object: an answer, and never our fault.

use std::cell::{Cell, RefCell};

use http::Request;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testkit::CANARY;
use url::form_urlencoded::Serializer;

use crate::fuzzing::WithoutSockets;

#[test]
fn no_write_is_our_fault() {
    let desk = RefCell::new(Desk::open());
    let (done, refused) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let writes = vec((method(), path(), body()), 20);
    let outcome = TestRunner::new(config).run(&writes, |writes| {
        // what an earlier case deleted is back
        let mut desk = desk.borrow_mut();
        desk.reopen();
        for (method, path, body) in writes {
            let status = desk.send(method, &path, body.clone().into_bytes());
            prop_assert!(status < 500, "{} for {} {} {}", status, method, path, body);
            let count = if status < 300 { &done } else { &refused };
            count.set(count.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap();
    let (done, refused) = (done.get(), refused.get());
    assert!(done > 50 && refused > 300, "{done} writes done, {refused} refused: too few to tell");
}

#[test]
fn deep_long_and_large_bodies_are_refused_for_every_object() {
    let desk = Desk::open();
    let deep = |open: &str, close: &str, times: usize| format!("{}{}", open.repeat(times), close.repeat(times));
    for path in PATHS {
        for body in [
            deep("[", "]", 60_000),
            deep(r#"{"web":"#, "}", 15_000).replace(":}", ":1}"),
            format!(r#"{{"displayName":{}}}"#, deep("[", "]", 120)),
            format!(r#"{{"displayName":"{}"}}"#, "\u{10ffff}".repeat(30_000)),
            format!(r#"{{"requests":[{}]}}"#, vec!["{}"; 20_000].join(",")),
            format!(r#"{{"displayName":{}}}"#, "9".repeat(100_000)),
            format!("{{{}}}", (0..9000).map(|i| format!(r#""m{i}":1"#)).collect::<Vec<_>>().join(",")),
        ] {
            // a DELETE asks nothing of its body
            for method in ["POST", "PATCH", "PUT"] {
                let status = desk.send(method, path, body.clone().into_bytes());
                assert!((400..500).contains(&status), "{status} for {method} {path} {:.60}", body);
            }
        }
        assert_eq!(desk.send("POST", path, vec![b' '; 10 << 20]), 413, "{path}");
    }
}

/// An administrator's.
struct Desk {
    entra: WithoutSockets,
    token: String,
}

impl Desk {
    fn open() -> Self {
        let mut desk = Self { entra: WithoutSockets::new("{}", &[]).unwrap(), token: String::new() };
        desk.reopen();
        desk
    }

    fn reopen(&mut self) {
        let seed = json!({
            "tenants": [{
                "tenantId": ID, "defaultDomain": "contoso.com",
                "adminApplication": { "appId": ADMIN, "secretText": CANARY },
                "users": [{ "id": ID, "displayName": "Ada", "userPrincipalName": "ada@contoso.com" }],
            }],
            "applications": [{ "appId": ID, "displayName": "Daemon", "appRoles": [{ "id": ID, "value": "Reader" }] }],
        });
        self.entra.reseed(&seed.to_string()).unwrap();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", ADMIN)
            .append_pair("client_secret", CANARY)
            .append_pair("scope", "https://graph.microsoft.com/.default")
            .finish();
        let request = Request::post("https://localhost/contoso.com/oauth2/v2.0/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into_bytes());
        let answer: Value = serde_json::from_slice(self.entra.answer(request.unwrap()).unwrap().body()).unwrap();
        self.token = answer["access_token"].as_str().unwrap().to_owned();
    }

    fn send(&self, method: &str, path: &str, body: Vec<u8>) -> u16 {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://localhost/graph/v1.0/{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(body);
        let answer = self.entra.answer(request.unwrap()).unwrap();
        let status = answer.status().as_u16();
        let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
        // a refusal says what is wrong
        assert!(status < 400 || body.unwrap()["error"]["message"].is_string(), "{status} for {method} {path}");
        status
    }
}

fn method() -> impl Strategy<Value = &'static str> {
    select(METHODS)
}

fn path() -> impl Strategy<Value = String> {
    let object = prop_oneof![3 => Just(format!("applications(appId='{ID}')")), 1 => Just(format!("servicePrincipals(appId='{ID}')"))];
    prop_oneof![
        4 => select(PATHS).prop_map(str::to_owned),
        2 => (object, select(SEGMENTS)).prop_map(|(object, segment)| format!("{object}/{segment}")),
        1 => vec(select(SEGMENTS), 1..5).prop_map(|segments| segments.join("/")),
    ]
}

/// Mostly an object with members that count; sometimes broken, sometimes with a member twice.
fn body() -> impl Strategy<Value = String> {
    let object = members(value());
    prop_oneof![
        8 => object.clone(),
        1 => value(),
        1 => (object, any::<proptest::sample::Index>()).prop_map(|(text, at)| {
            let cut = at.index(text.len());
            text.char_indices().take_while(|(i, _)| *i < cut).map(|(_, c)| c).collect()
        }),
        1 => ".{0,40}",
    ]
}

fn value() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        select(WORDS).prop_map(|word| json!(word).to_string()),
        select(vec![
            "null",
            "true",
            "false",
            "{}",
            "[]",
            "1e999",
            "-0",
            "18446744073709551616",
            "\"\\ud800\"",
            "\"\\u0000\""
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        ".{0,30}".prop_map(|text| json!(text).to_string()),
        (1..5000_usize).prop_map(|n| json!("x".repeat(n)).to_string()),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))), members(inner),]
    })
    .boxed()
}

fn members(value: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let name = prop_oneof![9 => select(MEMBERS).prop_map(str::to_owned), 1 => ".{0,12}"];
    vec((name, value), 0..6)
        .prop_map(|members| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            format!("{{{}}}", members.join(","))
        })
        .boxed()
}

/// Of the tenant, the application, its role and a user: whatever refers to anything may find something.
const ID: &str = "11111111-aaaa-4aaa-8aaa-000000000001";
const ADMIN: &str = "22222222-bbbb-4bbb-8bbb-000000000002";

const METHODS: &[&str] = &["POST", "PATCH", "PUT", "DELETE"];

const PATHS: &[&str] = &[
    "applications",
    "servicePrincipals",
    "users",
    "groups",
    "$batch",
    "applications(appId='11111111-aaaa-4aaa-8aaa-000000000001')",
    "applications(appId='11111111-aaaa-4aaa-8aaa-000000000001')/addPassword",
    "applications(appId='11111111-aaaa-4aaa-8aaa-000000000001')/removePassword",
    "applications(appId='11111111-aaaa-4aaa-8aaa-000000000001')/addKey",
    "applications(appId='11111111-aaaa-4aaa-8aaa-000000000001')/federatedIdentityCredentials",
    "applications(appId='11111111-aaaa-4aaa-8aaa-000000000001')/owners/$ref",
    "servicePrincipals(appId='11111111-aaaa-4aaa-8aaa-000000000001')",
    "servicePrincipals(appId='11111111-aaaa-4aaa-8aaa-000000000001')/appRoleAssignments",
    "servicePrincipals(appId='11111111-aaaa-4aaa-8aaa-000000000001')/appRoleAssignedTo",
];

const SEGMENTS: &[&str] = &[
    "applications",
    "servicePrincipals",
    "users",
    "groups",
    "organization",
    "auditLogs",
    "signIns",
    "members",
    "owners",
    "$ref",
    "$count",
    "addPassword",
    "removePassword",
    "addKey",
    "removeKey",
    "appRoleAssignments",
    "appRoleAssignedTo",
    "federatedIdentityCredentials",
    ID,
    "x",
    "%00",
    "..",
];

const MEMBERS: &[&str] = &[
    "displayName",
    "appId",
    "id",
    "keyId",
    "identifierUris",
    "appRoles",
    "api",
    "requestedAccessTokenVersion",
    "signInAudience",
    "requiredResourceAccess",
    "resourceAppId",
    "resourceAccess",
    "type",
    "passwordCredential",
    "passwordCredentials",
    "keyCredential",
    "keyCredentials",
    "key",
    "usage",
    "startDateTime",
    "endDateTime",
    "allowedMemberTypes",
    "value",
    "description",
    "isEnabled",
    "accountEnabled",
    "appRoleAssignmentRequired",
    "principalId",
    "resourceId",
    "appRoleId",
    "name",
    "issuer",
    "subject",
    "audiences",
    "tags",
    "notes",
    "web",
    "requests",
    "method",
    "url",
    "body",
    "headers",
    "dependsOn",
    "@odata.id",
    "@odata.type",
];

const WORDS: &[&str] = &[
    ID,
    ADMIN,
    "00000003-0000-0000-c000-000000000000",
    "00000000-0000-0000-0000-000000000000",
    "https://contoso.com/x",
    "api://x",
    "https://graph.microsoft.com/v1.0/users/11111111-aaaa-4aaa-8aaa-000000000001",
    "Role",
    "Application",
    "AsymmetricX509Cert",
    "Verify",
    "AzureADMultipleOrgs",
    "2099-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
    "api://AzureADTokenExchange",
    "POST",
    "/applications",
    "/servicePrincipals",
    "1",
    "",
];
