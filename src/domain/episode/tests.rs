//! Which firing a delivery belongs to: one series, one rule after the other.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::domain::alert::{Alert, AlertRule, AlertStatus, Labels};
use crate::domain::family::Families;
use crate::domain::signature::SignatureLabels;

const SKEW: Duration = Duration::from_secs(60);

/// `seconds` after the start of the story.
pub(in crate::domain) fn at(seconds: i64) -> Timestamp {
    at_ms(seconds * 1000)
}

/// `ms` milliseconds after the start of the story.
pub(in crate::domain) fn at_ms(ms: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + ms)
}

/// A delivery of an alert of this name and series: `AlertName/series`.
pub(in crate::domain) fn delivery(
    series: &str,
    status: AlertStatus,
    (starts_at, ends_at): (Option<Timestamp>, Option<Timestamp>),
    received_at: Timestamp,
) -> AlertDelivery {
    static NEXT_JOB: AtomicU64 = AtomicU64::new(1);
    let (name, fingerprint) = series.split_once('/').unwrap();
    let labels = [("alertname", name), ("pod", fingerprint)];
    let alert = Alert {
        status,
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        annotations: Labels::new(),
        fingerprint: fingerprint.to_owned(),
        starts_at,
        ends_at,
        lease_ms: None,
        generator_url: None,
        rule: None,
        identity: None,
    };
    let job = Uuid::from_u128(NEXT_JOB.fetch_add(1, Ordering::Relaxed).into());
    let source = "alertmanager".to_owned();
    AlertDelivery::new(
        (job, false),
        source,
        received_at,
        alert,
        &SignatureLabels::default(),
        &Families::default(),
    )
}

/// "It fires since `start`", received then; in seconds.
pub(in crate::domain) fn firing(
    series: &str,
    start: impl Into<Option<i64>>,
    received: i64,
) -> AlertDelivery {
    let span = (start.into().map(at), None);
    delivery(series, AlertStatus::Firing, span, at(received))
}

/// "What fires since `start` is over since `end`", received then; in seconds.
pub(in crate::domain) fn resolved(
    series: &str,
    start: impl Into<Option<i64>>,
    end: impl Into<Option<i64>>,
    received: i64,
) -> AlertDelivery {
    let span = (start.into().map(at), end.into().map(at));
    delivery(series, AlertStatus::Resolved, span, at(received))
}

/// The same of a series that several alerts of a rule share.
pub(in crate::domain) fn shared(mut delivery: AlertDelivery) -> AlertDelivery {
    delivery.alert.rule = Some(AlertRule {
        shares_series: true,
        ..AlertRule::default()
    });
    delivery
}

/// An episode whose sender's clock is ours.
fn episode((start, end): (i64, Option<i64>), last_seen: i64) -> Episode {
    Episode {
        id: episode_id(1, at(start)),
        anomaly_key: "key".to_owned(),
        incident: None,
        series: 1,
        starts_at: at(start),
        end: end.map(|end| End {
            at: at(end),
            received_at: at(end),
            by: EndedBy::Sender,
        }),
        occurred_at: at(start),
        last_seen_at: at(last_seen),
        deliveries: 1,
        lease: None,
    }
}

#[test]
fn a_later_start_within_the_skew_means_that_episode_for_firing_and_resolved_alike() {
    let table = [
        (0, Some(0)),
        (59_000, Some(0)),
        (60_000, Some(0)),
        (60_001, None),
    ];
    let open = [episode((0, None), 0)];
    for (start, expected) in table {
        for status in [AlertStatus::Firing, AlertStatus::Resolved] {
            let span = (Some(at_ms(start)), Some(at(900)));
            let delivery = delivery("A/1", status, span, at(1000));
            let found = find(&open, &delivery, SKEW);
            assert_eq!(found, expected, "{status:?} since {start} ms");
        }
    }
}

#[test]
fn an_overlapping_delivery_belongs_to_the_firing_however_far_apart_the_starts_are() {
    let open = [episode((1000, None), 1500)];
    for (delivery, expected) in [
        // By another Prometheus, which noticed it earlier, or later.
        (firing("A/1", 910, 1510), Some(0)),
        (firing("A/1", 0, 1001), Some(0)),
        (firing("A/1", 1200, 1510), Some(0)),
        (firing("A/1", 1499, 1510), Some(0)),
        (resolved("A/1", 900, 1600, 1601), Some(0)),
        (resolved("A/1", 900, 1001, 1601), Some(0)),
        // Over before it began, or begun when it was not seen any more.
        (firing("A/1", 0, 1000), None),
        (resolved("A/1", 0, 1000, 5000), None),
        (resolved("A/1", 0, 400, 5000), None),
        (firing("A/1", 1500, 1510), None),
        (firing("A/1", 9000, 9001), None),
        // It ended at an unknown time: what began much later is another.
        (resolved("A/1", 0, None, 5000), None),
        (resolved("A/1", 945, None, 5000), Some(0)),
    ] {
        assert_eq!(find(&open, &delivery, SKEW), expected, "{delivery:?}");
    }
}

