//! Ages: how long ago something was, and how old something must be.

use std::time::Duration;

use tocsin::config::Span;
use tocsin::time::Timestamp;

/// An age as the API takes it, for instance `7d`.
pub(super) fn given(text: &str) -> Result<String, String> {
    let age = serde_json::from_value::<Span>(text.into());
    age.map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// One number and one unit: "42s", "3m", "2h", "5d".
pub(super) fn short(age: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match age.as_secs() {
        secs if secs < MINUTE => format!("{secs}s"),
        secs if secs < HOUR => format!("{}m", secs / MINUTE),
        secs if secs < DAY => format!("{}h", secs / HOUR),
        secs => format!("{}d", secs / DAY),
    }
}

/// How long something still is, to the minute: "42s", "1h 30m", "29d 23h".
pub(super) fn left(left: Duration) -> String {
    let minutes = left.as_secs().saturating_add(30) / 60;
    let parts = [
        (minutes / 1440, "d"),
        (minutes / 60 % 24, "h"),
        (minutes % 60, "m"),
    ];
    let mut parts_left = parts.into_iter().skip_while(|(n, _)| *n == 0).take(2);
    match (left.as_secs(), parts_left.next()) {
        (0..60, _) | (_, None) => short(left),
        (_, Some((n, unit))) => parts_left
            .filter(|(n, _)| *n > 0)
            .fold(format!("{n}{unit}"), |text, (n, unit)| {
                format!("{text} {n}{unit}")
            }),
    }
}

/// The moment and how long ago it was: "2026-11-22T21:28:29.102Z (3m ago)".
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({} ago)", short(now.since(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        let table = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (86_399, "23h"),
            (86_400, "1d"),
            (40 * 86_400, "40d"),
        ];
        for (secs, expected) in table {
            assert_eq!(short(Duration::from_secs(secs)), expected, "{secs}s");
        }
    }

    #[test]
    fn a_remaining_duration_has_two_units() {
        let table = [
            (0, "0s"),
            (59, "59s"),
            (89, "1m"),
            (3570, "1h"),
            (5400, "1h 30m"),
            (5370, "1h 30m"),
            (86_400, "1d"),
            (86_400 + 1800, "1d"),
            (2 * 86_400 - 20, "2d"),
            (30 * 86_400 - 3600, "29d 23h"),
        ];
        for (secs, expected) in table {
            assert_eq!(left(Duration::from_secs(secs)), expected, "{secs}s");
        }
    }

    #[test]
    fn a_future_time_is_shown_as_now() {
        let now = Timestamp(1_795_382_909_102);
        let text = moment(now.after(Duration::from_secs(5)), now);
        assert_eq!(text, "2026-11-22T21:28:34.102Z (0s ago)");
    }
}
