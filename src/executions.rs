//! Executions: which recommended action an executor is asked to run, decided where an incident's tier is.
//!
//! | what | how |
//! |---|---|
//! | at most once on an incident | a unique key of incident and action, written under the anomaly's lock |
//! | one at a time, the next after a verdict, so many in an hour | counted by index under the same lock |
//! | nothing that a person should do | tiers 3 and 4 have no hooks; `suggest` waits for a click; while the anomaly is muted or somebody has acknowledged the incident, `run` does, too; a stopped action is not recommended |
//! | a request is not lost | it is due in the row that the transaction writes, and pushed again while it is |
//! | a request that comes twice is known | its `Idempotency-Key` is the row's id, whatever happens |

use sea_orm::{ConnectionTrait, DbErr};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::{Hook, hook_for};
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::execution::{
    Before, Decision, Mode, Reason, Standing, State, decide, hindrance, taken,
};
use crate::domain::playbook::PlaybookKey;
use crate::domain::recommendation::Recommendation;
use crate::domain::tier::Tier;
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::executions::Model as Execution;
use crate::entity::incidents::Model as Incident;
use crate::entity::windows::Model as Window;
use crate::ids::new_id;
use crate::recommendations::of_incident;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::executions::{self, DueExecution, New, Wanted};
use crate::store::repairs::{breakers, known};
use crate::store::{incidents, windows};
use crate::time::Timestamp;

/// The hook for actions of a tier on an anomaly.
#[must_use]
pub fn hook_of<'a>(
    context: &'a Context,
    anomaly: &Anomaly,
    tier: i32,
) -> Option<(&'a str, &'a Hook)> {
    hook_for(&context.config.repairs.hooks, key(anomaly), tier)
}

fn key(anomaly: &Anomaly) -> PlaybookKey<'_> {
    PlaybookKey {
        alert_name: &anomaly.alert_name,
        service: &anomaly.service,
        namespace: &anomaly.namespace,
        error_type: &anomaly.error_type,
    }
}

/// Who acts in an audit entry if Tocsin does so by itself.
#[must_use]
pub fn itself(hook: &str) -> Actor {
    Actor {
        token: "hook".to_owned(),
        operator: Some(operator(hook)),
        ..Actor::default()
    }
}

/// Who ran an action, as its repair has it.
#[must_use]
pub fn operator(hook: &str) -> String {
    format!("hook {hook}")
}

/// What a recommendation is kept as beside an execution.
pub fn kept(found: &Recommendation) -> Value {
    let found = Recommendation {
        alternatives: Vec::new(),
        ..found.clone()
    };
    json!(found)
}

/// Decides about the recommended action of an incident whose tier was calculated just now, under its anomaly's lock.
/// Returns the execution that is to be asked for. Where no hook can match, nothing is read.
pub async fn decide_in(
    context: &Context,
    tx: &impl ConnectionTrait,
    (incident, tier): (Uuid, Tier),
    anomaly: &Anomaly,
    now: Timestamp,
) -> Result<Option<DueExecution>, DbErr> {
    let may_match = |tier: &Tier| hook_of(context, anomaly, tier.number()).is_some();
    let mut tiers = Tier::ALL.into_iter().filter(|one| *one >= tier);
    if context.config.repairs.hooks.is_empty() || !tiers.any(|tier| may_match(&tier)) {
        return Ok(None);
    }
    let Some(incident) = incidents::find(tx, incident).await? else {
        return Ok(None);
    };
    let found = of_incident(context, tx, (&incident, anomaly), now).await?;
    let Some((found, action)) = found.and_then(|found| {
        let action = found.action.clone()?;
        Some((found, action))
    }) else {
        return Ok(None);
    };
    let Some((name, hook)) = hook_of(context, anomaly, found.tier) else {
        return Ok(None);
    };
    if executions::of_action(tx, incident.id, &action)
        .await?
        .is_some()
    {
        return Ok(None);
    }
    let windows = match hook.mode {
        Mode::Suggest => Vec::new(),
        Mode::Run => windows::ahead(tx, now).await?,
    };
    let before = match hook.mode {
        Mode::Suggest => Before::default(),
        Mode::Run => {
            let mut before = executions::before(tx, &anomaly.key, now).await?;
            let unfinished = now.before(context.config.repairs.unfinished.0);
            let since = (unfinished, incident.opened_at);
            before.is_running =
                before.is_running || known::is_one_unjudged(tx, &anomaly.key, since).await?;
            before
        }
    };
    let new = New {
        id: new_id(now),
        incident: incident.id,
        anomaly_key: &anomaly.key,
        action: &action,
        tier: found.tier,
        hook: name,
        recommendation: kept(&found),
    };
    let wanted = Wanted {
        by: None,
        at: now,
        until: now.after(hook.within.0),
    };
    let (state, reason, wanted) = match decide(
        hook.mode,
        left_to_people(&incident, anomaly, &windows, now),
        before,
        hook.per_hour,
    ) {
        Decision::Wait => return Ok(None),
        Decision::Suggest => (State::Suggested, None, None),
        Decision::Refuse(reason) => (State::Refused, Some(reason), None),
        Decision::Ask => (State::Asking, None, Some(wanted)),
    };
    if !executions::add(tx, &new, (state, reason), wanted, now).await? {
        return Ok(None);
    }
    note(context, tx, &itself(name), (&new, state, reason), now).await?;
    Ok((state == State::Asking).then_some(DueExecution {
        id: new.id,
        incident: new.incident,
    }))
}

