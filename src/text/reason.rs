//! The stored reasons of tiers, read back, so that they can be told in any language.

/// Why a tier holds, as [`crate::domain::tier::decide`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierReason<'a> {
    /// The level asks for it.
    Level,
    /// It happened again after a permanent fix.
    FixFailed,
    /// Restarting was tried so many times in 30 days.
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
            // Older versions counted all that there ever were.
            let rest = rest.strip_suffix(" in 30 days").unwrap_or(rest);
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
    use crate::domain::escalation::Level;
    use crate::domain::tier::decide;

    #[test]
    fn what_the_tier_s_decision_writes_is_read() {
        let table = [
            (Level::None, 3, false, TierReason::Restarts("3")),
            (Level::None, 100, false, TierReason::Restarts("100+")),
            (Level::None, 0, false, TierReason::Nothing),
            (Level::Escalate, 3, false, TierReason::Level),
            (Level::PermanentFix, 3, true, TierReason::FixFailed),
        ];
        for (level, restarts, fix_failed, expected) in table {
            let (_, written) = decide(level, restarts, fix_failed);
            assert_eq!(TierReason::read(&written), expected);
        }
        let older = TierReason::read("restarting was tried 3 times");
        assert_eq!(older, TierReason::Restarts("3"));
    }
}
