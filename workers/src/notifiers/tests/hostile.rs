//! Nothing in an alert breaks a message, and what is too large is left out of it.

use serde_json::{Value, json};
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use tocsin::text::Lang;
use tocsin::time::Timestamp;

use super::checker::shown;
use super::samples::{card, filled};
use super::{KINDS, bot, event, telegram};
use crate::notifiers::log::Log;
use crate::notifiers::{Notifier, markup, message};

/// What an alert may bring that no message may break on.
pub(crate) fn hostile() -> Vec<String> {
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
fn hostile_alert_text_breaks_no_message() {
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
fn hostile_alert_text_breaks_no_webhook_event() -> Result<(), serde_json::Error> {
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
fn oversized_parts_are_omitted_from_an_event() -> Result<(), serde_json::Error> {
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
fn lines_that_do_not_fit_are_dropped_one_by_one() {
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
fn unexpected_fields_are_omitted() {
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
