//! A storm is the same for the same seed, and its firings can be distinguished.

use std::collections::{BTreeMap, HashMap};

use super::super::payload::webhook;
use super::*;

const BEGAN: Timestamp = Timestamp(1_795_382_909_102);
/// Starts of one series within this mean one episode.
const SKEW_MS: i64 = 60_000;

fn plan() -> Plan {
    Plan {
        alerts: 2003,
        rate: 50.0,
        batch: 10,
        anomalies: 20,
        resolve: 0.3,
        resend: 0.2,
    }
}

fn storm(plan: Plan, seed: u64) -> (Storm, Vec<Vec<StormAlert>>) {
    let mut storm = Storm::new(plan, "sim-3f2a", seed, BEGAN);
    let batches = std::iter::from_fn(|| storm.next_batch()).collect();
    (storm, batches)
}

fn bodies(seed: u64) -> Vec<Vec<u8>> {
    let (_, batches) = storm(plan(), seed);
    let body = |batch: &Vec<StormAlert>| {
        let alerts: Vec<&Alert> = batch.iter().map(|telling| &telling.alert).collect();
        webhook("sim-3f2a", &alerts).unwrap()
    };
    batches.iter().map(body).collect()
}

/// The number of episodes of each anomaly, by the rule of starts and nothing else.
fn episodes_by_rule(batches: &[Vec<StormAlert>]) -> BTreeMap<String, usize> {
    let mut starts: HashMap<&str, (String, Vec<i64>)> = HashMap::new();
    for alert in batches.iter().flatten().map(|telling| &telling.alert) {
        let anomaly = format!("{}/{}", alert.labels["alertname"], alert.labels["job"]);
        let series = starts
            .entry(&alert.fingerprint)
            .or_insert((anomaly, Vec::new()));
        series.1.push(alert.starts_at.0);
    }
    let mut episodes = BTreeMap::new();
    for (anomaly, mut starts) in starts.into_values() {
        starts.sort_unstable();
        let gaps = starts.windows(2).map(|pair| pair[1] - pair[0]);
        let more = gaps.filter(|gap| *gap > SKEW_MS).count();
        *episodes.entry(anomaly).or_default() += 1 + more;
    }
    episodes
}

fn episodes_by_storm(storm: &Storm) -> BTreeMap<String, usize> {
    let mut episodes = BTreeMap::new();
    for anomaly in storm
        .episodes()
        .iter()
        .map(|anomaly| &storm.anomalies()[*anomaly])
    {
        let name = format!("{}/{}", anomaly.kind.alert_name, anomaly.service);
        *episodes.entry(name).or_default() += 1;
    }
    episodes
}

#[test]
fn the_same_seed_makes_the_same_storm() {
    assert_eq!(bodies(7), bodies(7));
    assert_ne!(bodies(7), bodies(8));
}

#[test]
fn every_body_is_json_and_the_alerts_add_up() {
    let sizes: Vec<usize> = bodies(7)
        .iter()
        .map(|body| {
            let sent: serde_json::Value = serde_json::from_slice(body).unwrap();
            sent["alerts"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 2003);
    assert!(sizes[..200].iter().all(|size| *size == 10));
    assert_eq!(sizes[200..], [3]);
}

#[test]
fn the_episodes_that_it_names_are_those_that_the_rule_finds() {
    for seed in 0..20 {
        let (storm, batches) = storm(plan(), seed);
        assert_eq!(
            episodes_by_rule(&batches),
            episodes_by_storm(&storm),
            "seed {seed}"
        );
    }
}

#[test]
fn a_long_storm_has_series_that_fire_again() {
    let slow = Plan {
        rate: 2.0,
        ..plan()
    };
    let (storm, batches) = storm(slow, 3);
    assert_eq!(episodes_by_rule(&batches), episodes_by_storm(&storm));
    assert!(storm.episodes().len() as u64 > storm.series + 50);
}

#[test]
fn simulated_shares_are_near_the_requested_ones() {
    let (storm, batches) = storm(plan(), 5);
    let mut seen = std::collections::HashSet::new();
    let mut resolved = 0;
    let mut again = 0;
    for telling in batches.iter().flatten() {
        if !seen.insert((telling.episode, telling.alert.status)) {
            again += 1;
        } else if telling.alert.status == "resolved" {
            resolved += 1;
        }
    }
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    let resolved = share(resolved, storm.episodes().len());
    assert!((0.25..0.35).contains(&resolved), "{resolved} are resolved");
    let again = share(again, 2003);
    assert!((0.17..0.23).contains(&again), "{again} are sent again");
}

#[test]
fn a_firing_is_listed_before_its_end_and_ends_after_its_start() {
    let (_, batches) = storm(plan(), 9);
    let mut fired = std::collections::HashSet::new();
    for telling in batches.iter().flatten() {
        match telling.alert.ends_at {
            None => {
                fired.insert(telling.episode);
            }
            Some(end) => {
                assert!(fired.contains(&telling.episode));
                assert!(end > telling.alert.starts_at);
            }
        }
    }
}

#[test]
fn some_anomalies_come_back_far_more_often_than_others() {
    let (storm, _) = storm(plan(), 1);
    let mut counts: Vec<usize> = episodes_by_storm(&storm).into_values().collect();
    counts.sort_unstable();
    assert!(
        counts[counts.len() - 1] > 5 * counts[counts.len() / 2 / 2],
        "{counts:?}"
    );
}

#[test]
fn extremes_are_fulfilled_too() {
    let extremes = [
        Plan {
            alerts: 1,
            ..plan()
        },
        Plan {
            alerts: 50,
            batch: 500,
            ..plan()
        },
        Plan {
            alerts: 500,
            resolve: 1.0,
            resend: 0.0,
            ..plan()
        },
        Plan {
            alerts: 500,
            resend: 1.0,
            ..plan()
        },
        Plan {
            alerts: 500,
            anomalies: 1,
            rate: 0.01,
            ..plan()
        },
    ];
    for plan in extremes {
        let alerts = plan.alerts;
        let (storm, batches) = storm(plan, 1);
        assert_eq!(batches.iter().flatten().count() as u64, alerts);
        assert_eq!(episodes_by_rule(&batches), episodes_by_storm(&storm));
    }
}
