//! The processes that work: one row each, with what they work on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use maud::{Markup, html};

use super::parts;
use super::request::PageRequest;
use crate::queue::about::WorkerStatus;
use crate::queue::store::HEARTBEAT;
use crate::text::{Text, fill};
use crate::time::Timestamp;

/// Who misses a second heartbeat is not well.
const STALE: Duration = Duration::from_secs(2 * HEARTBEAT.as_secs() + 2);

/// One process: all its workers together.
#[derive(Debug, Default)]
struct Process<'a> {
    version: &'a str,
    queues: Vec<&'a str>,
    in_flight: usize,
    concurrency: usize,
    rate: f64,
    since: Timestamp,
    /// The age of the oldest heartbeat of a worker.
    seen: Duration,
}

/// A host and the id of a process there.
type Place<'a> = (&'a str, u32);

/// The processes behind the queues' workers.
fn of<'a>(workers: &'a [(&'static str, Vec<WorkerStatus>)]) -> BTreeMap<Place<'a>, Process<'a>> {
    let mut processes: BTreeMap<Place<'a>, Process<'a>> = BTreeMap::new();
    for (queue, known) in workers {
        for worker in known {
            let about = &worker.about;
            let process = processes
                .entry((&about.host, about.pid))
                .or_insert_with(|| Process {
                    since: about.since,
                    ..Process::default()
                });
            // A worker that had to be started again is beside its predecessor for a while.
            if !process.queues.contains(queue) {
                process.queues.push(queue);
                process.concurrency += about.concurrency;
            }
            process.version = &about.version;
            process.in_flight += about.in_flight;
            process.rate += about.rate;
            process.since = process.since.min(about.since);
            process.seen = process.seen.max(Duration::from_millis(worker.seen_ms_ago));
        }
    }
    processes
}

/// All processes, and what is odd about them. Empty without workers: the queues say so.
pub(super) fn table(visit: &PageRequest, workers: &[(&'static str, Vec<WorkerStatus>)]) -> Markup {
    let (text, processes) = (visit.text(), of(workers));
    let versions: BTreeSet<&str> = processes.values().map(|process| process.version).collect();
    html! {
        @if !processes.is_empty() {
            section {
                h2 #processes { (text.processes) }
                p.hint { (text.slots_hint) }
                @if versions.len() > 1 {
                    p.warn { "⚠ " (fill(text.mixed_versions, &[("versions", &listed(&versions))])) }
                }
                div.wide tabindex="0" role="region" aria-labelledby="processes" {
                    table {
                        (heads(text))
                        tbody { @for (place, process) in &processes { (row(visit, *place, process)) } }
                    }
                }
            }
        }
    }
}

fn heads(text: &Text) -> Markup {
    html! {
        thead { tr {
            th scope="col" { (text.host) }
            th scope="col" { (text.works_on) }
            th.n scope="col" { (text.in_flight) }
            th.n scope="col" { (text.slots) }
            th.n scope="col" { (text.done_per_second) }
            th scope="col" { (text.version) }
            th scope="col" { (text.running_since) }
            th scope="col" { (text.heartbeat) }
        } }
    }
}

fn row(visit: &PageRequest, (host, pid): Place<'_>, process: &Process<'_>) -> Markup {
    let text = visit.text();
    let seen = fill(text.ago, &[("age", &visit.lang.age(process.seen))]);
    html! {
        tr {
            th scope="row" { (host) " " span.ns { (pid) } }
            td { (process.queues.join(", ")) }
            td.n { (process.in_flight) }
            td.n { (process.concurrency) }
            td.n { (rate(process.rate)) }
            td { (process.version) }
            td { (parts::since(visit, process.since)) }
            td {
                @if process.seen > STALE { strong.bad { "⚠ " (fill(text.silent, &[("age", &visit.lang.age(process.seen))])) } }
                @else { (seen) }
            }
        }
    }
}

fn listed(words: &BTreeSet<&str>) -> String {
    words.iter().copied().collect::<Vec<_>>().join(", ")
}

/// Jobs per second, with a decimal place where that is significant.
fn rate(rate: f64) -> String {
    match rate {
        rate if rate < 0.05 => "0".to_owned(),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::about::WorkerInfo;

    fn worker(pid: u32, concurrency: usize, since: i64, seen_ms_ago: u64) -> WorkerStatus {
        WorkerStatus {
            name: format!("web-1-{pid}"),
            about: WorkerInfo {
                host: "web-1".to_owned(),
                pid,
                version: "1.2.3".to_owned(),
                since: Timestamp(since),
                concurrency,
                in_flight: 2,
                rate: 1.5,
                ..WorkerInfo::default()
            },
            seen_ms_ago,
        }
    }

    #[test]
    fn the_workers_of_a_process_are_one_row() {
        let workers = [
            (
                "ingest",
                vec![worker(7, 4000, 50, 900), worker(8, 4000, 70, 100)],
            ),
            ("tier", vec![worker(7, 256, 60, 13_000)]),
        ];
        let found = of(&workers);
        assert_eq!(found.len(), 2);
        let seven = &found[&("web-1", 7)];
        assert_eq!(seven.queues, ["ingest", "tier"]);
        assert_eq!((seven.in_flight, seven.concurrency), (4, 4256));
        assert_eq!(seven.since, Timestamp(50));
        assert!(seven.seen > STALE);
        assert_eq!(found[&("web-1", 8)].queues, ["ingest"]);
    }

    #[test]
    fn a_worker_beside_its_predecessor_runs_no_more_than_one() {
        let workers = [("tier", vec![worker(7, 256, 50, 0), worker(7, 256, 90, 0)])];
        assert_eq!(of(&workers)[&("web-1", 7)].concurrency, 256);
    }

    #[test]
    fn a_rate_is_as_exact_as_it_is_of_use() {
        assert_eq!([0.0, 0.26, 1234.5].map(rate), ["0", "0.3", "1234"]);
    }
}
