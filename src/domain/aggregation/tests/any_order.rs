//! The same counts in any order, in any batches, with any redelivery.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::domain::alert::AlertStatus;
use crate::domain::episode::episode_id;
use crate::domain::episode::tests::{at_ms, delivery};

/// One firing of one series, and what is sent about it, in which nothing contradicts anything; all in
/// milliseconds.
#[derive(Clone, Debug)]
struct Firing {
    series: &'static str,
    /// How different senders say that it started: none two farther apart than the skew.
    starts: Vec<i64>,
    /// The same for the end, if they say it.
    end: Option<i64>,
    /// Each telling: which of the starts, whether it fires, and when it was received.
    tellings: Vec<(usize, AlertStatus, i64)>,
}

/// What was sent, and what a person with paper and pencil makes of it.
#[derive(Clone, Debug)]
struct Scenario {
    /// Each delivery, with the number of its firing.
    deliveries: Vec<(usize, AlertDelivery)>,
    /// The order in which they arrive; some more than once.
    arrivals: Vec<usize>,
    /// The sizes of the batches.
    batches: Vec<usize>,
}

const SERIES: [&str; 5] = ["A/1", "A/2", "A/3", "B/1", "B/2"];
const SKEW_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// The firings of one series, one after the other.
fn firings(series: &'static str) -> impl Strategy<Value = Vec<Firing>> {
    let telling = (
        any::<Index>(),
        prop_oneof![3 => Just(AlertStatus::Firing), 1 => Just(AlertStatus::Resolved)],
        prop_oneof![0..SKEW_MS, 0..12 * HOUR_MS],
    );
    let firing = (
        vec(prop_oneof![Just(0), 0..=SKEW_MS, Just(SKEW_MS)], 1..4),
        any::<bool>(),
        prop_oneof![Just(0), 0..=SKEW_MS, 0..HOUR_MS],
        prop_oneof![Just(1), 1..SKEW_MS, 0..HOUR_MS],
        vec(telling, 1..5),
    );
    vec(firing, 0..5).prop_map(move |firings| {
        let mut began = 0;
        let mut story = Vec::new();
        for (offsets, ends, length, pause, tellings) in firings {
            let starts: Vec<i64> = offsets.iter().map(|offset| began + offset).collect();
            let last = *starts.iter().max().unwrap();
            let end = last + length;
            let tellings = tellings.iter().map(|(start, status, delay)| {
                let received = match status {
                    // While it fires, by the clock of the process that receives it.
                    AlertStatus::Firing => last + delay % (length + 1),
                    AlertStatus::Resolved => end + delay,
                };
                (start.index(starts.len()), *status, received)
            });
            story.push(Firing {
                series,
                tellings: tellings.collect(),
                end: ends.then_some(end),
                starts,
            });
            began = (end + pause).max(last + SKEW_MS + 1);
        }
        story
    })
}

fn stories() -> impl Strategy<Value = Scenario> {
    SERIES
        .map(firings)
        .prop_map(|series| series.into_iter().flatten().collect::<Vec<_>>())
        .prop_map(|firings| {
            let tell = |(number, firing): (usize, &Firing)| {
                let of = |&(start, status, received): &(usize, AlertStatus, i64)| {
                    let resolved = status == AlertStatus::Resolved;
                    let end = firing.end.filter(|_| resolved);
                    let span = (Some(at_ms(firing.starts[start])), end.map(at_ms));
                    let delivery = delivery(firing.series, status, span, at_ms(received));
                    (number, delivery)
                };
                firing.tellings.iter().map(of).collect::<Vec<_>>()
            };
            firings.iter().enumerate().flat_map(tell).collect()
        })
        .prop_flat_map(delivered)
}

/// In any order, split anywhere, some of it twice.
fn delivered(deliveries: Vec<(usize, AlertDelivery)>) -> impl Strategy<Value = Scenario> {
    let again = vec(any::<Index>(), 0..6);
    again
        .prop_flat_map(move |again| {
            let n = deliveries.len();
            let twice = again.iter().filter(|_| n > 0).map(|index| index.index(n));
            let arrivals: Vec<usize> = (0..n).chain(twice).collect();
            let batches = vec(select(vec![1, 1, 2, 3, 7, 20]), arrivals.len());
            (
                Just(deliveries.clone()),
                Just(arrivals).prop_shuffle(),
                batches,
            )
        })
        .prop_map(|(deliveries, arrivals, batches)| Scenario {
            deliveries,
            arrivals,
            batches,
        })
}

impl Scenario {
    fn play(&self, policy: Policy) -> Ledger {
        let mut ledger = Ledger::new(policy);
        let mut arrivals = self.arrivals.as_slice();
        for size in &self.batches {
            let (now, later) = arrivals.split_at((*size).min(arrivals.len()));
            let batch: Vec<&AlertDelivery> = now.iter().map(|&n| &self.deliveries[n].1).collect();
            ledger.commit(&batch);
            ledger.check();
            arrivals = later;
        }
        ledger
    }

    /// The delivered firings: of which anomaly, and when first received.
    fn firings(&self) -> BTreeMap<usize, (String, Timestamp)> {
        let mut firings = BTreeMap::new();
        for (number, delivery) in &self.deliveries {
            let first = || (delivery.key.clone(), delivery.received_at);
            let firing: &mut (_, Timestamp) = firings.entry(*number).or_insert_with(first);
            firing.1 = firing.1.min(delivery.received_at);
        }
        firings
    }

