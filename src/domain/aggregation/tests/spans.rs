//! Spans: deliveries of one firing whose sender, clock or network say otherwise, and ends.

use super::*;
use crate::domain::alert::AlertStatus;
use crate::domain::episode::tests::{at, at_ms, delivery, firing, resolved};

const HOUR: i64 = 3600;

fn ledger(story: &[AlertDelivery]) -> Ledger {
    let mut ledger = Ledger::new(policy());
    for delivery in story {
        ledger.enter(delivery);
        ledger.check();
    }
    ledger
}

pub(super) fn with_severity(mut delivery: AlertDelivery, severity: &str) -> AlertDelivery {
    let labels = &mut delivery.alert.labels;
    labels.insert("severity", severity);
    delivery
}

#[test]
fn firing_past_the_window_after_a_resolved_reopens_the_same_firing_and_notifies() {
    // Alertmanager was cut off from Prometheus for a quarter of an hour.
    let mut ledger = ledger(&[firing("A/1", 0, 0), resolved("A/1", 0, 300, 300)]);
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    ledger.clear_marks();
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 901), &firing("A/1", 0, 910)]);
    ledger.check();
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
    assert_eq!(ledger.spans(), [(0, None)]);
    assert_eq!(ledger.total(), 1);
    assert_eq!(batch.reopenings, [(ledger.incidents[0].id, 1)]);
    assert!(ledger.incidents[0].due_at.is_some());
    ledger.enter(&resolved("A/1", 0, 950, 950));
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
}

#[test]
fn a_repeated_older_start_belongs_to_the_older_firing() {
    // One of two replicas was cut off, the other fired anew, and the first came back with its old start.
    let twice = [
        firing("A/1", 0, 0),
        resolved("A/1", 0, 300, 300),
        firing("A/1", 1000, 1001),
    ];
    let mut ledger = self::ledger(&twice);
    assert_eq!(
        ledger.states(),
        [(1, 0, Status::Resolved), (1, 1, Status::Open)]
    );
    ledger.enter(&firing("A/1", 0, 1100));
    ledger.enter(&resolved("A/1", 0, 2000, 2001));
    assert_eq!(
        ledger.states(),
        [(1, 0, Status::Resolved), (1, 0, Status::Resolved)]
    );
    assert_eq!(ledger.total(), 2);

    let mut ledger = self::ledger(&twice);
    ledger.enter(&resolved("A/1", 1000, 1300, 1300));
    ledger.clear_marks();
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 2500)]);
    assert_eq!(
        ledger.states(),
        [(1, 0, Status::Resolved), (1, 1, Status::Open)]
    );
    assert_eq!(batch.reopenings.len(), 1);
    assert_eq!(ledger.total(), 2);
}

#[test]
fn a_delivery_soon_after_its_resolved_is_treated_as_late() {
    let mut ledger = ledger(&[firing("A/1", 0, 0), resolved("A/1", 0, 300, 305)]);
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 400)]);
    assert!(batch.reopenings.is_empty());
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    assert_eq!(ledger.incidents[0].doubted_since, Some(at(305)));
    // What was received before it is old.
    let before = self::ledger(&[
        firing("A/1", 0, 0),
        resolved("A/1", 0, 300, 305),
        firing("A/1", 0, 304),
    ]);
    assert_eq!(before.incidents[0].doubted_since, None);
}

#[test]
fn the_last_delivery_of_a_source_wins_in_any_order() {
    let story = [
        firing("A/1", 0, 0),
        resolved("A/1", 0, 300, 300),
        firing("A/1", 0, 1500),
        resolved("A/1", 0, 1600, 1600),
        firing("A/1", 0, 2900),
    ];
    for n in 0..story.len() {
        let mut told = story[..=n].to_vec();
        let is_open = n % 2 == 0;
        for _ in 0..told.len() {
            told.rotate_left(1);
            for reversed in [false, true] {
                let mut order = told.clone();
                if reversed {
                    order.reverse();
                }
                let ledger = ledger(&order);
                let open = ledger.episodes.values().filter(|e| e.end.is_none());
                assert_eq!(open.count() == 1, is_open, "{order:#?}");
                assert_eq!(ledger.total(), 1);
            }
        }
    }
}

