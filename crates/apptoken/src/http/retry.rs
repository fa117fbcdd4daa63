use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use ::http::StatusCode;

use super::{DynTransport, Request, Response, TransportError, TransportErrorKind, is_ill, retry_after};
use crate::clock::{Clock, within};
use crate::telemetry::{self, TARGET};

/// How often and how patiently a token request is sent again.
///
/// Retried are 408, 429 and 5xx, no answer in time, and connections that fail, TLS included, or break. A `Retry-After` of
/// up to five seconds is waited for; a longer one is not slept through by a caller, but remembered with the token's slot:
/// until then, calls for this token fail at once, or get the kept one while it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further tries after the first, those included that the [circuit](crate::http::CircuitPolicy) holds back. Default: 3.
    /// Zero switches retries off.
    pub max_retries: u32,
    /// The longest wait before the first retry; it doubles with each. The wait itself is random between zero and this
    /// (full jitter), so that many processes do not come back together. Default: 1 second.
    pub base_delay: Duration,
    /// Bound of the doubling. Default: 30 seconds.
    pub max_delay: Duration,
    /// No retry begins later than this after the first try began, nor after the end of the whole acquisition's
    /// [`timeout`](crate::ConfidentialClientBuilder::timeout). Default: 60 seconds.
    pub give_up_after: Duration,
}

impl RetryPolicy {
    /// One try only.
    pub const NONE: Self = Self { max_retries: 0, ..Self::DEFAULT };

    const DEFAULT: Self = Self {
        max_retries: 3,
        base_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
        give_up_after: Duration::from_secs(60),
    };

    /// The same, with no retry that would begin after `left`.
    pub(crate) fn within(&self, left: Duration) -> Self {
        Self { give_up_after: self.give_up_after.min(left), ..*self }
    }

    /// How long to wait before the next try; `None`: this was the last.
    fn delay_after(&self, outcome: &Result<Response, TransportError>, retries: u32) -> Option<Duration> {
        if retries >= self.max_retries {
            return None;
        }
        let longest = self.base_delay.saturating_mul(1 << retries.min(16)).min(self.max_delay);
        let backoff = random_below(longest);
        match outcome {
            Ok(response) if is_ill(response.status()) || response.status() == StatusCode::TOO_MANY_REQUESTS => {
                let asked = retry_after(response.headers()).unwrap_or_default();
                // those who were told the same time need not come at the same time
                (asked <= LONGEST_SLEEP).then(|| (asked + random_below(asked / 10)).max(backoff))
            }
            Err(error) if error.kind().is_transient() => match error.next_try() {
                // nobody begins to wait for a host that is down; who has begun goes on
                Some(_) if retries == 0 => None,
                Some(next_try) => Some(next_try + backoff),
                None => Some(backoff),
            },
            Ok(_) | Err(_) => None,
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Sends `request`, and again as `policy` says. The outcome is the last answer, or the last error of a request that was
/// sent.
pub(crate) async fn send_with_retry(
    transport: &dyn DynTransport,
    clock: &dyn Clock,
    policy: &RetryPolicy,
    request: Request,
) -> Result<Response, TransportError> {
    tries(transport, clock, policy, request, None).await
}

/// The same to an endpoint behind which another stands: one that throttles is tried again; one that is ill, or says
/// nothing for `patience`, is not.
pub(crate) async fn send_to_the_first(
    transport: &dyn DynTransport,
    clock: &dyn Clock,
    policy: &RetryPolicy,
    request: Request,
    patience: Duration,
) -> Result<Response, TransportError> {
    tries(transport, clock, policy, request, Some(patience)).await
}

async fn tries(
    transport: &dyn DynTransport,
    clock: &dyn Clock,
    policy: &RetryPolicy,
    request: Request,
    first: Option<Duration>,
) -> Result<Response, TransportError> {
    let started = clock.now();
    let mut retries = 0;
    let mut before = None;
    loop {
        let sending = transport.send(request.clone());
        let outcome = match first {
            None => sending.await,
            Some(patience) => within(clock, patience, sending).await.unwrap_or_else(|| {
                Err(TransportError::new(TransportErrorKind::Timeout, format!("nothing within {patience:?}")))
            }),
        };
        let delay = policy.delay_after(&outcome, retries).filter(|_| first.is_none() || throttles(&outcome));
        let delay = delay.filter(|delay| clock.now().since(started) + *delay <= policy.give_up_after);
        let withheld = matches!(&outcome, Err(error) if error.next_try().is_some());
        // a request that was withheld tells less than what became of the one before it
        let outcome = before.filter(|_| withheld).unwrap_or(outcome);
        let Some(delay) = delay else { return outcome };
        before = Some(outcome);
        retries += 1;
        let delay_ms = telemetry::millis(delay);
        tracing::debug!(name: "apptoken.http.retry", target: TARGET, retries, delay_ms, "the request is sent again");
        clock.sleep(delay).await;
    }
}

fn throttles(outcome: &Result<Response, TransportError>) -> bool {
    outcome.as_ref().is_ok_and(|response| response.status() == StatusCode::TOO_MANY_REQUESTS)
}

/// A random duration below `bound`. Spreads load and nothing else, so the standard library's per-instance hash keys are
/// randomness enough.
pub(crate) fn random_below(bound: Duration) -> Duration {
    let fraction = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    bound.mul_f64(fraction)
}

/// What a caller waits because the authority asks for it.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
