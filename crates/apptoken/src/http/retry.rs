use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use ::http::header::{DATE, RETRY_AFTER};
use ::http::{HeaderMap, StatusCode};

use super::{DynTransport, Request, Response, TransportError, TransportErrorKind};
use crate::clock::Clock;
use crate::telemetry::{self, TARGET};

/// How often and how patiently a token request is sent again.
///
/// Retried are time-outs, failed and broken connections, 408 and 5xx. What carries a `Retry-After` is not, unless it asks
/// for no wait at all: the wait is remembered with the token's slot instead of being slept through by a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further tries after the first. Default: 1. Zero switches retries off.
    pub max_retries: u32,
    /// The longest wait before the first retry; it doubles with each. The wait itself is random between zero and this
    /// (full jitter), so that many processes do not come back together. Default: 1 second.
    pub base_delay: Duration,
    /// Bound of the doubling. Default: 30 seconds.
    pub max_delay: Duration,
    /// No retry begins later than this after the first try began. Default: 60 seconds.
    pub give_up_after: Duration,
}

impl RetryPolicy {
    /// One try only.
    pub const NONE: Self = Self { max_retries: 0, ..Self::DEFAULT };

    const DEFAULT: Self = Self {
        max_retries: 1,
        base_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(30),
        give_up_after: Duration::from_secs(60),
    };

    fn delay(&self, retries_so_far: u32) -> Duration {
        let longest = self.base_delay.saturating_mul(1 << retries_so_far.min(16)).min(self.max_delay);
        random_below(longest)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Sends `request`, and again as `policy` says. The last answer or error is the outcome.
pub(crate) async fn send_with_retry(
    transport: &dyn DynTransport,
    clock: &dyn Clock,
    policy: &RetryPolicy,
    request: Request,
) -> Result<Response, TransportError> {
    let started = clock.now();
    let mut retries = 0;
    loop {
        let outcome = transport.send(request.clone()).await;
        if retries == policy.max_retries || !worth_retrying(&outcome) {
            return outcome;
        }
        let delay = policy.delay(retries);
        if clock.now().since(started) + delay > policy.give_up_after {
            return outcome;
        }
        retries += 1;
        let delay_ms = telemetry::millis(delay);
        tracing::debug!(name: "apptoken.http.retry", target: TARGET, retries, delay_ms, "the request is sent again");
        clock.sleep(delay).await;
    }
}

fn worth_retrying(outcome: &Result<Response, TransportError>) -> bool {
    match outcome {
        Ok(response) => {
            let status = response.status();
            (status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT)
                && retry_after(response.headers()).is_none()
        }
        Err(error) => {
            matches!(error.kind(), TransportErrorKind::Body | TransportErrorKind::Connect | TransportErrorKind::Timeout)
        }
    }
}

/// A random duration below `bound`. Spreads load and nothing else, so the standard library's per-instance hash keys are
/// randomness enough.
pub(crate) fn random_below(bound: Duration) -> Duration {
    let fraction = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    bound.mul_f64(fraction)
}

/// `Retry-After` as seconds or as an HTTP date (RFC 9110 §10.2.3), at most an hour. A date is measured by the answer's
/// own `Date`, so that this machine's clock does not matter.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let (then, now): (SystemTime, SystemTime) = (date(RETRY_AFTER)?, date(DATE)?);
            then.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT)).filter(|wait| !wait.is_zero())
}

/// MSAL's bound too.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
