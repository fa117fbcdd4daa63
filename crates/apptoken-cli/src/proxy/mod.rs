//! The proxy of `apptoken run`: CONNECT (RFC 9110 §9.3.6) on loopback. Microsoft's names lead to the local Entra ID,
//! mapped names to what they are mapped to, loopback to itself, all others out or nowhere.

mod head;
mod mapping;
mod outer;
mod relay;
mod traffic;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use apptoken_emulator::is_microsoft_host;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use self::head::{Head, Target};
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
}

/// A running proxy; dropping it cuts every connection.
pub(crate) struct Proxy {
    address: SocketAddr,
    traffic: Arc<Traffic>,
    _serving: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(plan: Plan) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let traffic = Arc::new(Traffic::default());
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::new(plan), Arc::clone(&traffic)));
        Ok(Self { address, traffic, _serving: serving })
    }

    /// For `HTTPS_PROXY`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Which hosts were asked for, and what became of it.
    pub(crate) fn traffic(&self) -> Vec<Counted> {
        self.traffic.counted()
    }
}

async fn serve(listener: TcpListener, plan: Arc<Plan>, traffic: Arc<Traffic>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if connections.len() < MOST_CONNECTIONS => {
                    let (plan, traffic) = (Arc::clone(&plan), Arc::clone(&traffic));
                    connections.spawn(async move {
                        if let Err(error) = connection(client, &plan, &traffic).await {
                            tracing::debug!(%error, "proxied connection ended");
                        }
                    });
                }
                Ok(_) => tracing::warn!(limit = MOST_CONNECTIONS, "too many connections to the proxy: one was closed"),
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
    client.set_nodelay(true)?;
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
    let client = Stream::new(client, rest);
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

    /// The far end.
    async fn open(&self, route: Route<'_>, target: &Target) -> io::Result<Box<dyn Duplex>> {
        Ok(Box::new(match route {
            Route::Mapped(mapped) => {
                let server = connect(mapped.mapping.to_host(), mapped.mapping.to_port()).await?;
                return within(HANDSHAKE, "the mapped server's TLS handshake", mapped.secure(server)).await?;
            }
            Route::Entra => connect(&self.entra.0, self.entra.1).await?,
            Route::Out => match &self.outer {
                Some(outer) => within(CONNECT, "a tunnel through HTTPS_PROXY", outer.open(target)).await??,
                None => connect(&target.host, target.port).await?,
            },
            Route::Loopback | Route::Refused => connect(&target.host, target.port).await?,
        }))
    }
}

impl Route<'_> {
    fn verdict(self) -> Verdict {
        match self {
            Self::Entra => Verdict::Answered,
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

    #[test]
    fn names_lead_where_they_should() {
        let mut plan = Plan { entra: ("localhost".into(), 1), mapped: Vec::new(), offline: false, outer: None };
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
    }
}
