//! Executions: a recommended action that an executor is asked to run.
//!
//! An action is asked for at most once on an incident, one at a time and so many in an hour on an anomaly. What goes
//! wrong leaves the incident to people: nothing is asked for again by itself.

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Timestamp;

/// The time in which executions of an anomaly are counted.
pub const HOUR: Duration = Duration::from_secs(3600);

/// Whether a hook asks at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// After a person's click.
    #[default]
    Suggest,
    /// At once.
    Run,
}

/// How far an execution is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ExecutionState)]
pub enum State {
    /// It waits for a person's click.
    #[sea_orm(string_value = "suggested")]
    Suggested,
    /// The executor is being asked, or is to be asked.
    #[sea_orm(string_value = "asking")]
    Asking,
    /// The executor took the request.
    #[sea_orm(string_value = "asked")]
    Asked,
    /// The executor said that it started.
    #[sea_orm(string_value = "started")]
    Started,
    /// The executor said that it finished.
    #[sea_orm(string_value = "finished")]
    Finished,
    /// The executor did not take the request.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// The executor was not asked.
    #[sea_orm(string_value = "refused")]
    Refused,
    /// The executor did not report in time. Never stored: it follows from the time.
    #[sea_orm(string_value = "expired")]
    Expired,
}

impl State {
    /// Those that are counted without a reason.
    pub const COUNTED: [Self; 4] = [Self::Suggested, Self::Asked, Self::Started, Self::Finished];

    /// As it is shown at `now`.
    #[must_use]
    pub fn at(self, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        let is_over = expires_at.is_some_and(|at| at <= now);
        match self {
            Self::Asking | Self::Asked | Self::Started if is_over => Self::Expired,
            _ => self,
        }
    }

    /// Whether a person may still have it asked for.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Suggested | Self::Refused)
    }

    /// Whether the executor may report of it: it was asked, or may have been.
    #[must_use]
    pub const fn was_asked(self) -> bool {
        !self.is_open()
    }

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suggested => "suggested",
            Self::Asking => "asking",
            Self::Asked => "asked",
            Self::Started => "started",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

/// Why an executor was not asked, or did not take the request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ExecutionReason)]
pub enum Reason {
    /// So many were asked for on the anomaly within an hour.
    #[sea_orm(string_value = "budget")]
    Budget,
    /// The anomaly was muted: nothing is run by itself meanwhile.
    #[sea_orm(string_value = "muted")]
    Muted,
    /// Somebody had acknowledged the incident: nothing is run by itself then.
    #[sea_orm(string_value = "acknowledged")]
    Acknowledged,
    /// The action is stopped: it did not hold so often in a row.
    #[sea_orm(string_value = "stopped")]
    Stopped,
    /// The incident was resolved before.
    #[sea_orm(string_value = "resolved")]
    Resolved,
    /// The settings have no such hook any more, or not for the action's tier.
    #[sea_orm(string_value = "no_hook")]
    NoHook,
    /// No worker came to it in time.
    #[sea_orm(string_value = "late")]
    Late,
    /// The executor refused the request.
    #[sea_orm(string_value = "rejected")]
    Rejected,
    /// The executor failed, or was not reached.
    #[sea_orm(string_value = "unreachable")]
    Unreachable,
}

impl Reason {
    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Muted => "muted",
            Self::Acknowledged => "acknowledged",
            Self::Stopped => "stopped",
            Self::Resolved => "resolved",
            Self::NoHook => "no_hook",
            Self::Late => "late",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What was asked for on an anomaly so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Executions that were wanted within the last hour.
    pub in_hour: u32,
    /// Whether one runs, or may run, or something was tried on the incident that is not judged yet.
    pub is_running: bool,
}

/// What to do about a recommended action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To wait for a person's click.
    Suggest,
    /// To ask the executor.
    Ask,
    /// To leave it to people.
    Refuse(Reason),
    /// To decide again when what runs is over and judged.
    Wait,
}

/// Why an incident is left to people: who mutes an anomaly or acknowledges an incident knows of it, and may be at work
/// on it. Nothing is run then without a click.
#[must_use]
pub const fn taken(is_muted: bool, is_acknowledged: bool) -> Option<Reason> {
    if is_muted {
        Some(Reason::Muted)
    } else if is_acknowledged {
        Some(Reason::Acknowledged)
    } else {
        None
    }
}

