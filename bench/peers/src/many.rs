//! Many tenants in one process.

use std::hint::black_box;
use std::time::Instant;

use peers_harness::{Args, Out, SCOPE, rss, tenant};

use crate::calls::{one, picks};
use crate::limit::Limit;
use crate::peer::many;
use crate::turns::{Work, nanoseconds};
use crate::wire::bare_requests;

pub(crate) fn tenants(args: &Args, count: usize, ours: &Out, limit: &Out) {
    let case = |what: &str| format!("many-{count}.{what}");
    let runtime = one();
    let bare = runtime.block_on(bare_requests(args, 2000));
    limit.put(&case("fill"), 2000, bare.iter().sum::<f64>() / bare.len() as f64 * 1e6, "ns/op", &[]);

    let client = many(args).build().expect("a client");
    let tenants: Vec<String> = (0..count).map(tenant).collect();
    let get = |tenant| {
        runtime.block_on(async { client.acquire_token_for_client(SCOPE).tenant(tenant).await.expect("a token") })
    };
    let token = get(&tenants[0]);
    let (memory, begun) = (rss(), Instant::now());
    tenants.iter().skip(1).for_each(|tenant| drop(get(tenant)));
    let entries = count.saturating_sub(1).max(1) as f64;
    ours.put(&case("fill"), count, begun.elapsed().as_nanos() as f64 / entries, "ns/op", &[]);
    ours.put(&case("memory"), count, rss().saturating_sub(memory) as f64 / entries, "B/entry", &[]);
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

const PICKS: usize = 1 << 16;
