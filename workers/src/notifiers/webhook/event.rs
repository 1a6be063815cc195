//! The body that is posted.

use serde::Serialize;
use serde_json::{Value, json};
use tocsin::domain::notification::Kind;
use tocsin::domain::playbook::proposal::Move;
use tocsin::time::Timestamp;
use tocsin::web::IncidentView;

use super::super::message::annotation;
use crate::notifiers::notice::Notice;
use crate::notifiers::{Card, TestMessage};
use tocsin::text::address;

/// A larger body, in bytes, goes without what an alert can make large.
const BODY_MAX: usize = 64 * 1024;

/// Everything there is to know, for programs; the text for people.
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    text: &'a str,
    data: Data,
}

/// The incident as in the API, with the URL of its page.
#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    incident: IncidentView,
    links: Links,
    /// Whether labels, annotations and repairs were left out, because they were too large.
    is_shortened: bool,
}

#[derive(Serialize)]
struct Links {
    page: Option<String>,
    runbook: Option<String>,
    source: Option<String>,
}

/// The body with everything in it.
pub(super) fn event(card: &Card, text: &str) -> String {
    let body = write(card, text, false);
    if body.len() <= BODY_MAX {
        return body;
    }
    let mut card = card.clone();
    card.incident.labels = json!({});
    card.incident.annotations = json!({});
    if let Some(stats) = &mut card.incident.repair_stats {
        stats.repair_history.clear();
    }
    write(&card, text, true)
}

/// The body of a message that is about no incident.
pub(super) fn test(test: &TestMessage, text: &str) -> String {
    json!({"type": "test", "timestamp": test.at, "text": text, "data": {}}).to_string()
}

/// The body of a notice: a report as the API shows it, or what changed in a playbook.
pub(super) fn notice(notice: &Notice, text: &str, page: Option<&str>) -> String {
    let links = json!({"page": page});
    let body = match notice {
        Notice::Report(report) => json!({
            "type": "report", "timestamp": report.made_at, "text": text,
            "data": {"report": report, "links": links},
        }),
        Notice::Playbook(change) => json!({
            "type": "playbook.changed", "timestamp": change.at, "text": text,
            "data": {
                "playbook": change.name, "version": change.version, "replaces": change.replaces,
                "moves": change.moves.iter().map(moved).collect::<Vec<_>>(), "held": change.held,
                "links": links,
            },
        }),
    };
    body.to_string()
}

fn moved(one: &Move) -> Value {
    json!({
        "action": one.action, "from": one.from.number(), "to": one.to.number(), "is_up": one.is_up,
    })
}

/// The body with the text alone.
pub(super) fn text(text: &str) -> String {
    json!({ "text": text }).to_string()
}

fn write(card: &Card, said: &str, is_shortened: bool) -> String {
    let linked = |url: Option<&str>| address(url?).map(String::from);
    let event = Event {
        r#type: match card.kind {
            Kind::Opened => "incident.opened",
            Kind::Escalated => "incident.escalated",
            Kind::Reopened => "incident.reopened",
            Kind::Worsened => "incident.worsened",
            Kind::Resolved => "incident.resolved",
            Kind::Repeated => "incident.repeated",
            Kind::Flapping => "incident.flapping",
            Kind::Steady => "incident.steady",
            Kind::Digest => "incidents.digest",
            Kind::Report => "report",
            Kind::Playbook => "playbook.changed",
        },
        timestamp: card.at,
        text: said,
        data: Data {
            links: Links {
                page: linked(card.page.as_deref()),
                runbook: linked(annotation(&card.incident, "runbook_url")),
                source: linked(card.incident.generator_url.as_deref()),
            },
            incident: (card.incident.clone(), card.anomaly.clone()).into(),
            is_shortened,
        },
    };
    serde_json::to_string(&event).unwrap_or_else(|_| text(said))
}
