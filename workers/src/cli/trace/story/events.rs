//! The events of a trace: what is shown of an occurrence, an incident, a message, a job, a dead letter.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tocsin::time::Timestamp;

use super::{called, list, name_of, times};
use crate::cli::age;
use crate::cli::fields::{number, text, time};

/// One thing that happened, or still waits. Of what happened at once, the lower rank comes first.
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) rank: u8,
    pub(super) what: String,
}

pub(super) fn event(at: Option<Timestamp>, rank: u8, what: String) -> Option<Event> {
    at.map(|at| Event { at, rank, what })
}

pub(super) fn of_occurrence(
    occurrence: &Value,
    names: &HashMap<String, String>,
    events: &mut Vec<Event>,
) {
    let source = text(occurrence, "/source");
    let since = time(occurrence, "/starts_at").map_or_else(String::new, |at| at.to_rfc3339());
    let counted = match number(occurrence, "/counted") {
        Some(0) => "not counted separately".to_owned(),
        Some(1) => "counted".to_owned(),
        n => format!("counted {}", times(n.unwrap_or_default())),
    };
    let incident = match text(occurrence, "/incident_id") {
        id if id.is_empty() => "in no incident: it had ended when first received".to_owned(),
        _ => format!("in {}", name_of(occurrence, names)),
    };
    let heard = time(occurrence, "/occurred_at");
    let is_unseen = text(occurrence, "/ended_by") == "unseen";
    let over = time(occurrence, "/ended_at")
        .filter(|ended| !is_unseen && heard.is_some_and(|at| *ended <= at));
    let fires = match over {
        Some(ended) => format!("fired from {since} to {ended}"),
        None => format!("firing since {since}"),
    };
    let what = format!("delivered by {source}: {fires}; {counted}, {incident}");
    events.extend(event(heard, 0, what));
    let deliveries = number(occurrence, "/deliveries").unwrap_or_default();
    if deliveries > 1 {
        let what = format!("delivered again by {source}, {} so far", times(deliveries));
        events.extend(event(time(occurrence, "/last_seen_at"), 5, what));
    }
    let what = match text(occurrence, "/ended_by").as_str() {
        "unseen" => {
            format!("last received from {source} (the firing since {since}); expired later")
        }
        "newer" => format!("ended: a newer firing of its series began (the firing since {since})"),
        _ => format!("ended, according to {source} (the firing since {since})"),
    };
    events.extend(event(time(occurrence, "/ended_at"), 6, what));
}

pub(super) fn of_incident(incident: &Value, acknowledged: &[Value], events: &mut Vec<Event>) {
    let called = called(incident);
    let what = format!("{called} opened: {}", text(incident, "/title"));
    events.extend(event(time(incident, "/opened_at"), 1, what));
    // The name is that of the last operator.
    let is_resolver = text(incident, "/resolved_by") == "person";
    let what = match is_resolver {
        true => format!("{called} acknowledged"),
        false => format!("{called} acknowledged by {}", somebody(incident)),
    };
    let (id, at) = (text(incident, "/id"), time(incident, "/acknowledged_at"));
    let is_told = |by: &Value| text(by, "/incident_id") == id && time(by, "/at") == at;
    if !acknowledged.iter().any(is_told) {
        events.extend(event(at, 4, what));
    }
    events.extend(event(
        time(incident, "/unheard_since"),
        6,
        format!("{called}: last delivery"),
    ));
    let what = resolved(&called, incident);
    events.extend(event(time(incident, "/resolved_at"), 7, what));
}

/// How an incident was resolved, by its row or by that of its reopening.
pub(super) fn resolved(called: &str, row: &Value) -> String {
    match text(row, "/resolved_by").as_str() {
        "person" => format!("{called} resolved by {}", somebody(row)),
        "unseen" => format!("{called} expired: the source stopped sending its alert"),
        _ => format!("{called} resolved automatically: all its firings ended"),
    }
}

pub(super) fn somebody(row: &Value) -> String {
    match text(row, "/operator") {
        operator if operator.is_empty() => "an unnamed operator".to_owned(),
        operator => operator,
    }
}

/// A notification that is due for longer is late.
const IN_TIME: Duration = Duration::from_secs(10);

/// Whether a notification is still to be sent, or was tried and is not sent yet.
pub(super) fn is_pending(message: &Value) -> bool {
    matches!(&*text(message, "/state"), "owed" | "sending")
}

/// When a notification that was not tried yet is due.
fn due(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        return format!("due in {}", age::left(at.since(now)));
    }
    match now.since(at) {
        late if late > IN_TIME => format!("overdue for {}", age::short(late)),
        _ => "due now".to_owned(),
    }
}

