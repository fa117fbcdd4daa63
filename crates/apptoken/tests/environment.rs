//! What the environment gives: which credential is chosen, why, and that it works.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;
mod stub;

use apptoken::{
    AnyClient, ConfidentialClientBuilder, Environment, EnvironmentClient, EnvironmentCredential, ErrorKind,
    ManagedIdentitySource,
};
use common::{CONTOSO, DAEMON, TODO, World};
use serde_json::json;
use stub::{Stub, json};
use testkit::{CANARY, keys};

const SECRET: (&str, &str) = ("AZURE_CLIENT_SECRET", "c4n4ry-daemon secret+/&~é");
const ID: (&str, &str) = ("AZURE_CLIENT_ID", DAEMON);
const TENANT: (&str, &str) = ("AZURE_TENANT_ID", CONTOSO);
const FILE: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/token");
const MSI: (&str, &str) = ("MSI_ENDPOINT", "http://127.0.0.1:1/oauth2/token");

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect::<Environment>().root("/nowhere")
}

#[test]
fn the_first_complete_credential_is_chosen() {
    testkit::init();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("daemon.pem");
    std::fs::write(&pem, [keys::CERTIFICATE, keys::PKCS8].concat()).unwrap();
    let certificate = ("AZURE_CLIENT_CERTIFICATE_PATH", pem.to_str().unwrap());
    for (variables, chosen, passed_over) in [
        (
            vec![SECRET, ID, TENANT, FILE, certificate],
            EnvironmentCredential::ClientSecret,
            "client certificate (the client secret comes first)",
        ),
        (
            vec![certificate, ID, TENANT, FILE],
            EnvironmentCredential::ClientCertificate,
            "client secret (AZURE_CLIENT_SECRET is not set)",
        ),
        (
            vec![FILE, ID, TENANT],
            EnvironmentCredential::WorkloadIdentity,
            "client certificate (AZURE_CLIENT_CERTIFICATE_PATH is not set)",
        ),
        (vec![SECRET, ID], EnvironmentCredential::ManagedIdentity, "client secret (AZURE_TENANT_ID is not set)"),
        (
            vec![SECRET],
            EnvironmentCredential::ManagedIdentity,
            "client secret (AZURE_CLIENT_ID and AZURE_TENANT_ID are not set)",
        ),
        (
            vec![("AZURE_CLIENT_SECRET", ""), ID, TENANT, FILE],
            EnvironmentCredential::WorkloadIdentity,
            "client secret (AZURE_CLIENT_SECRET is not set)",
        ),
        (
            vec![],
            EnvironmentCredential::ManagedIdentity,
            "workload identity (AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID and AZURE_TENANT_ID are not set)",
        ),
    ] {
        let client = EnvironmentClient::builder().environment(environment(&variables)).build().unwrap();
        testkit::witness(&client);
        let selection = client.selection();
        assert_eq!(selection.chosen, chosen, "{variables:?}");
        assert_eq!(selection.passed_over.len(), 3);
        let told = selection.to_string();
        assert!(told.starts_with(&format!("chosen: {chosen} (")), "{told}");
        assert!(told.contains(&format!("\npassed over: {passed_over}")), "{told}");
        assert!(!told.contains(CANARY), "{told}");
    }
}

#[test]
fn the_managed_identity_is_told_with_its_source() {
    let build = |variables: &[(&str, &str)]| EnvironmentClient::builder().environment(environment(variables)).build();
    let client = build(&[MSI]).unwrap();
    let AnyClient::ManagedIdentity(identity) = client.client() else { panic!("{client:?}") };
    assert_eq!(identity.source(), ManagedIdentitySource::CloudShell);
    assert_eq!(client.selection().reason, "system-assigned; from Cloud Shell, as its variables are set");
    let client = build(&[ID]).unwrap();
    assert_eq!(
        client.selection().reason,
        "user-assigned, as AZURE_CLIENT_ID is set; from IMDS, as no variable speaks of another source"
    );
    let error = build(&[MSI, ID]).unwrap_err();
    assert!(error.to_string().contains("no user-assigned identities"), "{error}");
}

#[test]
fn a_complete_credential_that_cannot_be_used_is_an_error() {
    testkit::init();
    let folder = tempfile::tempdir().unwrap();
    let pfx = folder.path().join("daemon.certificate");
    std::fs::write(&pfx, keys::PFX).unwrap();
    let pfx = ("AZURE_CLIENT_CERTIFICATE_PATH", pfx.to_str().unwrap());
    let build = |variables: &[(&str, &str)]| EnvironmentClient::builder().environment(environment(variables)).build();
    let right = ("AZURE_CLIENT_CERTIFICATE_PASSWORD", keys::PFX_PASSWORD);
    assert_eq!(build(&[pfx, right, ID, TENANT]).unwrap().selection().chosen, EnvironmentCredential::ClientCertificate);
    for variables in [
        vec![pfx, ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "c4n4ry-wrong"), ID, TENANT, FILE],
        vec![("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere/daemon.pem"), ID, TENANT, FILE],
    ] {
        let error = build(&variables).unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.kind(), ErrorKind::Credential);
    }
    let error = build(&[SECRET, ID, ("AZURE_TENANT_ID", "common")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test]
async fn an_app_in_the_environment_gets_its_token() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("daemon.pem");
    std::fs::write(&pem, [keys::CERTIFICATE, keys::PKCS8].concat()).unwrap();
    let host = format!("{}/", world.entra.authority());
    let cloud = ("AZURE_AUTHORITY_HOST", host.as_str());
    let ca = world.entra.ca_pem().to_owned();
    for credential in [SECRET, ("AZURE_CLIENT_CERTIFICATE_PATH", pem.to_str().unwrap())] {
        let ca = ca.clone();
        let client = EnvironmentClient::builder()
            .environment(environment(&[credential, ID, TENANT, cloud]))
            .confidential(move |builder: ConfidentialClientBuilder| builder.add_root_certificate_pem(ca))
            .build()
            .unwrap();
        let first = client.acquire_token(TODO).await.unwrap();
        let again = client.token_source(TODO).unwrap().token().await.unwrap();
        assert_eq!((first.secret(), first.tenant_id()), (again.secret(), CONTOSO));
        assert!(client.acquire_token("api://todolist").await.is_err(), "an app's scope ends in /.default");
    }
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn a_managed_identity_in_the_environment_gets_its_token() {
    let imds = Stub::start(|request| match (request.query("resource"), request.query("client_id")) {
        (Some("api://todolist"), Some(DAEMON)) => json(200, &json!({ "access_token": "msi", "expires_in": "3600" })),
        _ => json(400, &json!({ "error": "invalid_request" })),
    })
    .await;
    let base = imds.url("");
    let client = EnvironmentClient::builder()
        .environment(environment(&[ID, ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &base)]))
        .build()
        .unwrap();
    assert_eq!(client.acquire_token(TODO).await.unwrap().secret(), "msi");
}

#[tokio::test]
async fn where_there_is_nothing_the_error_tells_what_was_passed_over() {
    testkit::init();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    let client = EnvironmentClient::builder()
        .environment(environment(&[SECRET, ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &base)]))
        .managed_identity(|builder| builder.retry(false))
        .build()
        .unwrap();
    let error = client.acquire_token(TODO).await.unwrap_err();
    testkit::witness_error(&error);
    let advice = error.advice().unwrap();
    assert!(advice.contains("client secret (AZURE_CLIENT_ID and AZURE_TENANT_ID are not set)"), "{advice}");
}
