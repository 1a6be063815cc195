//! Incidents: which one an episode joins, when it is over, and what people do to it.

use super::{Anomaly, Ended, Ending, Episode, Incident, Oracle, Status, WINDOW};

impl Oracle {
    /// The incident that a new episode joins, or one that it opens.
    pub(super) fn place(&mut self, anomaly: &Anomaly, at: i64) -> usize {
        let newest = self.incidents.iter().rposition(|i| i.anomaly == *anomaly);
        if let Some(newest) = newest {
            let incident = &mut self.incidents[newest];
            let is_in_time = at - incident.opened_at <= WINDOW;
            if is_in_time && incident.status != Status::ResolvedByPerson {
                incident.episodes += 1;
                incident.joined_at = incident.joined_at.max(at);
                if incident.status == Status::ResolvedByItself {
                    incident.status = match incident.is_taken {
                        true => Status::Acknowledged,
                        false => Status::Open,
                    };
                }
                return newest;
            }
        }
        self.incidents.push(Incident {
            anomaly: anomaly.clone(),
            number: newest.map_or(1, |newest| self.incidents[newest].number + 1),
            opened_at: at,
            status: Status::Open,
            episodes: 1,
            reopened: 0,
            joined_at: at,
            is_taken: false,
            resolved_by_person_at: None,
        });
        self.incidents.len() - 1
    }

    pub(super) fn close(&mut self, index: usize, at: i64, heard_at: i64, by: Ending) {
        self.episodes[index].ended = Some(Ended { at, heard_at, by });
        self.resolve_if_over(index);
    }

    /// An incident whose episodes are all closed resolves by itself.
    pub(super) fn resolve_if_over(&mut self, episode: usize) {
        let Some(incident) = self.episodes[episode].incident else {
            return;
        };
        if self.open_episodes(incident) == 0 {
            let incident = &mut self.incidents[incident];
            if incident.status != Status::ResolvedByPerson {
                incident.status = Status::ResolvedByItself;
            }
        }
    }

    pub fn open_episodes(&self, incident: usize) -> i64 {
        let open = |e: &&Episode| e.incident == Some(incident) && e.ended.is_none();
        self.episodes.iter().filter(open).count() as i64
    }

    /// How many of its series began before it, and how many there are.
    pub fn place_of(&self, episode: &Episode) -> (usize, usize) {
        let is_series =
            |other: &&Episode| other.anomaly == episode.anomaly && other.series == episode.series;
        let series = self.episodes.iter().filter(is_series);
        let before = series.clone().filter(|other| other.began < episode.began);
        (before.count(), series.count())
    }

    /// The anomaly's newest incident.
    pub fn newest(&self, anomaly: &Anomaly) -> Option<usize> {
        self.incidents.iter().rposition(|i| i.anomaly == *anomaly)
    }

    /// A person acknowledges an incident that is open.
    pub fn acknowledge(&mut self, incident: usize) {
        self.incidents[incident].status = Status::Acknowledged;
        self.incidents[incident].is_taken = true;
    }

    /// A person resolves an incident.
    pub fn resolve(&mut self, incident: usize, at: i64) {
        let incident = &mut self.incidents[incident];
        incident.status = Status::ResolvedByPerson;
        incident.resolved_by_person_at = Some(at);
    }
}
