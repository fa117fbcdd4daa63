//! Every managed-identity source in its own dialect, over HTTP, against servers that take nothing else.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "at_entra/managed_identity.rs"]
mod at_entra;
mod stub;

use std::sync::Arc;
use std::time::Duration;

use apptoken::clock::{Clock, ManualClock};
use apptoken::{
    AcquiredFrom, Environment, ErrorKind, ManagedIdentityClient, ManagedIdentityClientBuilder, ManagedIdentitySource,
    RefreshReason, UserAssignedId,
};
use axum::body::Body;
use http::Response;
use serde_json::json;
use stub::imds::{GUID, IMDS_HOST, Machine, VAULT, bad_request, grant, imds, platform_secret};
use stub::{Stub, json};
use testkit::CANARY;

fn user(kind: fn(String) -> UserAssignedId) -> ManagedIdentityClientBuilder {
    ManagedIdentityClient::user_assigned(kind(GUID.to_owned()))
}

#[test]
fn the_environment_tells_the_source() {
    let (url, tls) = ("http://127.0.0.1:1/token", "https://localhost:1/token");
    let thumbprint = "00112233445566778899aabbccddeeff00112233";
    for (variables, source) in [
        (vec![], ManagedIdentitySource::Imds),
        (vec![("IDENTITY_ENDPOINT", url)], ManagedIdentitySource::Imds),
        (vec![("IDENTITY_ENDPOINT", ""), ("IDENTITY_HEADER", "x")], ManagedIdentitySource::Imds),
        (vec![("MSI_SECRET", "x")], ManagedIdentitySource::Imds),
        (vec![("IDENTITY_ENDPOINT", url), ("IMDS_ENDPOINT", url)], ManagedIdentitySource::AzureArc),
        (vec![("MSI_ENDPOINT", url)], ManagedIdentitySource::CloudShell),
        (
            vec![("MSI_ENDPOINT", url), ("IDENTITY_ENDPOINT", url), ("IMDS_ENDPOINT", url)],
            ManagedIdentitySource::CloudShell,
        ),
        (vec![("MSI_ENDPOINT", url), ("MSI_SECRET", "x")], ManagedIdentitySource::MachineLearning),
        (vec![("IDENTITY_ENDPOINT", url), ("IDENTITY_HEADER", "x")], ManagedIdentitySource::AppService),
        (
            vec![("IDENTITY_ENDPOINT", url), ("IDENTITY_HEADER", "x"), ("MSI_ENDPOINT", url), ("MSI_SECRET", "x")],
            ManagedIdentitySource::AppService,
        ),
        (
            vec![("IDENTITY_ENDPOINT", tls), ("IDENTITY_HEADER", "x"), ("IDENTITY_SERVER_THUMBPRINT", thumbprint)],
            ManagedIdentitySource::ServiceFabric,
        ),
    ] {
        let environment = Environment::from_iter(variables.clone()).root("/nowhere");
        let client = ManagedIdentityClient::system_assigned().environment(environment).build().unwrap();
        assert_eq!(client.source(), source, "{variables:?}");
    }
    // the agent's program tells Arc, without any variable
    let machine = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(machine.path().join("opt/azcmagent/bin")).unwrap();
    std::fs::write(machine.path().join("opt/azcmagent/bin/himds"), "").unwrap();
    let environment = Environment::from_iter([("X", "")]).root(machine.path());
    let client = ManagedIdentityClient::system_assigned().environment(environment).build().unwrap();
    assert_eq!(client.source(), ManagedIdentitySource::AzureArc);
}

