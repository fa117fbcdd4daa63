use std::fmt;

use apptoken::{Error, ExposeSecret as _, SecretString};
use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisResult, TlsCertificates, TlsMode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::cache::RedisCache;
use crate::link::{self, Link, Server};

/// Settings of a [`RedisCache`]. What is wrong with them is said by [`build`](Self::build).
#[must_use]
pub struct RedisCacheBuilder {
    urls: Vec<String>,
    kind: Kind,
    user: Option<(String, SecretString)>,
    sentinel_user: Option<(String, SecretString)>,
    roots: Vec<u8>,
    prefix: String,
}

enum Kind {
    Server,
    Cluster,
    Sentinel { master: String },
}

impl RedisCache {
    /// One server, as `redis://host:port/database`, or `rediss://` for TLS.
    pub fn server(url: &str) -> RedisCacheBuilder {
        RedisCacheBuilder::server(url)
    }

    /// A Cluster, by some of its nodes' URLs; the others are found.
    pub fn cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> RedisCacheBuilder {
        RedisCacheBuilder::cluster(urls)
    }

    /// The master that Sentinels watch under this name, by the Sentinels' URLs. With `rediss://` both they and the
    /// master are asked over TLS.
    pub fn sentinel<'a>(urls: impl IntoIterator<Item = &'a str>, master: &str) -> RedisCacheBuilder {
        RedisCacheBuilder::sentinel(urls, master)
    }
}

impl RedisCacheBuilder {
    pub(crate) fn server(url: &str) -> Self {
        Self::new([url], Kind::Server)
    }