#[test]
fn a_resolve_under_another_start_ends_what_is_open() {
    // Two of Prometheus, ninety seconds apart; Alertmanager keeps the earlier start.
    for story in [
        [firing("A/1", 90, 95), firing("A/1", 0, 100)],
        [firing("A/1", 0, 100), firing("A/1", 90, 105)],
    ] {
        let mut ledger = ledger(&story);
        assert_eq!(ledger.total(), 1);
        assert_eq!(ledger.spans(), [(0, None)]);
        let id = *ledger.episodes.keys().next().unwrap();
        ledger.enter(&resolved("A/1", 0, 500, 501));
        ledger.check();
        assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
        assert_eq!(ledger.spans(), [(0, Some(500))]);
        assert_eq!(*ledger.episodes.keys().next().unwrap(), id);
    }
}

#[test]
fn a_start_that_moves_back_ends_where_the_firing_before_it_ended() {
    let ledger = ledger(&[
        firing("A/1", 0, 0),
        resolved("A/1", 0, 300, 300),
        firing("A/1", 1000, 1000),
        firing("A/1", 200, 1100),
    ]);
    assert_eq!(ledger.spans(), [(0, Some(300)), (300, None)]);
    assert_eq!(ledger.total(), 2);
}

#[test]
fn a_start_that_moves_back_is_bounded_by_the_previous_firing() {
    let ledger = ledger(&[
        firing("A/1", 0, 0),
        firing("A/1", 1000, 1000),
        firing("A/1", 950, 1100),
        firing("A/1", 700, 1200),
    ]);
    assert_eq!(ledger.spans(), [(0, Some(700)), (700, None)]);
}

#[test]
fn a_start_before_that_of_the_firing_before_leaves_the_two_in_order() {
    let mut ledger = ledger(&[
        firing("A/1", 1000, 1000),
        firing("A/1", 1300, 1300),
        firing("A/1", 900, 1400),
    ]);
    assert_eq!(ledger.total(), 2);
    ledger.enter(&resolved("A/1", 1300, 1500, 1500));
    ledger.check();
    assert_eq!(ledger.states(), [(2, 0, Status::Resolved)]);
}

#[test]
fn a_doubted_end_reopens_after_a_window_even_if_resolved_manually_meanwhile() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.resolve(0, 590);
    ledger.enter_each(&[resolved("A/1", 0, 595, 595), firing("A/1", 0, 600)]);
    assert_eq!(ledger.incidents[0].doubted_since, Some(at(595)));
    for (now, expected) in [(1195, Status::Resolved), (1196, Status::Open)] {
        let mut batch = ledger.batch_of(0);
        let episode = ledger.episodes.values().next().unwrap().clone();
        batch.settle_doubt((episode.series, episode.id), at(now), &policy());
        let incident = &batch.incidents[&ledger.incidents[0].id];
        assert_eq!(incident.status, expected, "at {now}");
    }
}

#[test]
fn a_clock_that_is_ahead_does_not_keep_what_comes_later_from_opening() {
    let ahead = 8 * HOUR;
    let mut ledger = ledger(&[
        firing("A/1", ahead, 0),
        resolved("A/1", ahead, ahead + 300, 300),
    ]);
    assert_eq!(ledger.spans(), [(0, Some(300))]);
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    // Set right.
    ledger.enter(&firing("A/1", 2000, 2001));
    ledger.check();
    assert_eq!(
        ledger.states(),
        [(1, 0, Status::Resolved), (1, 1, Status::Open)]
    );
    assert_eq!(ledger.total(), 2);
}

#[test]
fn a_resolve_of_the_year_9999_silences_nothing() {
    let never = Timestamp::parse("9999-12-31T23:59:59Z");
    let bogus = |received| delivery("A/1", AlertStatus::Resolved, (never, never), at(received));
    for start in [10, 0, -HOUR] {
        let mut ledger = ledger(&[bogus(0)]);
        assert_eq!(ledger.states(), []);
        ledger.enter(&firing("A/1", start, 10));
        ledger.check();
        assert_eq!(ledger.states(), [(1, 1, Status::Open)], "since {start}");
        let (_, batch) = ledger.commit(&[&firing("A/1", start, 20)]);
        assert!(batch.reopenings.is_empty());
    }
}

