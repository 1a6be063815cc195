//! Neighbours: anomalies whose incidents open together with an anomaly's, and incidents shortly before.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::chance::at_least;
use super::{BY_CHANCE, History, Place};
use crate::time::{Timestamp, millis};

/// Incidents that open within this time of each other open together.
pub const TOGETHER: Duration = Duration::from_secs(5 * 60);
/// An incident that opened within this time before another opened shortly before it.
pub const SHORTLY: Duration = Duration::from_secs(15 * 60);
/// How far back incidents are compared.
pub const LOOKS_BACK: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most of the anomaly's incidents whose surroundings are read.
pub const AROUND: usize = 20;
/// The most incidents read around one, or before it. More mean a larger outage, which says nothing about single
/// anomalies.
pub const STORM: usize = 200;
/// How often an anomaly must have opened together to be a finding.
const LEAST: usize = 3;
/// Other anomalies that are examined further.
pub const CANDIDATES: usize = 20;
/// Maximum number that is shown.
const MOST_SHOWN: usize = 2;

/// Another anomaly that opens incidents together with this one more often than chance would have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Together {
    /// Its key.
    pub anomaly_key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// How many of the examined incidents had one of it within five minutes.
    pub times: i64,
    /// How many incidents were examined.
    pub of: i64,
    /// How many times as often as by chance that is.
    pub lift: i64,
    /// In how many of these its incident opened first.
    pub first: i64,
    /// How long before this incident it opened this time, in seconds, if it did within 15 minutes.
    #[serde(default)]
    pub seconds_before: Option<i64>,
}

/// An incident of another anomaly that opened shortly before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Before {
    /// The incident.
    pub incident: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// How long before, in seconds.
    pub seconds: i64,
}

/// What opened around one of the anomaly's incidents.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// When that incident opened.
    pub opened_at: Timestamp,
    /// The anomalies of the incidents that opened around it, and when.
    pub others: Vec<(String, Timestamp)>,
}

/// How often another anomaly opened together with this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Its key.
    pub anomaly_key: String,
    /// In how many surroundings it was.
    pub times: usize,
    /// In how many of these it opened first.
    pub first: usize,
}

/// The candidates that were examined further.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// How many surroundings were examined.
    pub of: usize,
    /// How many others could have been found: each is a chance to be misled.
    pub compared: usize,
    /// Those that opened together often enough, with what is known of them.
    pub candidates: Vec<CandidateAnomaly>,
}

/// A candidate, and what is known of its anomaly.
#[derive(Clone, Debug)]
pub struct CandidateAnomaly {
    /// How often it opened together.
    pub candidate: Candidate,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// How many incidents it had in [`LOOKS_BACK`].
    pub incidents: i64,
}

/// An incident that opened shortly before.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The incident.
    pub incident: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Where it is.
    pub place: Place,
    /// When it opened.
    pub opened_at: Timestamp,
}

/// The other anomalies that opened together often enough to be examined further, most frequent first; with the number
/// of usable surroundings, and of the anomalies in them.
#[must_use]
pub fn candidates(surroundings: &[Surroundings], own: &str) -> (usize, usize, Vec<Candidate>) {
    let mut others: HashMap<&str, Candidate> = HashMap::new();
    let mut of = 0;
    for around in surroundings.iter().filter(|s| s.others.len() < STORM) {
        of += 1;
        // Of each the one that opened first.
        let mut here: HashMap<&str, Timestamp> = HashMap::new();
        for (key, at) in around.others.iter().filter(|(key, _)| key != own) {
            let earliest = here.entry(key).or_insert(*at);
            *earliest = (*earliest).min(*at);
        }
        for (key, at) in here {
            let candidate = others.entry(key).or_default();
            candidate.times += 1;
            candidate.first += usize::from(at < around.opened_at);
        }
    }
    let compared = others.len();
    let often = others.into_iter().filter(|(_, other)| other.times >= LEAST);
    let mut often: Vec<Candidate> = often
        .map(|(key, other)| Candidate {
            anomaly_key: key.to_owned(),
            ..other
        })
        .collect();
    often.sort_by(|one, other| {
        let times = other.times.cmp(&one.times);
        times.then_with(|| one.anomaly_key.cmp(&other.anomaly_key))
    });
    often.truncate(CANDIDATES);
    (of, compared, often)
}

