//! The load: so many connections, each asking for the next token as soon as it has one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::header::{CONTENT_TYPE, HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::Result;
use crate::servers::Server;

/// A server's token endpoint, the form that it takes, and how to reach it.
pub struct Load {
    url: Url,
    form: Bytes,
    tls: TlsConnector,
    runtime: tokio::runtime::Runtime,
}

pub struct Ran {
    pub tokens: u64,
    pub took: Duration,
    /// Of each token, ascending.
    times: Vec<Duration>,
}

impl Ran {
    /// Milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let index = self.times.len() * percent / 100;
        self.times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl Load {
    pub fn new(server: &Server) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(server.root.clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            url: server.token_endpoint.clone(),
            form: server.form.clone().into(),
            tls: TlsConnector::from(Arc::new(config)),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// One token, on a connection of its own.
    pub fn one(&self) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = self.connect().await?;
            self.token(&mut connection).await
        })
    }

    /// As many tokens as come in this time.
    pub fn run(&self, window: Duration) -> Result<Ran> {
        self.runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(self.connect().await?);
            }
            let begun = Instant::now();
            let workers = connections.into_iter().map(|mut connection| async move {
                let mut times = Vec::new();
                while begun.elapsed() < window {
                    let asked = Instant::now();
                    self.token(&mut connection).await?;
                    times.push(asked.elapsed());
                }
                Result::Ok(times)
            });
            let mut times: Vec<Duration> = try_join_all(workers).await?.into_iter().flatten().collect();
            let took = begun.elapsed();
            times.sort_unstable();
            Ok(Ran { tokens: times.len() as u64, took, times })
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let port = self.url.port_or_known_default().ok_or("no port")?;
        let tcp = TcpStream::connect((self.url.host_str().ok_or("no host")?, port)).await?;
        tcp.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("localhost")?, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn token(&self, connection: &mut SendRequest<Full<Bytes>>) -> Result<()> {
        let request = http::Request::post(self.url.path())
            .header(HOST, self.url.authority())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(self.form.clone()))?;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let is_token = body.windows(ACCESS_TOKEN.len()).any(|part| part == ACCESS_TOKEN);
        if status.is_success() && is_token {
            return Ok(());
        }
        Err(format!("{}: {status} {}", self.url, String::from_utf8_lossy(&body)).into())
    }
}

const CONNECTIONS: usize = 16;
const ACCESS_TOKEN: &[u8] = b"\"access_token\":\"eyJ";
