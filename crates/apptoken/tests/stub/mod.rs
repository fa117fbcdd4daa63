//! A small server on loopback that notes every request and answers as a test says.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared by tests that each use a part")]

pub mod imds;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::serve::Listener;
use http::{HeaderMap, Response};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub struct Stub {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

/// One request as it came.
#[derive(Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Names and values in order.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: String,
    /// How many came before it.
    pub number: usize,
}

impl Stub {
    pub async fn start(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> Self {
        testkit::init();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (seen, app) = app(answer);
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, scheme: "http", seen, server }
    }

    pub async fn start_tls(
        acceptor: TlsAcceptor,
        answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        testkit::init();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (seen, app) = app(answer);
        let address = tcp.local_addr().unwrap();
        let listener = TlsListener { tcp, acceptor };
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, scheme: "https", seen, server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Seen {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.into())
    }
}

pub fn json(status: u16, body: &Value) -> Response<Body> {
    Response::builder().status(status).header("content-type", "application/json").body(body.to_string().into()).unwrap()
}

fn app(answer: impl Fn(&Seen) -> Response<Body> + Send + Sync + 'static) -> (Arc<Mutex<Vec<Seen>>>, Router) {
    let (seen, answer) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(answer));
    let notes = seen.clone();
    let app = Router::new().fallback(move |request: Request| {
        let (notes, answer) = (notes.clone(), answer.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let query = parts.uri.query().unwrap_or_default();
            let seen = {
                let mut notes = notes.lock().unwrap();
                let seen = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
                    headers: parts.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                    number: notes.len(),
                };
                notes.push(seen.clone());
                seen
            };
            answer(&seen)
        }
    });
    (seen, app)
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            // a client that does not like the certificate goes away
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