#[test]
fn a_malformed_platform_is_refused_before_anything_is_sent() {
    let header = platform_secret();
    for (variables, words) in [
        (
            vec![("IDENTITY_ENDPOINT", "not a url"), ("IDENTITY_HEADER", header.as_str())],
            "IDENTITY_ENDPOINT is not a URL",
        ),
        (vec![("MSI_ENDPOINT", "http://example.com/token")], "MSI_ENDPOINT is plain http"),
        (vec![(IMDS_HOST, "ftp://127.0.0.1")], "neither http nor https"),
        (vec![(IMDS_HOST, "http://user:c4n4ry@127.0.0.1")], "user name or password"),
        (
            vec![
                ("IDENTITY_ENDPOINT", "http://127.0.0.1:1"),
                ("IDENTITY_HEADER", header.as_str()),
                ("IDENTITY_SERVER_THUMBPRINT", "00112233445566778899aabbccddeeff00112233"),
            ],
            "is not https",
        ),
        (
            vec![
                ("IDENTITY_ENDPOINT", "https://127.0.0.1:1"),
                ("IDENTITY_HEADER", header.as_str()),
                ("IDENTITY_SERVER_THUMBPRINT", "xyz"),
            ],
            "not a thumbprint",
        ),
    ] {
        let environment = Environment::from_iter(variables).root("/nowhere");
        testkit::witness(&environment);
        let error = ManagedIdentityClient::system_assigned().environment(environment).build().unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_token_is_kept_like_any_other() {
    let machine = Machine::with_imds(imds).await;
    let client = machine.client();
    let first = client.acquire_token("https://vault.azure.net/.default").await.unwrap();
    let again = client.acquire_token([VAULT]).await.unwrap();
    let third = client.token_source("https://vault.azure.net/.default").unwrap().token().await.unwrap();
    assert_eq!((first.secret(), again.secret(), third.secret()), ("imds-0", "imds-0", "imds-0"));
    assert_eq!((machine.stub.requests(), client.cached_tokens()), (1, 1));
    assert_eq!((first.scopes(), first.tenant_id()), (VAULT, "managed_identity"));
    assert_eq!(first.metadata().source, AcquiredFrom::Authority);
    assert_eq!(first.metadata().token_endpoint, machine.stub.url("/metadata/identity/oauth2/token"));
    assert_eq!(again.metadata().source, AcquiredFrom::Cache);
    let life = first.expires_on().duration_since(machine.clock.system_time()).unwrap();
    assert!((3595..=3605).contains(&life.as_secs()), "{life:?}");
    testkit::witness(&client);

    let id = uuid::Uuid::new_v4();
    let forced = client.acquire_token(VAULT).force_refresh(true).correlation_id(id).await.unwrap();
    assert_eq!((forced.secret(), forced.correlation_id()), ("imds-1", id));
    assert_eq!(machine.stub.last().header("x-ms-client-request-id"), Some(id.to_string().as_str()));
    let challenged = client.acquire_token(VAULT).claims(r#"{"access_token":{}}"#).await.unwrap();
    assert_eq!(challenged.secret(), "imds-2");
    assert_eq!(challenged.metadata().refresh_reason, RefreshReason::ForceRefreshOrClaims);
    assert_eq!(client.acquire_token(VAULT).await.unwrap().secret(), "imds-2");

    machine.clock.advance(Duration::from_secs(3400));
    assert_eq!(client.acquire_token(VAULT).await.unwrap().secret(), "imds-3");
}

#[tokio::test]
async fn many_callers_are_one_request() {
    let machine = Machine::with_imds(imds).await;
    let client = machine.client();
    let calls = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token(VAULT).await.unwrap().secret().to_owned() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), "imds-0");
    }
    assert_eq!(machine.stub.requests(), 1);
}

#[tokio::test]
async fn one_resource_is_asked_for() {
    let machine = Machine::with_imds(imds).await;
    let client = machine.client();
    for scope in ["", "/.default", "https://vault.azure.net https://graph.microsoft.com", " x", "x\n"] {
        let error = client.acquire_token(scope).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{scope:?}");
        assert!(client.token_source(scope).is_err());
    }
    assert_eq!((machine.stub.requests(), client.cached_tokens()), (0, 0));
}

#[tokio::test]
async fn a_user_assigned_identity_is_named_as_each_source_wants_it() {
    let header = platform_secret();
    for (variables, path, fields) in [
        (vec![], "/metadata/identity/oauth2/token", ["client_id", "object_id", "msi_res_id"]),
        (vec![("IDENTITY_HEADER", header.as_str())], "/msi/token", ["client_id", "object_id", "mi_res_id"]),
        (vec![("MSI_SECRET", header.as_str())], "/msi/token", ["clientid", "", ""]),
    ] {
        let stub = Stub::start(|_| grant("user")).await;
        let (base, endpoint) = (stub.url(""), stub.url("/msi/token"));
        let variables = variables.into_iter().chain([(IMDS_HOST, base.as_str())]).chain(match fields[0] {
            "clientid" => [("MSI_ENDPOINT", endpoint.as_str())],
            _ => [("IDENTITY_ENDPOINT", endpoint.as_str())],
        });
        let environment = Environment::from_iter(variables).root("/nowhere");
        let kinds: [fn(String) -> UserAssignedId; 3] =
            [UserAssignedId::Client, UserAssignedId::Object, UserAssignedId::Resource];
        for (kind, field) in kinds.into_iter().zip(fields) {
            let built = user(kind).environment(environment.clone()).build();
            if field.is_empty() {
                let error = built.unwrap_err();
                assert!(error.to_string().contains("Machine Learning does not know"), "{error}");
                assert!(error.advice().unwrap().contains("client id"), "{error:?}");
                continue;
            }
            built.unwrap().acquire_token(VAULT).await.unwrap();
            let seen = stub.last();
            assert_eq!((seen.path.as_str(), seen.query(field)), (path, Some(GUID)));
            assert_eq!(seen.query.len(), 3, "{:?}", seen.query);
        }
    }
}

