//! Made histories, and what is said of them.

mod made;

use serde_json::json;
use uuid::Uuid;

use super::neighbours::{CandidateAnomaly, Counted, Earlier, STORM, Surroundings, candidates};
use super::*;
use crate::text::Lang;
use crate::text::analysis::sentences;
use made::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-11-22T03:00:00Z, a Sunday.
const NOW: i64 = 1_795_316_400_000;

#[test]
fn five_histories_are_told() {
    let new = History {
        runbook: Some("https://runbooks.example.com/oom".to_owned()),
        ..history([0, 2 * DAY + HOUR, 6 * DAY])
    };
    insta::assert_snapshot!("a_new_anomaly", written(&new));

    let nightly = History {
        service: of_service(48),
        ..history((0..45).map(|night| night * DAY + night % 3 * MINUTE))
    };
    insta::assert_snapshot!("every_night_at_three", written(&nightly));

    // Twelve in this week at all hours, six in the three weeks before, and one long ago.
    let week = (0..12).map(|n| n * 13 * HOUR);
    let before = (0..6).map(|n| 8 * DAY + n * 77 * HOUR);
    let rising = History {
        service: of_service(45),
        ..history(week.chain(before).chain([200 * DAY]))
    };
    insta::assert_snapshot!("frequent_and_increasing", written(&rising));

    let around: Vec<Surroundings> = (1..6)
        .map(|week| surroundings(week * 4 * DAY, &[("PaymentDown", -2 * MINUTE), ("own", 0)]))
        .chain([surroundings(24 * DAY, &[("Unrelated", MINUTE)])])
        .collect();
    let together = History {
        neighbours: counted(&around, 8),
        service: of_service(15),
        before: vec![earlier("PaymentDown", "payment", "prod", 2)],
        ..history((0..7).map(|n| n * 4 * DAY + n * 5 * HOUR))
    };
    insta::assert_snapshot!("together_with_another", written(&together));

    let repaired = History {
        tried: vec![
            tried("restart_pod", 3, 0),
            tried("rollback", 1, 1),
            tried("scale_up", 2, 0),
            Tried {
                judged: 4,
                ..tried("flush_cache", 5, 5)
            },
            Tried {
                judged: 3,
                held: 3,
                ..tried("drain_node", 3, 2)
            },
        ],
        ..history([0, 45 * DAY])
    };
    insta::assert_snapshot!("repairs_that_were_judged_and_not", written(&repaired));
}

#[test]
fn a_first_incident_has_nothing_to_be_compared_with() {
    assert_eq!(kinds(&history([0])), ["first"]);
    assert_eq!(kinds(&history([0, DAY])), ["frequency", "thin"]);
    let enough = history((0..5).map(|n| n * 5 * HOUR));
    assert_eq!(kinds(&enough), ["frequency"]);
    // The others are not stored any more.
    let one =
        "1 incident is too few to say when it usually happens or whether it becomes more frequent.";
    let pruned = History {
        number: 12,
        first_seen: Some(Timestamp(NOW - 500 * DAY)),
        ..history([0])
    };
    assert_eq!(kinds(&pruned), ["frequency", "thin"]);
    let [Finding::Frequency(found), _] = &findings(&pruned)[..] else {
        panic!("no frequency");
    };
    assert_eq!((found.pace, found.previous_at), (Pace::Rare, None));
    assert!(written(&pruned).contains(one), "{}", written(&pruned));
}

#[test]
fn cards_show_what_says_something() {
    let made = |findings, generated: Option<&str>| Analysis {
        at: Timestamp(NOW),
        findings,
        generated: generated.map(|text| Generated {
            text: text.to_owned(),
            model: "m".to_owned(),
        }),
        not_generated: None,
    };
    let first = History {
        tried: vec![tried("rollback", 1, 1)],
        runbook: Some("https://example.com".to_owned()),
        ..history([0])
    };
    assert!(!made(findings(&first), None).is_on_cards());
    assert!(made(findings(&first), Some("Roll back.")).is_on_cards());
    assert!(made(findings(&history([0, DAY])), None).is_on_cards());
}

#[test]
fn an_anomaly_is_new_rare_occasional_or_frequent() {
    let spaced = |n: i64, days: i64| history((0..n).map(|at| at * days * DAY));
    let since = |history: History| History {
        first_seen: Some(Timestamp(NOW - 100 * DAY)),
        ..history
    };
    for (history, pace, incidents) in [
        (spaced(3, 2), Pace::New, 3),
        (spaced(2, 29), Pace::New, 2),
        (spaced(2, 30), Pace::Rare, 1),
        (since(spaced(3, 2)), Pace::Occasional, 3),
        (since(spaced(7, 2)), Pace::Occasional, 7),
        (since(spaced(8, 2)), Pace::Frequent, 8),
    ] {
        let found = frequency::frequency(&history).unwrap();
        assert_eq!((found.pace, found.incidents), (pace, incidents));
    }
}

