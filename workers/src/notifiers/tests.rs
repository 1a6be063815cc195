//! The messages that people receive; nothing in an alert can break them.

mod checker;
mod edited;
mod hostile;
pub(super) mod samples;

use std::sync::LazyLock;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tocsin::config::{self, Payload, Secret};
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::budget::Budget;
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use tocsin::domain::reason::{Lasting, LevelRule, TierRule};
use tocsin::domain::recommendation::Rule;
use tocsin::text::Lang;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::log::Log;
use super::telegram::{Api, Telegram};
use super::webhook::Webhook;
use super::{Card, Muted, Notifier, TestMessage};
use samples::{MINUTE_MS, OPENED, analysis, bare, card, recommendation};

pub(super) use hostile::hostile;

pub(super) const KINDS: [Kind; 5] = [
    Kind::Opened,
    Kind::Escalated,
    Kind::Reopened,
    Kind::Resolved,
    Kind::Repeated,
];

/// A message that somebody asked for.
pub(super) fn test_message() -> TestMessage {
    TestMessage {
        id: Uuid::from_u128(0x019a_ad6b_0000_7000_8000_0000_0000_0001),
        at: OPENED,
        by: Some("alice".to_owned()),
        page: Some("https://tocsin.example.com/".to_owned()),
    }
}

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
fn an_incident_that_was_analyzed() {
    let mut card = card(Kind::Opened, Level::None);
    card.incident.analysis = Some(analysis("PaymentDown"));
    assert_snapshot!(telegram(&card));
    card.kind = Kind::Escalated;
    let escalated = telegram(&card);
    assert!(!escalated.contains("PaymentDown"), "{escalated}");
}

#[test]
fn an_incident_with_an_action_that_is_recommended() {
    let mut card = card(Kind::Opened, Level::None);
    card.recommendation = Some(recommendation("PR-77"));
    assert_snapshot!(telegram(&card));
    card.incident.status = Status::Resolved;
    let resolved = telegram(&card);
    assert!(!resolved.contains("👉"), "{resolved}");
}

#[test]
fn a_card_orders_one_thing() {
    let mut card = card(Kind::Opened, Level::None);
    let deed = "Tier 1 · restart the failing component";
    assert!(telegram(&card).contains(deed), "{}", telegram(&card));
    let mut found = recommendation("restart_pod");
    (found.tier, found.why.raised_from) = (1, None);
    card.recommendation = Some(found.clone());
    assert!(telegram(&card).contains(deed), "{}", telegram(&card));
    // Of another tier.
    (found.tier, found.why.raised_from) = (2, Some(1));
    card.recommendation = Some(found.clone());
    let raised = telegram(&card);
    assert!(
        raised.contains("Tier 1\n") && !raised.contains(deed),
        "{raised}"
    );
    // Nothing is to be done.
    (found.tier, found.why.raised_from) = (1, None);
    (found.action, found.rule) = (None, Rule::Wait);
    card.recommendation = Some(found);
    let waits = telegram(&card);
    assert!(
        waits.contains("Tier 1\n") && !waits.contains(deed),
        "{waits}"
    );
    assert!(waits.contains("no action is known to do better"), "{waits}");
}

#[test]
fn an_incident_of_which_little_is_known() {
    assert_snapshot!(telegram(&bare(Kind::Opened)));
}

#[test]
fn an_incident_that_ended_before_its_message_was_sent() {
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
fn a_stale_and_an_expired_incident() {
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
fn an_anomaly_that_calms_down_before_its_rise_is_sent() {
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
fn an_incident_resolved_too_early_by_an_unknown_operator() {
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
