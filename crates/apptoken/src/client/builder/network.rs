use std::sync::Arc;
use std::time::Duration;

use super::ConfidentialClientBuilder;
use crate::Error;
use crate::clock::Clock;
use crate::http::{CircuitPolicy, DynTransport, Guarded, Observed, RequestRate, RetryPolicy, Transport};
use crate::issuer::App;
use crate::telemetry::Caller;

/// How requests are to travel, as the program gave it.
pub(super) struct Network {
    roots: Vec<Vec<u8>>,
    transport: Option<Box<dyn DynTransport>>,
    /// Another client's, in use.
    shared: Option<Arc<dyn DynTransport>>,
    pub(super) retry: RetryPolicy,
    pub(super) telemetry_headers: bool,
    pub(super) caller: Caller,
    rate: Option<RequestRate>,
    circuit: Option<CircuitPolicy>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            transport: None,
            shared: None,
            retry: RetryPolicy::default(),
            telemetry_headers: true,
            caller: Caller::default(),
            rate: None,
            circuit: None,
        }
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

    /// The name of the library that stands between the program and this one, if one does: for Entra's statistics, in
    /// `x-client-current-telemetry`, which holds ten characters of it.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.network.caller.name = name.into();
        self
    }

    /// That library's version; the header holds twenty characters of it.
    pub fn client_version(mut self, version: impl Into<String>) -> Self {
        self.network.caller.version = version.into();
        self
    }

    /// When a failed request is sent again. Default: up to three times, within a minute.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.network.retry = policy;
        self
    }

    /// How fast, and how many at a time, requests go to one host. Default: 200 a second after a burst of 400, 64 at a
    /// time. A caller whose turn would come too late for its acquisition gets an error at once.
    pub fn request_rate(mut self, rate: RequestRate) -> Self {
        self.network.rate = Some(rate);
        self
    }

    /// When a host that keeps failing is left alone. Default: after five failures in a row, for up to ten seconds at a
    /// time.
    pub fn circuit(mut self, policy: CircuitPolicy) -> Self {
        self.network.circuit = Some(policy);
        self
    }
}

impl Network {
    /// As another client's requests travel, under its rate and its circuits.
    pub(super) fn of(app: &App) -> Self {
        Self {
            shared: Some(app.transport.clone()),
            retry: app.retry,
            telemetry_headers: app.telemetry_headers,
            caller: app.caller.clone(),
            ..Self::default()
        }
    }

    pub(super) fn transport(self, clock: Arc<dyn Clock>, patience: Duration) -> Result<Arc<dyn DynTransport>, Error> {
        if let (Some(shared), None) = (self.shared, &self.transport) {
            return match (&self.rate, &self.circuit, self.roots.is_empty()) {
                (None, None, true) => Ok(shared),
                _ => Err(Error::configuration("an agent's requests travel as its blueprint's do, and were to travel otherwise")
                    .with_advice("set request rate, circuit and root certificates on the blueprint, or give the agent a transport of its own")),
            };
        }
        let (rate, circuit) = (self.rate.unwrap_or_default(), self.circuit.unwrap_or_default());
        rate.check()?;
        let transport = match self.transport {
            Some(_) if !self.roots.is_empty() => {
                return Err(Error::configuration(
                    "root certificates were added to a client with a transport of its own",
                )
                .with_advice("add them to the transport"));
            }
            Some(transport) => transport,
            None => default_transport(&self.roots)?,
        };
        // what is withheld was never sent, and is not observed as a request
        let observed = Box::new(Observed::new(transport, clock.clone()));
        Ok(Arc::new(Guarded::new(observed, clock, rate, circuit, patience)))
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
