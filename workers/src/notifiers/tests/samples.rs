//! Cards to render.

use serde_json::json;
use tocsin::domain::aggregation::{Status, Unit};
use tocsin::domain::analysis::{Analysis, Finding, Generated, Hours, Together};
use tocsin::domain::effectiveness::{RepairEntry, RepairStats};
use tocsin::domain::escalation::Level;
use tocsin::domain::frequency::{FrequencyStats, Window};
use tocsin::domain::notification::Kind;
use tocsin::domain::reason::{Counted, LevelRule, Reason};
use tocsin::domain::recommendation::{
    FailedFix, Figures, FiguresOf, Recommendation, Rule, Tried, Why,
};
use tocsin::domain::tier::decide;
use tocsin::domain::verdict::Verdict;
use tocsin::entity::{anomalies, incidents};
use tocsin::time::Timestamp;
use uuid::Uuid;

use crate::notifiers::{Card, Muted};

/// 2026-11-22T21:28:29Z.
pub(crate) const OPENED: Timestamp = Timestamp(1_795_382_909_102);
pub(crate) const MINUTE_MS: i64 = 60_000;

fn stats(level: Level) -> FrequencyStats {
    let (day, week) = match level {
        Level::PermanentFix => (12, 12),
        _ => (7, 9),
    };
    FrequencyStats {
        anomaly_key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
        count_1h: 3,
        count_24h: day,
        count_7d: week,
        count_30d: 12,
        first_seen: Some(OPENED),
        last_seen: Some(OPENED),
        escalation_level: level,
    }
}

fn repairs() -> RepairStats {
    RepairStats {
        total_attempts: 5,
        successful_attempts: 2,
        last_repair_action: Some("restart_pod".to_owned()),
        last_repair_time: Some(OPENED),
        repair_history: Vec::new(),
        recommended_tier: 2,
    }
}

/// The newest repair, by somebody.
pub(crate) fn repaired(operator: Option<&str>) -> RepairEntry {
    RepairEntry {
        action: "restart_pod".to_owned(),
        success: true,
        timestamp: OPENED,
        operator: operator.map(str::to_owned),
        verdict: None,
        duration_ms: None,
        quiet_after_ms: None,
        note: None,
    }
}

/// A crash-looping pod, for the third time.
pub(crate) fn card(kind: Kind, level: Level) -> Card {
    let count = |figure, window, threshold| Counted {
        figure,
        unit: Unit::Episode,
        window,
        incidents: None,
        or_more: false,
        threshold,
        spread: None,
    };
    let why = match level {
        Level::None => None,
        Level::Repeat => Some(count(3, Window::Hour, 3)),
        Level::Escalate => Some(Counted {
            incidents: Some(2),
            ..count(7, Window::Day, 5)
        }),
        Level::PermanentFix => Some(Counted {
            incidents: Some(4),
            spread: Some(3),
            ..count(12, Window::Day, 10)
        }),
    };
    let (tier, tier_rule) = decide(level, 0, false);
    Card {
        kind,
        incident: incidents::Model {
            id: Uuid::from_u128(0x019a_ad6b_8bae_7c31_9d0e_52a1_7fb3_09c4),
            anomaly_key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            number: 3,
            title: "Pod checkout-7d9f is crash looping".to_owned(),
            severity: "critical".to_owned(),
            severity_order: 0,
            level_order: 0,
            severity_rises: 0,
            status: Status::Open,
            resolved_by: None,
            operator: None,
            labels: json!({"alertname": "KubePodCrashLooping", "pod": "checkout-7d9f"}),
            annotations: json!({
                "summary": "Pod checkout-7d9f is crash looping",
                "description": "Container app of pod prod/checkout-7d9f was OOM-killed 3 times in \
                                10 minutes.\n  VALUE = 0.3\n  LABELS = map[container:app]",
                "runbook_url": "https://runbooks.example.com/crash-looping?team=shop&page=1",
            }),
            source: "alertmanager".to_owned(),
            generator_url: Some("https://prometheus.example.com/graph?g0.expr=up%3C1".to_owned()),
            tier: Some(tier.number()),
            tier_reason: Some(tier_rule.into()),
            frequency_stats: Some(stats(level)),
            repair_stats: Some(repairs()),
            is_aggregated: false,
            aggregated_count: 1,
            pruned_episodes: 0,
            aggregation_window_start: OPENED,
            open_episodes: 1,
            last_firing_at: Timestamp(OPENED.0 + 95 * MINUTE_MS),
            reopened: 0,
            doubted_since: None,
            unheard_since: None,
            tier_due_since: None,
            analyze_due_since: None,
            analysis: None,
            opened_at: OPENED,
            updated_at: OPENED,
            acknowledged_at: None,
            resolved_at: None,
        },
        anomaly: anomalies::Model {
            key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            alert_name: "KubePodCrashLooping".to_owned(),
            service: "checkout".to_owned(),
            namespace: "prod".to_owned(),
            error_type: "OOMKilled".to_owned(),
            made_of: None,
            first_seen: Some(OPENED),
            last_seen: Some(OPENED),
            total: 12,
            pruned_total: 0,
            pruned_before: None,
            level,
            level_seq: 2,
            risen_at: None,
            falling_since: None,
            flapping_since: None,
            reason: why.map(|counted| LevelRule::Count(counted).into()),
            permanent_fix_at: None,
            permanent_fix_reference: None,
            newest_incident: None,
            newest_number: 3,
            muted_since: None,
            muted_until: None,
            muted_by: None,
            muted_why: None,
            mute_broken_at: None,
        },
        at: OPENED,
        muted: None,
        again: None,
        page: None,
        run: None,
        recommendation: None,
    }
}

