//! The list of queues, and beneath it the processes that work on them.

use std::time::Duration;

use comfy_table::{Cell, Row};
use serde_json::Value;
use tocsin::time::Timestamp;

use super::processes;
use crate::cli::fields::{number, operator, or_dash, text, time};
use crate::cli::table::{self, Terminal, attention, cell, dim, figure};
use crate::cli::{age, paused};

/// All that is to be seen, as it was at `now`.
pub(super) fn render(queues: &[Value], now: Timestamp, look: Terminal) -> String {
    let processes = processes::of(queues);
    let mut parts = vec![render_queues(queues, now, look)];
    if !processes.is_empty() {
        parts.push(processes::render(&processes, now, look));
    } else if queues.iter().any(|queue| queue["consumers"].is_array()) {
        parts.push("No workers on any queue: start `tocsin work` or `tocsin serve`.".to_owned());
    }
    let mut remarks: Vec<String> = queues.iter().filter_map(unattended).collect();
    remarks.extend(queues.iter().filter_map(|queue| paused::remark(queue, now)));
    remarks.extend(queues.iter().filter_map(lost));
    remarks.extend(processes::remarks(&processes));
    if !remarks.is_empty() {
        parts.push(remarks.join("\n"));
    }
    parts.join("\n\n")
}

fn render_queues(queues: &[Value], now: Timestamp, look: Terminal) -> String {
    let mut table = look.table(&[
        "QUEUE",
        "READY",
        "DELAYED",
        "IN FLIGHT",
        "DEAD",
        "RATE",
        "LAG",
        "WORKERS",
        "STATE",
    ]);
    table::align_right(&mut table, [1, 2, 3, 4, 5, 6, 7]);
    for queue in queues {
        table.add_row(row(queue, now));
    }
    look.render(table, &[(8, 7)])
}

fn row(queue: &Value, now: Timestamp) -> Row {
    let oldest = number(queue, "/oldest_age_ms").and_then(|ms| u64::try_from(ms).ok());
    let oldest = oldest.map(|ms| age::short(Duration::from_millis(ms)));
    let (dead, workers) = (number(queue, "/dead"), number(queue, "/workers"));
    let count = |value: Option<i64>, is_odd: bool| match value {
        Some(value) if is_odd => attention(&value.to_string()),
        value => figure(value),
    };
    table::line(vec![
        cell(&text(queue, "/name")),
        figure(number(queue, "/ready")),
        figure(number(queue, "/delayed")),
        figure(number(queue, "/in_flight")),
        count(dead, dead.is_some_and(|dead| dead > 0)),
        cell(&processes::rate(queue["rate"].as_f64().unwrap_or_default())),
        cell(&or_dash(oldest.unwrap_or_default())),
        count(workers, waiting(queue) > 0 && workers == Some(0)),
        state(queue, now),
    ])
}

fn state(queue: &Value, now: Timestamp) -> Cell {
    let is_paused = queue["paused"].as_bool().unwrap_or_default();
    match (is_paused, number(queue, "/workers")) {
        (true, _) => {
            let since = time(queue, "/paused_since").map(|since| age::short(now.since(since)));
            let since = since.map_or_else(String::new, |since| format!(" for {since}"));
            let by = match text(queue, "/paused_by").as_str() {
                "" => String::new(),
                by => format!(" by {}", operator(by)),
            };
            attention(&format!("paused{since}{by}"))
        }
        (false, Some(0)) if waiting(queue) > 0 => attention("no workers"),
        (false, Some(0)) => dim("no workers"),
        (false, _) => dim("running"),
    }
}

/// Jobs that a worker should be working on.
fn waiting(queue: &Value) -> i64 {
    let jobs = ["/ready", "/in_flight"].map(|field| number(queue, field).unwrap_or_default());
    jobs.iter().sum()
}

fn unattended(queue: &Value) -> Option<String> {
    let (name, jobs) = (text(queue, "/name"), waiting(queue));
    let is_odd = jobs > 0 && number(queue, "/workers") == Some(0);
    is_odd.then(|| {
        let jobs = match jobs {
            1 => "1 job waits".to_owned(),
            n => format!("{n} jobs wait"),
        };
        format!("{name}: {jobs}, but there are no workers. Start one: tocsin work --queues {name}")
    })
}