/// What to do about a recommended action that was not asked for on its incident.
#[must_use]
pub const fn decide(mode: Mode, taken: Option<Reason>, before: Before, per_hour: u32) -> Decision {
    match (mode, taken) {
        (Mode::Suggest, _) => Decision::Suggest,
        (Mode::Run, Some(reason)) => Decision::Refuse(reason),
        (Mode::Run, None) if before.is_running => Decision::Wait,
        (Mode::Run, None) if before.in_hour >= per_hour => Decision::Refuse(Reason::Budget),
        (Mode::Run, None) => Decision::Ask,
    }
}

/// What holds at the moment at which an executor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the incident is resolved.
    pub is_resolved: bool,
    /// Whether the settings still have its hook for the action's tier.
    pub has_hook: bool,
    /// Whether the action is stopped.
    pub is_stopped: bool,
    /// Why it is left to people, if nobody clicked.
    pub taken: Option<Reason>,
    /// Until when the request makes sense.
    pub expires_at: Timestamp,
}

/// Why the executor must not be asked any more, if it must not.
#[must_use]
pub fn hindrance(standing: &Standing, now: Timestamp) -> Option<Reason> {
    if !standing.has_hook {
        Some(Reason::NoHook)
    } else if standing.is_resolved {
        Some(Reason::Resolved)
    } else if standing.is_stopped {
        Some(Reason::Stopped)
    } else if let Some(reason) = standing.taken {
        Some(reason)
    } else if standing.expires_at <= now {
        Some(Reason::Late)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_000);

    #[test]
    fn an_executor_is_asked_at_once_only_in_run_mode_and_within_its_budget() {
        let before = |in_hour, is_running| Before {
            in_hour,
            is_running,
        };
        for (mode, before, expected) in [
            (Mode::Suggest, before(0, false), Decision::Suggest),
            (Mode::Suggest, before(9, true), Decision::Suggest),
            (Mode::Run, before(0, false), Decision::Ask),
            (Mode::Run, before(1, false), Decision::Ask),
            (
                Mode::Run,
                before(2, false),
                Decision::Refuse(Reason::Budget),
            ),
            (Mode::Run, before(0, true), Decision::Wait),
            (Mode::Run, before(2, true), Decision::Wait),
        ] {
            let decided = decide(mode, None, before, 2);
            assert_eq!(decided, expected, "{mode:?} {before:?}");
            for (is_muted, is_acknowledged, reason) in [
                (true, false, Reason::Muted),
                (true, true, Reason::Muted),
                (false, true, Reason::Acknowledged),
            ] {
                let left = match mode {
                    Mode::Suggest => Decision::Suggest,
                    Mode::Run => Decision::Refuse(reason),
                };
                let taken = taken(is_muted, is_acknowledged);
                assert_eq!(decide(mode, taken, before, 2), left, "{mode:?} {before:?}");
            }
        }
    }

    #[test]
    fn an_executor_is_not_asked_when_that_makes_no_sense_any_more() {
        let fine = Standing {
            is_resolved: false,
            has_hook: true,
            is_stopped: false,
            taken: None,
            expires_at: NOW.after(HOUR),
        };
        for (standing, expected) in [
            (fine, None),
            (
                Standing {
                    has_hook: false,
                    is_resolved: true,
                    ..fine
                },
                Some(Reason::NoHook),
            ),
            (
                Standing {
                    is_resolved: true,
                    ..fine
                },
                Some(Reason::Resolved),
            ),
            (
                Standing {
                    is_stopped: true,
                    ..fine
                },
                Some(Reason::Stopped),
            ),
            (
                Standing {
                    taken: Some(Reason::Muted),
                    ..fine
                },
                Some(Reason::Muted),
            ),
            (
                Standing {
                    expires_at: NOW,
                    ..fine
                },
                Some(Reason::Late),
            ),
        ] {
            assert_eq!(hindrance(&standing, NOW), expected, "{standing:?}");
        }
    }

    #[test]
    fn what_is_not_reported_in_time_is_shown_as_expired() {
        for (state, expires_at, shown) in [
            (State::Asked, Some(NOW), State::Expired),
            (State::Started, Some(NOW.before(HOUR)), State::Expired),
            (State::Asking, Some(NOW), State::Expired),
            (State::Asked, Some(NOW.after(HOUR)), State::Asked),
            (State::Finished, Some(NOW.before(HOUR)), State::Finished),
            (State::Failed, Some(NOW.before(HOUR)), State::Failed),
            (State::Suggested, None, State::Suggested),
        ] {
            assert_eq!(state.at(expires_at, NOW), shown, "{state:?}");
        }
    }
}
