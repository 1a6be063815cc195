//! What a job is about: who has its ID, or its trace ID, can ask for the trace of what it carries.

use uuid::Uuid;

use super::LOOKED_AT;
use crate::context::Context;
use crate::jobs::{
    Analyze, CalculateTier, Content, IngestAlert, Job as _, Notify, QUEUES, RecordRepair,
};
use crate::store::notifications;
use crate::store::views::trace;
use crate::web::Problem;

/// What every payload has in it.
const ANY: &str = "{";

/// A name that a trace goes by, and of a fingerprint its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) source: Option<String>,
}

/// What a job carries.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Carried {
    /// Something that a trace goes by.
    Named(Name),
    /// A notification.
    Notification(Uuid),
}

impl Carried {
    fn incident(id: Uuid) -> Self {
        Self::Named(Name {
            name: id.to_string(),
            source: None,
        })
    }
}

/// What the dead letter, or else the queued job, is about whose ID or trace ID `name` is. Of several with one
/// trace ID, the newest dead letter, else the first job that is found.
pub(super) async fn named(context: &Context, name: &str) -> Result<Option<Name>, Problem> {
    let Ok(id) = name.parse::<Uuid>() else {
        return Ok(None);
    };
    let db = context.db.view();
    let letter = trace::dead_letter_of(db, id).await?;
    let carried = match letter {
        Some(letter) => carried(&letter.queue, &letter.payload),
        None => queued(context, id).await?,
    };
    let id = match carried {
        Some(Carried::Notification(id)) => id,
        Some(Carried::Named(name)) => return Ok(Some(name)),
        None => return Ok(None),
    };
    let notification = notifications::find(db, id).await?;
    Ok(notification.map(|notification| Name {
        name: notification.incident_id.to_string(),
        source: None,
    }))
}

async fn queued(context: &Context, id: Uuid) -> Result<Option<Carried>, Problem> {
    let trace_id = id.simple().to_string();
    for queue in QUEUES {
        let jobs = context.queues.store().search(queue, ANY, LOOKED_AT).await?;
        let found = jobs.into_iter().map(|queued| queued.job).find(|job| {
            let trace = job.trace_id.as_deref();
            job.lease.id == id || trace.is_some_and(|trace| trace.contains(&trace_id))
        });
        if let Some(job) = found {
            return Ok(carried(queue, &job.payload));
        }
    }
    Ok(None)
}

/// What a payload of that queue carries; none if it cannot be read, or is about no alert or incident.
fn carried(queue: &str, payload: &[u8]) -> Option<Carried> {
    fn read<J: serde::de::DeserializeOwned>(payload: &[u8]) -> Option<J> {
        serde_json::from_slice(payload).ok()
    }
    if queue == IngestAlert::POLICY.queue {
        let job: IngestAlert = read(payload)?;
        let Content::Alert(alert) = job.content else {
            return None;
        };
        return Some(Carried::Named(Name {
            name: alert.fingerprint,
            source: Some(job.source),
        }));
    }
    if queue == CalculateTier::POLICY.queue {
        return read(payload).map(|job: CalculateTier| Carried::incident(job.incident));
    }
    if queue == Analyze::POLICY.queue {
        return read(payload).map(|job: Analyze| Carried::incident(job.incident));
    }
    if queue == RecordRepair::POLICY.queue {
        return read(payload).map(|job: RecordRepair| Carried::incident(job.incident));
    }
    if queue == Notify::POLICY.queue {
        return read(payload).map(|job: Notify| Carried::Notification(job.notification()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_carries_an_alert_an_incident_or_a_notification() {
        let id = Uuid::from_u128(7);
        let alert = Carried::Named(Name {
            name: "abc".to_owned(),
            source: Some("alertmanager@eu".to_owned()),
        });
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
                Some(Carried::incident(id)),
            ),
            (
                "analyze",
                format!(r#"{{"incident":"{id}"}}"#),
                Some(Carried::incident(id)),
            ),
            (
                "repair",
                format!(
                    r#"{{"incident":"{id}","action":"x","success":true,"at":"2026-11-22T21:28:29Z"}}"#
                ),
                Some(Carried::incident(id)),
            ),
            (
                "notify",
                format!(r#"{{"notification":"{id}"}}"#),
                Some(Carried::Notification(id)),
            ),
            ("recount", r#""tick""#.to_owned(), None),
            ("tier", "no JSON".to_owned(), None),
        ];
        for (queue, payload, expected) in table {
            assert_eq!(carried(queue, payload.as_bytes()), expected, "{payload}");
        }
    }
}
