//! The proxy of `apptoken run`: CONNECT (RFC 9110 §9.3.6) on loopback. Microsoft's names lead to the local Entra ID,
//! mapped names to what they are mapped to, loopback to itself, all others out or nowhere.

#[cfg(target_os = "linux")]
mod doors;
mod head;
#[cfg(target_os = "linux")]
mod layout;
mod mapping;
#[cfg(target_os = "linux")]
mod names;
mod outer;
mod relay;
mod traffic;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use apptoken_emulator::is_microsoft_host;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use self::head::{Head, Target};
#[cfg(target_os = "linux")]
pub(crate) use self::layout::Layout;
pub(crate) use self::mapping::{Mapping, Secured};
pub(crate) use self::outer::OuterProxy;
use self::relay::Stream;
use self::traffic::Traffic;
pub(crate) use self::traffic::{Counted, Verdict};

/// Where names lead.
pub(crate) struct Plan {
    /// Host and port of the local Entra ID.
    pub(crate) entra: (String, u16),
    pub(crate) mapped: Vec<Secured>,
    /// Nothing else is let out.
    pub(crate) offline: bool,
    /// The machine's own way out.
    pub(crate) outer: Option<OuterProxy>,
    /// For TLS to the local Entra ID, where the program speaks plain HTTP.
    pub(crate) trusting: TlsConnector,
}

/// A running proxy; dropping it cuts every connection.
pub(crate) struct Proxy {
    traffic: Arc<Traffic>,
    serving: JoinSet<()>,
}

impl Proxy {
    /// And its address, for `HTTPS_PROXY`.
    pub(crate) async fn start(plan: Plan) -> io::Result<(Self, String)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut proxy = Self::new();
        let (plan, traffic) = (Arc::new(plan), Arc::clone(&proxy.traffic));
        proxy.serving.spawn(accept(listener, Arc::new(Semaphore::new(MOST_CONNECTIONS)), move |client, _| {
            let (plan, traffic) = (Arc::clone(&plan), Arc::clone(&traffic));
            async move { connection(client, &plan, &traffic).await }
        }));
        Ok((proxy, url))
    }

    fn new() -> Self {
        Self { traffic: Arc::default(), serving: JoinSet::new() }
    }

    /// Which hosts were asked for, and what became of it.
    pub(crate) fn traffic(&self) -> Vec<Counted> {
        self.traffic.counted()
    }
}

/// Serves each connection, with the address that it came to, as long as there are places.
async fn accept<S>(listener: TcpListener, places: Arc<Semaphore>, serve: impl Fn(TcpStream, SocketAddr) -> S)
where
    S: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted.and_then(|(client, _)| Ok((client.local_addr()?, client))) {
                Ok((local, client)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        tracing::warn!(limit = MOST_CONNECTIONS, "too many connections to the proxy: one was closed");
                        continue;
                    };
                    if let Err(error) = client.set_nodelay(true) {
                        tracing::debug!(%error, "a connection that is gone");
                        continue;
                    }
                    let served = serve(client, local);
                    connections.spawn(async move {
                        if let Err(error) = served.await {
                            tracing::debug!(%error, "proxied connection ended");
                        }
                        drop(place);
                    });
                }
                // out of file descriptors, say: that passes
                Err(error) => {
                    tracing::warn!(%error, "the proxy accepted no connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut client: TcpStream, plan: &Plan, traffic: &Traffic) -> io::Result<()> {
    let Head { target, rest } = match within(HEAD, "the request's head", head::read(&mut client)).await {
        Ok(Ok(head)) => head,
        Ok(Err(no_tunnel)) => {
            if let Some(host) = &no_tunnel.host
                && plan.offline
            {
                traffic.count(Verdict::Refused, host);
            }
            return head::answer(&mut client, no_tunnel.status(plan.offline), &no_tunnel.text(plan.offline)).await;
        }
        Err(error) => return Err(error),
    };
    let route = plan.route(&target);
    tracing::debug!(host = %target.host, port = target.port, ?route, "CONNECT");
    if let Route::Refused = route {
        traffic.count(Verdict::Refused, &target.host);
        return head::answer(&mut client, "403 Forbidden", &refusal(&target.host)).await;
    }
    let far = match plan.open(route, &target).await {
        Ok(far) => far,
        Err(error) => {
            traffic.count(Verdict::Failed, &target.host);
            let text = format!("apptoken run: {} is not reached: {error}\n", target.host);
            return head::answer(&mut client, "502 Bad Gateway", &text).await;
        }
    };
    traffic.count(route.verdict(), &target.host);
    head::established(&mut client).await?;
    carry(Stream::new(client, rest), far, route).await
}

/// Bytes both ways; of a mapped host the program's TLS ends here.
async fn carry(client: Stream<TcpStream>, far: Box<dyn Duplex>, route: Route<'_>) -> io::Result<()> {
    match route {
        Route::Mapped(mapped) => {
            let client = within(HANDSHAKE, "the program's TLS handshake", mapped.accept(client)).await??;
            relay::relay(Stream::new(client, Bytes::new()), far, IDLE).await
        }
        _ => relay::relay(client, far, IDLE).await,
    }
}

/// What becomes of a tunnel.
#[derive(Clone, Copy, Debug)]
enum Route<'a> {
    Entra,
    /// The local Entra ID's instance-metadata service, to a program that speaks plain HTTP.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "reached by its address only"))]
    Identity,
    Mapped(&'a Secured),
    Loopback,
    Out,
    Refused,
}

impl Plan {
    fn route(&self, target: &Target) -> Route<'_> {
        let mapped = self.mapped.iter().find(|mapped| mapped.mapping.is_for(&target.host, target.port));
        match mapped {
            Some(mapped) => Route::Mapped(mapped),
            None if target.port == 443 && is_microsoft_host(&target.host) => Route::Entra,
            None if is_loopback(&target.host) => Route::Loopback,
            None if self.offline => Route::Refused,
            None => Route::Out,
        }
    }

    async fn entra(&self) -> io::Result<TcpStream> {
        connect(&self.entra.0, self.entra.1).await
    }

    /// The far end.
    async fn open(&self, route: Route<'_>, target: &Target) -> io::Result<Box<dyn Duplex>> {
        Ok(Box::new(match route {
            Route::Mapped(mapped) => {
                let server = connect(mapped.mapping.to_host(), mapped.mapping.to_port()).await?;
                return within(HANDSHAKE, "the mapped server's TLS handshake", mapped.secure(server)).await?;
            }
            Route::Entra => self.entra().await?,
            Route::Identity => {
                let name = ServerName::try_from(self.entra.0.clone()).map_err(io::Error::other)?;
                let secured = self.trusting.connect(name, self.entra().await?);
                return Ok(Box::new(within(HANDSHAKE, "the local Entra ID's TLS handshake", secured).await??));
            }
            Route::Out => match &self.outer {
                Some(outer) => within(CONNECT, "a tunnel through HTTPS_PROXY", outer.open(target)).await??,
                None => connect(&target.host, target.port).await?,
            },
            Route::Loopback => connect(&target.host, target.port).await?,
            Route::Refused => return Err(io::Error::new(io::ErrorKind::PermissionDenied, "nothing is let out")),
        }))
    }
}