#[test]
fn an_identity_that_the_source_cannot_name_is_refused() {
    let url = "http://127.0.0.1:1";
    let fabric = vec![
        ("IDENTITY_ENDPOINT", "https://localhost:1"),
        ("IDENTITY_HEADER", "x"),
        ("IDENTITY_SERVER_THUMBPRINT", "00112233445566778899aabbccddeeff00112233"),
    ];
    for (variables, kind, words) in [
        (
            vec![("MSI_ENDPOINT", url)],
            UserAssignedId::Client as fn(String) -> UserAssignedId,
            "Cloud Shell has no user-assigned",
        ),
        (
            vec![("IDENTITY_ENDPOINT", url), ("IMDS_ENDPOINT", url)],
            UserAssignedId::Object,
            "Azure Arc has no user-assigned",
        ),
        (fabric, UserAssignedId::Client, "Service Fabric does not know"),
    ] {
        let environment = Environment::from_iter(variables).root("/nowhere");
        let error = user(kind).environment(environment).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(words) && error.advice().is_some(), "{error:?}");
    }
    let empty = ManagedIdentityClient::user_assigned(UserAssignedId::Client(" ".to_owned()));
    let error = empty.environment(Environment::from_iter([("X", "")]).root("/nowhere")).build().unwrap_err();
    assert!(error.to_string().contains("client id of the user-assigned identity is empty"), "{error}");
}

#[tokio::test]
async fn app_service_wants_its_header() {
    let stub = Stub::start(|request| {
        let right = request.method == "GET"
            && request.path == "/msi/token"
            && request.query("api-version") == Some("2019-08-01")
            && request.query("resource") == Some(VAULT);
        match request.header("x-identity-header") {
            Some(secret) if secret == platform_secret() && right => grant("app-service"),
            // as a server that tells too much
            Some(secret) => json(401, &json!({ "statusCode": 401, "message": format!("{secret} is wrong") })),
            None => json(400, &json!({ "statusCode": 400, "message": "no header" })),
        }
    })
    .await;
    let client = |secret: String| {
        let environment =
            Environment::from_iter([("IDENTITY_ENDPOINT", stub.url("/msi/token")), ("IDENTITY_HEADER", secret)]);
        ManagedIdentityClient::system_assigned().environment(environment).build().unwrap()
    };
    assert_eq!(client(platform_secret()).acquire_token(VAULT).await.unwrap().secret(), "app-service");
    let error = client(format!("{CANARY}-stale")).acquire_token(VAULT).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(
        error
            .to_string()
            .contains("App Service refused a token for the system-assigned identity (HTTP 401): [redacted] is wrong"),
        "{error}"
    );
    assert!(error.advice().unwrap().contains("restart"), "{error:?}");
    assert_eq!(stub.requests(), 2);
}

#[tokio::test]
async fn machine_learning_wants_its_secret() {
    let stub = Stub::start(|request| {
        let right = request.method == "GET"
            && request.header("secret") == Some(&platform_secret())
            && request.header("metadata") == Some("true")
            && request.query("api-version") == Some("2017-09-01")
            && request.query("resource") == Some(VAULT);
        if right { grant(request.query("clientid").unwrap_or("none")) } else { bad_request("secret, Metadata") }
    })
    .await;
    let token = async |extra: Option<(&str, &str)>| {
        let endpoint = stub.url("/MSI/auth");
        let secret = platform_secret();
        let variables = [("MSI_ENDPOINT", endpoint.as_str()), ("MSI_SECRET", secret.as_str())];
        let environment = Environment::from_iter(variables.into_iter().chain(extra));
        let client = ManagedIdentityClient::system_assigned().environment(environment).build().unwrap();
        client.acquire_token(VAULT).await.unwrap().secret().to_owned()
    };
    assert_eq!(token(None).await, "none");
    assert_eq!(token(Some(("DEFAULT_IDENTITY_CLIENT_ID", GUID))).await, GUID);
}

