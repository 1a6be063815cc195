//! Times as senders write them.

use chrono::{DateTime, NaiveDateTime};

use crate::time::Timestamp;

/// With an offset. RFC 3339 is read without these.
const WITH_OFFSET: [&str; 3] = [
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f %z",
];
/// Without one: UTC.
const WITHOUT: [&str; 3] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y.%m.%d %H:%M:%S%.f",
];

/// RFC 3339, with or without colon and offset (UTC), with `T` or a space; or a number since 1970, in seconds,
/// milliseconds, microseconds or nanoseconds, whichever is of our time.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    if let Some(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let ms = since_1970(text).or_else(|| {
        let zoned = WITH_OFFSET.iter();
        let mut zoned = zoned.filter_map(|form| DateTime::parse_from_str(text, form).ok());
        let bare = WITHOUT.iter();
        let mut bare = bare.filter_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let zoned = zoned.next().map(|at| at.timestamp_millis());
        zoned.or_else(|| bare.next().map(|at| at.and_utc().timestamp_millis()))
    })?;
    // No more than can be written again.
    Timestamp::parse(&Timestamp(ms).to_rfc3339()).filter(|at| at.0 == ms)
}

fn since_1970(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > 19 {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    match number {
        0..100_000_000_000 => {
            let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
            Some(number * 1000 + thousandths.parse::<i64>().ok()?)
        }
        100_000_000_000..100_000_000_000_000 => Some(number),
        100_000_000_000_000..100_000_000_000_000_000 => Some(number / 1000),
        _ => Some(number / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_senders_write_them() {
        for (text, expected) in [
            ("2026-11-22T21:28:29.102Z", "2026-11-22T21:28:29.102Z"),
            ("2026-11-22T21:28:29.102+0000", "2026-11-22T21:28:29.102Z"),
            ("2026-11-22T23:28:29+02:00", "2026-11-22T21:28:29.000Z"),
            ("2026-11-22 23:28:29 +0200", "2026-11-22T21:28:29.000Z"),
            ("2026-11-22 21:28:29.102", "2026-11-22T21:28:29.102Z"),
            ("2026-11-22T21:28:29", "2026-11-22T21:28:29.000Z"),
            ("2026.11.22 21:28:29", "2026-11-22T21:28:29.000Z"),
            ("1795382909", "2026-11-22T21:28:29.000Z"),
            ("1795382909.1029", "2026-11-22T21:28:29.102Z"),
            ("1795382909102", "2026-11-22T21:28:29.102Z"),
            ("1795382909102000", "2026-11-22T21:28:29.102Z"),
            ("1795382909102000000", "2026-11-22T21:28:29.102Z"),
        ] {
            assert_eq!(read(text).unwrap().to_rfc3339(), expected, "{text}");
        }
        for wrong in [
            "",
            "soon",
            "{EVENT.TIMESTAMP}",
            "-1",
            "1e9",
            "99999999999999999999",
            "12:00",
            "2026-13-01 00:00:00",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
