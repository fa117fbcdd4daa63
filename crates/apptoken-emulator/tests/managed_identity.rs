//! Managed identities: each platform's endpoint takes what the platform takes, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use apptoken_emulator::seed::{SeedFederatedCredential, SeedManagedIdentity};
use apptoken_emulator::{CredentialKind, Fault, FaultRule, ManagedIdentitySource as Source};
use common::{API_V2, Answer, CONTOSO, DAEMON, Entra, describe, start_with};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

const VAULT: &str = "https://vault.azure.net";
const SYSTEM: Uuid = uuid!("aaaaaaaa-0000-4000-8000-000000000001");
const USER: Uuid = uuid!("aaaaaaaa-0000-4000-8000-000000000002");
const USER_OBJECT: Uuid = uuid!("aaaaaaaa-0000-4000-8000-000000000003");
const USER_RESOURCE: &str = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/\
                             userAssignedIdentities/daemon-id";

/// A machine with its own identity and one that a user assigned.
async fn start(keys: Option<&Path>) -> Entra {
    let mut builder = describe().plain_http("127.0.0.1:0");
    if let Some(keys) = keys {
        builder = builder.arc_key_folder(keys);
    }
    let entra = start_with(builder).await;
    for identity in [system(), user()] {
        entra.emulator.directory().add_managed_identity(&identity).unwrap();
    }
    entra
}

fn system() -> SeedManagedIdentity {
    let json = json!({ "displayName": "vm-1", "tenant": CONTOSO, "clientId": SYSTEM, "systemAssigned": true });
    serde_json::from_value(json).unwrap()
}

fn user() -> SeedManagedIdentity {
    let json = json!({
        "displayName": "daemon-id", "tenant": CONTOSO, "clientId": USER, "principalId": USER_OBJECT,
        "resourceId": USER_RESOURCE,
        "appRoleAssignments": [{ "resource": "api://todolist", "appRoles": ["DaemonAppRole"] }],
    });
    serde_json::from_value(json).unwrap()
}

impl Entra {
    fn variables(&self, source: Source) -> HashMap<String, String> {
        self.emulator.managed_identity_environment(source).into_iter().collect()
    }