#[tokio::test]
async fn cloud_shell_wants_a_form() {
    let stub = Stub::start(|request| {
        let right = request.method == "POST"
            && request.header("metadata") == Some("true")
            && request.header("content-type") == Some("application/x-www-form-urlencoded")
            && request.query.is_empty()
            && request.form("resource").as_deref() == Some(VAULT);
        if right { grant("cloud-shell") } else { bad_request("form") }
    })
    .await;
    let environment = Environment::from_iter([("MSI_ENDPOINT", stub.url("/oauth2/token"))]);
    let client = ManagedIdentityClient::system_assigned().environment(environment).build().unwrap();
    assert_eq!(client.acquire_token(VAULT).await.unwrap().secret(), "cloud-shell");
}

#[tokio::test]
async fn service_fabrics_server_is_known_by_its_thumbprint() {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

    let now = ManualClock::default().system_time();
    let leaf =
        apptoken_jose::issue::Ca::generate("Nobody's CA", now).unwrap().server_leaf(&["elsewhere"], now).unwrap();
    let shown = apptoken_jose::Certificate::from_der(leaf.chain[0].clone()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key_pkcs8_der.to_vec()));
    let chain = vec![CertificateDer::from(leaf.chain[0].clone())];
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let stub = Stub::start_tls(TlsAcceptor::from(Arc::new(config)), |request| {
        let right = request.method == "GET"
            && request.header("secret") == Some(&platform_secret())
            && request.query("api-version") == Some("2020-05-01")
            && request.query("resource") == Some(VAULT);
        if right {
            grant(&format!("fabric-{}", request.number))
        } else {
            json(404, &json!({ "error": { "code": "SecretHeaderNotFound" } }))
        }
    })
    .await;
    let client = |builder: ManagedIdentityClientBuilder, thumbprint: String| {
        let environment = Environment::from_iter([
            ("IDENTITY_ENDPOINT", stub.url("/metadata/identity/oauth2/token")),
            ("IDENTITY_HEADER", platform_secret()),
            ("IDENTITY_SERVER_THUMBPRINT", thumbprint),
        ]);
        builder.environment(environment).build().unwrap()
    };
    let system = || ManagedIdentityClient::system_assigned();

    let fabric = client(system(), shown.thumbprint_hex().to_lowercase());
    assert_eq!(fabric.acquire_token(VAULT).await.unwrap().secret(), "fabric-0");
    assert_eq!(stub.last().query("token_sha256_to_refresh"), None);
    // claims tell the source which token an API has turned down; forcing a refresh tells nothing
    fabric.acquire_token(VAULT).claims("{}").await.unwrap();
    let of_fabric_0 = "e807382e9d3927470cac08d95a1fdd9d9bc387cb3ba76cf89f0c43aa65edf95e";
    assert_eq!(stub.last().query("token_sha256_to_refresh"), Some(of_fabric_0));
    fabric.acquire_token(VAULT).claims("{}").force_refresh(true).await.unwrap();
    assert_eq!(stub.last().query("token_sha256_to_refresh"), None);

    let long = shown.thumbprint_sha256().iter().map(|byte| format!("{byte:02X}")).collect();
    client(user(UserAssignedId::Object), long).acquire_token(VAULT).await.unwrap();
    assert_eq!(stub.last().query("principalId"), Some(GUID));

    let before = stub.requests();
    let error = client(system(), "00".repeat(20)).acquire_token(VAULT).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((error.kind(), error.is_transient(), stub.requests()), (ErrorKind::Transport, false, before));
    assert!(error.advice().unwrap().contains("thumbprint"), "{error:?}");

    // elsewhere no thumbprint was announced
    let service =
        Environment::from_iter([("IDENTITY_ENDPOINT", stub.url("/msi/token")), ("IDENTITY_HEADER", platform_secret())]);
    let service = system().environment(service).build().unwrap();
    let error = service.acquire_token(VAULT).await.unwrap_err();
    testkit::witness_error(&error);
    let advice = error.advice().unwrap();
    assert!(advice.contains("no CA is trusted") && !advice.contains("thumbprint"), "{error:?}");
    assert_eq!(stub.requests(), before);
}

