//! Transitions of an incident when one of its firings begins, is sent again, or ends.

use uuid::Uuid;

use super::{Batch, Policy, ResolvedBy, Status};
use crate::domain::level::Level;
use crate::time::Timestamp;

impl Batch {
    /// An open episode was seen firing once more, which is so `now`.
    pub(super) fn still_fires(
        &mut self,
        incident: Uuid,
        (at, now): (Timestamp, Timestamp),
        policy: &Policy,
    ) {
        let Some(incident) = self.incidents.get_mut(&incident) else {
            return;
        };
        if at > incident.last_firing_at || incident.unheard_since.is_some() {
            incident.seen_at(at);
        }
        if incident.opens_again(now, policy.window) {
            self.reopenings.push((incident.id, incident.reopened));
        }
        let lasts = at >= incident.opened_at.after(policy.open_for);
        let level = self
            .anomalies
            .get(&incident.anomaly_key)
            .map_or(Level::None, |anomaly| anomaly.level);
        if lasts && incident.status != Status::Resolved && level < Level::Escalate {
            incident.tier_due = true;
        }
    }

    /// An episode that was said to be over, and was seen firing after that, is open again `now`.
    pub(super) fn fires_again(
        &mut self,
        incident: Uuid,
        (at, now): (Timestamp, Timestamp),
        policy: &Policy,
    ) {
        if let Some(incident) = self.incidents.get_mut(&incident) {
            incident.open_episodes += 1;
            incident.tier_due = true;
            incident.seen_at(at);
        }
        self.still_fires(incident, (at, now), policy);
    }

    /// An episode was seen firing soon after the end that was received at `since`.
    pub(super) fn doubt(&mut self, incident: Uuid, since: Timestamp) {
        if let Some(incident) = self.incidents.get_mut(&incident) {
            let known = incident.doubted_since.unwrap_or(since);
            incident.doubted_since = Some(known.min(since));
            incident.changed = true;
        }
    }

    pub(super) fn episode_closed(&mut self, incident: Uuid, at: Timestamp, policy: &Policy) {
        let Some(incident) = self.incidents.get_mut(&incident) else {
            return;
        };
        incident.open_episodes -= 1;
        incident.touch(at);
        if incident.open_episodes <= 0 && policy.auto_resolve && incident.status != Status::Resolved
        {
            incident.status = Status::Resolved;
            incident.resolved_by = Some(ResolvedBy::Itself);
            incident.resolved_at = Some(at.max(incident.opened_at));
            incident.unheard_since = None;
        }
    }
}
