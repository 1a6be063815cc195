//! What people receive, and that nothing in an alert can break it.

mod checker;
mod samples;

use insta::assert_snapshot;
use serde_json::json;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::budget::Budget;
use tocsin::domain::escalation::Level;
use tocsin::entity::notifications::Kind;
use tocsin::time::Timestamp;

use self::checker::shown;
use self::samples::{MINUTE_MS, OPENED, bare, card, filled};
use super::log::Log;
use super::telegram::{Api, Telegram};
use super::{Card, Notifier};

const KINDS: [Kind; 3] = [Kind::Opened, Kind::Escalated, Kind::Reopened];

fn bot() -> Telegram {
    match Api::new("https://api.telegram.org", "1:secret") {
        Ok(api) => Telegram::new(&api, "-100123", Budget::new(1, 20, 30)),
        Err(error) => unreachable!("a client that is set up as always: {error}"),
    }
}

fn telegram(card: &Card) -> String {
    bot().render(card)
}

#[test]
fn an_incident_that_opens_for_the_first_time() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.number = 1;
    card.incident.repair_stats = None;
    if let Some(stats) = &mut card.incident.frequency_stats {
        (
            stats.count_1h,
            stats.count_24h,
            stats.count_7d,
            stats.count_30d,
        ) = (1, 1, 1, 1);
    }
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
    let bot = bot();
    for kind in KINDS {
        let plain_lines = bot.render(&filled(kind, "text")).lines().count();
        for text in texts {
            let start: String = text.chars().take(30).collect();
            let card = filled(kind, text);
            let html = bot.render(&card);
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
