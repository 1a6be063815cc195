//! Executions, as people want them and as executors report of them.

use sea_orm::DatabaseTransaction;
use serde_json::json;
use uuid::Uuid;

use super::repair::concern;
use super::{Conflict, FollowUp, Invalid, OperationError, Resource, incident};
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::effectiveness::action_name;
use crate::domain::execution::{Decision, Mode, Reason, State, decide};
use crate::domain::recommendation::Recommendation;
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::executions::Model as Execution;
use crate::executions::{hook_of, kept, operator};
use crate::ids::new_id;
use crate::jobs::RecordRepair;
use crate::recommendations::of_incident;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::executions::{self, DueExecution, New, Wanted};
use crate::store::repairs::{self, Finished, Started};
use crate::store::{anomalies, incidents};
use crate::time::Timestamp;

/// Has an executor be asked to run an action on an incident, which is recommended there now. Wanted again, it is the same
/// execution.
pub async fn ask(
    context: &Context,
    actor: &Actor,
    incident: Uuid,
    action: &str,
) -> Result<Execution, OperationError> {
    let action = action_name(action);
    if action.is_empty() {
        return Err(Invalid::EmptyAction.into());
    }
    let tx = context.db.begin().await?;
    let done = ask_in(&tx, context, actor, (incident, &action)).await?;
    tx.commit().await?;
    let (execution, follow_up) = done;
    follow_up.push(context).await;
    Ok(execution)
}

/// The same in a transaction of the caller's.
pub(super) async fn ask_in(
    tx: &DatabaseTransaction,
    context: &Context,
    actor: &Actor,
    (incident, action): (Uuid, &str),
) -> Result<(Execution, FollowUp), OperationError> {
    let key = incident::key_of(tx, incident).await?;
    let locked = anomalies::lock(tx, &key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Anomaly))?;
    let now = context.clock.of_store(now);
    let known = executions::of_action(tx, incident, action).await?;
    if let Some(known) = known.clone().filter(|known| !known.state.is_open()) {
        return Ok((known, FollowUp::default()));
    }
    let found = recommended(tx, context, (incident, action), &anomaly, now).await?;
    let hook = hook_of(context, &anomaly, found.tier);
    let (name, hook) = hook.ok_or(Conflict::NoHook)?;
    let before = executions::before(tx, &anomaly.key, now).await?;
    if before.is_running {
        return Err(Conflict::ExecutionRunning.into());
    }
    // A click is all that sets `suggest` apart.
    if let Decision::Refuse(Reason::Budget) = decide(Mode::Run, None, before, hook.per_hour) {
        return Err(Conflict::ExecutionBudget {
            per_hour: hook.per_hour,
        }
        .into());
    }
    let wanted = Wanted {
        by: Some(actor.name()),
        at: now,
        until: now.after(hook.within.0),
    };
    let id = known.as_ref().map_or_else(|| new_id(now), |known| known.id);
    let new = New {
        id,
        incident,
        anomaly_key: &anomaly.key,
        action,
        tier: found.tier,
        hook: name,
        recommendation: kept(&found),
    };
    match known {
        Some(_) => executions::want(tx, &new, wanted).await?,
        None => executions::add(tx, &new, (State::Asking, None), Some(wanted), now).await?,
    };
    let target = incident.to_string();
    let entry = AuditEntry {
        action: Action::AskExecution,
        target: &target,
        detail: json!({"execution": id, "action": action, "hook": name}),
    };
    audit::record(tx, actor, entry, now).await?;
    let follow_up = FollowUp {
        executions: vec![DueExecution { id, incident }],
        ..FollowUp::default()
    };
    Ok((find(tx, id).await?, follow_up))
}

/// What is recommended for an unresolved incident now, if that is the action.
async fn recommended(
    tx: &DatabaseTransaction,
    context: &Context,
    (incident, action): (Uuid, &str),
    anomaly: &Anomaly,
    now: Timestamp,
) -> Result<Recommendation, OperationError> {
    let missing = || OperationError::NotFound(Resource::Incident);
    let incident = incidents::find(tx, incident).await?.ok_or_else(missing)?;
    if incident.status == Status::Resolved {
        return Err(Conflict::NotRecommended.into());
    }
    let found = of_incident(context, tx, (&incident, anomaly), now).await?;
    let found = found.filter(|found| found.action.as_deref() == Some(action));
    Ok(found.ok_or(Conflict::NotRecommended)?)
}

