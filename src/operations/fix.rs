//! Marking a permanent fix of an anomaly, and withdrawing it.

use serde_json::json;

use super::{FollowUp, OperationError, Resource};
use crate::context::Context;
use crate::domain::fix::Mark;
use crate::entity::anomalies::Model;
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::views::lists;
use crate::store::{anomalies, incidents, levels};
use crate::time::Timestamp;

/// An anomaly whose fix was marked or withdrawn.
#[derive(Clone, Debug)]
pub struct Marked {
    /// The anomaly as it is now.
    pub anomaly: Model,
    /// Whether the operation changed it.
    pub changed: bool,
    /// When the fix was marked that this one replaces, because a firing began after it.
    pub earlier_fix_at: Option<Timestamp>,
}

/// Marks a permanent fix, with a reference to where it is described. Marked again before a firing shows that
/// it failed, it is the same fix.
pub async fn fix(
    context: &Context,
    actor: &Actor,
    key: &str,
    reference: Option<String>,
) -> Result<Marked, OperationError> {
    set(context, actor, key, Change::Mark(reference)).await
}

/// Withdraws a permanent fix. Has no effect if there is none.
pub async fn withdraw(
    context: &Context,
    actor: &Actor,
    key: &str,
) -> Result<Marked, OperationError> {
    set(context, actor, key, Change::Withdraw).await
}

#[derive(Debug)]
enum Change {
    /// With the reference.
    Mark(Option<String>),
    Withdraw,
}

/// A fix changes the tier, so the incidents that show it are due for one.
async fn set(
    context: &Context,
    actor: &Actor,
    key: &str,
    change: Change,
) -> Result<Marked, OperationError> {
    let tx = context.db.begin().await?;
    let locked = anomalies::lock(&tx, key).await?;
    let (anomaly, now) = locked.ok_or(OperationError::NotFound(Resource::Anomaly))?;
    let now = context.clock.of_store(now);
    let known = Mark {
        at: anomaly.permanent_fix_at,
        reference: anomaly.permanent_fix_reference.clone(),
    };
    let (action, mut detail, mark, failed) = match change {
        Change::Mark(reference) => {
            let failed = match known.at {
                Some(at) => levels::began_after(&tx, key, at).await?,
                None => false,
            };
            let mark = known.fixed(reference, failed, now);
            let detail = json!({"reference": mark.reference});
            (Action::MarkFix, detail, mark, failed)
        }
        Change::Withdraw => (Action::WithdrawFix, json!({}), Mark::default(), false),
    };
    let changed = mark != known;
    let earlier_fix_at = known.at.filter(|_| failed);
    if !changed {
        detail["changed"] = false.into();
    }
    if let Some(at) = earlier_fix_at {
        // The row forgets it.
        detail["earlier_fix_at"] = json!(at);
        detail["earlier_reference"] = json!(known.reference);
    }
    let entry = AuditEntry {
        action,
        target: key,
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    let mut follow_up = FollowUp::default();
    if changed {
        let fix = mark.at.map(|at| (at, mark.reference));
        anomalies::set_permanent_fix(&tx, key, fix).await?;
        let concerned = levels::concerned(&tx, &[(anomaly.key, anomaly.newest_incident)]).await?;
        follow_up.tiers = incidents::mark_due(&tx, &concerned, now).await?;
    }
    tx.commit().await?;
    follow_up.push(context).await;
    let anomaly = lists::anomaly(context.db.view_now(), key).await?;
    let anomaly = anomaly.ok_or(OperationError::NotFound(Resource::Anomaly))?;
    Ok(Marked {
        anomaly: anomaly.as_of(now),
        changed,
        earlier_fix_at,
    })
}
