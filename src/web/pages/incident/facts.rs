//! The alert of an incident: its labels, annotations and links.

use maud::{Markup, html};

use crate::config::Secret;
use crate::domain::aggregation::ResolvedBy;
use crate::store::views::incident_list::Entry;
use crate::text::{Text, address, fill, plural};
use crate::web::pages::{PageRequest, charts, mute, parts};
use crate::{alertmanager, entity};

pub(super) fn facts(visit: &PageRequest, (incident, anomaly): &Entry) -> Markup {
    let text = visit.text();
    let name = if anomaly.alert_name.is_empty() {
        &anomaly.key
    } else {
        &anomaly.alert_name
    };
    let fact = charts::fact;
    let mut facts = vec![
        fact(
            text.anomaly,
            &html! {
                a href=(format!("/anomalies/{}", anomaly.key)) { (name) } " · "
                (fill(text.incident_no, &[("n", &incident.number.to_string())]))
            },
        ),
        fact(text.incident_id, &html! { code.id { (incident.id) } }),
        fact(text.opened, &parts::at(incident.opened_at)),
        fact(text.last_delivered, &parts::at(incident.last_firing_at)),
    ];
    for (name, value) in [
        (text.severity, &incident.severity),
        (text.service, &anomaly.service),
        (text.namespace, &anomaly.namespace),
        (text.error_type, &anomaly.error_type),
        (text.source, &incident.source),
    ] {
        let is_service = name == text.service && !value.is_empty();
        let shown = match is_service {
            true => parts::service(value),
            false => html! { (parts::or_dash(value)) },
        };
        facts.push(fact(name, &shown));
    }
    if anomaly.is_overflow() {
        facts.push(fact(
            text.counted_together,
            &html! { (text.too_many_names) },
        ));
    }
    let who = |resolved_by| match (&incident.operator, resolved_by) {
        (_, Some(ResolvedBy::Itself)) => text.resolved_itself.to_owned(),
        (_, Some(ResolvedBy::Unseen)) => text.resolved_unseen.to_owned(),
        (Some(name), _) => fill(text.by_person, &[("name", name)]),
        (None, _) => text.by_somebody.to_owned(),
    };
    // The name is that of the last operator; the timeline has the others.
    let is_resolver = incident.resolved_by == Some(ResolvedBy::Person);
    if let Some(at) = incident.acknowledged_at {
        let value = html! { (parts::at(at)) @if !is_resolver { " " (who(None)) } };
        facts.push(fact(text.acknowledged_at, &value));
    }
    if let Some(at) = incident.resolved_at {
        let value = html! { (parts::at(at)) " " (who(incident.resolved_by)) };
        facts.push(fact(text.resolved_at, &value));
    }
    facts.extend(mute::fact(visit, anomaly));
    if let Some(at) = anomaly.permanent_fix_at {
        let reference = anomaly
            .permanent_fix_reference
            .as_deref()
            .unwrap_or_default();
        let shown = match address(reference) {
            Some(url) => html! { a href=(url) rel="noreferrer" { (url) } },
            None => html! { (reference) },
        };
        facts.push(fact(text.fixed_at, &html! { (parts::at(at)) " " (shown) }));
    }
    html! {
        dl.facts { @for fact in &facts { (fact) } }
        @if incident.reopened > 0 { p { (plural(text.reopened_times, incident.reopened)) } }
    }
}

/// Links to the alert in other tools.
pub(super) fn elsewhere(
    text: &Text,
    incident: &entity::incidents::Model,
    alertmanager: Option<&Secret>,
) -> Markup {
    let annotation = |name: &str| incident.annotations.get(name).and_then(|v| v.as_str());
    let alertmanager = alertmanager.and_then(alertmanager::page);
    let there = |page: &str| {
        let url = alertmanager.as_deref()?;
        Some(in_alertmanager(url, page, &incident.labels))
    };
    let (alerts, silence) = (there("alerts"), there("silences/new"));
    let links = [
        (text.open_runbook, annotation("runbook_url")),
        (
            text.open_dashboard,
            annotation("panel_url").or_else(|| annotation("dashboard_url")),
        ),
        (text.open_image, annotation("image_url")),
        (text.open_generator, incident.generator_url.as_deref()),
        (text.open_alertmanager, alerts.as_deref()),
        (text.open_silence, silence.as_deref()),
    ];
    let links = links.map(|(name, url)| Some((name, url.and_then(address)?)));
    html! {
        @if links.iter().any(Option::is_some) {
            p.row.links {
                @for (name, url) in links.into_iter().flatten() {
                    a.button href=(url) rel="noreferrer" { (name) " ↗" }
                }
            }
        }
    }
}

/// Labels that say what an alert is about, and not which of its series it is.
const ABOUT: [&str; 5] = ["alertname", "namespace", "job", "service", "severity"];

/// A page of Alertmanager, filled in with what alerts like this one have in common.
fn in_alertmanager(url: &str, page: &str, labels: &serde_json::Value) -> String {
    let matcher = |name: &&str| {
        let value = labels.get(*name)?.as_str()?;
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        Some(format!("{name}=\"{value}\""))
    };
    let matchers: Vec<String> = ABOUT.iter().filter_map(matcher).collect();
    let filter = parts::encoded(&format!("{{{}}}", matchers.join(",")));
    format!("{url}/#/{page}?filter={filter}")
}

/// Labels or annotations. What is an address leads there.
pub(super) fn pairs(json: &serde_json::Value) -> Markup {
    let empty = serde_json::Map::new();
    let pairs = json.as_object().unwrap_or(&empty);
    html! {
        dl.pairs {
            @for (name, value) in pairs {
                div { dt { (name) } dd { (shown(value)) } }
            }
        }
    }
}

fn shown(value: &serde_json::Value) -> Markup {
    let text = value.as_str();
    html! {
        @match (text, text.and_then(address)) {
            (Some(text), Some(url)) => a href=(url) rel="noreferrer" { (text) },
            (Some(text), None) => (text),
            (None, _) => (value.to_string()),
        }
    }
}