    fn imds(&self, query: &str) -> RequestBuilder {
        let base = &self.variables(Source::Imds)["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
        assert!(base.starts_with("http://"), "as in Azure");
        self.client.get(format!("{base}/metadata/identity/oauth2/token?{query}"))
    }

    async fn good_imds(&self, query: &str) -> Answer {
        self.send(self.imds(&format!("api-version=2018-02-01&{query}")).header("metadata", "true")).await
    }
}

fn words(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.json["error_description"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn imds_gives_tokens_of_a_day() {
    let entra = start(None).await;
    let answer = entra.good_imds(&format!("resource={VAULT}")).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let members = ["access_token", "client_id", "expires_in", "expires_on", "ext_expires_in", "not_before"];
    assert!(members.iter().all(|member| answer.json[member].is_string()), "every number a string: {}", answer.json);
    assert_eq!((&answer.json["expires_in"], &answer.json["resource"]), (&json!("86399"), &json!(VAULT)));
    let claims = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
    assert_eq!((&claims["appid"], &claims["appidacr"]), (&json!(SYSTEM), &json!("2")));
    assert_eq!((&claims["idtyp"], &claims["tid"], &claims["sub"]), (&json!("app"), &json!(CONTOSO), &claims["oid"]));
    assert!(claims["xms_mirid"].as_str().unwrap().ends_with("/Microsoft.Compute/virtualMachines/vm-1"));
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 86_400 + 300);
    assert_eq!(answer.json["expires_on"], claims["exp"].to_string());
    let logged = entra.last_sign_in();
    assert_eq!((logged.credential, logged.resource.as_deref()), (Some(CredentialKind::ManagedIdentity), Some(VAULT)));
}

#[tokio::test]
async fn imds_knows_an_identity_by_its_ids() {
    let entra = start(None).await;
    let api = format!("resource={API_V2}");
    for named in [
        format!("client_id={USER}"),
        format!("object_id={USER_OBJECT}"),
        format!("msi_res_id={USER_RESOURCE}"),
        format!("mi_res_id={}", USER_RESOURCE.to_uppercase()),
    ] {
        let answer = entra.good_imds(&format!("{api}&{named}")).await;
        assert_eq!(answer.json["client_id"], json!(USER), "{named}: {}", answer.json);
        let claims = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
        assert_eq!((&claims["oid"], &claims["roles"]), (&json!(USER_OBJECT), &json!(["DaemonAppRole"])));
        assert_eq!(claims.get("xms_mirid"), None, "not in tokens of version 2");
    }
    for unknown in [
        format!("client_id={USER_OBJECT}"),
        format!("object_id={USER}"),
        format!("client_id={DAEMON}"),
        "client_id=nonsense".into(),
        "msi_res_id=/subscriptions/other".into(),
    ] {
        let answer = entra.good_imds(&format!("{api}&{unknown}")).await;
        assert_eq!(words(&answer), (400, "Identity not found"), "{unknown}");
        assert_eq!(answer.json["error"], "invalid_request");
    }
    let both = entra.good_imds(&format!("{api}&client_id={USER}&object_id={USER_OBJECT}")).await;
    assert_eq!(both.status, 400);
}

#[tokio::test]
async fn imds_answers_only_to_programs_on_the_machine() {
    let entra = start(None).await;
    let good = format!("api-version=2018-02-01&resource={VAULT}");
    let bare = entra.send(entra.imds(&good)).await;
    assert_eq!(words(&bare), (400, "Required metadata header not specified"));
    let forwarded = entra.imds(&good).header("metadata", "true").header("x-forwarded-for", "10.0.0.1");
    assert_eq!(entra.send(forwarded).await.status, 400);
    for (query, why) in [
        (format!("resource={VAULT}"), "'api-version' is missing"),
        (format!("api-version=1999-01-01&resource={VAULT}"), "not supported"),
        ("api-version=2018-02-01".into(), "'resource' is missing"),
    ] {
        let answer = entra.send(entra.imds(&query).header("metadata", "true")).await;
        assert!(words(&answer).0 == 400 && words(&answer).1.contains(why), "{}", answer.json);
    }
    let unknown = entra.good_imds("resource=https://nowhere.example").await;
    assert_eq!((unknown.status, &unknown.json["error"]), (400, &json!("invalid_resource")));
    assert_eq!(unknown.json["error_codes"], json!([500_011]));
    assert_eq!(entra.last_sign_in().code, Some(500_011));
    let scope = entra.good_imds("resource=https://vault.azure.net/.default").await;
    assert_eq!(scope.json["error"], "invalid_resource", "a resource is no scope");
    // how MSAL.NET finds out that the service is there
    let base = &entra.variables(Source::Imds)["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
    let probe = entra.send(entra.client.get(format!("{base}/metadata/instance/compute"))).await;
    assert_eq!(probe.status, 400);
    let posted = entra.client.post(format!("{base}/metadata/identity/oauth2/token?{good}")).header("metadata", "true");
    assert_eq!(entra.send(posted).await.status, 405);
}

#[tokio::test]
async fn without_an_own_identity_the_only_other_one_is_meant() {
    let entra = start_with(describe().plain_http("127.0.0.1:0")).await;
    let directory = entra.emulator.directory();
    let ask = || entra.good_imds("resource=https://vault.azure.net");
    assert_eq!(words(&ask().await), (400, "Identity not found"));
    directory.add_managed_identity(&user()).unwrap();
    assert_eq!(ask().await.json["client_id"], json!(USER));
    let mut another = user();
    (another.client_id, another.principal_id, another.resource_id) = (None, None, Some("/another".into()));
    directory.add_managed_identity(&another).unwrap();
    let answer = ask().await;
    assert!(words(&answer).0 == 400 && words(&answer).1.starts_with("Multiple user assigned"), "{}", answer.json);
}

#[tokio::test]
async fn app_service_wants_its_secret() {
    let entra = start(None).await;
    let variables = entra.variables(Source::AppService);
    let ask = |query: &str, header: &str| {
        let url = format!("{}?{query}", variables["IDENTITY_ENDPOINT"]);
        entra.send(entra.client.get(url).header("x-identity-header", header))
    };
    let secret = &variables["IDENTITY_HEADER"];
    let good = format!("api-version=2019-08-01&resource={VAULT}");
    let answer = ask(&good, secret).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    assert!(answer.json["expires_on"].is_string() && answer.json.get("expires_in").is_none());
    assert_eq!(answer.json["client_id"], json!(SYSTEM));
    for (named, status) in [
        (format!("client_id={USER}"), 200),
        (format!("object_id={USER_OBJECT}"), 200),
        (format!("mi_res_id={USER_RESOURCE}"), 200),
        (format!("client_id={DAEMON}"), 400),
    ] {
        assert_eq!(ask(&format!("{good}&{named}"), secret).await.status, status, "{named}");
    }
    let wrong = ask(&good, "c4n4ry-wrong").await;
    assert_eq!((wrong.status, &wrong.json["statusCode"]), (401, &json!(401)));
    assert_eq!(entra.send(entra.client.get(&variables["IDENTITY_ENDPOINT"])).await.status, 401);
    assert_eq!(ask("api-version=2018-02-01&resource=x", secret).await.status, 400);
    let unknown = ask("api-version=2019-08-01&resource=https://nowhere.example", secret).await;
    assert!(unknown.json["message"].as_str().unwrap().starts_with("AADSTS500011"), "{}", unknown.json);
}

#[tokio::test]
async fn arc_wants_a_file_read() {
    let folder = tempfile::tempdir().unwrap();
    let entra = start(Some(folder.path())).await;
    let url = &entra.variables(Source::AzureArc)["IDENTITY_ENDPOINT"];
    let ask = |key: Option<&str>| {
        let request = entra.client.get(format!("{url}?api-version=2020-06-01&resource={VAULT}"));
        let request = request.header("metadata", "true");
        entra.send(match key {
            Some(key) => request.header("authorization", format!("Basic {key}")),
            None => request,
        })
    };
    let challenge = ask(None).await;
    assert_eq!(challenge.status, 401);
    let realm = challenge.headers["www-authenticate"].to_str().unwrap().strip_prefix("Basic realm=").unwrap();
    let file = Path::new(realm);
    assert_eq!((file.parent(), file.extension().unwrap().to_str()), (Some(folder.path()), Some("key")));
    let key = std::fs::read_to_string(file).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(ask(Some("c4n4ry-wrong")).await.status, 401);
    let answer = ask(Some(&key)).await;
    assert_eq!((answer.status, &answer.json["resource"]), (200, &json!(VAULT)), "{}", answer.json);
    assert!(!file.exists() && ask(Some(&key)).await.status == 401, "each key is good once");
    for _ in 0..40 {
        ask(None).await;
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().count() <= 16);
    drop(entra);
    let elsewhere = start(None).await;
    let url = &elsewhere.variables(Source::AzureArc)["IDENTITY_ENDPOINT"];
    assert_eq!(elsewhere.send(elsewhere.client.get(url)).await.status, 404);
}

#[tokio::test]
async fn arcs_challenge_names_the_file_where_the_program_finds_it() {
    let (folder, seen) = (tempfile::tempdir().unwrap(), Path::new("/var/opt/azcmagent/tokens"));
    let entra = start_with(describe().plain_http("127.0.0.1:0").arc_key_folder_seen_at(folder.path(), seen)).await;
    let url = &entra.variables(Source::AzureArc)["IDENTITY_ENDPOINT"];
    let request = entra.client.get(format!("{url}?api-version=2020-06-01&resource={VAULT}"));
    let challenge = entra.send(request.header("metadata", "true")).await;
    let realm = challenge.headers["www-authenticate"].to_str().unwrap().strip_prefix("Basic realm=").unwrap();
    let file = Path::new(realm).strip_prefix(seen).unwrap();
    assert!(folder.path().join(file).is_file(), "{realm}");
}

#[tokio::test]
async fn the_other_platforms_have_their_dialects() {
    let entra = start(None).await;
    let shell = &entra.variables(Source::CloudShell)["MSI_ENDPOINT"];
    let form =
        |resource| entra.client.post(shell).header("metadata", "true").body(common::form(&[("resource", resource)]));
    let answer = entra.send(form(VAULT)).await;
    assert_eq!((answer.status, &answer.json["token_type"]), (200, &json!("Bearer")));
    assert_eq!(entra.send(entra.client.post(shell).body(common::form(&[("resource", VAULT)]))).await.status, 400);
    let unknown = entra.send(form("https://nowhere.example")).await;
    assert_eq!((unknown.status, unknown.json["error"]["message"].is_string()), (400, true));

    let learning = entra.variables(Source::MachineLearning);
    let ask = |query: String, secret: &str| {
        let url = format!("{}?api-version=2017-09-01&resource={VAULT}{query}", learning["MSI_ENDPOINT"]);
        entra.send(entra.client.get(url).header("secret", secret))
    };
    let answer = ask(format!("&clientid={USER}"), &learning["MSI_SECRET"]).await;
    assert_eq!((answer.status, &answer.json["client_id"]), (200, &json!(USER)));
    assert_eq!(ask(String::new(), "c4n4ry-wrong").await.status, 401);

    let fabric = entra.variables(Source::ServiceFabric);
    assert_eq!(fabric["IDENTITY_SERVER_THUMBPRINT"].len(), 40);
    let ask = |query: String, secret: &str| {
        let url = format!("{}?api-version=2020-05-01&resource={VAULT}{query}", fabric["IDENTITY_ENDPOINT"]);
        entra.send(entra.client.get(url).header("secret", secret))
    };
    let answer = ask(format!("&principalId={USER_OBJECT}"), &fabric["IDENTITY_HEADER"]).await;
    assert_eq!((answer.status, answer.json["expires_on"].is_i64()), (200, true), "{}", answer.json);
    let wrong = ask(String::new(), "c4n4ry-wrong").await;
    assert_eq!((wrong.status, &wrong.json["error"]["code"]), (400, &json!("SecretHeaderNotFound")));
}

async fn assert_with(entra: &Entra, client_id: Uuid, assertion: &str) -> Answer {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let (id, none) = (client_id.to_string(), "");
    let fields = [("client_secret", none), ("client_id", &id), ("client_assertion", assertion)];
    entra.token(&[&fields[..], &[("client_assertion_type", kind)]].concat()).await
}

#[tokio::test]
async fn a_managed_identitys_token_is_an_apps_credential() {
    let entra = start(None).await;
    let exchange = "resource=api://AzureADTokenExchange";
    let answer = entra.good_imds(exchange).await;
    let token = answer.json["access_token"].as_str().unwrap();
    let claims = entra.claims(token).await;
    let (issuer, subject) = (claims["iss"].as_str().unwrap(), claims["sub"].as_str().unwrap());
    let credential = SeedFederatedCredential::new("vm-1", issuer, subject);
    entra.emulator.directory().add_federated_credential(&DAEMON.to_string(), &credential).unwrap();
    let answer = assert_with(&entra, DAEMON, token).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    // another identity's is not
    let other = entra.good_imds(&format!("{exchange}&client_id={USER}")).await;
    let answer = assert_with(&entra, DAEMON, other.json["access_token"].as_str().unwrap()).await;
    assert_eq!(answer.json["error_codes"], json!([700_213]));
    assert_eq!(entra.last_sign_in().evidence[0].presented, USER_OBJECT.to_string());
    // nor is a token for something else
    let vault = entra.good_imds(&format!("resource={API_V2}")).await;
    let answer = assert_with(&entra, DAEMON, vault.json["access_token"].as_str().unwrap()).await;
    assert_eq!(answer.json["error_codes"], json!([700_212]));
}

#[tokio::test]
async fn a_managed_identity_has_no_secret_and_may_be_federated() {
    let entra = start(None).await;
    let user = USER.to_string();
    let answer = entra.token(&[("client_id", &user)]).await;
    assert_eq!((answer.status, &answer.json["error_codes"]), (401, &json!([7_000_232])));
    let pod = entra.emulator.issuer().kubernetes("default", "daemon");
    entra.emulator.directory().add_federated_credential(&user, &pod.credential("pod")).unwrap();
    let answer = assert_with(&entra, USER, &pod.token("api://AzureADTokenExchange").unwrap()).await;
    let claims = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
    assert_eq!((&claims["oid"], &claims["roles"]), (&json!(USER_OBJECT), &json!(["DaemonAppRole"])));
    entra.emulator.directory().set_account_enabled(&CONTOSO.to_string(), &user, false).unwrap();
    let answer = entra.good_imds(&format!("resource={VAULT}&client_id={USER}")).await;
    assert_eq!(answer.json["error_codes"], json!([7_000_112]));
}

#[tokio::test]
async fn a_blueprints_token_for_an_agent_is_the_agents_credential() {
    let entra = start(None).await;
    let agent = uuid!("bbbbbbbb-0000-4000-8000-000000000001");
    let json = json!({
        "appId": agent, "displayName": "Agent", "homeTenant": CONTOSO, "agentIdentityBlueprintId": DAEMON,
        "requiredResourceAccess": [{ "resource": "api://todolist", "appRoles": ["Reader"] }],
        "servicePrincipals": [{ "tenant": CONTOSO, "adminConsent": true }],
    });
    entra.emulator.directory().add_application(&serde_json::from_value(json).unwrap()).unwrap();
    let first_leg = async |path: &str| {
        let scope = ("scope", "api://AzureADTokenExchange/.default");
        let answer = entra.token(&[scope, ("fmi_path", path)]).await;
        answer.json["access_token"].as_str().unwrap().to_owned()
    };
    let token = first_leg(&agent.to_string()).await;
    let subject = entra.claims(&token).await["sub"].as_str().unwrap().to_owned();
    assert!(subject.starts_with("/eid1/c/pub/t/") && subject.ends_with(&agent.to_string()), "{subject}");
    let answer = assert_with(&entra, agent, &token).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let claims = entra.claims(answer.json["access_token"].as_str().unwrap()).await;
    assert_eq!((&claims["azp"], &claims["xms_par_app_azp"]), (&json!(agent), &json!(DAEMON)));
    assert_eq!(claims["roles"], json!(["Reader"]));
    // the token for another agent, and one for none, are not
    for token in [first_leg(&Uuid::nil().to_string()).await, first_leg("").await] {
        let answer = assert_with(&entra, agent, &token).await;
        assert_eq!(answer.json["error_codes"], json!([700_213]));
    }
    // an ordinary application may trust a part by its name
    let token = first_leg("part").await;
    let claims = entra.claims(&token).await;
    let credential =
        SeedFederatedCredential::new("part", claims["iss"].as_str().unwrap(), claims["sub"].as_str().unwrap());
    entra.emulator.directory().add_federated_credential(&USER.to_string(), &credential).unwrap();
    assert_eq!(assert_with(&entra, USER, &token).await.status, 200);
}

#[tokio::test]
async fn a_seed_may_have_them_and_is_checked() {
    let start = |identities: Value| {
        let json = json!({ "tenants": [{ "defaultDomain": "contoso.com" }], "managedIdentities": identities });
        apptoken_emulator::Emulator::builder().seed_json(&json.to_string()).unwrap().start()
    };
    let entra =
        start(json!([{ "displayName": "one", "systemAssigned": true }, { "displayName": "two" }])).await.unwrap();
    assert_eq!(entra.managed_identity_environment(Source::Imds)[0].1, entra.authority(), "no plain HTTP");
    for (identities, path) in [
        (
            json!([{ "displayName": "a", "systemAssigned": true }, { "displayName": "b", "systemAssigned": true }]),
            "[1].systemAssigned",
        ),
        (json!([{ "displayName": "a", "clientId": USER }, { "displayName": "b", "clientId": USER }]), "[1].clientId"),
        (json!([{ "displayName": "a" }, { "displayName": "a" }]), "[1].resourceId"),
        (json!([{ "displayName": "a", "tenant": "nowhere.com" }]), "[0].tenant"),
        (
            json!([{ "displayName": "a", "appRoleAssignments": [{ "resource": "api://x", "appRoles": [] }] }]),
            "[0].appRoleAssignments[0].resource",
        ),
        (
            json!([{ "displayName": "a", "systemAssigned": true, "federatedIdentityCredentials": [
                { "name": "abc", "issuer": "https://x", "subject": "y" }] }]),
            "[0].federatedIdentityCredentials",
        ),
    ] {
        let error = start(identities).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("seed: managedIdentities{path}: ")), "{error}");
    }
}

#[tokio::test]
async fn graph_has_no_registration_of_them() {
    let entra = start(None).await;
    entra
        .emulator
        .directory()
        .require_app_role(
            "contoso.com",
            &DAEMON.to_string(),
            common::GRAPH_DEFAULT.trim_end_matches("/.default"),
            "Application.Read.All",
        )
        .unwrap();
    entra.emulator.directory().grant_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
    let token = entra.granted(common::GRAPH_DEFAULT).await;
    let request = entra.client.get(format!("{}/v1.0/applications", entra.emulator.graph_url())).bearer_auth(token);
    let answer = entra.send(request).await;
    let names: Vec<_> = answer.json["value"].as_array().unwrap().iter().map(|app| &app["displayName"]).collect();
    assert!(names.contains(&&json!("Daemon")) && !names.contains(&&json!("daemon-id")), "{names:?}");
}

#[tokio::test]
async fn the_service_may_be_unwell() {
    let entra = start(None).await;
    let faults = entra.emulator.faults();
    let status = |status, wait: Option<u64>| {
        let fault = Fault::Status { status, retry_after: wait.map(Duration::from_secs), body: None };
        FaultRule::new(fault).managed_identities().times(1)
    };
    faults.add(status(410, None));
    faults.add(status(429, Some(3)).resource("https://graph.microsoft.com"));
    let ask = || entra.good_imds("resource=https://vault.azure.net");
    // what the token endpoint is asked is something else
    assert_eq!(entra.token(&[]).await.status, 200);
    assert_eq!(ask().await.status, 410);
    assert_eq!(ask().await.status, 200);
    let answer = entra.good_imds("resource=https://graph.microsoft.com").await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &"3".parse().unwrap()));
    faults.add(FaultRule::new(Fault::Garbage).managed_identities());
    assert_eq!(ask().await.json, Value::Null);
}
