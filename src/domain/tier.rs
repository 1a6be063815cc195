//! The tier: how deep the repair must go this time.

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

/// Decides the tier and says why. `fix_failed`: a permanent fix was applied to the anomaly, and it
/// happened again after that.
#[must_use]
pub fn decide(level: Level, history: &[Effectiveness], fix_failed: bool) -> (Tier, String) {
    let restarts: i64 = history
        .iter()
        .filter(|entry| RESTARTS.contains(&entry.action.as_str()))
        .map(|entry| entry.attempts)
        .sum();
    if fix_failed {
        let why = "it happened again after a permanent fix";
        (Tier::Architecture, why.to_owned())
    } else if level == Level::PermanentFix {
        (Tier::RootCause, format!("level is {level}"))
    } else if level == Level::Escalate {
        (Tier::Mitigate, format!("level is {level}"))
    } else if restarts >= RESTARTS_ENOUGH {
        (
            Tier::Mitigate,
            format!("restarting was tried {restarts} times"),
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
        let tried = |action: &str, attempts| Effectiveness {
            action: action.to_owned(),
            attempts,
            successes: 0,
        };
        let table = [
            (Level::None, vec![], false, Tier::Restart),
            (
                Level::Repeat,
                vec![tried("restart_pod", 1)],
                false,
                Tier::Restart,
            ),
            (
                Level::Repeat,
                vec![tried("restart_pod", 1), tried("restart_container", 1)],
                false,
                Tier::Mitigate,
            ),
            (
                Level::None,
                vec![tried("scale_up", 9)],
                false,
                Tier::Restart,
            ),
            (Level::Escalate, vec![], false, Tier::Mitigate),
            (
                Level::PermanentFix,
                vec![tried("restart_pod", 5)],
                false,
                Tier::RootCause,
            ),
            (Level::None, vec![], true, Tier::Architecture),
            (Level::PermanentFix, vec![], true, Tier::Architecture),
        ];
        for (level, history, fix_failed, expected) in table {
            assert_eq!(
                decide(level, &history, fix_failed).0,
                expected,
                "{level} {history:?} {fix_failed}"
            );
        }
    }
}
