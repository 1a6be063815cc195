//! Enters one delivery: changes its series' firings, and finds the incident of its firing.

use uuid::Uuid;

use super::{Batch, Incident, Ingested, NewOccurrence, Policy, Status, Unit};
use crate::domain::episode::{AlertDelivery, End, EndedBy, Episode, new_episode_id};
use crate::domain::frequency::Counted;
use crate::domain::lease::Lease;
use crate::time::Timestamp;

impl Batch {
    pub(super) fn see_again(
        &mut self,
        delivery: &AlertDelivery,
        at: usize,
        policy: &Policy,
    ) -> Episode {
        let (received_at, key) = (delivery.received_at, &delivery.key);
        let list = self.episodes.entry(delivery.series).or_default();
        let (first_before, began_before) = (list[at].occurred_at, list[at].starts_at);
        let known = list[at].incident;
        // All others are written in any case.
        let leased_before = delivery.is_leased().then(|| list[at].clone());
        let transition = record_delivery(list, at, delivery, policy);
        let is_moved = list[at].starts_at < began_before;
        let changes = |before| must_write(before, &list[at], delivery, policy);
        let is_written = is_moved || leased_before.as_ref().is_none_or(changes);
        if received_at < first_before {
            self.touch_anomaly(delivery, 0);
            if self.anomaly(key).last_seen == Some(first_before) {
                self.last_unsure.insert(key.clone());
            }
        }
        // When it was seen is written of the episode and of its incident, or of neither.
        let seen_at = match is_written {
            true => received_at,
            false => first_before,
        };
        let incident = match (transition, known) {
            (Transition::FiresAgain, None) => Some(self.join_or_open(delivery, policy)),
            (Transition::FiresAgain, Some(incident)) => {
                self.fires_again(incident, (received_at, received_at), policy);
                known
            }
            (Transition::StillFires, Some(incident)) => {
                self.still_fires(incident, (seen_at, received_at), policy);
                known
            }
            (Transition::Ended, Some(incident)) => {
                self.episode_closed(incident, received_at, policy);
                known
            }
            (Transition::Doubted(since), Some(incident)) => {
                self.doubt(incident, since);
                known
            }
            _ => known,
        };
        if let Some(incident) = incident.filter(|_| delivery.is_firing()) {
            self.may_get_worse(incident, delivery);
        }
        let list = self.episodes.entry(delivery.series).or_default();
        list[at].incident = incident;
        if let Some(older) = at.checked_sub(1).filter(|_| is_moved) {
            self.changed.insert(list[older].id, delivery.series);
        }
        if is_written {
            self.changed.insert(list[at].id, delivery.series);
        }
        list[at].clone()
    }

    pub(super) fn see_first(&mut self, delivery: &AlertDelivery, policy: &Policy) -> Episode {
        let start = delivery.start(policy.skew);
        let list = self.episodes.entry(delivery.series).or_default();
        let id = new_episode_id(list, delivery.series, start, delivery.received_at);
        let newer = list.iter().map(|e| e.starts_at).find(|at| *at > start);
        let end = match (delivery.end(), newer) {
            (Some((at, by)), newer) => Some((at.max(start), by))
                .map(|(at, by)| (newer.map_or(at, |newer| at.min(newer)), by)),
            (None, Some(newer)) => Some((newer, EndedBy::Newer)),
            (None, None) => None,
        };
        let end = end.map(|(at, by)| End {
            at,
            received_at: delivery.received_at,
            by,
        });
        let incident = end.is_none().then(|| self.join_or_open(delivery, policy));
        let episode = Episode {
            id,
            anomaly_key: delivery.key.clone(),
            incident,
            series: delivery.series,
            starts_at: start,
            end,
            occurred_at: delivery.received_at,
            last_seen_at: delivery.received_at,
            deliveries: 1,
            lease: delivery
                .lease()
                .map(|length| Lease::given(delivery.received_at, length)),
        };
        let counted = (policy.unit == Unit::Episode).then_some(episode.id);
        self.touch_anomaly(delivery, i64::from(counted.is_some()));
        self.insert(delivery, episode.id, counted, episode.clone());
        self.changed.insert(episode.id, episode.series);
        self.close_older(delivery, start, policy);
        let list = self.episodes.entry(delivery.series).or_default();
        let at = list.partition_point(|e| e.starts_at <= start);
        list.insert(at, episode.clone());
        episode
    }

