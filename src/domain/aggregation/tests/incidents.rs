//! Which firings join an incident, which open one, and how it ends.

use super::*;
use crate::domain::alert::AlertStatus;
use crate::domain::episode::tests::{at, at_ms, delivery, firing, resolved};

const OPEN_FOR: i64 = 4 * 3600;

fn ledger(story: &[AlertDelivery]) -> Ledger {
    with(policy(), story)
}

fn with(policy: Policy, story: &[AlertDelivery]) -> Ledger {
    let mut ledger = Ledger::new(policy);
    ledger.enter_each(story);
    ledger.check();
    ledger
}

/// Which episodes are of which incident, by number, in the order of their starts.
fn homes(ledger: &Ledger) -> Vec<Option<i64>> {
    let number = |id| {
        ledger
            .incidents
            .iter()
            .find(|i| i.id == id)
            .map(|i| i.number)
    };
    let episodes = ledger.episodes.values();
    episodes.map(|e| e.incident.and_then(number)).collect()
}

#[test]
fn an_incident_is_joined_until_the_window_from_its_first_alert_has_passed() {
    for (received_ms, incidents) in [(5_000, 1), (604_999, 1), (605_000, 2), (605_001, 2)] {
        let mut ledger = ledger(&[firing("A/1", 0, 5)]);
        let span = (Some(at(3)), None);
        ledger.enter(&delivery(
            "A/2",
            AlertStatus::Firing,
            span,
            at_ms(received_ms),
        ));
        assert_eq!(ledger.incidents.len(), incidents, "at {received_ms} ms");
        ledger.check();
    }
}

#[test]
fn joining_does_not_move_the_window() {
    let ledger = ledger(&[
        firing("A/1", 0, 0),
        firing("A/2", 500, 500),
        firing("A/3", 599, 599),
        firing("A/4", 601, 601),
    ]);
    assert_eq!(homes(&ledger), [Some(1), Some(1), Some(1), Some(2)]);
    assert_eq!(
        ledger.states(),
        [(3, 3, Status::Open), (1, 1, Status::Open)]
    );
    assert_eq!(ledger.incidents[0].window_start, at(0));
}

#[test]
fn anomalies_do_not_share_incidents() {
    let ledger = ledger(&[
        firing("A/1", 0, 0),
        firing("B/1", 0, 0),
        firing("A/2", 0, 0),
    ]);
    assert_eq!(
        ledger.states(),
        [(2, 2, Status::Open), (1, 1, Status::Open)]
    );
    assert!(ledger.incidents.iter().all(|i| i.number == 1));
}

#[test]
fn only_a_new_episode_joins_or_opens() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    for received in [10, 599, 700, 90_000] {
        ledger.enter(&firing("A/1", 0, received));
    }
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
}

#[test]
fn an_incident_resolves_with_the_last_of_its_episodes() {
    let mut ledger = ledger(&[
        firing("A/1", 0, 0),
        firing("A/2", 0, 0),
        resolved("A/1", 0, 50, 60),
    ]);
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
    ledger.enter(&resolved("A/1", 0, 50, 61));
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
    ledger.enter(&resolved("A/2", 0, 70, 80));
    assert_eq!(ledger.states(), [(2, 0, Status::Resolved)]);
    assert_eq!(ledger.incidents[0].resolved_by, Some(ResolvedBy::Itself));
    assert_eq!(ledger.incidents[0].resolved_at, Some(at(80)));
}

#[test]
fn an_incident_is_never_resolved_before_it_opened() {
    // The resolve overtook no firing: it was received first and entered second.
    let ledger = ledger(&[firing("A/1", 0, 100), resolved("A/1", 0, 50, 60)]);
    assert_eq!(ledger.incidents[0].resolved_at, Some(at(100)));
}

#[test]
fn an_incident_that_resolved_by_itself_is_joined_within_its_window_and_open_again_silently() {
    let mut ledger = ledger(&[firing("A/1", 0, 0), resolved("A/1", 0, 50, 60)]);
    let (_, batch) = ledger.commit(&[&firing("A/1", 300, 300)]);
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
    let incident = &ledger.incidents[0];
    assert_eq!((incident.resolved_by, incident.resolved_at), (None, None));
    assert_eq!(incident.reopened, 0);
    assert!(batch.reopenings.is_empty());
    let undone = RevertedResolve {
        resolved_at: at(60),
        resolved_by: Some(ResolvedBy::Itself),
        reopened_at: at(300),
    };
    assert_eq!(batch.incidents[&incident.id].undone, [undone]);
    ledger.check();
}

