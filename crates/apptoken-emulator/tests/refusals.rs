//! Every refusal that a daemon can meet here: how it is provoked, and what Entra says.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use apptoken_emulator::ApplicationBuilder;
use apptoken_emulator::seed::{Seed, SeedServicePrincipal};
use common::{CONTOSO, DAEMON, Entra, FABRIKAM, describe, good, secret, start, start_with};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::CANARY;
use uuid::{Uuid, uuid};

const STRANGER: &str = "99999999-9999-4999-8999-999999999999";
const ABSENT: Uuid = uuid!("66666666-ffff-4fff-8fff-000000000006");
const GUEST: Uuid = uuid!("77777777-ffff-4fff-8fff-000000000007");
const DISABLED: Uuid = uuid!("88888888-ffff-4fff-8fff-000000000008");
const EXPIRED: Uuid = uuid!("99999999-ffff-4fff-8fff-000000000009");
const TOKEN: &str = "/contoso.onmicrosoft.com/oauth2/v2.0/token";

/// One refusal: where it is asked, what is changed in a good request, and what comes.
struct Case {
    what: &'static str,
    path: String,
    changes: Vec<(&'static str, String)>,
    status: u16,
    error: &'static str,
    code: u32,
    /// The public look-up page knows the code.
    page: bool,
    /// In the sign-in log: what was compared, and a part of what was presented.
    evidence: Option<(&'static str, &'static str)>,
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let old = format!("{CANARY}-old");
    vec![
        // the tenant
        at("/undefined/oauth2/v2.0/token", "neither GUID nor domain", &[], 400, "invalid_request", 900023).log("tenant", "undefined"),
        at("/%7Btenant%7D/oauth2/v2.0/token", "a template's own", &[], 400, "invalid_request", 900023).log("tenant", "{tenant}"),
        at("/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token", "the empty GUID", &[], 400, "invalid_request", 900021),
        at(&format!("/{STRANGER}/oauth2/v2.0/token"), "unknown GUID", &[], 400, "invalid_request", 90002).log("tenant", STRANGER),
        at("/nowhere.example/oauth2/v2.0/token", "unknown domain", &[], 400, "invalid_request", 90002).log("tenant", "nowhere.example"),
        at("/common/oauth2/v2.0/token", "no tenant named", &[], 400, "invalid_request", 50194).log("tenant", "common"),
        at("/Common/oauth2/v2.0/token", "no tenant named, in another case, multi-tenant", &[("client_id", &GUEST.to_string())], 400, "invalid_request", 50059).log("tenant", "Common"),
        at("/organizations/oauth2/v2.0/token", "no tenant named", &[("client_id", STRANGER)], 400, "invalid_request", 50059),
        at("/consumers/oauth2/v2.0/token", "personal accounts", &[], 400, "invalid_request", 9001023),
        at("/9188040D-6c67-4c5b-b112-36a304b66dad/oauth2/v2.0/token", "their tenant by its id", &[], 400, "invalid_request", 9001023),
        // the grant
        case("no grant_type", &[("grant_type", "")], 400, "invalid_request", 900144).log("parameters", "client_id, client_secret, scope"),
        case("another grant", &[("grant_type", "password")], 400, "unsupported_grant_type", 70003).no_page().log("grant_type", "password"),
        // the application
        case("no client_id", &[("client_id", "")], 400, "invalid_request", 900144),
        case("unknown client_id", &[("client_id", STRANGER)], 400, "unauthorized_client", 700016).log("client_id", STRANGER),
        case("a name for client_id", &[("client_id", "daemon")], 400, "unauthorized_client", 700016).log("client_id", "6 characters, not a GUID"),
        case("id and secret swapped", &[("client_id", &secret()), ("client_secret", &DAEMON.to_string())], 400, "unauthorized_client", 700016),
        case("a placeholder", &[("client_id", "00000000-0000-0000-0000-000000000000")], 400, "unauthorized_client", 700038).no_page(),
        at(&format!("/{FABRIKAM}/oauth2/v2.0/token"), "another tenant's own", &[], 400, "unauthorized_client", 700016),
        case("no service principal", &[("client_id", &ABSENT.to_string())], 401, "invalid_client", 7000229).log("service principal", "none"),
        at(&format!("/{FABRIKAM}/oauth2/v2.0/token"), "multi-tenant, not installed", &[("client_id", &GUEST.to_string())], 401, "invalid_client", 7000229),
        case("disabled", &[("client_id", &DISABLED.to_string())], 400, "unauthorized_client", 7000112),
        // the secret
        case("no credential", &[("client_secret", "")], 401, "invalid_client", 7000216).log("credential", "neither"),
        case("wrong secret", &[("client_secret", &format!("{CANARY}-wrong"))], 401, "invalid_client", 7000215).log("client_secret", "characters"),
        case("expired secret", &[("client_id", &EXPIRED.to_string()), ("client_secret", &old)], 401, "invalid_client", 7000222).log("time", "Z"),
        case("wrong secret beside an expired one", &[("client_id", &EXPIRED.to_string())], 401, "invalid_client", 7000215),
        // the assertion's form (the rest: tests/certificates.rs)
        case("assertion without type", &[("client_assertion", "a.b.c"), ("client_secret", "")], 400, "invalid_request", 900144),
        case("assertion of another type", &[("client_assertion", "a.b.c"), ("client_assertion_type", "saml")], 400, "invalid_request", 9002313),
        case("type without assertion", &[("client_assertion_type", "x"), ("client_secret", "")], 400, "invalid_request", 900144),
        // the scope
        case("no scope", &[("scope", "")], 400, "invalid_request", 900144),
        case("a named permission", &[("scope", "https://graph.microsoft.com/User.Read.All")], 400, "invalid_scope", 1002012).log("scope", "User.Read.All"),
        case("encoded twice", &[("scope", "api%3A%2F%2Ftodolist%2F.default")], 400, "invalid_scope", 1002012),
        case("OpenID scopes only", &[("scope", "openid profile")], 400, "invalid_scope", 1002012),
        case("two resources", &[("scope", "api://todolist/.default https://graph.microsoft.com/.default")], 400, "invalid_scope", 700022),
        case("mixed with a permission", &[("scope", "api://todolist/.default api://todolist/Reader")], 400, "invalid_scope", 70011),
        case("characters that no scope has", &[("scope", "api://todolist/\u{1}/.default")], 400, "invalid_scope", 70011),
        case("resource at v2.0", &[("resource", "api://todolist")], 400, "invalid_request", 901002),
        case("another resource at v2.0", &[("resource", "https://graph.microsoft.com")], 400, "invalid_target", 9010010).log("resource", "https://graph.microsoft.com"),
        at("/contoso.com/oauth2/token", "no resource at v1", &[], 400, "invalid_request", 900144),
        // the resource
        case("unknown resource", &[("scope", "api://nothing/.default")], 400, "invalid_resource", 500011).log("resource", "api://nothing"),
        case("a slash too many", &[("scope", "api://todolist///.default")], 400, "invalid_resource", 500011),
        case("unknown resource id", &[("scope", &format!("{STRANGER}/.default"))], 400, "invalid_resource", 500011),
        case("assignment required", &[("scope", "api://closed/.default")], 400, "invalid_grant", 501051).log("roles", "none"),
        case("disabled resource", &[("scope", "api://disabled/.default")], 400, "invalid_resource", 500014),
        // Entra's order of checks
        at("/undefined/oauth2/v2.0/token", "bad tenant before bad grant", &[("grant_type", "password")], 400, "invalid_request", 900023),
        at("/nowhere.example/oauth2/v2.0/token", "unknown tenant before no grant", &[("grant_type", "")], 400, "invalid_request", 90002),
        at("/common/oauth2/v2.0/token", "bad grant before no tenant named", &[("grant_type", "password")], 400, "unsupported_grant_type", 70003).no_page(),
        case("bad grant before no client_id", &[("grant_type", "password"), ("client_id", "")], 400, "unsupported_grant_type", 70003).no_page(),
        case("bad grant before bad secret", &[("grant_type", "password"), ("client_secret", &format!("{CANARY}-x"))], 400, "unsupported_grant_type", 70003).no_page(),
        case("bad app before bad secret", &[("client_id", STRANGER), ("client_secret", &format!("{CANARY}-x"))], 400, "unauthorized_client", 700016),
        case("no service principal before bad secret", &[("client_id", &ABSENT.to_string()), ("client_secret", &format!("{CANARY}-x"))], 401, "invalid_client", 7000229),
        case("disabled before no credential", &[("client_id", &DISABLED.to_string()), ("client_secret", "")], 400, "unauthorized_client", 7000112),
        case("no credential before bad claims", &[("client_secret", ""), ("claims", "{")], 401, "invalid_client", 7000216),
        case("bad secret before bad claims", &[("client_secret", &format!("{CANARY}-x")), ("claims", "{")], 401, "invalid_client", 7000215),
        case("claims as a challenge has them", &[("claims", "eyJhY2Nlc3NfdG9rZW4iOnt9fQ==")], 400, "invalid_request", 9002313).log("claims", "base64"),
        case("bad claims before bad resource", &[("claims", "{"), ("scope", "api://nothing/.default")], 400, "invalid_request", 9002313),
        case("bad secret before bad scope", &[("client_secret", &format!("{CANARY}-x")), ("scope", "x")], 401, "invalid_client", 7000215),
        case("bad scope before bad resource", &[("scope", "api://nothing/Read")], 400, "invalid_scope", 1002012),
    ]
}

#[tokio::test]
async fn each_refusal_is_entras() {
    let entra = directory().await;
    for case in cases() {
        let changes: Vec<_> = case.changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let id = Uuid::new_v4();
        let request = entra.post(&case.path, good(&changes)).header("client-request-id", id.to_string());
        let answer = entra.send(request).await;
        let what = format!("{}: {}", case.what, answer.json);
        assert_eq!(answer.status, case.status, "{what}");
        assert_eq!(answer.json["error"], case.error, "{what}");
        assert_eq!(answer.json["error_codes"], json!([case.code]), "{what}");
        envelope(&answer.json, case.code, case.page, id);

        let logged = entra.last_sign_in();
        assert_eq!(answer.headers["x-ms-request-id"], logged.trace_id.to_string(), "{what}");
        assert_eq!(answer.json["trace_id"], logged.trace_id.to_string(), "{what}");
        assert_eq!((logged.code, logged.correlation_id), (Some(case.code), id), "{what}");
        if let Some((subject, presented)) = case.evidence {
            let found = logged.evidence.iter().find(|evidence| evidence.subject == subject).expect(&what);
            assert!(found.presented.contains(presented), "{what} {found:?}");
            assert!(!found.expected.is_empty(), "{what}");
        }
        testkit::witness(&logged);
        testkit::witness(&answer);
    }
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

/// The members, their kinds, and the layout of the description.
fn envelope(json: &Value, code: u32, page: bool, correlation: Uuid) {
    let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = vec!["correlation_id", "error", "error_codes", "error_description", "timestamp", "trace_id"];
    if page {
        expected.insert(4, "error_uri");
        assert_eq!(json["error_uri"], format!("https://login.microsoftonline.com/error?code={code}"));
    }
    assert_eq!(members, expected);
    assert_eq!(json["correlation_id"], correlation.to_string());
    let (description, timestamp) = (json["error_description"].as_str().unwrap(), json["timestamp"].as_str().unwrap());
    assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
    let end = format!(
        " Trace ID: {} Correlation ID: {correlation} Timestamp: {timestamp}",
        json["trace_id"].as_str().unwrap()
    );
    assert!(description.ends_with(&end), "{description}");
    let digits: String = timestamp.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(digits, "9999-99-99 99:99:99Z");
}

#[tokio::test]
async fn only_posted_forms_are_read() {
    let entra = start().await;
    let get = entra.send(entra.client.get(entra.url(TOKEN))).await;
    assert_eq!((get.status, &get.json["error_codes"]), (400, &json!([900561])));
    let json_body = entra.client.post(entra.url(TOKEN)).header("content-type", "application/json").body("{}");
    let answer = entra.send(json_body).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (400, &json!([900144])));
    let logged = entra.last_sign_in();
    assert!(logged.evidence.iter().any(|e| e.subject == "content type" && e.presented == "application/json"));
}

#[tokio::test]
async fn an_unknown_resource_stands_beside_those_that_are_alike() {
    let entra = start().await;
    let answer = entra.token(&[("scope", "https://graph.microsoft.co/.default")]).await;
    assert_eq!(answer.json["error_codes"], json!([500011]));
    let evidence = &entra.last_sign_in().evidence[0];
    let (own, microsofts) = evidence.expected.split_once("https://graph.microsoft.com, ").expect(&evidence.expected);
    assert_eq!(own, "api://todolist, https://contoso.com/orders, ");
    assert!(microsofts.ends_with("one of Microsoft's own") && !microsofts.contains("vault"), "{microsofts}");
}

#[tokio::test]
async fn the_secrets_id_is_told_apart_from_its_value() {
    let entra = start().await;
    let (directory, daemon) = (entra.emulator.directory(), DAEMON.to_string());
    let id = directory.add_secret(&daemon, "s", Duration::from_secs(60)).unwrap().key_id.to_string();
    let answer = entra.token(&[("client_secret", &id)]).await;
    assert_eq!(answer.json["error_codes"], json!([7000215]));
    assert!(answer.json["error_description"].as_str().unwrap().contains(&daemon));
    assert_eq!(entra.last_sign_in().evidence[0].presented, "the ID of a secret, not its value");
}

#[tokio::test]
async fn the_log_names_the_application_of_a_request_that_names_no_tenant() {
    let entra = start().await;
    let answer = entra.send(entra.post(&format!("/{STRANGER}/oauth2/v2.0/token"), good(&[]))).await;
    assert_eq!(answer.json["error_codes"], json!([90002]));
    assert_eq!(entra.last_sign_in().app_id, Some(DAEMON.to_string()));
}

#[tokio::test]
async fn secrets_expire_by_the_emulators_clock() {
    let entra = start().await;
    let (directory, daemon) = (entra.emulator.directory(), DAEMON.to_string());
    let new = directory.add_secret(&daemon, "s", Duration::from_secs(600)).unwrap();
    assert_eq!(entra.token(&[("client_secret", &new.text)]).await.status, 200);
    entra.emulator.clock().advance(Duration::from_secs(601));
    let answer = entra.token(&[("client_secret", &new.text)]).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (401, &json!([7000222])));
    assert_eq!(entra.token(&[]).await.status, 200, "the other secret is still good");
}

