//! What people receive, and that nothing in an alert can break it.

mod checker;
mod samples;

use std::sync::LazyLock;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tocsin::config::{self, Payload, Secret};
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::budget::Budget;
use tocsin::domain::escalation::Level;
use tocsin::domain::reason::{Lasting, LevelRule, TierRule};
use tocsin::entity::notifications::Kind;
use tocsin::text::Lang;
use tocsin::time::Timestamp;

use self::checker::shown;
use self::samples::{MINUTE_MS, OPENED, bare, card, filled, repaired};
use super::log::Log;
use super::telegram::{Api, Telegram};
use super::webhook::Webhook;
use super::{Card, Muted, Notifier, markup, message};

const KINDS: [Kind; 5] = [
    Kind::Opened,
    Kind::Escalated,
    Kind::Reopened,
    Kind::Resolved,
    Kind::Repeated,
];

/// One for each language: a client takes its time to set up.
static BOTS: LazyLock<[Telegram; 2]> = LazyLock::new(|| {
    let api = match Api::new("https://api.telegram.org", "1:secret") {
        Ok(api) => api,
        Err(error) => unreachable!("a client that is set up as always: {error}"),
    };
    let bot = |lang| Telegram::new(&api, "-100123", Budget::new(1, 20, 30)).in_language(lang);
    Lang::ALL.map(bot)
});
static EVENTS: LazyLock<[Webhook; 2]> =
    LazyLock::new(|| Lang::ALL.map(|lang| webhook(Payload::Event, lang)));

fn bot(lang: Lang) -> &'static Telegram {
    &BOTS[lang as usize]
}

fn webhook(payload: Payload, lang: Lang) -> Webhook {
    let settings = config::Webhook {
        url: Secret::from("https://example.com/hook"),
        secret: None,
        payload,
    };
    match Webhook::new("ops", &settings, lang) {
        Ok(webhook) => webhook,
        Err(error) => unreachable!("an address: {error}"),
    }
}

/// What a webhook gets as an event.
fn event(card: &Card, lang: Lang) -> String {
    EVENTS[lang as usize].render(card)
}

/// What Telegram gets, in every language.
fn telegram(card: &Card) -> String {
    let each = Lang::ALL.map(|lang| format!("[{}]\n{}", lang.tag(), bot(lang).render(card)));
    each.join("\n\n")
}

#[test]
fn a_card_that_is_edited_later_tells_the_figure_that_stands_beside_it() {
    let told = |level, counted| {
        let mut card = card(Kind::Escalated, Level::Escalate);
        if let Some(stats) = &mut card.incident.frequency_stats {
            stats.count_24h = counted;
            stats.escalation_level = level;
        }
        bot(Lang::English).render(&card)
    };
    for (level, counted, expected) in [
        (
            Level::Escalate,
            9,
            "9 firings in the last 24 hours. ESCALATE starts at 5 firings.",
        ),
        (
            Level::Escalate,
            4,
            "When the rule last matched: 7 firings in 2 incidents in the last 24 hours.",
        ),
        (
            Level::PermanentFix,
            11,
            "When the rule last matched: 7 firings in 2 incidents in the last 24 hours.",
        ),
    ] {
        let card = told(level, counted);
        assert!(card.contains(expected), "{card}");
    }
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
fn an_incident_that_opens_escalated_with_a_page_to_look_at() {
    let mut card = card(Kind::Opened, Level::Escalate);
    card.page = Some("https://tocsin.example.com/incidents/019aad6b".to_owned());
    assert_snapshot!(telegram(&card));
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
fn an_incident_that_somebody_resolved() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.status = Status::Resolved;
    card.incident.resolved_by = Some(ResolvedBy::Person);
    card.incident.operator = Some("alice".to_owned());
    card.incident.resolved_at = Some(Timestamp(OPENED.0 + 2 * MINUTE_MS));
    assert_snapshot!(telegram(&card));
}

#[test]
fn an_incident_that_is_not_heard_of_and_one_that_was_closed_for_that() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.unheard_since = Some(OPENED);
    let lines = |card: &Card| Lang::ALL.map(|lang| bot(lang).render(card));
    for (shown, expected) in lines(&card).iter().zip([
        "⌛ Stale: not received since 2026-11-22 21:28 UTC; it may be silenced or over\n",
        "⌛ 逾時未更新：自 2026-11-22 21:28 UTC 起未再收到，可能已被靜默，或已結束\n",
    ]) {
        assert!(shown.contains(expected), "{shown}");
    }
    card.incident.unheard_since = None;
    card.incident.status = Status::Resolved;
    card.incident.resolved_by = Some(ResolvedBy::Unseen);
    card.incident.resolved_at = Some(Timestamp(OPENED.0 + 2880 * MINUTE_MS));
    for (shown, expected) in lines(&card)
        .iter()
        .zip(["❔ <b>Closed as expired", "❔ <b>逾期關閉"])
    {
        assert!(shown.starts_with(expected), "{shown}");
        assert!(!shown.contains("⌛"), "{shown}");
    }
}