    /// Which firing an id stands for: any of its starts may have been the first to arrive.
    fn firing_of(&self, id: Uuid) -> Option<usize> {
        let start = |delivery: &AlertDelivery| delivery.start(policy().skew);
        let is = |delivery: &AlertDelivery| episode_id(delivery.series, start(delivery)) == id;
        let found = self.deliveries.iter().find(|(_, delivery)| is(delivery));
        found.map(|(number, _)| *number)
    }
}

fn totals<'a>(keys: impl Iterator<Item = &'a String>) -> BTreeMap<String, i64> {
    let mut totals = BTreeMap::new();
    for key in keys {
        *totals.entry(key.clone()).or_default() += 1;
    }
    totals
}

fn totals_of(ledger: &Ledger) -> BTreeMap<String, i64> {
    let total = |(key, anomaly): (&String, &Anomaly)| (key.clone(), anomaly.total);
    ledger.anomalies.iter().map(total).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn each_firing_counts_once_at_its_first_receipt(story in stories()) {
        let ledger = story.play(policy());
        let expected = story.firings();
        let mut counted = BTreeMap::new();
        for (id, (key, occurred_at)) in &ledger.counted {
            let firing = story.firing_of(*id);
            prop_assert!(firing.is_some(), "{} is nobody's", id);
            let known = counted.insert(firing.unwrap(), (key.clone(), *occurred_at));
            prop_assert!(known.is_none(), "a firing was counted twice");
        }
        prop_assert_eq!(&counted, &expected);
        prop_assert_eq!(totals_of(&ledger), totals(expected.values().map(|(key, _)| key)));
        prop_assert_eq!(&ledger.told, &ledger.counted);
    }

    #[test]
    fn an_episode_is_closed_by_its_resolve_or_by_a_newer_one_and_by_nothing_else(
        story in stories()
    ) {
        let ledger = story.play(policy());
        let over = |number| {
            let resolved = |(n, s): &(usize, AlertDelivery)| *n == number && !s.is_firing();
            let series = story.deliveries.iter().find(|(n, _)| *n == number).unwrap().1.series;
            let newer = |(n, s): &(usize, AlertDelivery)| *n > number && s.series == series;
            story.deliveries.iter().any(|told| resolved(told) || newer(told))
        };
        for episode in ledger.episodes.values() {
            let firing = story.firing_of(episode.id).unwrap();
            prop_assert_eq!(episode.end.is_some(), over(firing));
        }
    }

    #[test]
    fn each_delivery_counts_once_at_its_receipt(story in stories()) {
        let unit = Unit::Delivery;
        let ledger = story.play(Policy { unit, ..policy() });
        let entry = |(_, s): &(usize, AlertDelivery)| (s.job, (s.key.clone(), s.received_at));
        let expected: BTreeMap<_, _> = story.deliveries.iter().map(entry).collect();
        prop_assert_eq!(totals_of(&ledger), totals(expected.values().map(|(key, _)| key)));
        prop_assert_eq!(&ledger.counted, &expected);
        prop_assert_eq!(&ledger.told, &expected);
        // The episodes behind them are those that are counted elsewhere.
        prop_assert_eq!(ledger.episodes.len(), story.firings().len());
    }

    #[test]
    fn each_incident_counts_once(story in stories(), until in select(vec![Until::Window, Until::Resolved])) {
        let unit = Unit::Incident;
        let ledger = story.play(Policy { unit, until, ..policy() });
        let incidents: BTreeSet<Uuid> = ledger.incidents.iter().map(|i| i.id).collect();
        let told: BTreeSet<Uuid> = ledger.told.keys().copied().collect();
        prop_assert_eq!(told, incidents);
        prop_assert_eq!(ledger.total(), ledger.incidents.len() as i64);
    }

    /// Firings without a start that arrive in any order cannot be distinguished; but what has arrived once
    /// is known.
    #[test]
    fn without_starts_a_redelivery_changes_nothing_that_is_counted(story in stories()) {
        let mut story = story;
        for (_, delivery) in &mut story.deliveries {
            delivery.alert.starts_at = None;
        }
        let mut ledger = story.play(policy());
        let before = (ledger.counted.clone(), ledger.spans(), ledger.states());
        let again: Vec<AlertDelivery> = story.deliveries.iter().map(|(_, s)| s.clone()).collect();
        ledger.enter_each(&again);
        ledger.commit(&again.iter().rev().collect::<Vec<_>>());
        let after = (ledger.counted.clone(), ledger.spans(), ledger.states());
        prop_assert_eq!(before, after);
    }

    #[test]
    fn without_starts_and_in_order_what_counts_is_each_time_that_it_begins(story in stories()) {
        let mut deliveries: Vec<AlertDelivery> = story.deliveries.into_iter().map(|(_, s)| s).collect();
        for delivery in &mut deliveries {
            (delivery.alert.starts_at, delivery.alert.ends_at) = (None, None);
        }
        deliveries.sort_by_key(|s| (s.received_at, s.job));
        deliveries.dedup_by_key(|s| (s.series, s.received_at));
        let mut ledger = Ledger::new(policy());
        let (mut firing, mut expected): (HashMap<i64, bool>, _) = (HashMap::new(), 0);
        for delivery in &deliveries {
            ledger.enter(delivery);
            ledger.check();
            let known = firing.insert(delivery.series, delivery.is_firing());
            expected += match (known, delivery.is_firing()) {
                (None, _) | (Some(false), true) => 1,
                (Some(true), _) | (Some(false), false) => 0,
            };
        }
        prop_assert_eq!(ledger.total(), expected);
    }
}
