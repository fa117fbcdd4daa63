//! Federated assertions: GitHub Actions, Azure Pipelines, Kubernetes, a managed identity, another app. Each flow ends at
//! a token endpoint that checks the assertion's issuer, subject, audience, time and signature.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "at_entra/federated.rs"]
mod at_entra;
mod common;
mod stub;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use apptoken::clock::{Clock, ManualClock};
use apptoken::http::{RequestRate, ReqwestTransport, Transport};
use apptoken::{
    ConfidentialClient, ConfidentialClientBuilder, Environment, Error, ErrorKind, ManagedIdentityClient, RegionOutcome,
};
use apptoken_jose::jwk::JwkSet;
use apptoken_jose::{Algorithm, PublicKey, SigningKey, jws};
use axum::body::Body;
use common::{CONTOSO, DAEMON, World};
use http::Response;
use serde_json::{Map, json};
use stub::{Seen, Stub, json};
use testkit::{CANARY, keys};

const EXCHANGE: &str = "api://AzureADTokenExchange";
/// The app id of the resource behind [`EXCHANGE`].
const EXCHANGE_APP_ID: &str = "fb60f99c-7a34-4190-8149-302f77469936";
const GRAPH: &str = "https://graph.microsoft.com/.default";
const CONNECTION: &str = "11111111-2222-4333-8444-555555555555";

/// Another identity provider's key.
fn provider() -> SigningKey {
    SigningKey::from_pem(keys::PKCS8, None).unwrap()
}

fn now() -> i64 {
    let since = ManualClock::default().system_time().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn identity_token(issuer: &str, subject: &str, audience: &str) -> String {
    let claims = json!({ "iss": issuer, "sub": subject, "aud": audience, "iat": now(), "exp": now() + 300 });
    jws::sign(&Map::new(), &claims, &provider(), Algorithm::Rs256).unwrap()
}

/// Entra, for one app with one federated credential.
async fn entra(issuer: String, subject: String, key: PublicKey) -> Stub {
    entra_for(EXCHANGE, issuer, subject, key).await
}

async fn entra_for(audience: &'static str, issuer: String, subject: String, key: PublicKey) -> Stub {
    Stub::start(move |request| {
        let verdict = verdict(request, [&issuer, &subject, audience], &key);
        match verdict {
            Ok(()) => json(200, &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "federated" })),
            Err((code, why)) => {
                let body = json!({
                    "error": "invalid_client", "error_codes": [code],
                    "error_description": format!("AADSTS{code}: {why}"),
                });
                json(401, &body)
            }
        }
    })
    .await
}

fn verdict(request: &Seen, [issuer, subject, audience]: [&str; 3], key: &PublicKey) -> Result<(), (u32, String)> {
    let field = |name| request.form(name).unwrap_or_default();
    let plain = request.method == "POST"
        && request.path == format!("/{CONTOSO}/oauth2/v2.0/token")
        && field("grant_type") == "client_credentials"
        && field("client_id") == DAEMON
        && field("scope") == GRAPH
        && field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    if !plain {
        return Err((900_144, format!("not a token request: {}", request.path)));
    }
    let assertion = field("client_assertion");
    let token = jws::Unverified::parse(&assertion).map_err(|error| (50_027, error.to_string()))?;
    token.verify(key, &[Algorithm::Rs256]).map_err(|error| (700_027, error.to_string()))?;
    let claims = token.claims();
    for (name, want, code) in [("iss", issuer, 700_211), ("sub", subject, 700_213), ("aud", audience, 700_212)] {
        if claims[name] != want {
            return Err((code, format!("{name} is {} and not {want}", claims[name])));
        }
    }
    if claims["exp"].as_i64().is_none_or(|end| end <= now()) {
        return Err((700_024, "expired".to_owned()));
    }
    Ok(())
}

fn daemon(entra: &Stub) -> ConfidentialClientBuilder {
    ConfidentialClient::builder(DAEMON).tenant(CONTOSO).authority(entra.url("")).allow_http_loopback(true)
}

fn job_secret() -> String {
    format!("{CANARY}-job")
}

