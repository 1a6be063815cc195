//! The response of the trace endpoint.

use sea_orm::ActiveEnum as _;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::incidents::View as Incident;
use super::By;
use crate::domain::verdict::Verdict;
use crate::entity::{audit, dead_letters, notifications, occurrences, reopenings, repairs};
use crate::queue::store::{FailedAttempt, JobState};
use crate::time::Timestamp;

/// Everything that is known.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web) struct Trace {
    /// What was asked for; of a dead letter or a job, what it carries.
    pub(super) fingerprint: String,
    /// What that is.
    pub(super) found_by: By,
    /// Its firings, the newest 50.
    pub(super) occurrences: Vec<Occurrence>,
    /// Their incidents.
    pub(super) incidents: Vec<Incident>,
    /// When these incidents reopened, and whose resolve that undid; the newest 50.
    pub(super) reopenings: Vec<reopenings::Model>,
    /// Who acknowledged them; the newest 50.
    pub(super) acknowledgements: Vec<Acknowledgement>,
    /// Notifications about these incidents.
    pub(super) messages: Vec<Message>,
    /// Repairs of these incidents, the newest 50.
    pub(super) repairs: Vec<Repair>,
    /// Queued jobs that carry it.
    pub(super) jobs: Vec<QueuedJob>,
    /// Dead letters that carry it, or that were to send one of its notifications.
    pub(super) dead_letters: Vec<Letter>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracedOccurrence)]
pub(in crate::web) struct Occurrence {
    #[serde(flatten)]
    pub(super) row: occurrences::Model,
    /// How often it was counted: once as a firing, once per delivery, or not at all.
    pub(super) counted: i64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracedAcknowledgement)]
pub(in crate::web) struct Acknowledgement {
    /// The incident that was.
    pub(super) incident_id: String,
    /// Who did, by their own account.
    pub(super) operator: Option<String>,
    /// When.
    pub(super) at: Timestamp,
}

impl From<audit::Model> for Acknowledgement {
    fn from(entry: audit::Model) -> Self {
        Self {
            incident_id: entry.target,
            operator: entry.operator,
            at: entry.at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracedMessage)]
pub(in crate::web) struct Message {
    /// Its id.
    pub(super) id: Uuid,
    /// The incident it is about.
    pub(super) incident_id: Uuid,
    /// Its kind: `opened`, `escalated`, `reopened`.
    pub(super) kind: String,
    /// Where it goes.
    pub(super) channel: String,
    /// `owed` (pending), `sending`, `sent`, `given up` (failed), `digested` or `muted` (suppressed).
    pub(super) state: String,
    /// Since when it is pending.
    pub(super) owed_since: Timestamp,
    /// How often it was tried.
    pub(super) attempts: i64,
    /// When the provider took it.
    pub(super) sent_at: Option<Timestamp>,
    /// Why it failed.
    pub(super) error: Option<String>,
    /// Why it is suppressed: `mute`, `card` (its incident continues on the card of one before) or `flapping`.
    pub(super) suppressed_by: Option<String>,
    /// The number of the incident on whose card its own goes on.
    pub(super) card_number: Option<i64>,
}

impl From<notifications::Model> for Message {
    fn from(row: notifications::Model) -> Self {
        Self {
            id: row.id,
            incident_id: row.incident_id,
            kind: row.kind.to_value(),
            channel: row.channel,
            state: row.state.to_value(),
            owed_since: row.owed_since,
            attempts: row.attempts,
            sent_at: row.sent_at,
            error: row.error,
            suppressed_by: row.suppressed_by.map(|by| by.to_value()),
            card_number: row.card_number,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracedRepair)]
pub(in crate::web) struct Repair {
    /// Its id, which is that of the job that recorded it.
    pub(super) id: Uuid,
    /// Its incident.
    pub(super) incident_id: Uuid,
    /// What was done.
    pub(super) action: String,
    /// Whether it helped, by the report; null while it is not finished.
    pub(super) success: Option<bool>,
    /// What silence says of it; null until it is judged.
    pub(super) verdict: Option<Verdict>,
    /// Who did it.
    pub(super) operator: Option<String>,
    /// Note.
    pub(super) note: Option<String>,
    /// When.
    pub(super) repaired_at: Timestamp,
}

impl From<repairs::Model> for Repair {
    fn from(row: repairs::Model) -> Self {
        Self {
            id: row.id,
            incident_id: row.incident_id,
            action: row.action,
            success: (!row.unfinished).then_some(row.success),
            verdict: row.verdict,
            operator: row.operator,
            note: row.note,
            repaired_at: row.repaired_at,
        }
    }
}

/// A job that is queued.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracedJob)]
pub(in crate::web) struct QueuedJob {
    /// Its id.
    pub(super) id: Uuid,
    /// Its queue.
    pub(super) queue: &'static str,
    /// Where it stands.
    pub(super) state: JobState,
    /// When it was pushed.
    pub(super) enqueued_at: Timestamp,
    /// When it is to run, if it waits for that.
    pub(super) due_at: Option<Timestamp>,
    /// Attempts that failed, oldest first.
    pub(super) failed: Vec<FailedAttempt>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracedDeadLetter)]
pub(in crate::web) struct Letter {
    /// The job's id.
    pub(super) id: Uuid,
    /// Its queue.
    pub(super) queue: String,
    /// `dead`, `replayed` or `discarded`.
    pub(super) state: String,
    /// Why it died.
    pub(super) reason: String,
    /// Attempts that failed.
    pub(super) attempts: i32,
    /// When it was last pushed.
    pub(super) enqueued_at: Timestamp,
    /// When it died.
    pub(super) died_at: Timestamp,
    /// When it was replayed or discarded last.
    pub(super) decided_at: Option<Timestamp>,
    /// Who did.
    pub(super) decided_by: Option<String>,
}

impl From<dead_letters::Model> for Letter {
    fn from(row: dead_letters::Model) -> Self {
        Self {
            id: row.id,
            queue: row.queue,
            state: row.state,
            reason: row.reason,
            attempts: row.attempts,
            enqueued_at: row.enqueued_at,
            died_at: row.died_at,
            decided_at: row.decided_at,
            decided_by: row.decided_by,
        }
    }
}
