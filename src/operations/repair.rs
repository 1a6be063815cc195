//! Reporting what was tried on an incident, and whether it helped: when it has finished, or when it starts and
//! again when it has finished.

mod target;

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde_json::json;
use uuid::Uuid;

use super::{Conflict, FollowUp, Invalid, OperationError, Resource, incident, once};
use crate::context::Context;
use crate::domain::effectiveness::action_name;
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::repairs::Model as Repair;
use crate::jobs::RecordRepair;
use crate::queue::Push;
use crate::queue::store::QueueError;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::repairs::{self, Finished, Started};
use crate::store::{anomalies, incidents, levels};
use crate::telemetry::task_context;
use crate::time::Timestamp;
pub use target::Target;

/// A repair as it is reported.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was done; it is recorded as [`action_name`] spells it.
    pub action: String,
    /// Whether it helped; none: it has only started.
    pub success: Option<bool>,
    /// Note.
    pub note: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it finished; none: now.
    pub finished_at: Option<Timestamp>,
}

impl Report {
    /// Of a repair that has finished, now.
    #[must_use]
    pub const fn finished(action: String, success: bool) -> Self {
        Self {
            action,
            success: Some(success),
            note: None,
            duration_ms: None,
            started_at: None,
            finished_at: None,
        }
    }

    /// What is wrong with it, if anything, when it is reported at `now`.
    pub fn check(&self, now: Timestamp) -> Result<(), Invalid> {
        if self.action.trim().is_empty() {
            return Err(Invalid::EmptyAction);
        }
        let is_finished = self.success.is_some();
        if !is_finished && (self.started_at.is_none() || self.finished_at.is_some()) {
            return Err(Invalid::NoOutcome);
        }
        check_duration(self.duration_ms)?;
        check_span(self.started_at, self.finished_at, now)
    }

    /// The job that records it, of one that is finished.
    pub(super) fn job(
        self,
        incident: Uuid,
        success: bool,
        actor: &Actor,
        at: Timestamp,
    ) -> RecordRepair {
        let finished_at = self.finished_at.unwrap_or(at);
        let took = self.started_at.map(|began| finished_at.0 - began.0);
        RecordRepair {
            incident,
            action: action_name(&self.action),
            success,
            operator: actor.operator.clone(),
            note: self.note,
            duration_ms: self.duration_ms.or(took.map(|took| took.max(0))),
            at,
            started_at: self.started_at,
            finished_at: self.finished_at,
        }
    }
}

fn check_duration(took: Option<i64>) -> Result<(), Invalid> {
    match took {
        Some(took) if !(0..=RecordRepair::LONGEST_MS).contains(&took) => {
            Err(Invalid::DurationOutOfRange)
        }
        _ => Ok(()),
    }
}

