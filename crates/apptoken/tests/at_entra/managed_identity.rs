//! The sources against the local Entra ID's endpoints, which know nothing of this client: tokens that Entra signed, and
//! a refusal for each mistake.

use std::sync::Arc;

use apptoken::clock::ManualClock;
use apptoken::{
    AccessToken, Environment, ErrorKind, ManagedIdentityClient, ManagedIdentityClientBuilder, ManagedIdentitySource,
    UserAssignedId,
};
use apptoken_emulator::ManagedIdentitySource as Platform;
use apptoken_emulator::{Emulator, Seed};
use apptoken_jose::jws::Unverified;
use serde_json::{Value, json};

use super::stub::imds::VAULT;

const SYSTEM: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const USER: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const OBJECT: &str = "aaaaaaaa-0000-4000-8000-000000000003";
const RESOURCE: &str = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/d";

async fn machine(keys: Option<&std::path::Path>) -> Emulator {
    testkit::init();
    let seed = json!({
        "tenants": [{ "defaultDomain": "contoso.com" }],
        "managedIdentities": [
            { "displayName": "vm", "clientId": SYSTEM, "systemAssigned": true },
            { "displayName": "d", "clientId": USER, "principalId": OBJECT, "resourceId": RESOURCE },
        ],
    });
    let seed: Seed = serde_json::from_value(seed).unwrap();
    let builder = Emulator::builder().seed(seed).plain_http("127.0.0.1:0");
    let builder = match keys {
        Some(keys) => builder.arc_key_folder(keys),
        None => builder,
    };
    builder.start().await.unwrap()
}

fn environment(entra: &Emulator, platform: Platform) -> Environment {
    Environment::from_iter(entra.managed_identity_environment(platform)).root("/nowhere")
}

fn on(environment: Environment, client: ManagedIdentityClientBuilder) -> ManagedIdentityClient {
    let client = client.environment(environment).clock(Arc::new(ManualClock::default())).retry(false);
    client.build().unwrap()
}

/// The application that a token is for.
fn app(token: &AccessToken) -> Value {
    Unverified::parse(token.secret()).unwrap().claims()["appid"].clone()
}

#[tokio::test]
async fn every_source_gets_a_token_of_its_platform() {
    let entra = machine(None).await;
    for (platform, source) in [
        (Platform::AppService, ManagedIdentitySource::AppService),
        (Platform::CloudShell, ManagedIdentitySource::CloudShell),
        (Platform::Imds, ManagedIdentitySource::Imds),
        (Platform::MachineLearning, ManagedIdentitySource::MachineLearning),
        (Platform::ServiceFabric, ManagedIdentitySource::ServiceFabric),
    ] {
        let client = on(environment(&entra, platform), ManagedIdentityClient::system_assigned());
        assert_eq!(client.source(), source);
        testkit::witness(&client);
        let token = client.acquire_token(VAULT).await.unwrap();
        assert_eq!(app(&token), SYSTEM, "{source}");
        let error = client.acquire_token("https://nowhere.example").await.unwrap_err();
        testkit::witness_error(&error);
        assert!(error.to_string().contains("AADSTS500011"), "{source}: {error}");
    }
}

#[tokio::test]
async fn a_user_assigned_identity_by_each_of_its_ids() {
    let entra = machine(None).await;
    let (client, object, resource) = (
        UserAssignedId::Client(USER.into()),
        UserAssignedId::Object(OBJECT.into()),
        UserAssignedId::Resource(RESOURCE.into()),
    );
    for (platform, id) in [
        (Platform::AppService, client.clone()),
        (Platform::AppService, object.clone()),
        (Platform::AppService, resource.clone()),
        (Platform::Imds, client.clone()),
        (Platform::Imds, object.clone()),
        (Platform::Imds, resource),
        (Platform::MachineLearning, client),
        (Platform::ServiceFabric, object),
    ] {
        let client = on(environment(&entra, platform), ManagedIdentityClient::user_assigned(id.clone()));
        assert_eq!(app(&client.acquire_token(VAULT).await.unwrap()), USER, "{platform:?} {id:?}");
    }
    let unknown = UserAssignedId::Client(OBJECT.into());
    for platform in [Platform::AppService, Platform::Imds, Platform::MachineLearning] {
        let client = on(environment(&entra, platform), ManagedIdentityClient::user_assigned(unknown.clone()));
        let error = client.acquire_token(VAULT).await.unwrap_err();
        assert!(error.to_string().contains("Identity not found"), "{platform:?}: {error}");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let entra = machine(None).await;
    for platform in [Platform::AppService, Platform::MachineLearning, Platform::ServiceFabric] {
        let variables = entra.managed_identity_environment(platform).into_iter().map(|(name, value)| {
            let secret = name == "IDENTITY_HEADER" || name == "MSI_SECRET";
            (name, if secret { format!("{}-wrong", testkit::CANARY) } else { value })
        });
        let environment = Environment::from_iter(variables).root("/nowhere");
        let client = on(environment, ManagedIdentityClient::system_assigned());
        let error = client.acquire_token(VAULT).await.unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.kind(), ErrorKind::Denied, "{platform:?}: {error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn arcs_challenge_is_met_by_reading_the_file() {
    let root = tempfile::tempdir().unwrap();
    let keys = root.path().join("var/opt/azcmagent/tokens");
    std::fs::create_dir_all(&keys).unwrap();
    let entra = machine(Some(&keys)).await;
    let variables = || Environment::from_iter(entra.managed_identity_environment(Platform::AzureArc));
    let client = on(variables().root(root.path()), ManagedIdentityClient::system_assigned());
    assert_eq!(client.source(), ManagedIdentitySource::AzureArc);
    assert_eq!(app(&client.acquire_token(VAULT).await.unwrap()), SYSTEM);
    assert_eq!(std::fs::read_dir(&keys).unwrap().count(), 0, "the key was used up");
    // a program with another folder does not send what it was asked for
    let elsewhere = on(variables().root("/nowhere"), ManagedIdentityClient::system_assigned());
    let error = elsewhere.acquire_token(VAULT).await.unwrap_err();
    assert!(error.to_string().contains("which is not in"), "{error}");
}