#[test]
fn a_missing_end_closes_only_firings_that_began_within_the_skew() {
    let mut over = episode((0, Some(5000)), 5000);
    for (by, expected) in [
        (EndedBy::Sender, Some(0)),
        (EndedBy::Unseen, Some(0)),
        (EndedBy::Receipt, None),
        (EndedBy::Newer, None),
    ] {
        over.end.as_mut().unwrap().by = by;
        let later = firing("A/1", 3000, 5100);
        assert_eq!(find(&[over.clone()], &later, SKEW), expected, "{by:?}");
        let near = firing("A/1", 50, 5100);
        assert_eq!(find(&[over.clone()], &near, SKEW), Some(0), "{by:?}");
    }
}

#[test]
fn the_newest_of_several_overlapping_firings_is_chosen() {
    let both = [episode((0, Some(300)), 300), episode((1000, None), 1000)];
    assert_eq!(find(&both, &firing("A/1", 200, 1100), SKEW), Some(1));
    // The start decides, unless the delivery shows that it fired while the newer one did.
    assert_eq!(find(&both, &firing("A/1", 0, 250), SKEW), Some(0));
    assert_eq!(find(&both, &resolved("A/1", 0, 300, 1100), SKEW), Some(0));
    assert_eq!(find(&both, &firing("A/1", 0, 1100), SKEW), Some(1));
    assert_eq!(find(&both, &resolved("A/1", 0, 1200, 1200), SKEW), Some(1));
}

#[test]
fn a_start_that_cannot_be_is_none() {
    let told = |start: Timestamp| {
        let span = (Some(start), None);
        let delivery = delivery("A/1", AlertStatus::Firing, span, at(1000));
        delivery.reported_start(SKEW)
    };
    let year = |text: &str| Timestamp::parse(text).unwrap();
    for zero in ["1601-01-01", "1754-08-30", "1970-01-01", "1999-12-31"] {
        assert_eq!(told(year(&format!("{zero}T00:00:00Z"))), None, "{zero}");
    }
    assert_eq!(told(year("9999-12-31T23:59:59Z")), None);
    for (start, is_told) in [(-90_000_000, true), (1_060_000, true), (1_060_001, false)] {
        let start = at_ms(start);
        assert_eq!(told(start), is_told.then_some(start), "{start}");
    }
}

#[test]
fn an_end_that_is_still_to_come_is_the_time_of_receipt() {
    let end = |end: i64| resolved("A/1", 0, end, 1000).end();
    assert_eq!(end(999), Some((at(999), EndedBy::Sender)));
    assert_eq!(end(1000), Some((at(1000), EndedBy::Sender)));
    assert_eq!(end(1001), Some((at(1000), EndedBy::Receipt)));
    let not_told = resolved("A/1", 0, None, 1000).end();
    assert_eq!(not_told, Some((at(1000), EndedBy::Receipt)));
    assert_eq!(firing("A/1", 0, 1000).end(), None);
}

#[test]
fn a_start_later_than_an_episodes_end_is_not_of_that_episode() {
    let over = [episode((0, Some(30)), 40)];
    for (start, expected) in [
        (29_999, Some(0)),
        (30_000, Some(0)),
        (30_001, None),
        (59_000, None),
    ] {
        let span = (Some(at_ms(start)), None);
        let firing = delivery("A/1", AlertStatus::Firing, span, at(70));
        assert_eq!(find(&over, &firing, SKEW), expected, "since {start} ms");
    }
}

#[test]
fn the_nearer_of_two_firings_within_the_skew_is_chosen() {
    let both = [episode((0, Some(50)), 50), episode((70, None), 70)];
    for (told, expected) in [
        (resolved("A/1", 10, 45, 100), Some(0)),
        (resolved("A/1", 34, 48, 100), Some(0)),
        (firing("A/1", 34, 60), Some(0)),
        (firing("A/1", 36, 60), Some(1)),
        (firing("A/1", 60, 100), Some(1)),
        // It still fired when the newer one did.
        (firing("A/1", 10, 100), Some(1)),
    ] {
        assert_eq!(find(&both, &told, SKEW), expected, "{told:?}");
    }
}

