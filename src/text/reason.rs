//! The stored reasons of levels and tiers, read back, so that they can be told in any language.

use crate::domain::frequency::Window;
use crate::time::Timestamp;

/// Why a level holds, as [`crate::domain::escalation::assess`] and the tier worker write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// So often in a window, where so many are enough.
    Count {
        /// How often, as people read it.
        figure: &'a str,
        /// In which window.
        window: Window,
        /// How many are enough.
        threshold: &'a str,
    },
    /// It lasts.
    Lasts {
        /// Since when.
        since: Timestamp,
        /// How many hours are enough.
        hours: &'a str,
    },
    /// Something else, in its own words.
    Other(&'a str),
}

impl<'a> Reason<'a> {
    /// Reads a stored reason.
    #[must_use]
    pub fn read(reason: &'a str) -> Self {
        Self::count(reason)
            .or_else(|| Self::lasts(reason))
            .unwrap_or(Self::Other(reason))
    }

    /// Whether it is by the rule that `other` is by, whatever the figures.
    #[must_use]
    pub fn has_rule_of(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Count {
                    window, threshold, ..
                },
                Self::Count {
                    window: other,
                    threshold: least,
                    ..
                },
            ) => window == other && threshold == least,
            _ => self == other,
        }
    }

    fn count(reason: &'a str) -> Option<Self> {
        let (figure, rest) = reason.split_once(" in ")?;
        let (window, threshold) = rest.strip_suffix(')')?.split_once(" (≥ ")?;
        let window = Window::ALL.into_iter().find(|w| w.name() == window)?;
        Some(Self::Count {
            figure,
            window,
            threshold,
        })
    }

    fn lasts(reason: &'a str) -> Option<Self> {
        let rest = reason.strip_prefix("fires since ")?;
        let (since, hours) = rest.strip_suffix(" h)")?.split_once(" (≥ ")?;
        let since = Timestamp::parse(since)?;
        Some(Self::Lasts { since, hours })
    }
}

/// Why a tier holds, as [`crate::domain::tier::decide`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierReason<'a> {
    /// The level asks for it.
    Level,
    /// It happened again after a permanent fix.
    FixFailed,
    /// Restarting was tried so many times.
    Restarts(&'a str),
    /// Nothing asks for more.
    Nothing,
    /// Something else, in its own words.
    Other(&'a str),
}

impl<'a> TierReason<'a> {
    /// Reads a stored reason.
    #[must_use]
    pub fn read(reason: &'a str) -> Self {
        let restarts = || {
            let rest = reason.strip_prefix("restarting was tried ")?;
            rest.strip_suffix(" times").map(Self::Restarts)
        };
        match reason {
            "it happened again after a permanent fix" => Self::FixFailed,
            "nothing calls for more" => Self::Nothing,
            level if level.starts_with("level is ") => Self::Level,
            other => restarts().unwrap_or(Self::Other(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::effectiveness::Effectiveness;
    use crate::domain::escalation::{Level, assess, default_rules};
    use crate::domain::frequency::Counts;
    use crate::domain::tier::decide;

    #[test]
    fn what_the_level_s_decision_writes_is_read() {
        let counts = Counts {
            hour: 2,
            day: 7,
            week: 7,
            month: 9,
        };
        let written = assess(&counts, None, &default_rules()).reason.unwrap();
        let expected = Reason::Count {
            figure: "7",
            window: Window::Day,
            threshold: "5",
        };
        assert_eq!(Reason::read(&written), expected);
        let lasts = "fires since 2026-11-22T21:28:29.102Z (≥ 4 h)";
        let expected = Reason::Lasts {
            since: Timestamp(1_795_382_909_102),
            hours: "4",
        };
        assert_eq!(Reason::read(lasts), expected);
        assert_eq!(Reason::read("somehow"), Reason::Other("somehow"));
    }

    #[test]
    fn what_the_tier_s_decision_writes_is_read() {
        let tried = [Effectiveness {
            action: "restart_pod".to_owned(),
            attempts: 3,
            successes: 0,
        }];
        let table = [
            (Level::None, false, TierReason::Restarts("3")),
            (Level::Escalate, false, TierReason::Level),
            (Level::PermanentFix, true, TierReason::FixFailed),
        ];
        for (level, fix_failed, expected) in table {
            let (_, written) = decide(level, &tried, fix_failed);
            assert_eq!(TierReason::read(&written), expected);
        }
        let (_, written) = decide(Level::None, &[], false);
        assert_eq!(TierReason::read(&written), TierReason::Nothing);
    }
}