#[tokio::test]
async fn what_the_builder_and_an_administrator_say_is_refused_as_well() {
    let mut apps = Vec::new();
    let builder = describe().clock_offset_seconds(-86_400).tenant("wingtip", |wingtip| {
        let mut app = |name: &str, describe: fn(&mut ApplicationBuilder)| {
            apps.push(wingtip.application(name, |app| {
                describe(app.secret(common::secret()));
            }));
        };
        app("Disabled", |app| {
            app.disabled();
        });
        app("Nowhere", |app| {
            app.without_service_principal();
        });
        app("Late", |app| {
            app.secret_until(format!("{CANARY}-late"), 1_700_000_000);
        });
        app("Closed", |app| {
            app.identifier_uri("api://members").app_role("Member").assignment_required();
        });
    });
    let entra = start_with(builder).await;
    let directory = entra.emulator.directory();
    let a_day_ago = entra.emulator.clock().now_unix();
    entra.emulator.clock().reset();
    assert!((entra.emulator.clock().now_unix() - a_day_ago - 86_400).abs() < 60);

    let code = async |app: Uuid, more: &[(&str, &str)]| {
        let app = app.to_string();
        let changes = [&[("client_id", app.as_str()), ("scope", "api://members/.default")], more].concat();
        let answer = entra.send(entra.post("/wingtip.onmicrosoft.com/oauth2/v2.0/token", good(&changes))).await;
        answer.json["error_codes"][0].as_u64().unwrap_or_else(|| answer.status.into())
    };
    let [disabled, nowhere, late, closed] = apps[..] else { panic!("{apps:?}") };
    assert_eq!(code(disabled, &[]).await, 7000112);
    assert_eq!(code(nowhere, &[]).await, 7000229);
    assert_eq!(code(late, &[("client_secret", &format!("{CANARY}-late"))]).await, 7000222);
    assert_eq!(code(late, &[]).await, 501051);

    let (tenant, api) = ("wingtip.onmicrosoft.com", closed.to_string());
    directory.add_service_principal(&nowhere.to_string(), &SeedServicePrincipal::new(tenant)).unwrap();
    assert_eq!(code(nowhere, &[]).await, 501051);
    directory.set_assignment_required(tenant, &api, false).unwrap();
    assert_eq!(code(nowhere, &[]).await, 200);

    let seed = json!({
        "tenants": [{ "defaultDomain": "litware.com" }],
        "applications": [{ "displayName": "New", "homeTenant": "litware.com",
            "passwordCredentials": [{ "secretText": common::secret() }] }],
    });
    let seed = Seed::from_json(&seed.to_string()).unwrap();
    directory.add_tenant(&seed.tenants[0]).unwrap();
    let new = directory.add_application(&seed.applications[0]).unwrap();
    assert!(directory.add_tenant(&seed.tenants[0]).unwrap_err().to_string().contains("litware.com is used twice"));
    let body = good(&[("client_id", &new.to_string()), ("scope", "https://graph.microsoft.com/.default")]);
    assert_eq!(entra.send(entra.post("/litware.com/oauth2/v2.0/token", body)).await.status, 200);
}

