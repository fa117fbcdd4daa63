use std::time::Duration;

use ::http::StatusCode;

use crate::clock::Clock;
use crate::http::{DynTransport, Request, Response, TransportError, TransportErrorKind, retry_after};
use crate::telemetry::{self, TARGET};

/// When a source is asked again: Microsoft's rules, and once more after a failed connection. Nothing is remembered
/// beyond the call, so that a source that fails is asked again by the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    None,
    /// Three more tries, a second apart.
    Usual,
    /// Three more tries after 1, 2 and 4 seconds; while the service is being updated (410), seven, ten seconds apart.
    Imds,
}

/// Sends `request`, and again as `rules` say. The last answer or error is the outcome.
pub(super) async fn send(
    transport: &dyn DynTransport,
    clock: &dyn Clock,
    rules: Rules,
    request: Request,
) -> Result<Response, TransportError> {
    let mut retries = 0;
    loop {
        let outcome = transport.send(request.clone()).await;
        let Some(delay) = rules.delay(&outcome, retries) else { return outcome };
        retries += 1;
        let delay_ms = telemetry::millis(delay);
        tracing::debug!(name: "apptoken.http.retry", target: TARGET, retries, delay_ms, "the request is sent again");
        clock.sleep(delay).await;
    }
}

impl Rules {
    /// How long to wait before the next try; `None`: this was the last.
    fn delay(self, outcome: &Result<Response, TransportError>, retries: u32) -> Option<Duration> {
        if self == Self::None {
            return None;
        }
        let (most, delay) = match outcome {
            Ok(response) if response.status() == StatusCode::GONE && self == Self::Imds => (7, Duration::from_secs(10)),
            Ok(response) if self.covers(response.status()) => {
                let asked = retry_after(response.headers()).unwrap_or_default();
                // a longer wait is remembered with the token's slot, and not slept through by a caller
                if asked > LONGEST_SLEEP {
                    return None;
                }
                (3, asked.max(self.pause(retries)))
            }
            Ok(_) => return None,
            Err(error) => match error.kind() {
                TransportErrorKind::Timeout | TransportErrorKind::Body => (3, self.pause(retries)),
                // nobody there: off Azure that does not change
                TransportErrorKind::Connect => (1, self.pause(retries)),
                _ => return None,
            },
        };
        (retries < most).then_some(delay)
    }

    fn covers(self, status: StatusCode) -> bool {
        matches!(status.as_u16(), 404 | 408 | 429 | 500 | 503 | 504) || (self == Self::Imds && status.is_server_error())
    }

    fn pause(self, retries: u32) -> Duration {
        Duration::from_secs(if self == Self::Imds { 1 << retries.min(2) } else { 1 })
    }
}

const LONGEST_SLEEP: Duration = Duration::from_secs(10);
