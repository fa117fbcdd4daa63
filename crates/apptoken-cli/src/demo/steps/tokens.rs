//! Getting tokens: by secret, from the cache, anew, by certificate; whose audience; for a thousand callers.

use std::time::Duration;

use apptoken::{AccessToken, AcquiredFrom, RefreshReason};
use tokio::task::JoinSet;

use super::{claims, told};
use crate::clock::Stopwatch;
use crate::demo::narrator::Narrator;
use crate::demo::world::{API_ID, API_SCOPE, World};
use crate::exit::Failure;
use crate::words;

pub(super) async fn by_secret_and_again(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("A token by client secret")?;
    let (client, record) = world.client(|builder| builder.client_secret(world.secret().to_owned()))?;
    let asked = world.entra.token_requests();
    let first = client.acquire_token_for_client(API_SCOPE).await?;
    for exchange in record.take() {
        narrator.exchange(&exchange)?;
    }
    let claims = claims(&first)?;
    narrator.wire(told(&claims))?;
    narrator.check(
        first.metadata().source == AcquiredFrom::Authority,
        format_args!("issued by {}", first.metadata().token_endpoint),
    )?;
    narrator.check(
        claims.get("aud").is_some_and(|aud| aud == API_ID),
        "for the API: a version 2.0 token's aud is the API's client id",
    )?;
    narrator
        .check(claims.get("azpacr").is_some_and(|proof| proof == "1"), "azpacr 1 says that a secret proved the app")?;

    narrator.step("Again: from the cache")?;
    let watch = Stopwatch::start();
    let again = client.acquire_token_for_client(API_SCOPE).await?;
    let took = watch.elapsed();
    let hit = again.metadata().source == AcquiredFrom::Cache && again.secret() == first.secret();
    narrator.check(hit, format_args!("the same token in {}", words::measured(took)))?;
    let source = client.token_source(API_SCOPE)?;
    let watch = Stopwatch::start();
    let again = source.token().await?;
    let took = watch.elapsed();
    narrator.check(
        again.secret() == first.secret(),
        format_args!("and by a TokenSource, which knows its scope, in {}", words::measured(took)),
    )?;
    narrator.check(world.entra.token_requests() - asked == 1, "the authority was asked once in all")?;

    narrator.step("Force refresh: past the cache")?;
    let watch = Stopwatch::start();
    let fresh = client.acquire_token_for_client(API_SCOPE).force_refresh(true).await?;
    let took = watch.elapsed();
    let metadata = fresh.metadata();
    let anew =
        metadata.source == AcquiredFrom::Authority && metadata.refresh_reason == RefreshReason::ForceRefreshOrClaims;
    narrator.check(
        anew && fresh.secret() != first.secret(),
        format_args!("a new token, asked for and issued in {}", words::measured(took)),
    )?;
    let kept = client.acquire_token_for_client(API_SCOPE).await?;
    narrator.check(kept.secret() == fresh.secret(), "which is from now on the cached one")
}

pub(super) async fn by_certificate(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("A token by certificate")?;
    let certificate = world.certificate()?;
    let (client, record) = world.client(|builder| builder.certificate(certificate))?;
    let token = client.acquire_token_for_client(API_SCOPE).await?;
    let exchanges = record.take();
    for exchange in &exchanges {
        narrator.exchange(exchange)?;
    }
    let claims = claims(&token)?;
    narrator.wire(told(&claims))?;
    let assertion = exchanges.first().and_then(|exchange| exchange.field("client_assertion")).unwrap_or_default();
    narrator.check(
        assertion.contains("alg PS256, x5t#S256") && exchanges[0].field("client_secret").is_none(),
        "no secret travelled, but an assertion signed with PS256 that names the certificate by SHA-256",
    )?;
    narrator.check(
        claims.get("azpacr").is_some_and(|proof| proof == "2"),
        "azpacr 2 says that a certificate proved the app",
    )
}

pub(super) async fn one_slash_or_two(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("Azure SQL: one slash or two")?;
    narrator.note(
        "The resource is what stands before the last slash. Azure SQL's ends in a slash, so its scope has two.",
    )?;
    let (client, _) = world.client(|builder| builder.client_secret(world.secret().to_owned()))?;
    for (scope, expected) in [
        ("https://database.windows.net/.default", "https://database.windows.net"),
        ("https://database.windows.net//.default", "https://database.windows.net/"),
    ] {
        let audience = claims(&client.acquire_token_for_client(scope).await?)?.remove("aud").unwrap_or_default();
        let audience = audience.as_str().unwrap_or_default();
        let verdict = if expected.ends_with('/') { "which Azure SQL accepts" } else { "which Azure SQL refuses" };
        narrator.check(audience == expected, format_args!("{scope:<38} aud {audience}, {verdict}"))?;
    }
    narrator.check(client.cached_tokens() == 2, "two resources, two tokens in the cache")
}

pub(super) async fn a_thousand_callers(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    const CALLERS: usize = 1_000;
    const SCOPE: &str = "https://vault.azure.net/.default";
    narrator.step("1,000 callers at once, one request")?;
    let (client, _) = world.client(|builder| builder.client_secret(world.secret().to_owned()))?;
    // long enough that every caller is there before the answer
    world.entra.faults().latency(Duration::from_millis(200));
    let before = world.entra.token_requests();
    let watch = Stopwatch::start();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move { client.acquire_token_for_client(SCOPE).await });
    }
    let outcomes = callers.join_all().await;
    let took = watch.elapsed();
    world.entra.faults().clear();
    let requests = world.entra.token_requests() - before;
    let tokens = outcomes.into_iter().collect::<Result<Vec<AccessToken>, _>>()?;
    let same = tokens.windows(2).all(|pair| pair[0].secret() == pair[1].secret());
    narrator.check(
        tokens.len() == CALLERS && same,
        format_args!("{} callers have the same token after {}", words::grouped(CALLERS as u64), words::measured(took)),
    )?;
    narrator.check(requests == 1, format_args!("the authority, which took 200 ms, counted {requests} request"))
}
