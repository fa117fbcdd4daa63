//! Settings as people have them, and what is made of them: seen in the token request.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use apptoken_daemon::TokenAcquirerFactory;
use common::{Api, Asked, Authority, NO_VARIABLES, Settings, json};
use testkit::keys;
use url::Url;

const SCOPE: &str = "https://graph.microsoft.com/.default";

/// The one token request that a factory's acquirer makes.
async fn asked(factory: &TokenAcquirerFactory, authority: &Authority) -> Asked {
    testkit::witness(factory);
    let acquirer = factory.token_acquirer().unwrap();
    testkit::witness(&acquirer);
    acquirer.get_token_for_app(SCOPE).await.unwrap();
    authority.asked().pop().unwrap()
}

async fn asked_with(settings: &Settings) -> Asked {
    let authority = Authority::default();
    asked(&settings.factory(&authority), &authority).await
}

/// The sample of Microsoft's documentation, with real values put in.
const SAMPLE: &str = r#"{
    "AzureAd": {
        "Instance": "https://login.microsoftonline.com/",
        "TenantId": "contoso.onmicrosoft.com", "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "ClientCredentials": [ { "SourceType": "ClientSecret", "ClientSecret": "c4n4ry-secret" } ]
    },
    "MyWebApi": {
        "BaseUrl": "https://localhost:44372/",
        "RelativePath": "api/TodoList",
        "RequestAppToken": true,
        "Scopes": [ "api://00002222-aaaa-2222-bbbb-3333cccc4444/.default" ]   // a comment
    }
}
"#;

fn is_of_the_sample(asked: &Asked) {
    assert_eq!(asked.url, "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token");
    assert_eq!(asked.form["client_id"], "00001111-aaaa-2222-bbbb-3333cccc4444");
    assert_eq!(asked.form["client_secret"], "c4n4ry-secret");
    assert_eq!(asked.form["scope"], SCOPE);
}

#[tokio::test]
async fn the_sample_works_as_it_stands() {
    let settings = Settings::new(SAMPLE);
    is_of_the_sample(&asked_with(&settings).await);

    let factory = settings.factory(&Authority::default());
    let api = factory.downstream_api("MyWebApi").unwrap();
    testkit::witness(&api);
    assert!(format!("{api:?}").contains("https://localhost:44372/api/TodoList"));
    assert_eq!(factory.downstream_api_names(), ["MyWebApi"]);
    assert_eq!(factory.files(), [settings.path("appsettings.json")]);
}

#[tokio::test]
async fn the_ways_a_file_is_written() {
    let windows = format!("\u{feff}{}", SAMPLE.replace('\n', "\r\n"));
    let utf16 = |unit: fn(u16) -> [u8; 2]| windows.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let shouted = SAMPLE
        .replace("AzureAd", "AZUREAD")
        .replace("ClientId", "clientid")
        .replace("ClientSecret\":", "CLIENTSECRET\":");
    let commented =
        SAMPLE.replace("\"AzureAd\"", "/* the app\n */ \"AzureAd\" /* here */").replace("} ]\n", "}, ], // done\n");
    let flat = r#"{
        "AzureAd:TenantId": "contoso.onmicrosoft.com",
        "AzureAd:ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "AzureAd:ClientCredentials:0:SourceType": "ClientSecret",
        "AzureAd:ClientCredentials:0:ClientSecret": "c4n4ry-secret",
    }"#;
    let escaped = SAMPLE.replace("contoso.onmicrosoft.com", "\\u0063ontoso.onmicrosoft.com");
    let numbered = SAMPLE.replace("\"SourceType\": \"ClientSecret\"", "\"SourceType\": 6");
    for text in [
        windows.clone().into_bytes(),
        utf16(u16::to_le_bytes),
        utf16(u16::to_be_bytes),
        shouted.into_bytes(),
        commented.into_bytes(),
        flat.to_owned().into_bytes(),
        escaped.into_bytes(),
        numbered.into_bytes(),
    ] {
        is_of_the_sample(&asked_with(&Settings::new(&text)).await);
    }
}