    /// A newer episode of a series ends those before it that are open; one that was over before it
    /// was said so was over when the newer one began.
    fn close_older(&mut self, delivery: &AlertDelivery, start: Timestamp, policy: &Policy) {
        let mut closed = Vec::new();
        for episode in self.episodes.entry(delivery.series).or_default() {
            if episode.starts_at >= start {
                continue;
            }
            match &mut episode.end {
                None => {
                    episode.end = Some(End {
                        at: start,
                        received_at: delivery.received_at,
                        by: EndedBy::Newer,
                    });
                    closed.extend(episode.incident);
                }
                Some(end) if end.at > start => end.at = start,
                Some(_) => continue,
            }
            self.changed.insert(episode.id, episode.series);
        }
        for incident in closed {
            self.episode_closed(incident, delivery.received_at, policy);
        }
    }

    fn join_or_open(&mut self, delivery: &AlertDelivery, policy: &Policy) -> Uuid {
        let at = delivery.received_at;
        let anomaly = self.anomaly(&delivery.key);
        let (newest, number) = (anomaly.newest_incident, anomaly.newest_number);
        let is_flapping = anomaly.is_flapping;
        if let Some(incident) = newest.and_then(|id| self.incidents.get_mut(&id))
            && incident.can_be_joined(at, is_flapping, policy)
        {
            incident.aggregated_count += 1;
            incident.open_episodes += 1;
            incident.joined_at = incident.joined_at.max(at);
            incident.seen_at(at);
            incident.reopen_if_resolved(at);
            incident.tier_due = true;
            if incident.is_made_worse_by(delivery.alert.severity()) {
                self.worsened.push((incident.id, incident.severity_rises));
            }
            return incident.id;
        }
        let incident = Incident::open(delivery, number + 1, policy);
        let id = incident.id;
        self.incidents.insert(id, incident);
        let anomaly = self.anomaly(&delivery.key);
        anomaly.newest_incident = Some(id);
        anomaly.newest_number = number + 1;
        anomaly.total += i64::from(policy.unit == Unit::Incident);
        anomaly.changed = true;
        id
    }

    /// A known firing is delivered again, maybe with a higher severity, which counts while it is open.
    fn may_get_worse(&mut self, incident: Uuid, delivery: &AlertDelivery) {
        let Some(incident) = self.incidents.get_mut(&incident) else {
            return;
        };
        if !incident.is_made_worse_by(delivery.alert.severity()) {
            return;
        }
        incident.touch(delivery.received_at);
        if incident.status != Status::Resolved {
            incident.tier_due = true;
            self.worsened.push((incident.id, incident.severity_rises));
        }
    }

    pub(super) fn count_delivery(
        &mut self,
        delivery: &AlertDelivery,
        episode: Episode,
    ) -> Ingested {
        self.deliveries.push(Counted {
            anomaly_key: delivery.key.clone(),
            id: delivery.job,
            occurred_at: delivery.received_at,
        });
        if !self.delivered.insert(delivery.job) {
            return Ingested::Resent;
        }
        if let Some(incident) = episode.incident.and_then(|id| self.incidents.get_mut(&id)) {
            incident.tier_due = true;
        }
        self.touch_anomaly(delivery, 1);
        let counted = Episode {
            occurred_at: delivery.received_at,
            last_seen_at: delivery.received_at,
            deliveries: 1,
            lease: None,
            ..episode
        };
        self.insert(delivery, delivery.job, Some(delivery.job), counted);
        Ingested::New
    }

    pub(super) fn insert(
        &mut self,
        delivery: &AlertDelivery,
        id: Uuid,
        counted: Option<Uuid>,
        episode: Episode,
    ) {
        self.new.push(NewOccurrence {
            episode,
            id,
            counted,
            source: delivery.source.clone(),
            fingerprint: delivery.alert.fingerprint.clone(),
            labels: serde_json::to_string(&delivery.alert.labels)
                .unwrap_or_else(|_| "{}".to_owned()),
        });
    }
}

/// What a delivery means to a known episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transition {
    /// Nothing new.
    Nothing,
    /// It is open and was seen firing.
    StillFires,
    /// It is over.
    Ended,
    /// It was said to be over, wrongly: it is open again.
    FiresAgain,
    /// It fires after the end that was received then, or this is late.
    Doubted(Timestamp),
}

