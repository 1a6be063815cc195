//! What jobs are about.

use uuid::Uuid;

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

/// A payload that knows what it is about, so that its job is found in traces.
pub trait About {
    /// What it is about; none if it is about no alert, incident or notification.
    fn subject(&self) -> Option<Subject>;
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
