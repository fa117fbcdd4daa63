//! Very many tokens that come due together, under traffic.

use std::hint::black_box;
use std::time::{Duration, Instant};

use apptoken::ConfidentialClient;
use apptoken::cache::TokenCache;
use apptoken::http::RequestRate;
use peers_harness::{Args, Out, SCOPE, SECRET, tenant};

use crate::calls::{Control, picks, two};
use crate::many::fill;
use crate::peer::{builder, many};
use crate::turns::quantile;

/// Fills `count` slots, whose tokens all come due within a minute, and measures hits before and meanwhile; the client
/// that has the traffic keeps to its default rate.
pub(crate) fn refreshes(args: &Args, count: usize, ours: &Out) {
    let runtime = two();
    let control = Control::new(args);
    let cache = TokenCache::in_memory();
    let filler = many(args).token_cache(&cache).build().expect("a client");
    let client =
        builder(args).client_secret(SECRET).max_cached_tokens(2_000_000).token_cache(&cache).build().expect("a client");
    let tenants: Vec<String> = (0..count).map(tenant).collect();
    runtime.block_on(async {
        control.set(&format!("refresh_in={}", CALM.as_secs() + FILLING.as_secs())).await;
        let begun = Instant::now();
        fill(&filler, 0..count, 16).await;
        assert!(begun.elapsed() < FILLING, "the first tokens are due before the last one is there");
        control.set("refresh_in=0").await;
    });
    let filled = Instant::now();
    let picks = picks(&tenants, 1 << 16);
    let _inside = runtime.enter();
    let calm = hits(&client, &picks, CALM / 2);
    std::thread::sleep((CALM + FILLING).saturating_sub(filled.elapsed()));
    let before = runtime.block_on(control.token_requests());
    let begun = Instant::now();
    let storm = hits(&client, &picks, STORM);
    let took = begun.elapsed();
    let requests = runtime.block_on(control.token_requests()) - before;
    let rate = RequestRate::default();
    let allowed = f64::from(rate.burst) + f64::from(rate.per_second) * took.as_secs_f64();
    ours.put("calm.hit-p99", calm.len(), quantile(calm, 0.99), "ns/op", &[]);
    ours.put("storm.hit-p99", storm.len(), quantile(storm, 0.99), "ns/op", &[]);
    ours.put("storm.requests", count, requests as f64, "requests", &[]);
    ours.put("storm.rate", count, allowed, "requests", &[]);
}

/// Nanoseconds of single hits on tenants at random; one in sixteen is timed.
fn hits(client: &ConfidentialClient, picks: &[&str], for_long: Duration) -> Vec<f64> {
    let mut taken = Vec::new();
    let begun = Instant::now();
    tokio::runtime::Handle::current().block_on(async {
        for (number, tenant) in picks.iter().cycle().enumerate() {
            let timer = (number % 16 == 0).then(Instant::now);
            black_box(client.acquire_token_for_client(SCOPE).tenant(tenant).await.expect("a token"));
            if let Some(timer) = timer {
                taken.push(timer.elapsed().as_nanos() as f64);
                if begun.elapsed() > for_long {
                    break;
                }
            }
        }
    });
    taken
}

const FILLING: Duration = Duration::from_secs(20);
const CALM: Duration = Duration::from_secs(10);
const STORM: Duration = Duration::from_secs(60);
