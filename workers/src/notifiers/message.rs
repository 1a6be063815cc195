//! What a card says, line by line: most important first, for somebody who is woken by it. What is
//! not known is left out.

use chrono::DateTime;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::escalation::Level;
use tocsin::domain::frequency::figure;
use tocsin::domain::tier::Tier;
use tocsin::entity::incidents;
use tocsin::entity::notifications::Kind;
use tocsin::time::Timestamp;

use super::Card;
use super::address::address;
use super::markup::Line;
use super::text::tidy;

/// The longest title, in UTF-16 code units, as all of these.
const TITLE: usize = 250;
/// The longest label, name or action.
const NAME: usize = 100;
/// The longest reason.
const REASON: usize = 200;
/// The longest description.
const DESCRIPTION: usize = 600;

/// The lines of a card. Together they stay far below 4,096 UTF-16 code units.
pub(super) fn lines(card: &Card) -> Vec<Line> {
    let lines = match card.kind {
        Kind::Digest => Vec::new(),
        Kind::Opened | Kind::Repeated | Kind::Resolved => vec![
            headline(card),
            standing(card),
            muted(card),
            place(card),
            level(card),
            figures(card),
            tier(card),
            repairs(card),
            description(card),
            links(card),
            opening(card),
            identity(card),
        ],
        Kind::Escalated => vec![
            headline(card),
            standing(card),
            muted(card),
            level(card),
            figures(card),
            tier(card),
            repairs(card),
            place(card),
            links(card),
            opening(card),
            identity(card),
        ],
        Kind::Reopened => vec![
            headline(card),
            reopening(card),
            standing(card),
            muted(card),
            place(card),
            level(card),
            figures(card),
            tier(card),
            repairs(card),
            links(card),
            opening(card),
            identity(card),
        ],
    };
    lines.into_iter().flatten().collect()
}

fn headline(card: &Card) -> Option<Line> {
    let (symbol, happened) = match card.kind {
        Kind::Opened => ("🚨", "Opened"),
        Kind::Escalated => ("🔺", "Escalated"),
        Kind::Reopened => ("🔁", "Reopened"),
        Kind::Resolved => ("✅", "Resolved"),
        Kind::Repeated => ("🔂", "Comes back"),
        Kind::Digest => ("📚", "Many incidents"),
    };
    let level = match (card.kind, card.anomaly.level) {
        (_, Level::PermanentFix) => ", needs a permanent fix",
        (Kind::Escalated, _) | (_, Level::None) => "",
        (_, Level::Repeat) => ", repeating",
        (_, Level::Escalate) => ", escalated",
    };
    let title = known(&card.incident.title, TITLE)
        .or_else(|| known(&card.anomaly.alert_name, TITLE))
        .unwrap_or_else(|| "an alert without a title".to_owned());
    Some(
        Line::new()
            .symbol(symbol)
            .bold(format!("{happened}{level}: {title}")),
    )
}

/// What became of the incident before the message went out.
fn standing(card: &Card) -> Option<Line> {
    let incident = &card.incident;
    let by_operator = || {
        operator(incident)
            .map(|name| format!(" by {name}"))
            .unwrap_or_default()
    };
    let text = match incident.status {
        Status::Open | Status::Analyzing => return None,
        Status::Acknowledged => format!("Acknowledged{}", by_operator()),
        Status::Resolved => {
            let by = match incident.resolved_by {
                Some(ResolvedBy::Itself) => " by itself".to_owned(),
                Some(ResolvedBy::Person) | None => by_operator(),
            };
            let at = incident.resolved_at.and_then(utc);
            let at = at.map(|at| format!(", {at}")).unwrap_or_default();
            format!("Meanwhile resolved{by}{at}")
        }
    };
    Some(Line::new().text(text))
}

/// Until when nothing more is told of it.
fn muted(card: &Card) -> Option<Line> {
    let until = utc(card.anomaly.muted_until?)?;
    let by = card.anomaly.muted_by.as_deref();
    let by = by.and_then(|name| known(name, NAME));
    let by = by.map(|name| format!(" by {name}")).unwrap_or_default();
    Some(Line::new().text(format!("Muted until {until}{by}")))
}

fn reopening(card: &Card) -> Option<Line> {
    let incident = &card.incident;
    let who = operator(incident).unwrap_or_else(|| "Somebody".to_owned());
    let mut text = format!("{who} had resolved it, and it still fires");
    if let Some(at) = utc(incident.last_firing_at) {
        text.push_str(&format!(" (seen {at})"));
    }
    if incident.reopened > 1 {
        text.push_str(&format!(". Reopened {} times by now", incident.reopened));
    }
    Some(Line::new().text(text))
}

