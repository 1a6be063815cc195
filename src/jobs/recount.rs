//! Recount: changes that only time brings about, and the consistency check.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Part, Policy, Schedule, Subject};
use crate::domain::figure::Figure;
use crate::domain::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// When every counter is compared with the rows that it is computed from.
pub const VERIFY: Schedule = Schedule {
    name: "verify",
    every: Duration::from_secs(3600),
};

/// What the clock pushes, and people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Payload", into = "Payload")]
pub enum Recount {
    /// Do every part now: pushes a job for each. Older versions push it each minute, and do all parts in it.
    #[default]
    All,
    /// Do this part: levels and counts decay, what is overdue is pushed again, …
    Part(Part),
    /// A part that this version does not have.
    Newer(String),
    /// Compare figures with rows, from where that comparison is.
    Verify(Verification),
}

/// A comparison of figures with rows, which goes on from job to job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The job that it began with, of which all jobs that go on with it are a part; none in that job itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Uuid>,
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
    /// Since when it waits because alerts do, by the queue's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<Timestamp>,
}

/// A job as it is stored. Another kind must be one that this cannot be read as, or one of which older versions do more
/// than is asked for: they read a part as [`Recount::All`], and skip it if they have done all since it was pushed.
#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify: Option<Verification>,
}

impl About for Recount {
    /// Room for the parts of which one hangs to go past it, within less than half of the connections to the database.
    /// Of each part one runs at a time, in all processes together.
    const RUN: Policy = Policy {
        concurrency: 8,
        attempts: 3,
        timeout: Duration::from_secs(300),
        ..Policy::USUAL
    };

    fn schedules() -> Vec<(Schedule, Self)> {
        let parts = Part::ALL.map(|part| (part.schedule(), Self::Part(part)));
        let verify = (VERIFY, Self::Verify(Verification::default()));
        parts.into_iter().chain([verify]).collect()
    }

    fn subject(&self) -> Option<Subject> {
        None
    }

    fn check(&self) -> Result<(), Refusal> {
        let Self::Newer(name) = self else {
            return Ok(());
        };
        let known = Part::ALL.map(Part::name).join(", ");
        let detail = format!("recount has no part {name:?}. Parts: {known}");
        Err(Refusal::new(Code::InvalidPayload, detail))
    }
}

impl From<Payload> for Recount {
    fn from(payload: Payload) -> Self {
        match (payload.verify, payload.part) {
            (Some(verification), _) => Self::Verify(verification),
            (None, Some(name)) => match Part::named(&name) {
                Some(part) => Self::Part(part),
                None => Self::Newer(name),
            },
            (None, None) => Self::All,
        }
    }
}

impl From<Recount> for Payload {
    fn from(job: Recount) -> Self {
        let (part, verify) = match job {
            Recount::All => (None, None),
            Recount::Part(part) => (Some(part.name().to_owned()), None),
            Recount::Newer(name) => (Some(name), None),
            Recount::Verify(verification) => (None, Some(verification)),
        };
        Self { part, verify }
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
            ("{}", Recount::All),
            (r#"{"part":"levels"}"#, Recount::Part(Part::Levels)),
            (r#"{"part":"dreams"}"#, Recount::Newer("dreams".to_owned())),
            (payload, Recount::Verify(verification)),
        ] {
            let written = serde_json::to_value(&job).unwrap();
            let expected: serde_json::Value = serde_json::from_str(payload).unwrap();
            assert_eq!(written, expected);
            assert_eq!(serde_json::from_str::<Recount>(payload).unwrap(), job);
        }
        assert_eq!(
            serde_json::from_str::<Recount>(r#"{"verify":null}"#).unwrap(),
            Recount::All
        );
        serde_json::from_str::<Recount>(r#"{"verify":5}"#).unwrap_err();
    }

    #[test]
    fn a_version_without_parts_does_all_of_them_for_each() {
        #[derive(Deserialize)]
        struct Older {
            #[serde(default)]
            verify: Option<Verification>,
        }
        for part in Part::ALL {
            let written = serde_json::to_string(&Recount::Part(part)).unwrap();
            let read: Older = serde_json::from_str(&written).unwrap();
            assert_eq!(read.verify, None, "{written}");
        }
    }

    #[test]
    fn a_part_that_a_person_wrote_must_be_one_that_there_is() {
        Recount::Part(Part::Mutes).check().unwrap();
        let refused = Recount::Newer("dreams".to_owned()).check().unwrap_err();
        let detail = refused.detail();
        assert!(
            detail.contains("no part \"dreams\"") && detail.contains("levels, verdicts"),
            "{detail}"
        );
    }
}