/// A machine with Arc's agent, whose challenge names `realm` below the machine's root.
async fn arc(root: &std::path::Path, challenge: Option<String>) -> (Stub, ManagedIdentityClient) {
    let stub = Stub::start(move |request| {
        let right = request.method == "GET"
            && request.header("metadata") == Some("true")
            && request.query("api-version") == Some("2020-06-01")
            && request.query("resource") == Some(VAULT)
            && request.query.len() == 2;
        match request.header("authorization") {
            _ if !right => bad_request("Metadata"),
            Some(basic) if basic == format!("Basic {}", platform_secret()) => grant("arc"),
            Some(_) => json(403, &json!({ "error": "unauthorized_client" })),
            None => {
                let answer = Response::builder().status(401);
                let answer = match &challenge {
                    Some(challenge) => answer.header("www-authenticate", challenge),
                    None => answer,
                };
                answer.body(Body::empty()).unwrap()
            }
        }
    })
    .await;
    let environment = Environment::from_iter([
        ("IDENTITY_ENDPOINT", stub.url("/metadata/identity/oauth2/token")),
        ("IMDS_ENDPOINT", stub.url("")),
    ]);
    let client = ManagedIdentityClient::system_assigned().environment(environment.root(root)).build().unwrap();
    (stub, client)
}

#[tokio::test]
async fn arc_is_answered_with_the_file_that_it_names() {
    let machine = tempfile::tempdir().unwrap();
    let tokens = machine.path().join("var/opt/azcmagent/tokens");
    std::fs::create_dir_all(tokens.join("deeper")).unwrap();
    let key = tokens.join("1.key");
    std::fs::write(&key, format!("{}\n", platform_secret())).unwrap();
    for quote in ["", "\""] {
        let (stub, client) = arc(machine.path(), Some(format!("Basic realm={quote}{}{quote}", key.display()))).await;
        assert_eq!(client.acquire_token(VAULT).await.unwrap().secret(), "arc");
        assert_eq!(stub.requests(), 2);
    }

    let outside = machine.path().join("shadow.key");
    std::fs::write(&outside, "c4n4ry-of-another-program").unwrap();
    std::fs::write(tokens.join("deeper/2.key"), "c4n4ry").unwrap();
    std::fs::write(tokens.join("2.txt"), "c4n4ry").unwrap();
    std::fs::write(tokens.join("large.key"), "c4n4ry".repeat(1000)).unwrap();
    std::fs::write(tokens.join("lines.key"), "c4n4ry\nx: y").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, tokens.join("link.key")).unwrap();
    let file = |path: &str| Some(format!("Basic realm={}", tokens.join(path).display()));
    for (challenge, kind, words) in [
        (None, ErrorKind::Protocol, "without a WWW-Authenticate"),
        (Some("Bearer realm=x".to_owned()), ErrorKind::Protocol, "not of the form"),
        (Some(format!("Basic realm={}", outside.display())), ErrorKind::Protocol, "which is not in"),
        (file("../../../../shadow.key"), ErrorKind::Protocol, "which is not in"),
        (file("deeper/2.key"), ErrorKind::Protocol, "which is not in"),
        (file("2.txt"), ErrorKind::Protocol, "not a .key file"),
        (file("large.key"), ErrorKind::Protocol, "longer than 4096 bytes"),
        (file("lines.key"), ErrorKind::Protocol, "a header cannot have"),
        #[cfg(unix)]
        (file("link.key"), ErrorKind::Protocol, "leads out of"),
        (file("none.key"), ErrorKind::Credential, "cannot be read"),
    ] {
        let (stub, client) = arc(machine.path(), challenge.clone()).await;
        let error = client.acquire_token(VAULT).await.unwrap_err();
        testkit::witness_error(&error);
        assert_eq!((error.kind(), stub.requests()), (kind, 1), "{challenge:?}");
        assert!(error.to_string().contains(words), "{challenge:?}: {error}");
    }
    // a key that the agent does not take
    std::fs::write(&key, "c4n4ry-wrong").unwrap();
    let (stub, client) = arc(machine.path(), file("1.key")).await;
    let error = client.acquire_token(VAULT).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((error.kind(), stub.requests()), (ErrorKind::Denied, 2));
    assert!(error.advice().unwrap().contains("azcmagent"), "{error:?}");
}
