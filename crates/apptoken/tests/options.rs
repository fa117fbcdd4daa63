//! The options of one request: what each does to the wire, to the key of the cache, and to a kept token. Over HTTP, against
//! a server that notes what comes.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;
mod stub;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::{
    AccessToken, AcquireTokenForClient, AcquiredFrom, AppToken, AppTokenRequest, BeforeTokenRequest, Certificate,
    ConfidentialClient, ConfidentialClientBuilder, Credential, Error, ErrorKind,
};
use apptoken_jose::base64url;
use aws_lc_rs::digest;
use serde_json::{Value, json};
use stub::{Seen, Stub};
use testkit::{CANARY, keys};
use uuid::Uuid;

const SCOPE: &str = "api://todolist/.default";
const CHALLENGE: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}"#;

/// An authority that grants a new token each time, and a client of it.
struct World {
    authority: Stub,
    clock: Arc<ManualClock>,
    client: ConfidentialClient,
}

impl World {
    async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(adjust: impl FnOnce(ConfidentialClientBuilder) -> ConfidentialClientBuilder) -> Self {
        Self::of(Credential::client_secret(format!("{CANARY}-secret")), adjust).await
    }

    async fn of(
        credential: Credential,
        adjust: impl FnOnce(ConfidentialClientBuilder) -> ConfidentialClientBuilder,
    ) -> Self {
        let authority = Stub::start(|seen| {
            let token = format!("{CANARY}-token-{}", seen.number);
            stub::json(200, &json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token}))
        })
        .await;
        let clock = Arc::new(ManualClock::default());
        let builder = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
            .tenant("contoso.com")
            .authority(authority.url(""))
            .allow_http_loopback(true)
            .credential(credential)
            .clock(clock.clone());
        let client = adjust(builder).build().unwrap();
        Self { authority, clock, client }
    }

    async fn token(&self, options: impl FnOnce(AcquireTokenForClient<'_>) -> AcquireTokenForClient<'_>) -> AccessToken {
        self.outcome(options).await.unwrap()
    }

    async fn outcome(
        &self,
        options: impl FnOnce(AcquireTokenForClient<'_>) -> AcquireTokenForClient<'_>,
    ) -> Result<AccessToken, Error> {
        let call = options(self.client.acquire_token_for_client(SCOPE));
        testkit::witness(&call);
        call.await
    }
}

type Set = fn(AcquireTokenForClient<'_>) -> AcquireTokenForClient<'_>;

fn claims(seen: &Seen) -> Value {
    serde_json::from_str(&seen.form("claims").unwrap_or_default()).unwrap_or_default()
}

/// The header and the claims of the assertion.
fn assertion(seen: &Seen) -> (Value, Value) {
    let assertion = seen.form("client_assertion").unwrap();
    let part = |n| base64url::decode(assertion.split('.').nth(n).unwrap()).unwrap();
    (serde_json::from_slice(&part(0)).unwrap(), serde_json::from_slice(&part(1)).unwrap())
}

/// One row: what is set, what the wire shows, another value of the same option, and whether they share a token.
struct Row {
    option: &'static str,
    set: Set,
    on_the_wire: fn(&Seen) -> bool,
    other: Set,
    in_the_key: bool,
}

/// The table of the request's documentation, row by row.
const ROWS: [Row; 16] = [
    Row {
        option: "tenant",
        set: |call| call.tenant("fabrikam.com"),
        on_the_wire: |seen| seen.path == "/fabrikam.com/oauth2/v2.0/token",
        other: |call| call.tenant("northwind.com"),
        in_the_key: true,
    },
    Row {
        option: "correlation_id",
        set: |call| call.correlation_id(Uuid::from_u128(1)),
        on_the_wire: |seen| seen.header("client-request-id") == Some("00000000-0000-0000-0000-000000000001"),
        other: |call| call.correlation_id(Uuid::from_u128(2)),
        in_the_key: false,
    },
    Row {
        option: "claims_from_client",
        set: |call| call.claims_from_client(r#"{"nsp":{"essential":true}}"#),
        on_the_wire: |seen| claims(seen) == json!({"nsp": {"essential": true}}),
        other: |call| call.claims_from_client(r#"{"nsp":{"essential":false}}"#),
        in_the_key: true,
    },
    Row {
        option: "extra_query_parameter",
        set: |call| call.extra_query_parameter("slice", "a&b=c d"),
        on_the_wire: |seen| seen.query == [("slice".to_owned(), "a&b=c d".to_owned())],
        other: |call| call.extra_query_parameter("slice", "2"),
        in_the_key: true,
    },
    Row {
        option: "extra_query_parameter_not_in_key",
        set: |call| call.extra_query_parameter_not_in_key("dc", "1"),
        on_the_wire: |seen| seen.query("dc") == Some("1"),
        other: |call| call.extra_query_parameter_not_in_key("dc", "2"),
        in_the_key: false,
    },
    Row {
        option: "extra_body_parameter",
        set: |call| call.extra_body_parameter("x-policy", "a&b=c"),
        on_the_wire: |seen| seen.form("x-policy").as_deref() == Some("a&b=c"),
        other: |call| call.extra_body_parameter("x-policy", "2"),
        in_the_key: true,
    },
    Row {
        option: "extra_header",
        set: |call| call.extra_header("X-Hint", "1"),
        on_the_wire: |seen| seen.header("x-hint") == Some("1"),
        other: |call| call.extra_header("X-Hint", "2"),
        in_the_key: false,
    },
    Row {
        option: "fmi_path",
        set: |call| call.fmi_path("SomeFmiPath/fmi"),
        on_the_wire: |seen| seen.form("fmi_path").as_deref() == Some("SomeFmiPath/fmi"),
        other: |call| call.fmi_path("SomeFmiPath/fm"),
        in_the_key: true,
    },
    Row {
        option: "fmi_path_for_client_assertion",
        set: |call| call.fmi_path_for_client_assertion("a"),
        on_the_wire: |seen| seen.form("fmi_path").is_none(),
        other: |call| call.fmi_path_for_client_assertion("b"),
        in_the_key: true,
    },
    Row {
        option: "extra_client_assertion_claims",
        set: |call| call.extra_client_assertion_claims(r#"{"xms_az_nwperimid":["p"]}"#),
        on_the_wire: |seen| assertion(seen).1["xms_az_nwperimid"] == json!(["p"]),
        other: |call| call.extra_client_assertion_claims(r#"{"xms_az_nwperimid":["q"]}"#),
        in_the_key: true,
    },
    Row {
        option: "send_x5c",
        set: |call| call.send_x5c(true),
        on_the_wire: |seen| assertion(seen).0["x5c"].is_array(),
        other: |call| call.send_x5c(false),
        in_the_key: false,
    },
    Row {
        option: "attributes",
        set: |call| call.attributes(r#"{"a":1}"#),
        on_the_wire: |seen| seen.form("attributes").as_deref() == Some(r#"{"a":1}"#),
        other: |call| call.attributes(r#"{"a":2}"#),
        in_the_key: true,
    },
    Row {
        option: "attribute_tokens",
        set: |call| call.attribute_tokens(["b", " a", "b"]),
        on_the_wire: |seen| seen.form("attribute_tokens").as_deref() == Some("a b"),
        other: |call| call.attribute_tokens(["a"]),
        in_the_key: true,
    },
    Row {
        option: "cache_partition_key",
        set: |call| call.cache_partition_key("workload", "1"),
        on_the_wire: |seen| seen.query.is_empty() && !seen.body.contains("workload"),
        other: |call| call.cache_partition_key("workload", "2"),
        in_the_key: true,
    },
    Row {
        option: "on_before_token_request",
        set: |call| call.on_before_token_request("nonce", |request: BeforeTokenRequest| nonce(request, "1")),
        on_the_wire: |seen| seen.header("x-nonce") == Some("1"),
        other: |call| call.on_before_token_request("another", |request: BeforeTokenRequest| nonce(request, "2")),
        in_the_key: true,
    },
    Row {
        option: "timeout",
        set: |call| call.timeout(Duration::from_secs(7)),
        on_the_wire: |_| true,
        other: |call| call.timeout(Duration::from_secs(8)),
        in_the_key: false,
    },
];

async fn nonce(request: BeforeTokenRequest, nonce: &str) -> Result<BeforeTokenRequest, Error> {
    Ok(request.header("x-nonce", nonce))
}

#[tokio::test]
async fn each_option_is_on_the_wire_and_in_the_key_as_documented() {
    for Row { option, set, on_the_wire, other, in_the_key } in ROWS {
        let world = World::of(Credential::certificate(certificate()), |builder| builder).await;
        let first = world.token(set).await;
        assert!(on_the_wire(&world.authority.last()), "{option}");
        // kept under its key
        assert_eq!(world.token(set).await.secret(), first.secret(), "{option}: the same again");
        assert_eq!(world.authority.requests(), 1, "{option}");
        let with_other = world.token(other).await;
        let plain = world.token(|call| call).await;
        let again = world.token(set).await;
        assert_eq!(again.secret(), first.secret(), "{option}: still kept");
        let want = if in_the_key { 3 } else { 1 };
        assert_eq!(world.authority.requests(), want, "{option}");
        assert_eq!(with_other.secret() != first.secret(), in_the_key, "{option}: another value");
        assert_eq!(plain.secret() != first.secret(), in_the_key, "{option}: none");
        assert_eq!(world.client.cached_tokens(), want, "{option}");
    }
}

#[tokio::test]
async fn a_plain_request_holds_nothing_of_the_options() {
    let world = World::start().await;
    world.token(|call| call.force_refresh(false)).await;
    let seen = world.authority.last();
    let names = url::form_urlencoded::parse(seen.body.as_bytes()).map(|(name, _)| name.into_owned());
    assert_eq!(names.collect::<Vec<_>>(), ["client_id", "scope", "client_secret", "grant_type"]);
    assert!(seen.query.is_empty());
}

/// The same characters, cut elsewhere or meant elsewhere, are other keys.
#[tokio::test]
async fn keys_are_unambiguous() {
    let world = World::start().await;
    let calls: [Set; 8] = [
        |call| call.extra_body_parameter("a", "bc"),
        |call| call.extra_body_parameter("ab", "c"),
        |call| call.extra_query_parameter("a", "bc"),
        |call| call.cache_partition_key("a", "bc"),
        |call| call.extra_body_parameter("a", "b").extra_body_parameter("c", ""),
        |call| call.extra_body_parameter("a", "b1:c0:"),
        |call| call.fmi_path("bc"),
        |call| call.fmi_path_for_client_assertion("bc"),
    ];
    for (count, set) in calls.into_iter().enumerate() {
        world.token(set).await;
        assert_eq!(world.authority.requests(), count + 1);
    }
    // their order is not part of it
    world.token(|call| call.extra_body_parameter("c", "").extra_body_parameter("a", "b")).await;
    world.token(|call| call.attribute_tokens(["x", "y"]).fmi_path("z")).await;
    world.token(|call| call.fmi_path("z").attribute_tokens(["y", "x"])).await;
    assert_eq!(world.authority.requests(), calls.len() + 1);
}

/// MSAL's matrix of force, claims and hash, row by row.
#[tokio::test]
async fn force_claims_and_hash_together() {
    struct Case {
        force: bool,
        claims: bool,
        /// Whether the hash given is the kept token's.
        hash: Option<bool>,
        asks: bool,
    }
    let case = |force, claims, hash, asks| Case { force, claims, hash, asks };
    for Case { force, claims, hash, asks } in [
        case(true, false, None, true),
        case(true, true, None, true),
        case(false, true, None, true),
        case(false, true, Some(true), true),
        case(false, true, Some(false), false),
        case(false, false, Some(true), true),
        case(false, false, Some(false), false),
        case(false, false, None, false),
    ] {
        let row = format!("force {force}, claims {claims}, hash of the kept one {hash:?}");
        let world = World::start().await;
        let kept = world.token(|call| call).await;
        let sha256 = hash.map(|own| hex_sha256(if own { kept.secret() } else { "an older one" }));
        let token = world
            .token(|mut call| {
                call = call.force_refresh(force);
                if claims {
                    call = call.claims(CHALLENGE);
                }
                match &sha256 {
                    Some(sha256) => call.refresh_if_token_sha256(sha256),
                    None => call,
                }
            })
            .await;
        assert_eq!(world.authority.requests(), 1 + usize::from(asks), "{row}");
        assert_eq!(token.metadata().source == AcquiredFrom::Authority, asks, "{row}");
        assert_eq!(world.authority.last().form("claims").is_some(), claims && asks, "{row}");
        // what was fetched took the place of what was kept
        assert_eq!(world.token(|call| call).await.secret(), token.secret(), "{row}");
    }
    // the two rows that contradict themselves, in either order
    let world = World::start().await;
    let hash = hex_sha256("a token");
    for error in [
        world.outcome(|call| call.force_refresh(true).refresh_if_token_sha256(&hash)).await.unwrap_err(),
        world
            .outcome(|call| call.refresh_if_token_sha256(&hash).claims(CHALLENGE).force_refresh(true))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("contradict"), "{error}");
    }
    assert_eq!(world.authority.requests(), 0);
}

/// A hundred callers, all turned down with the same token, cause one refresh.
#[tokio::test]
async fn callers_that_were_turned_down_together_share_the_refresh() {
    let world = World::start().await;
    let rejected = hex_sha256(world.token(|call| call).await.secret());
    let calls = (0..100).map(|_| {
        let (client, rejected) = (world.client.clone(), rejected.clone());
        tokio::spawn(async move {
            let call = client.acquire_token_for_client(SCOPE).claims(CHALLENGE).refresh_if_token_sha256(&rejected);
            call.await.unwrap().secret().to_owned()
        })
    });
    let mut secrets = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        secrets.push(call.await.unwrap());
    }
    secrets.dedup();
    assert_eq!((secrets.len(), world.authority.requests()), (1, 2));
}

#[tokio::test]
async fn capabilities_go_out_with_every_request_and_with_all_claims() {
    let world = World::with(|builder| builder.client_capabilities(["cp1"])).await;
    world.token(|call| call).await;
    let cp1 = json!({"access_token": {"xms_cc": {"values": ["cp1"]}}});
    assert_eq!(claims(&world.authority.last()), cp1);
    // they bypass nothing and are no part of the key
    world.token(|call| call).await;
    assert_eq!((world.authority.requests(), world.client.cached_tokens()), (1, 1));
    world.token(|call| call.claims(CHALLENGE).claims_from_client(r#"{"nsp":{"essential":true}}"#)).await;
    let want = json!({
        "access_token": {"xms_cc": {"values": ["cp1"]}, "nbf": {"essential": true, "value": "1702682181"}},
        "nsp": {"essential": true},
    });
    assert_eq!(claims(&world.authority.last()), want);
}

#[tokio::test]
async fn the_clients_own_query_goes_with_every_request_and_gives_way_to_the_calls() {
    let world =
        World::with(|builder| builder.extra_query_parameter("dc", "ests").extra_query_parameter("slice", "1")).await;
    world.token(|call| call.extra_query_parameter("SLICE", "2")).await;
    let seen = world.authority.last();
    assert_eq!(seen.query, [("dc".to_owned(), "ests".to_owned()), ("SLICE".to_owned(), "2".to_owned())]);
    let error = ConfidentialClient::builder("app")
        .tenant("contoso.com")
        .client_secret("s")
        .extra_query_parameter("scope", "x")
        .build()
        .unwrap_err();
    assert_eq!(error.to_string(), "the extra query parameter \"scope\" is a standard field");
}

#[tokio::test]
async fn what_is_not_the_programs_to_set_is_refused_before_anything_is_sent() {
    let world = World::start().await;
    // a kept token does not hide the mistake
    world.token(|call| call).await;
    let calls: [(Set, &str); 9] = [
        (
            |call| call.extra_body_parameter("client_id", "x"),
            "the extra body parameter \"client_id\" is a standard field",
        ),
        (|call| call.extra_query_parameter("Scope", "x"), "the extra query parameter \"Scope\" is a standard field"),
        (
            |call| call.extra_query_parameter_not_in_key("a b", "x"),
            "the extra query parameter \"a b\" has no parameter's name",
        ),
        (
            |call| call.extra_header("Authorization", "x"),
            "the extra header \"Authorization\" is not the program's to set",
        ),
        (
            |call| call.extra_header("X-Client-SKU", "x"),
            "the extra header \"X-Client-SKU\" is not the program's to set",
        ),
        (|call| call.claims("e30"), "the claims are not a JSON object"),
        (|call| call.claims(r#"{"access_token":7}"#), "the access_token of the claims is not a JSON object"),
        (|call| call.claims_from_client("[1]"), "the client's claims are not a JSON object"),
        (|call| call.refresh_if_token_sha256("abc"), "what was given to refresh_if_token_sha256 is no SHA-256"),
    ];
    for (set, want) in calls {
        let error = world.outcome(set).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Configuration, want));
    }
    assert_eq!(world.authority.requests(), 1);
}

#[tokio::test]
async fn a_refresh_behind_the_callers_back_asks_for_the_same() {
    let world = World::start().await;
    let set: Set = |call| call.fmi_path("agent").extra_query_parameter("slice", "1");
    let first = world.token(set).await;
    world.clock.advance(Duration::from_secs(3600 - 299));
    let second = world.token(set).await;
    assert_ne!(first.secret(), second.secret());
    let seen = world.authority.last();
    assert_eq!((seen.form("fmi_path").as_deref(), seen.query("slice")), (Some("agent"), Some("1")));
}

#[tokio::test]
async fn a_source_has_the_tenant_and_options_of_its_call() {
    let world = World::start().await;
    let call = world.client.acquire_token_for_client(SCOPE).tenant("fabrikam.com").fmi_path("agent");
    let source = call.token_source().unwrap();
    let first = source.token().await.unwrap();
    let seen = world.authority.last();
    assert_eq!(
        (seen.path.as_str(), seen.form("fmi_path").as_deref()),
        ("/fabrikam.com/oauth2/v2.0/token", Some("agent"))
    );
    let call = world.token(|call| call.tenant("fabrikam.com").fmi_path("agent")).await;
    assert_eq!((call.secret(), world.authority.requests()), (first.secret(), 1));
    world.clock.advance(Duration::from_secs(3600));
    source.token().await.unwrap();
    assert_eq!(world.authority.last().form("fmi_path").as_deref(), Some("agent"));
    for call in [
        world.client.acquire_token_for_client(SCOPE).force_refresh(true),
        world.client.acquire_token_for_client(SCOPE).claims(CHALLENGE),
        world.client.acquire_token_for_client(SCOPE).fmi_path(""),
    ] {
        assert_eq!(call.token_source().unwrap_err().kind(), ErrorKind::Configuration);
    }
}

#[tokio::test]
async fn cleared_tokens_are_asked_for_again() {
    let world = World::start().await;
    let source = world.client.token_source(SCOPE).unwrap();
    let first = source.token().await.unwrap();
    world.token(|call| call.tenant("Fabrikam.com")).await;
    world.client.clear_tokens_of("fabrikam.COM");
    assert_eq!(world.client.cached_tokens(), 1);
    source.token().await.unwrap();
    assert_eq!(world.authority.requests(), 2);
    world.client.clear_tokens();
    assert_eq!(world.client.cached_tokens(), 0);
    // a source that was made before has no token any more either, and shares the next one with all other calls
    assert_ne!(source.token().await.unwrap().secret(), first.secret());
    world.token(|call| call).await;
    world.token(|call| call.tenant("Fabrikam.com")).await;
    assert_eq!(world.authority.requests(), 4);
}

#[tokio::test]
async fn a_call_names_only_tenants_that_are_allowed() {
    let world = World::with(|builder| builder.allowed_tenants(["fabrikam.com"])).await;
    world.token(|call| call.tenant("Fabrikam.com")).await;
    world.token(|call| call.tenant("contoso.com")).await;
    let error = world.outcome(|call| call.tenant("northwind.com")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().starts_with("the tenant northwind.com is not among those"), "{error}");
    assert_eq!(world.authority.requests(), 2);
}

/// An assertion that was signed for one request is reused only for those that want the same.
#[tokio::test]
async fn assertions_are_told_apart() {
    let world =
        World::of(Credential::certificate(certificate()), |builder| builder.assertion_claims(r#"{"a":1}"#)).await;
    let mut assertions = Vec::new();
    let calls: [Set; 5] = [
        |call| call.tenant("contoso.com"),
        |call| call.send_x5c(true),
        |call| call.extra_client_assertion_claims(r#"{"b":2}"#),
        |call| call.extra_client_assertion_claims(r#"{"a":3}"#),
        |call| call.send_x5c(false),
    ];
    for set in calls {
        world.token(|call| set(call).force_refresh(true)).await;
        let seen = world.authority.last();
        assertions.push((seen.form("client_assertion").unwrap(), assertion(&seen)));
    }
    assert_eq!(assertions[0].0, assertions[4].0, "reused");
    let claims = |n: usize| (assertions[n].1.1["a"].clone(), assertions[n].1.1["b"].clone());
    assert_eq!(
        [claims(0), claims(2), claims(3)],
        [(json!(1), json!(null)), (json!(1), json!(2)), (json!(3), json!(null))]
    );
    assert!(assertions[0].1.0.get("x5c").is_none() && assertions[1].1.0.get("x5c").is_some());
}

/// The client keeps what the provider gets, by tenant and key, and asks it once for many callers.
#[tokio::test]
async fn tokens_from_elsewhere_are_kept_like_others() {
    let asked = Arc::new(Mutex::new(Vec::<AppTokenRequest>::new()));
    let log = asked.clone();
    let provider = move |request: AppTokenRequest| {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.len()
        };
        async move {
            tokio::task::yield_now().await;
            match request.tenant.as_str() {
                "empty.com" => Ok(AppToken::new(" ", Duration::from_secs(3600))),
                "expired.com" => Ok(AppToken::new("token", Duration::ZERO)),
                "failing.com" => Err(std::io::Error::other("the vault is sealed")),
                _ => Ok(AppToken::new(format!("{CANARY}-minted-{number}"), Duration::from_secs(7200))),
            }
        }
    };
    let world =
        World::of(Credential::app_token_provider(provider), |builder| builder.client_capabilities(["cp1"])).await;
    testkit::witness(&world.client);
    let calls = (0..50).map(|_| {
        let client = world.client.clone();
        tokio::spawn(async move { client.acquire_token_for_client(SCOPE).await.unwrap().secret().to_owned() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), format!("{CANARY}-minted-1"));
    }
    let kept = world.token(|call| call).await;
    // half of a long life, as MSAL infers it
    let life = kept.expires_on().duration_since(kept.refresh_on().unwrap()).unwrap();
    assert_eq!(life, Duration::from_secs(3600));
    world.token(|call| call.tenant("fabrikam.com").claims(CHALLENGE)).await;
    {
        let asked = asked.lock().unwrap();
        let [first, second] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((first.scope.as_str(), first.tenant.as_str()), (SCOPE, "contoso.com"));
        assert_eq!(second.tenant, "fabrikam.com");
        assert!(second.claims.as_ref().is_some_and(|claims| claims.contains("cp1") && claims.contains("nbf")));
    }
    for (tenant, want) in [
        ("empty.com", "the app token provider gave an empty token"),
        ("expired.com", "the app token provider gave a token that has expired"),
        ("failing.com", "the app token provider failed"),
    ] {
        let error = world.client.acquire_token_for_client(SCOPE).tenant(tenant).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Credential, want));
    }
    assert_eq!(world.authority.requests(), 0);
}

/// Before the first try of each token request, in order, and never for a hit; what is sent is checked like any option.
#[tokio::test]
async fn a_hook_has_the_last_word_on_each_token_request() {
    let authority = Stub::start(|seen| match seen.number {
        0 => stub::json(503, &json!({})),
        _ => stub::json(200, &json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "token"})),
    })
    .await;
    let client = ConfidentialClient::builder("app")
        .tenant("contoso.com")
        .authority(authority.url(""))
        .allow_http_loopback(true)
        .client_secret(format!("{CANARY}-secret"))
        .extra_query_parameter("slice", "1")
        .clock(Arc::new(ManualClock::default()))
        .build()
        .unwrap();
    let runs = Arc::new(Mutex::new(Vec::new()));
    let hook = |name: &'static str| {
        let runs = runs.clone();
        move |request: BeforeTokenRequest| {
            testkit::witness(&request);
            let told = [request.client_id(), request.tenant(), request.scope(), request.token_endpoint()];
            runs.lock().unwrap().push((name, told.join(" ")));
            let id = request.correlation_id().to_string();
            async move {
                Ok::<_, Error>(request.query_parameter("slice", name).body_parameter(name, id).header("x-last", name))
            }
        }
    };
    let call = || {
        let call = client.acquire_token_for_client(SCOPE);
        call.on_before_token_request("first", hook("first")).on_before_token_request("second", hook("second"))
    };
    testkit::witness(&call());
    let token = call().await.unwrap();
    assert_eq!(call().await.unwrap().metadata().source, AcquiredFrom::Cache);
    let told = format!("app contoso.com {SCOPE} {}", authority.url("/contoso.com/oauth2/v2.0/token"));
    assert_eq!(*runs.lock().unwrap(), [("first", told.clone()), ("second", told)], "once, although it was sent twice");
    assert_eq!(authority.requests(), 2);
    let (seen, id) = (authority.last(), Some(token.correlation_id().to_string()));
    assert_eq!((seen.form("first"), seen.form("second")), (id.clone(), id));
    assert_eq!(
        (&*seen.query, seen.header("x-last")),
        (&[("slice".to_owned(), "second".to_owned())][..], Some("second"))
    );

    let failing = |_| async { Err::<BeforeTokenRequest, _>("no nonce today") };
    let error = client.acquire_token_for_client(SCOPE).on_before_token_request("nonce", failing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.to_string().split(" [").next(), Some("the hook \"nonce\" of the token request failed"));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no nonce today");
    let forging = |request: BeforeTokenRequest| async { Ok::<_, Error>(request.body_parameter("client_id", "other")) };
    let error = client.acquire_token_for_client(SCOPE).on_before_token_request("x", forging).await.unwrap_err();
    assert!(error.to_string().starts_with("the extra body parameter \"client_id\" is a standard field"), "{error}");
    assert_eq!(authority.requests(), 2);
}

#[tokio::test]
async fn a_token_may_go_with_its_certificate() {
    let associated: Set = |call| call.associated_with_certificate();
    let world = World::of(Credential::certificate(certificate()), |builder| builder).await;
    let first = world.token(associated).await;
    assert_ne!(world.token(|call| call).await.secret(), first.secret());
    assert_eq!(world.token(associated).await.secret(), first.secret());
    let other = Certificate::from_pem(keys::OTHER_CERTIFICATE, keys::OTHER_KEY, None).unwrap();
    world.client.replace_credential(Credential::certificate(other)).unwrap();
    let second = world.token(associated).await;
    assert_ne!(second.secret(), first.secret());
    assert_eq!((second.token_type(), world.authority.requests()), ("Bearer", 3));

    let secret = World::start().await;
    let error = secret.outcome(associated).await.unwrap_err();
    assert_eq!((error.kind(), secret.authority.requests()), (ErrorKind::Configuration, 0));
    let callback = Credential::certificate_callback(|_| async { Ok::<_, Error>(certificate()) });
    let callback = World::of(callback, |builder| builder).await;
    let error = callback.outcome(associated).await.unwrap_err();
    assert!(error.to_string().contains("not known beforehand"), "{error}");
}

#[tokio::test]
async fn what_the_answer_holds_besides_is_kept_with_the_token() {
    let authority = Stub::start(|_| {
        let body = json!({
            "token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 7200, "access_token": format!("{CANARY}-token"),
            "scope": SCOPE, "spiffe_id": "spiffe://contoso.com/daemon", "more": {"a": [1]}, "flag": true,
            "refresh_token": format!("{CANARY}-r"), "long": "x".repeat(20_000),
        });
        stub::json(200, &body)
    })
    .await;
    let client = ConfidentialClient::builder("app")
        .tenant("contoso.com")
        .authority(authority.url(""))
        .allow_http_loopback(true)
        .client_secret(format!("{CANARY}-secret"))
        .build()
        .unwrap();
    for _ in 0..2 {
        let token = client.acquire_token_for_client(SCOPE).await.unwrap();
        let more = token.additional_response_parameters().collect::<Vec<_>>();
        let want = [("flag", "true"), ("more", r#"{"a":[1]}"#), ("spiffe_id", "spiffe://contoso.com/daemon")];
        assert_eq!(more, want, "the standard ones are not among them, nor what is too long");
    }
    assert_eq!(authority.requests(), 1);
}

/// What the local Entra ID makes of them.
#[tokio::test]
async fn capabilities_and_a_path_end_in_the_token() {
    let world = common::World::start().await;
    let client = world.bare().client_secret(common::secret()).client_capabilities(["cp1"]).build().unwrap();
    let claims = |token: &AccessToken| {
        let payload = base64url::decode(token.secret().split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<Value>(&payload).unwrap()
    };
    let token = client.acquire_token_for_client(common::GRAPH).await.unwrap();
    assert_eq!(claims(&token)["xms_cc"], json!(["cp1"]));
    let plain = world.client().acquire_token_for_client(common::GRAPH).await.unwrap();
    assert_eq!(claims(&plain).get("xms_cc"), None);
    let leg =
        client.acquire_token_for_client("api://AzureADTokenExchange/.default").fmi_path("agent/one").await.unwrap();
    assert!(claims(&leg)["sub"].as_str().unwrap().ends_with("/agent/one"), "{}", claims(&leg));
}

fn certificate() -> Certificate {
    Certificate::from_pem(keys::CERTIFICATE, keys::PKCS8, None).unwrap()
}

fn hex_sha256(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}