#[test]
fn an_incident_that_resolves_and_opens_again_in_one_batch_keeps_both() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    let batch = [
        resolved("A/1", 0, 50, 60),
        firing("A/1", 300, 300),
        resolved("A/1", 300, 350, 350),
        firing("A/2", 400, 340),
    ];
    let (_, batch) = ledger.commit(&batch.iter().collect::<Vec<_>>());
    let undone = &batch.incidents[&ledger.incidents[0].id].undone;
    let times: Vec<_> = undone
        .iter()
        .map(|undone| (undone.resolved_at, undone.reopened_at))
        .collect();
    // What was received before the end was is not entered before it.
    assert_eq!(times, [(at(60), at(300)), (at(350), at(350))]);
}

#[test]
fn a_newer_episode_of_the_same_series_keeps_the_incident_that_it_joins_open() {
    let ledger = ledger(&[firing("A/1", 0, 0), firing("A/1", 300, 300)]);
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
}

#[test]
fn an_incident_that_a_person_resolved_is_not_joined() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.resolve(0, 100);
    ledger.enter(&firing("A/2", 200, 200));
    assert_eq!(
        ledger.states(),
        [(1, 1, Status::Resolved), (1, 1, Status::Open)]
    );
    ledger.check();
}

#[test]
fn a_persons_resolve_stays_theirs_when_the_episodes_end() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.resolve(0, 100);
    ledger.enter(&resolved("A/1", 0, 200, 200));
    let incident = &ledger.incidents[0];
    assert_eq!(incident.resolved_by, Some(ResolvedBy::Person));
    assert_eq!(incident.resolved_at, Some(at(100)));
    assert_eq!(incident.open_episodes, 0);
}

#[test]
fn still_firing_past_the_window_reopens_a_manually_resolved_incident_and_notifies_once() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.resolve(0, 1000);
    ledger.clear_marks();
    for received in [900, 1001, 1600] {
        let (_, batch) = ledger.commit(&[&firing("A/1", 0, received)]);
        assert!(batch.reopenings.is_empty(), "at {received}");
        assert_eq!(ledger.states(), [(1, 1, Status::Resolved)]);
    }
    assert!(ledger.incidents[0].due_at.is_none());
    let twice = [firing("A/1", 0, 1601), firing("A/1", 0, 1700)];
    let (_, batch) = ledger.commit(&[&twice[0], &twice[1]]);
    let id = ledger.incidents[0].id;
    assert_eq!(batch.reopenings, [(id, 1)]);
    let undone = RevertedResolve {
        resolved_at: at(1000),
        resolved_by: Some(ResolvedBy::Person),
        reopened_at: at(1601),
    };
    assert_eq!(batch.incidents[&id].undone, [undone]);
    assert_eq!(ledger.states(), [(1, 1, Status::Open)]);
    assert!(ledger.incidents[0].due_at.is_some());
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 9000)]);
    assert!(batch.reopenings.is_empty());

    ledger.resolve(0, 10_000);
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 10_601)]);
    assert_eq!(batch.reopenings, [(id, 2)]);
    assert_eq!(ledger.incidents[0].reopened, 2);
}

#[test]
fn a_late_firing_of_a_closed_episode_does_not_open_a_persons_incident_again() {
    let mut ledger = ledger(&[firing("A/1", 0, 0), resolved("A/1", 0, 50, 60)]);
    ledger.resolve(0, 100);
    let (_, batch) = ledger.commit(&[&firing("A/1", 0, 660)]);
    assert!(batch.reopenings.is_empty());
    assert_eq!(ledger.states(), [(1, 0, Status::Resolved)]);
}

#[test]
fn until_resolved_an_incident_is_joined_for_as_long_as_it_is_open() {
    let until = Until::Resolved;
    let mut ledger = with(
        Policy { until, ..policy() },
        &[
            firing("A/1", 0, 0),
            firing("A/2", 5000, 5000),
            resolved("A/1", 0, 6000, 6000),
            firing("A/1", 9000, 9000),
        ],
    );
    assert_eq!(ledger.states(), [(3, 2, Status::Open)]);
    ledger.enter_each(&[
        resolved("A/1", 9000, 9100, 9100),
        resolved("A/2", 5000, 9200, 9200),
    ]);
    assert_eq!(ledger.states(), [(3, 0, Status::Resolved)]);
    ledger.enter(&firing("A/1", 9300, 9300));
    assert_eq!(ledger.states().len(), 2);
    ledger.check();
}

