//! What consumers say of themselves, so that an operator sees who works on what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::VERSION;
use crate::time::Timestamp;

/// Characters of why a worker is stuck: they are written with every heartbeat.
const WHY: usize = 300;

/// What a worker reports with every heartbeat. Fields that another version lacks are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
#[schema(as = AboutWorker)]
pub struct WorkerInfo {
    /// The computer, or container, that it runs on.
    pub host: String,
    /// The id of its process there.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// Since when it runs, by its process' clock.
    pub since: Timestamp,
    /// How many jobs it runs at once.
    pub concurrency: usize,
    /// Jobs that it holds.
    pub in_flight: usize,
    /// Jobs that it has done per second since its heartbeat before.
    pub rate: f64,
    /// For how many seconds it has counted no alert though it tried; none if it counts them, or does
    /// something else.
    pub stuck_seconds: Option<u64>,
    /// Why, as the store says it.
    pub stuck_why: Option<String>,
}

impl WorkerInfo {
    /// A consumer of this process that runs so many jobs at once, since then.
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

    /// And it is stuck, if it is.
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

    /// As a store keeps it.
    pub(super) fn written(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A consumer, as a queue's store knows it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Worker)]
pub struct WorkerStatus {
    /// Its name, which no other start has.
    pub name: String,
    /// What it said of itself.
    #[serde(flatten)]
    pub about: WorkerInfo,
    /// Age of its last heartbeat by the store's clock, in milliseconds.
    pub seen_ms_ago: u64,
}

impl WorkerStatus {
    /// As a store kept it: whatever cannot be read of what it said is empty.
    pub(super) fn read(name: String, age_ms: i64, about: Option<&str>) -> Self {
        let about = about.and_then(|text| serde_json::from_str(text).ok());
        Self {
            name,
            about: about.unwrap_or_default(),
            seen_ms_ago: age_ms.max(0).unsigned_abs(),
        }
    }
}

/// What this computer is called.
#[must_use]
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "worker".to_owned(), |name| name.trim().to_owned())
}
