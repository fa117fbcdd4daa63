//! Many tenants in one process.

use std::future::IntoFuture;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use apptoken::ConfidentialClient;
use peers_harness::{Args, Out, SCOPE, rss, tenant};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use crate::calls::{one, picks};
use crate::limit::Limit;
use crate::peer::many;
use crate::turns::{Work, nanoseconds};
use crate::wire::bare_requests;

pub(crate) fn tenants(args: &Args, count: usize, ours: &Out, limit: &Out) {
    let case = |what: &str| format!("many-{count}.{what}");
    let runtime = one();
    let bare = runtime.block_on(bare_requests(args, 2000));
    limit.put(&case("fill"), 2000, bare, "ns/op", &[]);

    let client = many(args).build().expect("a client");
    let tenants: Vec<String> = (0..count).map(tenant).collect();
    let token = runtime.block_on(client.acquire_token_for_client(SCOPE).tenant(&*tenants[0]).into_future());
    let token = token.expect("a token");
    let (begun, tenth) = (Instant::now(), count / 10);
    let filled = |range| runtime.block_on(fill(&client, range, 1));
    let first = filled(1..tenth);
    // what is allocated once is there by now
    let memory = rss();
    filled(tenth..count - tenth);
    let last = filled(count - tenth..count);
    ours.put(&case("fill"), count, begun.elapsed().as_nanos() as f64 / (count - 1) as f64, "ns/op", &[]);
    ours.put(&case("fill-first"), tenth - 1, first.as_secs_f64() * 1e3 / (tenth - 1) as f64, "ms-cpu/op", &[]);
    ours.put(&case("fill-last"), tenth, last.as_secs_f64() * 1e3 / tenth as f64, "ms-cpu/op", &[]);
    ours.put(&case("memory"), count, rss().saturating_sub(memory) as f64 / (count - tenth) as f64, "B/entry", &[]);
    ours.put(&case("token"), count, token.secret().len() as f64, "B/entry", &[]);

    let map = Limit::of(tenants.iter().map(String::as_str), token.secret());
    let picks = picks(&tenants, PICKS);
    let (mut at_ours, mut at_limit) = (0, 0);
    let works: [Work<'_>; 2] = [
        Box::new(|times| {
            runtime.block_on(async {
                for _ in 0..times {
                    at_ours = (at_ours + 1) % PICKS;
                    black_box(client.acquire_token_for_client(SCOPE).tenant(picks[at_ours]).await.expect("a token"));
                }
            });
        }),
        Box::new(|times| {
            for _ in 0..times {
                at_limit = (at_limit + 1) % PICKS;
                black_box(map.get(picks[at_limit]));
            }
        }),
    ];
    let [hit, lookup] = nanoseconds(works);
    ours.put(&case("hit"), count, hit, "ns/op", &[]);
    limit.put(&case("hit"), count, lookup, "ns/op", &[]);
}

/// Fetches these tenants' tokens by so many callers. Says how much of the processor's time that took.
pub(crate) async fn fill(client: &ConfidentialClient, range: Range<usize>, callers: usize) -> Duration {
    let before = cpu();
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let (client, own) = (client.clone(), range.clone().skip(caller).step_by(callers));
        running.spawn(async move {
            for number in own {
                drop(client.acquire_token_for_client(SCOPE).tenant(&tenant(number)).await.expect("a token"));
            }
        });
    }
    running.join_all().await;
    cpu() - before
}

/// Of this process, on all its threads.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::from_secs(time.tv_sec as u64) + Duration::from_nanos(time.tv_nsec as u64)
}

const PICKS: usize = 1 << 16;
