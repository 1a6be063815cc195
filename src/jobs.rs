//! The jobs. A queue's name is a row of [`crate::queues`]; its payload, how that is run, checked and scheduled is in the
//! file of the same name in `jobs/`, and its handler in the one in `workers/src/`: `repair` is `RecordRepair` in
//! `jobs/repair.rs`, and handled in `workers/src/repair.rs`.
//!
//! ADD A JOB HERE: its payload in a file of its own, and its row in [`crate::queues`]. A job of another kind for a
//! queue that there is: a variant of its payload, and its arm in the handler.

mod analyze;
mod execute;
mod ingest;
pub mod lease;
mod notify;
mod part;
mod recount;
mod repair;
mod schedule;
mod subject;
mod tier;

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::refusal::{self, Code, Refusal};
pub(crate) use ingest::{Brief, BriefContent};
pub use ingest::{Content, rejected};
pub use part::Part;
pub use recount::{VERIFY, Verification};
pub use schedule::{Schedule, Scheduled};
pub use subject::{About, Subject};

/// Every queue, in the order of an alert's way: what it is for, its name, and its payload. `queues!(then)` hands the
/// rows to the macro `then`.
#[macro_export]
macro_rules! queues {
    ($then:ident) => {
        $then! {
            /// Alerts, on their way into incidents.
            ingest: IngestAlert,
            /// Levels and tiers.
            tier: CalculateTier,
            /// Messages, and edits of cards.
            notify: Notify,
            /// Analyses of new incidents.
            analyze: Analyze,
            /// Repairs that were reported.
            repair: RecordRepair,
            /// Requests to executors, which run recommended actions.
            execute: Execute,
            /// What only time changes.
            recount: Recount,
        }
    };
}

/// Makes each row's payload known by its name; its file has the name of the queue.
macro_rules! payloads {
    ($($(#[$doc:meta])* $queue:ident: $job:ident,)*) => {
        $(pub use $queue::$job;)*
    };
}

/// Makes jobs of payloads, by rows as in [`crate::queues`]: their policies, `QUEUES`, `check_payload`, `subject` and
/// `scheduled`.
#[macro_export]
macro_rules! jobs {
    ($($(#[$doc:meta])* $queue:ident: $job:ty,)*) => {
        $(impl $crate::jobs::Job for $job {
            const POLICY: $crate::jobs::Policy = $crate::jobs::Policy {
                queue: stringify!($queue),
                ..<$job as $crate::jobs::About>::RUN
            };
        })*

        /// The name of every queue, in the order of an alert's way.
        pub const QUEUES: [&str; [$(stringify!($queue)),*].len()] = [$(stringify!($queue)),*];

        /// Whether a payload that a person wrote is a job of that queue which can be done; else why not.
        ///
        /// # Errors
        /// What is wrong with it.
        pub fn check_payload(
            queue: &str,
            payload: &[u8],
        ) -> Result<(), $crate::domain::refusal::Refusal> {
            match queue {
                $(stringify!($queue) => {
                    let job = $crate::jobs::read_payload::<$job>(payload)?;
                    $crate::jobs::About::check(&job)
                })*
                _ => Err($crate::jobs::queue_gone(queue)),
            }
        }

        /// What the job of that queue with this payload is about; none if it cannot be read.
        #[must_use]
        pub fn subject(queue: &str, payload: &[u8]) -> Option<$crate::jobs::Subject> {
            match queue {
                $(stringify!($queue) => {
                    let job = $crate::jobs::read_payload::<$job>(payload).ok()?;
                    $crate::jobs::About::subject(&job)
                })*
                _ => None,
            }
        }

        /// The jobs that schedules push.
        #[must_use]
        pub fn scheduled() -> Vec<$crate::jobs::Scheduled> {
            let mut all = Vec::new();
            $(all.extend($crate::jobs::Scheduled::all_of::<$job>());)*
            all
        }
    };
}

queues!(payloads);
queues!(jobs);

/// How a job's queue is called and how its handler is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The queue.
    pub queue: &'static str,
    /// How many of them one process runs at once.
    pub concurrency: usize,
    /// How much the payloads of these may weigh; one job may always run.
    pub in_flight_bytes: usize,
    /// Failed attempts until it is a dead letter.
    pub attempts: u32,
    /// The delay before the second attempt; doubled for each that follows, plus or minus a quarter.
    pub backoff: Duration,
    /// The longest delay between two attempts.
    pub max_backoff: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// A payload that has a queue: a row of [`crate::queues`] makes one of it.
pub trait Job: About + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// How it is run, unless the settings say otherwise: ask `Config::policy`.
    const POLICY: Policy;
}

impl Policy {
    /// How a job is run unless its payload, or a setting, says otherwise.
    pub const USUAL: Self = Self {
        queue: "",
        concurrency: 16,
        in_flight_bytes: 32 << 20,
        attempts: 10,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(300),
        timeout: Duration::from_secs(60),
    };
}

/// Why a payload for a queue that an older version had cannot be replayed.
#[must_use]
pub fn queue_gone(queue: &str) -> Refusal {
    let detail = format!("the queue {queue} no longer exists");
    Refusal::new(Code::QueueGone, detail).queue(queue)
}

/// A payload that a person wrote, as a job.
///
/// # Errors
/// It cannot be read.
pub fn read_payload<J: Job>(payload: &[u8]) -> Result<J, Refusal> {
    let queue = J::POLICY.queue;
    serde_json::from_slice(payload).map_err(|error| {
        let detail = format!("the payload is not a valid {queue} job: {error}");
        let refusal = Refusal::new(Code::InvalidPayload, detail).queue(queue);
        refusal.cause(refusal::cause(&error))
    })
}

/// A handler's outcome when it is not done. `?` turns an error of the database or the queue into the right one: a
/// store that is unavailable costs the job no attempt. The consumer does the rest: backoff, lease, dead letter.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It failed; try again with backoff. Counts an attempt; after the last one the job is a dead letter. For
    /// instance: a provider answers 500.
    #[error("{0}")]
    Retry(String),
    /// It cannot be done now through no fault of its own; try again after the delay. Counts no attempt. For
    /// instance: Telegram answers 429, or another worker has claimed the notification.
    #[error("{why} (again in {after:?})")]
    RetryAfter {
        /// How long to wait.
        after: Duration,
        /// What it waits for, for logs and the queue page.
        why: String,
    },
    /// It never can be done: a dead letter with this reason, at once. For instance: the incident is gone.
    #[error("{0}")]
    GiveUp(String),
}
