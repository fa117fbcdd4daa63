//! Every mistake in the settings has one error that names the place, the key and what belongs there.
//!
//! Nothing here has a peer to talk to: each of these errors comes before anything is sent (`end_to_end.rs` counts).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use apptoken_daemon::{Error, TokenAcquirerFactory};
use testkit::CANARY;

const NO_VARIABLES: [(&str, &str); 0] = [];

/// What the settings in `file` lead to: the file, then the acquirer, then the API.
fn outcome(file: &Path, variables: &[(&str, &str)]) -> Result<(), Error> {
    let factory = TokenAcquirerFactory::builder().file(file).environment(variables.iter().copied()).build()?;
    testkit::witness(&factory);
    testkit::witness(&factory.token_acquirer()?);
    testkit::witness(&factory.downstream_api("MyWebApi")?);
    Ok(())
}

/// The error's text, with the folder taken off the file's name.
#[track_caller]
fn error(text: &[u8], variables: &[(&str, &str)]) -> String {
    testkit::init();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appsettings.json");
    fs::write(&file, text).unwrap();
    let error = outcome(&file, variables).expect_err("these settings are wrong");
    testkit::witness_error(&error);
    assert!(error.configuration().is_some());
    let shown = error.to_string();
    assert!(!shown.contains(CANARY) && !shown.contains('\n') && !shown.ends_with('.'), "{shown}");
    shown.replace(&format!("{}/", folder.path().display()), "")
}

const APP: &str = r#""AzureAd": {
    "TenantId": "contoso.onmicrosoft.com",
    "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444",
    "ClientSecret": "c4n4ry-secret"
}"#;

/// Settings with a good app and `api` as the body of `MyWebApi`, which begins in line 6.
fn with_api(api: &str) -> String {
    format!("{{ {APP},\n\"MyWebApi\": {{ {api} }} }}")
}

