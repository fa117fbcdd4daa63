//! The HTTP clients of a factory: one for APIs on this machine, one for all others; and one more for each certificate that
//! connections show.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use apptoken::ClientIdentity;
use http::Method;
use url::Url;

use super::address::is_on_this_machine;
use crate::error::{ConfigurationError, Error, TransportError};

/// Makes a client when the first API is called: loading the machine's roots takes time, and a daemon that only gets
/// tokens never needs it.
pub(crate) struct HttpClient {
    settings: HttpSettings,
    /// By the proxies that the environment names.
    client: OnceLock<reqwest::Client>,
    /// To this machine, by no proxy: it would be handed the token, in clear where plain http is used.
    direct: OnceLock<reqwest::Client>,
    /// Those that show a certificate, the one used last at the end: a connection shows it to whoever asks.
    showing: Mutex<Vec<Showing>>,
}

struct Showing {
    identity: ClientIdentity,
    direct: bool,
    client: reqwest::Client,
}

/// What a user may set.
#[derive(Clone)]
pub(crate) struct HttpSettings {
    /// PEM texts.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    /// Bytes.
    pub(crate) max_response_bytes: usize,
}

impl HttpClient {
    pub(crate) fn new(settings: HttpSettings) -> Self {
        Self { settings, client: OnceLock::new(), direct: OnceLock::new(), showing: Mutex::default() }
    }

    pub(crate) fn max_response_bytes(&self) -> usize {
        self.settings.max_response_bytes
    }

    /// The client for calls of `url`, by connections that show `identity`.
    pub(crate) fn get(
        &self,
        url: &Url,
        identity: Option<&ClientIdentity>,
    ) -> Result<reqwest::Client, ConfigurationError> {
        let direct = is_on_this_machine(url);
        if let Some(identity) = identity {
            return if url.scheme() == "https" {
                self.showing(identity, direct)
            } else {
                let problem =
                    "the token is bound to a certificate, which plain http cannot show: call the API over https";
                Err(ConfigurationError::new(problem))
            };
        }
        let slot = if direct { &self.direct } else { &self.client };
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        // two first calls may both make a client; one is kept
        let client = self.settings.client(direct, None)?;
        Ok(slot.get_or_init(|| client).clone())
    }

    fn showing(&self, identity: &ClientIdentity, direct: bool) -> Result<reqwest::Client, ConfigurationError> {
        if let Some(client) = take(&mut self.shown(), identity, direct) {
            return Ok(client);
        }
        // as above
        let client = self.settings.client(direct, Some(identity))?;
        let mut all = self.shown();
        if let Some(client) = take(&mut all, identity, direct) {
            return Ok(client);
        }
        if all.len() >= MOST_SHOWING {
            all.remove(0);
        }
        all.push(Showing { identity: identity.clone(), direct, client: client.clone() });
        Ok(client)
    }

    /// Whole after a panic: it is changed by single calls.
    fn shown(&self) -> MutexGuard<'_, Vec<Showing>> {
        self.showing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client that shows `identity`, which then stands at the end.
fn take(all: &mut [Showing], identity: &ClientIdentity, direct: bool) -> Option<reqwest::Client> {
    let place = all.iter().position(|one| one.direct == direct && one.identity == *identity)?;
    let client = all[place].client.clone();
    all[place..].rotate_left(1);
    Some(client)
}

impl HttpSettings {
    fn client(&self, direct: bool, identity: Option<&ClientIdentity>) -> Result<reqwest::Client, ConfigurationError> {
        let identity = identity.map(reqwest_identity).transpose()?;
        let mut roots = Vec::new();
        for pem in &self.roots {
            let added = reqwest::Certificate::from_pem_bundle(pem).unwrap_or_default();
            if added.is_empty() {
                let problem = "the root certificate to trust is not PEM: it needs a -----BEGIN CERTIFICATE----- block";
                return Err(ConfigurationError::new(problem));
            }
            roots.extend(added);
        }
        let build = |own_roots_only: bool| {
            let builder = reqwest::Client::builder()
                // a redirect could lead the token elsewhere
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(self.connect_timeout)
                .timeout(self.timeout)
                .user_agent(concat!("apptoken-daemon/", env!("CARGO_PKG_VERSION")));
            let builder = if direct { builder.no_proxy() } else { builder };
            let builder = match &identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            };
            let roots = roots.iter().cloned();
            if own_roots_only { builder.tls_certs_only(roots) } else { builder.tls_certs_merge(roots) }.build()
        };
        // an image without CA certificates has nothing to merge with, and reqwest refuses: then the added ones will do,
        // and plain http to this machine needs none
        build(false).or_else(|error| if roots.is_empty() && !direct { Err(error) } else { build(true) }).map_err(|error| {
            let problem = format!(
                "no HTTPS client can be made on this machine: {}; install its CA certificates (the package ca-certificates), \
                 or add the API's with add_root_certificate_pem",
                innermost(&error)
            );
            ConfigurationError::new(problem)
        })
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("added_roots", &self.settings.roots.len())
            .field("connect_timeout", &self.settings.connect_timeout)
            .field("timeout", &self.settings.timeout)
            .field("max_response_bytes", &self.settings.max_response_bytes)
            .finish()
    }
}

/// A failure of the connection, in words for whoever must act.
pub(super) fn failure(error: reqwest::Error, method: &Method, url: &str) -> Error {
    let untrusted = innermost(&error).contains("invalid peer certificate");
    let problem = if error.is_timeout() {
        "no answer in time"
    } else if untrusted {
        "the API's certificate is not trusted: if its CA is a private one, add it with add_root_certificate_pem"
    } else if error.is_connect() {
        "the API cannot be reached: check BaseUrl, and whether it runs"
    } else {
        "the connection broke off"
    };
    Error::Transport(TransportError {
        method: method.clone(),
        url: url.to_owned(),
        problem,
        timeout: error.is_timeout(),
        untrusted,
        // its URL may hold a query
        source: Arc::new(error.without_url()),
    })
}

fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

fn reqwest_identity(identity: &ClientIdentity) -> Result<reqwest::Identity, ConfigurationError> {
    let unusable = |why: String| ConfigurationError::new(format!("the certificate cannot be shown on TLS: {why}"));
    let pem = identity.to_pem().map_err(|error| unusable(error.to_string()))?;
    reqwest::Identity::from_pem(pem.as_bytes()).map_err(|error| unusable(innermost(&error)))
}

/// Certificates are few: those of a factory's apps, while one follows another.
const MOST_SHOWING: usize = 16;
