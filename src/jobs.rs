//! The jobs: what each carries, and the policy that it is run by. Handlers are in the workers'
//! files of the same names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::domain::alert::Alert;
use crate::domain::refusal::{self, Code, Refusal};
use crate::time::Timestamp;
use crate::verify::drift::Figure;

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

/// A payload that knows its policy.
pub trait Job: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// How it is run, unless the settings say otherwise: ask `Config::policy`.
    const POLICY: Policy;
}

const USUAL: Policy = Policy {
    queue: "",
    concurrency: 16,
    in_flight_bytes: 32 << 20,
    attempts: 10,
    backoff: Duration::from_secs(1),
    max_backoff: Duration::from_secs(300),
    timeout: Duration::from_secs(60),
};

/// One delivered alert, on its way from the ingress into the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestAlert {
    /// Which source it came from, and which cluster of it: `alertmanager`, or `alertmanager@eu`.
    pub source: String,
    /// When the ingress received it.
    pub received_at: Timestamp,
    /// The alert, or why there is none.
    pub content: Content,
}

/// What was in the place of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// An alert.
    Alert(Alert),
    /// Something that cannot be used; kept as it came, for a person to look at.
    Rejected {
        /// What is wrong with it.
        reason: String,
        /// What was sent; a list of what was sent where it is several.
        raw: String,
        /// In the place of how many alerts it was.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        alerts: u64,
    },
}

/// How many alerts a rejected one is, unless it says otherwise.
const fn one() -> u64 {
    1
}

/// As much of an ingest job as tells what it carries.
#[derive(Deserialize)]
pub(crate) struct Brief<'a> {
    /// Its source.
    #[serde(borrow)]
    pub(crate) source: Cow<'a, str>,
    /// What is in the place of an alert.
    pub(crate) content: BriefContent,
}

/// See [`Content`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BriefContent {
    /// An alert.
    Alert(IgnoredAny),
    /// Something that cannot be used, in the place of so many alerts.
    Rejected {
        #[serde(default = "one")]
        alerts: u64,
    },
}

/// In the place of how many alerts a job stands that carries only what was rejected. Such a job fails
/// whenever it is done.
#[must_use]
pub fn rejected(queue: &str, payload: &[u8]) -> Option<u64> {
    if queue != IngestAlert::POLICY.queue {
        return None;
    }
    match serde_json::from_slice::<Brief<'_>>(payload).ok()?.content {
        BriefContent::Alert(_) => None,
        BriefContent::Rejected { alerts } => Some(alerts),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_one(n: &u64) -> bool {
    *n == 1
}

impl Job for IngestAlert {
    const POLICY: Policy = Policy {
        queue: "ingest",
        concurrency: 4000,
        ..USUAL
    };
}

/// "Look at this incident's level and tier."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalculateTier {
    /// The incident.
    pub incident: Uuid,
}

impl Job for CalculateTier {
    const POLICY: Policy = Policy {
        queue: "tier",
        concurrency: 256,
        ..USUAL
    };
}

/// "This message is owed", or "this card does not show what holds".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// The row in `notifications`.
    pub notification: Uuid,
    /// Whether it went out and is to be edited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edit: bool,
}

impl Notify {
    /// That message is owed.
    #[must_use]
    pub const fn message(notification: Uuid) -> Self {
        Self {
            notification,
            edit: false,
        }
    }

    /// The shortest time that one attempt must have: to call a provider (10 s), and to write down that
    /// it took the message for as long as that is tried (30 s). Whoever is cut off before sends it
    /// again.
    pub const LEAST: Duration = Duration::from_secs(45);

    /// That card is to be edited.
    #[must_use]
    pub const fn edit(notification: Uuid) -> Self {
        Self {
            notification,
            edit: true,
        }
    }
}

impl Job for Notify {
    const POLICY: Policy = Policy {
        queue: "notify",
        // A receiver that hangs holds few of them.
        concurrency: 16,
        // More than half a day: a provider that is down is told everything when it is back.
        attempts: 200,
        ..USUAL
    };
}

/// "This was tried on that incident." The job's id becomes the repair's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRepair {
    /// The incident it was tried on.
    pub incident: Uuid,
    /// What was done, for instance `restart_pod`.
    pub action: String,
    /// Whether it helped.
    pub success: bool,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// When it was reported.
    pub at: Timestamp,
}

impl Job for RecordRepair {
    const POLICY: Policy = Policy {
        queue: "repair",
        ..USUAL
    };
}

/// "The schedule's tick has come": levels and counts decay, owed work is pushed again; or figures are
/// compared with the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recount {
    /// How far that comparison is, if this is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verification>,
}

