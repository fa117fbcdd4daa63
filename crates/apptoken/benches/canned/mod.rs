//! A client whose authority is in the same process, so that a bench measures the client alone; and the least that any
//! cache must do: a papaya lookup and an `Arc` clone over a key of the same parts.

use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, TokenSource};
use foldhash::fast::RandomState;
use papaya::Equivalent;

pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const SCOPE: &str = "https://graph.microsoft.com/.default";

/// A client that holds a token for [`SCOPE`], and its source.
pub(crate) fn client() -> (ConfidentialClient, TokenSource) {
    let client = ConfidentialClient::builder("00000000-0000-0000-0000-000000000001")
        .tenant(TENANT)
        .client_secret("only for the form")
        .transport(Canned)
        .build()
        .expect("the settings are right");
    let source = client.token_source(SCOPE).expect("the scope is right");
    ready(source.token()).expect("the canned authority grants");
    (client, source)
}

/// Polls once, which a hit needs no more than; for the first call, which fills the cache, the transport is ready at once.
pub(crate) fn ready<T: IntoFuture>(call: T) -> T::Output {
    match pin!(call.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => token,
        Poll::Pending => unreachable!("a hit is ready at once"),
    }
}

/// The limit.
pub(crate) struct Limit(papaya::HashMap<Key, Arc<str>, RandomState>);

impl Limit {
    pub(crate) fn new() -> Self {
        let map = papaya::HashMap::with_hasher(RandomState::default());
        map.pin().insert(Key(TENANT.into(), SCOPE.into()), "token".into());
        Self(map)
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Arc<str>> {
        self.0.pin().get(&KeyRef(black_box(TENANT), black_box(SCOPE))).cloned()
    }
}

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
