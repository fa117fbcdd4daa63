//! The hit path, beside the least that any cache must do: a papaya lookup and an `Arc` clone over a key of the same
//! parts, and the same with a coarse look at the clock.

use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use apptoken::ConfidentialClient;
use apptoken::clock::{Clock, SystemClock};
use apptoken::http::{Request, Response, Transport, TransportError};
use criterion::{Criterion, criterion_group, criterion_main};
use papaya::Equivalent;

const TENANT: &str = "11111111-1111-4111-8111-111111111111";
const SCOPE: &str = "https://graph.microsoft.com/.default";

fn hits(criterion: &mut Criterion) {
    let client = ConfidentialClient::builder("00000000-0000-0000-0000-000000000001")
        .tenant(TENANT)
        .client_secret("only for the form")
        .transport(Canned)
        .build()
        .expect("the settings are right");
    let source = client.token_source(SCOPE).expect("the scope is right");
    ready(source.token()).expect("the canned authority grants");

    let map = papaya::HashMap::<Key, Arc<str>, _>::with_hasher(foldhash::fast::RandomState::default());
    map.pin().insert(Key(TENANT.into(), SCOPE.into()), "token".into());

    let mut group = criterion.benchmark_group("hit");
    group.bench_function("limit: papaya lookup + Arc clone", |bencher| {
        bencher.iter(|| map.pin().get(&KeyRef(black_box(TENANT), black_box(SCOPE))).cloned());
    });
    group.bench_function("limit: the same + coarse clock", |bencher| {
        bencher.iter(|| (map.pin().get(&KeyRef(black_box(TENANT), black_box(SCOPE))).cloned(), SystemClock.now()));
    });
    group.bench_function("acquire_token_for_client", |bencher| {
        bencher.iter(|| ready(client.acquire_token_for_client([black_box(SCOPE)])));
    });
    group.bench_function("TokenSource", |bencher| bencher.iter(|| ready(black_box(&source).token())));
    group.finish();
}

/// Polls once, which a hit needs no more than; for the first call, which fills the cache, the transport is ready at once.
fn ready<T: IntoFuture>(call: T) -> T::Output {
    match pin!(call.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => token,
        Poll::Pending => unreachable!("a hit is ready at once"),
    }
}

/// An authority in the same process, so that the bench measures the client alone.
struct Canned;

impl Transport for Canned {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        let token = "t".repeat(1500);
        let body = format!(r#"{{"token_type":"Bearer","expires_in":86399,"access_token":"{token}"}}"#);
        Ok::<_, Infallible>(Response::new(body.into())).map_err(|never| match never {})
    }
}

#[derive(PartialEq, Eq)]
struct Key(Box<str>, Box<str>);
struct KeyRef<'a>(&'a str, &'a str);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef(&self.0, &self.1).hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.0 == *key.0 && *self.1 == *key.1
    }
}

criterion_group!(benches, hits);
criterion_main!(benches);