#[test]
fn a_start_says_more_than_the_time_of_receipt() {
    let both = [episode((0, Some(300)), 300), episode((1000, None), 1000)];
    assert_eq!(find(&both, &resolved("A/1", 0, 300, 5000), SKEW), Some(0));
    assert_eq!(find(&both, &firing("A/1", 1000, 5000), SKEW), Some(1));
    assert_eq!(find(&both, &firing("A/1", 500, 900), SKEW), None);
}

#[test]
fn without_a_start_the_open_episode_is_meant() {
    let both = [episode((0, Some(300)), 300), episode((1000, None), 1000)];
    assert_eq!(find(&both, &firing("A/1", None, 90_000), SKEW), Some(1));
    let resolved = resolved("A/1", None, 90_000, 90_000);
    assert_eq!(find(&both, &resolved, SKEW), Some(1));
}

#[test]
fn without_a_start_a_delivery_received_during_a_firing_belongs_to_it_however_late() {
    let both = [episode((0, Some(300)), 300), episode((1000, None), 1000)];
    for received in [0, 150, 300] {
        let firing = firing("A/1", None, received);
        assert_eq!(find(&both, &firing, SKEW), Some(0), "fires at {received}");
        let resolved = resolved("A/1", None, received, received);
        assert_eq!(find(&both, &resolved, SKEW), Some(0), "over at {received}");
    }
}

#[test]
fn without_a_start_and_with_nothing_open_a_firing_is_new() {
    let over = [episode((0, Some(300)), 300)];
    assert_eq!(find(&over, &firing("A/1", None, 301), SKEW), None);
    assert_eq!(find(&[], &firing("A/1", None, 0), SKEW), None);
    assert_eq!(find(&[], &resolved("A/1", None, None, 0), SKEW), None);
}

#[test]
fn without_a_start_a_repeated_resolve_belongs_to_the_newest_ended_firing() {
    let two = [
        episode((0, Some(300)), 300),
        episode((1000, Some(1300)), 1300),
    ];
    let resolve = |received| resolved("A/1", None, received, received);
    assert_eq!(find(&two, &resolve(5000), SKEW), Some(1));
    assert_eq!(find(&two, &resolve(900), SKEW), Some(0));
    assert_eq!(find(&two, &resolve(980), SKEW), Some(0));
}

#[test]
fn without_a_start_a_resolve_does_not_belong_to_a_later_firing() {
    let open = episode((1000, None), 1000);
    let late = resolved("A/1", None, 600, 600);
    assert_eq!(find(std::slice::from_ref(&open), &late, SKEW), None);
    assert_eq!(
        find(&[episode((0, Some(300)), 300), open], &late, SKEW),
        Some(0)
    );
}

#[test]
fn without_a_start_a_firing_that_was_overtaken_by_its_episode_is_still_of_it() {
    let over = [episode((1000, Some(1300)), 1300)];
    assert_eq!(find(&over, &firing("A/1", None, 940), SKEW), Some(0));
    assert_eq!(find(&over, &firing("A/1", None, 939), SKEW), None);
    let open = [episode((1000, None), 1000)];
    assert_eq!(find(&open, &firing("A/1", None, 500), SKEW), Some(0));
}

#[test]
fn a_series_is_its_source_its_fingerprint_and_its_anomaly() {
    let one = series("alertmanager", "ab", "c");
    assert_ne!(one, series("grafana", "ab", "c"));
    assert_ne!(one, series("alertmanager", "abc", ""));
    assert_ne!(one, series("alertmanager", "a", "bc"));
    assert_eq!(firing("A/1", 0, 5).series, resolved("A/1", 9, 9, 9).series);
    assert_ne!(firing("A/1", 0, 0).series, firing("A/2", 0, 0).series);
    assert_ne!(firing("A/1", 0, 0).series, firing("B/1", 0, 0).series);
}

#[test]
fn a_firing_id_sorts_by_start_and_is_unique_per_series_and_start() {
    assert!(episode_id(9, at_ms(0)) < episode_id(1, at_ms(1)));
    assert_ne!(episode_id(1, at(0)), episode_id(2, at(0)));
    assert_eq!(episode_id(1, at(0)), episode_id(1, at(0)));
    // Before 1970 the order is lost, not the difference.
    assert_ne!(
        episode_id(1, Timestamp(-1)),
        episode_id(1, Timestamp(-2_000))
    );
}
