//! The trait of payloads: how a job is run, its subject, its check, its schedules.

use uuid::Uuid;

use super::{Policy, Schedule};
use crate::domain::refusal::Refusal;

/// What a job is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An alert, by the fingerprint that its source gave.
    Alert {
        /// The source, as `IngestAlert` has it.
        source: String,
        /// The fingerprint.
        fingerprint: String,
    },
    /// An incident.
    Incident(Uuid),
    /// A notification.
    Notification(Uuid),
}

/// A payload, with all that is particular about its jobs.
pub trait About: Sized + 'static {
    /// How they are run, unless the settings say otherwise. The queue's name comes from its row of [`crate::queues`].
    const RUN: Policy = Policy::USUAL;

    /// What it is about, so that its job is found in traces; none if it is about no alert, incident or notification.
    fn subject(&self) -> Option<Subject>;

    /// The jobs that the clock pushes, and when.
    fn schedules() -> Vec<(Schedule, Self)> {
        Vec::new()
    }

    /// What must hold of a payload that a person wrote, beyond that it can be read.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    fn check(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::subject;

    #[test]
    fn a_job_is_about_an_alert_an_incident_or_a_notification() {
        let id = Uuid::from_u128(7);
        let alert = Subject::Alert {
            source: "alertmanager@eu".to_owned(),
            fingerprint: "abc".to_owned(),
        };
        let table = [
            (
                "ingest",
                r#"{"source":"alertmanager@eu","received_at":"2026-11-22T21:28:29Z","content":
                {"alert":{"status":"firing","labels":{},"fingerprint":"abc"}}}"#
                    .to_owned(),
                Some(alert),
            ),
            (
                "ingest",
                r#"{"source":"a","received_at":"2026-11-22T21:28:29Z","content":
                {"rejected":{"reason":"no labels","raw":"{}"}}}"#
                    .to_owned(),
                None,
            ),
            (
                "tier",
                format!(r#"{{"incident":"{id}"}}"#),
                Some(Subject::Incident(id)),
            ),
            (
                "analyze",
                format!(r#"{{"incident":"{id}"}}"#),
                Some(Subject::Incident(id)),
            ),
            (
                "repair",
                format!(
                    r#"{{"incident":"{id}","action":"x","success":true,"at":"2026-11-22T21:28:29Z"}}"#
                ),
                Some(Subject::Incident(id)),
            ),
            (
                "notify",
                format!(r#"{{"notification":"{id}"}}"#),
                Some(Subject::Notification(id)),
            ),
            ("recount", r#""tick""#.to_owned(), None),
            ("tier", "no JSON".to_owned(), None),
        ];
        for (queue, payload, expected) in table {
            assert_eq!(subject(queue, payload.as_bytes()), expected, "{payload}");
        }
    }
}