#[test]
fn a_share_is_told_of_enough_incidents_of_a_service_that_has_a_name() {
    let share = |all, service: &str| {
        let history = History {
            service: of_service(all).map(|share| Share {
                service: service.to_owned(),
                ..share
            }),
            ..history([0, DAY])
        };
        frequency::frequency(&history).unwrap().service.is_some()
    };
    let only = History {
        service: of_service(6),
        ..history((0..6).map(|n| n * DAY))
    };
    let all = "6 incidents so far, all that service checkout in prod had in that time.";
    assert!(written(&only).contains(all), "{}", written(&only));
    assert!(share(5, "checkout"));
    assert!(!share(4, "checkout"));
    assert!(!share(5, ""));
}

#[test]
fn a_trend_is_more_than_chance() {
    // Incidents in the last week, and in the three weeks before.
    let trend = |week: i64, before: i64, oldest: i64| {
        let week = (0..week).map(|n| n * HOUR);
        let before = (0..before).map(|n| 7 * DAY + n * HOUR);
        frequency::trend(&history(week.chain(before).chain([oldest])))
    };
    let direction = |week, before| trend(week, before, 100 * DAY).map(|found| found.direction);
    assert_eq!(direction(6, 1), None, "seven are too few");
    assert_eq!(direction(6, 2), Some(Direction::Up));
    assert_eq!(direction(4, 12), None);
    assert_eq!(direction(8, 12), None);
    assert_eq!(direction(12, 12), Some(Direction::Up));
    assert_eq!(direction(1, 20), None);
    assert_eq!(direction(1, 30), Some(Direction::Down));
    assert_eq!(trend(12, 0, 20 * DAY), None, "it is not old enough");
}

#[test]
fn hours_are_told_of_days_and_not_of_incidents() {
    let at = |ago: Vec<i64>| calendar::hours(&history(ago).openings);
    let hours = |from, to, days, of_days| {
        Some(Hours {
            from_minute: from,
            to_minute: to,
            days,
            of_days,
        })
    };
    let nights = |n: i64| (0..n).map(|night| night * DAY).collect::<Vec<_>>();
    assert_eq!(at(nights(5)), hours(180, 180, 5, 5));
    assert_eq!(at(nights(4)), None, "four nights are too few");
    assert_eq!(at(nights(200)), hours(180, 180, 90, 90));
    let afternoon: Vec<i64> = (0..20).map(|n| n * 3 * MINUTE).collect();
    assert_eq!(at(afternoon), None, "one bad hour says nothing");
    let spread: Vec<i64> = (0..60).map(|n| n * 31 * HOUR).collect();
    assert_eq!(at(spread), None);
    // Every hour of every day, so that any hour has an incident each day.
    let always: Vec<i64> = (0..240).map(|n| n * HOUR).collect();
    assert_eq!(at(always), None);
    // Two incidents each night, on either side of midnight.
    let midnight = (0..10).flat_map(|night| {
        let at = night * DAY + 3 * HOUR;
        [at - 10 * MINUTE, at + 10 * MINUTE]
    });
    assert_eq!(at(midnight.collect()), hours(1430, 10, 10, 10));
}

#[test]
fn a_weekday_is_told_if_most_days_are_one() {
    let on = |ago: Vec<i64>| calendar::weekday(&history(ago).openings);
    let weekly: Vec<i64> = (0..6).map(|week| week * 7 * DAY).collect();
    let sunday = Weekday {
        weekday: 6,
        days: 6,
        of_days: 6,
    };
    assert_eq!(on(weekly), Some(sunday));
    let four: Vec<i64> = (0..4).map(|week| week * 7 * DAY).collect();
    assert_eq!(on(four), None, "four weeks are too few");
    assert_eq!(on((0..30).map(|day| day * DAY).collect()), None);
    let one_day: Vec<i64> = (0..30).map(|n| n * MINUTE).collect();
    assert_eq!(on(one_day), None);
}

