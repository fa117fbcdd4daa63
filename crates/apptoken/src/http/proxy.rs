use std::fmt;

use url::Url;

use crate::Error;

/// An HTTP proxy. Its password is shown nowhere.
#[derive(Clone)]
pub(super) struct Proxy {
    proxy: reqwest::Proxy,
    shown: String,
}

impl Proxy {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        // what does not parse may hold a password all the same, so that the text is not in the error
        let refused = |why: &str| {
            Error::configuration(format!("the proxy's address {why}")).with_advice(
                "give http://host:port or https://host:port, with name:password@ before the host if it asks",
            )
        };
        let url = Url::parse(text.trim()).map_err(|_| refused("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("is neither http:// nor https://"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("has more in it than a host and a port"));
        }
        let proxy = reqwest::Proxy::all(url.clone()).map_err(|_| refused("cannot be used"))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let shown = format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default());
        Ok(Self { proxy, shown })
    }

    /// The same for all but these hosts.
    pub(super) fn except(&self, hosts: Option<&str>) -> reqwest::Proxy {
        self.proxy.clone().no_proxy(hosts.and_then(reqwest::NoProxy::from_string))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
