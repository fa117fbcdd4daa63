//! A daemon's whole day: settings on disk, tokens from the local Entra ID over HTTPS, an API that wants a role.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use apptoken::AcquiredFrom;
use apptoken_daemon::{Error, ProtocolScheme, TokenAcquirerFactory, TokenAcquirerFactoryBuilder};
use apptoken_emulator::{Emulator, Seed};
use apptoken_jose::issue;
use apptoken_jose::jws::Unverified;
use common::tls::TlsApi;
use common::{Api, NO_VARIABLES, Seen, Settings, bare, json};
use serde_json::{Value, json};
use testkit::keys;

const CONTOSO: &str = "contoso.onmicrosoft.com";
const DAEMON: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const SECRET: &str = "c4n4ry-daemon-secret";
const SCOPE: &str = "api://todolist/.default";

/// The local Entra ID, an API, and a daemon's settings for both.
struct World {
    entra: Emulator,
    api: Api,
    settings: Settings,
}

impl World {
    async fn start() -> Self {
        Self::with_api(todo_list).await
    }

    async fn with_api(answer: impl Fn(&Seen) -> http::Response<String> + Clone + Send + Sync + 'static) -> Self {
        testkit::init();
        let entra = Emulator::builder().seed(seed()).start().await.unwrap();
        let api = Api::start(answer).await;
        let settings = Settings::new(
            json!({
                "AzureAd": {
                    "Instance": entra.authority(),
                    "TenantId": CONTOSO,
                    "ClientId": DAEMON,
                    "ClientCredentials": [{ "SourceType": "ClientSecret", "ClientSecret": SECRET }],
                },
                "MyWebApi": { "BaseUrl": api.base, "RelativePath": "api/TodoList", "RequestAppToken": true, "Scopes": [SCOPE] },
                "Graph": {
                    "BaseUrl": entra.graph_url(),
                    "RelativePath": "v1.0/users",
                    "RequestAppToken": true,
                    "Scopes": ["https://graph.microsoft.com/.default"],
                },
            })
            .to_string(),
        );
        Self { entra, api, settings }
    }

    fn builder(&self) -> TokenAcquirerFactoryBuilder {
        TokenAcquirerFactory::builder()
            .file(self.settings.path("appsettings.json"))
            .environment(NO_VARIABLES)
            .add_root_certificate_pem(self.entra.ca_pem())
    }

    fn factory(&self) -> TokenAcquirerFactory {
        self.builder().build().unwrap()
    }

    fn consent(&self) {
        self.entra.directory().grant_admin_consent(CONTOSO, DAEMON).unwrap();
    }
}

