//! The tier: how deep the repair must go this time.

use std::time::Duration;

use super::level::Level;
use super::reason::TierRule;

/// How deep the repair must go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Restart it.
    Restart,
    /// Mitigate: scale, roll back, shed load.
    Mitigate,
    /// Find the root cause.
    RootCause,
    /// A permanent fix did not hold: the architecture is in question.
    Architecture,
}

impl Tier {
    /// All of them, by depth.
    pub const ALL: [Self; 4] = [
        Self::Restart,
        Self::Mitigate,
        Self::RootCause,
        Self::Architecture,
    ];

    /// Its number, 1 to 4.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Restart => 1,
            Self::Mitigate => 2,
            Self::RootCause => 3,
            Self::Architecture => 4,
        }
    }

    /// The tier with this number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Restart),
            2 => Some(Self::Mitigate),
            3 => Some(Self::RootCause),
            4 => Some(Self::Architecture),
            _ => None,
        }
    }

    /// Its name, as people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Mitigate => "mitigate",
            Self::RootCause => "root cause",
            Self::Architecture => "architecture",
        }
    }
}

/// Restarts of one anomaly after which the next repair must go deeper.
pub const RESTARTS_ENOUGH: i64 = 2;
/// How long a restart counts: an older one says nothing about what helps now.
pub const RESTARTS_COUNT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Decides the tier and says why. `restarts` were tried on the anomaly within [`RESTARTS_COUNT_FOR`].
/// `fix_failed`: a permanent fix was applied to the anomaly, and a firing began after that.
#[must_use]
pub const fn decide(level: Level, restarts: i64, fix_failed: bool) -> (Tier, TierRule) {
    match level {
        _ if fix_failed => (Tier::Architecture, TierRule::FixFailed),
        Level::PermanentFix => (Tier::RootCause, TierRule::Level { level }),
        Level::Escalate => (Tier::Mitigate, TierRule::Level { level }),
        Level::None | Level::Repeat if restarts >= RESTARTS_ENOUGH => {
            (Tier::Mitigate, TierRule::Restarts { restarts })
        }
        Level::None | Level::Repeat => (Tier::Restart, TierRule::Default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_wins() {
        let level = |level| TierRule::Level { level };
        let restarts = |restarts| TierRule::Restarts { restarts };
        let escalate = level(Level::Escalate);
        let permanent_fix = level(Level::PermanentFix);
        let table = [
            (Level::None, 0, false, Tier::Restart, TierRule::Default),
            (Level::Repeat, 1, false, Tier::Restart, TierRule::Default),
            (Level::Repeat, 2, false, Tier::Mitigate, restarts(2)),
            (Level::None, 100, false, Tier::Mitigate, restarts(100)),
            (Level::Escalate, 3, false, Tier::Mitigate, escalate),
            (
                Level::PermanentFix,
                5,
                false,
                Tier::RootCause,
                permanent_fix,
            ),
            (
                Level::None,
                0,
                true,
                Tier::Architecture,
                TierRule::FixFailed,
            ),
            (
                Level::PermanentFix,
                3,
                true,
                Tier::Architecture,
                TierRule::FixFailed,
            ),
        ];
        for (level, restarts, fix_failed, tier, rule) in table {
            let decided = decide(level, restarts, fix_failed);
            assert_eq!(decided, (tier, rule), "{level} {restarts} {fix_failed}");
        }
    }
}