pub(super) fn of_message(
    message: &Value,
    names: &HashMap<String, String>,
    now: Timestamp,
) -> Option<Event> {
    let (kind, channel) = (text(message, "/kind"), text(message, "/channel"));
    let kind = match kind.as_str() {
        "worsened" => "severity raised",
        "steady" => "no longer flapping",
        other => other,
    };
    let about = name_of(message, names);
    if let Some(at) = time(message, "/sent_at") {
        return event(
            Some(at),
            3,
            format!("notification sent to {channel}: {about} {kind}"),
        );
    }
    let state = text(message, "/state");
    if state == "muted" {
        let why = match (
            &*text(message, "/suppressed_by"),
            number(message, "/card_number"),
        ) {
            ("card", Some(n)) => format!("on the card of incident {n}"),
            ("flapping", _) => "flapping".to_owned(),
            _ => "muted".to_owned(),
        };
        let what = format!("notification to {channel} suppressed ({why}): {about} {kind}");
        return event(time(message, "/owed_since"), 3, what);
    }
    let tried = match number(message, "/attempts").unwrap_or_default() {
        0 => "no attempts yet".to_owned(),
        n => format!("tried {}", times(n)),
    };
    let word = match state.as_str() {
        "owed" => "pending",
        "given up" => "failed",
        "digested" => "in a digest",
        other => other,
    };
    let due = match time(message, "/owed_since").filter(|_| state == "owed") {
        Some(at) => format!(", {}", due(at, now)),
        None => String::new(),
    };
    let mut what = format!("notification to {channel} {word}{due}, {tried}: {about} {kind}");
    because(&mut what, &text(message, "/error"));
    event(time(message, "/owed_since"), 3, what)
}

pub(super) fn of_repair(repair: &Value, names: &HashMap<String, String>) -> Option<Event> {
    // An instance of an older version knows only finished ones.
    let outcome = match repair["success"].as_bool() {
        Some(true) => "it helped",
        Some(false) => "it did not help",
        None => "not finished",
    };
    let mut what = format!(
        "{} tried on {}: {}",
        text(repair, "/action"),
        name_of(repair, names),
        outcome
    );
    let verdict = text(repair, "/verdict");
    if !verdict.is_empty() {
        let _ = write!(what, " ({verdict})");
    }
    let operator = text(repair, "/operator");
    if !operator.is_empty() {
        let _ = write!(what, ", recorded by {operator}");
    }
    because(&mut what, &text(repair, "/note"));
    event(time(repair, "/repaired_at"), 4, what)
}

pub(super) fn of_job(job: &Value, _: &HashMap<String, String>) -> Option<Event> {
    let (id, queue) = (text(job, "/id"), text(job, "/queue"));
    let state = match text(job, "/state").as_str() {
        "in_flight" => "in flight".to_owned(),
        "delayed" => format!("waits until {}", text(job, "/due_at")),
        _ => "ready".to_owned(),
    };
    let failed = list(job, "failed");
    let mut what = format!("queued in {queue} (job {id}): {state}");
    if let Some(last) = failed.last() {
        let _ = write!(
            what,
            "; failed {}, the last time",
            times(failed.len() as i64)
        );
        because(&mut what, &text(last, "/error"));
    }
    event(time(job, "/enqueued_at"), 8, what)
}

pub(super) fn of_letter(letter: &Value, _: &HashMap<String, String>) -> Option<Event> {
    let (id, queue, state) = (
        text(letter, "/id"),
        text(letter, "/queue"),
        text(letter, "/state"),
    );
    let mut what = format!("dead letter of {queue} ({id}, {state})");
    because(&mut what, &text(letter, "/reason"));
    event(time(letter, "/died_at"), 9, what)
}

/// The last replay of a dead letter, or that it was discarded.
pub(super) fn of_decision(letter: &Value, _: &HashMap<String, String>) -> Option<Event> {
    let done = match text(letter, "/state").as_str() {
        "discarded" => "discarded",
        _ => "replayed",
    };
    let (id, queue) = (text(letter, "/id"), text(letter, "/queue"));
    let by = match text(letter, "/decided_by") {
        by if by.is_empty() || by == "anyone" => "an unnamed operator".to_owned(),
        by => by,
    };
    let what = format!("dead letter of {queue} ({id}) {done} by {by}");
    // Its outcome is shown after it.
    event(time(letter, "/decided_at"), 2, what)
}

fn because(what: &mut String, why: &str) {
    if !why.is_empty() {
        let _ = write!(what, ": {why}");
    }
}
