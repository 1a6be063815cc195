//! The words for levels, states, tiers and windows, and the sentences that say why.

use super::{Text, fill};
use crate::domain::aggregation::{Status, Unit};
use crate::domain::escalation::Level;
use crate::domain::frequency::{Counts, Window, figure};
use crate::domain::reason::{
    Counted, Lasting, LevelReason, LevelRule, Reason, TierReason, TierRule, restarts_figure,
};
use crate::domain::tier::RESTARTS_ENOUGH;
use crate::time::Timestamp;

/// A level's word.
#[must_use]
pub const fn level_word(text: &Text, level: Level) -> &'static str {
    match level {
        Level::None => text.level_none,
        Level::Repeat => text.level_repeat,
        Level::Escalate => text.level_escalate,
        Level::PermanentFix => text.level_permanent_fix,
    }
}

/// A state's word.
#[must_use]
pub const fn status_word(text: &Text, status: Status) -> &'static str {
    match status {
        Status::Open => text.status_open,
        Status::Analyzing => text.status_analyzing,
        Status::Acknowledged => text.status_acknowledged,
        Status::Resolved => text.status_resolved,
    }
}

/// What a queue is for, in a few words; empty for one that is not known.
#[must_use]
pub fn queue_does(text: &Text, queue: &str) -> &'static str {
    match queue {
        "ingest" => text.queue_ingest,
        "tier" => text.queue_tier,
        "notify" => text.queue_notify,
        "analyze" => text.queue_analyze,
        "repair" => text.queue_repair,
        "execute" => text.queue_execute,
        "recount" => text.queue_recount,
        _ => "",
    }
}

/// What does not happen while a queue is paused, as the end of a sentence.
#[must_use]
pub fn paused_effect(text: &Text, queue: &str) -> &'static str {
    match queue {
        "ingest" => text.paused_ingest,
        "tier" => text.paused_tier,
        "notify" => text.paused_notify,
        "analyze" => text.paused_analyze,
        "repair" => text.paused_repair,
        "execute" => text.paused_execute,
        "recount" => text.paused_recount,
        _ => text.paused_other,
    }
}

/// A tier's name.
#[must_use]
pub const fn tier_name(text: &Text, tier: i32) -> &'static str {
    match tier {
        1 => text.tier_1,
        2 => text.tier_2,
        3 => text.tier_3,
        _ => text.tier_4,
    }
}

/// What a tier, 1 to 4, asks people to do.
#[must_use]
pub const fn tier_deed(text: &Text, tier: i32) -> Option<&'static str> {
    match tier {
        1 => Some(text.tier_do_1),
        2 => Some(text.tier_do_2),
        3 => Some(text.tier_do_3),
        4 => Some(text.tier_do_4),
        _ => None,
    }
}

/// What is counted where `unit` is.
#[must_use]
pub const fn counted(text: &Text, unit: Unit) -> &'static str {
    match unit {
        Unit::Episode => text.counted_firings,
        Unit::Delivery => text.counted_deliveries,
        Unit::Incident => text.counted_incidents,
    }
}

/// A window's short name.
#[must_use]
pub const fn window(text: &Text, window: Window) -> &'static str {
    match window {
        Window::Hour => text.window_1h,
        Window::Day => text.window_24h,
        Window::Week => text.window_7d,
        Window::Month => text.window_30d,
    }
}

/// A window in a sentence.
#[must_use]
pub const fn within(text: &Text, window: Window) -> &'static str {
    match window {
        Window::Hour => text.in_1h,
        Window::Day => text.in_24h,
        Window::Week => text.in_7d,
        Window::Month => text.in_30d,
    }
}

/// Date and time in UTC, to the second, without the zone.
#[must_use]
pub fn moment(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let to_the_second = text.get(..19).unwrap_or(&text);
    to_the_second.replace('T', " ")
}

/// Why a level holds, in a sentence; `reason` as it is stored, with the figures that it was last seen to
/// hold with. Where `now`, the counts that are shown beside it, still reach the rule, their figure is shown,
/// so that the two do not contradict each other.
#[must_use]
pub fn why_level(
    text: &Text,
    level: Level,
    reason: Option<&LevelReason>,
    now: Option<&Counts>,
) -> String {
    let level = level_word(text, level);
    match reason {
        None => text.reason_none.to_owned(),
        Some(Reason::Rule(LevelRule::Count(counted))) => why_count(text, level, counted, now),
        Some(Reason::Rule(LevelRule::Lasts(lasting))) => {
            let since = format!("{} UTC", moment(lasting.since));
            why_lasts(text, level, lasting, &since)
        }
        Some(Reason::Text(reason)) => fill(text.reason_other, &[("reason", reason)]),
    }
}

