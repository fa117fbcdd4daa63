//! The hit path, beside the least that any cache must do, and the same with a coarse look at the clock.

mod canned;

use std::hint::black_box;

use apptoken::clock::{Clock, SystemClock};
use canned::{Limit, SCOPE, ready};
use criterion::{Criterion, criterion_group, criterion_main};

fn hits(criterion: &mut Criterion) {
    let (client, source) = canned::client();
    let limit = Limit::new();
    let mut group = criterion.benchmark_group("hit");
    group.bench_function("limit: papaya lookup + Arc clone", |bencher| bencher.iter(|| limit.get()));
    group.bench_function("limit: the same + coarse clock", |bencher| {
        bencher.iter(|| (limit.get(), SystemClock.now()));
    });
    group.bench_function("acquire_token_for_client", |bencher| {
        bencher.iter(|| ready(client.acquire_token_for_client([black_box(SCOPE)])));
    });
    group.bench_function("TokenSource", |bencher| bencher.iter(|| ready(black_box(&source).token())));
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
