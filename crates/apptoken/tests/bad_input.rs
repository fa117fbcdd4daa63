//! Wrong input: each kind has an error that names it and the next step, and nothing is sent.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use apptoken::clock::ManualClock;
use apptoken::http::{Request, Response, Transport, TransportError, TransportErrorKind};
use apptoken::{Certificate, ConfidentialClient, ConfidentialClientBuilder, Error, ErrorKind, SecretString};
use testkit::keys;

/// Counts what would have been sent.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Transport for Counting {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(TransportError::new(TransportErrorKind::Setup, "nothing may be sent here"))
    }
}

fn good() -> ConfidentialClientBuilder {
    ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444").tenant("contoso.onmicrosoft.com")
}

fn secret() -> ConfidentialClientBuilder {
    good().client_secret(format!("{}-secret", testkit::CANARY))
}

fn pfx(file: &[u8], password: &str) -> Result<Certificate, Error> {
    Certificate::from_pfx(file, &SecretString::from(password))
}

#[track_caller]
fn says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    testkit::witness_error(error);
    let whole = format!("{error} / {}", error.advice().unwrap_or_default());
    assert_eq!(error.kind(), kind, "{whole}");
    assert_eq!(testkit::leak(&whole), None);
    for part in parts {
        assert!(whole.contains(part), "{part:?} is not in {whole:?}");
    }
    assert!(!error.is_transient());
}

#[tokio::test]
async fn wrong_scopes_and_tenants_of_a_call() {
    testkit::init();
    use ErrorKind::Configuration;
    let sent = Counting::default();
    let client = secret().transport(sent.clone()).build().unwrap();
    let none: [&str; 0] = [];
    for (scopes, parts) in [
        (&none[..], &["no scope was given", "https://graph.microsoft.com/.default"][..]),
        (&[""], &["no scope was given"]),
        (
            &["https://graph.microsoft.com/.default", "https://vault.azure.net/.default"],
            &["2 scopes were given", "one resource", "at a time"],
        ),
        (&["https://graph.microsoft.com/.default https://vault.azure.net/.default"], &["2 scopes were given"]),
        (
            &["https://graph.microsoft.com/User.Read.All"],
            &["User.Read.All does not end in /.default", "ask for https://graph.microsoft.com/.default"],
        ),
        (&["api://todolist"], &["ask for api://todolist/.default"]),
        (&[" https://graph.microsoft.com/.default"], &["a space before or after it"]),
        (&["https://graph.microsoft.com/.default\n"], &["a character that no scope can have", r"'\n'"]),
    ] {
        let error = client.acquire_token_for_client(scopes).await.unwrap_err();
        says(&error, Configuration, parts);
        assert!(client.token_source(scopes).is_err());
    }
    const SCOPE: &str = "https://graph.microsoft.com/.default";
    for (tenant, part) in [
        ("common", "stands for many tenants"),
        ("Organizations", "stands for many tenants"),
        ("consumers", "stands for many tenants"),
        ("", "the tenant is empty"),
        ("undefined", "neither a GUID nor a domain name"),
        ("contoso.com/../fabrikam.com", "neither a GUID nor a domain name"),
    ] {
        says(&client.acquire_token_for_client(SCOPE).tenant(tenant).await.unwrap_err(), Configuration, &[part]);
    }
    for claims in ["", "{", "[]", "eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="] {
        let error = client.acquire_token_for_client(SCOPE).claims(claims).await.unwrap_err();
        says(&error, Configuration, &["the claims are not a JSON object", "decoded"]);
    }
    assert_eq!(sent.0.load(Ordering::SeqCst), 0);
    assert_eq!(client.cached_tokens(), 0);
}

#[test]
fn wrong_settings_of_a_client() {
    use ErrorKind::{Configuration, Credential};
    testkit::init();
    for (builder, kind, parts) in [
        (
            secret().tenant("common"),
            Configuration,
            &["\"common\" stands for many tenants", "contoso.onmicrosoft.com"][..],
        ),
        (secret().tenant("00000000-0000-0000-0000"), Configuration, &["neither a GUID nor a domain name"]),
        (
            secret().authority("https://login.microsoftonline.com/organizations").tenant("organizations"),
            Configuration,
            &["stands for many tenants"],
        ),
        (secret().authority("http://login.microsoftonline.com"), Configuration, &["is plain http", "write https"]),
        (
            secret().authority("http://login.microsoftonline.com").allow_http_loopback(true),
            Configuration,
            &["is plain http", "write https"],
        ),
        (secret().authority("http://localhost:8080"), Configuration, &["is plain http", "allow_http_loopback"]),
        (
            secret().authority("http://localhost.evil.example").allow_http_loopback(true),
            Configuration,
            &["is plain http"],
        ),
        (
            secret().authority("login.microsoftonline.com"),
            Configuration,
            &["is not a URL", "https://login.microsoftonline.com/<tenant id>"],
        ),
        (secret().authority("ftp://login.microsoftonline.com"), Configuration, &["neither https nor http"]),
        (
            secret().authority("https://login.microsoftonline.com/a/b/c"),
            Configuration,
            &["more than a tenant in its path"],
        ),
        (secret().authority("https://login.microsoftonline.com/?a=b"), Configuration, &["query or fragment"]),
        (
            secret().authority("https://user:c4n4ry@login.microsoftonline.com"),
            Configuration,
            &["holds a user name or password"],
        ),
        (secret().authority("http://user:c4n4ry@localhost"), Configuration, &["holds a user name or password"]),
        (secret().authority("https://user:c4n4ry@host:port"), Configuration, &["holds a user name or password"]),
        (secret().authority(""), Configuration, &["is not a URL"]),
        (
            ConfidentialClient::builder("").tenant("contoso.com").client_secret("s"),
            Configuration,
            &["client id is empty", "Application (client) ID"],
        ),
        (ConfidentialClient::builder("id").client_secret("s"), Configuration, &["no tenant was given"]),
        (good(), Credential, &["no credential was given", "client_secret"]),
        (good().client_secret(""), Credential, &["the client secret is empty", "environment variable"]),
        (good().client_secret(" \n"), Credential, &["the client secret is empty"]),
        (secret().client_secret("another"), Credential, &["more than one credential"]),
        (secret().add_root_certificate_pem("no PEM"), Configuration, &["root certificate"]),
    ] {
        testkit::witness(&builder);
        says(&builder.build().unwrap_err(), kind, parts);
    }
}