fn lost(queue: &Value) -> Option<String> {
    let jobs = number(queue, "/lost").filter(|jobs| *jobs > 0)?;
    let name = text(queue, "/name");
    Some(format!(
        "{name}: about {jobs} queued jobs were lost when Redis lost its data."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LOOK: Terminal = Terminal {
        width: 100,
        colour: false,
    };

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T21:28:29Z").unwrap()
    }

    fn worker(host: &str, pid: u32, version: &str, seen_ms_ago: u64) -> Value {
        json!({
            "name": "x", "host": host, "pid": pid, "version": version, "in_flight": 3,
            "rate": 61.26, "since": "2026-11-22T18:00:00.000Z", "concurrency": 16,
            "seen_ms_ago": seen_ms_ago,
        })
    }

    #[test]
    fn queues_are_shown_with_their_workers() {
        let (one, two) = (
            worker("web-1", 812, "1.2.0", 900),
            worker("web-2", 7, "1.2.0", 4100),
        );
        let queues = [
            json!({
                "name": "ingest", "ready": 120_500, "delayed": 0, "in_flight": 2000, "dead": 0,
                "oldest_age_ms": 61_000, "workers": 2, "paused": false, "rate": 1234.6,
                "consumers": [one, two],
            }),
            json!({
                "name": "notify", "ready": 3, "delayed": 1, "in_flight": 0, "dead": 4,
                "oldest_age_ms": null, "workers": 1, "paused": true, "new": "field",
                "paused_since": "2026-11-22T21:16:00.000Z", "paused_by": "ann", "rate": 0.0,
                "consumers": [one],
            }),
        ];
        insta::assert_snapshot!(render(&queues, now(), LOOK), @"
        QUEUE    READY  DELAYED  IN FLIGHT  DEAD    RATE  LAG  WORKERS  STATE
        ─────────────────────────────────────────────────────────────────────────────────────
        ingest  120500        0       2000     0  1235/s   1m        2  running
        notify       3        1          0     4       0    -        1  paused for 12m by ann

        HOST   PID  VERSION  QUEUES          IN FLIGHT   RATE  UP  HEARTBEAT
        ────────────────────────────────────────────────────────────────────
        web-1  812  1.2.0    ingest, notify          6  123/s  3h     0s ago
        web-2    7  1.2.0    ingest                  3   61/s  3h     4s ago

        notify is paused since 2026-11-22T21:16:00.000Z (12m ago) by ann: no notifications are sent. To resume: tocsin queues resume notify
        ");
    }

    #[test]
    fn queue_problems_are_shown() {
        let queues = [
            json!({
                "name": "ingest", "ready": 1, "delayed": 0, "in_flight": 0, "dead": 0,
                "oldest_age_ms": 61_000, "workers": 0, "paused": false, "rate": 0, "consumers": [],
            }),
            json!({
                "name": "tier", "ready": 0, "delayed": 0, "in_flight": 0, "dead": 0,
                "oldest_age_ms": null, "workers": 2, "paused": false, "rate": 0.25, "lost": 500,
                "consumers": [worker("a", 1, "1.2.0", 100), worker("b", 1, "1.3.0", 21_000)],
            }),
        ];
        insta::assert_snapshot!(render(&queues, now(), LOOK), @"
        QUEUE   READY  DELAYED  IN FLIGHT  DEAD   RATE  LAG  WORKERS  STATE
        ────────────────────────────────────────────────────────────────────────
        ingest      1        0          0     0      0   1m        0  no workers
        tier        0        0          0     0  0.2/s    -        2  running

        HOST  PID  VERSION  QUEUES  IN FLIGHT  RATE  UP  HEARTBEAT
        ──────────────────────────────────────────────────────────
        a       1  1.2.0    tier            3  61/s  3h     0s ago
        b       1  1.3.0    tier            3  61/s  3h    21s ago

        ingest: 1 job waits, but there are no workers. Start one: tocsin work --queues ingest
        tier: about 500 queued jobs were lost when Redis lost its data.
        b, process 1: no heartbeat for 21s. It has died or hangs.
        The processes run different versions: 1.2.0, 1.3.0.
        ");
        let coloured = Terminal {
            colour: true,
            ..LOOK
        };
        let yellow = render(&queues, now(), coloured)
            .matches("\u{1b}[38;5;11m")
            .count();
        assert_eq!(yellow, 5, "workers, state, two versions, a heartbeat");
    }

    #[test]
    fn missing_fields_of_a_health_response_are_tolerated() {
        insta::assert_snapshot!(render(&[json!({"name": "ingest"})], now(), LOOK), @"
        QUEUE   READY  DELAYED  IN FLIGHT  DEAD  RATE  LAG  WORKERS  STATE
        ────────────────────────────────────────────────────────────────────
        ingest      -        -          -     -     0    -        -  running
        ");
    }
}
