//! When an incident that a batch made due for a tier gets it.

use super::{Anomaly, Batch, Incident};
use crate::domain::level::Level;
use crate::time::Timestamp;

/// When a tier is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// At once: level or tier may change, or a message waits for it.
    Soon,
    /// After a while: figures change, and nothing else.
    Figures,
}

impl Batch {
    /// When an incident that this batch made due gets its tier. More firings of an incident that is open change figures
    /// alone where no rule can raise the level, as the highest holds, or the others ask for more incidents.
    #[must_use]
    pub fn due(&self, incident: &Incident) -> Due {
        let is_more = incident.opening.is_some()
            || !incident.undone.is_empty()
            || self.worsened.iter().any(|(id, _)| *id == incident.id);
        match is_more || self.may_rise(incident) {
            true => Due::Soon,
            false => Due::Figures,
        }
    }

    /// When a job for its tier is to be pushed, if this batch made it due: one that was due before has a job, which may
    /// be one that waits.
    #[must_use]
    pub fn due_anew(&self, incident: &Incident, now: Timestamp) -> Option<Due> {
        let due = self.due(incident);
        let is_new = match due {
            Due::Soon => incident.due_at.is_none_or(|at| at > now),
            Due::Figures => incident.due_at.is_none(),
        };
        (incident.tier_due && is_new).then_some(due)
    }

    /// The moment for `tier_due_since`, if this batch made the incident due. For figures it is in the future, so that a
    /// more urgent change can set an earlier one.
    #[must_use]
    pub fn due_at(&self, incident: &Incident, now: Timestamp) -> Timestamp {
        match self.due(incident) {
            Due::Soon => now,
            Due::Figures => now.after(self.figures),
        }
    }

    /// Whether a firing can raise its anomaly's level, by number or by age, or shows that a fix did not hold.
    fn may_rise(&self, incident: &Incident) -> bool {
        let may_rise = |anomaly: &Anomaly| {
            anomaly.has_fix
                || anomaly.level < Level::Escalate
                || self.rises.can_rise(anomaly.level, anomaly.newest_number)
        };
        let anomaly = self.anomalies.get(&incident.anomaly_key);
        anomaly.is_none_or(may_rise)
    }
}