#[test]
fn wrong_certificates() {
    testkit::init();
    let pem = |certificate, key, password: Option<&str>| {
        let password = password.map(SecretString::from);
        Certificate::from_pem(certificate, key, password.as_ref())
    };
    for (certificate, parts) in [
        (pfx(keys::PFX, "c4n4ry-wrong"), &["the PFX cannot be used: the password does not open it"][..]),
        (pfx(keys::PFX_LEGACY, "c4n4ry-wrong"), &["the password does not open it"]),
        (pfx(keys::PFX_NO_KEY, keys::PFX_PASSWORD), &["no private key in it", "together with its key"]),
        (pfx(keys::PFX_EC, keys::PFX_PASSWORD), &["not an RSA key"]),
        (pfx(b"", ""), &["not a readable PFX"]),
        (pem(keys::CERTIFICATE, keys::CERTIFICATE, None), &["the key's PEM text", "no private key in it"]),
        (pem(keys::PKCS8, keys::PKCS8, None), &["the certificate's PEM text", "no certificate in it"]),
        (pem(keys::EC_CERTIFICATE, keys::EC_KEY, None), &["not an RSA key"]),
        (pem(keys::SMALL_CERTIFICATE, keys::SMALL_KEY, None), &["1024 bits", "2048"]),
        (pem(keys::CERTIFICATE, keys::OTHER_KEY, None), &["not the one of the certificate", "same export"]),
        (pem(keys::CERTIFICATE, keys::ENCRYPTED, None), &["is encrypted: give its password"]),
        (pem(keys::CERTIFICATE, keys::ENCRYPTED, Some("c4n4ry-wrong")), &["the password does not open it"]),
        (pem(keys::CERTIFICATE, keys::ENCRYPTED_PBES1, Some(keys::KEY_PASSWORD)), &["openssl pkcs8 -topk8"]),
        (
            Certificate::from_pfx_file("/no/such/daemon.pfx", &SecretString::from("")),
            &["/no/such/daemon.pfx", "cannot be read"],
        ),
    ] {
        says(&certificate.unwrap_err(), ErrorKind::Credential, parts);
    }
}

#[test]
fn a_certificate_outside_its_validity() {
    testkit::init();
    let certificate = pfx(keys::PFX, keys::PFX_PASSWORD).unwrap();
    testkit::witness(&certificate);
    for (unix, part) in [(1_000_000_000, "is not valid before"), (9_000_000_000, "expired on")] {
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(unix)));
        let error = good().certificate(certificate.clone()).clock(clock).build().unwrap_err();
        says(&error, ErrorKind::Credential, &[part, &certificate.thumbprint(), "CN=daemon", "clock right"]);
    }
}

#[tokio::test]
async fn an_assertion_callback_that_fails() {
    testkit::init();
    let sent = Counting::default();
    let scope = "https://graph.microsoft.com/.default";
    let client = |answer: Result<&'static str, &'static str>| {
        let client = good().client_assertion(move |_| async move { answer }).transport(sent.clone());
        client.build().unwrap()
    };
    let error = client(Err("the token file is gone")).acquire_token_for_client(scope).await.unwrap_err();
    says(&error, ErrorKind::Credential, &["the client assertion callback failed"]);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the token file is gone");
    let own = || async { Err::<&str, _>(Error::credential("the key vault is locked")) };
    let own = good().client_assertion(move |_| own()).transport(sent.clone()).build().unwrap();
    says(&own.acquire_token_for_client(scope).await.unwrap_err(), ErrorKind::Credential, &["the key vault is locked"]);
    let error = client(Ok(" ")).acquire_token_for_client(scope).await.unwrap_err();
    says(&error, ErrorKind::Credential, &["empty assertion"]);
    let missing = good().federated_token_file("/no/such/token").transport(sent.clone()).build().unwrap();
    let error = missing.acquire_token_for_client(scope).await.unwrap_err();
    says(&error, ErrorKind::Credential, &["the federated token file /no/such/token cannot be opened", "projected"]);
    assert_eq!(sent.0.load(Ordering::SeqCst), 0);
}
