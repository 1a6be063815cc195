//! The words for levels, states, tiers and windows, and the sentences that say why.

use super::{Reason, Text, TierReason, fill};
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::domain::frequency::{Counts, Window, figure};
use crate::time::Timestamp;

/// A level's word.
#[must_use]
pub const fn level_word(text: &Text, level: Level) -> &'static str {
    match level {
        Level::None => text.level_none,
        Level::Repeat => text.level_repeat,
        Level::Escalate => text.level_escalate,
        Level::PermanentFix => text.level_permanent_fix,
    }
}

/// A state's word.
#[must_use]
pub const fn status_word(text: &Text, status: Status) -> &'static str {
    match status {
        Status::Open => text.status_open,
        Status::Analyzing => text.status_analyzing,
        Status::Acknowledged => text.status_acknowledged,
        Status::Resolved => text.status_resolved,
    }
}

/// A tier's name.
#[must_use]
pub const fn tier_name(text: &Text, tier: i32) -> &'static str {
    match tier {
        1 => text.tier_1,
        2 => text.tier_2,
        3 => text.tier_3,
        _ => text.tier_4,
    }
}

/// What a tier, 1 to 4, asks people to do.
#[must_use]
pub const fn tier_deed(text: &Text, tier: i32) -> Option<&'static str> {
    match tier {
        1 => Some(text.tier_do_1),
        2 => Some(text.tier_do_2),
        3 => Some(text.tier_do_3),
        4 => Some(text.tier_do_4),
        _ => None,
    }
}

/// A window's short name.
#[must_use]
pub const fn window(text: &Text, window: Window) -> &'static str {
    match window {
        Window::Hour => text.window_1h,
        Window::Day => text.window_24h,
        Window::Week => text.window_7d,
        Window::Month => text.window_30d,
    }
}

/// A window in a sentence.
#[must_use]
pub const fn within(text: &Text, window: Window) -> &'static str {
    match window {
        Window::Hour => text.in_1h,
        Window::Day => text.in_24h,
        Window::Week => text.in_7d,
        Window::Month => text.in_30d,
    }
}

/// Date and time in UTC, to the second, without the zone.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let to_the_second = text.get(..19).unwrap_or(&text);
    to_the_second.replace('T', " ")
}

/// Why a level holds, in a sentence; `reason` as it is stored, which has the figure of the moment at
/// which the level was set. Where `now`, the counts that are shown beside it, still reach the rule, their
/// figure is told, so that the two do not contradict each other.
#[must_use]
pub fn why_level(text: &Text, level: Level, reason: Option<&str>, now: Option<&Counts>) -> String {
    let level = level_word(text, level);
    match reason.map(Reason::read) {
        None => text.reason_none.to_owned(),
        Some(Reason::Count {
            figure: was,
            window,
            threshold,
        }) => {
            let is_enough = |n: &i64| threshold.parse().is_ok_and(|least| *n >= least);
            let now = now.map(|counts| counts.of(window)).filter(is_enough);
            let told = if now.is_some() {
                text.reason_count
            } else {
                text.reason_was
            };
            let figure = now.map_or_else(|| was.to_owned(), figure);
            let places = [
                ("figure", &*figure),
                ("window", within(text, window)),
                ("threshold", threshold),
                ("level", level),
            ];
            fill(told, &places)
        }
        Some(Reason::Lasts { since, hours }) => {
            let since = format!("{} UTC", moment(since));
            let places = [("since", &*since), ("hours", hours), ("level", level)];
            fill(text.reason_lasts, &places)
        }
        Some(Reason::Other(reason)) => fill(text.reason_other, &[("reason", reason)]),
    }
}

/// Why a tier holds, in a sentence; `reason` as it is stored.
#[must_use]
pub fn why_tier(text: &Text, level: Level, reason: Option<&str>) -> String {
    let level = level_word(text, level);
    match reason.map(TierReason::read) {
        None => text.tier_why_unknown.to_owned(),
        Some(TierReason::Level) => fill(text.tier_why_level, &[("level", level)]),
        Some(TierReason::FixFailed) => text.tier_why_fix.to_owned(),
        Some(TierReason::Restarts(n)) => fill(text.tier_why_restarts, &[("n", n)]),
        Some(TierReason::Nothing) => text.tier_why_nothing.to_owned(),
        Some(TierReason::Other(reason)) => fill(text.reason_other, &[("reason", reason)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::EN;

    #[test]
    fn a_reason_is_told_with_the_figure_that_stands_beside_it() {
        let day = |day| Counts {
            day,
            ..Counts::default()
        };
        let told = |now: Option<Counts>| {
            why_level(&EN, Level::Escalate, Some("5 in 24h (≥ 5)"), now.as_ref())
        };
        for (now, expected) in [
            (Some(day(5)), "It happened 5 times in the last 24 hours."),
            (Some(day(9)), "It happened 9 times in the last 24 hours."),
            (Some(day(200_000)), "It happened 100000+ times"),
            (Some(day(4)), "When the level was set, it had happened 5"),
            (None, "When the level was set, it had happened 5"),
        ] {
            assert!(told(now).starts_with(expected), "{now:?}: {}", told(now));
        }
        let none = why_level(&EN, Level::None, None, Some(&day(9)));
        assert_eq!(none, EN.reason_none);
    }
}
