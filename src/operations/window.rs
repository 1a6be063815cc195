//! Planning a maintenance window, and ending it.

use serde_json::json;
use uuid::Uuid;

use super::{Invalid, OperationError, Resource};
use crate::context::Context;
use crate::domain::mute::Ends;
use crate::domain::window::{Matchers, Weekly};
use crate::entity::windows::Model;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::{maintenance, windows};
use crate::time::Timestamp;

/// The longest reason, in characters.
const REASON: usize = 1000;

/// A window to plan.
#[derive(Clone, Debug)]
pub struct NewWindow {
    /// Why.
    pub reason: String,
    /// Which anomalies it is about.
    pub matchers: Matchers,
    /// When it starts; `None`: now.
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    pub ends: Option<Ends>,
    /// The times of every week, if it is not once.
    pub weekly: Option<Weekly>,
}

/// Plans a maintenance window. With the same key it is planned once, also if a process died before it answered.
///
/// # Errors
/// It names nothing, has no reason, or can never hold.
pub async fn plan(
    context: &Context,
    actor: &Actor,
    new: NewWindow,
    key: Option<&str>,
) -> Result<Model, OperationError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let starts_at = new.starts_at.unwrap_or(now);
    let said = json!([
        new.reason,
        new.matchers,
        new.starts_at,
        format!("{:?}", new.ends),
        new.weekly
    ])
    .to_string();
    let window = Model {
        id: super::once::job(&["maintenance", &actor.token, &said], key, now),
        reason: new.reason.trim().to_owned(),
        matchers: new.matchers,
        starts_at,
        ends_at: new.ends.map(|ends| match ends {
            Ends::After(span) => starts_at.after(span),
            Ends::At(moment) => moment,
        }),
        weekly: new.weekly,
        created_by: actor.operator.clone(),
        created_at: now,
        ended_at: None,
    };
    if window.reason.is_empty() || window.reason.chars().count() > REASON {
        return Err(Invalid::Window {
            field: "reason",
            why: format!("say why, in at most {REASON} characters"),
        }
        .into());
    }
    let wrong = |(field, why)| Invalid::Window { field, why };
    window.matchers.check().map_err(wrong)?;
    window.schedule().check(now).map_err(wrong)?;
    if !windows::insert(&tx, window.clone()).await? {
        let planned = windows::find(&tx, window.id).await?;
        return planned.ok_or(OperationError::NotFound(Resource::Maintenance));
    }
    let target = window.id.to_string();
    let entry = AuditEntry {
        action: Action::PlanMaintenance,
        target: &target,
        detail: json!({
            "reason": window.reason, "matchers": window.matchers, "starts_at": window.starts_at,
            "ends_at": window.ends_at, "weekly": window.weekly,
        }),
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    Ok(window)
}

/// Ends a maintenance window, or calls it off before it starts. One that is over already stays as it is. Returns the
/// window as it is then.
///
/// # Errors
/// There is none with this id.
pub async fn end(context: &Context, actor: &Actor, id: Uuid) -> Result<Model, OperationError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let missing = || OperationError::NotFound(Resource::Maintenance);
    let found = windows::find(&tx, id).await?.ok_or_else(missing)?;
    let is_over = found.ends_at.is_some_and(|at| at <= now);
    if is_over || !windows::end(&tx, id, now).await? {
        return Ok(found);
    }
    let target = id.to_string();
    let entry = AuditEntry {
        action: Action::EndMaintenance,
        target: &target,
        detail: json!({"reason": found.reason}),
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    Ok(Model {
        ended_at: Some(now),
        ..found
    })
}
