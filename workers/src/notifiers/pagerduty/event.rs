//! The event that is sent.

use serde_json::{Map, Value, json};
use tocsin::domain::aggregation::Status;
use tocsin::domain::severity;
use tocsin::text::{Text, address};

use crate::notifiers::markup::{self, Line};
use crate::notifiers::message::{self, annotation};
use crate::notifiers::text::tidy;
use crate::notifiers::{Card, TestMessage};

/// The longest summary, in characters: PagerDuty cuts what is longer. A character has one UTF-16 code unit at
/// least.
const SUMMARY: usize = 1_024;
/// The longest name, such as that of a service, in UTF-16 code units, as all of these.
const NAME: usize = 200;
/// The longest label.
const LABEL: usize = 500;
/// The most labels that are sent.
const LABELS: usize = 64;

/// What is to become of an incident there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Pages, unless it is open there already.
    Trigger,
    /// It was acknowledged.
    Acknowledge,
    /// It is over.
    Resolve,
}

impl Action {
    /// What an incident of this status is there.
    const fn of(status: Status) -> Self {
        match status {
            Status::Open | Status::Analyzing => Self::Trigger,
            Status::Acknowledged => Self::Acknowledge,
            Status::Resolved => Self::Resolve,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
        }
    }

    /// What an event does.
    pub(super) fn of_event(event: &Value) -> Option<Self> {
        let name = event["event_action"].as_str()?;
        let mut all = [Self::Trigger, Self::Acknowledge, Self::Resolve].into_iter();
        all.find(|action| action.name() == name)
    }
}

/// What PagerDuty calls a severity. An unknown word is taken for an error.
fn severity(word: &str) -> &'static str {
    match severity::rank(word) {
        Some(5) => "critical",
        Some(2 | 3) => "warning",
        Some(1) => "info",
        // Of one without a severity nothing says that it can wait.
        _ => "error",
    }
}

/// The event, without the key.
pub(super) fn of_card(card: &Card, text: &Text) -> String {
    let (incident, anomaly) = (&card.incident, &card.anomaly);
    let lines = message::lines(card, text);
    let names = [&anomaly.service, &anomaly.namespace, &anomaly.alert_name];
    let mut named = names.into_iter().map(|name| tidy(name, NAME));
    let source = named.find(|name| !name.is_empty());
    let known = |name: &str| Some(tidy(name, NAME)).filter(|name| !name.is_empty());
    let linked = [
        (text.msg_open, card.page.as_deref()),
        (text.msg_runbook, annotation(incident, "runbook_url")),
        (text.source, incident.generator_url.as_deref()),
    ];
    let links = linked.into_iter().filter_map(|(label, url)| {
        let url = address(url?)?;
        Some(json!({"href": url.as_str(), "text": label}))
    });
    let page = card.page.as_deref().and_then(address);
    let mut payload = json!({
        "summary": summary(&lines),
        "source": source.unwrap_or_else(|| "tocsin".to_owned()),
        "severity": severity(&incident.severity),
        "timestamp": incident.opened_at,
        "custom_details": details(card, &lines),
    });
    for (field, value) in [
        ("component", known(&anomaly.service)),
        ("group", known(&anomaly.namespace)),
        ("class", known(&anomaly.error_type)),
    ] {
        if let Some(value) = value {
            payload[field] = value.into();
        }
    }
    let mut event = json!({
        "event_action": Action::of(incident.status).name(),
        "dedup_key": incident.id,
        "client": "Tocsin",
        "payload": payload,
        "links": links.collect::<Vec<_>>(),
    });
    if let Some(url) = page {
        event["client_url"] = url.as_str().into();
    }
    event.to_string()
}

/// The event of a message that is about no incident.
pub(super) fn of_test(test: &TestMessage, text: &Text) -> String {
    let lines = message::of_test(test, text);
    json!({
        "event_action": Action::Trigger.name(),
        "dedup_key": test.id,
        "client": "Tocsin",
        "payload": {
            "summary": summary(&lines),
            "source": "tocsin",
            "severity": "info",
            "timestamp": test.at,
            "custom_details": {"text": markup::plain(&lines)},
        },
    })
    .to_string()
}

/// The event with the key, as that action if one is given; none if it cannot be read.
pub(super) fn with(body: &str, routing_key: &str, action: Option<Action>) -> Option<Value> {
    let mut event: Value = serde_json::from_str(body).ok()?;
    let fields = event.as_object_mut()?;
    fields.insert("routing_key".to_owned(), routing_key.into());
    if let Some(action) = action {
        fields.insert("event_action".to_owned(), action.name().into());
    }
    Some(event)
}

/// What an event is about.
pub(super) fn key(body: &str) -> Option<String> {
    let event: Value = serde_json::from_str(body).ok()?;
    event["dedup_key"].as_str().map(str::to_owned)
}

/// Whether an incident is to be opened before the event: it acknowledges it, and has all that opens one.
pub(super) fn opens_first(body: &str) -> bool {
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    Action::of_event(&event) == Some(Action::Acknowledge) && event["payload"].is_object()
}

/// The event that follows one that was sent, if it leaves the incident in another state: otherwise open, or
/// otherwise severe. What is open is acknowledged by that alone.
pub(super) fn after(sent: &str, body: &str) -> Option<String> {
    let state = |body: &str| {
        let event: Value = serde_json::from_str(body).ok()?;
        let action = Action::of_event(&event)?;
        let severity = event["payload"]["severity"].as_str();
        let severity = severity.filter(|_| action == Action::Trigger);
        Some((action, severity.map(str::to_owned)))
    };
    match (state(sent), state(body)) {
        (Some(before), Some(now)) if before == now => None,
        (Some((Action::Trigger, _)), Some((Action::Acknowledge, _))) => {
            let event = json!({"event_action": Action::Acknowledge.name(), "dedup_key": key(body)});
            Some(event.to_string())
        }
        _ => Some(body.to_owned()),
    }
}

fn summary(lines: &[Line]) -> String {
    tidy(&lines.first().map(Line::plain).unwrap_or_default(), SUMMARY)
}

/// What there is to know beside: the text for people, and figures and labels for rules.
fn details(card: &Card, lines: &[Line]) -> Value {
    let incident = &card.incident;
    let stats = incident.frequency_stats.as_ref();
    json!({
        "text": markup::plain(lines),
        "incident": incident.number,
        "alert_name": tidy(&card.anomaly.alert_name, NAME),
        "escalation_level": card.anomaly.level,
        "tier": incident.tier,
        "firings": incident.aggregated_count,
        "count_1h": stats.map(|stats| stats.count_1h),
        "count_24h": stats.map(|stats| stats.count_24h),
        "count_7d": stats.map(|stats| stats.count_7d),
        "count_30d": stats.map(|stats| stats.count_30d),
        "labels": labels(&incident.labels),
    })
}

fn labels(labels: &Value) -> Map<String, Value> {
    let labels = labels.as_object().into_iter().flatten().take(LABELS);
    let tidied = labels.map(|(name, value)| {
        let value = value.as_str().unwrap_or_default();
        (tidy(name, NAME), Value::from(tidy(value, LABEL)))
    });
    tidied.collect()
}
