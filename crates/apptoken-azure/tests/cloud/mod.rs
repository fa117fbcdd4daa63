//! A storage account and a key vault on loopback, under HTTPS and their own names, for the SDK's unmodified clients.
//! Tokens are judged by `apptoken-protect`, with the local Entra ID's keys.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, reason = "a test's servers")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use apptoken_emulator::Emulator;
use apptoken_jose::base64url;
use apptoken_jose::issue::Ca;
use apptoken_protect::Protect;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::serve::Listener;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use http::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, HOST, LAST_MODIFIED, RANGE, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}"#;
const ACCOUNT: &str = "contoso.blob.core.windows.net";
const VAULT: &str = "contoso.vault.azure.net";

pub struct Cloud {
    ca: Ca,
    pub storage: Service,
    pub vault: Service,
}

/// One host, and what it has seen and keeps.
pub struct Service {
    name: &'static str,
    address: SocketAddr,
    state: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    things: Mutex<HashMap<String, Bytes>>,
    /// The `Authorization` headers that came, in order; empty for none.
    seen: Mutex<Vec<String>>,
    revoked: Mutex<HashSet<String>>,
}

impl Cloud {
    pub async fn start(entra: &Emulator) -> Self {
        let ca = Ca::generate("the test's own CA", SystemTime::now()).unwrap();
        let storage = Service::start(entra, &ca, ACCOUNT, "https://storage.azure.com", blobs).await;
        let vault = Service::start(entra, &ca, VAULT, "https://vault.azure.net", secrets).await;
        Self { ca, storage, vault }
    }

    /// Options for the SDK's clients: the services' names lead to loopback, and their CA is trusted.
    pub fn options(&self) -> ClientOptions {
        let ca = reqwest::Certificate::from_der(self.ca.certificate().der()).unwrap();
        let mut http = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
        for service in [&self.storage, &self.vault] {
            http = http.resolve(service.name, service.address);
        }
        ClientOptions {
            transport: Some(Transport::new(Arc::new(http.build().unwrap()))),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        }
    }
}

impl Service {
    async fn start<F>(
        entra: &Emulator,
        ca: &Ca,
        name: &'static str,
        audience: &str,
        answer: fn(State<Arc<Kept>>, Request) -> F,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let clock = entra.clock().clone();
        let protect = Protect::api(audience)
            .audience(format!("{audience}/"))
            .tenant(TENANT)
            .authority(entra.authority())
            .add_root_certificate_pem(entra.ca_pem())
            .unwrap()
            .clock(move || clock.now())
            .allow_without_roles(true)
            .build()
            .await
            .unwrap();
        let state = Arc::<Kept>::default();
        let gate = Arc::new(Gate { state: state.clone(), audience: audience.to_owned(), name });
        let app = Router::new()
            .fallback(answer)
            .with_state(state.clone())
            .layer(protect)
            .layer(middleware::from_fn_with_state(gate, admit));
        let leaf = ca.server_leaf(&[name], SystemTime::now()).unwrap();
        let chain = leaf.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key_pkcs8_der.to_vec()));
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Tls { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) };
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { name, address, state }
    }

    pub fn url(&self) -> String {
        format!("https://{}:{}/", self.name, self.address.port())
    }

    /// How many requests came with a token, and without.
    pub fn requests(&self) -> (usize, usize) {
        let seen = self.state.seen.lock().unwrap();
        let without = seen.iter().filter(|authorization| authorization.is_empty()).count();
        (seen.len() - without, without)
    }

    /// Turns down every token that it has seen so far.
    pub fn revoke(&self) {
        let seen = self.state.seen.lock().unwrap();
        self.state.revoked.lock().unwrap().extend(seen.iter().filter(|token| !token.is_empty()).cloned());
    }

    pub fn tokens(&self) -> usize {
        self.state.seen.lock().unwrap().iter().filter(|token| !token.is_empty()).collect::<HashSet<_>>().len()
    }
}

struct Gate {
    state: Arc<Kept>,
    audience: String,
    name: &'static str,
}

