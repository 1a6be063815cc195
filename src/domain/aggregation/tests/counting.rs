//! Which deliveries count as one occurrence.

use super::*;
use crate::domain::episode::tests::{at, firing, resolved};

fn ledger(story: &[AlertDelivery]) -> Ledger {
    let mut ledger = Ledger::new(policy());
    ledger.enter_each(story);
    ledger.check();
    ledger
}

#[test]
fn an_alert_counts_once_however_often_it_is_sent() {
    let story: Vec<_> = (0..6).map(|n| firing("A/1", 0, n * 14_400)).collect();
    let ledger = ledger(&story);
    assert_eq!(ledger.total(), 1);
    let episode = ledger.episodes.values().next().unwrap();
    assert_eq!(episode.deliveries, 6);
    assert_eq!(
        (episode.occurred_at, episode.last_seen_at),
        (at(0), at(72_000))
    );
}

#[test]
fn starts_within_the_skew_are_one_firing() {
    for (other, expected) in [(0, 1), (59, 1), (60, 1), (61, 2)] {
        let first = firing("A/1", 1000, 1000);
        let ledger = ledger(&[first, firing("A/1", 1000 + other, 1100)]);
        assert_eq!(ledger.total(), expected, "{other} s apart");
    }
}

#[test]
fn an_earlier_start_within_the_skew_is_the_same_firing_though_that_is_over() {
    for (earlier, expected) in [(0, 1), (59, 1), (60, 1), (61, 2)] {
        let first = [firing("A/1", 1000, 1000), resolved("A/1", 1000, 1030, 1031)];
        let mut ledger = ledger(&first);
        // Over just when the other began, so that they do not overlap.
        ledger.enter(&resolved("A/1", 1000 - earlier, 1000, 1040));
        assert_eq!(ledger.total(), expected, "{earlier} s earlier");
    }
}

#[test]
fn a_start_after_the_end_is_another_firing_even_within_the_skew() {
    for (start, expected) in [(29, 1), (30, 1), (31, 2)] {
        let over = [firing("A/1", 0, 1), resolved("A/1", 0, 30, 31)];
        let mut ledger = ledger(&over);
        ledger.enter(&firing("A/1", start, 40));
        assert_eq!(ledger.total(), expected, "since {start}");
    }
}

#[test]
fn resolved_closes_its_episode_and_no_other() {
    let ledger = ledger(&[
        firing("A/1", 0, 1),
        firing("A/2", 0, 1),
        firing("B/1", 0, 1),
        resolved("A/1", 0, 100, 101),
    ]);
    let open: Vec<_> = ledger.episodes.values().filter_map(|e| e.end).collect();
    assert_eq!(open.iter().map(|end| end.at).collect::<Vec<_>>(), [at(100)]);
    assert_eq!(ledger.total(), 3);
}

#[test]
fn a_late_resolved_of_an_older_episode_leaves_the_newer_one_open() {
    let ledger = ledger(&[
        firing("A/1", 0, 1),
        firing("A/1", 1000, 1001),
        resolved("A/1", 0, 500, 1100),
    ]);
    assert_eq!(ledger.spans(), [(0, Some(500)), (1000, None)]);
}

#[test]
fn a_late_firing_of_a_closed_episode_does_not_reopen_it() {
    let mut ledger = ledger(&[firing("A/1", 0, 1), resolved("A/1", 0, 100, 101)]);
    for received in [50, 102, 701] {
        assert_eq!(ledger.enter(&firing("A/1", 0, received)), Ingested::Resent);
        assert_eq!(ledger.spans(), [(0, Some(100))]);
        assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    }
    assert_eq!(ledger.total(), 1);
}

#[test]
fn a_newer_episode_closes_the_older_one_that_is_still_open() {
    let ledger = ledger(&[firing("A/1", 0, 1), firing("A/1", 3600, 3601)]);
    assert_eq!(ledger.spans(), [(0, Some(3600)), (3600, None)]);
    assert_eq!(
        ledger.states(),
        [(1, 0, Status::Resolved), (1, 1, Status::Open)]
    );
}

#[test]
fn a_newer_episode_that_is_over_already_closes_the_older_one_too() {
    let ledger = ledger(&[firing("A/1", 0, 1), resolved("A/1", 3600, 3700, 3701)]);
    assert_eq!(ledger.spans(), [(0, Some(3600)), (3600, Some(3700))]);
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
    assert_eq!(ledger.total(), 2);
}

#[test]
fn a_late_delivery_of_an_older_firing_counts_and_opens_nothing() {
    let ledger = ledger(&[firing("A/1", 3600, 3601), firing("A/1", 0, 1000)]);
    assert_eq!(ledger.spans(), [(0, Some(3600)), (3600, None)]);
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
    assert_eq!(ledger.total(), 2);
}

