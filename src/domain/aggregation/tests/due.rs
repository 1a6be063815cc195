use super::spans::with_severity;
use super::*;
use crate::domain::episode::tests::firing;

fn ledger() -> Ledger {
    let mut ledger = Ledger::new(policy());
    ledger.enter(&firing("A/1", 0, 0));
    ledger.clear_marks();
    ledger
}

/// What a batch of one delivery makes of the first incident: when its tier is due, and whether a job is pushed.
fn due(ledger: &mut Ledger, delivery: &AlertDelivery) -> (Due, Option<Due>) {
    let (_, batch) = ledger.commit(&[delivery]);
    let newest = batch.anomalies.values().find_map(|a| a.newest_incident);
    let incident = &batch.incidents[&newest.expect("an incident")];
    (batch.due(incident), batch.due_anew(incident, NOW))
}

fn set(ledger: &mut Ledger, level: Level, has_fix: bool) {
    let anomaly = ledger.anomalies.values_mut().next().expect("an anomaly");
    (anomaly.level, anomaly.has_fix) = (level, has_fix);
}

#[test]
fn firings_that_can_raise_no_level_change_figures() {
    for (level, incidents, expected) in [
        (Level::None, 1, Due::Soon),
        (Level::Repeat, 1, Due::Soon),
        (Level::Escalate, 1, Due::Figures),
        (Level::Escalate, 2, Due::Figures),
        (Level::Escalate, 3, Due::Soon),
        (Level::PermanentFix, 1, Due::Figures),
        (Level::PermanentFix, 3, Due::Figures),
    ] {
        let mut ledger = ledger();
        set(&mut ledger, level, false);
        let anomaly = ledger.anomalies.values_mut().next().expect("an anomaly");
        anomaly.newest_number = incidents;
        let found = due(&mut ledger, &firing("A/2", 1, 1));
        assert_eq!(found, (expected, Some(expected)), "{level} {incidents}");
        // It has a job, whose pass sees this one as well.
        let found = due(&mut ledger, &firing("A/3", 2, 2));
        assert_eq!(found, (expected, None), "{level} {incidents}");
    }
}

#[test]
fn a_firing_after_a_fix_is_judged_at_once() {
    let mut ledger = ledger();
    set(&mut ledger, Level::PermanentFix, true);
    let found = due(&mut ledger, &firing("A/2", 1, 1));
    assert_eq!(found, (Due::Soon, Some(Due::Soon)));
}

#[test]
fn what_opens_or_opens_again_or_gets_worse_does_not_wait_for_figures() {
    let mut ledger = ledger();
    set(&mut ledger, Level::PermanentFix, false);
    assert_eq!(due(&mut ledger, &firing("A/2", 1, 1)).1, Some(Due::Figures));
    let worse = with_severity(firing("A/3", 2, 2), "critical");
    assert_eq!(due(&mut ledger, &worse), (Due::Soon, Some(Due::Soon)));
    ledger.resolve(0, 10);
    let again = due(&mut ledger, &firing("A/4", 20, 20));
    assert_eq!(again, (Due::Soon, Some(Due::Soon)));
    let new = due(&mut ledger, &firing("A/5", 5000, 5000));
    assert_eq!(new, (Due::Soon, Some(Due::Soon)));
}

#[test]
fn what_can_rise_since_does_not_wait_for_the_figures_that_were_due() {
    let mut ledger = ledger();
    set(&mut ledger, Level::Escalate, false);
    let figures = due(&mut ledger, &firing("A/2", 1, 1));
    assert_eq!(figures, (Due::Figures, Some(Due::Figures)));
    assert_eq!(
        ledger.incidents[0].due_at,
        Some(NOW.after(Duration::from_secs(10)))
    );
    set(&mut ledger, Level::Escalate, true);
    let soon = due(&mut ledger, &firing("A/3", 2, 2));
    assert_eq!(soon, (Due::Soon, Some(Due::Soon)));
    assert_eq!(ledger.incidents[0].due_at, Some(NOW));
    // It has a job that does not wait.
    let again = due(&mut ledger, &firing("A/4", 3, 3));
    assert_eq!(again, (Due::Soon, None));
}

#[test]
fn an_age_can_raise_a_level_that_no_number_can() {
    let mut ledger = ledger();
    ledger.policy.rises = Rises::default();
    for level in [Level::None, Level::Repeat] {
        set(&mut ledger, level, false);
        ledger.clear_marks();
        let found = due(&mut ledger, &firing("A/2", 1, 5 * 3600));
        assert_eq!(found.0, Due::Soon, "{level}");
    }
}