async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.refusal(&request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

impl Gate {
    /// What these services do before they look at a token: the key vault's challenge that tells the resource, and
    /// continuous access evaluation.
    fn refusal(&self, request: &Request) -> Option<Response> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(header(HOST).starts_with(self.name), "{}", header(HOST));
        let authorization = header(AUTHORIZATION).to_owned();
        self.state.seen.lock().unwrap().push(authorization.clone());
        let challenge =
            format!(r#"Bearer authorization="https://login.windows.net/{TENANT}", resource="{}""#, self.audience);
        let refused = |challenge: String| {
            let mut response = Response::new(Body::from(r#"{"error":{"code":"Unauthorized"}}"#));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            response
        };
        if authorization.is_empty() {
            // a body that comes before the challenge would go to a vault that nobody has vouched for
            assert!(header(http::header::CONTENT_LENGTH).trim_matches('0').is_empty());
            return Some(refused(challenge));
        }
        if self.state.revoked.lock().unwrap().contains(&authorization) {
            let claims = base64url::encode(CLAIMS.as_bytes());
            return Some(refused(format!(r#"{challenge}, error="insufficient_claims", claims="{claims}""#)));
        }
        None
    }
}

/// As much of Blob Storage's REST API as creating a container and writing and reading a block blob needs.
async fn blobs(State(kept): State<Arc<Kept>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    assert!(header("x-ms-version").is_some_and(|version| version.starts_with("20")), "{:?}", parts.headers);
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default();
    let answer = Response::builder().header(ETAG, "\"0x1\"").header(LAST_MODIFIED, "Mon, 01 Jan 2024 00:00:00 GMT");
    let container = path.split('/').nth(1).map(|name| format!("/{name}")).unwrap_or_default();
    match parts.method {
        Method::PUT if query.contains("restype=container") => {
            let old = kept.things.lock().unwrap().insert(container, Bytes::new());
            match old {
                None => answer.status(201).body(Body::empty()).unwrap(),
                Some(_) => storage_error(409, "ContainerAlreadyExists"),
            }
        }
        Method::PUT if header("x-ms-blob-type") == Some("BlockBlob") => {
            if !kept.things.lock().unwrap().contains_key(&container) {
                return storage_error(404, "ContainerNotFound");
            }
            kept.things.lock().unwrap().insert(path, body);
            answer.status(201).body(Body::empty()).unwrap()
        }
        Method::GET => {
            let Some(blob) = kept.things.lock().unwrap().get(&path).cloned() else {
                return storage_error(404, "BlobNotFound");
            };
            let answer = answer
                .header("x-ms-blob-type", "BlockBlob")
                .header("x-ms-creation-time", "Mon, 01 Jan 2024 00:00:00 GMT");
            match header("x-ms-range").or_else(|| header(RANGE.as_str())) {
                None => answer.status(200).body(Body::from(blob)).unwrap(),
                Some(_) => {
                    let whole = format!("bytes 0-{}/{}", blob.len() - 1, blob.len());
                    answer.status(206).header(CONTENT_RANGE, whole).body(Body::from(blob)).unwrap()
                }
            }
        }
        method => panic!("{method} {path}?{query}"),
    }
}

fn storage_error(status: u16, code: &str) -> Response {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    Response::builder()
        .status(status)
        .header("x-ms-error-code", code)
        .header("content-type", "application/xml")
        .body(Body::from(body))
        .unwrap()
}

/// Set and get of a secret.
async fn secrets(State(kept): State<Arc<Kept>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    assert!(parts.uri.query().is_some_and(|query| query.contains("api-version=")), "{}", parts.uri);
    let name = parts.uri.path().trim_matches('/').to_owned();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    if parts.method == Method::PUT {
        let sent: Value = serde_json::from_slice(&body).unwrap();
        kept.things.lock().unwrap().insert(name.clone(), sent["value"].as_str().unwrap().to_owned().into());
    }
    let value = kept.things.lock().unwrap().get(&name).cloned();
    let (status, body) = match value {
        Some(value) => {
            (200, json!({ "id": format!("https://{VAULT}/{name}/1"), "value": str::from_utf8(&value).unwrap() }))
        }
        None => (404, json!({ "error": { "code": "SecretNotFound", "message": "on purpose" } })),
    };
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Body::from(body.to_string())).unwrap()
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