/// Settings with `app` as the body of `AzureAd`, in line 1.
fn with_app(app: &str) -> String {
    format!(r#"{{ "AzureAd": {{ {app} }} }}"#)
}

#[test]
fn files_that_are_no_settings() {
    for (text, want) in [
        (&b""[..], "appsettings.json: is empty: a JSON object { … } belongs there"),
        (b" \n\t", "appsettings.json: is empty: a JSON object { … } belongs there"),
        (b"\xef\xbb\xbf", "appsettings.json: is empty: a JSON object { … } belongs there"),
        (b"// nothing", "appsettings.json: holds only comments: a JSON object { … } belongs there"),
        (b"[]", "appsettings.json:1:1: must hold one JSON object { … } at its top"),
        (b"\n  \"text\"", "appsettings.json:2:3: must hold one JSON object { … } at its top"),
        (b"{", "appsettings.json:1:1: is not valid JSON: the object that begins here is not closed with }"),
        (b"{ \"a\": [1, 2 }", "appsettings.json:1:14: is not valid JSON: a closing brace } in the wrong place"),
        (b"{ \"a\": [1, 2", "appsettings.json:1:8: is not valid JSON: the list that begins here is not closed with ]"),
        (b"{ /* c", "appsettings.json:1:3: is not valid JSON: the comment that begins here is not closed with */"),
        (
            b"{\n  'a': 1\n}",
            "appsettings.json:2:3: is not valid JSON: text must stand in double quotes, not single ones",
        ),
        (b"{\n  a: 1\n}", "appsettings.json:2:3: is not valid JSON: a key must stand in double quotes"),
        (b"{ \"a\": 1\n  \"b\": 2 }", "appsettings.json:1:9: is not valid JSON: a comma is missing before this"),
        (b"{ \"a\" 1 }", "appsettings.json:1:7: is not valid JSON: a colon is missing after the key"),
        (b"{ \"a\": }", "appsettings.json:1:8: is not valid JSON: a closing brace } in the wrong place"),
        (b"{ \"a\": yes }", "appsettings.json:1:8: is not valid JSON: text must stand in double quotes"),
        (b"{ \"a\": 0x10 }", "appsettings.json:1:8: is not valid JSON: hexadecimal numbers are not allowed"),
        (b"{ \"a\": +1 }", "appsettings.json:1:8: is not valid JSON: not a JSON number"),
        (b"{ \"a\": .5 }", "appsettings.json:1:8: is not valid JSON: not a JSON number"),
        (b"{ \"a\": NaN }", "appsettings.json:1:8: is not valid JSON: text must stand in double quotes"),
        (b"{ \"a\": 1,, }", "appsettings.json:1:10: is not valid JSON: something unexpected stands here"),
        (b"{} {}", "appsettings.json:1:4: is not valid JSON: something follows the end of the JSON object"),
        (
            b"{ \"p\": \"C:\\certs\" }",
            "appsettings.json:1:11: is not valid JSON: not a JSON escape: a backslash is written \\\\",
        ),
        (b"{ \"s\": \"c4n4ry-secret", "appsettings.json:1:8: is not valid JSON: the closing quote is missing"),
        (
            b"{ \"s\": \"c4n4ry-secret\n }\" }",
            "appsettings.json:1:22: is not valid JSON: a line break or control character inside quotes (is a closing quote missing?)",
        ),
        (
            b"{ \"a\": 1,\n  \"A\": 2 }",
            "appsettings.json:2:3: A stands here a second time (first in line 1; case does not count): keep one",
        ),
        (
            b"{ \"a\": { \"b\": 1 },\n\n  \"a:B\": 2 }",
            "appsettings.json:3:3: a:B stands here a second time (first in line 1; case does not count): keep one",
        ),
        (
            b"{ \"a\": {},\n  \"A\": {} }",
            "appsettings.json:2:3: A stands here a second time (first in line 1; case does not count): keep one",
        ),
        (b"{ \"a\":\n  \"\xff\" }", "appsettings.json:2:4: is not UTF-8 text"),
        (b"\xff\xfe\x00\xd8", "appsettings.json: begins as UTF-16 but is not: save it as UTF-8"),
    ] {
        assert_eq!(error(text, &[]), want, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn files_too_big_too_deep_or_missing() {
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(error(deep.as_bytes(), &[]).ends_with("is not valid JSON: it is nested too deeply"));
    let long = format!("{{ \"{}\": 1 }}", "k".repeat(1025));
    assert_eq!(
        error(long.as_bytes(), &[]),
        "appsettings.json:1:3: holds a key longer than 1024 bytes, its sections included"
    );
    let large = " ".repeat(1024 * 1024 + 1);
    assert_eq!(
        error(large.as_bytes(), &[]),
        "appsettings.json: is larger than 1024 KiB, too large for a settings file"
    );

    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("daemon.json");
    let error = TokenAcquirerFactory::from_file(&missing).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: does not exist: write one (`apptoken init` does), or name another", missing.display())
    );
    let unreadable = TokenAcquirerFactory::from_file(folder.path()).unwrap_err().to_string();
    assert!(unreadable.starts_with(&format!("{}: cannot be read: ", folder.path().display())), "{unreadable}");
}

#[test]
fn the_app() {
    let good = r#""TenantId": "contoso.com", "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444""#;
    let credentials = |list: &str| format!("{good}, \"ClientCredentials\": {list}");
    for (app, want) in [
        (
            r#""ClientSecret": "c4n4ry-secret""#.to_owned(),
            "appsettings.json:1: AzureAd:ClientId is missing: what belongs there, or in the environment variable AzureAd__ClientId, is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            r#""Client_Id": "x""#.into(),
            "appsettings.json:1: AzureAd:ClientId is missing: what belongs there, or in the environment variable AzureAd__ClientId, is the application (client) id, a GUID from the Overview page of the app registration; Client_Id (appsettings.json:1) is not the name of a key",
        ),
        (
            r#""ClientId": "  ""#.into(),
            "appsettings.json:1: AzureAd:ClientId is empty: what belongs there, or in the environment variable AzureAd__ClientId, is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            "\n\"ClientId\": \"[Enter here the ClientId]\"".into(),
            "appsettings.json:2: AzureAd:ClientId still holds the placeholder \"[Enter here the ClientId]\": what belongs there is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            r#""ClientId": 42"#.into(),
            "appsettings.json:1: AzureAd:ClientId is a number: what belongs there is the application (client) id, a GUID from the Overview page of the app registration, as text in quotes",
        ),
        (
            r#""ClientId": true"#.into(),
            "appsettings.json:1: AzureAd:ClientId is true or false: what belongs there is the application (client) id, a GUID from the Overview page of the app registration, as text in quotes",
        ),
        (
            r#""ClientId": ["a"]"#.into(),
            "appsettings.json:1: AzureAd:ClientId is a list, not a single value: what belongs there is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            r#""ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444""#.into(),
            "appsettings.json:1: AzureAd:TenantId is missing: what belongs there, or in the environment variable AzureAd__TenantId, is the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com",
        ),
        (
            r#""ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444", "TenantId": "YOUR_TENANT""#.into(),
            "appsettings.json:1: AzureAd:TenantId still holds the placeholder \"YOUR_TENANT\": what belongs there is the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com",
        ),
        (
            r#""ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444", "TenantId": "common", "ClientSecret": "c4n4ry""#
                .into(),
            "appsettings.json:1: AzureAd:TenantId names \"common\", which stands for many tenants, and an app-only token is issued by one: what belongs there is the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com, or set AppHomeTenantId",
        ),
        (
            format!(r#"{good}, "Instance": "login.microsoftonline.com", "ClientSecret": "c4n4ry""#),
            "appsettings.json:1: AzureAd:Instance is not the address of a cloud: it must begin with https://, in \"login.microsoftonline.com\"",
        ),
        (
            format!(r#"{good}, "Instance": "https://login.microsoftonline.com/contoso.com", "ClientSecret": "c4n4ry""#),
            "appsettings.json:1: AzureAd:Instance holds more than the cloud's address: move \"contoso.com\" to TenantId",
        ),
        (
            format!(r#"{good}, "Instance": "http://login.microsoftonline.com/", "ClientSecret": "c4n4ry""#),
            "appsettings.json:1: AzureAd cannot be used: the authority \"http://login.microsoftonline.com\" is plain http: secrets travel over TLS only: write https",
        ),
        (
            format!(
                "{good},\n\"Authority\": \"https://login.microsoftonline.com/fabrikam.com/v2.0\", \"ClientSecret\": \"c4n4ry\""
            ),
            "appsettings.json:2: AzureAd:Authority disagrees with AzureAd:TenantId (appsettings.json:1): \"fabrikam.com\" and \"contoso.com\"; keep one of the two",
        ),
        (
            format!(
                r#"{good}, "Authority": "https://login.microsoftonline.com/contoso.com/b2c_1/v2.0", "ClientSecret": "c4n4ry""#
            ),
            "appsettings.json:1: AzureAd:Authority is not the address of a cloud: its path must be one tenant, in \"https://login.microsoftonline.com/contoso.com/b2c_1/v2.0\"",
        ),
        (
            good.into(),
            "appsettings.json:1: AzureAd:ClientCredentials is missing: what belongs there is a list of credentials, such as [ { \"SourceType\": \"ClientSecret\", \"ClientSecret\": \"…\" } ]; or set the environment variable AzureAd__ClientCredentials__0__ClientSecret",
        ),
        (
            format!(r#"{good}, "ClientSecret": """#),
            "appsettings.json:1: AzureAd:ClientSecret is empty: what belongs there, or in the environment variable AzureAd__ClientSecret, is a client secret's value (not its id) from Certificates & secrets of the app registration",
        ),
        (
            format!(r#"{good}, "ClientSecret": "[Enter here a client secret]""#),
            "appsettings.json:1: AzureAd:ClientSecret still holds a placeholder: what belongs there is a client secret's value (not its id) from Certificates & secrets of the app registration",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry-secret\n""#),
            "appsettings.json:1: AzureAd:ClientSecret begins or ends with white space, which no client secret does (a line break out of a file?)",
        ),
        (
            format!(
                "{good}, \"ClientSecret\": \"c4n4ry\",\n\"ClientCredentials\": [ {{ \"ClientSecret\": \"c4n4ry\" }} ]"
            ),
            "appsettings.json:1: AzureAd:ClientSecret is set beside ClientCredentials (appsettings.json:2): keep one of the two",
        ),
        (
            credentials(r#"{ "SourceType": "ClientSecret", "ClientSecret": "c4n4ry" }"#),
            "appsettings.json:1: AzureAd:ClientCredentials is an object { … }, not a list [ … ]: what belongs there is a list of credentials, such as [ { \"SourceType\": \"ClientSecret\", \"ClientSecret\": \"…\" } ]",
        ),
        (
            credentials(r#""c4n4ry-secret""#),
            "appsettings.json:1: AzureAd:ClientCredentials is a single value: what belongs there is a list of credentials, such as [ { \"SourceType\": \"ClientSecret\", \"ClientSecret\": \"…\" } ]",
        ),
        (
            credentials(r#"[ "c4n4ry-secret" ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0 is a single value, not an object { … }: what belongs there is a list of credentials, such as [ { \"SourceType\": \"ClientSecret\", \"ClientSecret\": \"…\" } ]",
        ),
        (
            credentials(r#"[ { "SourceType": "ClientSecret" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0:ClientSecret is missing: what belongs there, or in the environment variable AzureAd__ClientCredentials__0__ClientSecret, is a client secret's value (not its id) from Certificates & secrets of the app registration",
        ),
        (
            credentials(r#"[ { "SourceType": "KeyVault", "KeyVaultUrl": "https://kv.vault.azure.net" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0:SourceType is KeyVault, which is not supported: let the platform mount the certificate with its key as a file, or download it as one, and name that with SourceType Path; a key that must stay in the vault signs through apptoken's trait Signer, in code",
        ),
        (
            credentials(r#"[ { "SourceType": 4 } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0:SourceType is StoreWithThumbprint, a certificate store of Windows, which is not supported: export the certificate with its key as a PFX file, and name that with SourceType Path",
        ),
        (
            credentials(r#"[ { "SourceType": "ClientSecert" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0:SourceType is \"ClientSecert\": did you mean ClientSecret? (supported are ClientSecret, Path, Base64Encoded, SignedAssertionFromManagedIdentity and SignedAssertionFilePath)",
        ),
        (
            credentials(r#"[ { "SourceType": "Cloud" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0:SourceType is \"Cloud\", which is no source of credentials: supported are ClientSecret, Path, Base64Encoded, SignedAssertionFromManagedIdentity and SignedAssertionFilePath",
        ),
        (
            credentials(r#"[ { "ClientSecret": "c4n4ry", "CertificateDiskPath": "a.pfx" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0:SourceType is missing: what belongs there, or in the environment variable AzureAd__ClientCredentials__0__SourceType, is ClientSecret, Path, Base64Encoded, SignedAssertionFromManagedIdentity or SignedAssertionFilePath",
        ),
        (
            credentials(r#"[ { "SourceType": "Base64Encoded", "Base64EncodedValue": "c4n4ry?" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0 cannot be used: Base64EncodedValue is not base64: what belongs there is the base64 of a PFX file, or of a PEM file with certificate and key",
        ),
        (
            credentials(r#"[ { "Skip": true, "ClientSecret": "c4n4ry" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials has only entries with Skip: take it off one of them",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "ClientCapabilities": {{ "cp1": true }}"#),
            "appsettings.json:1: AzureAd:ClientCapabilities is an object { … }, not a list [ … ]: what belongs there is a list of what the app is capable of, such as [ \"cp1\" ]",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "ExtraQueryParameters": {{ "scope": "x" }}"#),
            "appsettings.json:1: AzureAd cannot be used: the extra query parameter \"scope\" is a standard field: give it to acquire_token_for_client",
        ),
        (
            credentials(
                r#"[ { "SourceType": "SignedAssertionFromManagedIdentity", "TokenExchangeAuthority": "https://x.example" } ]"#,
            ),
            "appsettings.json:1: AzureAd:ClientCredentials:0:TokenExchangeAuthority is set, which is not supported: leave it out to use the app's own authority",
        ),
        (
            credentials(r#"[ { "SourceType": "SignedAssertionFilePath" } ]"#),
            "appsettings.json:1: AzureAd:ClientCredentials:0 cannot be used: neither SignedAssertionFileDiskPath nor AZURE_FEDERATED_TOKEN_FILE is set",
        ),
        (
            format!(
                r#"{good}, "ClientCredentials": [ {{ "ClientSecret": "c4n4ry" }} ], "ClientCredentialsUsingManagedIdentity": {{ "IsEnabled": true }}"#
            ),
            "appsettings.json:1: AzureAd:ClientCredentials:0 is set beside ClientCredentialsUsingManagedIdentity: keep one of the two",
        ),
        (
            format!(
                r#"{good}, "ClientSecret": "c4n4ry",
 "AzureRegion": "West Europe""#
            ),
            "appsettings.json:2: AzureAd:AzureRegion is \"West Europe\", which is not a region's name: what belongs there is a region's name, such as westeurope, or TryAutoDetect",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "AzureCloudInstance": "AzureMoon""#),
            "appsettings.json:1: AzureAd:AzureCloudInstance is \"AzureMoon\": what belongs there is AzurePublic, AzureChina or AzureUsGovernment, or set Instance to the cloud's address",
        ),
        (
            format!(
                "{good}, \"ClientSecret\": \"c4n4ry\", \"AzureCloudInstance\": \"AzureChina\",\n\"Instance\": \"https://login.microsoftonline.us\""
            ),
            "appsettings.json:1: AzureAd:AzureCloudInstance disagrees with AzureAd:Instance (appsettings.json:2): \"https://login.partner.microsoftonline.cn\" and \"https://login.microsoftonline.us\"; keep one of the two",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "PreserveAuthority": true"#),
            "appsettings.json:1: AzureAd:Authority is missing: what belongs there, or in the environment variable AzureAd__Authority, is the cloud's address and the tenant, such as https://login.microsoftonline.com/contoso.onmicrosoft.com",
        ),
        (
            format!(
                r#"{good}, "ClientSecret": "c4n4ry", "PreserveAuthority": true, "Authority": "https://idp.contoso.com""#
            ),
            "appsettings.json:1: AzureAd:TenantId is set beside PreserveAuthority, which takes Authority as it stands: leave it out",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "Authority": "https://fs.contoso.com/adfs""#),
            "appsettings.json:1: AzureAd:TenantId is set, and ADFS has no tenants: leave it out",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "Instance": "https://contoso.b2clogin.com""#),
            "appsettings.json:1: AzureAd:SignUpSignInPolicyId is missing: what belongs there, or in the environment variable AzureAd__SignUpSignInPolicyId, is the user flow or policy whose tokens B2C issues, such as B2C_1A_daemon",
        ),
        (
            format!(
                r#"{good}, "ClientSecret": "c4n4ry", "Instance": "https://contoso.ciamlogin.com", "AzureRegion": "TryAutoDetect""#
            ),
            "appsettings.json:1: AzureAd:AzureRegion is set, and CIAM has no regional endpoints: leave it out",
        ),
        (
            format!(r#"{good}, "ClientSecret": "c4n4ry", "SendX5C": "yes""#),
            "appsettings.json:1: AzureAd:SendX5C is neither true nor false: what belongs there is true (subject name and issuer authentication) or false",
        ),
    ] {
        assert_eq!(error(with_app(&app).as_bytes(), &[]), want, "{app}");
    }
}

#[test]
fn the_api() {
    let good = r#""BaseUrl": "https://localhost:44372/", "Scopes": [ "api://todolist/.default" ]"#;
    let scope =
        "the API's App ID URI and /.default, such as [ \"api://00001111-aaaa-2222-bbbb-3333cccc4444/.default\" ]";
    for (api, want) in [
        (
            r#""Scopes": [ "api://todolist/.default" ]"#.to_owned(),
            "MyWebApi:BaseUrl is missing: what belongs there, or in the environment variable MyWebApi__BaseUrl, is the API's address, such as https://localhost:44372/".to_owned(),
        ),
        (
            r#""BaseUrl": "https://<your api>/", "Scopes": [ "api://todolist/.default" ]"#.into(),
            "MyWebApi:BaseUrl still holds the placeholder \"https://<your api>/\": what belongs there is the API's address, such as https://localhost:44372/".into(),
        ),
        (
            r#""BaseUrl": "localhost:44372", "Scopes": [ "api://todolist/.default" ]"#.into(),
            "MyWebApi:BaseUrl is \"localhost:44372\": it must begin with https://".into(),
        ),
        (
            r#""BaseUrl": "http://api.contoso.com/", "Scopes": [ "api://todolist/.default" ]"#.into(),
            "MyWebApi:BaseUrl is \"http://api.contoso.com/\": a token sent over plain http can be stolen, so http is for this machine (localhost) only; write https".into(),
        ),
        (
            r#""BaseUrl": "https://localhost/""#.into(),
            format!("MyWebApi:Scopes is missing: what belongs there, or in the environment variable MyWebApi__Scopes, is {scope}"),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": []"#.into(),
            format!("MyWebApi:Scopes is empty: what belongs there is {scope}"),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": [ "api://<API_APPLICATION_ID>/.default" ]"#.into(),
            format!("MyWebApi:Scopes:0 still holds the placeholder \"api://<API_APPLICATION_ID>/.default\": what belongs there is {scope}"),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": { "a": "api://todolist/.default" }"#.into(),
            format!("MyWebApi:Scopes is an object {{ … }}, not a list [ … ]: what belongs there is {scope}"),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": [ {} ]"#.into(),
            format!("MyWebApi:Scopes is empty: what belongs there is {scope}"),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": [ { "a": 1 } ]"#.into(),
            format!("MyWebApi:Scopes:0 is an object, not text in quotes: what belongs there is {scope}"),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": [ "api://todolist/.default", "https://graph.microsoft.com/.default" ]"#.into(),
            "MyWebApi:Scopes:1 is one of 2 scopes, but a token is for one API: keep api://todolist/.default or the one that belongs to BaseUrl".into(),
        ),
        (
            r#""BaseUrl": "https://localhost/", "Scopes": "api://todolist/access_as_app""#.into(),
            "MyWebApi:Scopes cannot be used: the scope api://todolist/access_as_app does not end in /.default: an app-only token carries the permissions that an admin granted, so ask for api://todolist/.default (single permissions cannot be asked for)".into(),
        ),
        (
            format!(r#"{good}, "RelativePath": "../admin""#),
            "MyWebApi:RelativePath is \"../admin\": it must stay below BaseUrl, without . or .. as a step".into(),
        ),
        (
            format!(r#"{good}, "RelativePath": 7"#),
            "MyWebApi:RelativePath is a number: what belongs there is the path below BaseUrl, such as api/TodoList, as text in quotes".into(),
        ),
        (
            format!(r#"{good}, "HttpMethod": "Fetch""#),
            "MyWebApi:HttpMethod is \"Fetch\": what belongs there is Get, Post, Put, Patch or Delete".into(),
        ),
        (
            format!(r#"{good}, "ProtocolScheme": "Basic""#),
            "MyWebApi:ProtocolScheme is \"Basic\": what belongs there is Bearer, MTLS_POP or PoP".into(),
        ),
        (
            format!(r#"{good}, "ProtocolScheme": "MTLS""#),
            "MyWebApi:ProtocolScheme is MTLS, a call without a token, and every call here has one: what belongs there is MTLS_POP, which shows the certificate too".into(),
        ),
        (
            r#""BaseUrl": "http://localhost/", "Scopes": [ "api://todolist/.default" ], "ProtocolScheme": "MTLS_POP""#.into(),
            "MyWebApi:ProtocolScheme is MTLS_POP, and BaseUrl begins with http://, where no certificate can be shown: write https".into(),
        ),
        (
            format!(r#"{good}, "ProtocolScheme": "MTLS_POP""#),
            "MyWebApi:ProtocolScheme cannot be used: a token that is bound to a certificate was asked for, and the credential has none: give the client a certificate, or a bound_client_assertion".into(),
        ),
        (
            format!(r#"{good}, "ProtocolScheme": "PoP", "AcquireTokenOptions": {{ "ManagedIdentity": {{ "UserAssignedClientId": "a" }} }}"#),
            "MyWebApi:ProtocolScheme is set beside ManagedIdentity, whose tokens have no such option: leave it out".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "PopPublicKey": "a" }}"#),
            "MyWebApi:AcquireTokenOptions:PopPublicKey is set: it binds the token to a key that signs elsewhere, and requests are signed here: set ProtocolScheme to PoP, and give the key in code, to the client's pop_key".into(),
        ),
        (
            format!(r#"{good}, "RequestAppToken": "maybe""#),
            "MyWebApi:RequestAppToken is neither true nor false: what belongs there is true".into(),
        ),
        (
            format!(r#"{good}, "AcceptHeader": "json""#),
            "MyWebApi:AcceptHeader is \"json\": what belongs there is a media type, such as application/json".into(),
        ),
        (
            format!(r#"{good}, "ExtraHeaderParameters": {{ "X-MS-CLIENT-PRINCIPAL-ID": "c4n4ry" }}"#),
            "MyWebApi:ExtraHeaderParameters holds x-ms-client-principal-id, which cannot be set here: servers take it for a fact about the caller".into(),
        ),
        (
            format!(r#"{good}, "ExtraHeaderParameters": {{ "authorization": "Bearer c4n4ry" }}"#),
            "MyWebApi:ExtraHeaderParameters holds authorization, which cannot be set here: it carries the token".into(),
        ),
        (
            format!(r#"{good}, "ExtraHeaderParameters": {{ "X-Key": "c4n4ry\n" }}"#),
            "MyWebApi:ExtraHeaderParameters holds x-key, whose value holds a character that a header cannot carry".into(),
        ),
        (
            format!(r#"{good}, "ExtraHeaderParameters": [ "X-Key" ]"#),
            "MyWebApi:ExtraHeaderParameters is a list: what belongs there is an object of header names and values".into(),
        ),
        (
            format!(r#"{good}, "ExtraQueryParameters": "a=b""#),
            "MyWebApi:ExtraQueryParameters is a single value: what belongs there is an object of query names and values".into(),
        ),
        (
            format!(r#"{good}, "ExtraQueryParameters": {{ "a": [ 1 ] }}"#),
            "MyWebApi:ExtraQueryParameters:a is a list, not text in quotes: what belongs there is an object of query names and values".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "CorrelationId": "42" }}"#),
            "MyWebApi:AcquireTokenOptions:CorrelationId is \"42\": what belongs there is a GUID".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "Claims": "cp1" }}"#),
            "MyWebApi:AcquireTokenOptions:Claims is not a JSON object: what belongs there is a JSON object in quotes".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "ManagedIdentity": {{ "UserAssignedClientId": "x" }}, "FmiPath": "a" }}"#),
            "MyWebApi:AcquireTokenOptions:FmiPath is set beside ManagedIdentity, whose tokens have no such option: leave it out".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "ExtraHeadersParameters": {{ "Authorization": "x" }} }}"#),
            "MyWebApi:AcquireTokenOptions:ExtraHeadersParameters cannot be used: the extra header \"Authorization\" is not the program's to set: leave it out: it frames the request, proves who sends it, or is set by this library".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "ExtraQueryParameters": {{ "claims": "x" }} }}"#),
            "MyWebApi:AcquireTokenOptions:ExtraQueryParameters cannot be used: the extra query parameter \"claims\" is a standard field: answer a challenge by claims; set your own by claims_from_client".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "Tenant": "common" }}"#),
            "MyWebApi:AcquireTokenOptions:Tenant cannot be used: the tenant \"common\" stands for many tenants, and an app-only token is issued by one: give the tenant's id (a GUID) or one of its domain names, for example contoso.onmicrosoft.com".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": {{ "UserFlow": "b2c_1" }}"#),
            "MyWebApi:AcquireTokenOptions:UserFlow is set: it belongs to tokens of users: leave it out".into(),
        ),
        (
            format!(r#"{good}, "AcquireTokenOptions": "fast""#),
            "MyWebApi:AcquireTokenOptions is a single value; a section { … } belongs there".into(),
        ),
    ] {
        assert_eq!(error(with_api(&api).as_bytes(), &[]), format!("appsettings.json:6: {want}"), "{api}");
    }
}

#[test]
fn sections() {
    let app = |rest: &str| format!("{{ {APP}{rest} }}");
    for (text, want) in [
        ("{}".to_owned(), "appsettings.json: there is no section AzureAd, nor an environment variable AzureAd__…"),
        (
            r#"{ "AzurAD": { "ClientId": "x" }, "Logging": { "LogLevel": { "Default": "Information" } } }"#.into(),
            "appsettings.json: there is no section AzureAd: did you mean AzurAD? (sections here: AzurAD, Logging)",
        ),
        (r#"{ "AzureAd": [] }"#.into(), "appsettings.json:1: AzureAd is a list; a section { … } belongs there"),
        (
            r#"{ "AzureAd": "x" }"#.into(),
            "appsettings.json:1: AzureAd is a single value; a section { … } belongs there",
        ),
        (
            r#"{ "AzureAd": null }"#.into(),
            "appsettings.json: there is no section AzureAd, nor an environment variable AzureAd__…",
        ),
        (
            app(""),
            "appsettings.json: there is no section MyWebApi (sections here: AzureAd), nor an environment variable MyWebApi__…",
        ),
        (
            app(r#", "MyWebAPI2": {}"#),
            "appsettings.json: there is no section MyWebApi: did you mean MyWebAPI2? (sections here: AzureAd, MyWebAPI2)",
        ),
        (
            app(r#", "DownstreamApis": { "MyWebApi": {} }"#),
            "appsettings.json: there is no section MyWebApi: did you mean DownstreamApis:MyWebApi? (sections here: AzureAd, DownstreamApis)",
        ),
    ] {
        assert_eq!(error(text.as_bytes(), &[]), want, "{text}");
    }
}

#[test]
fn variables_are_named_as_they_are_spelt() {
    let good = format!("{{ {APP} }}");
    for (variables, want) in [
        (
            &[("AzureAd__ClientId", "[Enter it here]")][..],
            "environment variable AzureAd__ClientId: AzureAd:ClientId still holds the placeholder \"[Enter it here]\": what belongs there is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            &[("AZUREAD__CLIENTID", "")],
            "environment variable AZUREAD__CLIENTID: AZUREAD:CLIENTID is empty: what belongs there, or in the environment variable AzureAd__ClientId, is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            &[("AzureAd__ClientSecret", "$(ClientSecret)")],
            "environment variable AzureAd__ClientSecret: AzureAd:ClientSecret still holds a placeholder: what belongs there is a client secret's value (not its id) from Certificates & secrets of the app registration",
        ),
        (
            &[("AzureAd__ClientSecret", "c4n4ry-secret\n")],
            "environment variable AzureAd__ClientSecret: AzureAd:ClientSecret begins or ends with white space, which no client secret does (a line break out of a file?)",
        ),
        (
            &[("AzureAd__TenantId", "a.com"), ("AZUREAD__TENANTID", "b.com")],
            "environment variable AzureAd__TenantId: AzureAd:TenantId is also set by the variable AZUREAD__TENANTID (case does not count): keep one",
        ),
        (
            &[("AzureAd__ClientCredentials__first__ClientSecret", "c4n4ry")],
            "environment variable AzureAd__ClientCredentials__first__ClientSecret: AzureAd:ClientCredentials:first:ClientSecret does not number a part of a list: azuread__clientcredentials__0, __1, …",
        ),
        (
            &[("AzureAd__ClientId__0", "x")],
            "environment variable AzureAd__ClientId__0: AzureAd:ClientId:0 is an object, not a single value: what belongs there is the application (client) id, a GUID from the Overview page of the app registration",
        ),
        (
            &[("DOTNET_ENVIRONMENT", "../../etc")],
            "environment variable DOTNET_ENVIRONMENT: does not hold the name of an environment, such as Development: it becomes part of a file name",
        ),
        (
            &[("MyWebApi__BaseUrl", "localhost"), ("MyWebApi__Scopes", "api://todolist/.default")],
            "environment variable MyWebApi__BaseUrl: MyWebApi:BaseUrl is \"localhost\": it must begin with https://",
        ),
        (
            &[("MyWebApi__BaseUrl", "https://localhost")],
            "appsettings.json: MyWebApi:Scopes is missing: what belongs there, or in the environment variable MyWebApi__Scopes, is the API's App ID URI and /.default, such as [ \"api://00001111-aaaa-2222-bbbb-3333cccc4444/.default\" ]",
        ),
    ] {
        assert_eq!(error(good.as_bytes(), variables), want, "{variables:?}");
    }
    // what `apptoken init` writes, and the variable that comes to mind
    let listed = r#"{ "AzureAd": { "TenantId": "contoso.com", "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "ClientCredentials": [ { "SourceType": "ClientSecret", "ClientSecret": "[Enter it here]" } ] } }"#;
    assert_eq!(
        error(listed.as_bytes(), &[("AzureAd__ClientSecret", "c4n4ry-secret")]),
        "environment variable AzureAd__ClientSecret: AzureAd:ClientSecret is set beside ClientCredentials (appsettings.json:2): keep one of the two, or set AzureAd__ClientCredentials__0__ClientSecret instead"
    );
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_no_text_matters_only_where_it_is_read() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    testkit::init();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appsettings.json");
    fs::write(&file, format!("{{ {APP} }}")).unwrap();
    let build = |name: &str| {
        let odd = OsString::from_vec(b"\xff".to_vec());
        let factory = TokenAcquirerFactory::builder().file(&file).environment([(name, odd)]).build().unwrap();
        factory.token_acquirer().map(drop)
    };
    build("Else__Where").unwrap();
    assert_eq!(
        build("AzureAd__TenantId").unwrap_err().to_string(),
        "environment variable AzureAd__TenantId: AzureAd:TenantId is not Unicode text: what belongs there is the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com"
    );
}

#[test]
fn without_any_file_the_error_says_where_it_looked() {
    testkit::init();
    // the folder of this crate holds no appsettings.json, nor does the one of its test programs
    let factory = TokenAcquirerFactory::builder().environment(NO_VARIABLES).build().unwrap();
    let error = factory.token_acquirer().unwrap_err().to_string();
    let want =
        "there is no section AzureAd, nor an environment variable AzureAd__…; no file appsettings.json; no file /";
    assert!(error.starts_with(want), "{error}");
}

#[test]
fn if_no_credential_can_be_used_each_says_why() {
    testkit::init();
    let app = format!(
        "{},\n{}",
        r#""TenantId": "contoso.com", "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444""#,
        r#""ClientCredentials": [
            { "SourceType": "KeyVault" },
            { "SourceType": "Path", "CertificateDiskPath": "none.pfx", "CertificatePassword": "c4n4ry" },
            { "SourceType": "Base64Encoded", "Base64EncodedValue": "bm9uZQ==" } ]"#
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appsettings.json");
    fs::write(&file, with_app(&app)).unwrap();
    let factory = TokenAcquirerFactory::builder().file(&file).environment(NO_VARIABLES).build().unwrap();
    let error = factory.token_acquirer().unwrap_err();
    testkit::witness_error(&error);
    let text = error.to_string().replace(&format!("{}/", folder.path().display()), "");
    for part in [
        "appsettings.json:1: AzureAd has no credential that can be used: ",
        "appsettings.json:3: AzureAd:ClientCredentials:0:SourceType is KeyVault, which is not supported",
        "; appsettings.json:4: AzureAd:ClientCredentials:1 cannot be used: the certificate file none.pfx cannot be read: No such file or directory",
        "; appsettings.json:5: AzureAd:ClientCredentials:2 cannot be used: the PFX cannot be used: ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