async fn find(tx: &DatabaseTransaction, id: Uuid) -> Result<Execution, OperationError> {
    let found = executions::find(tx, id).await?;
    found.ok_or(OperationError::NotFound(Resource::Execution))
}

/// An execution that its executor reports of, with its anomaly locked.
async fn reported(
    tx: &DatabaseTransaction,
    context: &Context,
    id: Uuid,
) -> Result<(Execution, Anomaly, Timestamp), OperationError> {
    let known = find(tx, id).await?;
    let locked = anomalies::lock(tx, &known.anomaly_key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Execution))?;
    let execution = find(tx, id).await?;
    if execution.state.is_open() {
        return Err(Conflict::NotAsked.into());
    }
    Ok((execution, anomaly, context.clock.of_store(now)))
}

/// Its executor says that it started: that is a repair of the same id. Said again, or after its end, it changes nothing.
pub async fn started(
    context: &Context,
    actor: &Actor,
    id: Uuid,
) -> Result<Execution, OperationError> {
    let tx = context.db.begin().await?;
    let (execution, anomaly, now) = reported(&tx, context, id).await?;
    let hook = context.config.repairs.hooks.get(&execution.hook);
    let until = now.after(hook.map(|hook| hook.within.0).unwrap_or_default());
    if executions::started(&tx, id, (now, until)).await? {
        let started = Started {
            id,
            incident: execution.incident_id,
            action: execution.action.clone(),
            operator: Some(operator(&execution.hook)),
            note: None,
            started_at: now,
        };
        let longest = context.config.effectiveness.bounds().1;
        repairs::start(&tx, &anomaly.key, &started, longest).await?;
        note(&tx, actor, (Action::StartExecution, &execution, None), now).await?;
        context.metrics.count_execution(State::Started, None);
    }
    let execution = find(&tx, id).await?;
    tx.commit().await?;
    Ok(execution)
}

/// Its executor says that it finished, and whether it helped: that is a repair, whose verdict follows. Said again with the
/// same outcome, it changes nothing.
pub async fn finished(
    context: &Context,
    actor: &Actor,
    id: Uuid,
    (success, said): (bool, Option<String>),
) -> Result<Execution, OperationError> {
    let tx = context.db.begin().await?;
    let (execution, anomaly, now) = reported(&tx, context, id).await?;
    let longest = context.config.effectiveness.bounds().1;
    let mut follow_up = FollowUp::default();
    match repairs::find(&tx, id).await? {
        Some(repair) if !repair.unfinished && repair.success != success => {
            return Err(Conflict::RepairFinished.into());
        }
        Some(repair) if !repair.unfinished => {}
        Some(repair) => {
            let finished = Finished {
                success,
                operator: None,
                note: said,
                duration_ms: None,
                at: now.max(repair.began_at()),
            };
            repairs::finish(&tx, &anomaly, id, &finished, longest).await?;
            follow_up = concern(&tx, &anomaly, execution.incident_id, now).await?;
        }
        // Its start was not reported.
        None => {
            let repair = RecordRepair {
                incident: execution.incident_id,
                action: execution.action.clone(),
                success,
                operator: Some(operator(&execution.hook)),
                note: said,
                duration_ms: None,
                at: now,
                started_at: None,
                finished_at: None,
            };
            repairs::record(&tx, id, &anomaly, &repair, longest).await?;
            follow_up = concern(&tx, &anomaly, execution.incident_id, now).await?;
        }
    }
    if executions::finished(&tx, id, success, now).await? {
        let finished = (Action::FinishExecution, &execution, Some(success));
        note(&tx, actor, finished, now).await?;
        context.metrics.count_execution(State::Finished, None);
    }
    let execution = find(&tx, id).await?;
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(execution)
}

async fn note(
    tx: &DatabaseTransaction,
    actor: &Actor,
    (action, execution, success): (Action, &Execution, Option<bool>),
    now: Timestamp,
) -> Result<(), OperationError> {
    let target = execution.incident_id.to_string();
    let entry = AuditEntry {
        action,
        target: &target,
        detail: json!({
            "execution": execution.id, "repair": execution.id, "action": execution.action,
            "hook": execution.hook, "success": success,
        }),
    };
    Ok(audit::record(tx, actor, entry, now).await?)
}
