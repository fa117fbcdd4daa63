use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::circuit::{Attempt, Circuit, Refused};
use super::limiter::{Limiter, Overbooked};
use super::{CircuitPolicy, DynTransport, Request, RequestRate, Response, Transport, TransportError};
use super::{TransportErrorKind, is_ill};
use crate::clock::Clock;

/// A client's transport behind what keeps the hosts that it asks from being overrun: a rate and a circuit for each.
pub(crate) struct Guarded {
    transport: Box<dyn DynTransport>,
    clock: Arc<dyn Clock>,
    rate: RequestRate,
    circuit: CircuitPolicy,
    /// Who would have to wait longer for a turn is refused.
    patience: Duration,
    hosts: Mutex<Vec<(String, Arc<Host>)>>,
}

struct Host {
    limiter: Limiter,
    circuit: Circuit,
}

impl Guarded {
    pub(crate) fn new(
        transport: Box<dyn DynTransport>,
        clock: Arc<dyn Clock>,
        rate: RequestRate,
        circuit: CircuitPolicy,
        patience: Duration,
    ) -> Self {
        Self { transport, clock, rate, circuit, patience, hosts: Mutex::default() }
    }

    /// A client asks few hosts: its authority, that one's regions, a pipeline's.
    fn host(&self, request: &Request) -> Arc<Host> {
        let name = request.uri().authority().map_or("", |authority| authority.as_str());
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, host)) = hosts.iter().find(|(other, _)| other == name) {
            return host.clone();
        }
        if hosts.len() >= MOST_HOSTS {
            hosts.remove(0);
        }
        let host = Arc::new(Host { limiter: Limiter::new(self.rate), circuit: Circuit::new(self.circuit) });
        hosts.push((name.to_owned(), host.clone()));
        host
    }
}

impl Transport for Guarded {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let host = self.host(&request);
        // before the queue, so that nobody waits for nothing, and after it, since much may have happened meanwhile
        host.circuit.check(self.clock.now()).map_err(refused)?;
        let _place = host.limiter.enter(&*self.clock, self.patience).await.map_err(overbooked)?;
        let attempt = host.circuit.admit(&*self.clock).map_err(refused)?;
        let outcome = self.transport.send(request).await;
        learn(attempt, &outcome);
        outcome
    }
}

/// Whatever a host in good health says, it is in good health.
fn learn(attempt: Attempt<'_>, outcome: &Result<Response, TransportError>) {
    match outcome {
        Ok(response) if is_ill(response.status()) => attempt.failed(format!("HTTP {}", response.status().as_u16())),
        Err(error) if error.kind() == TransportErrorKind::Body => attempt.broke_off(error.to_string()),
        Err(error) if error.kind().is_transient() => attempt.failed(error.to_string()),
        // of this machine's making: it says nothing about the host
        Err(error) if error.kind() == TransportErrorKind::Setup => drop(attempt),
        Ok(_) | Err(_) => attempt.succeeded(),
    }
}

fn refused(Refused { failures, last_cause, next_try }: Refused) -> TransportError {
    let why = format!("the last {failures} requests to this host failed, the very last with: {last_cause}");
    TransportError::withheld(why, next_try)
}

fn overbooked(Overbooked(wait): Overbooked) -> TransportError {
    let why = format!("so many requests wait for their turn that this one's would come in {} s", wait.as_secs());
    TransportError::withheld(why, wait)
}

const MOST_HOSTS: usize = 32;
