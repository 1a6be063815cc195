//! The outcome of a batch: rows to write, IDs to count, incidents that changed their status.

use std::collections::HashSet;

use uuid::Uuid;

use super::{Batch, Incident, NewOccurrence, Unit};
use crate::domain::episode::Episode;
use crate::domain::frequency::Counted;

impl Batch {
    /// An episode as the batch left it.
    #[must_use]
    pub fn episode(&self, id: Uuid, series: i64) -> Option<&Episode> {
        self.episodes
            .get(&series)?
            .iter()
            .find(|episode| episode.id == id)
    }

    /// Rows to insert, as the batch left them: an episode may have changed after it was new.
    pub fn new_rows(&self) -> impl Iterator<Item = (&NewOccurrence, &Episode)> {
        self.new.iter().map(|row| {
            let later = (row.id == row.episode.id)
                .then(|| self.episode(row.id, row.episode.series))
                .flatten();
            (row, later.unwrap_or(&row.episode))
        })
    }

    /// Rows to update: known episodes that changed.
    #[must_use]
    pub fn changed_rows(&self) -> Vec<&Episode> {
        let new: HashSet<Uuid> = self.new.iter().map(|row| row.id).collect();
        self.changed
            .iter()
            .filter(|(id, _)| !new.contains(id))
            .filter_map(|(id, series)| self.episode(*id, *series))
            .collect()
    }

    /// Every id that the batch touched and that is counted, new or known: if a process dies between the
    /// commit and the count, the redelivery counts.
    #[must_use]
    pub fn counted(&self, unit: Unit) -> Vec<Counted> {
        let counted = |key: &str, id, occurred_at| Counted {
            anomaly_key: key.to_owned(),
            id,
            occurred_at,
        };
        match unit {
            Unit::Episode => self
                .changed
                .iter()
                .filter_map(|(id, series)| self.episode(*id, *series))
                .map(|e| counted(&e.anomaly_key, e.id, e.occurred_at))
                .collect(),
            Unit::Delivery => self.deliveries.clone(),
            Unit::Incident => self
                .incidents
                .values()
                .map(|i| counted(&i.anomaly_key, i.id, i.opened_at))
                .collect(),
        }
    }

    /// Known incidents that a delivery opened again or resolved.
    pub fn transitions(&self) -> impl Iterator<Item = &Incident> {
        let known = self.incidents.values().filter(|i| i.opening.is_none());
        known.filter(|incident| incident.status != incident.previous_status)
    }

    /// Incidents that were unheard and are not any more.
    pub fn heard_again(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().filter(|i| i.is_heard_again)
    }
}
