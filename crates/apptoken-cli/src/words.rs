//! Times, durations and other people's text in words.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

/// `2026-11-23 01:02:03 UTC`; a number that is no date stays a number.
pub(crate) fn date(unix: i64) -> String {
    Timestamp::from_second(unix)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .unwrap_or_else(|_| unix.to_string())
}

/// How far `unix` is from `now`: `in 54 minutes`, `2 hours ago`.
pub(crate) fn distance(unix: i64, now: i64) -> String {
    match unix.saturating_sub(now) {
        0 => "now".to_owned(),
        ahead @ 1.. => format!("in {}", seconds(ahead.unsigned_abs())),
        behind => format!("{} ago", seconds(behind.unsigned_abs())),
    }
}

/// A measured time, three digits at most: `812 ns`, `4.1 µs`, `12 ms`, `1.2 s`.
pub(crate) fn measured(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `1000` as `1,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// One line that does not steer the terminal, whoever wrote it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// One word for a POSIX shell; what needs no quotes gets none.
pub(crate) fn shell(text: &str) -> Cow<'_, str> {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=:@%,".contains(&b);
    if !text.is_empty() && text.bytes().all(harmless) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

fn seconds(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(date(1_795_395_723), "2026-11-23 01:02:03 UTC");
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn distances() {
        for (unix, said) in [
            (1000, "now"),
            (1001, "in 1 second"),
            (4599, "in 59 minutes"),
            (1000 - 7200, "2 hours ago"),
            (1000 + 86_400 * 90, "in 90 days"),
            (i64::MIN, "106751991167300 days ago"),
        ] {
            assert_eq!(distance(unix, 1000), said);
        }
    }

    #[test]
    fn words_of_others() {
        assert_eq!(plain("a\u{1b}[2J\n\u{9b}\u{e9}"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{e9}");
        assert_eq!(shell("eyJ0.eyJh-_=="), "eyJ0.eyJh-_==");
        assert_eq!(shell("a; rm -rf $(b) 'c'"), r"'a; rm -rf $(b) '\''c'\'''");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn measures() {
        for (nanos, said) in
            [(812, "812 ns"), (4_100, "4.1 µs"), (12_345_678, "12 ms"), (1_234_000_000, "1.2 s"), (0, "0 ns")]
        {
            assert_eq!(measured(Duration::from_nanos(nanos)), said);
        }
        assert_eq!([grouped(7), grouped(1_000), grouped(1_234_567)], ["7", "1,000", "1,234,567"]);
    }
}
