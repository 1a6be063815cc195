//! Drifts of figures that are not what the rows say, and none of those that are.

use super::*;
use crate::domain::escalation::Level;
use crate::time::Timestamp;

/// Two episodes, first seen at 10 and 20, one of them seen again at 30.
fn found() -> Figures {
    Figures {
        key: "key".to_owned(),
        total: 2,
        pruned_total: 0,
        pruned_before: None,
        first_seen: Some(Timestamp(10)),
        last_seen: Some(Timestamp(20)),
        level: Level::None,
        occurrences: 2,
        counted: 2,
        first: Some(Timestamp(10)),
        last: Some(Timestamp(20)),
        heard: Some(Timestamp(30)),
        late_at: None,
    }
}

fn drifts(found: &Figures) -> Vec<&'static str> {
    let drifts = of_anomaly(found, &expected(found));
    drifts.iter().map(|drift| drift.what.name()).collect()
}

#[test]
fn figures_that_are_what_the_rows_say_do_not_drift() {
    assert_eq!(drifts(&found()), [""; 0]);
    let overtaken = Figures {
        last_seen: Some(Timestamp(25)),
        ..found()
    };
    assert_eq!(drifts(&overtaken), [""; 0]);
    let pruned = Figures {
        total: 7,
        pruned_total: 5,
        pruned_before: Some(Timestamp(9)),
        first_seen: Some(Timestamp(1)),
        ..found()
    };
    assert_eq!(drifts(&pruned), [""; 0]);
    let all_pruned = Figures {
        counted: 0,
        first: None,
        last: None,
        heard: None,
        total: 5,
        ..pruned
    };
    assert_eq!(drifts(&all_pruned), [""; 0]);
}

#[test]
fn each_drifted_figure_is_reported_with_its_expected_value() {
    type Change = fn(&mut Figures);
    let table: [(Change, &str, Json); 9] = [
        (|f| f.total = 3, "total", json!(2)),
        (|f| f.pruned_total = 1, "total", json!(3)),
        (
            |f| f.first_seen = Some(Timestamp(9)),
            "first_seen",
            json!(Timestamp(10)),
        ),
        (
            |f| f.first_seen = Some(Timestamp(11)),
            "first_seen",
            json!(Timestamp(10)),
        ),
        (|f| f.first_seen = None, "first_seen", json!(Timestamp(10))),
        (
            |f| f.last_seen = Some(Timestamp(19)),
            "last_seen",
            json!(Timestamp(20)),
        ),
        (
            |f| f.last_seen = Some(Timestamp(31)),
            "last_seen",
            json!(Timestamp(30)),
        ),
        (|f| f.last_seen = None, "last_seen", json!(Timestamp(20))),
        (
            |f| {
                f.pruned_before = Some(Timestamp(9));
                f.first_seen = Some(Timestamp(11));
            },
            "first_seen",
            json!(Timestamp(10)),
        ),
    ];
    for (n, (change, what, expected_value)) in table.into_iter().enumerate() {
        let mut found = found();
        change(&mut found);
        let drifts = of_anomaly(&found, &expected(&found));
        assert_eq!(drifts.len(), 1, "{n}: {drifts:?}");
        assert_eq!(
            (drifts[0].what.name(), &drifts[0].expected),
            (what, &expected_value),
            "{n}"
        );
    }
}

#[test]
fn a_counter_need_not_agree_above_its_maximum() {
    let counts = |hour, month| Counts {
        hour,
        day: hour,
        week: hour,
        month,
    };
    let trimmed = counts(5, COUNTED_AT_MOST);
    assert_eq!(
        of_counter("key", (&trimmed, &trimmed), &counts(5, 900_000)),
        []
    );
    let drifts = of_counter("key", (&counts(4, 10), &counts(4, 10)), &counts(5, 10));
    let windows: Vec<_> = drifts.iter().filter_map(|drift| drift.window).collect();
    assert_eq!(windows, [Window::Hour, Window::Day, Window::Week]);
}

#[test]
fn a_counter_may_be_ahead_of_the_rows_that_were_read() {
    let all = |n| Counts {
        hour: n,
        day: n,
        week: n,
        month: n,
    };
    for (before, after, drifts) in [(4, 5, 0), (5, 5, 0), (3, 9, 0), (6, 6, 4), (4, 4, 4)] {
        let found = of_counter("key", (&all(before), &all(after)), &all(5));
        assert_eq!(found.len(), drifts, "{before} {after}");
    }
}

#[test]
fn an_incidents_counts_may_be_a_minute_old_and_not_older() {
    let counts = |n| Counts {
        hour: n,
        day: n,
        week: n,
        month: n,
    };
    let bounds = Bounds {
        least: counts(5),
        exact: counts(6),
        most: counts(8),
    };
    for (stored, drifted) in [(4, 4), (5, 0), (6, 0), (8, 0), (9, 4)] {
        let seen = (None, None);
        let stats = FrequencyStats::new("key", &counts(stored), seen, Level::None);
        let drifts = of_stats(Uuid::nil(), &stats, &bounds);
        assert_eq!(drifts.len(), drifted, "{stored}");
    }
}
