//! Since when a server answers whenever it is asked.

use std::time::Duration;

use crate::time::Timestamp;

/// One that was not asked for so long may have been down meanwhile.
const UNASKED: Duration = Duration::from_secs(30 * 60);

/// From when to when a server answered whenever it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steady {
    pub(super) since: Timestamp,
    until: Timestamp,
}

impl Steady {
    /// It answers now, as `before` says that it did.
    pub(super) fn again(before: Option<Self>, now: Timestamp) -> Self {
        let goes_on = |before: &Self| before.since <= now && now.since(before.until) < UNASKED;
        let since = before.filter(goes_on).map_or(now, |before| before.since);
        Self { since, until: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_steady_since_it_answers_whenever_it_is_asked() {
        let at = |minute: i64| Timestamp(minute * 60_000);
        let steady = |since, until| Steady {
            since: at(since),
            until: at(until),
        };
        for (before, now, expected) in [
            (None, 10, steady(10, 10)),
            (Some(steady(10, 12)), 13, steady(10, 13)),
            (Some(steady(10, 12)), 41, steady(10, 41)),
            // It was not asked for long, or the clock went back.
            (Some(steady(10, 12)), 42, steady(42, 42)),
            (Some(steady(10, 12)), 9, steady(9, 9)),
        ] {
            assert_eq!(Steady::again(before, at(now)), expected, "{before:?} {now}");
        }
    }
}