/// The same of an incident that lasts; `since` is put in where the text says since when.
#[must_use]
pub fn why_lasts(text: &Text, level: &str, lasting: &Lasting, since: &str) -> String {
    let hours = lasting.hours();
    let places = [("since", since), ("hours", &*hours), ("level", level)];
    fill(text.reason_lasts, &places)
}

fn why_count(text: &Text, level: &str, counted: &Counted, now: Option<&Counts>) -> String {
    let now = now.map(|counts| counts.of(counted.window));
    let now = now.filter(|n| *n >= counted.threshold).map(figure);
    let nouns = match counted.unit {
        Unit::Episode => text.n_firings,
        Unit::Delivery => text.n_deliveries,
        Unit::Incident => text.n_incidents,
    };
    let stored = figure(counted.figure);
    let shown = now.as_deref().unwrap_or(&stored);
    let firings = so_many(nouns, shown);
    // In how many incidents they lie is known of the stored figure.
    let incidents = counted.incidents().filter(|_| shown == stored);
    let said = match incidents.map(|n| so_many(text.n_incidents, &n)) {
        Some(incidents) => {
            let places = [("firings", &*firings), ("incidents", &*incidents)];
            fill(text.lie_in, &places)
        }
        None => firings,
    };
    let sentence = if now.is_some() {
        text.reason_count
    } else {
        text.reason_was
    };
    let places = [
        ("firings", &*said),
        ("window", within(text, counted.window)),
    ];
    let sentence = fill(sentence, &places);
    let threshold = so_many(nouns, &counted.threshold.to_string());
    let spread = counted.spread.map(|n| n.to_string());
    let rule = match spread.map(|n| so_many(text.n_incidents, &n)) {
        Some(spread) => fill(
            text.reason_rule_spread,
            &[
                ("threshold", &*threshold),
                ("incidents", &*spread),
                ("level", level),
            ],
        ),
        None => fill(
            text.reason_rule,
            &[("threshold", &*threshold), ("level", level)],
        ),
    };
    format!("{sentence}{rule}")
}

/// The form of a text that fits a figure, with `{n}` filled in.
fn so_many(text: &str, figure: &str) -> String {
    let form = match text.split_once('|') {
        Some((one, _)) if figure == "1" => one,
        Some((_, more)) => more,
        None => text,
    };
    fill(form, &[("n", figure)])
}