impl Route<'_> {
    fn verdict(self) -> Verdict {
        match self {
            Self::Entra | Self::Identity => Verdict::Answered,
            Self::Mapped(_) => Verdict::Mapped,
            Self::Loopback | Self::Out => Verdict::LetThrough,
            Self::Refused => Verdict::Refused,
        }
    }
}

/// Both ends of a tunnel.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// By TCP; `localhost` and its subdomains never ask a name server.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let connected = async {
        if is_loopback(host) && host.parse::<std::net::IpAddr>().is_err() {
            let both = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
            return TcpStream::connect(&both[..]).await;
        }
        TcpStream::connect((host, port)).await
    };
    let stream = within(CONNECT, "a connection", connected).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether only this machine has this name or address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, format!("{what} took longer than {} seconds", limit.as_secs()))
    })
}

fn refusal(host: &str) -> String {
    format!(
        "apptoken run --offline: {host} is not answered here, and nothing is let out.\n\
         Map it with --map {host}=URL, or run without --offline.\n"
    )
}

const MOST_CONNECTIONS: usize = 512;
const HEAD: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(15);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A tunnel without a byte either way for this long is cut.
const IDLE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_lead_where_they_should() {
        let nobody = rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty());
        let trusting = TlsConnector::from(Arc::new(nobody.with_no_client_auth()));
        let entra = ("localhost".into(), 1);
        let mut plan = Plan { entra, mapped: Vec::new(), offline: false, outer: None, trusting };
        let route = |plan: &Plan, host: &str, port| format!("{:?}", plan.route(&Target { host: host.into(), port }));
        for host in ["login.microsoftonline.com", "sts.windows.net", "Graph.Microsoft.com", "login.microsoftonline.us"]
        {
            assert_eq!(route(&plan, host, 443), "Entra", "{host}");
        }
        assert_eq!(route(&plan, "login.microsoftonline.com", 8443), "Out", "the real one answers at 443 only");
        assert_eq!(route(&plan, "example.com", 443), "Out");
        plan.offline = true;
        assert_eq!(route(&plan, "example.com", 443), "Refused");
        assert_eq!(route(&plan, "login.microsoftonline.com", 443), "Entra");
        for host in ["localhost", "api.localhost", "127.0.0.1", "::1"] {
            assert_eq!(route(&plan, host, 5000), "Loopback", "{host}");
        }
        assert_eq!(route(&plan, "localhost.example.com", 443), "Refused");

        let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target { host: "127.0.0.1".into(), port: outside.local_addr().unwrap().port() };
        let refused = plan.open(Route::Refused, &target).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "what is refused is not even tried");
    }
}
