//! Reports of workers about themselves, for the list of workers on the pages and in `tocsin queues`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::VERSION;
use crate::time::Timestamp;

/// Longest `stuck_why`, in characters. It is written again with every heartbeat.
const WHY: usize = 300;

/// What a worker reports with every heartbeat. A field that the worker's version lacks is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = AboutWorker)]
pub struct WorkerInfo {
    /// The name of the computer or container that it runs on.
    pub host: String,
    /// Its process ID there.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// When it started, by its own clock.
    pub since: Timestamp,
    /// How many jobs it runs at once (its slots).
    pub concurrency: usize,
    /// Jobs that it holds now.
    pub in_flight: usize,
    /// Jobs done per second since its previous heartbeat.
    pub rate: f64,
    /// For how many seconds it has tried to count alerts and failed; none if it succeeds or runs another queue.
    pub stuck_seconds: Option<u64>,
    /// The store's error that it fails with.
    pub stuck_why: Option<String>,
}

impl WorkerInfo {
    /// A worker of this process with `concurrency` slots that started at `since`.
    #[must_use]
    pub fn this_process(concurrency: usize, since: Timestamp) -> Self {
        Self {
            host: host(),
            pid: std::process::id(),
            version: VERSION.to_owned(),
            since,
            concurrency,
            ..Self::default()
        }
    }

    /// Adds for how long it has been stuck, and why.
    pub(super) fn stuck(self, stuck: Option<(Duration, String)>) -> Self {
        let Some((lasts, why)) = stuck else {
            return self;
        };
        Self {
            stuck_seconds: Some(lasts.as_secs()),
            stuck_why: Some(why.chars().take(WHY).collect()),
            ..self
        }
    }

    /// The JSON that a store keeps.
    pub(super) fn written(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A worker, as its queue's store knows it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Worker)]
pub struct WorkerStatus {
    /// Its name, new at every start.
    pub name: String,
    /// What its last heartbeat reported.
    #[serde(flatten)]
    pub about: WorkerInfo,
    /// Age of its last heartbeat by the store's clock, in milliseconds.
    pub seen_ms_ago: u64,
}

impl WorkerStatus {
    /// From what a store keeps; a report that cannot be read counts as empty.
    pub(super) fn read(name: String, age_ms: i64, about: Option<&str>) -> Self {
        let about = about.and_then(|text| serde_json::from_str(text).ok());
        Self {
            name,
            about: about.unwrap_or_default(),
            seen_ms_ago: age_ms.max(0).unsigned_abs(),
        }
    }
}

/// The host name of this computer; `worker` if it cannot be read.
#[must_use]
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "worker".to_owned(), |name| name.trim().to_owned())
}
