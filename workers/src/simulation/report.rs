//! The printed report of a simulation.

use std::time::Duration;

use chrono::DateTime;
use tocsin::time::Timestamp;

use super::{Entry, Kind};

/// The most incidents that are named one by one.
const NAMED: usize = 3;

/// A line of what happened; `began` is when the scenario begins.
#[must_use]
pub fn line(entry: &Entry, began: Timestamp) -> String {
    let mut line = format!("{}  ", stamp(entry.at, began));
    line.push_str(match entry.kind {
        Kind::Step => "> ",
        Kind::Met => "  ok: ",
        Kind::Failed => "  FAILED: ",
        _ => "  ",
    });
    if let Some(incidents) = names(&entry.incidents) {
        line.push_str(&incidents);
        line.push(' ');
    }
    line.push_str(&entry.what);
    if let Some(why) = &entry.why {
        line.push_str(" — ");
        line.push_str(why);
    }
    line
}

/// `day 2 09:05:30`.
fn stamp(at: Timestamp, began: Timestamp) -> String {
    const DAY: i64 = 86_400_000;
    let day = at.0.div_euclid(DAY) - began.0.div_euclid(DAY) + 1;
    let time = DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    format!("day {day} {}", time.format("%H:%M:%S"))
}

/// `09:05`, or `09:05:30`: the time of day, UTC.
pub(super) fn moment(at: Timestamp) -> String {
    let at = DateTime::from_timestamp_millis(at.0).unwrap_or_default();
    let seconds = match at.timestamp() % 60 {
        0 => "%H:%M",
        _ => "%H:%M:%S",
    };
    at.format(seconds).to_string()
}

/// `#1`, or `#1 to #24 (24)`.
fn names(incidents: &[String]) -> Option<String> {
    match incidents {
        [] => None,
        few if few.len() <= NAMED => Some(few.join(", ")),
        [first, .., last] => Some(format!("{first} to {last} ({})", incidents.len())),
        [one] => Some(one.clone()),
    }
}

/// `90 s`, `30 min`, `1 h 30 min`, `2 d`.
pub(super) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts = units.into_iter().filter(|(n, _)| *n > 0).take(2);
    let parts: Vec<String> = parts.map(|(n, unit)| format!("{n} {unit}")).collect();
    match parts.is_empty() {
        true => "0 s".to_owned(),
        false => parts.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_their_two_largest_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (90, "1 min 30 s"),
            (1800, "30 min"),
            (5400, "1 h 30 min"),
            (86_400 * 2 + 60, "2 d 1 min"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn many_incidents_are_named_by_the_first_and_the_last() {
        let names_of = |n: usize| names(&(1..=n).map(|n| format!("#{n}")).collect::<Vec<_>>());
        assert_eq!(names_of(0), None);
        assert_eq!(names_of(2).as_deref(), Some("#1, #2"));
        assert_eq!(names_of(24).as_deref(), Some("#1 to #24 (24)"));
    }
}
