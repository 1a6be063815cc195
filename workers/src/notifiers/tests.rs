//! What people receive, and that nothing in an alert can break it.

use insta::assert_snapshot;
use serde_json::json;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::effectiveness::RepairStats;
use tocsin::domain::escalation::Level;
use tocsin::domain::frequency::FrequencyStats;
use tocsin::entity::notifications::Kind;
use tocsin::entity::{anomalies, incidents};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::log::Log;
use super::telegram::Telegram;
use super::{Card, Notifier};

/// 2026-11-22T21:28:29Z.
const OPENED: Timestamp = Timestamp(1_795_382_909_102);
const MINUTE_MS: i64 = 60_000;
const KINDS: [Kind; 3] = [Kind::Opened, Kind::Escalated, Kind::Reopened];

fn telegram(card: &Card) -> String {
    match Telegram::new("https://api.telegram.org", "1:secret", "-100123") {
        Ok(telegram) => telegram.render(card),
        Err(error) => unreachable!("a client that is set up as always: {error}"),
    }
}

fn stats(level: Level) -> FrequencyStats {
    FrequencyStats {
        anomaly_key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
        count_1h: 3,
        count_24h: 7,
        count_7d: 9,
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

/// A crash-looping pod, for the third time.
fn card(kind: Kind, level: Level) -> Card {
    let why = match level {
        Level::None => None,
        Level::Repeat => Some("3 in 1h (≥ 3)"),
        Level::Escalate => Some("7 in 24h (≥ 5)"),
        Level::PermanentFix => Some("12 in 24h (≥ 10)"),
    };
    let (tier, tier_reason) = match level {
        Level::None | Level::Repeat => (1, "nothing calls for more"),
        Level::Escalate => (2, "level is ESCALATE"),
        Level::PermanentFix => (3, "level is PERMANENT_FIX"),
    };
    Card {
        kind,
        incident: incidents::Model {
            id: Uuid::from_u128(0x019a_ad6b_8bae_7c31_9d0e_52a1_7fb3_09c4),
            anomaly_key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            number: 3,
            title: "Pod checkout-7d9f is crash looping".to_owned(),
            severity: "critical".to_owned(),
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
            tier: Some(tier),
            tier_reason: Some(tier_reason.to_owned()),
            frequency_stats: Some(stats(level)),
            repair_stats: Some(repairs()),
            is_aggregated: false,
            aggregated_count: 1,
            aggregation_window_start: OPENED,
            open_episodes: 1,
            last_firing_at: Timestamp(OPENED.0 + 95 * MINUTE_MS),
            reopened: 0,
            tier_due_since: None,
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
            first_seen: Some(OPENED),
            last_seen: Some(OPENED),
            total: 12,
            level,
            level_seq: 2,
            reason: why.map(str::to_owned),
            permanent_fix_at: None,
            permanent_fix_reference: None,
            newest_incident: None,
            newest_number: 3,
        },
    }
}

/// A card of which only what must be there is there.
fn bare(kind: Kind) -> Card {
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

/// A card that is `text` wherever an alert, an operator or a repair can put some.
fn filled(kind: Kind, text: &str) -> Card {
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
    incident.tier_reason = Some(text.to_owned());
    incident.aggregated_count = i64::MAX;
    incident.number = i64::MAX;
    incident.reopened = i64::MAX;
    if let Some(stats) = &mut incident.repair_stats {
        stats.last_repair_action = Some(text.to_owned());
    }
    anomaly.alert_name = text.to_owned();
    anomaly.service = text.to_owned();
    anomaly.namespace = text.to_owned();
    anomaly.error_type = text.to_owned();
    anomaly.reason = Some(text.to_owned());
    card
}

/// Reads HTML as strictly as Telegram could, and returns the text that is shown.
fn shown(html: &str) -> Result<String, String> {
    let mut shown = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '>', '&', '"']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let entities = [
                ("&amp;", '&'),
                ("&lt;", '<'),
                ("&gt;", '>'),
                ("&quot;", '"'),
            ];
            let (entity, c) = entities
                .into_iter()
                .find(|(entity, _)| rest.starts_with(entity))
                .ok_or_else(|| format!("a bare & in {html}"))?;
            shown.push(c);
            rest = &rest[entity.len()..];
            continue;
        }
        let (tag, after) = rest
            .strip_prefix('<')
            .and_then(|tag| tag.split_once('>'))
            .ok_or_else(|| format!("a bare {} in {html}", &rest[..1]))?;
        rest = after;
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("{closed} is closed and was not open in {html}"));
            }
        } else if let Some(href) = tag
            .strip_prefix("a href=\"")
            .and_then(|t| t.strip_suffix('"'))
        {
            let plain = shown_attribute(href)?;
            if !plain.starts_with("https://") && !plain.starts_with("http://") {
                return Err(format!("a link to {plain}"));
            }
            open.push("a");
        } else if ["b", "i", "code"].contains(&tag) && open.is_empty() {
            open.push(tag);
        } else {
            return Err(format!("<{tag}> in {open:?} in {html}"));
        }
    }
    shown.push_str(rest);
    if open.is_empty() {
        Ok(shown)
    } else {
        Err(format!("{open:?} stay open in {html}"))
    }
}

fn shown_attribute(value: &str) -> Result<String, String> {
    if value.contains(['<', '>', '"']) {
        return Err(format!("unescaped: {value}"));
    }
    shown(value)
}

