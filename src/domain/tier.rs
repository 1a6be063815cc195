//! The tier: how deep the repair must go this time.

use std::time::Duration;

use super::effectiveness::Effectiveness;
use super::escalation::Level;

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

    /// Its name, as people are told it.
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

/// The actions that count as restarting.
pub const RESTARTS: [&str; 2] = ["restart_pod", "restart_container"];
/// So many restarts tried on one anomaly are enough.
pub const RESTARTS_ENOUGH: i64 = 2;
/// Restarts count for so long: what was tried longer ago says nothing about what helps now.
pub const RESTARTS_COUNT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many restarts are told apart at most.
pub const RESTARTS_AT_MOST: i64 = 100;

/// Whether restarting was ever tried.
#[must_use]
pub fn were_restarts_tried(history: &[Effectiveness]) -> bool {
    let is_restart = |entry: &Effectiveness| RESTARTS.contains(&entry.action.as_str());
    history.iter().any(is_restart)
}

/// Decides the tier and says why. `restarts` were tried on the anomaly within [`RESTARTS_COUNT_FOR`].
/// `fix_failed`: a permanent fix was applied to the anomaly, and a firing began after that.
#[must_use]
pub fn decide(level: Level, restarts: i64, fix_failed: bool) -> (Tier, String) {
    if fix_failed {
        let why = "it happened again after a permanent fix";
        (Tier::Architecture, why.to_owned())
    } else if level == Level::PermanentFix {
        (Tier::RootCause, format!("level is {level}"))
    } else if level == Level::Escalate {
        (Tier::Mitigate, format!("level is {level}"))
    } else if restarts >= RESTARTS_ENOUGH {
        // No more than these were told apart.
        let or_more = if restarts >= RESTARTS_AT_MOST {
            "+"
        } else {
            ""
        };
        (
            Tier::Mitigate,
            format!("restarting was tried {restarts}{or_more} times in 30 days"),
        )
    } else {
        (Tier::Restart, "nothing calls for more".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_wins() {
        let table = [
            (Level::None, 0, false, Tier::Restart),
            (Level::Repeat, 1, false, Tier::Restart),
            (Level::Repeat, 2, false, Tier::Mitigate),
            (Level::Escalate, 0, false, Tier::Mitigate),
            (Level::PermanentFix, 5, false, Tier::RootCause),
            (Level::None, 0, true, Tier::Architecture),
            (Level::PermanentFix, 0, true, Tier::Architecture),
        ];
        for (level, restarts, fix_failed, expected) in table {
            let decided = decide(level, restarts, fix_failed).0;
            assert_eq!(decided, expected, "{level} {restarts} {fix_failed}");
        }
    }
}
