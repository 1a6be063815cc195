//! A trace in the order of time: when, and what.

mod events;

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;
use tocsin::time::Timestamp;

use super::super::fields::{level, number, text, tier, time};
use events::{
    Event, event, is_pending, of_decision, of_incident, of_job, of_letter, of_message,
    of_occurrence, of_repair, resolved, somebody,
};

/// Whether a notification of it is still to be sent.
pub(super) fn has_pending(trace: &Value) -> bool {
    list(trace, "messages").iter().any(is_pending)
}

/// Tells everything that a trace holds, as it was at `now`.
pub(super) fn render(trace: &Value, now: Timestamp) -> String {
    let incidents = list(trace, "incidents");
    let names: HashMap<String, String> = incidents
        .iter()
        .map(|i| (text(i, "/id"), called(i)))
        .collect();
    let mut events = Vec::new();
    for occurrence in list(trace, "occurrences") {
        of_occurrence(occurrence, &names, &mut events);
    }
    let acknowledged = list(trace, "acknowledgements");
    for incident in incidents {
        of_incident(incident, acknowledged, &mut events);
    }
    for again in list(trace, "reopenings") {
        let called = name_of(again, &names);
        let what = resolved(&called, again);
        events.extend(event(time(again, "/resolved_at"), 7, what));
        let what = format!("{called} reopened: its alert fires");
        events.extend(event(time(again, "/reopened_at"), 7, what));
    }
    for by in acknowledged {
        let called = name_of(by, &names);
        let what = format!("{called} acknowledged by {}", somebody(by));
        events.extend(event(time(by, "/at"), 4, what));
    }
    let each = |name: &str, of: fn(&Value, &HashMap<String, String>) -> Option<Event>| {
        let found = list(trace, name).iter().filter_map(|item| of(item, &names));
        found.collect::<Vec<_>>()
    };
    let messages = list(trace, "messages").iter();
    events.extend(messages.filter_map(|message| of_message(message, &names, now)));
    events.extend(each("repairs", of_repair));
    events.extend(each("jobs", of_job));
    events.extend(each("dead_letters", of_letter));
    events.extend(each("dead_letters", of_decision));
    events.sort_by_key(|event| (event.at, event.rank));

    let mut out = head(trace);
    let mut day = String::new();
    for event in events {
        let moment = event.at.to_rfc3339();
        let (date, clock) = moment.split_once('T').unwrap_or((&moment, ""));
        if date != day {
            let _ = write!(out, "\n\n{date} (UTC)");
            date.clone_into(&mut day);
        }
        let _ = write!(out, "\n  {}  {}", clock.trim_end_matches('Z'), event.what);
    }
    if !incidents.is_empty() {
        out.push_str("\n\nnow");
    }
    for incident in incidents {
        let _ = write!(out, "\n  {}", as_it_is(incident));
    }
    out
}

/// An incident as it is now, and how to see more of it.
fn as_it_is(incident: &Value) -> String {
    let tier = match tier(incident) {
        tier if tier.is_empty() => "tier not calculated yet".to_owned(),
        tier => format!("tier {tier}"),
    };
    let muted = match text(incident, "/muted_until") {
        until if until.is_empty() => until,
        until => format!(", muted until {until}"),
    };
    format!(
        "{}: {}, {tier}, level {}{muted}: tocsin incidents show {}",
        called(incident),
        text(incident, "/status"),
        level(incident, "/escalation_level"),
        text(incident, "/id")
    )
}

fn list<'a>(trace: &'a Value, name: &str) -> &'a [Value] {
    trace[name].as_array().map_or(&[], Vec::as_slice)
}

fn head(trace: &Value) -> String {
    let occurrences = list(trace, "occurrences");
    let sum = |field: &str| {
        let of = occurrences.iter().filter_map(|o| number(o, field));
        of.sum::<i64>()
    };
    let mut facts = vec![
        many(occurrences.len() as i64, "firing"),
        deliveries(sum("/deliveries")),
        format!("{} in the counts", sum("/counted")),
        many(list(trace, "incidents").len() as i64, "incident"),
    ];
    for (name, one) in [("jobs", "queued job"), ("dead_letters", "dead letter")] {
        let n = list(trace, name).len() as i64;
        if n > 0 {
            facts.push(many(n, one));
        }
    }
    let found_by = text(trace, "/found_by");
    format!(
        "{found_by} {}: {}",
        text(trace, "/fingerprint"),
        facts.join(", ")
    )
}

fn deliveries(n: i64) -> String {
    match n {
        1 => "1 delivery".to_owned(),
        n => format!("{n} deliveries"),
    }
}

fn many(n: i64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn times(n: i64) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

/// An incident as the other lines call it.
fn called(incident: &Value) -> String {
    let number = number(incident, "/number").unwrap_or_default();
    format!("incident {number} of {}", text(incident, "/alert_name"))
}

fn name_of(item: &Value, names: &HashMap<String, String>) -> String {
    let id = text(item, "/incident_id");
    names
        .get(&id)
        .cloned()
        .unwrap_or_else(|| format!("incident {id}"))
}

#[cfg(test)]
mod tests;
