//! A hit allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, Environment, ManagedIdentityClient};

/// An authority in this process, whose tokens have this length.
struct Canned(usize);

impl Transport for Canned {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        let token = "t".repeat(self.0);
        let body =
            format!(r#"{{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"{token}"}}"#);
        Ok(Response::new(body.into()))
    }
}

fn ready<T: IntoFuture>(call: T) -> T::Output {
    match pin!(call.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(token) => token,
        Poll::Pending => unreachable!("the canned authority answers at once"),
    }
}

#[test]
fn a_managed_identitys_hit_allocates_nothing() {
    let client = ManagedIdentityClient::system_assigned()
        .environment(Environment::from_iter([("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")]))
        .transport(Canned(1))
        .build()
        .unwrap();
    let source = client.token_source("https://vault.azure.net").unwrap();
    ready(source.token()).unwrap();
    let hits = allocation_counter::measure(|| {
        for _ in 0..1000 {
            drop(ready(client.acquire_token("https://vault.azure.net/.default")).unwrap());
            drop(ready(client.acquire_token(["https://vault.azure.net"])).unwrap());
            drop(ready(source.token()).unwrap());
        }
    });
    assert_eq!((hits.count_total, client.cached_tokens()), (0, 1));
}

#[test]
fn a_hit_allocates_nothing() {
    let scope = "https://graph.microsoft.com/.default";
    let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .client_secret("secret")
        .transport(Canned(1))
        .build()
        .unwrap();
    let source = client.token_source(scope).unwrap();
    let miss = allocation_counter::measure(|| drop(ready(client.acquire_token_for_client([scope])).unwrap()));
    ready(client.acquire_token_for_client([scope]).tenant("fabrikam.com")).unwrap();
    ready(source.token()).unwrap();
    let hits = allocation_counter::measure(|| {
        for _ in 0..1000 {
            let token = ready(client.acquire_token_for_client([scope])).unwrap();
            drop(token.authorization_header());
            assert!(!token.secret().is_empty());
            drop(ready(client.acquire_token_for_client(scope).tenant("fabrikam.com")).unwrap());
            drop(ready(source.token()).unwrap());
        }
    });
    assert!(miss.count_total > 0, "the counter counts");
    assert_eq!(hits.count_total, 0, "{hits:?}");
}

/// A million tenants in one process are an ordinary day.
#[test]
fn an_entry_takes_its_token_and_less_than_400_bytes() {
    let (scope, length) = ("https://graph.microsoft.com/.default", 1500);
    let client = ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.com")
        .client_secret("secret")
        .transport(Canned(length))
        .build()
        .unwrap();
    let mut filled = 0;
    let mut fill = |up_to: u32| {
        let held = allocation_counter::measure(|| {
            for tenant in filled..up_to {
                let tenant = format!("{tenant:08}-1111-4111-8111-111111111111");
                drop(ready(client.acquire_token_for_client(scope).tenant(&tenant)).unwrap());
            }
        });
        let each = usize::try_from(held.bytes_current).unwrap() / usize::try_from(up_to - filled).unwrap();
        filled = up_to;
        each
    };
    fill(100);
    let each = [fill(1_000), fill(4_000), fill(16_000)];
    assert!(each.iter().all(|each| *each <= length + 400), "{each:?}");
    let counted = client.memory_counters();
    let told = counted.bytes / counted.entries;
    assert!(told.abs_diff(each[2]) < 100, "{told} told, {each:?} taken");
}