/// Why an incident is left to people now.
fn left_to_people(
    incident: &Incident,
    anomaly: &Anomaly,
    windows: &[Window],
    now: Timestamp,
) -> Option<Reason> {
    let is_acknowledged = incident.status == Status::Acknowledged;
    taken(anomaly.mute_with(windows, now).holds(now), is_acknowledged)
}

/// Writes down what was decided about a new execution. A suggestion is nothing that was done.
async fn note(
    context: &Context,
    tx: &impl ConnectionTrait,
    actor: &Actor,
    (new, state, reason): (&New<'_>, State, Option<Reason>),
    now: Timestamp,
) -> Result<(), DbErr> {
    if state != State::Asking {
        context.metrics.count_execution(state, reason);
    }
    let action = match state {
        State::Suggested => return Ok(()),
        State::Refused => Action::FailExecution,
        _ => Action::AskExecution,
    };
    let target = new.incident.to_string();
    let entry = AuditEntry {
        action,
        target: &target,
        detail: json!({
            "execution": new.id, "action": new.action, "hook": new.hook, "reason": reason,
        }),
    };
    audit::record(tx, actor, entry, now).await
}

/// The action that a person can have run on an incident now: the recommended one, if there is a hook for it that was not
/// asked yet.
pub async fn runnable(
    context: &Context,
    db: &impl ConnectionTrait,
    (incident, anomaly): (&Incident, &Anomaly),
    recommended: Option<&Recommendation>,
) -> Result<Option<String>, DbErr> {
    let found = recommended.and_then(|found| {
        let action = found.action.clone()?;
        hook_of(context, anomaly, found.tier)?;
        Some(action)
    });
    let Some(action) = found else {
        return Ok(None);
    };
    let known = executions::of_action(db, incident.id, &action).await?;
    let is_open = known.is_none_or(|known| known.state.is_open());
    Ok(is_open.then_some(action))
}

/// What an executor is asked with.
#[derive(Clone, Debug)]
pub struct Request {
    /// The execution.
    pub execution: Execution,
    /// Its incident.
    pub incident: Incident,
    /// Its anomaly.
    pub anomaly: Anomaly,
}

/// Why an execution that was to be asked for must not be asked for any more, under its anomaly's lock.
pub async fn hindered(
    context: &Context,
    tx: &impl ConnectionTrait,
    execution: &Execution,
    (incident, anomaly): (&Incident, &Anomaly),
    now: Timestamp,
) -> Result<Option<Reason>, DbErr> {
    let hooks = &context.config.repairs.hooks;
    let hook = hooks.get(&execution.hook);
    let breaker = context.config.repairs.breaker;
    let stopped = breakers::stopped(tx, vec![execution.action.clone()], breaker).await?;
    let standing = Standing {
        is_resolved: incident.status == Status::Resolved,
        has_hook: hook.is_some_and(|hook| hook.takes(execution.tier))
            && hook_of(context, anomaly, execution.tier).is_some(),
        is_stopped: !stopped.is_empty(),
        taken: match execution.wanted_by {
            Some(_) => None,
            None => left_to_people(incident, anomaly, &windows::ahead(tx, now).await?, now),
        },
        expires_at: execution.expires_at.unwrap_or_default(),
    };
    Ok(hindrance(&standing, now))
}
