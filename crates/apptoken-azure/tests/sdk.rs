//! The Azure SDK's own clients and its pipeline call services over HTTPS with tokens from our client.
#![allow(clippy::unwrap_used, reason = "a test")]

mod cloud;

use std::sync::Arc;

use apptoken::{ConfidentialClient, Environment, Error, ManagedIdentityClient};
use apptoken_azure::{AzureCredential, Claims};
use apptoken_emulator::Emulator;
use azure_core::credentials::{TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::request::options::ClientRequestId;
use azure_core::http::{
    ClientMethodOptions, ClientOptions, Context, Method, Pipeline, Request, RequestContent, Transport,
};
use azure_security_keyvault_secrets::models::SetSecretParameters;
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};
use serde_json::{Value, json};
use testkit::CANARY;

use self::cloud::{CLAIMS, Cloud, TENANT};

const GRAPH: &str = "https://graph.microsoft.com/.default";
const DAEMON: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const CONTOSO: &str = "contoso.onmicrosoft.com";

async fn entra() -> Emulator {
    testkit::init();
    let seed = json!({
        "tenants": [{ "tenantId": TENANT, "displayName": "Contoso", "defaultDomain": CONTOSO }],
        "applications": [{
            "appId": DAEMON, "displayName": "Daemon", "homeTenant": CONTOSO,
            "requiredResourceAccess": [{ "resource": "https://graph.microsoft.com", "appRoles": ["User.Read.All"] }],
            "passwordCredentials": [{ "displayName": "test", "secretText": format!("{CANARY}-secret") }],
            "servicePrincipals": [{ "tenant": CONTOSO, "adminConsent": true }],
        }],
    });
    Emulator::builder().seed(serde_json::from_value(seed).unwrap()).start().await.unwrap()
}

fn credential(entra: &Emulator, secret: &str) -> Arc<AzureCredential> {
    let client = ConfidentialClient::builder(DAEMON)
        .tenant(CONTOSO)
        .authority(entra.authority())
        .add_root_certificate_pem(entra.ca_pem())
        .client_secret(format!("{CANARY}-{secret}"));
    Arc::new(AzureCredential::new(client.build().unwrap()))
}

