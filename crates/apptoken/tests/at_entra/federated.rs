//! The same flows against the local Entra ID and its own identity provider: nothing between the two is canned. Entra's
//! side reads the provider's metadata and keys over HTTPS and checks issuer, subject, audience, time and signature.

use std::sync::Arc;
use std::time::Duration;

use apptoken::{
    AcquiredFrom, ConfidentialClient, ConfidentialClientBuilder, Environment, ErrorKind, ManagedIdentityClient,
};
use apptoken_emulator::seed::SeedManagedIdentity;
use apptoken_emulator::{Emulator, GithubJob, ManagedIdentitySource, PipelinesJob, Workload};
use serde_json::json;

use super::common::{DAEMON, World};

const EXCHANGE: &str = "api://AzureADTokenExchange";
const GRAPH: &str = "https://graph.microsoft.com/.default";
const CONNECTION: uuid::Uuid = uuid::Uuid::from_u128(7);

fn trust(world: &World, workload: &Workload) {
    let directory = world.entra.directory();
    directory.add_federated_credential(DAEMON, &workload.credential("the-one")).unwrap();
}

fn github(world: &World) -> Workload {
    world.entra.issuer().github(&GithubJob::new("contoso/daemon").immutable(1, 2))
}

/// A client in the job or pod `workload`.
fn inside(world: &World, workload: &Workload) -> ConfidentialClientBuilder {
    world.bare().environment(Environment::from_iter(workload.environment()))
}

async fn refused(client: ConfidentialClientBuilder) -> u32 {
    let client = client.build().unwrap();
    testkit::witness(&client);
    let error = client.acquire_token_for_client(GRAPH).await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    error.denied().unwrap().codes()[0]
}

async fn granted(client: ConfidentialClientBuilder) {
    let token = client.build().unwrap().acquire_token_for_client(GRAPH).await.unwrap();
    assert_eq!(token.metadata().source, AcquiredFrom::Authority);
}

#[tokio::test]
async fn a_github_job() {
    let world = World::start().await;
    let job = github(&world);
    assert_eq!(refused(inside(&world, &job).github_actions_oidc()).await, 700_211, "no one trusts it yet");
    trust(&world, &job);
    granted(inside(&world, &job).github_actions_oidc()).await;
    let branch = world.entra.issuer().github(&GithubJob::new("contoso/daemon").immutable(1, 2).branch("other"));
    assert_eq!(refused(inside(&world, &branch).github_actions_oidc()).await, 700_213);
    let loud = world.entra.issuer().github(&GithubJob::new("Contoso/daemon").immutable(1, 2));
    assert_eq!(refused(inside(&world, &loud).github_actions_oidc()).await, 7_002_138);
    let elsewhere = job.clone().claim("aud", "api://another");
    assert_eq!(refused(inside(&world, &elsewhere).github_actions_oidc()).await, 700_212);
    let late = job.clone().claim("exp", 1_000);
    assert_eq!(refused(inside(&world, &late).github_actions_oidc()).await, 700_024);
    // as if another's keys had signed: what this provider publishes is not what signed
    let other = World::start().await;
    let forged = github(&other).claim("iss", job.issuer());
    assert_eq!(
        refused(inside(&world, &forged).add_root_certificate_pem(other.entra.ca_pem()).github_actions_oidc()).await,
        700_027
    );
    world.entra.issuer().rotate_key().unwrap();
    granted(inside(&world, &job).github_actions_oidc()).await;
}

#[tokio::test]
async fn a_job_of_azure_pipelines() {
    let world = World::start().await;
    let job = |name| PipelinesJob::new("contoso", "daemon", name, CONNECTION);
    let (right, wrong) = (job("azure"), job("another"));
    let (right, wrong) = (world.entra.issuer().azure_pipelines(&right), world.entra.issuer().azure_pipelines(&wrong));
    trust(&world, &right);
    let connection = CONNECTION.to_string();
    granted(inside(&world, &right).azure_pipelines_oidc(&connection)).await;
    assert_eq!(refused(inside(&world, &wrong).azure_pipelines_oidc(&connection)).await, 700_213);
    let unknown = inside(&world, &right).azure_pipelines_oidc("not-this-one").build().unwrap();
    let error = unknown.acquire_token_for_client(GRAPH).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Credential && error.to_string().contains("HTTP 404"), "{error}");
}