/// 403 without the role, as an API guarded by app roles answers.
fn todo_list(seen: &Seen) -> http::Response<String> {
    let claims = claims(seen);
    assert_eq!(claims["aud"], "aaaa0000-aaaa-4aaa-8aaa-aaaa00000000");
    if claims["roles"] != json!(["DaemonAppRole"]) {
        return json(403, r#"{"title":"Forbidden","detail":"the app role DaemonAppRole is missing"}"#);
    }
    match seen.method.as_str() {
        "GET" => json(200, r#"[{"title":"walk the dog"}]"#),
        "POST" => json(201, std::str::from_utf8(&seen.body).unwrap()),
        _ => bare(204),
    }
}

fn claims(seen: &Seen) -> Value {
    let token = seen.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    Value::Object(Unverified::parse(token).unwrap().claims().clone())
}

fn seed() -> Seed {
    let seed = json!({
        "tenants": [{
            "tenantId": "11111111-1111-4111-8111-111111111111", "displayName": "Contoso", "defaultDomain": CONTOSO,
            "users": [{ "displayName": "Adele", "userPrincipalName": "adele@contoso.onmicrosoft.com" }],
        }],
        "applications": [
            {
                "appId": "aaaa0000-aaaa-4aaa-8aaa-aaaa00000000", "displayName": "TodoList", "homeTenant": CONTOSO,
                "identifierUris": ["api://todolist"], "requestedAccessTokenVersion": 2,
                "appRoles": [{ "value": "DaemonAppRole", "displayName": "Daemons" }],
            },
            {
                "appId": DAEMON, "displayName": "Daemon", "homeTenant": CONTOSO,
                "requiredResourceAccess": [
                    { "resource": "api://todolist", "appRoles": ["DaemonAppRole"] },
                    { "resource": "00000003-0000-0000-c000-000000000000", "appRoles": ["User.Read.All"] },
                ],
                "passwordCredentials": [{ "displayName": "test", "secretText": SECRET }],
                "keyCredentials": [{ "displayName": "test", "certificate": std::str::from_utf8(keys::CERTIFICATE).unwrap() }],
            },
        ],
    });
    serde_json::from_value(seed).unwrap()
}

#[tokio::test]
async fn forbidden_then_consent_then_the_list() {
    let world = World::start().await;
    let factory = world.factory();
    let api = factory.downstream_api("MyWebApi").unwrap();
    let error = api.get_for_app::<Value>().await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!(error.http().unwrap().status().as_u16(), 403);
    assert!(error.to_string().ends_with("403 Forbidden: Forbidden: the app role DaemonAppRole is missing"), "{error}");
    assert!(error.advice().unwrap().contains("grant consent"));
    assert!(claims(&world.api.seen()[0]).get("roles").is_none());

    world.consent();
    api.get_for_app::<Value>().await.unwrap_err(); // the token in hand is still without roles
    assert_eq!(world.entra.token_requests(), 1);

    let list: Value = api.get_for_app().with(|call| call.force_refresh(true)).await.unwrap();
    assert_eq!(list, json!([{ "title": "walk the dog" }]));
    let again: Value = api.get_for_app().await.unwrap();
    assert_eq!((list, world.entra.token_requests()), (again, 2));
    assert_eq!(claims(&world.api.seen()[3])["roles"], json!(["DaemonAppRole"]));

    let made: Value = api.post_for_app(&json!({ "title": "feed the dog" })).await.unwrap();
    assert_eq!(made, json!({ "title": "feed the dog" }));
    api.delete_for_app::<()>().with(|call| call.relative_path("api/TodoList/1")).await.unwrap();
    assert_eq!(world.entra.token_requests(), 2);
}

#[tokio::test]
async fn a_token_without_an_api() {
    let world = World::start().await;
    let acquirer = world.factory().token_acquirer().unwrap();
    let token = acquirer.get_token_for_app(SCOPE).await.unwrap();
    assert_eq!(token.metadata().source, AcquiredFrom::Authority);
    let again = acquirer.get_token_for_app(SCOPE).await.unwrap();
    assert_eq!((again.metadata().source, again.secret()), (AcquiredFrom::Cache, token.secret()));
    let fresh = acquirer.get_token_for_app(SCOPE).force_refresh(true).await.unwrap();
    assert_ne!(fresh.secret(), token.secret());
    assert_eq!(world.entra.token_requests(), 2);
}

#[tokio::test]
async fn variables_override_what_the_file_says() {
    let world = World::start().await;
    world.consent();
    let factory = world
        .builder()
        .environment([
            ("AzureAd__ClientId", DAEMON),
            ("AzureAd__ClientCredentials__0__ClientSecret", SECRET),
            ("MyWebApi__BaseUrl", world.api.base.as_str()),
            ("MyWebApi__RelativePath", "from/a/variable"),
        ])
        .build()
        .unwrap();
    factory.downstream_api("MyWebApi").unwrap().get_for_app::<Value>().await.unwrap();
    assert_eq!(world.api.seen()[0].path, "/from/a/variable");

    let wrong =
        world.builder().environment([("AzureAd__ClientCredentials__0__ClientSecret", "c4n4ry-wrong")]).build().unwrap();
    let error = wrong.downstream_api("MyWebApi").unwrap().get_for_app::<Value>().await.unwrap_err();
    testkit::witness_error(&error);
    assert!(error.token().unwrap().denied().unwrap().has_code(7_000_215), "{error}");
    assert!(error.advice().is_some());
    assert_eq!(world.api.seen().len(), 1);
}

#[tokio::test]
async fn certificates_from_disk() {
    let world = World::start().await;
    world.settings.write("daemon.pfx", keys::PFX);
    world.settings.write("daemon.pem", [keys::CERTIFICATE, keys::PKCS8].concat());
    for credential in [
        json!({ "SourceType": "Path", "CertificateDiskPath": "daemon.pfx", "CertificatePassword": keys::PFX_PASSWORD }),
        json!({ "SourceType": "Path", "CertificateDiskPath": "daemon.pem" }),
    ] {
        let app = json!({ "AzureAd": {
            "Instance": world.entra.authority(), "TenantId": CONTOSO, "ClientId": DAEMON, "ClientCredentials": [credential],
        } });
        world.settings.write("certificate.json", app.to_string());
        let factory = TokenAcquirerFactory::builder()
            .file(world.settings.path("certificate.json"))
            .environment(NO_VARIABLES)
            .add_root_certificate_pem(world.entra.ca_pem())
            .build()
            .unwrap();
        factory.token_acquirer().unwrap().get_token_for_app(SCOPE).await.unwrap();
    }
    assert_eq!(world.entra.token_requests(), 2);
}

#[tokio::test]
async fn a_certificate_renewed_on_disk_serves_when_the_authority_refuses_the_old_one() {
    let world = World::start().await;
    world.settings.write("daemon.pem", [keys::OTHER_CERTIFICATE, keys::OTHER_KEY].concat());
    let app = json!({ "AzureAd": {
        "Instance": world.entra.authority(), "TenantId": CONTOSO, "ClientId": DAEMON,
        "ClientCredentials": [{ "SourceType": "Path", "CertificateDiskPath": "daemon.pem" }],
    } });
    world.settings.write("certificate.json", app.to_string());
    let factory = TokenAcquirerFactory::builder()
        .file(world.settings.path("certificate.json"))
        .environment(NO_VARIABLES)
        .add_root_certificate_pem(world.entra.ca_pem())
        .build()
        .unwrap();
    let acquirer = factory.token_acquirer().unwrap();
    world.settings.write("daemon.pem", [keys::CERTIFICATE, keys::PKCS8].concat());
    acquirer.get_token_for_app(SCOPE).await.unwrap();
    assert_eq!(world.entra.token_requests(), 2);
}

#[tokio::test]
async fn a_claims_challenge_gets_one_new_token() {
    let challenge = apptoken_jose::base64url::encode(br#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#);
    let world = World::with_api(move |seen| match seen.number {
        1 => {
            let mut response = bare(401);
            let value = format!(r#"Bearer error="insufficient_claims", claims="{challenge}""#);
            response.headers_mut().insert("www-authenticate", value.parse().unwrap());
            response
        }
        _ => json(201, std::str::from_utf8(&seen.body).unwrap()),
    })
    .await;
    let api = world.factory().downstream_api("MyWebApi").unwrap();
    let body = json!({ "title": "feed the dog" });
    assert_eq!(api.post_for_app::<Value>(&body).await.unwrap(), body);
    let seen = world.api.seen();
    assert_eq!((seen.len(), world.entra.token_requests()), (2, 2));
    assert_ne!(seen[0].header("authorization"), seen[1].header("authorization"));
    api.post_for_app::<Value>(&body).await.unwrap();
    assert_eq!((world.api.seen().len(), world.entra.token_requests()), (3, 2));
}

#[tokio::test]
async fn graph_over_https() {
    let world = World::start().await;
    let graph = world.factory().downstream_api("graph").unwrap();
    let error = graph.get_for_app::<Value>().await.unwrap_err();
    testkit::witness_error(&error);
    assert!(
        error.to_string().contains("403 Forbidden: Authorization_RequestDenied: Insufficient privileges"),
        "{error}"
    );
    world.consent();
    let users: Value = graph.get_for_app().with(|call| call.force_refresh(true)).await.unwrap();
    assert_eq!(users["value"][0]["displayName"], "Adele");
}

#[tokio::test]
async fn a_ca_that_the_api_client_does_not_trust() {
    let world = World::start().await;
    let ca = world.entra.ca_pem().to_owned();
    let factory = TokenAcquirerFactory::builder()
        .file(world.settings.path("appsettings.json"))
        .environment(NO_VARIABLES)
        .client(move |client| client.add_root_certificate_pem(&ca))
        .build()
        .unwrap();
    let error = factory.downstream_api("Graph").unwrap().get_for_app::<Value>().await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!(
        error.to_string(),
        format!(
            "GET {}/v1.0/users: the API's certificate is not trusted: if its CA is a private one, add it with add_root_certificate_pem",
            world.entra.graph_url()
        )
    );
    assert!(!error.is_transient(), "no later try trusts it");
}

#[tokio::test]
async fn many_callers_one_token_request() {
    let world = World::start().await;
    world.consent();
    let api = world.factory().downstream_api("MyWebApi").unwrap();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.get_for_app::<Value>().await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((world.api.seen().len(), world.entra.token_requests()), (50, 1));
}

/// `MTLS_POP`: the token is bound to the app's certificate, and the connection to the API shows that.
#[tokio::test]
async fn a_call_shows_the_certificate_that_its_token_is_bound_to() {
    testkit::init();
    let start = Emulator::builder().seed(seed()).ask_for_client_certificates().start();
    let entra = start.await.unwrap();
    let (leaf, key) = issue::self_signed("daemon", entra.clock().now(), 30).unwrap();
    entra.directory().add_certificate(DAEMON, "own", &leaf).unwrap();
    let api = TlsApi::start(&leaf, entra.clock().now()).await;
    let own = json!([{ "SourceType": "Path", "CertificateDiskPath": "daemon.pem" }]);
    let settings = Settings::new(
        json!({
            "AzureAd": { "Instance": entra.authority(), "TenantId": CONTOSO, "ClientId": DAEMON, "ClientCredentials": own },
            "MyWebApi": { "BaseUrl": api.base, "Scopes": [SCOPE], "ProtocolScheme": "mtls_pop" },
        })
        .to_string(),
    );
    settings.write("daemon.pem", format!("{}{}", leaf.to_pem(), key.to_pkcs8_pem().unwrap().as_str()));
    let factory = TokenAcquirerFactory::builder()
        .file(settings.path("appsettings.json"))
        .environment(NO_VARIABLES)
        .add_root_certificate_pem(entra.ca_pem())
        .add_api_root_certificate_pem(&api.ca_pem)
        .build()
        .unwrap();
    let web_api = factory.downstream_api("MyWebApi").unwrap();
    testkit::witness(&web_api);
    for _ in 0..2 {
        let (header, shown): (String, String) = web_api.get_for_app().await.unwrap();
        let token = header.strip_prefix("mtls_pop ").unwrap();
        let claims = Unverified::parse(token).unwrap().claims().clone();
        assert_eq!(claims["cnf"]["x5t#S256"], shown.as_str());
        assert_eq!(shown, leaf.x5t_s256());
    }
    assert_eq!(entra.token_requests(), 1);
    // in code: a plain token for the same API; and no bound one over plain http
    let plain = web_api.get_for_app::<(String, String)>().with(|call| call.protocol_scheme(ProtocolScheme::Bearer));
    assert!(matches!(plain.await.unwrap_err(), Error::Transport(_)), "this API wants the certificate");
    let http = web_api.get_for_app::<()>().with(|call| call.base_url("http://localhost:9/"));
    assert!(http.await.unwrap_err().to_string().contains("call the API over https"));
}

/// `PoP`: each call carries a signature over its own method, host and path, around one token.
#[tokio::test]
async fn a_call_is_signed_with_the_key_that_its_token_is_bound_to() {
    let world = World::with_api(|seen| match seen.path.as_str() {
        "/echo" => json(500, seen.header("authorization").unwrap()),
        _ => json(200, "[]"),
    })
    .await;
    let variables = [("MyWebApi__ProtocolScheme", "PoP")];
    let factory = world.builder().environment(variables).build().unwrap();
    let api = factory.downstream_api("MyWebApi").unwrap();
    let _: Value = api.get_for_app().await.unwrap();
    let _: Value = api.post_for_app(&json!({})).with(|call| call.relative_path("other")).await.unwrap();
    let seen = world.api.seen();
    let signed: Vec<_> = seen
        .iter()
        .map(|seen| {
            let header = seen.header("authorization").unwrap();
            Unverified::parse(header.strip_prefix("PoP ").unwrap()).unwrap().claims().clone()
        })
        .collect();
    let host = world.api.base.trim_start_matches("http://").trim_end_matches('/');
    for (claims, (method, path)) in signed.iter().zip([("GET", "/api/TodoList"), ("POST", "/other")]) {
        assert_eq!((&claims["m"], &claims["p"], &claims["u"]), (&json!(method), &json!(path), &json!(host)));
    }
    assert_eq!(signed[0]["at"], signed[1]["at"]);
    assert_ne!(signed[0]["nonce"], signed[1]["nonce"]);
    assert_eq!(world.entra.token_requests(), 1);
    let error = api.get_for_app::<()>().with(|call| call.relative_path("echo")).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!(error.http().unwrap().body(), "PoP [the token]");
}

#[tokio::test]
async fn wrong_settings_send_nothing() {
    let world = World::start().await;
    for variable in [
        ("AzureAd__TenantId", "common"),
        ("AzureAd__ClientId", "[Enter here the client id]"),
        ("AzureAd__ClientCredentials__0__ClientSecret", " "),
        ("AzureAd__ClientCredentials__0__SourceType", "KeyVault"),
        ("AzureAd__ExtraQueryParameters__scope", "x"),
        ("AzureAd__Instance", "http://login.example/"),
        ("MyWebApi__BaseUrl", "http://api.example/"),
        ("MyWebApi__RelativePath", "../x"),
        ("MyWebApi__Scopes", "api://todolist/read"),
        ("MyWebApi__Scopes__1", "https://graph.microsoft.com/.default"),
        ("MyWebApi__ExtraHeaderParameters__Cookie", "c4n4ry"),
    ] {
        let factory = world.builder().environment([variable]).build().unwrap();
        let error = factory.downstream_api("MyWebApi").unwrap_err();
        testkit::witness_error(&error);
        let configuration = error.configuration().unwrap_or_else(|| panic!("{variable:?}: {error}"));
        assert!(configuration.key().is_some(), "{variable:?}: {error}");
    }
    assert_eq!((world.entra.token_requests(), world.api.seen().len()), (0, 0));
}
