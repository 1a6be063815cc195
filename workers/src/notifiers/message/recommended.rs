//! A card's recommended action.

use tocsin::domain::aggregation::Status;
use tocsin::domain::recommendation::{FailedFix, Rule};
use tocsin::domain::tier::Tier;
use tocsin::text::{Text, fill, recommendation, words};

use super::{NAME, REASON, known, pair};
use crate::notifiers::Card;
use crate::notifiers::markup::Line;

/// The tier, and what to do, while there is something to do: unless it is recommended to wait, or to do what is of
/// another tier. A card orders one thing.
pub(super) fn tier(card: &Card, text: &Text) -> Option<Line> {
    if card.incident.status == Status::Resolved {
        return None;
    }
    let tier = Tier::from_number(card.incident.tier?)?.number();
    let name = fill(text.msg_tier, &[("n", &tier.to_string())]);
    let line = Line::new().text(name);
    let found = card.recommendation.as_ref();
    if found.is_some_and(|found| found.rule == Rule::Wait || found.why.raised_from.is_some()) {
        return Some(line);
    }
    Some(line.dot().text(words::tier_deed(text, tier)?))
}

/// The permanent fix that did not hold, and after how long.
pub(super) fn failed_fix(card: &Card, text: &Text) -> Option<Line> {
    let fix = card.recommendation.as_ref()?.why.fix.as_ref()?;
    let fix = FailedFix {
        // A reference may be long, or anything.
        reference: fix.reference.as_deref().and_then(|fix| known(fix, NAME)),
        ..fix.clone()
    };
    let said = recommendation::failed_fix(text, &fix);
    Some(Line::new().symbol("⛔").text(said))
}

/// The action that is recommended; or that waiting is, or that nothing is left.
pub(super) fn recommended(card: &Card, text: &Text) -> Option<Line> {
    let found = card.recommendation.as_ref()?;
    if card.incident.status == Status::Resolved {
        return None;
    }
    let because = recommendation::because(text, found);
    let because = known(&because, REASON).unwrap_or_default();
    let line = Line::new()
        .symbol("👉")
        .text(pair(text, text.recommended, ""));
    match found
        .action
        .as_deref()
        .and_then(|action| known(action, NAME))
    {
        Some(action) => {
            let tier = fill(text.msg_tier, &[("n", &found.tier.to_string())]);
            let line = line.code(action);
            // The tier is said above, if it is the incident's.
            let line = match found.why.raised_from {
                Some(_) => line.dot().text(tier),
                None => line,
            };
            Some(line.dot().text(because))
        }
        // Who has no playbook is not told that nothing is known.
        None if found.rule != Rule::Wait && found.playbook.is_none() => None,
        None => Some(line.text(because)),
    }
}