/// How bad, and where.
fn place(card: &Card) -> Option<Line> {
    let mut line = Line::new();
    if let Some(severity) = known(&card.incident.severity, NAME) {
        line = line.bold(severity);
    }
    let anomaly = &card.anomaly;
    for (name, value) in [
        ("service ", &anomaly.service),
        ("namespace ", &anomaly.namespace),
        ("error ", &anomaly.error_type),
    ] {
        if let Some(value) = known(value, NAME) {
            line = line.dot().text(name).code(value);
        }
    }
    (!line.is_empty()).then_some(line)
}

fn level(card: &Card) -> Option<Line> {
    let level = card.anomaly.level;
    let verb = match (card.kind, level) {
        (Kind::Escalated, Level::Escalate | Level::PermanentFix) => "Rose to",
        (Kind::Escalated, Level::None | Level::Repeat) => "Calmed down since, to",
        (_, Level::None) => return None,
        _ => "Level",
    };
    let why = because(card.anomaly.reason.as_deref());
    Some(Line::new().text(format!("{verb} {level}{why}")))
}

fn figures(card: &Card) -> Option<Line> {
    let stats = card.incident.frequency_stats.as_ref()?;
    let windows = [
        ("1h", stats.count_1h),
        ("24h", stats.count_24h),
        ("7d", stats.count_7d),
        ("30d", stats.count_30d),
    ];
    let figures = windows.map(|(window, count)| format!("{window} {}", figure(count)));
    Some(Line::new().text(format!("Seen: {}", figures.join(" · "))))
}

fn tier(card: &Card) -> Option<Line> {
    let tier = Tier::from_number(card.incident.tier?)?;
    let why = because(card.incident.tier_reason.as_deref());
    Some(Line::new().text(format!("Tier {}, {}{why}", tier.number(), tier.name())))
}

fn repairs(card: &Card) -> Option<Line> {
    let stats = card.incident.repair_stats.as_ref()?;
    let (tried, helped) = (stats.total_attempts, stats.successful_attempts);
    if tried == 0 {
        return None;
    }
    let line = Line::new().text(format!("Repairs so far: {helped} of {tried} helped"));
    let last = stats
        .last_repair_action
        .as_deref()
        .and_then(|action| known(action, NAME));
    Some(match last {
        Some(action) => line.text(", last ").code(action),
        None => line,
    })
}

fn description(card: &Card) -> Option<Line> {
    let incident = &card.incident;
    ["description", "message"]
        .into_iter()
        .filter_map(|name| annotation(incident, name))
        .filter(|text| *text != incident.title)
        .find_map(|text| known(text, DESCRIPTION))
        .map(|text| Line::new().text(text))
}

fn links(card: &Card) -> Option<Line> {
    let runbook = annotation(&card.incident, "runbook_url");
    let source = card.incident.generator_url.as_deref();
    let page = card.page.as_deref();
    let line = [("Page", page), ("Runbook", runbook), ("Source", source)]
        .into_iter()
        .filter_map(|(label, url)| Some((label, address(url?)?)))
        .fold(Line::new(), |line, (label, url)| {
            line.dot().link(label, url)
        });
    (!line.is_empty()).then_some(line)
}

fn opening(card: &Card) -> Option<Line> {
    let mut text = format!("Opened {}", utc(card.incident.opened_at)?);
    if card.incident.aggregated_count > 1 {
        text.push_str(&format!(
            ", {} firings in it",
            figure(card.incident.aggregated_count)
        ));
    }
    Some(Line::new().text(text))
}

fn identity(card: &Card) -> Option<Line> {
    let line = Line::new().text(format!("Incident {}", card.incident.number));
    let line = match known(&card.anomaly.alert_name, NAME) {
        Some(name) => line.text(" of ").code(name),
        None => line,
    };
    Some(line.dot().id(card.incident.id))
}

/// Who acknowledged or resolved it last.
fn operator(incident: &incidents::Model) -> Option<String> {
    known(incident.operator.as_deref()?, NAME)
}

fn annotation<'a>(incident: &'a incidents::Model, name: &str) -> Option<&'a str> {
    incident.annotations.get(name)?.as_str()
}

fn because(reason: Option<&str>) -> String {
    let reason = reason.and_then(|reason| known(reason, REASON));
    reason
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default()
}

/// The value, tidied, if anything is left of it.
fn known(value: &str, max: usize) -> Option<String> {
    Some(tidy(value, max)).filter(|text| !text.is_empty())
}

/// To the minute.
fn utc(at: Timestamp) -> Option<String> {
    let at = DateTime::from_timestamp_millis(at.0)?;
    Some(at.format("%Y-%m-%d %H:%M UTC").to_string())
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
