//! Firings that their sender repeats by the minute, and says each time until when they hold.

use super::*;
use crate::domain::episode::tests::{at, firing, resolved};

/// How long a lease is.
const LEASE: i64 = 240;

/// As Prometheus sends it.
fn leased(mut delivery: AlertDelivery) -> AlertDelivery {
    let length = if delivery.is_firing() { LEASE } else { 0 };
    delivery.alert.lease_ms = Some(length * 1000);
    delivery
}

fn repeated(start: i64, received: i64) -> AlertDelivery {
    leased(firing("A/1", start, received))
}

fn ended(start: i64, end: i64, received: i64) -> AlertDelivery {
    leased(resolved("A/1", start, end, received))
}

fn ledger(story: &[AlertDelivery]) -> Ledger {
    let mut ledger = Ledger::new(policy());
    for delivery in story {
        ledger.enter(delivery);
        ledger.check();
    }
    ledger
}

/// Whether entering it leaves nothing to write, to count or to send.
fn changes_nothing(ledger: &mut Ledger, delivery: &AlertDelivery) -> bool {
    ledger.clear_marks();
    let (entered, batch) = ledger.commit(&[delivery]);
    ledger.check();
    assert_eq!(entered, [Ingested::Resent]);
    let is_same = |incident: &Incident| !incident.changed && !incident.tier_due;
    batch.changed.is_empty()
        && batch.new.is_empty()
        && batch.reopenings.is_empty()
        && batch.incidents.values().all(is_same)
        && batch.anomalies.values().all(|anomaly| !anomaly.changed)
        && batch.counted(Unit::Episode).is_empty()
}

#[test]
fn of_what_is_repeated_by_the_minute_every_other_repetition_is_written() {
    let mut ledger = ledger(&[repeated(0, 0)]);
    let minutes: Vec<i64> = (1..=10)
        .filter(|minute| !changes_nothing(&mut ledger, &repeated(0, minute * 60)))
        .collect();
    assert_eq!(minutes, [2, 4, 6, 8, 10]);
    assert_eq!(ledger.total(), 1);
    let episode = ledger.episodes.values().next().unwrap();
    assert_eq!(episode.last_seen_at, at(600));
    assert_eq!(episode.lease.unwrap().until, at(600 + LEASE));
}

#[test]
fn a_lease_is_written_however_often_others_tell_of_the_firing() {
    let mut ledger = ledger(&[repeated(0, 0)]);
    for minute in 1..=10 {
        ledger.enter(&firing("A/1", 0, minute * 60 - 30));
        ledger.enter(&repeated(0, minute * 60));
    }
    let episode = ledger.episodes.values().next().unwrap();
    assert!(episode.lease.unwrap().until >= at(540 + LEASE));
    ledger.enter(&resolved("A/1", 0, 640, 641));
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
}

#[test]
fn what_a_repetition_changes_otherwise_is_written_at_once() {
    // An earlier start; an end; a job that is run again; a sender without leases.
    let again = AlertDelivery {
        redelivered: true,
        ..repeated(0, 10)
    };
    for delivery in [
        repeated(-30, 10),
        ended(0, 10, 10),
        again,
        firing("A/1", 0, 10),
    ] {
        let mut ledger = ledger(&[repeated(0, 0)]);
        assert!(!changes_nothing(&mut ledger, &delivery), "{delivery:?}");
    }
    // A person resolved it, and it fires on.
    let mut ledger = ledger(&[repeated(0, 0), repeated(0, 590)]);
    ledger.resolve(0, 0);
    assert!(!changes_nothing(&mut ledger, &repeated(0, 650)));
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
}

#[test]
fn an_end_that_is_said_again_for_a_quarter_of_an_hour_is_written_twice_and_changes_nothing() {
    let mut ledger = ledger(&[repeated(0, 0), ended(0, 60, 60)]);
    let minutes: Vec<i64> = (2..=16)
        .filter(|minute| !changes_nothing(&mut ledger, &ended(0, 60, minute * 60)))
        .collect();
    assert_eq!(minutes, [6, 11, 16]);
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    assert_eq!(ledger.spans(), [(0, Some(60))]);
    assert_eq!(ledger.total(), 1);
}

#[test]
fn what_arrives_by_two_ways_is_one_firing_and_the_first_that_knows_ends_it() {
    let mut ledger = ledger(&[repeated(0, 0), firing("A/1", 0, 30), repeated(0, 60)]);
    assert_eq!(
        (ledger.total(), ledger.states()),
        (1, vec![(1, 1, Status::Open)])
    );
    for end in [ended(0, 90, 90), resolved("A/1", 0, 90, 91)] {
        ledger.enter(&end);
        assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
        assert_eq!(ledger.spans(), [(0, Some(90))]);
    }
    // By the other way first.
    let ledger = self::ledger(&[
        firing("A/1", 0, 30),
        repeated(0, 60),
        resolved("A/1", 0, 75, 80),
        ended(0, 75, 120),
    ]);
    assert_eq!(
        (ledger.total(), ledger.states()),
        (1, vec![(1, 0, Status::Resolved)])
    );
}

#[test]
fn what_alertmanager_says_late_of_what_is_over_tells_nothing_new() {
    // It waited for its group, and says again after a group interval.
    let mut ledger = ledger(&[repeated(0, 0), ended(0, 15, 15)]);
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 31)]);
    assert!(batch.reopenings.is_empty());
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    // The end is said again after that, which leaves no doubt.
    assert!(!changes_nothing(&mut ledger, &ended(0, 15, 75)));
    let episode = ledger.episodes.values().next().unwrap();
    assert!(episode.last_seen_at <= episode.end.unwrap().received_at);
    assert_eq!(
        (ledger.total(), ledger.states()),
        (1, vec![(1, 0, Status::Resolved)])
    );
}

#[test]
fn that_a_lease_ran_out_ends_nothing() {
    // Prometheus stops. Alertmanager hears nothing either, and calls the end of the lease an end.
    let mut ledger = ledger(&[repeated(0, 0), firing("A/1", 0, 30), repeated(0, 120)]);
    ledger.enter(&repeated(0, 180));
    ledger.enter(&resolved("A/1", 0, 180 + LEASE, 450));
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
    let episode = ledger.episodes.values().next().unwrap();
    assert_eq!(episode.last_seen_at, at(120));
    assert_eq!(
        episode.lease.unwrap().unleased_at,
        None,
        "it does not say any more that it fires"
    );
    // What it knows by another Prometheus is an end.
    ledger.enter(&resolved("A/1", 0, 900, 930));
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    // So is what the sender of the leases says itself, whenever that is.
    let ledger = self::ledger(&[repeated(0, 0), ended(0, LEASE + 10, LEASE + 10)]);
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
}

#[test]
fn a_sender_that_starts_again_before_its_lease_ends_tells_of_the_same_firing() {
    // Prometheus gives an alert another start when it starts again; Alertmanager keeps the old one.
    let mut ledger = ledger(&[repeated(0, 0), repeated(0, 120), repeated(200, 200)]);
    assert_eq!((ledger.total(), ledger.spans()), (1, vec![(0, None)]));
    ledger.enter(&firing("A/1", 0, 230));
    ledger.enter(&ended(200, 300, 300));
    assert_eq!((ledger.total(), ledger.spans()), (1, vec![(0, Some(300))]));
    // After the lease it is another firing.
    let ledger = self::ledger(&[repeated(0, 0), repeated(300, 300)]);
    assert_eq!(ledger.total(), 2);
}
