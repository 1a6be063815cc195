//! Again: an incident whose anomaly was told lately continues on the card of the one before it, without a sound.
//! What somebody must know makes a sound all the same.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::level::Level;
use super::severity;
use crate::time::Timestamp;

/// A card that incidents can continue on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardRef {
    /// Its message.
    pub id: Uuid,
    /// The number of the incident that it was sent for.
    pub number: i64,
}

/// What a channel was told of the incident before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its card there.
    pub card: CardRef,
    /// When the card was sent.
    pub sent_at: Timestamp,
    /// When the channel was last told of that incident, on its card or by a later message.
    pub told_at: Timestamp,
}

/// The incident before one that opens, of the same anomaly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormerIncident {
    /// Its severity.
    pub severity: String,
    /// Whether a person said that it is over.
    pub is_resolved_by_person: bool,
    /// What it was told by, by channel. Channels whose messages cannot be edited are left out.
    pub told: HashMap<String, Told>,
}

/// An incident that opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// Its severity.
    pub severity: &'a str,
    /// Its anomaly's level.
    pub level: Level,
    /// When that last rose.
    pub risen_at: Option<Timestamp>,
    /// When a permanent fix was applied to its anomaly.
    pub permanent_fix_at: Option<Timestamp>,
}

/// Why an incident that opens has a message of its own, though its channel has a card of the former one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// The channel was told too long ago.
    LongAgo,
    /// The level rose since it was told.
    Rose,
    /// The anomaly was marked as fixed since it was told.
    Fixed,
    /// A person said that the former one is over.
    ResolvedByPerson,
    /// It is more severe, or may be.
    Severity,
}

/// Whether an incident that opens at `now` continues on the card that `told` a channel of the former one, and
/// makes no sound: the channel was told within `again`, and since then nothing rose, and nobody said that it
/// was over. `None` as `again` means never.
#[must_use]
pub fn goes_on(
    opening: &Opening<'_>,
    former: &FormerIncident,
    told: &Told,
    again: Option<Duration>,
    now: Timestamp,
) -> bool {
    sound(opening, former, told, again, now).is_none()
}

/// Why it does not continue on that card; `None` if it does.
#[must_use]
pub fn sound(
    opening: &Opening<'_>,
    former: &FormerIncident,
    told: &Told,
    again: Option<Duration>,
    now: Timestamp,
) -> Option<Sound> {
    let is_since = |at: Option<Timestamp>| at.is_some_and(|at| at >= told.told_at);
    if again.is_none_or(|again| now.since(told.told_at) > again) {
        Some(Sound::LongAgo)
    } else if opening.level >= Level::Escalate && is_since(opening.risen_at) {
        Some(Sound::Rose)
    } else if is_since(opening.permanent_fix_at) {
        Some(Sound::Fixed)
    } else if former.is_resolved_by_person {
        Some(Sound::ResolvedByPerson)
    } else if !is_no_worse(opening.severity, &former.severity) {
        Some(Sound::Severity)
    } else {
        None
    }
}

/// Whether it is known that a severity is no higher than the one before.
fn is_no_worse(now: &str, before: &str) -> bool {
    let is_ranked = severity::rank(now).is_some() && severity::rank(before).is_some();
    now.eq_ignore_ascii_case(before) || (is_ranked && !severity::is_worse(now, before))
}

/// What a card says of the incident that continues on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgainFigures {
    /// How many incidents of the anomaly opened within the 24 hours that end with it, itself included.
    pub within_day: i64,
    /// How many of those before it are not resolved.
    pub others_open: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const AGAIN: Option<Duration> = Some(Duration::from_secs(12 * 3600));

    fn told(before: Duration) -> Told {
        Told {
            card: CardRef {
                id: Uuid::from_u128(1),
                number: 1,
            },
            sent_at: NOW.before(20 * HOUR),
            told_at: NOW.before(before),
        }
    }

    fn former(severity: &str) -> FormerIncident {
        FormerIncident {
            severity: severity.to_owned(),
            ..FormerIncident::default()
        }
    }

    const SAME: Opening<'_> = Opening {
        severity: "warning",
        level: Level::None,
        risen_at: None,
        permanent_fix_at: None,
    };

    #[test]
    fn what_was_told_within_the_time_goes_on_and_after_a_quiet_day_it_makes_a_sound() {
        let goes_on = |told: &Told, again| goes_on(&SAME, &former("warning"), told, again, NOW);
        assert!(goes_on(&told(HOUR), AGAIN));
        assert!(goes_on(&told(12 * HOUR), AGAIN));
        assert!(!goes_on(&told(12 * HOUR + Duration::from_millis(1)), AGAIN));
        assert!(!goes_on(&told(HOUR), None), "it is turned off");
        assert!(!goes_on(&told(Duration::ZERO), None), "it is turned off");
    }

    #[test]
    fn what_rose_since_it_was_told_makes_a_sound() {
        let (before, since) = (NOW.before(3 * HOUR), NOW.before(HOUR));
        for (level, risen_at, expected) in [
            (Level::None, None, true),
            (Level::Repeat, Some(since), true),
            (Level::Escalate, Some(before), true),
            (Level::Escalate, Some(NOW.before(2 * HOUR)), false),
            (Level::Escalate, Some(since), false),
            (Level::PermanentFix, Some(before), true),
            (Level::PermanentFix, Some(NOW), false),
        ] {
            let opening = Opening {
                level,
                risen_at,
                ..SAME
            };
            let found = goes_on(&opening, &former("warning"), &told(2 * HOUR), AGAIN, NOW);
            assert_eq!(found, expected, "{level} {risen_at:?}");
        }
    }

    #[test]
    fn a_severity_that_may_be_higher_makes_a_sound() {
        for (before, now, expected) in [
            ("warning", "warning", true),
            ("warning", "WARN", true),
            ("critical", "warning", true),
            ("warning", "critical", false),
            ("", "critical", false),
            ("odd", "odd", true),
            ("odd", "warning", false),
            ("warning", "odd", false),
        ] {
            let opening = Opening {
                severity: now,
                ..SAME
            };
            let found = goes_on(&opening, &former(before), &told(HOUR), AGAIN, NOW);
            assert_eq!(found, expected, "{before:?}, then {now:?}");
        }
    }

    #[test]
    fn what_a_person_said_is_over_or_fixed_makes_a_sound() {
        let mut resolved = former("warning");
        resolved.is_resolved_by_person = true;
        assert!(!goes_on(&SAME, &resolved, &told(HOUR), AGAIN, NOW));
        for (fixed, expected) in [(NOW.before(2 * HOUR), true), (NOW.before(HOUR), false)] {
            let opening = Opening {
                permanent_fix_at: Some(fixed),
                ..SAME
            };
            let found = goes_on(&opening, &former("warning"), &told(HOUR), AGAIN, NOW);
            assert_eq!(found, expected, "{fixed:?}");
        }
    }
}
