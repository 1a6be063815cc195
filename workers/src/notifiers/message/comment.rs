//! The text of a comment at the issue of an incident: only what the issue does not show anyway.

use tocsin::text::{Text, address};

use super::background::{analysis, generated};
use super::{
    Card, failed_fix, figures, headline, identity, level, opening, recommended, repairs, restarts,
    status_line, tier,
};
use crate::notifiers::markup::Line;

/// Those of its lines that are the analysis.
pub(in crate::notifiers) fn of_analysis(card: &Card, text: &Text) -> Vec<Line> {
    let lines = [analysis(card, text), generated(card, text)];
    lines.into_iter().flatten().collect()
}

/// The lines of a comment.
pub(in crate::notifiers) fn of_comment(card: &Card, text: &Text) -> Vec<Line> {
    let page = card.page.as_deref().and_then(address);
    let lines = [
        Some(headline(card, text)),
        status_line(card, text),
        level(card, text),
        tier(card, text),
        restarts(card, text),
        failed_fix(card, text),
        recommended(card, text),
        figures(card, text),
        repairs(card, text),
        analysis(card, text),
        generated(card, text),
        opening(card, text),
        page.map(|url| Line::new().link(text.msg_open, url)),
        Some(identity(card, text)),
    ];
    lines.into_iter().flatten().collect()
}
