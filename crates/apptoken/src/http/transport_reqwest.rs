use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ::http::Uri;
use bytes::Bytes;
use url::Url;

use super::pin::{self, ThumbprintPin};
use super::proxy::Proxy;
use super::showing::{Showing, reqwest_identity};
use super::{Request, Response, Transport, TransportError, TransportErrorKind};
use crate::wiped::Wiped;
use crate::{ClientIdentity, Error};

/// The default [`Transport`]: reqwest on rustls, with the machine's trusted roots. Redirects are not followed, and plain
/// HTTP goes past every proxy.
///
/// The HTTP client behind it is made with the first request, because loading the machine's roots takes longer than
/// everything else a short program does.
pub struct ReqwestTransport {
    settings: Box<ReqwestTransportBuilder>,
    client: OnceLock<reqwest::Client>,
    /// For plain HTTP, which is spoken on this machine only: a proxy would read the secret.
    direct: OnceLock<reqwest::Client>,
    showing: Showing,
    /// The last request's, in the form that reqwest wants it in.
    address: Mutex<Option<Box<(Uri, Url)>>>,
}

/// Settings of a [`ReqwestTransport`].
#[derive(Clone)]
pub struct ReqwestTransportBuilder {
    roots: Vec<reqwest::Certificate>,
    resolved: Vec<(String, SocketAddr)>,
    machine_roots: bool,
    pin: Option<ThumbprintPin>,
    proxies: bool,
    proxy: Option<Box<Proxy>>,
    no_proxy: Option<String>,
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
    timeout: Duration,
    max_response_bytes: usize,
}

impl ReqwestTransport {
    /// With default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// With settings.
    #[must_use]
    pub fn builder() -> ReqwestTransportBuilder {
        ReqwestTransportBuilder {
            roots: Vec::new(),
            resolved: Vec::new(),
            machine_roots: true,
            pin: None,
            proxies: true,
            proxy: None,
            no_proxy: None,
            read_timeout: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_response_bytes: 1024 * 1024,
        }
    }

    fn client(&self, plain: bool) -> Result<&reqwest::Client, TransportError> {
        let kept = if plain { &self.direct } else { &self.client };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        // two first requests may both make a client; one is kept
        let client = self.settings.client(!plain, None)?;
        Ok(kept.get_or_init(|| client))
    }
}

impl ReqwestTransportBuilder {
    /// Trusts one more private CA, or several: the `CERTIFICATE` blocks of a PEM text.
    ///
    /// # Errors
    /// When there is none in it or one is malformed.
    pub fn add_root_certificate_pem(mut self, pem: &[u8]) -> Result<Self, Error> {
        let unreadable = || Error::configuration("the root certificate to trust is not readable PEM");
        let added = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| unreadable().with_source(error))?;
        if added.is_empty() {
            return Err(unreadable().with_advice("it needs a -----BEGIN CERTIFICATE----- block"));
        }
        self.roots.extend(added);
        Ok(self)
    }

    /// Finds the host `name` at `address`, port included, whatever name resolution says: for a private endpoint, or a
    /// local server in Microsoft's name. Its certificate is checked for the name as ever.
    #[must_use]
    pub fn resolve(mut self, name: impl Into<String>, address: SocketAddr) -> Self {
        self.resolved.push((name.into(), address));
        self
    }

    /// Whether the machine's own roots are trusted as well. Default: yes.
    #[must_use]
    pub fn trust_machine_roots(mut self, trust: bool) -> Self {
        self.machine_roots = trust;
        self
    }

    /// Trusts one certificate, by its thumbprint, and nothing else.
    pub(crate) fn pin(mut self, pin: ThumbprintPin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// Whether the proxies that the environment names (`HTTPS_PROXY`, `NO_PROXY`, …), or the system's settings, are used
    /// where [`proxy`](Self::proxy) is not set. Default: yes, except for plain HTTP, which no proxy may see.
    #[must_use]
    pub fn use_proxies(mut self, use_them: bool) -> Self {
        self.proxies = use_them;
        self
    }

    /// Goes through the HTTP proxy at `url` in place of those that the environment names: `http://proxy.corp:8080`, or
    /// `https://` for one that is spoken to over TLS. A name and a password stand before the host
    /// (`http://daemon:p%40ss@proxy.corp:8080`) and are sent as `Proxy-Authorization: Basic`; they are never shown.
    /// Plain HTTP goes past this proxy too.
    ///
    /// ```
    /// # fn example() -> Result<(), apptoken::Error> {
    /// use apptoken::http::ReqwestTransport;
    ///
    /// let transport = ReqwestTransport::builder()
    ///     .proxy("http://daemon:p%40ss@proxy.corp:8080")?
    ///     .no_proxy("localhost,.corp,10.0.0.0/8")
    ///     .build();
    /// // ConfidentialClient::builder(client_id).transport(transport)
    /// # let _ = transport; Ok(()) }
    /// # example().unwrap();
    /// ```
    ///
    /// # Errors
    /// When `url` is not the address of such a proxy.
    pub fn proxy(mut self, url: &str) -> Result<Self, Error> {
        self.proxy = Some(Box::new(Proxy::parse(url)?));
        Ok(self)
    }

    /// Hosts that are reached without [`proxy`](Self::proxy), as in `NO_PROXY`: names (with those below them),
    /// addresses and networks, separated by commas; `*` for all.
    #[must_use]
    pub fn no_proxy(mut self, hosts: impl Into<String>) -> Self {
        self.no_proxy = Some(hosts.into());
        self
    }

    /// For a connection, TLS included. Default: 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// For each wait for more of an answer. Default: none besides [`timeout`](Self::timeout).
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = Some(timeout);
        self
    }

    /// For a request from the first byte to the last. Default: 30 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest answer that is read. Default: 1 MiB.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.max_response_bytes = bytes;
        self
    }

    /// The transport.
    #[must_use]
    pub fn build(self) -> ReqwestTransport {
        ReqwestTransport {
            settings: Box::new(self),
            client: OnceLock::new(),
            direct: OnceLock::new(),
            showing: Showing::default(),
            address: Mutex::default(),
        }
    }

    fn client(
        &self,
        may_use_proxies: bool,
        identity: Option<&ClientIdentity>,
    ) -> Result<reqwest::Client, TransportError> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .user_agent(concat!("apptoken/", env!("CARGO_PKG_VERSION")))
            // whatever other crates have reqwest unpack: a bound on what comes over the wire bounds what is kept
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        let builder = match self.read_timeout {
            Some(timeout) => builder.read_timeout(timeout),
            None => builder,
        };
        let builder = match &self.proxy {
            Some(proxy) if may_use_proxies => builder.proxy(proxy.except(self.no_proxy.as_deref())),
            None if may_use_proxies && self.proxies => builder,
            Some(_) | None => builder.no_proxy(),
        };
        let builder = match identity {
            Some(identity) => builder.identity(reqwest_identity(identity)?),
            None => builder,
        };
        let resolve =
            |builder: reqwest::ClientBuilder, (name, address): &(String, SocketAddr)| builder.resolve(name, *address);
        let builder = self.resolved.iter().fold(builder, resolve);
        let roots = self.roots.iter().cloned();
        let builder = match self.pin {
            Some(pin) => builder.tls_backend_preconfigured(
                pin::config(pin).map_err(|error| TransportError::new(TransportErrorKind::Setup, error))?,
            ),
            None if self.machine_roots => builder.tls_certs_merge(roots),
            None => builder.tls_certs_only(roots),
        };
        builder.build().map_err(|error| TransportError::new(TransportErrorKind::Setup, error))
    }
}

