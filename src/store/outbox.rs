//! The outbox's rows: messages and edits that follow a change are written in its transaction, under the
//! locks of its anomalies. [`crate::outbox`] pushes them after the commit.

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::analysis::DueAnalysis;
use super::cards::{self, DueCard};
pub use super::executions::DueExecution;
pub use super::notifications::{DueMessage, SuppressedCount};
use super::{mutes, notifications, windows};
use crate::domain::flapping;
use crate::domain::incident_counts::IncidentCounts;
use crate::domain::messages::{Candidate, Needed, Policy, Suppression, plan, route};
use crate::entity::windows::holding;
use crate::time::Timestamp;

/// What follows a commit. The rows say it, too: what is not pushed is overdue after a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// Incidents that are due for a tier.
    pub tiers: Vec<Uuid>,
    /// Those that are due because of figures alone, which may wait.
    pub figures: Vec<Uuid>,
    /// Messages to send that no tier pushes.
    pub messages: Vec<DueMessage>,
    /// Cards to edit.
    pub edits: Vec<DueCard>,
    /// Incidents to analyze.
    pub analyses: Vec<DueAnalysis>,
    /// Executions to ask for.
    pub executions: Vec<DueExecution>,
    /// How many messages are suppressed.
    pub suppressed: SuppressedCount,
    /// What became of incidents.
    pub incidents: IncidentCounts,
}

/// Writes the messages that a change calls for, and marks the cards that do not show it. Where it calls
/// for nothing, nothing is asked.
pub async fn write(
    tx: &impl ConnectionTrait,
    policy: &Policy<'_>,
    candidates: Vec<Candidate>,
    changed: &[Uuid],
    now: Timestamp,
) -> Result<FollowUp, DbErr> {
    let mut follow_up = write_messages(tx, policy, candidates, now).await?;
    follow_up.edits = mark_edits(tx, policy, changed, now).await?;
    Ok(follow_up)
}

async fn write_messages(
    tx: &impl ConnectionTrait,
    policy: &Policy<'_>,
    candidates: Vec<Candidate>,
    now: Timestamp,
) -> Result<FollowUp, DbErr> {
    let incidents: Vec<Uuid> = candidates.iter().map(|c| c.incident).collect();
    let keys = notifications::routing_keys(tx, &incidents).await?;
    let routed = route(candidates, policy, &keys);
    if routed.is_empty() {
        return Ok(FollowUp::default());
    }
    let choosy = routed
        .iter()
        .filter(|(c, _)| c.needed != Needed::Everywhere);
    let choosy: Vec<Uuid> = choosy.map(|(c, _)| c.incident).collect();
    let existing = match choosy.is_empty() {
        true => Vec::new(),
        false => notifications::existing(tx, &choosy).await?,
    };
    let quieted = mutes::quieted(tx, routed.iter().map(|(c, _)| c.incident), now).await?;
    let windows = windows::ahead(tx, now).await?;
    let is_in_maintenance = |incident: &Uuid| {
        let key = keys.get(incident);
        key.is_some_and(|key| holding(&windows, key.names(), now).is_some())
    };
    let planned = plan(routed, existing, |candidate, _| {
        match quieted.get(&candidate.incident) {
            Some((Suppression::Muted, _)) => Some(Suppression::Muted),
            _ if is_in_maintenance(&candidate.incident) => Some(Suppression::Maintenance),
            Some((why @ Suppression::Flapping, level)) => {
                flapping::keeps_back(candidate.kind, *level).then_some(*why)
            }
            Some((why, _)) => Some(*why),
            None => None,
        }
    });
    let written = notifications::write(tx, &planned, now).await?;
    Ok(FollowUp {
        messages: written.messages,
        suppressed: written.suppressed,
        ..FollowUp::default()
    })
}

/// Marks the cards of incidents that changed, where there are channels whose messages are edited.
pub async fn mark_edits(
    tx: &impl ConnectionTrait,
    policy: &Policy<'_>,
    changed: &[Uuid],
    now: Timestamp,
) -> Result<Vec<DueCard>, DbErr> {
    cards::mark_edits(tx, changed, &policy.edits, now).await
}
