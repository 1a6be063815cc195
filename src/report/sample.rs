//! A report with something of everything.

use super::*;
use crate::domain::escalation::Level;

pub(crate) fn sample() -> Report {
    let at = |text| Timestamp::parse(text).unwrap();
    let compared = |count, before| Compared { count, before };
    let day = |n: i64| Day {
        from: Timestamp(at("2026-11-23T09:00:00Z").0 + n * DAY),
        alerts: 100 * n,
        occurrences: 10 * n,
        incidents: n,
        messages: n + 1,
    };
    Report {
        from: at("2026-11-23T09:00:00Z"),
        to: at("2026-11-30T09:00:00Z"),
        made_at: at("2026-11-30T09:00:12Z"),
        unit: Unit::Episode,
        alerts: compared(12_345, Some(9_000)),
        occurrences: compared(1_182, Some(1_182)),
        incidents: compared(83, Some(120)),
        messages: compared(30, Some(0)),
        kept_away: KeptAway {
            digested: 40,
            muted: 12,
            on_card: 7,
            flapping: 3,
            failed: 1,
            pending: 0,
        },
        days: (0..7).map(day).collect(),
        returning: vec![ReturningAnomaly {
            key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            alert_name: "DiskFull".to_owned(),
            service: "db|1".to_owned(),
            namespace: "prod".to_owned(),
            level: Level::PermanentFix,
            occurrences: compared(182, Some(91)),
            days: vec![10, 20, 30, 40, 50, 20, 12],
        }],
        new_anomalies: 1,
        newest: vec![NewAnomaly {
            key: "6d41402abc4b2a76b9719d911017c592".to_owned(),
            alert_name: "QueueStuck".to_owned(),
            service: String::new(),
            namespace: "prod".to_owned(),
            first_seen: at("2026-11-25T12:00:00Z"),
            count: 3,
        }],
        repairs: Repairs {
            all: Outcomes {
                attempts: 13,
                verified: 6,
                disproved: 5,
                superseded: 1,
                unknown: 1,
            },
            actions: vec![ActionOutcomes {
                action: "restart_pod".to_owned(),
                outcomes: Outcomes {
                    attempts: 9,
                    verified: 2,
                    disproved: 5,
                    superseded: 1,
                    unknown: 1,
                },
            }],
        },
        failed_fixes: vec![FailedFix {
            key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            alert_name: "DiskFull".to_owned(),
            service: "db|1".to_owned(),
            namespace: "prod".to_owned(),
            fixed_at: at("2026-11-20T09:00:00Z"),
            reference: Some("PR-7".to_owned()),
            failed_at: at("2026-11-26T09:00:00Z"),
        }],
        acknowledge: Took {
            incidents: 20,
            median_ms: Some(240_000),
        },
        resolve: Took {
            incidents: 80,
            median_ms: Some(3_900_000),
        },
        dead_letters: DeadLetters {
            count: 3,
            undecided: 1,
            queues: vec![DeadLettersOf {
                queue: "notify".to_owned(),
                count: 3,
            }],
        },
        incomplete: vec![Incomplete {
            figures: Figures::Occurrences,
            since: at("2026-11-24T00:00:00Z"),
        }],
    }
}
