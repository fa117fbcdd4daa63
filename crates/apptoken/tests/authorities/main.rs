//! Where tokens are asked for: every kind of authority on the wire, over real HTTP and, for Microsoft's names, real TLS.
#![cfg(feature = "reqwest")]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../stub/mod.rs"]
mod stub;

mod clouds;
mod kinds;
mod oidc;
mod region;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apptoken::clock::ManualClock;
use apptoken::http::{Request, ReqwestTransport, Response, Transport, TransportError};
use apptoken::{ConfidentialClient, ConfidentialClientBuilder, Environment};
use apptoken_emulator::Emulator;
use common::{CONTOSO, DAEMON, secret};

/// A local Entra ID by Microsoft's names, and by one that Entra does not know to be its own.
struct Entra {
    emulator: Emulator,
    address: SocketAddr,
    clock: Arc<ManualClock>,
}

/// Notes what goes out, `GET` and `POST` with the address.
#[derive(Clone)]
struct Noted {
    inner: Arc<ReqwestTransport>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Entra {
    async fn start() -> Self {
        testkit::init();
        let emulator =
            Emulator::builder().seed(common::seed()).host_name(PRIVATE).host_name(CIAM).start().await.unwrap();
        let port = emulator.authority().rsplit_once(':').unwrap().1.parse().unwrap();
        Self { emulator, address: SocketAddr::from(([127, 0, 0, 1], port)), clock: Arc::default() }
    }

    /// Leads `names` here, and those in `elsewhere` to where they say; nothing leaves this machine.
    fn transport(&self, names: &[&str], elsewhere: &[(&str, SocketAddr)]) -> Noted {
        let mut builder = ReqwestTransport::builder()
            .use_proxies(false)
            .trust_machine_roots(false)
            .add_root_certificate_pem(self.emulator.ca_pem().as_bytes())
            .unwrap();
        for name in names {
            builder = builder.resolve(*name, self.address);
        }
        for (name, address) in elsewhere {
            builder = builder.resolve(*name, *address);
        }
        Noted { inner: Arc::new(builder.build()), sent: Arc::default() }
    }

    fn client(&self, transport: &Noted) -> ConfidentialClientBuilder {
        ConfidentialClient::builder(DAEMON)
            .tenant(CONTOSO)
            .client_secret(secret())
            .environment(Environment::from_iter::<[(&str, &str); 0]>([]))
            .transport(transport.clone())
            .clock(self.clock.clone())
    }
}

impl Noted {
    /// What went out since the last look.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}

impl Transport for Noted {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let uri = request.uri();
        let query = if uri.query().is_some() { "?" } else { "" };
        let line = format!(
            "{} {}://{}{}{query}",
            request.method(),
            uri.scheme_str().unwrap(),
            uri.authority().unwrap(),
            uri.path()
        );
        self.sent.lock().unwrap().push(line);
        self.inner.send(request).await
    }
}

fn post(host: &str) -> String {
    format!("POST https://{host}/{CONTOSO}/oauth2/v2.0/token")
}

/// Lets what runs behind go on, in real time, until `done`.
async fn until(done: impl Fn() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds");
}

/// Where nobody listens.
fn nowhere() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Not Microsoft's, but the local Entra ID answers by it.
const PRIVATE: &str = "login.contoso.example";
const CIAM: &str = "contoso.ciamlogin.com";
const PUBLIC: &str = "login.microsoftonline.com";
const DISCOVERY: &str = "GET https://login.microsoftonline.com/common/discovery/instance?";