impl Transport for ReqwestTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (parts, body) = request.into_parts();
        let identity = parts.extensions.get::<ClientIdentity>();
        let mut request = reqwest::Request::new(parts.method, self.address(&parts.uri)?);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(body.into());
        let plain = request.url().scheme() == "http";
        let client = match identity {
            Some(_) if plain => {
                return Err(TransportError::new(TransportErrorKind::Setup, "plain HTTP shows no certificate"));
            }
            Some(identity) => &self.showing.client(identity, || self.settings.client(true, Some(identity)))?,
            None => self.client(plain)?,
        };
        let mut answer = client.execute(request).await.map_err(classify)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        *response.body_mut() = self.read(answer).await?;
        Ok(response)
    }
}

impl ReqwestTransport {
    /// `uri`, parsed anew only if it is not the last request's.
    fn address(&self, uri: &Uri) -> Result<Url, TransportError> {
        let mut last = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_deref() {
            Some((known, url)) if known == uri => Ok(url.clone()),
            _ => {
                let parsed = Url::parse(&uri.to_string());
                let url = parsed.map_err(|error| TransportError::new(TransportErrorKind::Setup, error))?;
                *last = Some(Box::new((uri.clone(), url.clone())));
                Ok(url)
            }
        }
    }

    /// The body, wiped when the last copy is dropped: it holds a token.
    async fn read(&self, mut answer: reqwest::Response) -> Result<Bytes, TransportError> {
        let limit = self.settings.max_response_bytes;
        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(USUAL_BYTES);
        let mut body = Wiped(Vec::with_capacity(announced.min(limit)));
        while let Some(chunk) = answer.chunk().await.map_err(classify)? {
            if body.0.len() + chunk.len() > limit {
                return Err(TransportError::new(TransportErrorKind::TooLarge, format!("more than {limit} bytes")));
            }
            body.0.extend_from_slice(&chunk);
        }
        Ok(body.into_bytes())
    }
}

impl Default for ReqwestTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReqwestTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransportBuilder")
            .field("added_roots", &self.roots.len())
            .field("resolved", &self.resolved)
            .field("machine_roots", &self.machine_roots)
            .field("pin", &self.pin)
            .field("proxies", &self.proxies)
            .field("proxy", &self.proxy)
            .field("no_proxy", &self.no_proxy)
            .field("read_timeout", &self.read_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("max_response_bytes", &self.max_response_bytes)
            .finish()
    }
}

fn classify(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let kind = if error.is_timeout() {
        TransportErrorKind::Timeout
    } else if is_certificate_error(&error) {
        TransportErrorKind::Tls
    } else if error.is_connect() {
        TransportErrorKind::Connect
    } else if error.is_builder() {
        TransportErrorKind::Setup
    } else {
        TransportErrorKind::Body
    };
    TransportError::new(kind, error)
}

/// rustls' verdict on the server's certificate, which reqwest passes on as a connection error's distant cause.
fn is_certificate_error(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.to_string().contains("invalid peer certificate") {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Room for an answer that does not say how long it is.
const USUAL_BYTES: usize = 16 * 1024;
