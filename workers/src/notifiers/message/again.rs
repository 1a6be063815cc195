//! What a card says of its anomaly's other incidents, when one goes on on it.

use tocsin::domain::again::AgainFigures;
use tocsin::text::{Text, fill, plural};

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