#[test]
fn a_card_says_what_its_incident_is_now() {
    let headline = |kind, severity: &str, status, reopened| {
        let mut card = card(kind, Level::None);
        card.incident.severity = severity.to_owned();
        card.incident.status = status;
        card.incident.resolved_by = Some(ResolvedBy::Person);
        card.incident.reopened = reopened;
        card.incident.operator = None;
        let shown = bot(Lang::English).render(&card);
        let is_over = status == Status::Resolved;
        assert_eq!(shown.contains("Tier 1"), !is_over, "{shown}");
        assert_eq!(
            shown.contains("Resolved by an unnamed operator"),
            is_over,
            "{shown}"
        );
        shown.split(':').next().unwrap_or_default().to_owned()
    };
    for (kind, severity, status, reopened, expected) in [
        (
            Kind::Opened,
            "critical",
            Status::Open,
            0,
            "🚨 <b>Opened · critical",
        ),
        (Kind::Opened, "", Status::Open, 0, "🚨 <b>Opened"),
        (Kind::Opened, "Info", Status::Open, 0, "🔹 <b>Opened · Info"),
        (
            Kind::Opened,
            "info",
            Status::Open,
            1,
            "🔁 <b>Reopened · info",
        ),
        (
            Kind::Opened,
            "info",
            Status::Resolved,
            1,
            "✅ <b>Resolved · info",
        ),
        (
            Kind::Worsened,
            "critical",
            Status::Open,
            0,
            "🔺 <b>Severity raised to critical",
        ),
        (
            Kind::Worsened,
            "critical",
            Status::Resolved,
            0,
            "✅ <b>Resolved · critical",
        ),
    ] {
        assert_eq!(headline(kind, severity, status, reopened), expected);
    }
}

#[test]
fn an_incident_that_somebody_took_and_muted() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.status = Status::Acknowledged;
    card.incident.operator = Some("alice".to_owned());
    card.incident.acknowledged_at = Some(Timestamp(OPENED.0 + 2 * MINUTE_MS));
    card.muted = Some(Muted {
        until: Timestamp(OPENED.0 + 120 * MINUTE_MS),
        by: Some("bob".to_owned()),
    });
    assert_snapshot!(telegram(&card));
}

