//! Full load for as long as is asked, with everything going wrong now and then: `cargo xtask soak [SECONDS]`.
//!
//! Three members of a fleet, each with a small memory of its own in front of one shared second level, want the tokens of
//! many tenants, on every core. Tokens live for some seconds; the authority throttles, fails, resets, is slow, answers with
//! garbage or half; the second level is emptied and tampered with; callers go away in the middle. It fails when a token is
//! not the one that was asked for or has expired, when a member gets no valid token of a key for too long, when an error is
//! none that passes, or when memory grows.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for a person")]
#![allow(clippy::disallowed_methods, reason = "real time passes in a soak")]

mod callers;
mod trouble;
mod watch;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callers::Member;
use watch::Watch;
use world::World;

fn main() -> ExitCode {
    let Some(seconds) = std::env::args().find_map(|argument| argument.parse().ok()) else {
        println!("how many seconds? not run as one of all benches, but by `cargo xtask soak`");
        return ExitCode::SUCCESS;
    };
    // callers keep the threads busy: sockets and timers are looked at all the same
    let runtime = tokio::runtime::Builder::new_multi_thread().event_interval(4).enable_all().build();
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
    let watch = Arc::new(Watch::new(MEMBERS * world.keys()));
    let (calm, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let members: Vec<_> = (0..MEMBERS).map(|number| Member::new(&world, &watch, number)).collect();
    let calling = members.iter().cycle().take(CALLERS).enumerate();
    let mut tasks: Vec<_> = calling
        .map(|(number, member)| tokio::spawn(callers::call(member.clone(), stop.clone(), number as u64)))
        .collect();
    tasks.push(tokio::spawn(trouble::make(world.clone(), watch.clone(), calm.clone())));
    tasks.push(tokio::spawn(watch::memory(watch.clone(), stop.clone())));
    tokio::time::sleep(time).await;
    // when all is well again, every member gets every token: what is without by the end was so before, and is stuck
    calm.store(true, Ordering::Relaxed);
    tokio::time::sleep(watch::longest_without()).await;
    watch.end();
    stop.store(true, Ordering::Relaxed);
    let mut failures = Vec::new();
    for task in tasks {
        failures.extend(task.await.err().map(|panic| panic.to_string()));
    }
    failures.extend(watch.failures());
    let text = format!("token requests   {}\n{watch}", world.entra.token_requests());
    Report { text, failures }
}

const MEMBERS: usize = 3;
const CALLERS: usize = 6;
