//! A trace in the order of time: when, and what.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;
use tocsin::time::Timestamp;

use super::super::fields::{number, text, tier, time};

/// One thing that happened, or still waits. Of what happened at once, the lower rank comes first.
struct Event {
    at: Timestamp,
    rank: u8,
    what: String,
}

/// Tells everything that a trace holds.
pub(super) fn tell(trace: &Value) -> String {
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
        let what = format!("{called} reopened: its alert still fires");
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
    events.extend(each("messages", of_message));
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
        text(incident, "/escalation_level"),
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
        format!("delivered {}", times(sum("/deliveries"))),
        format!("counted {}", times(sum("/counted"))),
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

fn event(at: Option<Timestamp>, rank: u8, what: String) -> Option<Event> {
    at.map(|at| Event { at, rank, what })
}

fn of_occurrence(occurrence: &Value, names: &HashMap<String, String>, events: &mut Vec<Event>) {
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

fn of_incident(incident: &Value, acknowledged: &[Value], events: &mut Vec<Event>) {
    let called = called(incident);
    let what = format!("{called} opened: {}", text(incident, "/title"));
    events.extend(event(time(incident, "/opened_at"), 1, what));
    // The name is that of whoever did the last thing.
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
fn resolved(called: &str, row: &Value) -> String {
    match text(row, "/resolved_by").as_str() {
        "person" => format!("{called} resolved by {}", somebody(row)),
        "unseen" => format!("{called} expired: the source stopped sending its alert"),
        _ => format!("{called} resolved automatically: all its firings ended"),
    }
}

fn somebody(row: &Value) -> String {
    match text(row, "/operator") {
        operator if operator.is_empty() => "an unnamed operator".to_owned(),
        operator => operator,
    }
}

fn of_message(message: &Value, names: &HashMap<String, String>) -> Option<Event> {
    let (kind, channel) = (text(message, "/kind"), text(message, "/channel"));
    let kind = match kind.as_str() {
        "worsened" => "severity raised",
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
        let what = format!("notification to {channel} suppressed (muted): {about} {kind}");
        return event(time(message, "/owed_since"), 3, what);
    }
    let tried = match number(message, "/attempts").unwrap_or_default() {
        0 => "no attempts yet".to_owned(),
        n => format!("tried {}", times(n)),
    };
    let state = match state.as_str() {
        "owed" => "pending",
        "given up" => "failed",
        "digested" => "in a digest",
        other => other,
    };
    let mut what = format!("notification to {channel} {state}, {tried}: {about} {kind}");
    because(&mut what, &text(message, "/error"));
    event(time(message, "/owed_since"), 3, what)
}

fn of_repair(repair: &Value, names: &HashMap<String, String>) -> Option<Event> {
    let helped = repair["success"].as_bool().unwrap_or_default();
    let mut what = format!(
        "{} tried on {}: {}",
        text(repair, "/action"),
        name_of(repair, names),
        if helped {
            "it helped"
        } else {
            "it did not help"
        }
    );
    let operator = text(repair, "/operator");
    if !operator.is_empty() {
        let _ = write!(what, ", recorded by {operator}");
    }
    because(&mut what, &text(repair, "/note"));
    event(time(repair, "/repaired_at"), 4, what)
}

fn of_job(job: &Value, _: &HashMap<String, String>) -> Option<Event> {
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

fn of_letter(letter: &Value, _: &HashMap<String, String>) -> Option<Event> {
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
fn of_decision(letter: &Value, _: &HashMap<String, String>) -> Option<Event> {
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
    // What came of it is told after it.
    event(time(letter, "/decided_at"), 2, what)
}

fn because(what: &mut String, why: &str) {
    if !why.is_empty() {
        let _ = write!(what, ": {why}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_closed_as_unseen_is_not_told_as_ended() {
        let incident = "01940000-0000-7000-8000-000000000001";
        let trace = json!({
            "fingerprint": "5c51e1cd4f9ab3a0", "found_by": "fingerprint",
            "occurrences": [
                {"source": "alertmanager", "starts_at": "2026-11-20T23:58:00.000Z", "deliveries": 1,
                 "occurred_at": "2026-11-20T23:58:30.102Z", "last_seen_at": "2026-11-20T23:58:30.102Z",
                 "ended_at": "2026-11-20T23:58:30.102Z", "ended_by": "unseen", "counted": 1,
                 "incident_id": incident},
            ],
            "incidents": [
                {"id": incident, "number": 4, "alert_name": "KubePodCrashLooping", "tier": 1,
                 "status": "RESOLVED", "title": "Crash", "escalation_level": "NONE",
                 "opened_at": "2026-11-20T23:58:30.102Z",
                 "resolved_at": "2026-11-22T23:59:00.000Z", "resolved_by": "unseen"},
            ],
            "messages": [], "repairs": [], "jobs": [], "dead_letters": [],
        });
        let told = tell(&trace);
        for said in [
            "delivered by alertmanager: firing since 2026-11-20T23:58:00.000Z; counted",
            "last received from alertmanager (the firing since 2026-11-20T23:58:00.000Z); expired later",
            "incident 4 of KubePodCrashLooping expired: the source stopped sending its alert",
        ] {
            assert!(told.contains(said), "{told}");
        }
        assert!(
            !told.contains("resolved") && !told.contains("ended"),
            "{told}"
        );
    }

    #[test]
    fn what_was_resolved_and_opened_again_is_told_with_who_did_it() {
        let incident = "01940000-0000-7000-8000-000000000001";
        let trace = json!({
            "fingerprint": "5c51e1cd4f9ab3a0", "found_by": "fingerprint",
            "occurrences": [],
            "incidents": [
                {"id": incident, "number": 4, "alert_name": "A", "status": "OPEN", "title": "Crash",
                 "escalation_level": "NONE", "operator": "bob", "opened_at": "2026-11-22T21:00:00.000Z"},
            ],
            "reopenings": [
                {"incident_id": incident, "resolved_at": "2026-11-22T21:20:00.000Z", "resolved_by": "person",
                 "operator": "bob", "reopened_at": "2026-11-22T21:40:00.000Z"},
                {"incident_id": incident, "resolved_at": "2026-11-22T21:02:00.000Z", "resolved_by": "itself",
                 "operator": null, "reopened_at": "2026-11-22T21:02:00.000Z"},
            ],
            "acknowledgements": [
                {"incident_id": incident, "operator": "ann", "at": "2026-11-22T21:10:00.000Z"},
            ],
        });
        let told = tell(&trace);
        let told: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with("  21:"))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        21:00:00.000  incident 4 of A opened: Crash
        21:02:00.000  incident 4 of A resolved automatically: all its firings ended
        21:02:00.000  incident 4 of A reopened: its alert still fires
        21:10:00.000  incident 4 of A acknowledged by ann
        21:20:00.000  incident 4 of A resolved by bob
        21:40:00.000  incident 4 of A reopened: its alert still fires
        ");
    }

    #[test]
    fn a_trace_is_told_in_the_order_of_time() {
        let incident = "01940000-0000-7000-8000-000000000001";
        let trace = json!({
            "fingerprint": "5c51e1cd4f9ab3a0", "found_by": "fingerprint",
            "occurrences": [
                {"source": "alertmanager", "starts_at": "2026-11-22T23:58:00.000Z", "deliveries": 3,
                 "occurred_at": "2026-11-22T23:58:30.102Z", "last_seen_at": "2026-11-23T08:02:00.000Z",
                 "ended_at": "2026-11-23T08:01:10.000Z", "counted": 1, "incident_id": incident},
                {"source": "alertmanager", "starts_at": "2026-11-20T10:00:00.000Z", "deliveries": 1,
                 "occurred_at": "2026-11-20T11:00:00.000Z", "last_seen_at": "2026-11-20T11:00:00.000Z",
                 "ended_at": "2026-11-20T10:30:00.000Z", "counted": 1, "incident_id": null},
            ],
            "incidents": [
                {"id": incident, "number": 4, "alert_name": "KubePodCrashLooping", "tier": 2,
                 "status": "RESOLVED", "title": "Pod checkout is crash\u{1b}[2J looping", "escalation_level": "ESCALATE",
                 "opened_at": "2026-11-22T23:58:30.102Z", "acknowledged_at": "2026-11-23T00:05:00.000Z",
                 "operator": "ann", "resolved_at": "2026-11-23T08:02:00.000Z", "resolved_by": "itself"},
            ],
            "messages": [
                {"incident_id": incident, "kind": "opened", "channel": "telegram:-100", "state": "sent",
                 "owed_since": "2026-11-22T23:58:30.400Z", "sent_at": "2026-11-22T23:58:31.000Z", "attempts": 1},
                {"incident_id": incident, "kind": "escalated", "channel": "telegram:-100", "state": "sending",
                 "owed_since": "2026-11-23T00:01:00.000Z", "sent_at": null, "attempts": 2,
                 "error": "Telegram answers 502"},
            ],
            "repairs": [
                {"incident_id": incident, "action": "restart_pod", "success": false, "operator": "ann",
                 "note": "came back after a minute", "repaired_at": "2026-11-23T00:07:00.000Z"},
            ],
            "jobs": [
                {"id": "01940000-0000-7000-8000-00000000000a", "queue": "ingest", "state": "delayed",
                 "enqueued_at": "2026-11-23T08:05:00.000Z", "due_at": "2026-11-23T08:06:00.000Z",
                 "failed": [{"at": "2026-11-23T08:05:01.000Z", "error": "no such column"}]},
            ],
            "dead_letters": [
                {"id": "01940000-0000-7000-8000-00000000000b", "queue": "ingest", "state": "dead",
                 "reason": "the alert has no alertname", "died_at": "2026-11-23T08:04:00.000Z"},
                {"id": "01940000-0000-7000-8000-00000000000c", "queue": "notify", "state": "replayed",
                 "reason": "webhook ops answered 404", "died_at": "2026-11-23T08:06:00.000Z",
                 "decided_at": "2026-11-23T08:07:00.000Z", "decided_by": "ann"},
            ],
        });
        insta::assert_snapshot!(tell(&trace), @"
        fingerprint 5c51e1cd4f9ab3a0: 2 firings, delivered 4 times, counted twice, 1 incident, 1 queued job, 2 dead letters

        2026-11-20 (UTC)
          10:30:00.000  ended, according to alertmanager (the firing since 2026-11-20T10:00:00.000Z)
          11:00:00.000  delivered by alertmanager: fired from 2026-11-20T10:00:00.000Z to 2026-11-20T10:30:00.000Z; counted, in no incident: it had ended when first received

        2026-11-22 (UTC)
          23:58:30.102  delivered by alertmanager: firing since 2026-11-22T23:58:00.000Z; counted, in incident 4 of KubePodCrashLooping
          23:58:30.102  incident 4 of KubePodCrashLooping opened: Pod checkout is crash [2J looping
          23:58:31.000  notification sent to telegram:-100: incident 4 of KubePodCrashLooping opened

        2026-11-23 (UTC)
          00:01:00.000  notification to telegram:-100 sending, tried twice: incident 4 of KubePodCrashLooping escalated: Telegram answers 502
          00:05:00.000  incident 4 of KubePodCrashLooping acknowledged by ann
          00:07:00.000  restart_pod tried on incident 4 of KubePodCrashLooping: it did not help, recorded by ann: came back after a minute
          08:01:10.000  ended, according to alertmanager (the firing since 2026-11-22T23:58:00.000Z)
          08:02:00.000  delivered again by alertmanager, 3 times so far
          08:02:00.000  incident 4 of KubePodCrashLooping resolved automatically: all its firings ended
          08:04:00.000  dead letter of ingest (01940000-0000-7000-8000-00000000000b, dead): the alert has no alertname
          08:05:00.000  queued in ingest (job 01940000-0000-7000-8000-00000000000a): waits until 2026-11-23T08:06:00.000Z; failed once, the last time: no such column
          08:06:00.000  dead letter of notify (01940000-0000-7000-8000-00000000000c, replayed): webhook ops answered 404
          08:07:00.000  dead letter of notify (01940000-0000-7000-8000-00000000000c) replayed by ann

        now
          incident 4 of KubePodCrashLooping: RESOLVED, tier 2 mitigate, level ESCALATE: tocsin incidents show 01940000-0000-7000-8000-000000000001
        ");
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let told = tell(&json!({"fingerprint": "x", "new": [1], "messages": [{}], "jobs": null}));
        assert_eq!(
            told,
            " x: 0 firings, delivered 0 times, counted 0 times, 0 incidents"
        );
    }
}