/// Those that open together more often than chance would have it, the least likely first.
pub(super) fn together(history: &History) -> impl Iterator<Item = Together> {
    let counted = &history.neighbours;
    let around = 2.0 * millis(TOGETHER) as f64 / millis(LOOKS_BACK) as f64;
    let judged = counted.candidates.iter().map(|known| {
        // The probability that one of its incidents falls into a window by chance.
        let p = 1.0 - (1.0 - around).powf(known.incidents.max(1) as f64);
        let chance = at_least(known.candidate.times, counted.of, p) * counted.compared as f64;
        (chance, p, known)
    });
    let mut real: Vec<_> = judged.filter(|(chance, ..)| *chance < BY_CHANCE).collect();
    real.sort_by(|(one, _, a), (other, _, b)| {
        let key = |known: &CandidateAnomaly| known.candidate.anomaly_key.clone();
        one.total_cmp(other).then_with(|| key(a).cmp(&key(b)))
    });
    let of = counted.of;
    real.into_iter().take(MOST_SHOWN).map(move |(_, p, known)| {
        let candidate = &known.candidate;
        let lift = candidate.times as f64 / (of as f64 * p);
        Together {
            anomaly_key: candidate.anomaly_key.clone(),
            alert_name: known.alert_name.clone(),
            service: known.service.clone(),
            times: candidate.times as i64,
            of: of as i64,
            lift: lift.round() as i64,
            first: candidate.first as i64,
            seconds_before: seconds_before(history, &candidate.anomaly_key),
        }
    })
}

/// How long before the incident another anomaly opened one, if it did shortly before.
fn seconds_before(history: &History, key: &str) -> Option<i64> {
    let earlier = history
        .before
        .iter()
        .find(|earlier| earlier.anomaly_key == key)?;
    Some(seconds(history, earlier))
}

fn seconds(history: &History, earlier: &Earlier) -> i64 {
    let opened = history.openings.first().copied().unwrap_or_default();
    (opened.0 - earlier.opened_at.0).max(0) / 1000
}

/// What opened shortly before in the same place, beside what opens together with it in any case: of the same service
/// first, the newest of each anomaly.
pub(super) fn before(history: &History, together: &[Together]) -> Vec<Before> {
    // Two of a larger outage say nothing, and each of its cards would be edited for them.
    if history.before.len() >= STORM {
        return Vec::new();
    }
    let is_same = |one: &str, other: &str| !one.is_empty() && one == other;
    let here = &history.place;
    let mut near: Vec<(bool, &Earlier)> = Vec::new();
    for earlier in &history.before {
        let of_service = is_same(&earlier.place.service, &here.service)
            && earlier.place.namespace == here.namespace;
        let is_near = of_service || is_same(&earlier.place.namespace, &here.namespace);
        let mut keys = near.iter().map(|(_, known)| &known.anomaly_key);
        let mut keys_together = together.iter().map(|known| &known.anomaly_key);
        let is_known = keys.any(|key| *key == earlier.anomaly_key)
            || keys_together.any(|key| *key == earlier.anomaly_key);
        if is_near && !is_known {
            near.push((of_service, earlier));
        }
    }
    near.sort_by_key(|(of_service, earlier)| (!of_service, -earlier.opened_at.0));
    near.into_iter()
        .take(MOST_SHOWN)
        .map(|(_, earlier)| Before {
            incident: earlier.incident,
            anomaly_key: earlier.anomaly_key.clone(),
            alert_name: earlier.alert_name.clone(),
            service: earlier.place.service.clone(),
            seconds: seconds(history, earlier),
        })
        .collect()
}
