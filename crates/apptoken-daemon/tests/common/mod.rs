//! Settings on disk, an authority that answers from memory, and an API that remembers what it was sent.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared by tests that each use a part")]

pub mod tls;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken_daemon::{TokenAcquirerFactory, TokenAcquirerFactoryBuilder};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method};

pub const NO_VARIABLES: [(&str, &str); 0] = [];

/// A folder with settings in it.
pub struct Settings {
    folder: tempfile::TempDir,
}

impl Settings {
    pub fn new(appsettings: impl AsRef<[u8]>) -> Self {
        testkit::init();
        let settings = Self { folder: tempfile::tempdir().unwrap() };
        settings.write("appsettings.json", appsettings);
        settings
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A factory on these settings and no variables, whose tokens come from `authority`.
    pub fn builder(&self, authority: &Authority) -> TokenAcquirerFactoryBuilder {
        let authority = authority.clone();
        TokenAcquirerFactory::builder()
            .file(self.path("appsettings.json"))
            .environment(NO_VARIABLES)
            .client(move |client| client.transport(authority.clone()))
    }

    pub fn factory(&self, authority: &Authority) -> TokenAcquirerFactory {
        self.builder(authority).build().unwrap()
    }
}

/// A token endpoint without a network: it grants `token-1`, `token-2`, … and keeps what it was asked. As an OpenID provider
/// it also says where that endpoint is.
#[derive(Clone, Default)]
pub struct Authority {
    asked: Arc<Mutex<Vec<Asked>>>,
    refuses: bool,
}

/// A token request.
#[derive(Clone)]
pub struct Asked {
    pub url: String,
    pub headers: HeaderMap,
    pub form: HashMap<String, String>,
}

impl Authority {
    pub fn refusing() -> Self {
        Self { refuses: true, ..Self::default() }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Transport for Authority {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if let Some(issuer) = request.uri().to_string().strip_suffix("/.well-known/openid-configuration") {
            let token_endpoint = format!("{issuer}/token-of-metadata");
            let metadata = serde_json::json!({ "issuer": issuer, "token_endpoint": token_endpoint });
            return Ok(Response::new(Bytes::from(metadata.to_string())));
        }
        let form = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Asked { url: request.uri().to_string(), headers: request.headers().clone(), form });
            asked.len()
        };
        let (status, body) = if self.refuses {
            let text = "AADSTS7000215: Invalid client secret provided.";
            (401, serde_json::json!({ "error": "invalid_client", "error_description": text, "error_codes": [7000215] }))
        } else {
            let token = format!("token-{number}");
            (200, serde_json::json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token }))
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok(response)
    }
}

/// A web API on a loopback port.
pub struct Api {
    /// With a slash at its end.
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

/// A request that the API got.
#[derive(Clone)]
pub struct Seen {
    /// Counted from 1.
    pub number: usize,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Api {
    /// Answers every request with what `answer` makes of it.
    pub async fn start(answer: impl Fn(&Seen) -> http::Response<String> + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let log = seen.clone();
        let router = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let path = head.uri.path_and_query().unwrap().to_string();
                let seen = {
                    let mut log = log.lock().unwrap();
                    let number = log.len() + 1;
                    log.push(Seen { number, method: head.method, path, headers: head.headers, body });
                    log[number - 1].clone()
                };
                answer(&seen).map(Body::from)
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base, seen, server }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer with a JSON body.
pub fn json(status: u16, body: &str) -> http::Response<String> {
    http::Response::builder().status(status).header("content-type", "application/json").body(body.to_owned()).unwrap()
}

/// An answer without a body.
pub fn bare(status: u16) -> http::Response<String> {
    http::Response::builder().status(status).body(String::new()).unwrap()
}

/// Settings with an app that has a secret, and `api` as the body of `MyWebApi` after its `BaseUrl` and `Scopes`.
pub fn calling(api: &Api, more: &str) -> Settings {
    Settings::new(format!(
        r#"{{
            "AzureAd": {{
                "TenantId": "contoso.onmicrosoft.com",
                "ClientId": "00001111-aaaa-2222-bbbb-3333cccc4444",
                "ClientCredentials": [ {{ "SourceType": "ClientSecret", "ClientSecret": "c4n4ry-secret" }} ]
            }},
            "MyWebApi": {{
                "BaseUrl": "{}",
                "RelativePath": "api/TodoList",
                "RequestAppToken": true,
                "Scopes": [ "api://todolist/.default" ],
                {more}
            }}
        }}"#,
        api.base
    ))
}
