//! A card's background of the alert: its analysis, description, values and links.

use tocsin::domain::aggregation::Status;
use tocsin::domain::analysis::Analysis;
use tocsin::domain::notification::Kind;
use tocsin::text::analysis::sentence;
use tocsin::text::{Text, address, fill};

use super::{NAME, annotation, known, pair};
use crate::notifiers::Card;
use crate::notifiers::markup::Line;

/// The longest analysis.
const ANALYSIS: usize = 500;
/// Maximum number of its sentences in a message.
const SENTENCES: usize = 3;
/// The longest description.
const DESCRIPTION: usize = 600;

/// What was found out about it, while that may help: on the card alone: later messages refer to it.
fn made(card: &Card) -> Option<&Analysis> {
    let is_needed = card.kind == Kind::Opened && card.incident.status != Status::Resolved;
    card.incident.analysis.as_ref().filter(|_| is_needed)
}

/// What is known of its past, but for what the card says elsewhere, and that nothing is.
pub(super) fn analysis(card: &Card, text: &Text) -> Option<Line> {
    let findings = made(card)?.findings.iter();
    let said = findings.filter(|finding| finding.is_on_cards());
    let said = said.take(SENTENCES);
    let said: Vec<String> = said.map(|finding| sentence(text, finding)).collect();
    // Chinese sentences have no space between them.
    let said = said.join(" ").replace("。 ", "。");
    let said = known(&said, ANALYSIS)?;
    Some(Line::new().symbol("🔎").text(said))
}

/// What a language model wrote about it.
pub(super) fn generated(card: &Card, text: &Text) -> Option<Line> {
    let generated = made(card)?.generated.as_ref()?;
    let said = known(&generated.text, ANALYSIS)?;
    let line = Line::new().symbol("🤖");
    Some(line.text(fill(text.msg_generated, &[("text", &said)])))
}

/// Shown once: a repeated message has it above.
pub(super) fn description(card: &Card) -> Option<Line> {
    let incident = &card.incident;
    if card.kind != Kind::Opened {
        return None;
    }
    ["description", "message"]
        .into_iter()
        .filter_map(|name| annotation(incident, name))
        .filter(|text| *text != incident.title)
        .find_map(|text| known(text, DESCRIPTION))
        .map(|text| Line::new().text(text))
}

/// What was measured, where that is a few words.
pub(super) fn values(card: &Card, text: &Text) -> Option<Line> {
    let values = annotation(&card.incident, "values")?;
    let is_short = card.kind == Kind::Opened && values.len() <= NAME;
    let values = known(values, NAME).filter(|_| is_short)?;
    Some(Line::new().text(pair(text, text.msg_values, &values)))
}

pub(super) fn links(card: &Card, text: &Text) -> Option<Line> {
    let dashboard = ["panel_url", "dashboard_url"]
        .into_iter()
        .find_map(|name| annotation(&card.incident, name));
    let line = [
        (text.msg_open, card.page.as_deref()),
        (text.msg_runbook, annotation(&card.incident, "runbook_url")),
        (text.msg_dashboard, dashboard),
        (text.msg_image, annotation(&card.incident, "image_url")),
        (text.source, card.incident.generator_url.as_deref()),
    ]
    .into_iter()
    .filter_map(|(label, url)| Some((label, address(url?)?)))
    .fold(Line::new(), |line, (label, url)| {
        line.dot().link(label, url)
    });
    (!line.is_empty()).then_some(line)
}
