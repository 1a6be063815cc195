//! Why an incident has its level and its tier: the counts, and the repairs that were tried.

use tocsin::domain::aggregation::Status;
use tocsin::domain::escalation::Level;
use tocsin::domain::frequency::{Window, figure};
use tocsin::domain::tier::Tier;
use tocsin::text::{Text, TierReason, fill, words};

use super::{NAME, REASON, known, pair};
use crate::notifiers::Card;
use crate::notifiers::markup::Line;

pub(super) fn level(card: &Card, text: &Text) -> Option<Line> {
    let level = card.anomaly.level;
    let reason = card.anomaly.reason.as_deref();
    let stats = card.incident.frequency_stats.as_ref();
    let counts = stats.and_then(|stats| stats.counts_at(level));
    let said = match (level, reason.and_then(|reason| known(reason, REASON))) {
        (Level::None, _) => return None,
        (_, Some(reason)) => words::why_level(text, level, Some(&reason), counts.as_ref()),
        (_, None) => pair(text, text.level, words::level_word(text, level)),
    };
    Some(Line::new().text(said))
}

/// What to do, while there is something to do.
pub(super) fn tier(card: &Card, text: &Text) -> Option<Line> {
    if card.incident.status == Status::Resolved {
        return None;
    }
    let tier = Tier::from_number(card.incident.tier?)?.number();
    let name = fill(text.msg_tier, &[("n", &tier.to_string())]);
    let line = Line::new().text(name).dot();
    Some(line.text(words::tier_deed(text, tier)?))
}

/// Why to do it, where that is said nowhere else.
pub(super) fn restarts(card: &Card, text: &Text) -> Option<Line> {
    if card.incident.status == Status::Resolved {
        return None;
    }
    let reason = known(card.incident.tier_reason.as_deref()?, REASON)?;
    match TierReason::read(&reason) {
        TierReason::Level | TierReason::FixFailed | TierReason::Nothing => None,
        TierReason::Restarts(_) | TierReason::Other(_) => {
            let said = words::why_tier(text, card.anomaly.level, Some(&reason));
            Some(Line::new().text(said))
        }
    }
}

pub(super) fn figures(card: &Card, text: &Text) -> Option<Line> {
    let stats = card.incident.frequency_stats.as_ref()?;
    let counts = [
        (Window::Hour, stats.count_1h),
        (Window::Day, stats.count_24h),
        (Window::Week, stats.count_7d),
        (Window::Month, stats.count_30d),
    ]
    .map(|(window, count)| {
        let window = words::window(text, window);
        fill(text.msg_count, &[("n", &figure(count)), ("window", window)])
    });
    Some(Line::new().text(pair(text, text.frequency, &counts.join(" · "))))
}

pub(super) fn repairs(card: &Card, text: &Text) -> Option<Line> {
    let stats = card.incident.repair_stats.as_ref()?;
    let (tried, helped) = (stats.total_attempts, stats.successful_attempts);
    if tried == 0 {
        return None;
    }
    let places = [
        ("helped", &*helped.to_string()),
        ("tried", &*tried.to_string()),
    ];
    let line = Line::new().text(fill(text.msg_repairs, &places));
    let last = stats.last_repair_action.as_deref();
    let Some(action) = last.and_then(|action| known(action, NAME)) else {
        return Some(line);
    };
    let line = line.dot().text(pair(text, text.last_time, "")).code(action);
    let newest = stats.repair_history.first();
    let who = newest.and_then(|repair| known(repair.operator.as_deref()?, NAME));
    Some(match who {
        Some(who) => line.text(format!(" {}", fill(text.by_person, &[("name", &who)]))),
        None => line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_a_counter_no_longer_tells_apart_are_shown_as_such() {
        assert_eq!(figure(99_999), "99999");
        assert_eq!(figure(100_000), "100000+");
        assert_eq!(figure(250_000), "100000+");
    }
}
