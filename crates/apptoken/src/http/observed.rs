use std::sync::Arc;

use super::{DynTransport, Request, Response, Transport, TransportError, TransportErrorKind, retry_after};
use crate::clock::{Clock, Moment};
use crate::telemetry::{self, InFlight, InWords, TARGET};

/// With an answer: when the request that it answers was sent, the last one of several.
#[derive(Clone, Copy)]
struct SentAt(Moment);

/// When the request that this answers was sent, if that is known.
pub(crate) fn sent_at(answer: &Response) -> Option<Moment> {
    answer.extensions().get::<SentAt>().map(|SentAt(moment)| *moment)
}

/// A client's transport with an event and figures for each exchange.
pub(crate) struct Observed {
    transport: Box<dyn DynTransport>,
    clock: Arc<dyn Clock>,
}

impl Observed {
    pub(crate) fn new(transport: Box<dyn DynTransport>, clock: Arc<dyn Clock>) -> Self {
        Self { transport, clock }
    }
}

impl Transport for Observed {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (method, host) = (request.method().clone(), request.uri().authority().cloned());
        let host = host.as_ref().map_or("", |authority| authority.as_str());
        let _in_flight = InFlight::begin();
        let sent = self.clock.now();
        let mut outcome = self.transport.send(request).await;
        let duration = self.clock.now().since(sent);
        let duration_ms = telemetry::millis(duration);
        match &mut outcome {
            Ok(response) => {
                response.extensions_mut().insert(SentAt(sent));
                let status = response.status().as_u16();
                tracing::debug!(
                    name: "apptoken.http.try", target: TARGET,
                    %method, host, status, duration_ms,
                    retry_after_ms = retry_after(response.headers()).map(telemetry::millis), "an answer"
                );
                telemetry::http(Ok(status), duration);
            }
            Err(error) => {
                let error_type = error.kind().in_words();
                tracing::debug!(
                    name: "apptoken.http.try", target: TARGET,
                    %method, host, error_type, %error, duration_ms, "no answer"
                );
                telemetry::http(Err(error_type), duration);
            }
        }
        outcome
    }
}

impl InWords for TransportErrorKind {
    fn in_words(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Connect => "connect",
            Self::Setup => "setup",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::TooLarge => "too_large",
            Self::Withheld => "withheld",
        }
    }
}
