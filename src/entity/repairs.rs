//! One repair attempt.

use sea_orm::entity::prelude::*;

use crate::domain::verdict::{Verdict, VerdictReason};
use crate::time::Timestamp;

/// One repair attempt.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "repairs")]
pub struct Model {
    /// The id of the job that recorded it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its incident.
    pub incident_id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// What was done.
    pub action: String,
    /// Whether it helped, by the report. Says nothing while it is not finished.
    pub success: bool,
    /// Who did it.
    pub operator: Option<String>,
    /// Note.
    pub note: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// When it finished; when it started, while it is not finished.
    pub repaired_at: Timestamp,
    /// When it started, if that was reported.
    pub started_at: Option<Timestamp>,
    /// Whether only its start was reported so far.
    pub unfinished: bool,
    /// What silence says of it; null until that is judged.
    pub verdict: Option<Verdict>,
    /// Why.
    pub verdict_reason: Option<VerdictReason>,
    /// For how long its anomaly had to stay quiet, in milliseconds.
    pub quiet_ms: Option<i64>,
    /// How long after it the last firing ended, in milliseconds, if it is verified.
    pub quiet_after_ms: Option<i64>,
    /// Whether the alert was silenced at its source when that was judged.
    pub silenced: bool,
    /// When it was judged last; null if it is to be judged, for the first time or again.
    pub judged_at: Option<Timestamp>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl Model {
    /// When it began, as far as that was reported.
    #[must_use]
    pub fn began_at(&self) -> Timestamp {
        let reported = self.started_at.unwrap_or(self.repaired_at);
        reported.min(self.repaired_at)
    }
}

impl ActiveModelBehavior for ActiveModel {}
