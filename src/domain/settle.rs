//! Bursts: while an incident has just opened, rises are shown by its card, and one message at the end
//! of that time reports the highest.

use std::time::Duration;

use super::escalation::Level;
use super::notification::Kind;
use crate::time::Timestamp;

/// When the message of a rise at `now` may be sent, for an incident that opened at `opened_at` and
/// settles for `settle`.
#[must_use]
pub fn over(opened_at: Timestamp, settle: Duration, now: Timestamp) -> Timestamp {
    now.max(opened_at.after(settle))
}

/// Whether the message of a rise that waited for the end of a burst is obsolete: the level fell again, or
/// `is_told` says that a higher one has a message of its own.
#[must_use]
pub fn is_outdated(kind: Kind, level: Level, is_told: impl Fn(Kind) -> bool) -> bool {
    match kind {
        Kind::Escalated => level < Level::Escalate,
        Kind::Repeated => {
            level < Level::Repeat || (level >= Level::Escalate && is_told(Kind::Escalated))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_waits_until_the_incident_has_settled() {
        let opened = Timestamp(1_000_000);
        let settle = Duration::from_secs(30);
        for (now, expected) in [
            (1_000_000, 1_030_000),
            (1_029_999, 1_030_000),
            (1_030_000, 1_030_000),
            (1_030_001, 1_030_001),
        ] {
            assert_eq!(over(opened, settle, Timestamp(now)), Timestamp(expected));
            assert_eq!(over(opened, Duration::ZERO, Timestamp(now)), Timestamp(now));
        }
    }

    #[test]
    fn a_message_that_no_longer_applies_is_not_sent() {
        use Level::{Escalate, None, PermanentFix, Repeat};
        let table = [
            (Kind::Escalated, None, true, true),
            (Kind::Escalated, Repeat, true, true),
            (Kind::Escalated, Escalate, true, false),
            (Kind::Escalated, PermanentFix, true, false),
            (Kind::Repeated, None, true, true),
            (Kind::Repeated, Repeat, true, false),
            (Kind::Repeated, Escalate, true, true),
            (Kind::Repeated, Escalate, false, false),
            (Kind::Opened, None, true, false),
            (Kind::Reopened, None, true, false),
        ];
        for (kind, level, tells, expected) in table {
            let found = is_outdated(kind, level, |_| tells);
            assert_eq!(found, expected, "{kind:?} {level} {tells}");
        }
    }
}