/// Whether a delivery says that an open episode is over, and knows no more about it than that its lease ran out.
fn is_expiry(episode: &Episode, delivery: &AlertDelivery) -> bool {
    let lease = episode.lease.filter(|_| episode.end.is_none());
    match (lease, delivery.end()) {
        (Some(lease), Some((end, EndedBy::Sender))) => {
            !delivery.is_leased() && lease.is_own_end(end)
        }
        _ => false,
    }
}

/// Has an episode hear until when its sender says that it holds.
fn renew_lease(episode: &mut Episode, delivery: &AlertDelivery) {
    let (at, last_before) = (delivery.received_at, episode.last_seen_at);
    match (&mut episode.lease, delivery.lease()) {
        (Some(lease), Some(length)) => lease.renew(at, length),
        (Some(lease), None) if delivery.is_firing() => {
            lease.unleased_at = lease.unleased_at.max(Some(at));
        }
        (None, Some(length)) => {
            let mut lease = Lease::given(at, length);
            lease.unleased_at = Some(last_before);
            episode.lease = Some(lease);
        }
        (Some(_) | None, None) => {}
    }
}

/// Whether what a delivery with a lease changed about a known episode must be written. Of what a sender repeats by the minute,
/// when it was last seen is written now and then, see [`Lease::unwritten`]; of an end that it repeats, when that was
/// last received, twice in a window. A job that is run again goes all the way, whatever it finds.
fn must_write(before: &Episode, now: &Episode, delivery: &AlertDelivery, policy: &Policy) -> bool {
    if delivery.redelivered || policy.unit == Unit::Delivery {
        return true;
    }
    let (gap, since, at) = match (before.end, now.end) {
        // A firing that was received after the end puts that in doubt, and the end that is said again does not.
        (Some(known), Some(end))
            if !delivery.is_firing() && before.last_seen_at <= known.received_at =>
        {
            (policy.window / 2, known.received_at, end.received_at)
        }
        (None, None) => match (before.lease, now.lease) {
            // Others may have sent it since the lease was written.
            (Some(known), Some(lease)) => (known.unwritten(), known.until, lease.until),
            _ => return true,
        },
        _ => return true,
    };
    let is_known = |end: Option<End>| end.map(|end| (end.at, end.by));
    let is_same = is_known(before.end) == is_known(now.end)
        && before.starts_at == now.starts_at
        && before.occurred_at == now.occurred_at
        && before.lease.map(|lease| lease.length) == now.lease.map(|lease| lease.length);
    !is_same || at >= since.after(gap)
}

/// Applies a delivery to the episode at `at` of its series.
fn record_delivery(
    list: &mut [Episode],
    at: usize,
    delivery: &AlertDelivery,
    policy: &Policy,
) -> Transition {
    let (before, rest) = list.split_at_mut(at);
    let Some((episode, after)) = rest.split_first_mut() else {
        unreachable!("the position was found in this list")
    };
    let received_at = delivery.received_at;
    let last_before = episode.last_seen_at;
    if is_expiry(episode, delivery) {
        if let Some(lease) = &mut episode.lease {
            lease.unleased_at = None;
        }
        return Transition::Nothing;
    }
    renew_lease(episode, delivery);
    episode.deliveries += 1;
    episode.occurred_at = episode.occurred_at.min(received_at);
    episode.last_seen_at = last_before.max(received_at);
    if let Some(start) = delivery.reported_start(policy.skew)
        && start < episode.starts_at
    {
        episode.starts_at = match before.last_mut() {
            Some(older) => older.make_room(start).min(episode.starts_at),
            None => start,
        };
    }
    if let Some((end, by)) = delivery.end() {
        let newer = after.first().map(|e| e.starts_at);
        let end = newer.map_or(end, |newer| end.min(newer));
        let end = End {
            at: end.max(episode.starts_at),
            received_at,
            by,
        };
        if last_before > received_at.after(policy.window) {
            // It was delivered long after that was received, and that is what holds.
            return Transition::Nothing;
        }
        return match &mut episode.end {
            None => {
                episode.end = Some(end);
                Transition::Ended
            }
            Some(known) => {
                known.merge(end);
                Transition::Nothing
            }
        };
    }
    let Some(end) = episode.end else {
        return Transition::StillFires;
    };
    let is_firing_now = received_at > end.received_at && after.is_empty();
    if !is_firing_now {
        Transition::Nothing
    } else if episode.incident.is_none() || episode.was_ended_wrongly(received_at, policy.window) {
        episode.end = None;
        Transition::FiresAgain
    } else {
        Transition::Doubted(end.received_at)
    }
}
