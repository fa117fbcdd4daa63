//! What the targets share: the local Entra ID without sockets, and a client whose authority answers with the fuzzer's bytes. Everything but the network is real.

pub mod entra;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use apptoken::clock::ManualClock;
use apptoken::http::{Request, Response, RetryPolicy, Transport, TransportError};
use apptoken::{ConfidentialClient, ConfidentialClientBuilder};
use bytes::Bytes;

/// An authority that gives the answers it is told to, the last one for ever.
#[derive(Clone, Default)]
pub struct Authority(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    answer: Response,
    requests: Vec<Request>,
}

impl Authority {
    /// What the next requests get.
    pub fn answer(&self, status: u16, headers: &[(&str, &[u8])], body: &[u8]) {
        let mut response = Response::new(Bytes::copy_from_slice(body));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::OK);
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(*name), http::HeaderValue::try_from(*value)) {
                response.headers_mut().append(name, value);
            }
        }
        self.told().answer = response;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.told().requests.clone()
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Authority {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut told = self.told();
        told.requests.push(request);
        Ok(told.answer.clone())
    }
}

/// A client of `authority`, with a clock that stands still.
pub fn client(authority: &Authority) -> ConfidentialClientBuilder {
    ConfidentialClient::builder("00001111-aaaa-2222-bbbb-3333cccc4444")
        .tenant("contoso.onmicrosoft.com")
        .client_secret(SECRET)
        .retry(RetryPolicy::NONE)
        .clock(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000))))
        .transport(authority.clone())
}

/// Runs what waits for nothing but its own turns.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("nothing to wait for, and it waits");
}

/// Must not be found in anything that is shown.
pub const SECRET: &str = "c4n4ry-of-the-fuzzer";
pub const GRAPH: &str = "https://graph.microsoft.com/.default";
/// An answer without fault.
pub const GOOD: &[u8] =
    br#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"c4n4ry.good.token"}"#;
