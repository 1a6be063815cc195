//! Which messages are sent: those of incidents that opened, and of levels that rose.

use std::collections::HashSet;

use sea_orm::DatabaseTransaction;
use tocsin::context::Context;
use tocsin::domain::messages::{self, Rise};
use tocsin::domain::notification::Kind;
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::store::{levels, notifications};
use uuid::Uuid;

use super::{LockedAnomalies, TierError};

/// Writes the messages that the incidents opened, and that levels rose; returns how many of them are
/// suppressed. Of a muted anomaly only a rise to `PERMANENT_FIX` is sent, once.
pub(super) async fn write(
    context: &Context,
    tx: &DatabaseTransaction,
    locked: &LockedAnomalies,
    risen: &HashSet<String>,
) -> Result<u64, TierError> {
    let policy = context.config.messages();
    let ids: Vec<Uuid> = locked.due.iter().map(|(id, _)| *id).collect();
    let existing = notifications::existing(tx, &ids).await?;
    let mut rises: Vec<Rise> = risen.iter().filter_map(|key| rise(locked, key)).collect();
    let about: Vec<Uuid> = rises.iter().map(|rise| rise.incident).collect();
    let opened_at = levels::opened(tx, &about).await?;
    for rise in &mut rises {
        rise.opened_at = opened_at.get(&rise.incident).copied();
    }
    let candidates = messages::of_tier(&ids, &existing, &rises, policy.settle, locked.now);
    let about: Vec<Uuid> = candidates.iter().map(|c| c.incident).collect();
    let keys = notifications::routing_keys(tx, &about).await?;
    let routed = messages::route(candidates, &policy, &keys);
    let is_muted =
        |incident, kind| locked.is_muted(incident) && !locked.breaks_mute(incident, kind);
    let planned = messages::plan(routed, existing, is_muted);
    let written = notifications::write(tx, &planned, locked.now).await?;
    Ok(written.suppressed)
}

impl LockedAnomalies {
    fn anomaly(&self, incident: Uuid) -> Option<&Anomaly> {
        let due = self.due.iter().find(|(id, _)| *id == incident);
        due.and_then(|(_, key)| self.anomalies.get(key))
    }

    /// Whether the incident's anomaly is muted.
    fn is_muted(&self, incident: Uuid) -> bool {
        let anomaly = self.anomaly(incident);
        anomaly.is_some_and(|anomaly| anomaly.mute().holds(self.now))
    }

    /// Whether the message is for the present rise, which is sent in spite of the mute.
    fn breaks_mute(&self, incident: Uuid, kind: Kind) -> bool {
        let anomaly = self.anomaly(incident);
        let is_now = anomaly.is_some_and(|anomaly| anomaly.mute_broken_at == Some(self.now));
        kind == Kind::Escalated && is_now
    }
}

/// The rise of an anomaly's level, whose message is about its newest incident that is due.
fn rise(locked: &LockedAnomalies, key: &String) -> Option<Rise> {
    let of_key = locked.due.iter().filter(|(_, k)| k == key);
    let anomaly = locked.anomalies.get(key)?;
    Some(Rise {
        incident: of_key.map(|(id, _)| *id).max()?,
        level: anomaly.level,
        sequence: anomaly.level_seq,
        opened_at: None,
    })
}
