//! What a change made of incidents, to be counted after its commit.

use std::time::Duration;

use super::aggregation::{Batch, Incident, ResolvedBy, Status};

/// What a change made of incidents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentCounts {
    /// How many opened.
    pub opened: u64,
    /// How long after their opening incidents were acknowledged.
    pub acknowledged: Vec<Duration>,
    /// How long after their opening incidents were resolved, and by whom. Those that expired are left out: nobody
    /// knows when they were over.
    pub resolved: Vec<(&'static str, Duration)>,
}

/// Resolved by a person.
pub const PERSON: &str = "person";
/// Resolved because its alerts are over.
const ITSELF: &str = "itself";

impl IncidentCounts {
    /// Of a batch of alerts.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let all = || batch.incidents.values();
        let is_new = |incident: &&Incident| incident.opening.is_some();
        let is_over = |incident: &&Incident| {
            let was_over = !is_new(incident) && incident.previous_status == Status::Resolved;
            incident.status == Status::Resolved && !was_over
        };
        let resolved = all().filter(is_over).filter_map(|incident| {
            let after = incident.resolved_at?.since(incident.opened_at);
            (incident.resolved_by == Some(ResolvedBy::Itself)).then_some((ITSELF, after))
        });
        Self {
            opened: all().filter(is_new).count() as u64,
            acknowledged: Vec::new(),
            resolved: resolved.collect(),
        }
    }
}
