//! The dates that identity endpoints write into `expires_on`.

/// Unix seconds. ISO 8601 (`2026-11-23T01:02:03Z`, with a fraction, an offset or neither) and the American form that old
/// endpoints have (`11/23/2026 1:02:03 AM +00:00`); without an offset it is UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, rest) = text.trim().split_once(['T', 't', ' '])?;
    let (year, month, day) = if date.contains('/') {
        let [month, day, year] = numbers(date, '/')?;
        (year, month, day)
    } else {
        let [year, month, day] = numbers(date, '-')?;
        (year, month, day)
    };
    let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(rest.len());
    let (clock, rest) = rest.split_at(end);
    let clock = clock.split('.').next()?;
    let [hour, minute, second] = if clock.matches(':').count() == 1 {
        let [hour, minute] = numbers(clock, ':')?;
        [hour, minute, 0]
    } else {
        numbers(clock, ':')?
    };
    let rest = rest.trim();
    let half = rest.get(..2).unwrap_or_default().to_ascii_uppercase();
    let (hour, rest) = match (half.as_str(), hour) {
        ("AM", 12) => (0, &rest[2..]),
        ("AM", _) => (hour, &rest[2..]),
        // some write a 24-hour clock and the half day too
        ("PM", 0..=11) => (hour + 12, &rest[2..]),
        ("PM", _) => (hour, &rest[2..]),
        _ => (hour, rest),
    };
    let possible = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !possible {
        return None;
    }
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(rest.trim())?)
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let number = |part: &str| {
        let plain = !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    };
    text.split(separator).map(number).collect::<Option<Vec<i64>>>()?.try_into().ok()
}

/// Seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if ["", "Z", "UTC", "GMT"].iter().any(|zero| text.eq_ignore_ascii_case(zero)) {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Of the proleptic Gregorian calendar, by years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_the_same_second() {
        for text in [
            "2026-11-23T01:02:03Z",
            "2026-11-23T01:02:03",
            "2026-11-23 01:02:03.1234567Z",
            "2026-11-23T02:32:03+01:30",
            "2026-11-22T20:02:03.5-0500",
            "11/23/2026 01:02:03 +00:00",
            "11/23/2026 1:02:03 AM +00:00",
            "11/23/2026 01:02:03 am",
        ] {
            assert_eq!(parse(text), Some(1_795_395_723), "{text}");
        }
        assert_eq!(parse("2/29/2024 12:00:00 AM +00:00"), Some(1_709_164_800));
        assert_eq!(parse("2/29/2024 12:00:00 PM +00:00"), Some(1_709_164_800 + 43_200));
        assert_eq!(parse("09/14/2017 00:00:00 PM +00:00"), Some(1_505_347_200 + 43_200));
        assert_eq!(parse("1970-01-01T00:00Z"), Some(0));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "tomorrow",
            "2026-11-23",
            "2026-13-01T00:00:00Z",
            "2026-11-23T25:00:00Z",
            "2026-11-23T01:02:03 CET",
            "+99999-01-01T00:00:00Z",
            "T",
            "é é",
            "1/1/2026 ÄÖ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
