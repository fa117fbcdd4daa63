use super::ConfidentialClientBuilder;
use crate::Error;
use crate::http::{DynTransport, RetryPolicy, Transport};

/// How requests are to travel, as the program gave it.
pub(super) struct Network {
    roots: Vec<Vec<u8>>,
    transport: Option<Box<dyn DynTransport>>,
    pub(super) retry: RetryPolicy,
    pub(super) telemetry_headers: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { roots: Vec::new(), transport: None, retry: RetryPolicy::default(), telemetry_headers: true }
    }
}

impl ConfidentialClientBuilder {
    /// Trusts a private CA besides the machine's: `CERTIFICATE` blocks of a PEM text. Not with [`Self::transport`], which
    /// has its own.
    pub fn add_root_certificate_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.network.roots.push(pem.as_ref().to_vec());
        self
    }

    /// Sends requests through `transport`. Default: [`ReqwestTransport`](crate::http::ReqwestTransport).
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.network.transport = Some(Box::new(transport));
        self
    }

    /// Whether token requests say which library in which version on which platform makes them, and why: the headers
    /// `x-client-SKU`, `-Ver`, `-OS`, `-CPU` and `x-client-current-telemetry`, as MSAL sends them. Default: yes.
    pub fn telemetry_headers(mut self, send: bool) -> Self {
        self.network.telemetry_headers = send;
        self
    }

    /// When a failed request is sent again. Default: once.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.network.retry = policy;
        self
    }
}

impl Network {
    pub(super) fn transport(self) -> Result<Box<dyn DynTransport>, Error> {
        match self.transport {
            Some(_) if !self.roots.is_empty() => {
                Err(Error::configuration("root certificates were added to a client with a transport of its own")
                    .with_advice("add them to the transport"))
            }
            Some(transport) => Ok(transport),
            None => default_transport(&self.roots),
        }
    }
}

#[cfg(feature = "reqwest")]
fn default_transport(roots: &[Vec<u8>]) -> Result<Box<dyn DynTransport>, Error> {
    let mut builder = crate::http::ReqwestTransport::builder();
    for pem in roots {
        builder = builder.add_root_certificate_pem(pem)?;
    }
    Ok(Box::new(builder.build()))
}

#[cfg(not(feature = "reqwest"))]
fn default_transport(_roots: &[Vec<u8>]) -> Result<Box<dyn DynTransport>, Error> {
    Err(Error::configuration("no transport was given").with_advice("give one, or switch on the feature `reqwest`"))
}
