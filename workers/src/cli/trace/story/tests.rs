//! Rendered traces.

use serde_json::json;

use super::*;

/// 2026-11-23, 08:10 UTC.
const NOW: Timestamp = Timestamp(1_795_421_400_000);

#[test]
fn an_expired_firing_is_not_shown_as_ended() {
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
    let lines = render(&trace, NOW);
    for said in [
        "delivered by alertmanager: firing since 2026-11-20T23:58:00.000Z; counted",
        "last received from alertmanager (the firing since 2026-11-20T23:58:00.000Z); expired later",
        "incident 4 of KubePodCrashLooping expired: the source stopped sending its alert",
    ] {
        assert!(lines.contains(said), "{lines}");
    }
    assert!(
        !lines.contains("resolved") && !lines.contains("ended"),
        "{lines}"
    );
}

#[test]
fn a_reopened_incident_is_shown_with_who_resolved_it() {
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
    let lines = render(&trace, NOW);
    let lines: Vec<&str> = lines
        .lines()
        .filter(|line| line.starts_with("  21:"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
        21:00:00.000  incident 4 of A opened: Crash
        21:02:00.000  incident 4 of A resolved automatically: all its firings ended
        21:02:00.000  incident 4 of A reopened: its alert fires
        21:10:00.000  incident 4 of A acknowledged by ann
        21:20:00.000  incident 4 of A resolved by bob
        21:40:00.000  incident 4 of A reopened: its alert fires
        ");
}

#[test]
fn a_trace_is_in_chronological_order() {
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
    insta::assert_snapshot!(render(&trace, NOW), @"
        fingerprint 5c51e1cd4f9ab3a0: 2 firings, 4 deliveries, 2 in the counts, 1 incident, 1 queued job, 2 dead letters

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
    let lines = render(
        &json!({"fingerprint": "x", "new": [1], "messages": [{}], "jobs": null}),
        NOW,
    );
    assert_eq!(
        lines,
        " x: 0 firings, 0 deliveries, 0 in the counts, 0 incidents"
    );
}

#[test]
fn a_pending_notification_is_told_with_when_it_is_due() {
    let message = |state: &str, owed_since: &str| {
        json!({"incident_id": "x", "kind": "escalated", "channel": "ops", "state": state,
               "owed_since": owed_since, "sent_at": null, "attempts": 0})
    };
    let table = [
        ("owed", "2026-11-23T08:14:00.000Z", "pending, due in 4m"),
        ("owed", "2026-11-23T08:09:58.000Z", "pending, due now"),
        (
            "owed",
            "2026-11-23T07:58:00.000Z",
            "pending, overdue for 12m",
        ),
        ("sending", "2026-11-23T07:58:00.000Z", "sending"),
        ("given up", "2026-11-23T07:58:00.000Z", "failed"),
    ];
    for (state, owed_since, expected) in table {
        let trace = json!({"messages": [message(state, owed_since)]});
        let lines = render(&trace, NOW);
        let expected =
            format!("notification to ops {expected}, no attempts yet: incident x escalated");
        assert!(lines.contains(&expected), "{lines}");
        assert_eq!(has_pending(&trace), state != "given up");
    }
}
