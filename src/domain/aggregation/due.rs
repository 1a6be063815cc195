//! When an incident that a batch made due for a tier gets it.

use super::{Anomaly, Batch, Incident, Policy};

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
    pub fn due(&self, incident: &Incident, policy: &Policy) -> Due {
        let is_more = incident.opening.is_some()
            || !incident.undone.is_empty()
            || self.worsened.iter().any(|(id, _)| *id == incident.id);
        match is_more || self.may_rise(incident, policy) {
            true => Due::Soon,
            false => Due::Figures,
        }
    }

    /// When a job for its tier is to be pushed, if this batch made it due: an incident that was due before has a job.
    #[must_use]
    pub fn due_anew(&self, incident: &Incident, policy: &Policy) -> Option<Due> {
        let due = self.due(incident, policy);
        // The job that it has may be one that waits.
        let is_new = !incident.was_due || (due == Due::Soon && !self.may_rise(incident, policy));
        (incident.tier_due && is_new).then_some(due)
    }

    /// Whether a firing can raise its anomaly's level, or shows that a fix did not hold.
    fn may_rise(&self, incident: &Incident, policy: &Policy) -> bool {
        let may_rise = |anomaly: &Anomaly| {
            let rises = &policy.rises;
            anomaly.has_fix || rises.can_rise(anomaly.level, anomaly.newest_number)
        };
        let anomaly = self.anomalies.get(&incident.anomaly_key);
        anomaly.is_none_or(may_rise)
    }
}