#[test]
fn an_incident_that_opens_for_the_first_time() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.number = 1;
    card.incident.repair_stats = None;
    assert_snapshot!(telegram(&card));
}

#[test]
fn an_incident_that_opens_escalated() {
    assert_snapshot!(telegram(&card(Kind::Opened, Level::Escalate)));
}

#[test]
fn an_incident_of_which_little_is_known() {
    assert_snapshot!(telegram(&bare(Kind::Opened)));
}

#[test]
fn an_incident_that_was_over_before_it_was_told() {
    let mut card = card(Kind::Opened, Level::Repeat);
    card.incident.status = Status::Resolved;
    card.incident.resolved_by = Some(ResolvedBy::Itself);
    card.incident.resolved_at = Some(Timestamp(OPENED.0 + 2 * MINUTE_MS));
    assert_snapshot!(telegram(&card));
}

#[test]
fn an_anomaly_that_rose_to_escalate() {
    let mut card = card(Kind::Escalated, Level::Escalate);
    card.incident.status = Status::Acknowledged;
    card.incident.operator = Some("alice".to_owned());
    card.incident.aggregated_count = 14;
    assert_snapshot!(telegram(&card));
}

#[test]
fn an_anomaly_that_needs_a_permanent_fix() {
    assert_snapshot!(telegram(&card(Kind::Escalated, Level::PermanentFix)));
}

#[test]
fn an_anomaly_that_calmed_down_before_its_rise_was_told() {
    assert_snapshot!(telegram(&card(Kind::Escalated, Level::Repeat)));
}

#[test]
fn an_incident_that_somebody_resolved_too_early() {
    let mut card = card(Kind::Reopened, Level::Repeat);
    card.incident.operator = Some("alice".to_owned());
    card.incident.reopened = 2;
    assert_snapshot!(telegram(&card));
}

#[test]
fn an_incident_that_nobody_known_resolved_too_early() {
    assert_snapshot!(telegram(&bare(Kind::Reopened)));
}

#[test]
fn the_log_has_each_message_on_one_line() {
    let lines = KINDS.map(|kind| Log.render(&card(kind, Level::Escalate)));
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn nothing_in_an_alert_breaks_the_message() {
    let long = "x".repeat(100_000);
    let (fire, family) = ("🔥".repeat(50_000), "👩‍👩‍👧‍👦a".repeat(10_000));
    let markup = "<b>&amp;</a>\"'><script>&#x41;".repeat(4_000);
    let breaks = "line\n\r\u{2028}</b>\n".repeat(10_000);
    let turns = "\u{202e}\u{2066}שלום עולם مرحبا ".repeat(10_000);
    let texts = [
        "",
        "\u{0}",
        "a\u{0}b\u{1b}[31m\u{9b}c\u{7f}",
        "<b>bold</b> & <a href=\"tg://x\">x</a> &lt;",
        "&&&<<<>>>\"\"\"",
        &long,
        &fire,
        &family,
        &markup,
        &breaks,
        &turns,
        &"&".repeat(100_000),
    ];
    for kind in KINDS {
        let plain_lines = telegram(&filled(kind, "text")).lines().count();
        for text in texts {
            let start: String = text.chars().take(30).collect();
            let card = filled(kind, text);
            let html = telegram(&card);
            let shown = shown(&html);
            let units = shown.as_deref().map(|text| text.encode_utf16().count());
            assert!(
                matches!(units, Ok(30..=4_096)),
                "{kind:?} {start:?}: {units:?} {shown:?}"
            );
            assert!(
                html.lines().count() <= plain_lines,
                "{kind:?} {start:?}: {html}"
            );
            let log = Log.render(&card);
            for text in [&html, &log] {
                let control = |c: char| c.is_control() && c != '\n';
                assert!(!text.contains(control), "{kind:?} {start:?}: {text:?}");
                assert!(
                    !text.contains(['\u{202e}', '\u{2066}', '\u{2028}']),
                    "{text:?}"
                );
            }
            assert!(
                !log.contains('\n') && log.len() < 20_000,
                "{kind:?} {start:?}: {log}"
            );
        }
    }
}

#[test]
fn what_is_not_as_expected_is_left_out() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.annotations = json!({"description": 7, "runbook_url": ["https://example.com"]});
    card.incident.generator_url = Some("javascript:alert(1)".to_owned());
    card.incident.tier = Some(9);
    card.incident.opened_at = Timestamp(i64::MAX);
    for annotations in [card.incident.annotations.clone(), json!(null), json!([])] {
        card.incident.annotations = annotations;
        let html = telegram(&card);
        for absent in ["href", "Tier", "javascript", "UTC"] {
            assert!(!html.contains(absent), "{absent} in {html}");
        }
    }
}

#[test]
fn the_checker_refuses_what_telegram_would() {
    for broken in [
        "<b>",
        "</b>",
        "<b><i></b></i>",
        "a & b",
        "a < b",
        "<u>x</u>",
        "\"",
        "&nbsp;",
    ] {
        assert!(shown(broken).is_err(), "{broken}");
    }
    let fine = "a &amp; <b>b&lt;</b><a href=\"https://x/?a=1&amp;b=2\">c</a>";
    assert_eq!(shown(fine).as_deref(), Ok("a & b<c"));
}
