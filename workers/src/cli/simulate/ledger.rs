//! The ledger of a storm: which firings the instance must have counted.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::super::fields::{number, text};
use super::catalog::Anomaly;
use super::storm::Storm;

/// The number of differences that are listed.
const MOST_SHOWN: usize = 5;

/// Episodes by whether an alert of them was accepted.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Accepted, with the number of their alerts.
    accepted: HashMap<usize, u64>,
    /// Sent in a request that may or may not have arrived.
    unsure: HashSet<usize>,
}

/// The recorded firings beside what the instance counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Episodes that it accepted.
    pub(super) made: u64,
    /// Occurrences that it counted.
    pub(super) counted: u64,
    /// What is not as it should be, in words.
    pub(super) differences: Vec<String>,
}

/// The recorded firings of one anomaly.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    least: u64,
    unsure: u64,
    deliveries: u64,
}

/// One anomaly's part of the answer.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    total: u64,
    incidents: u64,
}

type Signature = (String, String, String);

impl Ledger {
    /// A request with these episodes was accepted.
    pub(super) fn accepted(&mut self, episodes: &[usize]) {
        for episode in episodes {
            *self.accepted.entry(*episode).or_default() += 1;
        }
    }

    /// A request with these episodes may have arrived.
    pub(super) fn unsure(&mut self, episodes: &[usize]) {
        self.unsure.extend(episodes);
    }

    /// Compares the recorded firings with the anomalies that the instance has.
    pub(super) fn compare(&self, storm: &Storm, found: &[Value]) -> Comparison {
        let entries = self.by_anomaly(storm);
        let counted: BTreeMap<Signature, Counted> = found.iter().map(counted).collect();
        let mut differences = Vec::new();
        for (signature, entry) in &entries {
            let total = counted.get(signature).map_or(0, |counted| counted.total);
            if total < entry.least || total > entry.least + entry.unsure {
                differences.push(difference(signature, entry, total));
            }
        }
        let strangers = counted
            .keys()
            .filter(|signature| !entries.contains_key(*signature));
        differences.extend(strangers.map(|(alert, service, error)| {
            format!("{alert} of {service} ({error}): not sent by this run")
        }));
        let more = differences.len().saturating_sub(MOST_SHOWN);
        differences.truncate(MOST_SHOWN);
        if more > 0 {
            differences.push(format!("and {more} more anomalies"));
        }
        if !differences.is_empty() {
            differences.extend(other_unit(&entries, &counted));
        }
        Comparison {
            made: entries.values().map(|entry| entry.least).sum(),
            counted: counted.values().map(|counted| counted.total).sum(),
            differences,
        }
    }

    fn by_anomaly(&self, storm: &Storm) -> BTreeMap<Signature, Entry> {
        let mut entries: BTreeMap<Signature, Entry> = BTreeMap::new();
        for (episode, anomaly) in storm.episodes().iter().enumerate() {
            let deliveries = self.accepted.get(&episode);
            let is_unsure = deliveries.is_none() && self.unsure.contains(&episode);
            if deliveries.is_none() && !is_unsure {
                continue;
            }
            let entry = entries
                .entry(signature(&storm.anomalies()[*anomaly]))
                .or_default();
            entry.least += u64::from(deliveries.is_some());
            entry.unsure += u64::from(is_unsure);
            entry.deliveries += deliveries.copied().unwrap_or_default();
        }
        entries
    }
}

fn signature(anomaly: &Anomaly) -> Signature {
    let kind = anomaly.kind;
    (
        kind.alert_name.to_owned(),
        anomaly.service.clone(),
        kind.reason.to_owned(),
    )
}

fn counted(anomaly: &Value) -> (Signature, Counted) {
    let count = |field: &str| {
        let count = number(anomaly, field).unwrap_or_default();
        u64::try_from(count).unwrap_or_default()
    };
    let signature = (
        text(anomaly, "/alert_name"),
        text(anomaly, "/service"),
        text(anomaly, "/error_type"),
    );
    let counted = Counted {
        total: count("/total"),
        incidents: count("/newest_number"),
    };
    (signature, counted)
}

fn difference((alert, service, error): &Signature, entry: &Entry, total: u64) -> String {
    let unsure = match entry.unsure {
        0 => String::new(),
        unsure => format!(" (and {unsure} without a response)"),
    };
    let made = entry.least;
    format!("{alert} of {service} ({error}): {made} sent{unsure}, {total} counted")
}

