//! Cards as they are edited later: the status, the figures and the repairs of now.

use tocsin::domain::again::AgainFigures;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::effectiveness::RepairEntry;
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use tocsin::domain::verdict::Verdict;
use tocsin::text::Lang;

use super::bot;
use super::samples::{MINUTE_MS, card, repaired};
use crate::notifiers::Notifier;

#[test]
fn a_card_edited_later_shows_matching_figures() {
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
fn a_card_on_which_another_incident_goes_on_says_which_of_the_day_it_is() {
    let mut card = card(Kind::Opened, Level::None);
    card.again = Some(AgainFigures {
        within_day: 7,
        others_open: 1,
    });
    let shown = Lang::ALL.map(|lang| bot(lang).render(&card));
    for (shown, expected) in shown.iter().zip([
        [
            "🔂 <b>Again · critical",
            "\nNumber 7 within 24 hours · 1 earlier incident is unresolved\n",
        ],
        [
            "🔂 <b>再次發生 · critical",
            "\n24 小時內第 7 次 · 先前有 1 起事件尚未解決\n",
        ],
    ]) {
        assert!(expected.iter().all(|part| shown.contains(part)), "{shown}");
    }
    card.incident.status = Status::Resolved;
    card.incident.resolved_by = Some(ResolvedBy::Itself);
    let shown = bot(Lang::English).render(&card);
    assert!(shown.starts_with("✅ <b>Resolved"), "{shown}");
}

#[test]
fn flapping_is_said_while_it_lasts_however_the_incident_stands() {
    let headline = |kind, flaps: bool, status| {
        let mut card = card(kind, Level::None);
        card.anomaly.flapping_since = flaps.then_some(card.at);
        card.incident.status = status;
        card.incident.resolved_by = Some(ResolvedBy::Itself);
        let shown = bot(Lang::English).render(&card);
        assert_eq!(
            shown.contains("Flapping since 2026-11-22"),
            flaps,
            "{shown}"
        );
        let has_hint = shown.contains("keep_firing_for");
        assert_eq!(has_hint, flaps && kind == Kind::Flapping, "{shown}");
        shown.split(':').next().unwrap_or_default().to_owned()
    };
    let (open, over) = (Status::Open, Status::Resolved);
    for (kind, flaps, status, expected) in [
        (Kind::Flapping, true, open, "🎚 <b>Flapping · critical"),
        (
            Kind::Flapping,
            true,
            over,
            "🎚 <b>Flapping (resolved) · critical",
        ),
        (Kind::Flapping, false, open, "🚨 <b>Opened · critical"),
        (Kind::Flapping, false, over, "✅ <b>Resolved · critical"),
        (
            Kind::Steady,
            false,
            open,
            "🟢 <b>No longer flapping · critical",
        ),
        (
            Kind::Steady,
            false,
            over,
            "🟢 <b>No longer flapping (resolved) · critical",
        ),
        (Kind::Opened, true, open, "🚨 <b>Opened · critical"),
    ] {
        assert_eq!(headline(kind, flaps, status), expected);
    }
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
    if let Some(stats) = &mut card.incident.repair_stats {
        stats.repair_history[0].verdict = Some(Verdict::Disproved);
    }
    for (lang, expected) in Lang::ALL.into_iter().zip([
        "<code>restart_pod</code> (did not hold)\n",
        "<code>restart_pod</code> (未維持住)\n",
    ]) {
        let shown = bot(lang).render(&card);
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_card_says_what_helped_last_and_how_long_it_took() {
    let mut card = card(Kind::Opened, Level::None);
    let failed = RepairEntry {
        verdict: Some(Verdict::Disproved),
        duration_ms: Some(40_000),
        ..repaired(Some("bob"))
    };
    let held = RepairEntry {
        action: "rollback".to_owned(),
        verdict: Some(Verdict::Verified),
        duration_ms: Some(3 * MINUTE_MS),
        quiet_after_ms: Some(2 * MINUTE_MS),
        note: Some(format!("back to <b>4.1</b>\n{}", "and wait ".repeat(40))),
        ..repaired(Some("ann"))
    };
    let mut shown = |history: Vec<RepairEntry>| {
        if let Some(stats) = &mut card.incident.repair_stats {
            stats.last_repair_action = history.first().map(|repair| repair.action.clone());
            stats.repair_history = history;
        }
        Lang::ALL.map(|lang| bot(lang).render(&card))
    };
    let both = shown(vec![failed.clone(), failed.clone(), held.clone()]);
    for (shown, [last, before, end]) in both.iter().zip([
        [
            "Last tried: <code>restart_pod</code> by bob (did not hold, took 40 s)\n",
            "\nLast that held: <code>rollback</code> by ann (held, quiet after 2 min, took 3 min) “back to \
             &lt;b&gt;4.1&lt;/b&gt; and wait",
            " and wait…”\n",
        ],
        [
            "最近一次：<code>restart_pod</code> 由 bob (未維持住；耗時 40 秒)\n",
            "\n上次維持住的修復：<code>rollback</code> 由 ann (維持住；2 分鐘後平息；耗時 3 分鐘) 「back to \
             &lt;b&gt;4.1&lt;/b&gt; and wait",
            " and wait…」\n",
        ],
    ]) {
        assert!(shown.contains(last) && shown.contains(before), "{shown}");
        assert!(shown.contains(end), "{shown}");
    }
    // One that held last is not said twice.
    for shown in shown(vec![held, failed]) {
        assert_eq!(shown.matches("rollback").count(), 1, "{shown}");
    }
}
