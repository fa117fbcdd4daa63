use std::time::{Duration, SystemTime};

use ::http::HeaderMap;
use ::http::header::{DATE, RETRY_AFTER};

/// How long the host wants to be left alone, at most an hour; `None` for no wish, or one that has passed. `Retry-After`
/// in seconds or as an HTTP date (RFC 9110 §10.2.3), and Azure's two in milliseconds, which win as the more exact ones.
/// A date is measured by the answer's own `Date`, so that this machine's clock does not matter.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number =
        |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let date = |name| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok();
    let until = || -> Option<Duration> {
        let (then, now): (SystemTime, SystemTime) = (date(RETRY_AFTER)?, date(DATE)?);
        Some(then.duration_since(now).unwrap_or_default())
    };
    let millis = MILLISECONDS.into_iter().find_map(number).map(|millis| millis / 1000.0);
    // bounded before it becomes a duration, which infinity cannot
    let bounded = |seconds: f64| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64()));
    let wait = millis.or_else(|| number(RETRY_AFTER.as_str())).map(bounded).or_else(until)?;
    Some(wait.min(LONGEST_WAIT)).filter(|wait| !wait.is_zero())
}

const MILLISECONDS: [&str; 2] = ["retry-after-ms", "x-ms-retry-after-ms"];
/// MSAL's bound too.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
