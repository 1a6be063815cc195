//! A card's lines about its anomaly: that another incident continues on it, that it flaps, that it is muted.

use tocsin::domain::again::AgainFigures;
use tocsin::domain::notification::Kind;
use tocsin::text::{Text, fill, plural};

use super::{NAME, known, utc};
use crate::notifiers::Card;
use crate::notifiers::markup::Line;

/// Which of a day's incidents this is, and how many of those before it are unresolved: the card shows only this one.
pub(super) fn again(card: &Card, text: &Text) -> Option<Line> {
    let AgainFigures {
        within_day,
        others_open,
    } = card.again?;
    let mut line = Line::new();
    if within_day > 1 {
        let n = within_day.to_string();
        line = line.text(fill(text.msg_again_nth, &[("n", &n)]));
    }
    if others_open > 0 {
        line = line.dot().text(plural(text.msg_again_open, others_open));
    }
    (!line.is_empty()).then_some(line)
}

/// Since when it flaps.
pub(super) fn flapping(card: &Card, text: &Text) -> Option<Line> {
    let at = utc(card.anomaly.flapping_since?)?;
    Some(Line::new().text(fill(text.msg_flapping_since, &[("at", &at)])))
}

/// What may be done about that, where the card says it.
pub(super) fn flapping_hint(card: &Card, text: &Text) -> Option<Line> {
    (card.kind == Kind::Flapping && says_flapping(card))
        .then(|| Line::new().text(text.msg_flapping_hint))
}

/// Whether it is about that: as the card of an incident, for as long as its anomaly flaps.
pub(super) fn says_flapping(card: &Card) -> bool {
    match card.kind {
        Kind::Flapping => card.anomaly.flapping_since.is_some(),
        Kind::Steady => true,
        _ => false,
    }
}

/// Until when it is muted, and by whom.
pub(super) fn muted(card: &Card, text: &Text) -> Option<Line> {
    let muted = card.muted.as_ref()?;
    let at = utc(muted.until)?;
    let said = match muted.by.as_deref().and_then(|who| known(who, NAME)) {
        Some(who) => fill(text.msg_muted_by, &[("at", &at), ("who", &who)]),
        None => fill(text.msg_muted, &[("at", &at)]),
    };
    Some(Line::new().symbol("🔕").text(said))
}