#[test]
fn what_opens_together_does_so_more_often_than_chance() {
    let week = |n: i64, others: &[(&str, i64)]| surroundings(n * DAY, others);
    let close = [("a", 0), ("a", MINUTE), ("b", MINUTE), ("own", 0)];
    let around: Vec<Surroundings> = (1..=6)
        .map(|n| week(n, &close[..2 + (n % 2) as usize]))
        .collect();
    let (of, compared, found) = candidates(&around, "own");
    let of_a = found.iter().find(|c| c.anomaly_key == "a").unwrap();
    assert_eq!((of, compared, of_a.times, of_a.first), (6, 2, 6, 0));
    let of_b = found.iter().find(|c| c.anomaly_key == "b").unwrap();
    assert_eq!(of_b.times, 3);

    let together = |around: &[Surroundings], incidents| {
        let history = History {
            neighbours: counted(around, incidents),
            ..History::default()
        };
        let found = neighbours::together(&history);
        let told = found.map(|t| (t.anomaly_key, t.times, t.of, t.lift));
        told.collect::<Vec<_>>()
    };
    let names = |told: Vec<(String, i64, i64, i64)>| {
        told.into_iter().map(|(key, ..)| key).collect::<Vec<_>>()
    };
    let few = together(&around, 6);
    assert_eq!(few[0], ("a".to_owned(), 6, 6, 720));
    assert_eq!(names(few), ["a", "b"]);
    assert!(together(&around, 4_000).is_empty(), "it opens all the time");
    let twice: Vec<Surroundings> = (1..=2).map(|n| week(n, &close)).collect();
    assert!(together(&twice, 2).is_empty(), "two are too few");

    // In a storm everything opens together.
    let many: Vec<String> = (0..STORM).map(|n| format!("k{n}")).collect();
    let many: Vec<(&str, i64)> = many.iter().map(|key| (key.as_str(), 0)).collect();
    let storms: Vec<Surroundings> = (1..=6).map(|n| week(n, &many)).collect();
    assert_eq!(candidates(&storms, "own"), (0, 0, Vec::new()));
}

#[test]
fn what_opened_before_is_told_if_it_is_in_the_same_place() {
    let near = History {
        before: vec![
            earlier("elsewhere", "checkout", "test", 1),
            earlier("namespace", "cart", "prod", 2),
            earlier("service", "checkout", "prod", 3),
            earlier("service", "checkout", "prod", 4),
            earlier("another", "stock", "prod", 5),
        ],
        ..history([0])
    };
    let names = |together: &[Together]| -> Vec<(String, i64)> {
        let found = neighbours::before(&near, together).into_iter();
        found.map(|b| (b.alert_name, b.seconds)).collect()
    };
    let (service, namespace) = (("service".to_owned(), 180), ("namespace".to_owned(), 120));
    assert_eq!(names(&[]), [service, namespace.clone()]);
    let together = json!({
        "anomaly_key": near.before[2].anomaly_key, "alert_name": "service", "service": "checkout",
        "times": 3, "of": 3, "lift": 9, "first": 3,
    });
    let together: Together = serde_json::from_value(together).unwrap();
    let another = ("another".to_owned(), 300);
    assert_eq!(names(&[together]), [namespace, another], "said once");
    // In a storm everything opened before.
    let storm = |others: usize| History {
        before: vec![earlier("service", "checkout", "prod", 1); others],
        ..history([0])
    };
    assert_eq!(neighbours::before(&storm(STORM - 1), &[]).len(), 1);
    assert_eq!(neighbours::before(&storm(STORM), &[]), []);
    // What has no namespace shares none.
    let nowhere = History {
        before: vec![earlier("a", "", "", 1)],
        place: Place::default(),
        ..history([0])
    };
    assert_eq!(neighbours::before(&nowhere, &[]), []);
}

#[test]
fn an_analysis_is_stored_by_names_that_do_not_change() {
    let analysis = Analysis {
        at: Timestamp(NOW),
        findings: vec![
            Finding::First,
            Finding::Thin { incidents: 2 },
            Finding::Runbook {
                url: "https://example.com".to_owned(),
            },
        ],
        generated: None,
        not_generated: Some(NotGenerated::Budget),
    };
    let stored = r#"{"at":"2026-11-22T03:00:00.000Z","findings":[{"kind":"first"},{"kind":"thin","incidents":2},{"kind":"runbook","url":"https://example.com"}],"not_generated":"budget"}"#;
    assert_eq!(serde_json::to_string(&analysis).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Analysis>(stored).unwrap(), analysis);
    for why in NotGenerated::ALL {
        assert_eq!(serde_json::to_value(why).unwrap(), why.name());
    }
}

#[test]
fn a_finding_leads_to_its_evidence() {
    let evidence = |finding: Finding| finding.evidence("k");
    assert_eq!(evidence(Finding::First), None);
    let repairs = Finding::Repairs { tried: Vec::new() };
    assert_eq!(evidence(repairs), Some("/anomalies/k".to_owned()));
    let history = History {
        before: vec![earlier("a", "checkout", "prod", 1)],
        ..history([0])
    };
    let before = findings(&history).pop().unwrap();
    let page = format!("/incidents/{}", Uuid::from_u128(1));
    assert_eq!(evidence(before), Some(page));
}
