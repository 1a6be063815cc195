//! What only time changes, and whether figures are what the rows say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{About, Policy, Schedule, Subject};
use crate::domain::figure::Figure;
use crate::time::Timestamp;

/// When everything that only time changes is brought up to date.
pub const RECOUNT: Schedule = Schedule {
    name: "recount",
    every: Duration::from_secs(60),
};

/// When every counter is compared with the rows that it is computed from.
pub const VERIFY: Schedule = Schedule {
    name: "verify",
    every: Duration::from_secs(3600),
};

/// What the clock pushes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Payload", into = "Payload")]
pub enum Recount {
    /// Do each [`Part`]: levels and counts decay, what is overdue is pushed again.
    #[default]
    Tick,
    /// Compare figures with rows, from where that comparison is.
    Verify(Verification),
}

/// A part of a tick of recount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tiers that are due for long.
    Tiers,
    /// Messages that have been pending for long.
    Messages,
    /// Edits of cards that are due for long.
    Edits,
    /// Analyses that are due for long, and incidents that waited for theirs.
    Analyses,
    /// Requests to executors that are due for long.
    Executions,
    /// Replays that may never have been pushed.
    Replays,
    /// Firings that were received soon after they were said to be over.
    Doubts,
    /// Levels, and what is said of windows.
    Levels,
    /// Verdicts on repairs.
    Verdicts,
    /// Firings that their source no longer sends.
    Unseen,
    /// Mutes that are over.
    Mutes,
    /// Flapping that is over.
    Flapping,
    /// The counter's memory.
    Counter,
    /// Rows that are old.
    Pruning,
    /// Alerts that are expected and do not come.
    Expected,
    /// Whether each link of the chain works.
    Canary,
    /// Saying outwards that all is well.
    Heartbeat,
    /// What Alertmanager has, compared with what was received.
    Reconcile,
}

impl Part {
    /// All of them, in the order in which they run: pending work first.
    pub const ALL: [Self; 18] = [
        Self::Tiers,
        Self::Messages,
        Self::Edits,
        Self::Analyses,
        Self::Executions,
        Self::Replays,
        Self::Doubts,
        Self::Levels,
        Self::Verdicts,
        Self::Unseen,
        Self::Mutes,
        Self::Flapping,
        Self::Counter,
        Self::Pruning,
        Self::Expected,
        Self::Canary,
        Self::Heartbeat,
        Self::Reconcile,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiers => "tiers",
            Self::Messages => "messages",
            Self::Edits => "edits",
            Self::Analyses => "analyses",
            Self::Executions => "executions",
            Self::Replays => "replays",
            Self::Doubts => "doubts",
            Self::Levels => "levels",
            Self::Verdicts => "verdicts",
            Self::Unseen => "unseen",
            Self::Mutes => "mutes",
            Self::Flapping => "flapping",
            Self::Counter => "counter",
            Self::Pruning => "pruning",
            Self::Expected => "expected",
            Self::Canary => "canary",
            Self::Heartbeat => "heartbeat",
            Self::Reconcile => "reconcile",
        }
    }
}

/// A comparison of figures with rows, which goes on from job to job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The last anomaly that was compared; empty at first.
    pub after: String,
    /// How many were.
    pub anomalies: u64,
    /// With how many occurrences.
    pub occurrences: u64,
    /// How many figures drifted, by which.
    pub drifted: BTreeMap<Figure, u64>,
    /// When it began, by the queue's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
}

/// A job as it is stored. Another kind must be one that this cannot be read as: else a worker of an older
/// version would do something else.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify: Option<Verification>,
}

impl About for Recount {
    /// One at a time, because each goes through whole tables.
    const RUN: Policy = Policy {
        concurrency: 1,
        attempts: 3,
        timeout: Duration::from_secs(300),
        ..Policy::USUAL
    };

    fn schedules() -> Vec<(Schedule, Self)> {
        vec![
            (RECOUNT, Self::Tick),
            (VERIFY, Self::Verify(Verification::default())),
        ]
    }

    fn subject(&self) -> Option<Subject> {
        None
    }
}

impl From<Payload> for Recount {
    fn from(payload: Payload) -> Self {
        payload.verify.map_or(Self::Tick, Self::Verify)
    }
}

impl From<Recount> for Payload {
    fn from(job: Recount) -> Self {
        let verify = match job {
            Recount::Tick => None,
            Recount::Verify(verification) => Some(verification),
        };
        Self { verify }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_stored_as_older_versions_store_and_read_them() {
        let verification = Verification {
            after: "5d41".to_owned(),
            anomalies: 7,
            began: Timestamp::parse("2026-11-22T21:28:29.102Z"),
            ..Verification::default()
        };
        let payload = r#"{"verify":{"after":"5d41","anomalies":7,"occurrences":0,"drifted":{},"began":"2026-11-22T21:28:29.102Z"}}"#;
        for (payload, job) in [
            ("{}", Recount::Tick),
            (payload, Recount::Verify(verification)),
        ] {
            let written = serde_json::to_value(&job).unwrap();
            let expected: serde_json::Value = serde_json::from_str(payload).unwrap();
            assert_eq!(written, expected);
            assert_eq!(serde_json::from_str::<Recount>(payload).unwrap(), job);
        }
        assert_eq!(
            serde_json::from_str::<Recount>(r#"{"verify":null}"#).unwrap(),
            Recount::Tick
        );
        serde_json::from_str::<Recount>(r#"{"verify":5}"#).unwrap_err();
    }
}