#[tokio::test]
async fn a_pod_of_kubernetes() {
    let world = World::start().await;
    let pod = world.entra.issuer().kubernetes("default", "daemon");
    trust(&world, &pod);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let client = || world.bare().federated_token_file(&file);
    for (token, code) in [
        (world.entra.issuer().kubernetes("default", "other").token(EXCHANGE), 700_213),
        (pod.token("https://kubernetes.default.svc"), 700_212),
        (pod.clone().claim("iss", pod.issuer().trim_end_matches('/')).token(EXCHANGE), 700_211),
        (pod.clone().lifetime(Duration::ZERO).claim("exp", 1_000).token(EXCHANGE), 700_024),
    ] {
        std::fs::write(&file, token.unwrap()).unwrap();
        assert_eq!(refused(client()).await, code);
    }
    std::fs::write(&file, pod.token(EXCHANGE).unwrap()).unwrap();
    granted(client()).await;
}

#[tokio::test]
async fn a_managed_identity() {
    testkit::init();
    let entra = Emulator::builder().seed(super::common::seed()).plain_http("127.0.0.1:0").start().await.unwrap();
    let world = World { entra, clock: Arc::default() };
    let identity = |name: &str| -> SeedManagedIdentity {
        serde_json::from_value(json!({ "displayName": name, "tenant": super::common::CONTOSO })).unwrap()
    };
    let directory = world.entra.directory();
    let trusted = directory.add_managed_identity(&identity("trusted")).unwrap();
    let other = directory.add_managed_identity(&identity("other")).unwrap();
    let environment = Environment::from_iter(world.entra.managed_identity_environment(ManagedIdentitySource::Imds));
    let client = |id: uuid::Uuid| {
        let identity = ManagedIdentityClient::user_assigned(apptoken::UserAssignedId::Client(id.to_string()));
        let identity = identity.environment(environment.clone().root("/nowhere")).clock(world.clock.clone());
        world.bare().managed_identity_assertion(identity.build().unwrap())
    };
    assert_eq!(refused(client(trusted)).await, 700_211);
    let snapshot = directory.snapshot();
    let tenant = snapshot.tenant(super::common::CONTOSO).unwrap();
    let object = tenant.service_principal(trusted).unwrap().id;
    let issuer = format!("https://login.microsoftonline.com/{}/v2.0", tenant.id);
    let credential = apptoken_emulator::seed::SeedFederatedCredential::new("identity", issuer, object.to_string());
    directory.add_federated_credential(DAEMON, &credential).unwrap();
    granted(client(trusted)).await;
    assert_eq!(refused(client(other)).await, 700_213);
}

#[tokio::test]
async fn another_app() {
    let world = World::start().await;
    let exchange = format!("{EXCHANGE}/.default");
    // Entra takes no app's token for another's credential …
    let token = world.client().acquire_token_for_client(&exchange).await.unwrap();
    let claims = apptoken_jose::jws::Unverified::parse(token.secret()).unwrap().claims().clone();
    let credential = apptoken_emulator::seed::SeedFederatedCredential::new(
        "app",
        claims["iss"].as_str().unwrap(),
        claims["sub"].as_str().unwrap(),
    );
    world.entra.directory().add_federated_credential(DAEMON, &credential).unwrap();
    assert_eq!(refused(world.bare().app_assertion(world.client(), &exchange)).await, 700_226);

    // … but a blueprint's, for the agent that asks
    let agent = uuid::Uuid::new_v4();
    let application = json!({
        "appId": agent, "displayName": "Agent", "homeTenant": super::common::CONTOSO, "agentIdentityBlueprintId": DAEMON,
    });
    world.entra.directory().add_application(&serde_json::from_value(application).unwrap()).unwrap();
    let client = ConfidentialClient::builder(agent.to_string())
        .tenant(super::common::CONTOSO)
        .authority(world.entra.authority())
        .add_root_certificate_pem(world.entra.ca_pem())
        .clock(world.clock.clone())
        .app_assertion(world.client(), &exchange)
        .build()
        .unwrap();
    let call = |path: String| client.acquire_token_for_client(GRAPH).fmi_path_for_client_assertion(path);
    let token = call(agent.to_string()).await.unwrap();
    let parsed = apptoken_jose::jws::Unverified::parse(token.secret()).unwrap();
    assert_eq!(parsed.claims()["xms_par_app_azp"], DAEMON);
    let error = call("another".into()).await.unwrap_err();
    assert!(error.denied().unwrap().has_code(700_213), "{error}");
}