#[tokio::test]
async fn what_is_said_of_an_application_holds_for_principals_named_later() {
    let mut apps = Vec::new();
    let builder = describe().tenant("wingtip", |wingtip| {
        apps.push(wingtip.application("Disabled", |app| {
            app.secret(common::secret()).disabled().also_in("contoso.com");
        }));
        wingtip.application("Closed", |app| {
            app.identifier_uri("api://guests").app_role("Guest").assignment_required().also_in("contoso.com");
        });
        apps.push(wingtip.application("Granted", |app| {
            app.secret(common::secret()).requires("api://guests", ["Guest"]).admin_consent().also_in("contoso.com");
        }));
    });
    let entra = start_with(builder).await;
    let code = async |app: Uuid| {
        let answer = entra.token(&[("client_id", &app.to_string()), ("scope", "api://guests/.default")]).await;
        answer.json["error_codes"][0].as_u64().unwrap_or_else(|| answer.status.into())
    };
    assert_eq!(code(apps[0]).await, 7000112, "disabled");
    assert_eq!(code(DAEMON).await, 501051, "assignment required");
    assert_eq!(code(apps[1]).await, 200, "consent given");
}

/// An API without app roles: the empty GUID assigns an application to it.
#[tokio::test]
async fn default_access_lets_in_where_assignment_is_required() {
    let mut apps = Vec::new();
    let entra = start_with(describe().tenant("wingtip", |wingtip| {
        apps.push(wingtip.application("Daemon", |app| {
            app.secret(common::secret());
        }));
        wingtip.application("Closed", |app| {
            app.identifier_uri("api://roleless").assignment_required();
        });
        wingtip.application("Offers a role", |app| {
            app.identifier_uri("api://members").app_role("Member").assignment_required();
        });
    }))
    .await;
    let (tenant, app, none) = ("wingtip.onmicrosoft.com", apps[0].to_string(), Uuid::nil().to_string());
    let directory = entra.emulator.directory();
    let ask = async || {
        let changes = [("client_id", app.as_str()), ("scope", "api://roleless/.default")];
        entra.send(entra.post("/wingtip.onmicrosoft.com/oauth2/v2.0/token", good(&changes))).await
    };
    assert_eq!(ask().await.json["error_codes"], json!([501051]));
    assert!(directory.assign_app_role(tenant, &app, "api://roleless", &none).unwrap());
    let granted = ask().await;
    assert_eq!(granted.status, 200, "{}", granted.json);
    directory.remove_app_role(tenant, &app, "api://roleless", &none).unwrap();
    assert_eq!(ask().await.json["error_codes"], json!([501051]));
    // where there are roles one of them is assigned, and nobody asks for this one
    directory.assign_app_role(tenant, &app, "api://members", &none).unwrap_err();
    directory.require_app_role(tenant, &app, "api://roleless", &none).unwrap_err();
}