async fn witnessed(client: &ConfidentialClient) -> Error {
    testkit::witness(client);
    let error = client.acquire_token_for_client(GRAPH).await.unwrap_err();
    testkit::witness_error(&error);
    error
}

mod github {
    use super::*;

    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    const SUBJECT: &str = "repo:contoso@1/daemon@2:ref:refs/heads/main";

    async fn actions() -> Stub {
        Stub::start(|request| {
            let right = request.method == "GET"
                && request.path == "/job/idtoken"
                && request.query("api-version") == Some("2.0")
                && request.header("accept").is_some_and(|accept| accept.starts_with("application/json"));
            match (request.header("authorization"), request.query("audience")) {
                (Some(bearer), Some(audience)) if right && bearer == format!("Bearer {}", job_secret()) => {
                    json(200, &json!({ "count": 1, "value": identity_token(ISSUER, SUBJECT, audience) }))
                }
                (Some(_), _) => json(403, &json!({ "message": "no" })),
                (None, _) => json(400, &json!({ "message": "no authorization" })),
            }
        })
        .await
    }

    fn job(actions: &Stub, token: String) -> Environment {
        Environment::from_iter([
            ("ACTIONS_ID_TOKEN_REQUEST_URL", actions.url("/job/idtoken?api-version=2.0")),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token),
        ])
    }

    #[tokio::test]
    async fn a_job_gets_a_token() {
        let (actions, key) = (actions().await, provider());
        let entra = entra(ISSUER.to_owned(), SUBJECT.to_owned(), key.public_key().clone()).await;
        let client = daemon(&entra).environment(job(&actions, job_secret())).github_actions_oidc().build().unwrap();
        testkit::witness(&client);
        assert_eq!(client.acquire_token_for_client(GRAPH).await.unwrap().secret(), "federated");
        client.acquire_token_for_client(GRAPH).await.unwrap();
        assert_eq!((actions.requests(), entra.requests()), (1, 1));
        // asked for anew with each token request
        client.acquire_token_for_client(GRAPH).force_refresh(true).await.unwrap();
        assert_eq!((actions.requests(), entra.requests()), (2, 2));
    }

    #[tokio::test]
    async fn a_job_of_another_branch_does_not() {
        let (actions, key) = (actions().await, provider());
        let entra =
            entra(ISSUER.to_owned(), "repo:contoso/daemon:ref:refs/heads/main".to_owned(), key.public_key().clone())
                .await;
        let client = daemon(&entra).environment(job(&actions, job_secret())).github_actions_oidc().build().unwrap();
        let error = witnessed(&client).await;
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.denied().unwrap().has_code(700_213) && error.advice().is_some(), "{error:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_job_is_told() {
        let actions = actions().await;
        let client = |environment| {
            ConfidentialClient::builder(DAEMON)
                .tenant(CONTOSO)
                .allow_http_loopback(true)
                .environment(environment)
                .github_actions_oidc()
                .build()
        };
        let error = witnessed(&client(job(&actions, "c4n4ry-old".to_owned())).unwrap()).await;
        assert_eq!((error.kind(), actions.requests()), (ErrorKind::Credential, 1));
        assert!(
            error.to_string().contains("HTTP 403") && error.advice().unwrap().contains("id-token: write"),
            "{error:?}"
        );

        let (url, token) = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN");
        for (variables, words) in [
            (vec![], "ACTIONS_ID_TOKEN_REQUEST_URL is not set"),
            (vec![(url, "https://example.com")], "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set"),
            (vec![(url, "http://example.com"), (token, "c4n4ry")], "is not https"),
            (vec![(url, "nowhere"), (token, "c4n4ry")], "is not a URL"),
            (vec![(url, "https://example.com"), (token, "c4n4ry\nx")], "a header cannot have"),
        ] {
            let error = client(Environment::from_iter(variables)).unwrap_err();
            testkit::witness_error(&error);
            assert_eq!(error.kind(), ErrorKind::Credential);
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn an_ill_provider_is_asked_again_and_told_apart() {
        for (code, body, requests, kind, transient) in [
            (500, "", 4, ErrorKind::Transport, true),
            (429, "", 4, ErrorKind::Throttled, true),
            (200, "<html>", 1, ErrorKind::Protocol, false),
            (200, r#"{"value":""}"#, 1, ErrorKind::Protocol, false),
        ] {
            let ill = Stub::start(move |_| Response::builder().status(code).body(Body::from(body)).unwrap()).await;
            let client = ConfidentialClient::builder(DAEMON)
                .tenant(CONTOSO)
                .allow_http_loopback(true)
                .clock(Arc::new(ManualClock::default()))
                .environment(job(&ill, job_secret()))
                .github_actions_oidc()
                .build()
                .unwrap();
            let error = witnessed(&client).await;
            assert_eq!((error.kind(), error.is_transient(), ill.requests()), (kind, transient, requests), "{error}");
        }
    }
}

#[tokio::test]
async fn a_pipelines_service_connection_gets_a_token() {
    let (issuer, subject) = ("https://vstoken.dev.azure.com/org", "sc://contoso/daemon/connection");
    let devops = Stub::start(move |request| {
        let right = request.method == "POST"
            && request.path == "/org/oidctoken"
            && request.query("api-version") == Some("7.1")
            && request.query("serviceConnectionId") == Some(CONNECTION)
            && request.header("x-tfs-fedauthredirect") == Some("Suppress")
            && request.header("content-length") == Some("0")
            && request.body.is_empty();
        match request.header("authorization") {
            Some(bearer) if right && bearer == format!("Bearer {}", job_secret()) => {
                json(200, &json!({ "oidcToken": identity_token(issuer, subject, EXCHANGE) }))
            }
            // without the header above it would be a redirect to a sign-in page
            Some(_) => json(401, &json!({})),
            None => json(400, &json!({})),
        }
    })
    .await;
    let entra = entra(issuer.to_owned(), subject.to_owned(), provider().public_key().clone()).await;
    let job = |token: &str| {
        Environment::from_iter([
            ("SYSTEM_OIDCREQUESTURI", devops.url("/org/oidctoken")),
            ("SYSTEM_ACCESSTOKEN", token.to_owned()),
        ])
    };
    let client = daemon(&entra).environment(job(&job_secret())).azure_pipelines_oidc(CONNECTION).build().unwrap();
    assert_eq!(client.acquire_token_for_client(GRAPH).await.unwrap().secret(), "federated");
    let stale = daemon(&entra).environment(job("c4n4ry-old")).azure_pipelines_oidc(CONNECTION).build().unwrap();
    let error = witnessed(&stale).await;
    assert_eq!((error.kind(), entra.requests()), (ErrorKind::Credential, 1));
    assert!(error.advice().unwrap().contains("service connection"), "{error:?}");

    for (environment, id, words) in [
        (job(""), CONNECTION, "SYSTEM_ACCESSTOKEN is not set"),
        (Environment::from_iter([("X", "")]), CONNECTION, "SYSTEM_OIDCREQUESTURI is not set"),
        (job("c4n4ry"), " ", "service connection id is empty"),
    ] {
        let error = daemon(&entra).environment(environment).azure_pipelines_oidc(id).build().unwrap_err();
        assert!(error.to_string().contains(words) && error.advice().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn a_pods_workload_identity_gets_a_token() {
    testkit::init();
    let (issuer, subject) = ("https://oidc.prod-aks.azure.com/cluster/", "system:serviceaccount:default:daemon");
    let entra = entra(issuer.to_owned(), subject.to_owned(), provider().public_key().clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    let pod = Environment::from_iter([
        ("AZURE_CLIENT_ID", DAEMON.to_owned()),
        ("AZURE_TENANT_ID", CONTOSO.to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string()),
        ("AZURE_AUTHORITY_HOST", entra.url("/")),
    ]);
    let client = ConfidentialClient::workload_identity(&pod).unwrap().allow_http_loopback(true).build().unwrap();
    assert_eq!((client.client_id(), client.tenant()), (DAEMON, CONTOSO));
    let error = witnessed(&client).await;
    assert_eq!((error.kind(), entra.requests()), (ErrorKind::Credential, 0));

    std::fs::write(&file, identity_token(issuer, "system:serviceaccount:default:other", EXCHANGE)).unwrap();
    assert!(witnessed(&client).await.denied().unwrap().has_code(700_213));
    // the platform replaces the file
    std::fs::write(&file, format!("{}\n", identity_token(issuer, subject, EXCHANGE))).unwrap();
    assert_eq!(client.acquire_token_for_client(GRAPH).await.unwrap().secret(), "federated");

    let error =
        ConfidentialClient::workload_identity(&Environment::from_iter([("AZURE_CLIENT_ID", DAEMON)])).unwrap_err();
    assert!(error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE and AZURE_TENANT_ID are not set"), "{error}");
}

/// An IMDS that gives tokens for the token exchange, once it is well.
async fn imds(issuer: &'static str, subject: &'static str, ill: usize) -> (Stub, ManagedIdentityClient) {
    let imds = Stub::start(move |request| {
        if request.number < ill {
            return json(503, &json!({}));
        }
        let right = request.header("metadata") == Some("true") && request.query("resource") == Some(EXCHANGE);
        if !right {
            return json(400, &json!({ "error": "invalid_request", "error_description": "wrong" }));
        }
        let token = identity_token(issuer, subject, EXCHANGE);
        json(200, &json!({ "access_token": token, "token_type": "Bearer", "expires_on": (now() + 3600).to_string() }))
    })
    .await;
    let environment = Environment::from_iter([("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds.url(""))]);
    let client = ManagedIdentityClient::system_assigned().environment(environment.root("/nowhere")).retry(false);
    (imds, client.build().unwrap())
}

#[tokio::test]
async fn a_managed_identity_is_an_apps_credential() {
    let (issuer, subject) = ("https://login.microsoftonline.com/contoso/v2.0", "99999999-aaaa-4bbb-8ccc-dddddddddddd");
    let entra = entra(issuer.to_owned(), subject.to_owned(), provider().public_key().clone()).await;
    let (imds, identity) = imds(issuer, subject, 0).await;
    let client = daemon(&entra).managed_identity_assertion(identity).build().unwrap();
    assert_eq!(client.acquire_token_for_client(GRAPH).await.unwrap().secret(), "federated");
    client.acquire_token_for_client(GRAPH).force_refresh(true).await.unwrap();
    // the identity's token is kept too
    assert_eq!((imds.requests(), entra.requests()), (1, 2));
    // a challenge goes all the way
    client.acquire_token_for_client(GRAPH).claims("{}").await.unwrap();
    assert_eq!((imds.requests(), entra.requests()), (2, 3));
}

#[tokio::test]
async fn the_first_legs_failure_is_told_as_it_is() {
    let (issuer, subject) = ("https://issuer", "subject");
    let entra = entra(issuer.to_owned(), subject.to_owned(), provider().public_key().clone()).await;
    let (_imds, identity) = imds(issuer, subject, 1).await;
    let client = daemon(&entra).managed_identity_assertion(identity).build().unwrap();
    let error = witnessed(&client).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Transport, true));
    assert!(error.to_string().contains("IMDS is ill (HTTP 503)"), "{error}");
    client.acquire_token_for_client(GRAPH).await.unwrap();
}

#[tokio::test]
async fn another_apps_token_is_an_apps_credential() {
    // the first leg at the local Entra ID, whose token the second checks by its published keys
    let world = World::start().await;
    let first = world.client();
    let exchange = format!("{EXCHANGE}/.default");
    let token = first.acquire_token_for_client(&exchange).await.unwrap();
    let parsed = jws::Unverified::parse(token.secret()).unwrap();
    let (issuer, subject) = (parsed.claims()["iss"].as_str().unwrap(), parsed.claims()["sub"].as_str().unwrap());
    let keys = ReqwestTransport::builder().add_root_certificate_pem(world.entra.ca_pem().as_bytes()).unwrap().build();
    let url = format!("{}/{CONTOSO}/discovery/v2.0/keys", world.entra.authority());
    let answer = keys.send(http::Request::get(url).body(Default::default()).unwrap()).await.unwrap();
    let keys: JwkSet = serde_json::from_slice(answer.body()).unwrap();
    let key = keys.keys.iter().find(|key| key.kid == parsed.header().kid).unwrap().public_key().unwrap();
    // a v2.0 token names its resource by app id, and Entra takes its own for the name
    assert_eq!(parsed.claims()["aud"], EXCHANGE_APP_ID);

    let entra = entra_for(EXCHANGE_APP_ID, issuer.to_owned(), subject.to_owned(), key).await;
    let client = daemon(&entra).app_assertion(first, exchange).build().unwrap();
    assert_eq!(client.acquire_token_for_client(GRAPH).await.unwrap().secret(), "federated");
    // the first leg's token was kept from before
    assert_eq!((world.requests(), entra.requests()), (1, 1));
}

/// Two legs: the blueprint's token for its agent, by `fmi_path`, is the agent's assertion.
#[tokio::test]
async fn an_agent_proves_itself_by_its_blueprint() {
    const AGENT: &str = "aaaabbbb-0000-4ccc-8ddd-eeeeffff0000";
    let secret = format!("{CANARY}-blueprint");
    let want = secret.clone();
    let entra = Stub::start(move |request| {
        let field = |name| request.form(name).unwrap_or_default();
        let tenant = request.path.trim_end_matches("/oauth2/v2.0/token").trim_start_matches('/');
        let granted =
            |token: &str| json(200, &json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token }));
        match field("client_id").as_str() {
            DAEMON
                if field("client_secret") == want
                    && field("scope") == format!("{EXCHANGE}/.default")
                    && field("fmi_path") == AGENT =>
            {
                granted(&identity_token(tenant, AGENT, EXCHANGE))
            }
            AGENT if field("scope") == GRAPH && request.form("fmi_path").is_none() => {
                let assertion = field("client_assertion");
                let token = jws::Unverified::parse(&assertion).unwrap();
                token.verify(provider().public_key(), &[Algorithm::Rs256]).unwrap();
                assert_eq!((&token.claims()["sub"], &token.claims()["iss"]), (&json!(AGENT), &json!(tenant)));
                granted("the-agents")
            }
            _ => json(401, &json!({ "error": "invalid_client", "error_codes": [700_016] })),
        }
    })
    .await;
    let blueprint = daemon(&entra).client_secret(secret).build().unwrap();
    let agent = blueprint.agent_identity(AGENT).build().unwrap();
    testkit::witness(&agent);
    assert_eq!((agent.client_id(), agent.tenant()), (AGENT, CONTOSO));
    assert_eq!(agent.acquire_token_for_client(GRAPH).await.unwrap().secret(), "the-agents");
    assert_eq!(entra.requests(), 2);
    // the first leg's token is kept, for each agent and tenant apart
    agent.acquire_token_for_client(GRAPH).force_refresh(true).await.unwrap();
    assert_eq!(entra.requests(), 3);
    agent.acquire_token_for_client(GRAPH).tenant("fabrikam.com").await.unwrap();
    assert_eq!((entra.requests(), blueprint.cached_tokens()), (5, 2));

    // at the same place, under the same rate
    let blueprint = daemon(&entra).client_secret(format!("{CANARY}-blueprint")).region("westeurope").build().unwrap();
    let agent = blueprint.agent_identity(AGENT).build().unwrap();
    let token = agent.acquire_token_for_client(GRAPH).await.unwrap();
    // a region that this machine cannot resolve, as a rule
    assert_ne!(token.metadata().region_outcome, RegionOutcome::NotUsed);
    let global = blueprint.agent_identity(AGENT).region("DisableMsalForceRegion").build().unwrap();
    let token = global.acquire_token_for_client(GRAPH).await.unwrap();
    assert_eq!(token.metadata().region_outcome, RegionOutcome::NotUsed);
    let error = blueprint.agent_identity(AGENT).request_rate(RequestRate::UNLIMITED).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert_eq!(entra.requests(), 8);

    // the general form: the request says which agent the first leg is for
    let by_request =
        ConfidentialClient::builder(AGENT).tenant(CONTOSO).authority(entra.url("")).allow_http_loopback(true);
    let by_request = by_request.app_assertion(blueprint.clone(), format!("{EXCHANGE}/.default")).build().unwrap();
    let call = by_request.acquire_token_for_client(GRAPH).fmi_path_for_client_assertion(AGENT);
    assert_eq!(call.await.unwrap().secret(), "the-agents");
    assert_eq!(entra.requests(), 9, "the blueprint had the first leg's token");
}
