use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::http::RetryPolicy;
use apptoken::{ConfidentialClient, ConfidentialClientBuilder, ErrorKind};
use axum::body::Body;
use http::Response;
use serde_json::{Value, json as value};

use crate::common::{CONTOSO, DAEMON, TODO, World, minutes, secret};
use crate::stub::{Seen, Stub, json};

const SCOPE: &str = "read write";

/// A provider whose configuration the test makes from its address.
struct Provider {
    stub: Stub,
    clock: Arc<ManualClock>,
    /// Changes what it answers.
    mood: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(configuration: impl Fn(usize, &str, &Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        let mood = Arc::new(AtomicUsize::new(0));
        let told = mood.clone();
        let stub = Stub::start(move |request| {
            let base = format!("http://{}", request.header("host").unwrap());
            match request.path.as_str() {
                "/realm/.well-known/openid-configuration" => configuration(told.load(Ordering::SeqCst), &base, request),
                path if path.starts_with("/token") => json(
                    200,
                    &value!({ "token_type": "Bearer", "expires_in": 3600, "access_token": format!("from:{path}") }),
                ),
                _ => json(404, &value!(null)),
            }
        })
        .await;
        Self { stub, clock: Arc::default(), mood }
    }

    /// One that is as it should be.
    async fn good() -> Self {
        Self::start(|_, base, _| json(200, &good(base))).await
    }

    fn client(&self) -> ConfidentialClientBuilder {
        self.at("/realm")
    }

    fn at(&self, path: &str) -> ConfidentialClientBuilder {
        ConfidentialClient::builder(DAEMON)
            .oidc_authority(self.stub.url(path))
            .allow_http_loopback(true)
            .client_secret(secret())
            .retry(RetryPolicy::NONE)
            .clock(self.clock.clone())
    }

    fn is(&self, mood: usize) {
        self.mood.store(mood, Ordering::SeqCst);
    }
}

fn good(base: &str) -> Value {
    value!({ "issuer": format!("{base}/realm"), "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys") })
}

#[tokio::test]
async fn the_token_endpoint_is_what_the_provider_says() {
    let provider = Provider::good().await;
    let client = provider.client().build().unwrap();
    let token = client.acquire_token_for_client(SCOPE).await.unwrap();
    assert_eq!((token.secret(), token.tenant_id(), token.scopes()), ("from:/token", "", SCOPE));
    assert_eq!(token.metadata().token_endpoint, provider.stub.url("/token"));
    assert_eq!(provider.stub.requests(), 2);
    client.acquire_token_for_client("other").await.unwrap();
    assert_eq!(provider.stub.requests(), 3, "the configuration is kept");
    let error = client.acquire_token_for_client("other").tenant(CONTOSO).await.unwrap_err();
    assert!(error.to_string().contains("has no tenants"), "{error}");
}

#[tokio::test]
async fn fifty_callers_one_configuration() {
    let provider = Provider::good().await;
    let client = provider.client().build().unwrap();
    let calls = (0..50).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.acquire_token_for_client(format!("scope-{n}")).await.unwrap() })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    assert_eq!(provider.stub.requests(), 51);
}

#[tokio::test]
async fn a_query_of_the_authority_goes_with_it() {
    let provider = Provider::start(|_, base, request| {
        assert_eq!(request.query("policy"), Some("daemon"));
        let mut configuration = good(base);
        configuration["token_endpoint"] = format!("{base}/token?policy=daemon").into();
        json(200, &configuration)
    })
    .await;
    let client = provider.at("/realm/?policy=daemon").build().unwrap();
    let token = client.acquire_token_for_client(SCOPE).await.unwrap();
    assert_eq!(provider.stub.last().query("policy"), Some("daemon"));
    assert_eq!(token.metadata().token_endpoint, provider.stub.url("/token?policy=daemon"));
}

/// The local Entra ID as just any provider, over TLS.
#[tokio::test]
async fn entra_is_a_provider_too() {
    let world = World::start().await;
    let client = ConfidentialClient::builder(DAEMON)
        .oidc_authority(format!("{}/{CONTOSO}/v2.0", world.entra.authority()))
        .add_root_certificate_pem(world.entra.ca_pem())
        .certificate(crate::common::certificate())
        .clock(world.clock.clone())
        .build()
        .unwrap();
    client.acquire_token_for_client(TODO).await.unwrap();
    assert_eq!(world.requests(), 1);
}