/// Neither time lies in the future, by more than the minute that a reporter's clock may be ahead.
fn check_span(
    began: Option<Timestamp>,
    finished: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Invalid> {
    const AHEAD: std::time::Duration = std::time::Duration::from_secs(60);
    for (field, at) in [("started_at", began), ("finished_at", finished)] {
        if at.is_some_and(|at| at > now.after(AHEAD)) {
            return Err(Invalid::RepairInFuture { field });
        }
    }
    match began.zip(finished) {
        Some((began, finished)) if began > finished => Err(Invalid::RepairEndsBeforeStart),
        _ => Ok(()),
    }
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A job records it: this one, whose id is the repair's.
    Queued(Uuid),
    /// It is recorded as started, under this id.
    Started(Uuid),
}

/// Records a repair. One that has finished: writes the audit entry, then enqueues the job that records it. One that
/// has started: writes both at once. Its id is made of the idempotency `key`, if there is one: reported again with
/// the same key, it is the same repair.
pub async fn record(
    context: &Context,
    actor: &Actor,
    target: &Target,
    report: Report,
    key: Option<&str>,
) -> Result<Reported, OperationError> {
    let now = context.clock.now();
    report.check(now)?;
    let found = target.find(context).await?;
    let words = target.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let id = once::job(&words, key, now);
    let Some(success) = report.success else {
        let started_at = report.started_at.unwrap_or(now);
        let started = Started {
            id,
            incident: found,
            action: action_name(&report.action),
            operator: actor.operator.clone(),
            note: report.note,
            started_at: started_at.min(now),
        };
        start(context, actor, &started).await?;
        return Ok(Reported::Started(id));
    };
    let repair = report.job(found, success, actor, now);
    note(context.db.write(), actor, id, &repair).await?;
    push(context, id, &repair).await?;
    Ok(Reported::Queued(id))
}

async fn start(context: &Context, actor: &Actor, started: &Started) -> Result<(), OperationError> {
    let tx = context.db.begin().await?;
    let key = incident::key_of(&tx, started.incident).await?;
    let locked = anomalies::lock(&tx, &key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Anomaly))?;
    let now = context.clock.of_store(now);
    let longest = context.config.effectiveness.bounds().1;
    if repairs::start(&tx, &anomaly.key, started, longest).await? {
        let target = started.incident.to_string();
        let entry = AuditEntry {
            action: Action::StartRepair,
            target: &target,
            detail: json!({"repair": started.id, "action": started.action}),
        };
        audit::record(&tx, actor, entry, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// How a repair that was started has finished.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Whether it helped.
    pub success: bool,
    /// Note; none: that of its start.
    pub note: Option<String>,
    /// How long it took, in milliseconds; none: since its start.
    pub duration_ms: Option<i64>,
    /// When it finished; none: now.
    pub finished_at: Option<Timestamp>,
}

/// Finishes a repair that was started. Finished again with the same outcome it stays as it is.
pub async fn finish(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    finish: Finish,
) -> Result<Repair, OperationError> {
    let missing = || OperationError::NotFound(Resource::Repair);
    check_duration(finish.duration_ms)?;
    let tx = context.db.begin().await?;
    let known = repairs::find(&tx, id).await?.ok_or_else(missing)?;
    let locked = anomalies::lock(&tx, &known.anomaly_key).await?;
    let (anomaly, now) = locked.ok_or_else(missing)?;
    let now = context.clock.of_store(now);
    check_span(known.started_at, finish.finished_at, now)?;
    let finished = Finished {
        success: finish.success,
        operator: actor.operator.clone(),
        note: finish.note,
        duration_ms: finish.duration_ms,
        at: finish.finished_at.unwrap_or(now).max(known.began_at()),
    };
    let longest = context.config.effectiveness.bounds().1;
    let Some(repair) = repairs::finish(&tx, &anomaly, id, &finished, longest).await? else {
        // Somebody may have finished it since it was read.
        let known = repairs::find(&tx, id).await?.ok_or_else(missing)?;
        return match known.success == finish.success {
            true => Ok(known),
            false => Err(Conflict::RepairFinished.into()),
        };
    };
    let target = repair.incident_id.to_string();
    let entry = AuditEntry {
        action: Action::FinishRepair,
        target: &target,
        detail: json!({
            "repair": id, "action": repair.action, "success": repair.success,
        }),
    };
    audit::record(&tx, actor, entry, now).await?;
    let follow_up = concern(&tx, &anomaly, repair.incident_id, now).await?;
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(repair)
}

/// What was tried on an anomaly is shown by its unresolved incidents, and by that which it was tried on.
pub(super) async fn concern(
    tx: &impl ConnectionTrait,
    anomaly: &Anomaly,
    incident: Uuid,
    now: Timestamp,
) -> Result<FollowUp, OperationError> {
    let of_anomaly = [(anomaly.key.clone(), anomaly.newest_incident)];
    let mut due = levels::concerned(tx, &of_anomaly).await?;
    due.push(incident);
    due.sort_unstable();
    due.dedup();
    Ok(FollowUp::of_tiers(
        incidents::mark_due(tx, &due, now).await?,
    ))
}

/// Notes a repair in the transaction of a button press. It is to be pushed after the commit.
pub(super) async fn note_in(
    tx: &DatabaseTransaction,
    actor: &Actor,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(), OperationError> {
    incident::key_of(tx, repair.incident).await?;
    note(tx, actor, job, repair).await
}

/// Writes the audit entry before the job is enqueued, so that it is known who reported a repair even if the
/// process dies in between.
async fn note(
    db: &impl ConnectionTrait,
    actor: &Actor,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(), OperationError> {
    let target = repair.incident.to_string();
    let entry = AuditEntry {
        action: Action::RecordRepair,
        target: &target,
        detail: json!({
            "repair": job, "action": repair.action, "success": repair.success,
        }),
    };
    Ok(audit::record(db, actor, entry, repair.at).await?)
}

/// Enqueues the job that records it; enqueued again it is the same repair.
pub(super) async fn push(
    context: &Context,
    job: Uuid,
    repair: &RecordRepair,
) -> Result<(), QueueError> {
    let trace = task_context::trace();
    context
        .queues
        .push(Push::new(repair).id(job).trace(trace))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_an_action_and_when_it_was() {
        const NOW: Timestamp = Timestamp(1_795_382_909_000);
        let at = |seconds: i64| Some(Timestamp(NOW.0 + seconds * 1000));
        let future = |field| Err(Invalid::RepairInFuture { field });
        for (action, success, duration_ms, started_at, finished_at, expected) in [
            ("restart_pod", Some(true), None, None, None, Ok(())),
            ("restart_pod", Some(true), Some(0), at(-9), at(-9), Ok(())),
            ("restart_pod", None, None, at(-9), None, Ok(())),
            (
                "restart_pod",
                None,
                None,
                None,
                None,
                Err(Invalid::NoOutcome),
            ),
            (
                "restart_pod",
                None,
                None,
                at(-9),
                at(-1),
                Err(Invalid::NoOutcome),
            ),
            (
                "restart_pod",
                Some(true),
                Some(-1),
                None,
                None,
                Err(Invalid::DurationOutOfRange),
            ),
            (
                "restart_pod",
                None,
                Some(RecordRepair::LONGEST_MS + 1),
                at(-9),
                None,
                Err(Invalid::DurationOutOfRange),
            ),
            (
                "restart_pod",
                Some(true),
                None,
                at(-1),
                at(-2),
                Err(Invalid::RepairEndsBeforeStart),
            ),
            (
                "restart_pod",
                Some(true),
                None,
                at(61),
                None,
                future("started_at"),
            ),
            (
                "restart_pod",
                Some(true),
                None,
                None,
                at(61),
                future("finished_at"),
            ),
            ("restart_pod", Some(true), None, at(30), at(50), Ok(())),
            (
                " \t",
                Some(true),
                None,
                None,
                None,
                Err(Invalid::EmptyAction),
            ),
        ] {
            let report = Report {
                action: action.to_owned(),
                success,
                note: None,
                duration_ms,
                started_at,
                finished_at,
            };
            assert_eq!(report.check(NOW), expected, "{report:?}");
        }
    }
}
