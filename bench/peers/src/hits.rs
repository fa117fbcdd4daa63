//! A kept token, on one thread and on two, beside the limit.

use std::hint::black_box;
use std::time::Duration;

use peers_harness::{Args, Cred, Out, Peer, SCOPE, TENANT, tenant};

use crate::calls::{one, rate};
use crate::limit::{Limit, coarse_clock};
use crate::peer::{Apptoken, many};
use crate::turns::{Work, median, nanoseconds};

pub(crate) fn one_key(args: &Args, ours: &Out, limit: &Out) {
    let runtime = one();
    let client = Apptoken::open(args, Cred::Secret);
    let source = client.token_source(SCOPE).expect("a source");
    let token = runtime.block_on(Apptoken::get(&client, SCOPE));
    let map = Limit::of([TENANT].into_iter(), token.secret());
    let works: [Work<'_>; 4] = [
        Box::new(|times| (0..times).for_each(|_| drop(black_box(map.get(black_box(TENANT)))))),
        Box::new(|times| (0..times).for_each(|_| drop(black_box((map.get(black_box(TENANT)), coarse_clock()))))),
        Box::new(|times| {
            runtime.block_on(async {
                for _ in 0..times {
                    black_box(client.acquire_token_for_client(black_box(SCOPE)).await.expect("a token"));
                }
            });
        }),
        Box::new(|times| {
            runtime.block_on(async {
                for _ in 0..times {
                    black_box(source.token().await.expect("a token"));
                }
            });
        }),
    ];
    let [lookup, with_clock, through_client, through_source] = nanoseconds(works);
    limit.put("hit.lookup", 1, lookup, "ns/op", &[]);
    limit.put("hit.lookup-clock", 1, with_clock, "ns/op", &[]);
    ours.put("hit.client", 1, through_client, "ns/op", &[]);
    ours.put("hit.source", 1, through_source, "ns/op", &[]);
}

pub(crate) fn two_threads(args: &Args, ours: &Out, limit: &Out) {
    let client = many(args).build().expect("a client");
    let tenants = [tenant(0), tenant(1)];
    let tokens = one().block_on(async {
        let mut tokens = Vec::new();
        for tenant in &tenants {
            tokens.push(client.acquire_token_for_client(SCOPE).tenant(tenant).await.expect("a token"));
        }
        tokens
    });
    let map = Limit::of(tenants.iter().map(String::as_str), tokens[0].secret());
    let hits = |same: bool| {
        let (client, tenants) = (&client, &tenants);
        move |number: usize| {
            let (runtime, tenant) = (one(), &tenants[if same { 0 } else { number }]);
            move || {
                runtime.block_on(async {
                    for _ in 0..64 {
                        black_box(
                            client.acquire_token_for_client(SCOPE).tenant(black_box(tenant)).await.expect("a token"),
                        );
                    }
                });
            }
        }
    };
    let lookups = |same: bool| {
        let (map, tenants) = (&map, &tenants);
        move |number: usize| {
            let tenant = &tenants[if same { 0 } else { number }];
            move || (0..64).for_each(|_| drop(black_box(map.get(black_box(tenant)))))
        }
    };
    let mut rounds: [Vec<f64>; 6] = Default::default();
    for _ in 0..5 {
        let measured = [
            rate(1, TURN, hits(true)),
            rate(2, TURN, hits(false)),
            rate(2, TURN, hits(true)),
            rate(1, TURN, lookups(true)),
            rate(2, TURN, lookups(false)),
            rate(2, TURN, lookups(true)),
        ];
        rounds.iter_mut().zip(measured).for_each(|(round, rate)| round.push(rate * 64.0));
    }
    let [one, different, same, limit_one, limit_different, limit_same] = rounds.map(median);
    for (out, one, different, same) in [(ours, one, different, same), (limit, limit_one, limit_different, limit_same)] {
        out.put("threads.one", 1, one, "ops/s", &[]);
        out.put("threads.different", 2, different, "ops/s", &[]);
        out.put("threads.same", 2, same, "ops/s", &[]);
    }
}

const TURN: Duration = Duration::from_millis(500);
