//! Times and other values as people read them.

use jiff::Timestamp;

use crate::sign_in::{CredentialKind, Outcome};

/// `2026-11-23 04:31:02Z`.
pub(super) fn time(unix: i64) -> String {
    Timestamp::from_second(unix)
        .map_or_else(|_| "beyond all dates".into(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// `2026-11-23`.
pub(super) fn date(unix: i64) -> String {
    Timestamp::from_second(unix).map_or_else(|_| "beyond all dates".into(), |t| t.strftime("%Y-%m-%d").to_string())
}

/// `in 89 days`, `for 3 minutes`: the largest unit only.
pub(super) fn span(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// Whether something with an end is still good: `expires in 89 days`, `expired 2 hours ago`.
pub(super) fn until(end: i64, now: i64) -> String {
    match u64::try_from(end.saturating_sub(now)) {
        Ok(left @ 1..) => format!("expires in {}", span(left)),
        _ => format!("expired {} ago", span(now.abs_diff(end))),
    }
}

pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Granted => "granted",
        Outcome::Refused => "refused",
        Outcome::Faulted => "fault",
    }
}

pub(super) fn credential(kind: Option<CredentialKind>) -> &'static str {
    match kind {
        Some(CredentialKind::Secret) => "client secret",
        Some(CredentialKind::Certificate) => "certificate",
        Some(CredentialKind::Federated) => "federated credential",
        Some(CredentialKind::ManagedIdentity) => "managed identity",
        None => "—",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!([span(1), span(61), span(7200), span(90 * 86_400)], ["1 second", "1 minute", "2 hours", "90 days"]);
        assert_eq!((until(100, 40), until(40, 100)), ("expires in 1 minute".into(), "expired 1 minute ago".into()));
    }
}