#[tokio::test]
async fn a_secret_that_ends_at_no_date_is_refused_at_the_start() {
    let builder = describe().tenant("wingtip", |wingtip| {
        wingtip.application("Late", |app| {
            app.secret(common::secret()).secret_until(common::secret(), i64::MAX);
        });
    });
    let error = builder.start().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "seed: applications[3].passwordCredentials[1].endDateTime: the Unix time 9223372036854775807 is no date"
    );
}

#[tokio::test]
async fn a_correlation_id_is_found_wherever_clients_put_it() {
    let entra = start().await;
    let (a, b, c) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let wrong = |id: &str| good(&[("scope", "x"), ("client-request-id", id)]);
    let correlation = async |request| entra.send(request).await.json["correlation_id"].clone();
    let path = format!("{TOKEN}?client-request-id={b}");
    assert_eq!(correlation(entra.post(&path, wrong(&c)).header("client-request-id", &a)).await, json!(a));
    assert_eq!(correlation(entra.post(&path, wrong(&c))).await, json!(b));
    assert_eq!(correlation(entra.post(TOKEN, wrong(&c))).await, json!(c));
    assert_eq!(correlation(entra.post(TOKEN, wrong("")).header("x-ms-client-request-id", &a)).await, json!(a));
    let made = correlation(entra.post(TOKEN, wrong("no-guid"))).await;
    assert!(Uuid::try_parse(made.as_str().unwrap()).is_ok());

    let returned =
        entra.post(TOKEN, good(&[])).header("client-request-id", &a).header("return-client-request-id", "true");
    assert_eq!(entra.send(returned).await.headers["client-request-id"], a);
}