/// Why a tier holds, in a sentence; `reason` as it is stored.
#[must_use]
pub fn why_tier(text: &Text, level: Level, reason: Option<&TierReason>) -> String {
    let rule = match reason {
        None => return text.tier_why_unknown.to_owned(),
        Some(Reason::Text(reason)) => return fill(text.reason_other, &[("reason", reason)]),
        Some(Reason::Rule(rule)) => rule,
    };
    match rule {
        // The level of now: the two are shown side by side.
        TierRule::Level { .. } => fill(text.tier_why_level, &[("level", level_word(text, level))]),
        TierRule::FixFailed => text.tier_why_fix.to_owned(),
        TierRule::Restarts { restarts } => fill(
            text.tier_why_restarts,
            &[("n", &restarts_figure(*restarts))],
        ),
        TierRule::Default => fill(
            text.tier_why_nothing,
            &[
                ("level", level_word(text, Level::Escalate)),
                ("n", &RESTARTS_ENOUGH.to_string()),
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::tests::count;
    use crate::text::{EN, ZH_TW};

    #[test]
    fn a_reason_is_shown_with_the_current_figure() {
        let day = |day| Counts {
            day,
            ..Counts::default()
        };
        let stored = Reason::Rule(LevelRule::Count(Counted {
            incidents: Some(1),
            ..count(5, Window::Day, 5)
        }));
        let sentence =
            |now: Option<Counts>| why_level(&EN, Level::Escalate, Some(&stored), now.as_ref());
        for (now, expected) in [
            (
                Some(day(5)),
                "5 firings in 1 incident in the last 24 hours.",
            ),
            (Some(day(9)), "9 firings in the last 24 hours."),
            (Some(day(200_000)), "100000+ firings in the last 24 hours."),
            (
                Some(day(4)),
                "When the rule last matched: 5 firings in 1 incident in the last 24 hours.",
            ),
            (
                None,
                "When the rule last matched: 5 firings in 1 incident in the last 24 hours.",
            ),
        ] {
            assert!(
                sentence(now).starts_with(expected),
                "{now:?}: {}",
                sentence(now)
            );
        }
        let none = why_level(&EN, Level::None, None, Some(&day(9)));
        assert_eq!(none, EN.reason_none);
    }

    #[test]
    fn a_reason_says_what_was_counted_and_what_its_rule_asks_for() {
        let now = Counts {
            day: 12,
            month: 1,
            ..Counts::default()
        };
        let sentence = |reason: &LevelReason, text| {
            why_level(text, Level::PermanentFix, Some(reason), Some(&now))
        };
        let counted = |counted| Reason::Rule(LevelRule::Count(counted));
        let lasts = LevelRule::Lasts(Lasting {
            since: Timestamp(1_795_382_909_102),
            open_for_s: 4 * 3600,
        });
        let table = [
            (
                counted(Counted {
                    incidents: Some(15),
                    or_more: true,
                    spread: Some(3),
                    ..count(12, Window::Day, 10)
                }),
                "12 firings in 15+ incidents in the last 24 hours. NEEDS PERMANENT FIX starts at 10 firings in 3 incidents.",
                "過去 24 小時內有 15+ 起事件、共 12 次觸發。「須根治」的門檻為 3 起事件、共 10 次觸發。",
            ),
            (
                counted(count(12, Window::Day, 10)),
                "12 firings in the last 24 hours. NEEDS PERMANENT FIX starts at 10 firings.",
                "過去 24 小時內有 12 次觸發。「須根治」的門檻為 10 次觸發。",
            ),
            (
                counted(Counted {
                    unit: Unit::Incident,
                    ..count(1, Window::Month, 1)
                }),
                "1 incident in the last 30 days. NEEDS PERMANENT FIX starts at 1 incident.",
                "過去 30 天內有 1 起事件。「須根治」的門檻為 1 起事件。",
            ),
            (
                counted(Counted {
                    unit: Unit::Delivery,
                    ..count(12, Window::Day, 2)
                }),
                "12 deliveries in the last 24 hours. NEEDS PERMANENT FIX starts at 2 deliveries.",
                "過去 24 小時內有 12 次傳送。「須根治」的門檻為 2 次傳送。",
            ),
            (
                Reason::Rule(lasts),
                "Firing without interruption since 2026-11-22 21:28:29 UTC. NEEDS PERMANENT FIX starts after 4 hours.",
                "自 2026-11-22 21:28:29 UTC 起持續觸發、未曾中斷；滿 4 小時即為「須根治」。",
            ),
            (Reason::Text("{n} <b>".to_owned()), "{n} <b>", "{n} <b>"),
        ];
        for (reason, english, chinese) in table {
            assert_eq!(sentence(&reason, &EN), english);
            assert_eq!(sentence(&reason, &ZH_TW), chinese);
        }
    }

    #[test]
    fn a_tier_reason_is_shown_in_both_languages() {
        let table = [
            (
                Some(Reason::Rule(TierRule::FixFailed)),
                EN.tier_why_fix,
                ZH_TW.tier_why_fix,
            ),
            (
                Some(Reason::Rule(TierRule::Level {
                    level: Level::Escalate,
                })),
                "The level is ESCALATE: a restart is not enough.",
                "等級為「需升級處理」，光是重新啟動不夠。",
            ),
            (
                Some(Reason::Rule(TierRule::Default)),
                "Default tier: the level is below ESCALATE, no permanent fix has failed, and fewer than 2 restarts were tried in 30 days.",
                "預設層級：等級未達「需升級處理」、沒有失敗的根治，30 天內重新啟動也不到 2 次。",
            ),
            (Some(Reason::Text("so".to_owned())), "so", "so"),
            (None, EN.tier_why_unknown, ZH_TW.tier_why_unknown),
        ];
        for (reason, english, chinese) in table {
            let sentence = |text| why_tier(text, Level::Escalate, reason.as_ref());
            assert_eq!((&*sentence(&EN), &*sentence(&ZH_TW)), (english, chinese));
        }
        for (restarts, figure) in [(3, "3"), (100, "100+")] {
            let reason = Reason::Rule(TierRule::Restarts { restarts });
            for text in [&EN, &ZH_TW] {
                let expected = text.tier_why_restarts.replace("{n}", figure);
                assert_eq!(why_tier(text, Level::None, Some(&reason)), expected);
            }
        }
    }
}
