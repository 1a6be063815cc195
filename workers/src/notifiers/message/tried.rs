//! A card's line about repairs: how often actions held, or were reported to have helped, and the last one.

use std::cmp::Reverse;

use tocsin::text::{Text, fill, repairs};

use super::{NAME, known, pair};
use crate::notifiers::Card;
use crate::notifiers::markup::Line;

/// How often actions held on the anomaly, the best first, as far as that is judged.
fn held(card: &Card, text: &Text) -> Option<String> {
    let tried = &card.recommendation.as_ref()?.why.tried;
    let mut judged: Vec<_> = tried.iter().filter(|one| one.verdicts > 0).collect();
    judged.sort_by_key(|one| (Reverse(one.held), one.verdicts));
    let named = judged.iter().filter_map(|one| {
        let action = known(&one.action, NAME)?;
        Some((action, one.held, one.verdicts))
    });
    let named: Vec<_> = named.collect();
    let said = named.iter().map(|(action, held, n)| (&**action, *held, *n));
    (!named.is_empty()).then(|| repairs::held(text, said))
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
    let line = Line::new().text(match held(card, text) {
        Some(held) => pair(text, text.what_helped, &held),
        None => fill(text.msg_repairs, &places),
    });
    let last = stats.last_repair_action.as_deref();
    let Some(action) = last.and_then(|action| known(action, NAME)) else {
        return Some(line);
    };
    let line = line.dot().text(pair(text, text.last_time, "")).code(action);
    let newest = stats.repair_history.first();
    let who = newest.and_then(|repair| known(repair.operator.as_deref()?, NAME));
    let line = match who {
        Some(who) => line.text(format!(" {}", fill(text.by_person, &[("name", &who)]))),
        None => line,
    };
    let verdict = newest.and_then(|repair| repair.verdict);
    Some(match verdict {
        Some(verdict) => line.text(format!(" ({})", repairs::verdict_word(text, verdict))),
        None => line,
    })
}
