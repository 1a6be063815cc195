//! The processes that work: one line each, with what they work on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use comfy_table::Row;
use serde_json::Value;
use tocsin::queue::store::HEARTBEAT;
use tocsin::time::Timestamp;

use crate::cli::age;
use crate::cli::fields::{number, or_dash, text, time};
use crate::cli::table::{self, Terminal, attention, cell, figure};

/// A process that misses two heartbeats in a row is shown as not well.
const STALE: Duration = Duration::from_secs(2 * HEARTBEAT.as_secs() + 2);

/// One process: all its workers together.
#[derive(Default)]
pub(super) struct Process {
    host: String,
    pid: i64,
    version: String,
    queues: Vec<String>,
    in_flight: i64,
    rate: f64,
    since: Option<Timestamp>,
    /// The worker with the oldest heartbeat.
    seen: Duration,
}

/// The processes behind the queues' workers, by host and id.
pub(super) fn of(queues: &[Value]) -> Vec<Process> {
    let mut processes: BTreeMap<(String, i64), Process> = BTreeMap::new();
    for queue in queues {
        for worker in queue["consumers"].as_array().into_iter().flatten() {
            let pid = number(worker, "/pid").unwrap_or_default();
            let process = processes.entry((text(worker, "/host"), pid)).or_default();
            process.add(text(queue, "/name"), worker);
        }
    }
    let named = processes.into_iter().map(|((host, pid), process)| Process {
        host,
        pid,
        ..process
    });
    named.collect()
}

impl Process {
    fn add(&mut self, queue: String, worker: &Value) {
        // A worker that had to be started again is beside its predecessor for a while.
        if !self.queues.contains(&queue) {
            self.queues.push(queue);
        }
        self.version = text(worker, "/version");
        self.in_flight += number(worker, "/in_flight").unwrap_or_default();
        self.rate += worker["rate"].as_f64().unwrap_or_default();
        let seen = number(worker, "/seen_ms_ago").unwrap_or_default();
        self.seen = self.seen.max(Duration::from_millis(seen.unsigned_abs()));
        let since = time(worker, "/since");
        self.since = self.since.into_iter().chain(since).min();
    }

    fn is_stale(&self) -> bool {
        self.seen > STALE
    }

    fn row(&self, now: Timestamp, is_mixed: bool) -> Row {
        let up = self.since.map(|since| age::short(now.since(since)));
        let seen = format!("{} ago", age::short(self.seen));
        let version = or_dash(self.version.clone());
        table::line(vec![
            cell(&or_dash(self.host.clone())),
            figure(Some(self.pid)),
            if is_mixed {
                attention(&version)
            } else {
                cell(&version)
            },
            cell(&self.queues.join(", ")),
            figure(Some(self.in_flight)),
            cell(&rate(self.rate)),
            cell(&or_dash(up.unwrap_or_default())),
            if self.is_stale() {
                attention(&seen)
            } else {
                cell(&seen)
            },
        ])
    }
}

/// The table of them.
pub(super) fn render(processes: &[Process], now: Timestamp, look: Terminal) -> String {
    let mut table = look.table(&[
        "HOST",
        "PID",
        "VERSION",
        "QUEUES",
        "IN FLIGHT",
        "RATE",
        "UP",
        "HEARTBEAT",
    ]);
    table::align_right(&mut table, [1, 4, 5, 6, 7]);
    let is_mixed = versions(processes).len() > 1;
    for process in processes {
        table.add_row(process.row(now, is_mixed));
    }
    look.render(table, &[(3, 12), (0, 12)])
}

/// What is odd about them, in words.
pub(super) fn remarks(processes: &[Process]) -> Vec<String> {
    let silent = processes.iter().filter(|process| process.is_stale());
    let mut remarks: Vec<String> = silent
        .map(|process| {
            let (host, pid, seen) = (&process.host, process.pid, age::short(process.seen));
            format!("{host}, process {pid}: no heartbeat for {seen}. It has died or hangs.")
        })
        .collect();
    let versions = versions(processes);
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        remarks.push(format!(
            "The processes run different versions: {}.",
            versions.join(", ")
        ));
    }
    remarks
}

fn versions(processes: &[Process]) -> BTreeSet<&str> {
    let versions = processes.iter().map(|process| process.version.as_str());
    versions.collect()
}

/// Jobs per second: "0", "0.3/s", "1235/s".
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if rate < 0.05 => "0".to_owned(),
        rate if rate < 9.95 => format!("{rate:.1}/s"),
        rate => format!("{rate:.0}/s"),
    }
}