/// A part of a tick of recount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tiers that are due for long.
    Tiers,
    /// Messages that are owed for long.
    Messages,
    /// Edits of cards that are due for long.
    Edits,
    /// Replays that may never have been pushed.
    Replays,
    /// Firings that were received soon after they were said to be over.
    Doubts,
    /// Levels, and what is said of windows.
    Levels,
    /// Firings that are not told of any more.
    Unseen,
    /// Mutes that are over.
    Mutes,
    /// The counter's memory.
    Counter,
    /// Rows that are old.
    Pruning,
}

impl Part {
    /// All of them, in the order in which they are done: what is owed first.
    pub const ALL: [Self; 10] = [
        Self::Tiers,
        Self::Messages,
        Self::Edits,
        Self::Replays,
        Self::Doubts,
        Self::Levels,
        Self::Unseen,
        Self::Mutes,
        Self::Counter,
        Self::Pruning,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiers => "tiers",
            Self::Messages => "messages",
            Self::Edits => "edits",
            Self::Replays => "replays",
            Self::Doubts => "doubts",
            Self::Levels => "levels",
            Self::Unseen => "unseen",
            Self::Mutes => "mutes",
            Self::Counter => "counter",
            Self::Pruning => "pruning",
        }
    }
}

/// A comparison of figures with rows, which goes on from job to job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The last anomaly that was compared; empty at first.
    pub after: String,
    /// How many were.
    pub anomalies: u64,
    /// With how many occurrences.
    pub occurrences: u64,
    /// How many figures drifted, by which.
    pub drifted: BTreeMap<Figure, u64>,
    /// When it began, by the queue's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
}

impl Job for Recount {
    const POLICY: Policy = Policy {
        queue: "recount",
        concurrency: 1,
        attempts: 3,
        timeout: Duration::from_secs(300),
        ..USUAL
    };
}

/// Every queue, in the order of an alert's way.
pub const QUEUES: [&str; 5] = [
    IngestAlert::POLICY.queue,
    CalculateTier::POLICY.queue,
    Notify::POLICY.queue,
    RecordRepair::POLICY.queue,
    Recount::POLICY.queue,
];

/// Whether a payload that a person wrote is a job of that queue which can be done; else why not.
///
/// # Errors
/// What is wrong with it.
pub fn check_payload(queue: &str, payload: &[u8]) -> Result<(), Refusal> {
    fn read<J: Job>(payload: &[u8]) -> Result<J, Refusal> {
        let is_no = |error: serde_json::Error| {
            let queue = J::POLICY.queue;
            let detail = format!("the payload is not a valid {queue} job: {error}");
            let refusal = Refusal::new(Code::InvalidPayload, detail).queue(queue);
            refusal.cause(refusal::cause(&error))
        };
        serde_json::from_slice(payload).map_err(is_no)
    }
    const INGEST: &str = IngestAlert::POLICY.queue;
    const TIER: &str = CalculateTier::POLICY.queue;
    const NOTIFY: &str = Notify::POLICY.queue;
    const REPAIR: &str = RecordRepair::POLICY.queue;
    const RECOUNT: &str = Recount::POLICY.queue;
    match queue {
        INGEST => match read::<IngestAlert>(payload)?.content {
            Content::Alert(alert) if alert.first_label(&["alertname".to_owned()]).is_empty() => {
                Err(Refusal::new(
                    Code::AlertnameMissing,
                    "content.alert.labels.alertname is missing",
                ))
            }
            Content::Alert(_) => Ok(()),
            Content::Rejected { .. } => Err(Refusal::new(
                Code::PayloadRejected,
                "content is still the rejected data: it must be {\"alert\": {\"status\": \"firing\", \
                 \"labels\": {\"alertname\": …}}}",
            )),
        },
        TIER => read::<CalculateTier>(payload).map(drop),
        NOTIFY => read::<Notify>(payload).map(drop),
        REPAIR => read::<RecordRepair>(payload).map(drop),
        RECOUNT => read::<Recount>(payload).map(drop),
        _ => {
            let detail = format!("the queue {queue} no longer exists");
            Err(Refusal::new(Code::QueueGone, detail).queue(queue))
        }
    }
}

/// A new id that sorts by `at` (UUIDv7).
#[must_use]
pub fn new_id(at: Timestamp) -> Uuid {
    let ms = u64::try_from(at.0).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &rand::random()).into_uuid()
}

/// The least of the ids that [`new_id`] makes at `at` or later.
#[must_use]
pub fn first_id(at: Timestamp) -> Uuid {
    let ms = u64::try_from(at.0).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid()
}

/// The same id for the same words, whoever works it out.
#[must_use]
pub fn derived_id(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// What a handler answers when it is not done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It failed; try again with backoff. Counts an attempt.
    #[error("{0}")]
    Retry(String),
    /// It cannot be done now through no fault of its own; try again after the delay. Counts nothing.
    #[error("{why} (again in {after:?})")]
    RetryAfter {
        /// How long to wait.
        after: Duration,
        /// What stands in the way.
        why: String,
    },
    /// It never can be done: a dead letter with this reason.
    #[error("{0}")]
    GiveUp(String),
}
