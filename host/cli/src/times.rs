//! Points in time as people write and read them. All are milliseconds since 1970-01-01T00:00:00Z.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use qyv_spec::quantity::Duration as Span;

/// Now.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Reads `10m` (so long before `now`), `2026-01-31T12:00:00Z`, or milliseconds since 1970.
pub(crate) fn since(text: &str, now: u64) -> Result<u64, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| format!("`{text}` lies too far in the future"));
    }
    if let Ok(span) = text.parse::<Span>() {
        return Ok(now.saturating_sub(span.0));
    }
    let time: Timestamp = text.parse().map_err(|_| {
        format!("`{text}` is no time; write `10m`, `2026-01-31T12:00:00Z`, or milliseconds since 1970")
    })?;
    u64::try_from(time.as_millisecond()).map_err(|_| format!("`{text}` lies before 1970"))
}

/// The time as RFC 3339, in UTC, to the millisecond.
pub(crate) fn rfc3339(time: u64) -> String {
    let time = i64::try_from(time).ok().and_then(|time| Timestamp::from_millisecond(time).ok());
    time.map_or_else(|| "?".to_owned(), |time| format!("{time:.3}"))
}

/// How long ago that was, in the largest unit that fits: `12s`, `3m`, `5h`, `2d`.
pub(crate) fn age(time: u64, now: u64) -> String {
    let seconds = now.saturating_sub(time) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_span_a_date_or_a_number() {
        let now = 1_769_860_800_000;
        assert_eq!(since("10m", now), Ok(now - 600_000));
        assert_eq!(since("1500ms", now), Ok(now - 1500));
        assert_eq!(since("2026-01-31T12:00:00Z", now), Ok(now));
        assert_eq!(since("2026-01-31T13:30:00.250+01:30", now), Ok(now + 250));
        assert_eq!(since("0", now), Ok(0));
        assert_eq!(since("1769860800000", now), Ok(now));
        assert_eq!(since("10m", 1000), Ok(0));
        for bad in ["", "ten", "-5m", "10 m", "2026-01-31", "2026-02-30T00:00:00Z", "1960-01-01T00:00:00Z"] {
            assert!(since(bad, now).is_err(), "{bad:?}");
        }
        assert!(since("99999999999999999999", now).is_err());
    }

    #[test]
    fn a_time_is_shown_in_utc_and_any_number_is_shown() {
        assert_eq!(rfc3339(1_769_860_800_250), "2026-01-31T12:00:00.250Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(u64::MAX), "?");
    }

    #[test]
    fn an_age_is_in_the_largest_unit_that_fits() {
        let ages = [(0, "0s"), (59_999, "59s"), (60_000, "1m"), (3_599_999, "59m"), (7_200_000, "2h")];
        for (age_ms, text) in ages.into_iter().chain([(86_400_000, "1d"), (8_640_000_000, "100d")]) {
            assert_eq!(age(1_000, 1_000 + age_ms), text);
        }
        // A clock that was set back.
        assert_eq!(age(5_000, 1_000), "0s");
    }
}
