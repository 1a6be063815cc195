//! The other units: deliveries and incidents.

use super::*;
use crate::domain::episode::tests::{at, firing, resolved};

fn ledger(unit: Unit) -> Ledger {
    Ledger::new(Policy { unit, ..policy() })
}

#[test]
fn every_delivery_counts_at_its_own_receipt() {
    let mut ledger = ledger(Unit::Delivery);
    let story = [
        firing("A/1", 0, 10),
        firing("A/1", 0, 20),
        resolved("A/1", 0, 30, 35),
        firing("A/1", 0, 40),
    ];
    ledger.enter_each(&story);
    ledger.check();
    assert_eq!((ledger.total(), ledger.episodes.len()), (4, 1));
    for delivery in &story {
        let (_, occurred_at) = ledger.counted[&delivery.job];
        assert_eq!(occurred_at, delivery.received_at);
    }
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
}

#[test]
fn a_redelivered_delivery_counts_once() {
    let mut ledger = ledger(Unit::Delivery);
    let delivery = firing("A/1", 0, 10);
    ledger.commit(&[&delivery, &delivery]);
    ledger.enter(&delivery);
    ledger.check();
    assert_eq!(ledger.total(), 1);
}

#[test]
fn a_redelivered_delivery_is_sent_to_the_counter_again() {
    // The worker died between the commit and the count: the redelivery makes up for it.
    let mut ledger = ledger(Unit::Delivery);
    let delivery = firing("A/1", 0, 10);
    ledger.enter(&delivery);
    ledger.told.clear();
    ledger.enter(&firing("A/1", 0, 99));
    ledger.enter(&delivery);
    assert_eq!(ledger.told[&delivery.job].1, at(10));
    ledger.check();
}

#[test]
fn each_delivery_makes_its_incident_due_and_a_redelivered_one_does_not() {
    let mut ledger = ledger(Unit::Delivery);
    ledger.enter(&firing("A/1", 0, 0));
    ledger.clear_marks();
    let again = firing("A/1", 0, 20);
    ledger.enter(&again);
    assert!(ledger.incidents[0].due_at.is_some());
    ledger.clear_marks();
    ledger.enter(&again);
    assert!(ledger.incidents[0].due_at.is_none());
}

#[test]
fn firings_of_one_incident_count_once_where_incidents_are_counted() {
    let mut ledger = ledger(Unit::Incident);
    for pod in 0..50 {
        ledger.enter(&firing(&format!("A/{pod}"), 0, 5));
    }
    assert_eq!(ledger.total(), 1);
    ledger.enter(&firing("A/51", 700, 700));
    ledger.check();
    assert_eq!(ledger.total(), 2);
    assert!(ledger.counted.is_empty(), "no occurrence counts");
    let told: HashSet<Uuid> = ledger.told.keys().copied().collect();
    assert_eq!(told, ledger.incidents.iter().map(|i| i.id).collect());
    let opened: Vec<_> = ledger.incidents.iter().map(|i| i.opened_at).collect();
    assert_eq!(opened, [at(5), at(700)]);
}

#[test]
fn a_firing_that_opens_no_incident_counts_nothing_where_incidents_are_counted() {
    let mut ledger = ledger(Unit::Incident);
    ledger.enter_each(&[
        resolved("A/1", 0, 50, 60),
        firing("A/2", 1000, 1001),
        firing("A/2", 0, 900),
    ]);
    assert_eq!(ledger.total(), 1);
}

#[test]
fn a_duplicate_delivery_changes_no_count_in_any_unit() {
    for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
        let mut ledger = ledger(unit);
        let story = [
            firing("A/1", 0, 1),
            firing("A/2", None, 2),
            resolved("A/1", 0, 100, 101),
            resolved("A/2", None, None, 102),
            firing("A/1", 700, 701),
            firing("A/2", None, 702),
        ];
        ledger.enter_each(&story);
        let before = (ledger.total(), ledger.counted.clone(), ledger.states());
        ledger.enter_each(&story);
        ledger.commit(&story.iter().rev().collect::<Vec<_>>());
        ledger.check();
        let after = (ledger.total(), ledger.counted.clone(), ledger.states());
        assert_eq!(before, after, "{unit:?}");
    }
}
