//! Compares stored rows with each other.

use std::collections::HashMap;

use tocsin::domain::aggregation::{ResolvedBy, Status as Standing};
use tocsin::domain::notification::Kind;
use tocsin::entity::incidents;
use tocsin::entity::notifications::{self, State};
use uuid::Uuid;

use super::StoredHistory;

impl<'a> StoredHistory<'a> {
    /// Incidents hold the episodes that point at them, are numbered without a gap, stand where these
    /// have them stand, and are notified as they must be.
    pub fn agrees_with_itself(&self) {
        for incident in &self.incidents {
            let of = self
                .episodes
                .iter()
                .filter(|row| row.incident_id == Some(incident.id));
            let ended = of.clone().filter(|row| row.ended_at.is_some()).count() as i64;
            let all = of.count() as i64;
            assert_eq!(incident.aggregated_count, all, "{incident:#?}");
            assert_eq!(incident.is_aggregated, all > 1, "{incident:#?}");
            assert_eq!(incident.open_episodes, all - ended, "{incident:#?}");
            let is_resolved = incident.status == Standing::Resolved;
            assert!(all > 0 && (is_resolved || all > ended), "{incident:#?}");
            let by_itself = incident.resolved_by == Some(ResolvedBy::Itself);
            assert!(!by_itself || all == ended, "{incident:#?}");
            assert_eq!(incident.tier_due_since, None, "{incident:#?}");
            assert!(incident.tier.is_some(), "{incident:#?}");
            self.assert_sent(incident);
        }
        for anomaly in self.anomalies.values() {
            let of = self
                .incidents
                .iter()
                .filter(|i| i.anomaly_key == anomaly.key);
            let mut numbers: Vec<(i64, Uuid)> = of.map(|i| (i.number, i.id)).collect();
            numbers.sort_unstable();
            let expected: Vec<i64> = (1..=anomaly.newest_number).collect();
            assert_eq!(numbers.iter().map(|n| n.0).collect::<Vec<_>>(), expected);
            assert_eq!(numbers.last().map(|n| n.1), anomaly.newest_incident);
        }
        self.assert_all_taken();
    }

    /// `opened` once, `reopened` each time, and each rise with a message has a number of its own.
    fn assert_sent(&self, incident: &incidents::Model) {
        let told = |kind: Kind| {
            let of =
                |row: &&notifications::Model| row.incident_id == incident.id && row.kind == kind;
            let mut told: Vec<i64> = self
                .notifications
                .iter()
                .filter(of)
                .map(|row| row.sequence)
                .collect();
            told.sort_unstable();
            told
        };
        assert_eq!(told(Kind::Opened), [0], "{incident:#?}");
        let reopened: Vec<i64> = (1..=incident.reopened).collect();
        assert_eq!(told(Kind::Reopened), reopened, "{incident:#?}");
        let mut rises = told(Kind::Escalated);
        let anomaly = self
            .anomalies
            .values()
            .find(|a| a.key == incident.anomaly_key)
            .unwrap();
        assert!(
            rises.iter().all(|n| (1..=anomaly.level_seq).contains(n)),
            "{rises:?}"
        );
        let n = rises.len();
        rises.dedup();
        assert_eq!(rises.len(), n);
    }

    /// Every message that was pending was taken, once if it was tried once, and nothing else was.
    fn assert_all_taken(&self) {
        let mut bodies: HashMap<&str, (i64, i64)> = HashMap::new();
        for row in &self.notifications {
            assert_eq!(row.state, State::Sent, "{row:#?}");
            let body = bodies.entry(row.body.as_deref().unwrap()).or_default();
            *body = (body.0 + 1, body.1 + row.attempts);
        }
        for (body, (rows, tries)) in &bodies {
            let taken = self.taken.get(*body).copied().unwrap_or_default();
            assert!((*rows..=*tries).contains(&taken), "{taken} times: {body}");
        }
        assert_eq!(bodies.len(), self.taken.len(), "what was taken was owed");
    }
}