    pub(crate) fn cluster<'a>(urls: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(urls, Kind::Cluster)
    }

    pub(crate) fn sentinel<'a>(urls: impl IntoIterator<Item = &'a str>, master: &str) -> Self {
        Self::new(urls, Kind::Sentinel { master: master.to_owned() })
    }

    fn new<'a>(urls: impl IntoIterator<Item = &'a str>, kind: Kind) -> Self {
        let urls = urls.into_iter().map(str::to_owned).collect();
        Self { urls, kind, user: None, sentinel_user: None, roots: Vec::new(), prefix: "apptoken".to_owned() }
    }

    /// The ACL user, or `default` where there is a password only. Default: those in the URL of
    /// a server or a Cluster's node, or none.
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.user = Some((username.into(), password.into()));
        self
    }

    /// As [`credentials`](Self::credentials), for the Sentinels. Default: none.
    pub fn sentinel_credentials(mut self, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        self.sentinel_user = Some((username.into(), password.into()));
        self
    }

    /// Trusts only the certificates that these, one or more as PEM, have signed. Default: those the system trusts.
    pub fn add_root_certificate_pem(mut self, pem: &[u8]) -> Self {
        self.roots.extend_from_slice(pem);
        self.roots.push(b'\n');
        self
    }

    /// What all keys and the channel begin with, before a colon. Default: `apptoken`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Makes the cache. Connects to nothing.
    ///
    /// # Errors
    /// A configuration error: no URL, one that is none of Redis, a root certificate without TLS or that is none, a
    /// prefix with other characters than letters, digits, `-`, `_`, `.` and `:`.
    pub fn build(self) -> Result<RedisCache, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if self.prefix.is_empty() || !self.prefix.chars().all(allowed) {
            return Err(Error::configuration(
                "the prefix of the keys in Redis may have letters, digits, '-', '_', '.' and ':' only",
            ));
        }
        let nodes = self.urls.iter().map(|url| self.node(url)).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = nodes.first() else { return Err(Error::configuration("no URL of a Redis server was given")) };
        let tls = matches!(first.addr(), ConnectionAddr::TcpTls { .. });
        if !tls && !self.roots.is_empty() {
            return Err(Error::configuration(
                "a root certificate for Redis was given, but its URL is without TLS: write rediss:// instead of redis://",
            ));
        }
        if !self.roots.is_empty()
            && CertificateDer::pem_slice_iter(&self.roots).next().is_none_or(|first| first.is_err())
        {
            return Err(Error::configuration(
                "the root certificate for Redis cannot be read: give a PEM block CERTIFICATE",
            ));
        }
        if tls {
            link::choose_crypto();
        }
        let shown = self.shown();
        let prefix = self.prefix.clone();
        let server = match &self.kind {
            Kind::Server => Server::Single(self.client(first.clone())?),
            Kind::Cluster => self.cluster_of(nodes)?,
            Kind::Sentinel { master } => {
                let master = master.clone();
                self.sentinel_client(&nodes, &master, tls).map_err(|error| refused(&error))?;
                Server::Sentinel(Box::new(move || self.sentinel_client(&nodes, &master, tls)))
            }
        };
        Ok(RedisCache::new(Link::new(server, shown), &prefix))
    }

    fn node(&self, url: &str) -> Result<ConnectionInfo, Error> {
        // the cause is not shown: it may quote the URL, and that a password
        let info = url.into_connection_info().map_err(|_| {
            Error::configuration(
                "a URL of Redis cannot be read: write redis://host:port, or rediss://host:port for TLS",
            )
        })?;
        // whose part in a Cluster or behind a Sentinel is set there
        let mut settings = info.redis_settings().clone();
        if let (Some((name, password)), Kind::Server | Kind::Cluster) = (&self.user, &self.kind) {
            settings = settings.set_username(name).set_password(password.expose_secret());
        }
        Ok(info.set_redis_settings(settings).set_tcp_settings(link::tcp()))
    }

    fn client(&self, node: ConnectionInfo) -> Result<Client, Error> {
        match self.certificates() {
            Some(certificates) => Client::build_with_tls(node, certificates),
            None => Client::open(node),
        }
        .map_err(|error| refused(&error))
    }

    fn cluster_of(&self, nodes: Vec<ConnectionInfo>) -> Result<Server, Error> {
        let seeds = nodes.iter().map(|node| self.client(node.clone())).collect::<Result<_, _>>()?;
        let mut builder = ClusterClient::builder(nodes)
            .connection_timeout(link::CONNECT)
            .response_timeout(link::ANSWER)
            .retries(2)
            .tcp_settings(link::tcp());
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        Ok(Server::Cluster { client: builder.build().map_err(|error| refused(&error))?, seeds })
    }

    fn sentinel_client(&self, nodes: &[ConnectionInfo], master: &str, tls: bool) -> RedisResult<SentinelClient> {
        let addresses = nodes.iter().map(|node| node.addr().clone());
        let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
            .set_client_to_redis_tcp_settings(link::tcp())
            .set_client_to_sentinel_tcp_settings(link::tcp());
        if tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            builder = builder.set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = self.certificates() {
            builder = builder.set_client_to_redis_certificates(certificates.clone());
            builder = builder.set_client_to_sentinel_certificates(certificates);
        }
        if let Some((name, password)) = &self.user {
            builder = builder.set_client_to_redis_username(name);
            builder = builder.set_client_to_redis_password(password.expose_secret());
        }
        if let Some((name, password)) = &self.sentinel_user {
            builder = builder.set_client_to_sentinel_username(name);
            builder = builder.set_client_to_sentinel_password(password.expose_secret());
        }
        builder.build()
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = (!self.roots.is_empty()).then(|| self.roots.clone())?;
        Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) })
    }

    /// Hosts and ports: what a log may hold of the URLs.
    fn shown(&self) -> String {
        let host = |url: &String| url.rsplit_once('@').map_or_else(|| url.clone(), |(_, host)| host.to_owned());
        let hosts = self.urls.iter().map(host).collect::<Vec<_>>().join(" ");
        match &self.kind {
            Kind::Server => hosts,
            Kind::Cluster => format!("cluster {hosts}"),
            Kind::Sentinel { master } => format!("{master} of sentinels {hosts}"),
        }
    }
}

fn refused(error: &redis::RedisError) -> Error {
    Error::configuration(format!("the settings of Redis cannot be used: {}", error.category()))
}

impl fmt::Debug for RedisCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCacheBuilder")
            .field("at", &self.shown())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
