//! A hit allocates nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, Environment, ManagedIdentityClient};

struct Canned;

impl Transport for Canned {
    async fn send(&self, _request: Request) -> Result<Response, TransportError> {
        let body = r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"t"}"#;
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
        .transport(Canned)
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
        .transport(Canned)
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
