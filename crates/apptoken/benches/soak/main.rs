//! Full load for as long as is asked, with everything going wrong now and then: `cargo xtask soak [SECONDS]`.
//!
//! Three members of a fleet, each with a small memory of its own in front of one shared second level, want the tokens of
//! many tenants. Tokens live for some seconds; the authority throttles, fails, resets, is slow, answers with garbage or
//! half; the second level is emptied and tampered with. It fails when a token is not the one that was asked for or has
//! expired, when a key gets no valid token for too long, when an error is none that passes, or when memory grows.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for a person")]
#![allow(clippy::disallowed_methods, reason = "real time passes in a soak")]

mod trouble;
mod watch;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apptoken::ConfidentialClient;
use watch::Watch;
use world::World;

fn main() -> ExitCode {
    let Some(seconds) = std::env::args().find_map(|argument| argument.parse().ok()) else {
        println!("how many seconds? not run as one of all benches, but by `cargo xtask soak`");
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let report = runtime.expect("a runtime").block_on(soak(Duration::from_secs(seconds)));
    println!("{}", report.text);
    report.failures.iter().for_each(|failure| println!("FAILED  {failure}"));
    if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Report {
    text: String,
    failures: Vec<String>,
}

async fn soak(time: Duration) -> Report {
    let world = Arc::new(World::start().await);
    let watch = Arc::new(Watch::new(world.keys()));
    let stop = Arc::new(AtomicBool::new(false));
    let members = [world.member(), world.member(), world.member()];
    let mut tasks = Vec::new();
    for (number, member) in members.iter().cycle().take(CALLERS).enumerate() {
        let (world, watch, stop, member) = (world.clone(), watch.clone(), stop.clone(), member.clone());
        tasks.push(tokio::spawn(async move { call(&world, &watch, &stop, &member, number as u64).await }));
    }
    tasks.push(tokio::spawn(trouble::make(world.clone(), stop.clone())));
    tasks.push(tokio::spawn(watch::memory(watch.clone(), stop.clone())));
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for task in tasks {
        failures.extend(task.await.err().map(|panic| panic.to_string()));
    }
    // when all is well again, every key has its token
    world.heal();
    tokio::time::sleep(RECOVERY).await;
    for member in &members {
        for key in 0..world.keys() {
            let (tenant, api) = world.key(key);
            match member.acquire_token_for_client(api.scope()).tenant(tenant).await {
                Ok(token) => watch.token(key, world.wrong(&token, key)),
                Err(error) => failures.push(format!("{tenant} {}: after all trouble: {error}", api.scope())),
            }
        }
    }
    failures.extend(watch.failures());
    let text = format!("{} token requests; {}", world.entra.token_requests(), watch.in_words());
    Report { text, failures }
}

/// Asks for tokens of keys at random, without a pause but for letting others run.
async fn call(world: &World, watch: &Watch, stop: &AtomicBool, member: &ConfidentialClient, seed: u64) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while !stop.load(Ordering::Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = random as usize % world.keys();
        let (tenant, api) = world.key(key);
        match member.acquire_token_for_client(api.scope()).tenant(tenant).await {
            Ok(token) => watch.token(key, world.wrong(&token, key)),
            Err(error) => watch.error(key, &error),
        }
        if random.is_multiple_of(64) {
            tokio::task::yield_now().await;
        }
    }
}

const CALLERS: usize = 48;
/// Longer than any pause of a circuit and any `Retry-After` here.
const RECOVERY: Duration = Duration::from_secs(15);