#[test]
fn until_resolved_the_window_holds_as_well() {
    let until = Until::Resolved;
    let ledger = with(
        Policy { until, ..policy() },
        &[
            firing("A/1", 0, 0),
            resolved("A/1", 0, 50, 60),
            firing("A/1", 300, 300),
        ],
    );
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
}

#[test]
fn until_resolved_a_persons_resolve_is_not_joined_either() {
    let until = Until::Resolved;
    let mut ledger = with(Policy { until, ..policy() }, &[firing("A/1", 0, 0)]);
    ledger.resolve(0, 10);
    ledger.enter(&firing("A/2", 20, 20));
    assert_eq!(ledger.states().len(), 2);
}

#[test]
fn without_auto_resolve_an_incident_stays_as_it_is() {
    let auto_resolve = false;
    let mut ledger = with(
        Policy {
            auto_resolve,
            ..policy()
        },
        &[firing("A/1", 0, 0), resolved("A/1", 0, 50, 60)],
    );
    assert_eq!(ledger.states(), [(1, 0, Status::Open)]);
    ledger.enter(&firing("A/1", 300, 300));
    assert_eq!(ledger.states(), [(2, 1, Status::Open)]);
    ledger.check();
}

#[test]
fn an_acknowledged_incident_is_joined_as_it_is() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.acknowledge(0);
    ledger.enter(&firing("A/2", 100, 100));
    assert_eq!(ledger.states(), [(2, 2, Status::Acknowledged)]);
}

#[test]
fn opening_and_joining_make_an_incident_due_and_a_re_send_or_an_end_does_not() {
    let mut ledger = Ledger::new(policy());
    for (delivery, due) in [
        (firing("A/1", 0, 0), true),
        (firing("A/1", 0, 10), false),
        (firing("A/2", 20, 20), true),
        (resolved("A/2", 20, 30, 30), false),
        (resolved("A/3", 20, 30, 40), false),
    ] {
        ledger.clear_marks();
        ledger.enter(&delivery);
        assert_eq!(ledger.incidents[0].due_at.is_some(), due, "{delivery:?}");
    }
}

#[test]
fn a_late_delivery_of_a_firing_makes_its_incident_due() {
    let due_at = |seconds, level| {
        let mut ledger = ledger(&[firing("A/1", 0, 100)]);
        ledger.clear_marks();
        ledger.anomalies.values_mut().next().unwrap().level = level;
        ledger.enter(&firing("A/1", 0, seconds));
        ledger.incidents[0].due_at.is_some()
    };
    assert!(!due_at(100 + OPEN_FOR - 1, Level::None));
    assert!(due_at(100 + OPEN_FOR, Level::None));
    assert!(due_at(100 + OPEN_FOR + 1, Level::Repeat));
    assert!(!due_at(100 + OPEN_FOR, Level::Escalate));
    assert!(!due_at(100 + OPEN_FOR, Level::PermanentFix));
}

#[test]
fn an_end_or_a_late_firing_of_what_is_over_does_not_make_an_incident_last() {
    let mut ledger = ledger(&[firing("A/1", 0, 0), firing("A/2", 0, 0)]);
    ledger.clear_marks();
    ledger.enter(&resolved("A/1", 0, OPEN_FOR + 5, OPEN_FOR + 10));
    ledger.enter(&firing("A/1", 0, OPEN_FOR + 10));
    assert!(ledger.incidents[0].due_at.is_none());
    assert_eq!(ledger.incidents[0].last_firing_at, at(0));
}

#[test]
fn a_manual_resolve_ends_the_duration_of_an_incident() {
    let mut ledger = ledger(&[firing("A/1", 0, 0)]);
    ledger.resolve(0, OPEN_FOR);
    ledger.clear_marks();
    ledger.enter(&firing("A/1", 0, OPEN_FOR + 60));
    assert!(ledger.incidents[0].due_at.is_none());
}