async fn directory() -> Entra {
    let builder = describe().tenant("more", |more| {
        more.id(uuid!("33333333-aaaa-4aaa-8aaa-000000000003"));
    });
    let seed = json!({ "applications": [
        { "appId": ABSENT, "displayName": "Absent", "homeTenant": CONTOSO, "servicePrincipals": [] },
        { "appId": GUEST, "displayName": "Guest", "homeTenant": CONTOSO, "signInAudience": "AzureADMultipleOrgs" },
        { "appId": DISABLED, "displayName": "Disabled", "homeTenant": CONTOSO,
          "servicePrincipals": [{ "tenant": CONTOSO, "accountEnabled": false }] },
        { "appId": EXPIRED, "displayName": "Expired", "homeTenant": CONTOSO,
          "passwordCredentials": [{ "secretText": format!("{CANARY}-old"), "endDateTime": "2024-01-01T00:00:00Z" }] },
        { "displayName": "Closed API", "homeTenant": CONTOSO, "identifierUris": ["api://closed"],
          "appRoles": [{ "value": "Member" }],
          "servicePrincipals": [{ "tenant": "contoso.com", "appRoleAssignmentRequired": true }] },
        { "displayName": "Disabled API", "homeTenant": CONTOSO, "identifierUris": ["api://disabled"],
          "servicePrincipals": [{ "tenant": "contoso.com", "accountEnabled": false }] },
    ] });
    let entra = start_with(builder.seed_json(&seed.to_string()).unwrap()).await;
    assert_eq!(entra.token(&[]).await.status, 200, "the request that all cases change is good");
    entra
}

fn case(what: &'static str, changes: &[(&'static str, &str)], status: u16, error: &'static str, code: u32) -> Case {
    at(TOKEN, what, changes, status, error, code)
}

fn at(
    path: &str,
    what: &'static str,
    changes: &[(&'static str, &str)],
    status: u16,
    error: &'static str,
    code: u32,
) -> Case {
    let changes = changes.iter().map(|&(name, value)| (name, value.to_owned())).collect();
    Case { what, path: path.into(), changes, status, error, code, page: true, evidence: None }
}

impl Case {
    fn no_page(mut self) -> Self {
        self.page = false;
        self
    }

    fn log(mut self, subject: &'static str, presented: &'static str) -> Self {
        self.evidence = Some((subject, presented));
        self
    }
}