/// A card of which only what must be there is there.
pub(crate) fn bare(kind: Kind) -> Card {
    let mut card = card(kind, Level::None);
    let incident = &mut card.incident;
    incident.severity.clear();
    incident.annotations = json!({});
    incident.generator_url = None;
    incident.tier = None;
    incident.tier_reason = None;
    incident.frequency_stats = None;
    incident.repair_stats = None;
    card.anomaly.service.clear();
    card.anomaly.namespace.clear();
    card.anomaly.error_type.clear();
    card
}

/// What may be known of its past, which has `text` in it.
pub(in crate::notifiers) fn analysis(text: &str) -> Analysis {
    let together = Together {
        anomaly_key: "0cc175b9c0f1b6a831c399e269772661".to_owned(),
        alert_name: text.to_owned(),
        service: text.to_owned(),
        times: 6,
        of: 7,
        lift: 420,
        first: 5,
        seconds_before: Some(90),
    };
    let hours = Hours {
        from_minute: 180,
        to_minute: 182,
        days: 28,
        of_days: 30,
    };
    Analysis {
        at: OPENED,
        findings: vec![
            Finding::Hours(hours),
            Finding::Together(together),
            Finding::Runbook {
                url: "https://runbooks.example.com/crash-looping".to_owned(),
            },
        ],
        generated: Some(Generated {
            text: format!("Roll back. {text}"),
            model: text.to_owned(),
        }),
        not_generated: None,
    }
}

/// A card that is `text` wherever an alert, an operator or a repair can put some.
pub(crate) fn filled(kind: Kind, text: &str) -> Card {
    let mut card = card(kind, Level::PermanentFix);
    let (incident, anomaly) = (&mut card.incident, &mut card.anomaly);
    incident.title = text.to_owned();
    incident.severity = text.to_owned();
    incident.operator = Some(text.to_owned());
    incident.status = Status::Acknowledged;
    incident.annotations = json!({
        "description": format!("{text}."),
        "runbook_url": format!("https://example.com/?q=\"{text}"),
    });
    incident.generator_url = Some(format!("http://example.com/{text}#{text}"));
    incident.tier_reason = Some(Reason::Text(text.to_owned()));
    incident.analysis = Some(analysis(text));
    incident.aggregated_count = i64::MAX;
    incident.number = i64::MAX;
    incident.reopened = i64::MAX;
    if let Some(stats) = &mut incident.repair_stats {
        stats.last_repair_action = Some(text.to_owned());
        let noted = RepairEntry {
            note: Some(text.to_owned()),
            duration_ms: Some(i64::MAX),
            quiet_after_ms: Some(i64::MAX),
            ..repaired(Some(text))
        };
        let held = RepairEntry {
            action: text.to_owned(),
            verdict: Some(Verdict::Verified),
            ..noted.clone()
        };
        stats.repair_history = vec![noted, held];
    }
    anomaly.alert_name = text.to_owned();
    anomaly.service = text.to_owned();
    anomaly.namespace = text.to_owned();
    anomaly.error_type = text.to_owned();
    anomaly.reason = Some(Reason::Text(text.to_owned()));
    card.muted = Some(Muted {
        until: OPENED,
        by: Some(text.to_owned()),
    });
    card.page = Some(format!("https://tocsin.example.com/{text}"));
    card.recommendation = Some(recommendation(text));
    card
}

/// What may be recommended, with `text` for all that somebody else wrote; the fix of three days before did not hold.
pub(crate) fn recommendation(text: &str) -> Recommendation {
    Recommendation {
        action: Some(text.to_owned()),
        tier: 4,
        rule: Rule::Held,
        playbook: Some("pods".to_owned()),
        figures: Some(Figures {
            of: FiguresOf::Anomaly,
            held: 4,
            verdicts: 5,
            lower_bound: 0.37,
            effective: Some(true),
            nothing_held: 1,
            nothing_episodes: 9,
        }),
        why: Why {
            fix: Some(FailedFix {
                reference: Some(text.to_owned()),
                fixed_at: Timestamp(OPENED.0 - 3 * 1440 * MINUTE_MS),
                fired_at: Some(OPENED),
                held_ms: Some(3 * 1440 * MINUTE_MS),
            }),
            raised_from: Some(3),
            tried: vec![
                Tried {
                    action: "restart_pod".to_owned(),
                    attempts: 3,
                    held: 0,
                    verdicts: 3,
                },
                Tried {
                    action: text.to_owned(),
                    attempts: 5,
                    held: 4,
                    verdicts: 5,
                },
            ],
            ..Why::default()
        },
        alternatives: Vec::new(),
    }
}
