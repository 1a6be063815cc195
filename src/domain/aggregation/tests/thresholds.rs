//! Several thresholds of one rule: one series that changes its severity.

use super::spans::with_severity;
use super::*;
use crate::domain::episode::tests::{firing, resolved, shared};

/// A threshold that was crossed at `start`, as received at `received`; in seconds.
fn crossed(severity: &str, start: i64, received: i64) -> AlertDelivery {
    shared(with_severity(firing("A/1", start, received), severity))
}

fn over(severity: &str, (start, end): (i64, i64), received: i64) -> AlertDelivery {
    shared(with_severity(
        resolved("A/1", start, end, received),
        severity,
    ))
}

fn of(story: &[AlertDelivery]) -> Ledger {
    let mut ledger = Ledger::new(policy());
    ledger.enter_each(story);
    ledger.check();
    ledger
}

/// Severity, how often it rose, and the states.
fn found(ledger: &Ledger) -> (&str, i64, Vec<(i64, i64, Status)>) {
    let incident = &ledger.incidents[0];
    let severity = incident.severity.as_str();
    (severity, incident.severity_rises, ledger.states())
}

#[test]
fn a_higher_threshold_is_the_same_firing_and_raises_the_severity_once() {
    let mut ledger = of(&[crossed("warning", 60, 90)]);
    let worse = crossed("critical", 400, 430);
    let (entered, batch) = ledger.commit(&[&worse, &worse]);
    assert_eq!(entered, [Ingested::Resent, Ingested::Resent]);
    assert_eq!(batch.worsened.len(), 1);
    let open = vec![(1, 1, Status::Open)];
    assert_eq!(found(&ledger), ("critical", 1, open.clone()));
    // It eases, and is worse once more.
    for (severity, start, received) in [("warning", 60, 800), ("critical", 900, 930)] {
        let (_, batch) = ledger.commit(&[&crossed(severity, start, received)]);
        assert!(batch.worsened.is_empty());
    }
    assert_eq!(found(&ledger), ("critical", 1, open));
    ledger.enter(&over("warning", (60, 1000), 1030));
    assert_eq!(found(&ledger).2, [(1, 0, Status::Resolved)]);
    assert_eq!(ledger.counted.len(), 1);
    ledger.check();
}

#[test]
fn the_order_of_two_thresholds_does_not_matter() {
    let story = [
        crossed("warning", 60, 90),
        crossed("critical", 400, 430),
        over("critical", (60, 1000), 1030),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let ledger = of(&order.map(|n| story[n].clone()));
        assert_eq!(ledger.counted.len(), 1, "{order:?}");
        assert!(
            ledger
                .episodes
                .values()
                .all(|episode| episode.end.is_some())
        );
    }
}

#[test]
fn a_threshold_that_is_crossed_after_the_end_is_a_firing_of_its_own() {
    let ledger = of(&[
        crossed("warning", 60, 90),
        over("warning", (60, 200), 230),
        crossed("critical", 400, 430),
    ]);
    assert_eq!(found(&ledger), ("critical", 1, vec![(2, 1, Status::Open)]));
    assert_eq!(ledger.counted.len(), 2);
}

#[test]
fn the_end_of_one_threshold_alone_is_taken_back_when_the_other_is_told_of() {
    // Groups of their own: that it eased comes before what goes on.
    let mut ledger = of(&[
        crossed("warning", 60, 90),
        crossed("critical", 400, 430),
        over("critical", (400, 800), 830),
    ]);
    assert_eq!(found(&ledger).2, [(1, 0, Status::Resolved)]);
    ledger.enter(&crossed("warning", 60, 1500));
    assert_eq!(found(&ledger), ("critical", 1, vec![(1, 1, Status::Open)]));
    assert_eq!(ledger.incidents[0].reopened, 1);
    assert_eq!(ledger.counted.len(), 1);
    ledger.check();
}

#[test]
fn what_is_over_gets_worse_without_a_message() {
    let mut ledger = of(&[crossed("warning", 60, 90), over("warning", (60, 800), 830)]);
    let (_, batch) = ledger.commit(&[&crossed("critical", 400, 430)]);
    assert!(batch.worsened.is_empty());
    assert_eq!(
        found(&ledger),
        ("critical", 1, vec![(1, 0, Status::Resolved)])
    );
}

#[test]
fn without_thresholds_a_later_start_is_another_firing() {
    let ledger = {
        let mut ledger = Ledger::new(policy());
        ledger.enter_each(&[firing("A/1", 60, 90), firing("A/1", 400, 430)]);
        ledger
    };
    assert_eq!(ledger.counted.len(), 2);
}