/// Recognises an instance that is set to count something else.
fn other_unit(
    entries: &BTreeMap<Signature, Entry>,
    counted: &BTreeMap<Signature, Counted>,
) -> Option<String> {
    let all = |same: fn(&Entry, &Counted) -> bool| {
        let of = |signature: &Signature| counted.get(signature).copied().unwrap_or_default();
        entries
            .iter()
            .all(|(signature, entry)| same(entry, &of(signature)))
    };
    let unit = if all(|entry, counted| counted.total == entry.deliveries) {
        "delivery"
    } else if all(|_, counted| counted.total > 0 && counted.total == counted.incidents) {
        "incident"
    } else {
        return None;
    };
    Some(format!(
        "the instance seems to run with counting.unit = \"{unit}\"; this check needs \"episode\""
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tocsin::time::Timestamp;

    use super::super::storm::Plan;
    use super::*;

    /// A storm of two anomalies with three episodes or more each, and every alert accepted.
    fn fulfilled() -> (Storm, Ledger) {
        let plan = Plan {
            alerts: 30,
            rate: 10.0,
            batch: 10,
            anomalies: 2,
            resolve: 0.5,
            resend: 0.2,
        };
        let mut storm = Storm::new(plan, "sim-1", 1, Timestamp(1_795_382_909_102));
        let mut ledger = Ledger::default();
        while let Some(batch) = storm.next_batch() {
            let episodes: Vec<usize> = batch.iter().map(|telling| telling.episode).collect();
            ledger.accepted(&episodes);
        }
        (storm, ledger)
    }

    /// What an instance answers that counts each anomaly as `count` says.
    fn answer(storm: &Storm, count: impl Fn(usize) -> u64) -> Vec<Value> {
        let anomalies = storm.anomalies().iter().enumerate();
        anomalies
            .map(|(at, anomaly)| {
                json!({
                    "alert_name": anomaly.kind.alert_name,
                    "service": anomaly.service,
                    "error_type": anomaly.kind.reason,
                    "total": count(at),
                    "newest_number": 1,
                })
            })
            .collect()
    }

    fn made(storm: &Storm, anomaly: usize) -> u64 {
        storm.episodes().iter().filter(|of| **of == anomaly).count() as u64
    }

    #[test]
    fn every_episode_counted_once_is_no_difference() {
        let (storm, ledger) = fulfilled();
        let comparison = ledger.compare(&storm, &answer(&storm, |at| made(&storm, at)));
        assert_eq!(comparison.differences, [""; 0]);
        assert_eq!(comparison.made, storm.episodes().len() as u64);
        assert_eq!(comparison.counted, comparison.made);
    }

    #[test]
    fn missing_and_surplus_counts_are_reported_by_anomaly() {
        let (storm, ledger) = fulfilled();
        for off in [-1_i64, 1] {
            let count = |at| made(&storm, at).saturating_add_signed(if at == 0 { off } else { 0 });
            let comparison = ledger.compare(&storm, &answer(&storm, count));
            let (anomaly, made) = (&storm.anomalies()[0], made(&storm, 0));
            let (alert, error) = (anomaly.kind.alert_name, anomaly.kind.reason);
            let shown = format!(
                "{alert} of {} ({error}): {made} sent, {} counted",
                anomaly.service,
                made.saturating_add_signed(off)
            );
            assert_eq!(comparison.differences, [shown]);
        }
    }

    #[test]
    fn alerts_that_nobody_sent_are_reported() {
        let (storm, _) = fulfilled();
        let found = [json!({"alert_name": "A", "service": "b", "error_type": "", "total": 1})];
        let comparison = Ledger::default().compare(&storm, &found);
        assert_eq!(comparison.differences[0], "A of b (): not sent by this run");
    }

    #[test]
    fn an_episode_without_an_answer_may_be_counted_or_not() {
        let (storm, mut ledger) = fulfilled();
        let lost = storm.episodes().iter().position(|of| *of == 0).unwrap();
        ledger.accepted.remove(&lost);
        ledger.unsure(&[lost]);
        for missing in [0, 1] {
            let count = |at| made(&storm, at) - if at == 0 { missing } else { 0 };
            let comparison = ledger.compare(&storm, &answer(&storm, count));
            assert_eq!(comparison.differences, [""; 0], "{missing} missing");
        }
        let count = |at| made(&storm, at) - if at == 0 { 2 } else { 0 };
        let comparison = ledger.compare(&storm, &answer(&storm, count));
        assert!(comparison.differences[0].contains("(and 1 without a response)"));
    }

    #[test]
    fn another_unit_is_recognised() {
        let (storm, ledger) = fulfilled();
        let deliveries = |at: usize| -> u64 {
            let of_it = |(episode, _): &(&usize, &u64)| storm.episodes()[**episode] == at;
            ledger
                .accepted
                .iter()
                .filter(of_it)
                .map(|(_, count)| count)
                .sum()
        };
        for (found, unit) in [
            (answer(&storm, deliveries), "\"delivery\""),
            (answer(&storm, |_| 1), "\"incident\""),
        ] {
            let shown = ledger.compare(&storm, &found).differences;
            assert!(shown.last().unwrap().contains(unit), "{shown:?}");
        }
    }
}