#[tokio::test]
async fn the_sdks_pipeline_calls_an_api() {
    let entra = entra().await;
    let ca = reqwest::Certificate::from_pem(entra.ca_pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_merge([ca]).build().unwrap();
    let options = ClientOptions { transport: Some(Transport::new(Arc::new(http))), ..ClientOptions::default() };
    let bearer = BearerTokenAuthorizationPolicy::new(credential(&entra, "secret"), [GRAPH]);
    let pipeline = Pipeline::new(Some("apptoken-test"), Some("1"), options, Vec::new(), vec![Arc::new(bearer)], None);
    for _ in 0..3 {
        let url = format!("{}/v1.0/users", entra.graph_url()).parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let response = pipeline.send(&Context::new(), &mut request, None).await.unwrap();
        let users: Value = serde_json::from_slice(response.body()).unwrap();
        assert!(users["value"].is_array(), "{users}");
    }
    assert_eq!(entra.token_requests(), 1);
}

#[tokio::test]
async fn a_refusal_keeps_our_error() {
    let entra = entra().await;
    let credential = credential(&entra, "wrong");
    testkit::witness(&credential);
    let error = credential.get_token(&[GRAPH], None).await.unwrap_err();
    testkit::witness_error(&error);
    assert!(matches!(error.kind(), ErrorKind::Credential));
    assert!(error.to_string().contains("AADSTS7000215") && error.to_string().contains("not its Secret ID"), "{error}");
    let ours = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>()).unwrap();
    assert!(ours.denied().unwrap().has_code(7000215));
    let error = credential.get_token(&[GRAPH, "https://vault.azure.net/.default"], None).await.unwrap_err();
    assert!(error.to_string().contains("at a time"), "{error}");
    assert_eq!(entra.token_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn blob_storage_takes_our_tokens() {
    let entra = entra().await;
    let cloud = Cloud::start(&entra).await;
    let options = BlobServiceClientOptions { client_options: cloud.options(), ..BlobServiceClientOptions::default() };
    let url = cloud.storage.url().parse().unwrap();
    let service = BlobServiceClient::new(url, Some(credential(&entra, "secret")), Some(options)).unwrap();

    let container = service.blob_container_client("reports");
    container.create(None).await.unwrap();
    let again = container.create(None).await.unwrap_err();
    assert!(again.to_string().contains("ContainerAlreadyExists"), "{again}");
    let blob = container.blob_client("today.txt");
    blob.upload(RequestContent::from(b"all is well".to_vec()), None).await.unwrap();
    let body = blob.download(None).await.unwrap().body.collect().await.unwrap();
    assert_eq!(&body[..], b"all is well");
    assert_eq!((cloud.storage.requests(), entra.token_requests()), ((4, 0), 1));

    // the same client, with tokens of an app for another resource: the server does judge
    let graph = WrongResource(credential(&entra, "secret"));
    let options = BlobServiceClientOptions { client_options: cloud.options(), ..BlobServiceClientOptions::default() };
    let url = cloud.storage.url().parse().unwrap();
    let service = BlobServiceClient::new(url, Some(Arc::new(graph)), Some(options)).unwrap();
    let error = service.blob_container_client("reports").create(None).await.unwrap_err();
    assert_eq!(error.http_status(), Some(azure_core::http::StatusCode::Unauthorized), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn key_vault_learns_the_resource_from_the_challenge() {
    let entra = entra().await;
    let cloud = Cloud::start(&entra).await;
    let options = SecretClientOptions { client_options: cloud.options(), ..SecretClientOptions::default() };
    let client = SecretClient::new(&cloud.vault.url(), credential(&entra, "secret"), Some(options)).unwrap();
    let secret = SetSecretParameters { value: Some(format!("{CANARY}-kept")), ..SetSecretParameters::default() };
    client.set_secret("password", secret.try_into().unwrap(), None).await.unwrap();
    let read = client.get_secret("password", None).await.unwrap().into_model().unwrap();
    assert_eq!(read.value, Some(format!("{CANARY}-kept")));
    let missing = client.get_secret("nothing", None).await.unwrap_err();
    let ErrorKind::HttpResponse { error_code: Some(code), .. } = missing.kind() else { panic!("{missing:?}") };
    assert_eq!(code, "SecretNotFound");
    assert_eq!((cloud.vault.requests(), entra.token_requests()), ((3, 1), 1));
    assert_eq!(testkit::leak(&testkit::logged()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_replaced_when_the_api_demands_claims() {
    let entra = entra().await;
    let cloud = Cloud::start(&entra).await;
    let credential = credential(&entra, "secret");
    let client = |options: ClientOptions| {
        let options = SecretClientOptions { client_options: options, ..SecretClientOptions::default() };
        SecretClient::new(&cloud.vault.url(), credential.clone(), Some(options)).unwrap()
    };
    let policy = credential.claims_challenges("https://vault.azure.net/.default");
    testkit::witness(&policy);
    let with = client(ClientOptions { per_try_policies: vec![Arc::new(policy)], ..cloud.options() });
    let without = client(cloud.options());
    let secret = |text: &str| {
        let secret = SetSecretParameters { value: Some(format!("{CANARY}-{text}")), ..SetSecretParameters::default() };
        secret.try_into().unwrap()
    };
    with.set_secret("password", secret("old"), None).await.unwrap();
    without.get_secret("password", None).await.unwrap();
    assert_eq!((cloud.vault.tokens(), entra.token_requests()), (1, 1));

    cloud.vault.revoke();
    let error = without.get_secret("password", None).await.unwrap_err();
    assert_eq!(error.http_status(), Some(azure_core::http::StatusCode::Unauthorized), "the SDK alone: {error}");
    assert_eq!(entra.token_requests(), 1);

    // the body goes with the second try too
    with.set_secret("password", secret("new"), None).await.unwrap();
    assert_eq!((cloud.vault.tokens(), entra.token_requests()), (2, 2));
    let before = cloud.vault.requests().0;
    let read = with.get_secret("password", None).await.unwrap().into_model().unwrap();
    assert_eq!(read.value, Some(format!("{CANARY}-new")));
    assert_eq!(cloud.vault.requests().0, before + 1, "the token that was turned down is not tried again");
    assert_eq!(entra.token_requests(), 2);
}

#[tokio::test]
async fn what_the_context_says_is_heeded() {
    let entra = entra().await;
    let credential = credential(&entra, "secret");
    let first = credential.get_token(&[GRAPH], None).await.unwrap();
    let id = "0f1e2d3c-0000-4000-8000-00000000cafe";
    let context = Context::new().with_value(Claims::new(CLAIMS)).with_value(ClientRequestId::from(id.to_owned()));
    let options = TokenRequestOptions { method_options: ClientMethodOptions { context } };
    let second = credential.get_token(&[GRAPH], Some(options)).await.unwrap();
    assert!(first.token != second.token, "the kept token was to be passed over");
    assert_eq!(entra.token_requests(), 2);
    assert!(entra.sign_ins().iter().any(|sign_in| sign_in.correlation_id.to_string() == id));
    let context = Context::new().with_value(Claims::new("not JSON"));
    let options = TokenRequestOptions { method_options: ClientMethodOptions { context } };
    let error = credential.get_token(&[GRAPH], Some(options)).await.unwrap_err();
    assert!(error.to_string().contains("not a JSON object"), "{error}");
}

#[tokio::test]
async fn a_managed_identity_has_no_other_tenant() {
    testkit::init();
    let nowhere = Environment::from_iter([("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")]);
    let client = ManagedIdentityClient::system_assigned().environment(nowhere).retry(false).build().unwrap();
    let credential = AzureCredential::new(client);
    let error = credential.get_token(&[GRAPH], None).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
    let error = credential.tenant("fabrikam.com").get_token(&[GRAPH], None).await.unwrap_err();
    assert!(error.to_string().contains("its platform's tenant only"), "{error}");
}

/// Hands a token of Microsoft Graph to whoever asks.
#[derive(Debug)]
struct WrongResource(Arc<AzureCredential>);

#[async_trait::async_trait]
impl TokenCredential for WrongResource {
    async fn get_token(
        &self,
        _scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<azure_core::credentials::AccessToken> {
        self.0.get_token(&[GRAPH], options).await
    }
}