#[test]
fn a_series_first_received_as_resolved_opens_an_incident_when_it_fires() {
    let mut ledger = ledger(&[resolved("A/1", 0, 100, 101)]);
    ledger.enter(&firing("A/1", 0, 130));
    ledger.check();
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
    assert_eq!(ledger.total(), 1);
}

#[test]
fn an_expired_firing_reopens_with_its_next_delivery() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.forget();
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 49 * HOUR)]);
    ledger.check();
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
    assert_eq!(batch.reopenings.len(), 1);
    assert_eq!(ledger.total(), 1);

    let mut ledger = self::ledger(&[firing("A/1", 0, 0)]);
    ledger.forget();
    ledger.enter(&resolved("A/1", 0, 7000, 50 * HOUR));
    ledger.check();
    assert_eq!(ledger.spans(), [(0, Some(7000))]);
    let end = ledger.episodes.values().next().unwrap().end.unwrap();
    assert_eq!((end.by, end.received_at), (EndedBy::Sender, at(50 * HOUR)));
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
}

#[test]
fn a_firing_delivery_updates_the_last_seen_time() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.incidents[0].unheard_since = Some(at(0));
    ledger.enter(&firing("A/1", 0, 13 * HOUR));
    assert_eq!(ledger.incidents[0].unheard_since, None);
}

#[test]
fn an_old_resolve_does_not_end_what_was_seen_firing_long_after_it() {
    // It was a dead letter for an hour.
    let mut ledger = ledger(&[firing("A/1", 0, 0), firing("A/1", 0, HOUR)]);
    ledger.enter(&resolved("A/1", 0, 60, 61));
    ledger.check();
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
}

#[test]
fn a_persons_resolve_holds_for_a_window_though_an_episode_of_it_opens_again() {
    let mut ledger = ledger(&[
        firing("A/1", 0, 0),
        firing("A/2", 0, 0),
        resolved("A/1", 0, 10, 10),
    ]);
    ledger.resolve(0, 900);
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 1000)]);
    ledger.check();
    assert!(batch.reopenings.is_empty());
    assert_eq!(ledger.states(), [(2, 2, Status::Resolved)]);
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 1501)]);
    assert_eq!(batch.reopenings.len(), 1);
    assert_eq!(ledger.states(), [(2, 2, Status::Open)]);
}

#[test]
fn an_acknowledgement_survives_a_flap_but_not_a_later_return() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.acknowledge(0);
    ledger.enter_each(&[resolved("A/1", 0, 50, 60), firing("A/1", 300, 300)]);
    assert_eq!(ledger.states(), [(2, 1, Status::Acknowledged)]);
    ledger.enter_each(&[resolved("A/1", 300, 400, 400), firing("A/1", 300, 1100)]);
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
    assert!(!ledger.incidents[0].is_acknowledged);
}

#[test]
fn a_higher_severity_that_joins_raises_the_incidents() {
    let mut ledger = ledger(&[with_severity(firing("A/1", 0, 0), "warning")]);
    for (pod, severity, expected, rises) in [
        ("A/2", "info", "warning", 0),
        ("A/3", "warning", "warning", 0),
        ("A/4", "critical", "critical", 1),
        ("A/5", "warning", "critical", 1),
        ("A/6", "whatever", "critical", 1),
    ] {
        let delivery = with_severity(firing(pod, 10, 10), severity);
        let (_, batch) = ledger.commit(&[&delivery]);
        let incident = &ledger.incidents[0];
        assert_eq!(
            (incident.severity.as_str(), incident.severity_rises),
            (expected, rises)
        );
        let told: Vec<i64> = batch.worsened.iter().map(|(_, n)| *n).collect();
        assert_eq!(told, if pod == "A/4" { vec![1] } else { vec![] });
    }
    ledger.check();
}

#[test]
fn episodes_whose_ids_would_be_the_same_have_different_ones() {
    // One evaluation is over, which another Prometheus began later.
    let ledger = ledger(&[
        firing("A/1", 100, 100),
        resolved("A/1", 60, 80, 120),
        delivery(
            "A/1",
            AlertStatus::Firing,
            (Some(at(100)), None),
            at_ms(130_000),
        ),
    ]);
    assert_eq!(ledger.episodes.len(), 2);
    assert_eq!(ledger.total(), 2);
}