#[test]
fn a_resolved_never_seen_firing_is_counted_and_opens_nothing() {
    let mut ledger = ledger(&[resolved("A/1", 0, 100, 101)]);
    assert_eq!((ledger.total(), ledger.incidents.len()), (1, 0));
    // Nor does its firing that was overtaken, or its resolve, again.
    ledger.enter_each(&[firing("A/1", 0, 90), resolved("A/1", 0, 100, 103)]);
    assert_eq!((ledger.total(), ledger.incidents.len()), (1, 0));
    ledger.check();
}

#[test]
fn a_missing_end_is_the_time_of_receipt() {
    let one = ledger(&[firing("A/1", 0, 1), resolved("A/1", 0, None, 70)]);
    assert_eq!(one.spans(), [(0, Some(70))]);
    let backwards = ledger(&[firing("A/1", 100, 101), resolved("A/1", 100, 40, 102)]);
    assert_eq!(backwards.spans(), [(100, Some(100))]);
}

#[test]
fn an_episode_counts_at_the_receipt_of_its_first_sighting_whichever_comes_first() {
    let (first, again) = (firing("A/1", 0, 10), firing("A/1", 0, 7200));
    for story in [[first.clone(), again.clone()], [again, first]] {
        let ledger = ledger(&story);
        let (_, occurred_at) = ledger.counted.values().next().unwrap();
        assert_eq!(*occurred_at, at(10));
        let anomaly = ledger.anomalies.values().next().unwrap();
        assert_eq!(anomaly.first_seen, Some(at(10)));
    }
}

#[test]
fn without_a_start_a_series_counts_from_silence_to_silence() {
    let ledger = ledger(&[
        firing("A/1", None, 0),
        firing("A/1", None, 3600),
        resolved("A/1", None, None, 7200),
        resolved("A/1", None, None, 7300),
        firing("A/1", None, 9000),
        firing("A/1", None, 9100),
    ]);
    assert_eq!(ledger.spans(), [(0, Some(7200)), (9000, None)]);
    assert_eq!(ledger.total(), 2);
}

#[test]
fn without_a_start_a_resolved_never_seen_firing_is_counted_once() {
    let over = resolved("A/1", None, None, 100);
    let mut ledger = ledger(&[over.clone(), over]);
    ledger.enter(&resolved("A/1", None, None, 500));
    assert_eq!((ledger.total(), ledger.incidents.len()), (1, 0));
}

#[test]
fn without_a_start_a_late_resolved_does_not_close_what_began_after_it() {
    let ledger = ledger(&[
        firing("A/1", None, 0),
        resolved("A/1", None, 100, 100),
        firing("A/1", None, 200),
        resolved("A/1", None, 100, 110),
    ]);
    assert_eq!(ledger.spans(), [(0, Some(100)), (200, None)]);
    assert_eq!(ledger.total(), 2);
}

#[test]
fn without_a_start_an_overtaken_duplicate_counts_once() {
    // The first delivery was tried again for five minutes, and its worker died on the last try.
    let slow = firing("A/1", None, 0);
    let ledger = ledger(&[
        firing("A/1", None, 300),
        slow.clone(),
        resolved("A/1", None, None, 600),
        slow,
    ]);
    assert_eq!(ledger.total(), 1);
    assert_eq!(ledger.spans(), [(300, Some(600))]);
}

#[test]
fn one_batch_counts_like_many() {
    let story = [
        firing("A/1", 0, 1),
        resolved("A/1", 0, 100, 101),
        firing("A/1", 200, 201),
        firing("A/1", 0, 90),
        resolved("A/1", 200, 300, 301),
        firing("A/1", 400, 401),
    ];
    let mut ledger = Ledger::new(policy());
    let (entered, _) = ledger.commit(&story.iter().collect::<Vec<_>>());
    use Ingested::{New, Resent};
    assert_eq!(entered, [New, Resent, New, Resent, Resent, New]);
    ledger.check();
    let spans = [(0, Some(100)), (200, Some(300)), (400, None)];
    assert_eq!(ledger.spans(), spans);
    assert_eq!(ledger.states(), [(3, 1, Status::Open)]);
    let each = self::ledger(&story);
    assert_eq!(each.spans(), spans);
    assert_eq!(each.states(), ledger.states());
}

#[test]
fn a_batch_updates_the_counter_only_for_touched_firings() {
    let mut ledger = ledger(&[
        firing("A/1", 0, 1),
        firing("A/1", 1000, 1001),
        firing("A/1", 2000, 2001),
        firing("A/1", 3000, 3001),
    ]);
    let (_, batch) = ledger.commit(&[&resolved("A/1", 0, 500, 3002)]);
    let touched: Vec<_> = batch.counted(Unit::Episode);
    assert_eq!(touched.len(), 1);
    assert_eq!(touched[0].occurred_at, at(1));
}