#[test]
fn a_card_says_who_did_the_last_repair() {
    let mut card = card(Kind::Opened, Level::None);
    let mut lines = |operator: Option<&str>| {
        if let Some(stats) = &mut card.incident.repair_stats {
            stats.repair_history = vec![repaired(operator)];
        }
        Lang::ALL.map(|lang| bot(lang).render(&card))
    };
    for (shown, expected) in lines(Some("<alice>")).iter().zip([
        "Last tried: <code>restart_pod</code> by &lt;alice&gt;\n",
        "最近一次：<code>restart_pod</code> 由 &lt;alice&gt;\n",
    ]) {
        assert!(shown.contains(expected), "{shown}");
    }
    for shown in lines(None) {
        assert!(shown.contains("<code>restart_pod</code>\n"), "{shown}");
    }
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
fn an_anomaly_that_lasts() {
    let mut card = card(Kind::Escalated, Level::Escalate);
    let lasts = LevelRule::Lasts(Lasting {
        since: Timestamp(1_795_382_909_102),
        open_for_s: 4 * 3600,
    });
    card.anomaly.reason = Some(lasts.into());
    card.incident.tier_reason = Some(TierRule::Restarts { restarts: 3 }.into());
    assert_snapshot!(telegram(&card));
}

#[test]
fn an_anomaly_that_needs_a_permanent_fix() {
    assert_snapshot!(telegram(&card(Kind::Escalated, Level::PermanentFix)));
}

#[test]
fn an_anomaly_whose_permanent_fix_did_not_hold() {
    let mut card = card(Kind::Opened, Level::Repeat);
    card.incident.tier = Some(4);
    card.incident.tier_reason = Some(TierRule::FixFailed.into());
    assert_snapshot!(telegram(&card));
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
    let lines = Lang::ALL.map(|lang| {
        let lines = KINDS.map(|kind| Log(lang).render(&card(kind, Level::Escalate)));
        lines.join("\n")
    });
    assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_webhook_gets_the_event_and_the_text() -> Result<(), serde_json::Error> {
    let mut bodies = String::new();
    for lang in Lang::ALL {
        let body = event(&card(Kind::Opened, Level::Escalate), lang);
        let body: Value = serde_json::from_str(&body)?;
        bodies.push_str(&serde_json::to_string_pretty(&body)?);
        bodies.push('\n');
    }
    assert_snapshot!(bodies);
    Ok(())
}

#[test]
fn a_chat_that_refuses_what_it_does_not_know_gets_the_text_alone() -> Result<(), serde_json::Error>
{
    let card = card(Kind::Escalated, Level::PermanentFix);
    for lang in Lang::ALL {
        let read = |payload| serde_json::from_str(&webhook(payload, lang).render(&card));
        let (text, event): (Value, Value) = (read(Payload::Text)?, read(Payload::Event)?);
        assert_eq!(text, json!({"text": event["text"]}));
    }
    Ok(())
}

/// What an alert may bring that no message may break on.
fn hostile() -> Vec<String> {
    [
        ("", 1),
        ("\u{0}", 1),
        ("a\u{0}b\u{1b}[31m\u{9b}c\u{7f}", 1),
        ("<b>bold</b> & <a href=\"tg://x\">x</a> &lt;", 1),
        ("<!channel> <@U123> <https://evil.example|Runbook>", 1),
        ("{level} {n} {who}", 1),
        ("9 in 24h (≥ <b>)", 1),
        ("&&&<<<>>>\"\"\"", 1),
        ("x", 100_000),
        ("🔥", 50_000),
        ("👩‍👩‍👧‍👦a", 10_000),
        ("<b>&amp;</a>\"'><script>&#x41;", 4_000),
        ("line\n\r\u{2028}</b>\n", 10_000),
        ("\u{202e}\u{2066}שלום עולם مرحبا ", 10_000),
        ("&", 100_000),
    ]
    .map(|(text, times)| text.repeat(times))
    .to_vec()
}

#[test]
fn nothing_in_an_alert_breaks_a_message() {
    for (lang, kind, text) in every_hostile_message() {
        let start: String = text.chars().take(30).collect();
        let what = format!("{lang:?} {kind:?} {start:?}");
        let most_lines = bot(lang).render(&filled(kind, "text")).lines().count();
        let card = filled(kind, &text);
        let html = bot(lang).render(&card);
        let shown = shown(&html);
        let units = shown.as_deref().map(|text| text.encode_utf16().count());
        assert!(
            matches!(units, Ok(30..=4_096)),
            "{what}: {units:?} {shown:?}"
        );
        assert!(html.lines().count() <= most_lines, "{what}: {html}");
        let log = Log(lang).render(&card);
        for text in [&html, &log] {
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!text.contains(control), "{what}: {text:?}");
            assert!(
                !text.contains(['\u{202e}', '\u{2066}', '\u{2028}']),
                "{text:?}"
            );
        }
        assert!(!log.contains('\n') && log.len() < 20_000, "{what}: {log}");
    }
}

#[test]
fn nothing_in_an_alert_breaks_what_a_webhook_gets() -> Result<(), serde_json::Error> {
    for (lang, kind, text) in every_hostile_message() {
        let start: String = text.chars().take(30).collect();
        let what = format!("{lang:?} {kind:?} {start:?}");
        let most_lines = message::lines(&filled(kind, "text"), lang.text()).len();
        let body = event(&filled(kind, &text), lang);
        let body: Value = serde_json::from_str(&body)?;
        let said = body["text"].as_str().unwrap_or_default();
        let units = said.encode_utf16().count();
        assert!((30..=4_000).contains(&units), "{what}: {units}");
        assert!(said.lines().count() <= most_lines, "{what}: {said}");
        // Slack acts on nothing but what stands between these.
        assert!(!said.contains(['<', '>']), "{what}: {said}");
        let bare = said.split('&').skip(1);
        for rest in bare {
            let is_escaped = ["amp;", "lt;", "gt;"].iter().any(|e| rest.starts_with(e));
            assert!(is_escaped, "{what}: {said}");
        }
    }
    Ok(())
}

fn every_hostile_message() -> impl Iterator<Item = (Lang, Kind, String)> {
    Lang::ALL.into_iter().flat_map(|lang| {
        KINDS
            .into_iter()
            .flat_map(move |kind| hostile().into_iter().map(move |text| (lang, kind, text)))
    })
}

#[test]
fn what_an_alert_makes_too_large_is_left_out_of_an_event() -> Result<(), serde_json::Error> {
    let mut card = card(Kind::Opened, Level::Escalate);
    let large = json!({"note": "\u{1}".repeat(20_000)});
    for is_large in [false, true] {
        if is_large {
            card.incident.annotations = large.clone();
        }
        let body = event(&card, Lang::English);
        assert!(body.len() < 64 * 1024, "{}", body.len());
        let data = serde_json::from_str::<Value>(&body)?["data"].clone();
        assert_eq!(data["is_shortened"], is_large);
        assert_eq!(data["labels"] == json!({}), is_large);
        assert_eq!(data["alert_name"], "KubePodCrashLooping");
    }
    Ok(())
}

#[test]
fn what_does_not_fit_goes_line_by_line() {
    for lang in Lang::ALL {
        for kind in KINDS {
            let lines = message::lines(&filled(kind, "<&\"🔥>"), lang.text());
            let whole = markup::html(&lines, usize::MAX);
            for limit in 0..=shown(&whole).map_or(0, |text| text.encode_utf16().count()) {
                let cut = markup::html(&lines, limit);
                let units = shown(&cut).map(|text| text.encode_utf16().count());
                assert!(
                    units.as_ref().is_ok_and(|units| *units <= limit),
                    "{units:?}"
                );
                let rest = whole.strip_prefix(&cut);
                let is_at_a_break = |rest: &str| rest.is_empty() || rest.starts_with('\n');
                assert!(cut.is_empty() || rest.is_some_and(is_at_a_break), "{cut}");
            }
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