#[tokio::test]
async fn later_layers_win_value_by_value() {
    let settings = Settings::new(SAMPLE);
    settings.write("appsettings.Production.json", r#"{ "AzureAd": { "TenantId": "production.example" } }"#);
    settings.write("appsettings.Development.json", r#"{ "azuread": { "tenantid": "development.example" } }"#);
    settings.write("appsettings.Staging.json", r#"{ "AzureAd": { "TenantId": null } }"#);
    for (variables, tenant) in [
        (&[][..], "production.example"),
        (&[("DOTNET_ENVIRONMENT", "Development")], "development.example"),
        (&[("ASPNETCORE_ENVIRONMENT", "Development")], "development.example"),
        (&[("ASPNETCORE_ENVIRONMENT", "Production"), ("DOTNET_ENVIRONMENT", "Development")], "development.example"),
        (&[("DOTNET_ENVIRONMENT", " ")], "production.example"),
        (&[("DOTNET_ENVIRONMENT", "Testing")], "contoso.onmicrosoft.com"),
        (&[("DOTNET_ENVIRONMENT", "Development"), ("AzureAd__TenantId", "variable.example")], "variable.example"),
        (&[("AZUREAD__TENANTID", "variable.example")], "variable.example"),
    ] {
        let authority = Authority::default();
        let factory = settings.builder(&authority).environment(variables.iter().copied()).build().unwrap();
        let asked = asked(&factory, &authority).await;
        assert!(asked.url.contains(tenant), "{variables:?}: {}", asked.url);
        assert_eq!(asked.form["client_id"], "00001111-aaaa-2222-bbbb-3333cccc4444");
    }
    let staging =
        settings.builder(&Authority::default()).environment([("DOTNET_ENVIRONMENT", "Staging")]).build().unwrap();
    let error = staging.token_acquirer().unwrap_err().to_string();
    assert!(error.contains("AzureAd:TenantId is empty"), "{error}");
}

#[tokio::test]
async fn a_second_file_covers_the_first() {
    let settings = Settings::new(SAMPLE);
    settings.write("more.json", r#"{ "AzureAd": { "ClientCredentials": [ { "ClientSecret": "c4n4ry-other" } ] } }"#);
    let authority = Authority::default();
    let factory = settings.builder(&authority).file(settings.path("more.json")).build().unwrap();
    assert_eq!(asked(&factory, &authority).await.form["client_secret"], "c4n4ry-other");
    assert_eq!(factory.files(), [settings.path("appsettings.json"), settings.path("more.json")]);
}

#[tokio::test]
async fn variables_override_the_file() {
    let settings = Settings::new(SAMPLE);
    let variables = [
        ("AzureAd__ClientId", "99991111-aaaa-2222-bbbb-3333cccc4444"),
        ("AzureAd__ClientCredentials__0__ClientSecret", "c4n4ry-variable"),
        ("MyWebApi__BaseUrl", "https://api.example/v2"),
        ("MyWebApi__Scopes", "api://other/.default"),
        ("MyWebApi__ExtraHeaderParameters__X-Version", "2"),
        ("UNRELATED__THING", "x"),
        ("unrelated__thing", "y"),
        ("__odd", "x"),
    ];
    let authority = Authority::default();
    let factory = settings.builder(&authority).environment(variables).build().unwrap();
    let asked = asked(&factory, &authority).await;
    assert_eq!(asked.form["client_id"], "99991111-aaaa-2222-bbbb-3333cccc4444");
    assert_eq!(asked.form["client_secret"], "c4n4ry-variable");
    let api = format!("{:?}", factory.downstream_api("MyWebApi").unwrap());
    assert!(api.contains("https://api.example/v2/api/TodoList"), "{api}");
    assert!(api.contains("api://other/.default") && !api.contains("00002222"), "{api}");
    assert!(api.contains("x-version"), "{api}");
}

#[tokio::test]
async fn variables_alone_will_do() {
    testkit::init();
    let authority = Authority::default();
    let transport = authority.clone();
    let factory = TokenAcquirerFactory::builder()
        .environment([
            ("AzureAd__TenantId", "contoso.onmicrosoft.com"),
            ("AzureAd__ClientId", "00001111-aaaa-2222-bbbb-3333cccc4444"),
            ("AzureAd__ClientCredentials__0__ClientSecret", "c4n4ry-secret"),
            ("MyWebApi__BaseUrl", "https://localhost/"),
            ("MyWebApi__Scopes__0", "api://todolist/.default"),
        ])
        .client(move |client| client.transport(transport.clone()))
        .build()
        .unwrap();
    is_of_the_sample(&asked(&factory, &authority).await);
    factory.downstream_api("mywebapi").unwrap();
}

/// An app with `more` beside its tenant and id.
fn app(more: &str) -> Settings {
    Settings::new(format!(
        r#"{{ "AzureAd": {{ "TenantId": "contoso.com", "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444", {more} }} }}"#
    ))
}

#[tokio::test]
async fn where_tokens_come_from() {
    let url = |settings: Settings| async move { asked_with(&settings).await.url };
    let of = |app: &str| {
        Settings::new(format!(r#"{{ "AzureAd": {{ "ClientId": "a", "ClientSecret": "c4n4ry", {app} }} }}"#))
    };
    for (settings, want) in [
        (r#""TenantId": "contoso.com""#, "https://login.microsoftonline.com/contoso.com"),
        (
            r#""TenantId": "contoso.com", "Instance": "https://login.microsoftonline.us""#,
            "https://login.microsoftonline.us/contoso.com",
        ),
        (
            r#""Authority": "https://login.microsoftonline.us/contoso.com/v2.0""#,
            "https://login.microsoftonline.us/contoso.com",
        ),
        (
            r#""Authority": "https://login.microsoftonline.us/", "TenantId": "contoso.com""#,
            "https://login.microsoftonline.us/contoso.com",
        ),
        (
            r#""Authority": "https://login.microsoftonline.us/Contoso.com", "TenantId": "contoso.com", "Instance": "https://login.microsoftonline.us/""#,
            "https://login.microsoftonline.us/contoso.com",
        ),
        (r#""TenantId": "common", "AppHomeTenantId": "contoso.com""#, "https://login.microsoftonline.com/contoso.com"),
        (
            r#""TenantId": "contoso.com", "AppHomeTenantId": "other.com""#,
            "https://login.microsoftonline.com/contoso.com",
        ),
        (r#""TenantId": " contoso.com ", "Instance": """#, "https://login.microsoftonline.com/contoso.com"),
    ] {
        assert_eq!(url(of(settings)).await, format!("{want}/oauth2/v2.0/token"), "{settings}");
    }
}

/// What the section says; the address of the token request.
#[tokio::test]
async fn authorities_of_each_kind() {
    let entra = "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token";
    let b2c = "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_daemon/oauth2/v2.0/token";
    let ciam = "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/oauth2/v2.0/token";
    let adfs = "https://fs.contoso.com/adfs/oauth2/token";
    for (settings, want) in [
        (
            r#""TenantId": "contoso.com", "AzureRegion": "westeurope""#,
            "https://westeurope.login.microsoft.com/contoso.com/oauth2/v2.0/token",
        ),
        (r#""TenantId": "contoso.com", "AzureRegion": "DisableMsalForceRegion""#, entra),
        (r#""TenantId": "contoso.com", "AzureCloudInstance": "AzurePublic""#, entra),
        (r#""TenantId": "contoso.com", "AzureCloudInstance": "None""#, entra),
        (
            r#""TenantId": "contoso.com", "AzureCloudInstance": "azureUsGovernment""#,
            "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token",
        ),
        (
            r#""TenantId": "contoso.com", "AzureCloudInstance": 2"#,
            "https://login.partner.microsoftonline.cn/contoso.com/oauth2/v2.0/token",
        ),
        (
            r#""Instance": "https://contoso.b2clogin.com", "Domain": "contoso.onmicrosoft.com", "SignUpSignInPolicyId": "b2c_1_daemon""#,
            b2c,
        ),
        (
            r#""Instance": "https://contoso.b2clogin.com", "TenantId": "contoso.onmicrosoft.com", "SignUpSignInPolicyId": "b2c_1_daemon""#,
            b2c,
        ),
        (
            r#""Instance": "https://contoso.b2clogin.com", "TenantId": "00001111-aaaa-2222-bbbb-3333cccc4444",
                "Domain": "contoso.onmicrosoft.com", "SignUpSignInPolicyId": "b2c_1_daemon""#,
            b2c,
        ),
        (r#""Authority": "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_daemon/v2.0""#, b2c),
        (
            r#""Authority": "https://contoso.b2clogin.com/contoso.onmicrosoft.com", "SignUpSignInPolicyId": "b2c_1_daemon""#,
            b2c,
        ),
        (
            r#""Instance": "https://login.contoso.com/tfp/", "Domain": "contoso.onmicrosoft.com", "SignUpSignInPolicyId": "b2c_1_daemon""#,
            "https://login.contoso.com/tfp/contoso.onmicrosoft.com/b2c_1_daemon/oauth2/v2.0/token",
        ),
        (r#""Authority": "https://contoso.ciamlogin.com/""#, ciam),
        (r#""Instance": "https://contoso.ciamlogin.com/", "TenantId": "contoso.onmicrosoft.com""#, ciam),
        (r#""Authority": "https://contoso.ciamlogin.com/contoso.onmicrosoft.com/v2.0""#, ciam),
        (r#""Authority": "https://fs.contoso.com/adfs""#, adfs),
        (r#""Instance": "https://fs.contoso.com/", "TenantId": "adfs""#, adfs),
        (
            r#""Authority": "https://sts.contoso.com/dstsv2/contoso.com""#,
            "https://sts.contoso.com/dstsv2/contoso.com/oauth2/v2.0/token",
        ),
        (
            r#""Authority": "https://idp.contoso.com/realm/a", "PreserveAuthority": true"#,
            "https://idp.contoso.com/realm/a/token-of-metadata",
        ),
    ] {
        let settings = format!(r#"{{ "AzureAd": {{ "ClientId": "a", "ClientSecret": "c4n4ry", {settings} }} }}"#);
        assert_eq!(asked_with(&Settings::new(&settings)).await.url, want, "{settings}");
    }
}

#[tokio::test]
async fn certificates_of_each_kind() {
    let base64 = |bytes: &[u8]| apptoken_jose::base64url::encode(bytes);
    let pem = [keys::CERTIFICATE, keys::PKCS8].concat();
    let encrypted = [keys::CERTIFICATE, keys::ENCRYPTED].concat();
    let pfx_password = keys::PFX_PASSWORD;
    let key_password = keys::KEY_PASSWORD;
    for credential in [
        format!(
            r#"{{ "SourceType": "Path", "CertificateDiskPath": "daemon.pfx", "CertificatePassword": "{pfx_password}" }}"#
        ),
        format!(
            r#"{{ "SourceType": "path", "CertificateDiskPath": "certs/daemon.pfx", "CertificatePassword": "{pfx_password}" }}"#
        ),
        r#"{ "SourceType": "Path", "CertificateDiskPath": "no-password.pfx" }"#.to_owned(),
        r#"{ "SourceType": "Path", "CertificateDiskPath": "daemon.pem" }"#.to_owned(),
        format!(r#"{{ "CertificateDiskPath": "encrypted.pem", "CertificatePassword": "{key_password}" }}"#),
        format!(
            r#"{{ "SourceType": "Base64Encoded", "Base64EncodedValue": "{}", "CertificatePassword": "{pfx_password}" }}"#,
            base64(keys::PFX)
        ),
        format!(r#"{{ "SourceType": "Base64Encoded", "Base64EncodedValue": "{}" }}"#, base64(&pem)),
    ] {
        let settings = app(&format!(r#""SendX5C": "True", "ClientCredentials": [ {credential} ]"#));
        std::fs::create_dir(settings.path("certs")).unwrap();
        settings.write("daemon.pfx", keys::PFX);
        settings.write("certs/daemon.pfx", keys::PFX);
        settings.write("no-password.pfx", keys::PFX_NO_PASSWORD);
        settings.write("daemon.pem", &pem);
        settings.write("encrypted.pem", &encrypted);
        let asked = asked_with(&settings).await;
        let assertion = apptoken_jose::jws::Unverified::parse(&asked.form["client_assertion"]).unwrap();
        let leaf = &apptoken_jose::Certificate::from_pem(keys::CERTIFICATE).unwrap()[0];
        assert_eq!(assertion.header().x5t_s256.as_deref(), Some(leaf.x5t_s256().as_str()));
        assert_eq!(assertion.header().x5c.len(), 1);
        assert!(!asked.form.contains_key("client_secret"));
    }
}

#[tokio::test]
async fn certificates_that_do_not_work() {
    let pfx = |password: &str| format!(r#"{{ "CertificateDiskPath": "c", "CertificatePassword": "{password}" }}"#);
    for (bytes, credential, want) in [
        (keys::PFX, pfx("c4n4ry-wrong"), "password"),
        (keys::PFX_NO_KEY, pfx(keys::PFX_PASSWORD), "key"),
        (keys::PFX_EC, pfx(keys::PFX_PASSWORD), "RSA"),
        (keys::CERTIFICATE, pfx(""), "no private key in it"),
        (b"neither", pfx(""), "cannot be used"),
    ] {
        let settings = app(&format!(r#""ClientCredentials": [ {credential} ]"#));
        settings.write("c", bytes);
        let authority = Authority::default();
        let error = settings.factory(&authority).token_acquirer().unwrap_err();
        testkit::witness_error(&error);
        let text = error.to_string();
        let head = format!(
            "{}:1: AzureAd:ClientCredentials:0 cannot be used: the ",
            settings.path("appsettings.json").display(),
        );
        let file = format!(" file {} cannot be used: ", settings.path("c").display());
        assert!(text.starts_with(&head) && text.contains(&file) && text.contains(want), "{text}");
        assert_eq!(authority.count(), 0);
    }
}

#[tokio::test]
async fn the_first_credential_that_can_be_used_is() {
    let settings = app(r#""ClientCredentials": [
            { "SourceType": "KeyVault" },
            { "SourceType": "ClientSecret", "ClientSecret": "c4n4ry-skipped", "Skip": true },
            { "SourceType": "Path", "CertificateDiskPath": "missing.pfx" },
            { "SourceType": "ClientSecret", "ClientSecret": "c4n4ry-first" },
            { "SourceType": "ClientSecret", "ClientSecret": "c4n4ry-second" }
        ]"#);
    assert_eq!(asked_with(&settings).await.form["client_secret"], "c4n4ry-first");
    let log = testkit::logged();
    let place = settings.path("appsettings.json").display().to_string();
    for part in [
        format!(
            "credential passed over: {place}:2: AzureAd:ClientCredentials:0:SourceType is KeyVault, which is not supported"
        ),
        format!(
            "credential passed over: {place}:4: AzureAd:ClientCredentials:2 cannot be used: the certificate file {}",
            settings.path("missing.pfx").display()
        ),
    ] {
        assert!(log.contains(&part), "{part}\n{log}");
    }
}

#[tokio::test]
async fn a_list_keeps_the_order_of_its_numbers() {
    let mut variables: Vec<(String, String)> = (2..=11)
        .rev()
        .map(|n| (format!("AzureAd__ClientCredentials__{n}__ClientSecret"), format!("c4n4ry-{n}")))
        .collect();
    variables.push(("AzureAd__ClientId".into(), "a".into()));
    variables.push(("AzureAd__TenantId".into(), "contoso.com".into()));
    let authority = Authority::default();
    let transport = authority.clone();
    let factory = TokenAcquirerFactory::builder()
        .environment(variables)
        .client(move |client| client.transport(transport.clone()))
        .build()
        .unwrap();
    assert_eq!(asked(&factory, &authority).await.form["client_secret"], "c4n4ry-2");
}

#[test]
fn a_number_in_a_list_has_one_spelling() {
    testkit::init();
    for number in ["+1", "01"] {
        let spelt = format!("AzureAd__ClientCredentials__{number}__ClientSecret");
        let variables = [
            ("AzureAd__ClientId", "00001111-aaaa-2222-bbbb-3333cccc4444"),
            ("AzureAd__TenantId", "contoso.com"),
            ("AzureAd__ClientCredentials__1__ClientSecret", "c4n4ry-1"),
            (spelt.as_str(), "c4n4ry-other"),
        ];
        let factory = TokenAcquirerFactory::builder().environment(variables).build().unwrap();
        let error = factory.token_acquirer().unwrap_err().to_string();
        assert!(error.contains("does not number a part of a list"), "{number}: {error}");
    }
}

#[tokio::test]
async fn a_client_id_that_is_no_guid_is_pointed_out_without_its_text() {
    let text = r#"{ "AzureAd": { "TenantId": "contoso.com", "ClientId": "c4n4ry-as-id", "ClientSecret": "c4n4ry" } }"#;
    let settings = Settings::new(text);
    settings.factory(&Authority::default()).token_acquirer().unwrap();
    let log = testkit::logged();
    let warning = format!("{}:1: AzureAd:ClientId is not a GUID", settings.path("appsettings.json").display());
    assert!(log.contains(&warning), "{log}");
    assert_eq!(testkit::leak(&log), None);
}

#[test]
fn the_hook_may_use_the_factory_itself() {
    let settings = Settings::new(
        r#"{ "AzureAd": { "TenantId": "contoso.com", "ClientId": "a", "ClientSecret": "c4n4ry" },
             "Other": { "TenantId": "contoso.com", "ClientId": "b", "ClientSecret": "c4n4ry" } }"#,
    );
    let itself = Arc::new(OnceLock::<TokenAcquirerFactory>::new());
    let (known, within) = (itself.clone(), AtomicBool::new(false));
    let factory = TokenAcquirerFactory::builder()
        .file(settings.path("appsettings.json"))
        .environment(NO_VARIABLES)
        .client(move |client| {
            if !within.swap(true, Ordering::SeqCst) {
                known.get().unwrap().token_acquirer_of("Other").unwrap();
            }
            client
        })
        .build()
        .unwrap();
    itself.set(factory.clone()).unwrap();
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || done.send(factory.token_acquirer().is_ok()));
    assert_eq!(waiting.recv_timeout(Duration::from_secs(20)), Ok(true), "the factory waits for itself");
}

#[tokio::test]
async fn keys_of_others_pass_and_misspelt_ones_are_pointed_out() {
    let settings = app(r#""ClientSecret": "c4n4ry-secret",
        "Domain": "contoso.com", "CallbackPath": "/signin-oidc", "Audience": "api://x", "EnablePiiLogging": true,
        "AzureRegion": "", "ClientCapabilities": [], "ExtraQueryParameters": {}, "PreserveAuthority": false,
        "ClientCredentialsUsingManagedIdentity": { "IsEnabled": false, "ManagedIdentityClientId": "[Enter it]" },
        "SendX5CC": true, "Colour": "blue""#);
    assert_eq!(asked_with(&settings).await.form["client_secret"], "c4n4ry-secret");
    let log = testkit::logged();
    let place = settings.path("appsettings.json").display().to_string();
    assert!(
        log.contains(&format!("{place}:5: AzureAd:SendX5CC is not a known key and is ignored: did you mean SendX5C?")),
        "{log}"
    );
    assert!(log.contains(&format!("{place}:5: AzureAd:Colour is not a known key and is ignored")), "{log}");
    assert!(!log.contains("AzureAd:Domain"), "{log}");
}

#[tokio::test]
async fn a_section_has_one_client() {
    let settings = Settings::new(
        r#"{
        "AzureAd": { "TenantId": "contoso.com", "ClientId": "first", "ClientSecret": "c4n4ry-1" },
        "Other": { "TenantId": "contoso.com", "ClientId": "second", "ClientSecret": "c4n4ry-2" }
    }"#,
    );
    let authority = Authority::default();
    let factory = settings.factory(&authority);
    for _ in 0..3 {
        factory.token_acquirer().unwrap().get_token_for_app(SCOPE).await.unwrap();
        factory.token_acquirer_of("azuread").unwrap().get_token_for_app(SCOPE).await.unwrap();
        factory.clone().token_acquirer_of("Other").unwrap().get_token_for_app(SCOPE).await.unwrap();
    }
    let asked: Vec<String> = authority.asked().iter().map(|asked| asked.form["client_id"].clone()).collect();
    assert_eq!(asked, ["first", "second"]);

    let other = settings.builder(&authority).section("Other").build().unwrap();
    assert_eq!(other.token_acquirer().unwrap().client().client_id(), "second");
}

#[tokio::test]
async fn a_malformed_root_certificate_is_refused() {
    let settings = Settings::new(SAMPLE);
    let factory = TokenAcquirerFactory::builder()
        .file(settings.path("appsettings.json"))
        .environment(NO_VARIABLES)
        .add_root_certificate_pem("no PEM")
        .build()
        .unwrap();
    let error = factory.token_acquirer().unwrap_err().to_string();
    assert!(error.contains("AzureAd cannot be used: the root certificate to trust is not readable PEM"), "{error}");
}

#[tokio::test]
async fn what_every_token_request_says() {
    let settings = app(r#""ClientSecret": "c4n4ry-secret", "ClientCapabilities": [ "cp1" ],
            "ExtraQueryParameters": { "dc": "ESTS-PUB", "slice": 1 }"#);
    let asked = asked_with(&settings).await;
    assert_eq!(asked.form["claims"], r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#);
    assert!(asked.url.ends_with("/oauth2/v2.0/token?dc=ESTS-PUB&slice=1"), "{}", asked.url);
}

/// The identity of a function app, whose endpoint grants one token and remembers who asked for what.
async fn platform() -> (Api, [(&'static str, String); 2]) {
    let platform = Api::start(|_| {
        json(200, r#"{"access_token":"c4n4ry-identity-token","expires_on":"4102444800","token_type":"Bearer"}"#)
    })
    .await;
    let endpoint = format!("{}msi/token", platform.base);
    (platform, [("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", "c4n4ry-header".to_owned())])
}

#[tokio::test]
async fn a_managed_identity_proves_the_app() {
    const ID: &str = "33331111-aaaa-2222-bbbb-3333cccc4444";
    let entry = |more: &str| {
        format!(r#""ClientCredentials": [ {{ "SourceType": "SignedAssertionFromManagedIdentity"{more} }} ]"#)
    };
    for (app_settings, client_id, audience) in [
        (entry(""), None, "api://AzureADTokenExchange"),
        (entry(&format!(r#", "ManagedIdentityClientId": "{ID}""#)), Some(ID), "api://AzureADTokenExchange"),
        (
            format!(r#"{}, "UserAssignedManagedIdentityClientId": "{ID}""#, entry("")),
            Some(ID),
            "api://AzureADTokenExchange",
        ),
        (entry(r#", "TokenExchangeUrl": "api://AzureADTokenExchangeUSGov""#), None, "api://AzureADTokenExchangeUSGov"),
        (
            format!(
                r#""ClientCredentialsUsingManagedIdentity": {{ "IsEnabled": true, "ManagedIdentityClientId": "{ID}" }}"#
            ),
            Some(ID),
            "api://AzureADTokenExchange",
        ),
    ] {
        let (platform, variables) = platform().await;
        let authority = Authority::default();
        let settings = app(&app_settings);
        let factory = settings.builder(&authority).environment(variables).build().unwrap();
        let asked = asked(&factory, &authority).await;
        assert_eq!(asked.form["client_assertion"], "c4n4ry-identity-token", "{app_settings}");
        let url = Url::parse(&format!("http://platform{}", platform.seen()[0].path)).unwrap();
        let query =
            |name: &str| url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned());
        assert_eq!((query("client_id").as_deref(), query("resource").as_deref()), (client_id, Some(audience)));
        assert_eq!(platform.seen()[0].header("x-identity-header"), Some("c4n4ry-header"));
    }
}

#[tokio::test]
async fn an_assertion_in_a_file_proves_the_app() {
    let settings = app(r#""ClientCredentials": [
            { "SourceType": "SignedAssertionFilePath", "SignedAssertionFileDiskPath": "assertion.jwt" }
        ]"#);
    settings.write("assertion.jwt", "c4n4ry-assertion");
    assert_eq!(asked_with(&settings).await.form["client_assertion"], "c4n4ry-assertion");

    let named = app(r#""ClientCredentials": [ { "SourceType": 8 } ]"#);
    let authority = Authority::default();
    let file = settings.path("assertion.jwt").display().to_string();
    let factory = named.builder(&authority).environment([("AZURE_FEDERATED_TOKEN_FILE", file)]).build().unwrap();
    assert_eq!(asked(&factory, &authority).await.form["client_assertion"], "c4n4ry-assertion");
}

#[tokio::test]
async fn a_managed_identity_calls_an_api() {
    let (platform, variables) = platform().await;
    let api = Api::start(|_| json(200, "[]")).await;
    let settings = Settings::new(format!(
        r#"{{ "MyWebApi": {{
            "BaseUrl": "{}", "Scopes": [ "api://todolist/.default" ],
            "AcquireTokenOptions": {{ "ManagedIdentity": {{ "UserAssignedClientId": "33331111-aaaa-2222-bbbb-3333cccc4444" }} }}
        }} }}"#,
        api.base
    ));
    let authority = Authority::default();
    let factory = settings.builder(&authority).environment(variables).build().unwrap();
    let called = factory.downstream_api("MyWebApi").unwrap();
    testkit::witness(&called);
    called.get_for_app::<Vec<String>>().await.unwrap();
    called.get_for_app::<Vec<String>>().await.unwrap();
    assert_eq!(api.seen()[1].header("authorization"), Some("Bearer c4n4ry-identity-token"));
    let asked = platform.seen();
    assert_eq!((asked.len(), authority.count()), (1, 0));
    assert!(asked[0].path.contains("resource=api%3A%2F%2Ftodolist&"), "{}", asked[0].path);
    // what .NET drops: force, and what has no meaning is said to have none
    called.call_for_app(|call| call.force_refresh(true)).await.unwrap();
    assert_eq!(platform.seen().len(), 2);
    let error = called.call_for_app(|call| call.tenant("fabrikam.com")).await.unwrap_err();
    assert!(error.to_string().contains("for a call that a managed identity makes"), "{error}");
    assert_eq!((platform.seen().len(), api.seen().len()), (2, 3));
}
