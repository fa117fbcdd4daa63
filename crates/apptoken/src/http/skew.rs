use std::fmt;
use std::time::{Duration, SystemTime};

use ::http::HeaderMap;
use ::http::header::DATE;

/// How far this machine's clock is from a host's, by the `Date` of its answer (RFC 9110 §6.6.1), which counts whole
/// seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    pub(crate) by: Duration,
    pub(crate) ahead: Ahead,
}

/// Whose clock is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    Host,
    Machine,
}

impl Skew {
    /// `None` for an answer without a `Date`, as not only proxies give.
    pub(crate) fn measured(headers: &HeaderMap, now: SystemTime) -> Option<Self> {
        let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        Some(match now.duration_since(date) {
            Ok(by) => Self { by, ahead: Ahead::Machine },
            Err(early) => Self { by: early.duration(), ahead: Ahead::Host },
        })
    }

    /// More than an answer's way, a coarse date and an ordinary clock explain.
    pub(crate) fn is_wrong(&self) -> bool {
        self.by >= TOLERANCE
    }
}

impl fmt::Display for Skew {
    /// Completes "this machine's clock …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.by.as_secs();
        let relation = match self.ahead {
            Ahead::Host => "behind",
            Ahead::Machine => "ahead of",
        };
        match seconds {
            0..120 => write!(f, "is {seconds} seconds {relation} the authority's"),
            120..7200 => write!(f, "is {} minutes {relation} the authority's", seconds / 60),
            7200..172_800 => write!(f, "is {} hours {relation} the authority's", seconds / 3600),
            _ => write!(f, "is {} days {relation} the authority's", seconds / 86_400),
        }
    }
}

/// An answer's way and a date in whole seconds explain a few; more is a clock that nobody keeps right.
const TOLERANCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn it_is_measured_by_the_answers_date() {
        let host = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut headers = HeaderMap::new();
        assert_eq!(Skew::measured(&headers, host), None);
        headers.insert(DATE, httpdate::fmt_http_date(host).parse().unwrap());
        for (seconds, wrong, text) in [
            (0, false, "is 0 seconds ahead of"),
            (29, false, "is 29 seconds"),
            (90, true, "is 90 seconds"),
            (750, true, "is 12 minutes"),
            (10_000, true, "is 2 hours"),
            (400_000_000, true, "is 4629 days"),
        ] {
            let by = Duration::from_secs(seconds);
            for (now, ahead) in [(host + by, "ahead of the authority's"), (host - by, "behind the authority's")] {
                let skew = Skew::measured(&headers, now).unwrap();
                assert_eq!(skew.is_wrong(), wrong);
                let shown = skew.to_string();
                assert!(shown.starts_with(text) && (seconds == 0 || shown.ends_with(ahead)), "{shown}");
            }
        }
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(Skew::measured(&headers, host), None);
    }
}