/// What the provider answers; what the error says. No secret is sent, not by the second call either, and a provider that
/// is put right is found so.
#[tokio::test]
async fn a_configuration_is_checked_before_it_is_kept() {
    type Wrong = fn(&str) -> Response<Body>;
    let rows: [(Wrong, ErrorKind, &str); 12] = [
        (|base| with(base, "issuer", value!("https://evil.example/realm")), ErrorKind::Protocol, "its issuer"),
        (|base| with(base, "issuer", value!(7)), ErrorKind::Protocol, "no JSON object with an issuer"),
        (
            |base| with(base, "token_endpoint", value!("http://evil.example/token")),
            ErrorKind::Protocol,
            "no https address",
        ),
        (
            |base| with(base, "token_endpoint", value!("https://user@idp.example/token")),
            ErrorKind::Protocol,
            "no https address",
        ),
        (|base| with(base, "token_endpoint", value!("/token")), ErrorKind::Protocol, "no https address"),
        (|base| with(base, "token_endpoint", value!(null)), ErrorKind::Protocol, "token_endpoint"),
        (|_| json(404, &value!(null)), ErrorKind::Protocol, "HTTP 404"),
        (|_| json(200, &value!([])), ErrorKind::Protocol, "no JSON object"),
        (|_| Response::new("<html>sign in</html>".into()), ErrorKind::Protocol, "no JSON object"),
        (
            |base| {
                let elsewhere = format!("{base}/token-elsewhere");
                Response::builder().status(302).header("location", elsewhere).body(Body::empty()).unwrap()
            },
            ErrorKind::Protocol,
            "HTTP 302",
        ),
        (|_| json(503, &value!(null)), ErrorKind::Transport, "HTTP 503"),
        (|_| Response::new(vec![b' '; 2 << 20].into()), ErrorKind::Transport, "the answer is too long"),
    ];
    for (wrong, kind, says) in rows {
        let provider =
            Provider::start(move |mood, base, _| if mood == 0 { wrong(base) } else { json(200, &good(base)) }).await;
        let client = provider.client().build().unwrap();
        for _ in 0..2 {
            let error = client.acquire_token_for_client(SCOPE).await.unwrap_err();
            testkit::witness_error(&error);
            assert_eq!(error.kind(), kind, "{says}: {error:?}");
            assert!(error.to_string().contains(says), "{says}: {error}");
            assert!(error.advice().is_some(), "{says}");
        }
        assert_eq!(provider.stub.requests(), 1, "{says}: told again, not asked again");
        assert_eq!(provider.stub.last().method, "GET", "{says}: nothing was sent to a token endpoint");
        provider.is(1);
        provider.clock.advance(Duration::from_secs(6));
        client.acquire_token_for_client(SCOPE).await.unwrap_or_else(|error| panic!("{says}: {error:?}"));
    }
}

fn with(base: &str, member: &str, to: Value) -> Response<Body> {
    let mut configuration = good(base);
    configuration[member] = to;
    json(200, &configuration)
}

#[tokio::test]
async fn it_is_fetched_anew_once_a_day_and_outlives_an_outage() {
    let provider = Provider::start(|mood, base, _| match mood {
        0 => json(200, &good(base)),
        1 => json(503, &value!(null)),
        _ => with(base, "token_endpoint", format!("{base}/token-moved").into()),
    })
    .await;
    let client = provider.client().build().unwrap();
    let ask = || client.acquire_token_for_client(SCOPE).force_refresh(true);
    ask().await.unwrap();
    provider.is(1);
    provider.clock.advance(minutes(23 * 60));
    ask().await.unwrap();
    assert_eq!(provider.stub.requests(), 3, "one document so far");
    provider.clock.advance(minutes(61));
    assert_eq!(ask().await.unwrap().secret(), "from:/token", "the old one serves");
    assert_eq!(provider.stub.requests(), 5);
    ask().await.unwrap();
    assert_eq!(provider.stub.requests(), 6, "not asked for with every token");
    provider.is(2);
    provider.clock.advance(minutes(6));
    assert_eq!(ask().await.unwrap().secret(), "from:/token-moved");
}

#[tokio::test]
async fn a_missing_v2_is_hinted_at() {
    let stub = Stub::start(|request| {
        let base = format!("http://{}", request.header("host").unwrap());
        match request.method.as_str() {
            "GET" => json(200, &value!({ "issuer": base, "token_endpoint": format!("{base}/token") })),
            _ => json(
                400,
                &value!({ "error": "invalid_request", "error_codes": [900144], "error_description": "AADSTS900144: scope" }),
            ),
        }
    })
    .await;
    let client = ConfidentialClient::builder(DAEMON)
        .oidc_authority(stub.url("/contoso"))
        .allow_http_loopback(true)
        .client_secret(secret())
        .build()
        .unwrap();
    let error = client.acquire_token_for_client(SCOPE).await.unwrap_err();
    assert!(error.advice().unwrap().contains("/v2.0"), "{error:?}");
}
