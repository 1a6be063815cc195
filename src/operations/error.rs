//! Why an operation was not done.

mod refusal;
mod resource;

use sea_orm::DbErr;

use crate::counter::CounterError;
use crate::domain::playbook::Wrong;
use crate::domain::refusal::{Code, Refusal};
use crate::jobs::{QUEUES, RecordRepair};
use crate::queue::replay::NotReplayableReason;
use crate::queue::store::QueueError;
use crate::verify::VerifyError;
pub use resource::Resource;

/// Why an operation was not done. Its text is for clients of the API, in English; pages and buttons translate it.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// Its target does not exist.
    #[error("{0}")]
    NotFound(Resource),
    /// It cannot be done as things are.
    #[error("{0}")]
    Conflict(#[from] Conflict),
    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] DbErr),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The counter failed.
    #[error(transparent)]
    Counter(#[from] CounterError),
}

/// What stands against an operation. Names are those of operators, or their tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// An incident that is resolved was to be acknowledged.
    #[error("the incident is resolved and cannot be acknowledged")]
    IncidentResolved,
    /// An incident that nobody has acknowledged, or that is resolved, was to be taken over.
    #[error("only an acknowledged incident can be taken over")]
    NotAcknowledged,
    /// An incident was to be taken over from somebody who does not have it.
    #[error("{by} has the incident now: read it again, and give the name in from")]
    TakenOver {
        /// Who has it.
        by: String,
    },
    /// A repair that has finished was to be finished with another outcome.
    #[error("the repair has finished with another outcome")]
    RepairFinished,
    /// An action that is not what is recommended now was to be run.
    #[error("the action is not recommended for the incident now")]
    NotRecommended,
    /// There is no executor for an action.
    #[error("no hook runs the action: see repairs.hooks")]
    NoHook,
    /// An action was to be run while another runs on the anomaly.
    #[error("an executor still works on the anomaly: wait until it has finished")]
    ExecutionRunning,
    /// Enough actions were run on the anomaly within an hour.
    #[error(
        "executors were asked {per_hour} times within an hour (per_hour): wait, or do it by hand"
    )]
    ExecutionBudget {
        /// How many there may be.
        per_hour: u32,
    },
    /// An executor reports of what it was not asked for.
    #[error("the executor was not asked to run it")]
    NotAsked,
    /// A dead letter was replayed before, with another payload if this was an edit.
    #[error("already replayed by {by}{}", if *.with_another_payload { ", with another payload" } else { "" })]
    AlreadyReplayed {
        /// Who replayed it.
        by: String,
        /// Whether the payload of that replay is another than the one that was to be replayed.
        with_another_payload: bool,
    },
    /// A dead letter was discarded before.
    #[error("already discarded by {by}")]
    AlreadyDiscarded {
        /// Who discarded it.
        by: String,
    },
    /// The job of a dead letter was replayed and failed again since it was read.
    #[error("the job failed again since it was last read: read it again")]
    FailedAgain,
    /// The job of a dead letter would fail again.
    #[error(transparent)]
    NotReplayable(#[from] NotReplayableReason),
    /// The payload of an edit is no job of the queue.
    #[error("{0}")]
    InvalidPayload(Refusal),
    /// A playbook of the settings was to be changed elsewhere.
    #[error("the playbook {name} is in the settings: change it there, in [[playbooks]]")]
    PlaybookInSettings {
        /// Its name.
        name: String,
    },
    /// Another change of a playbook came first.
    #[error("version {version} of the playbook came first, by {by}: read it, and change that")]
    PlaybookChanged {
        /// The newest version.
        version: i64,
        /// Who made it.
        by: String,
    },
    /// A proposal was accepted or rejected before.
    #[error("the proposal was decided before, by {by}")]
    ProposalDecided {
        /// Who decided it.
        by: String,
    },
    /// The same request, with the same idempotency key, is in progress.
    #[error("the same request is still in progress: retry to get its response")]
    InProgress,
    /// The idempotency key was used with other arguments.
    #[error("this Idempotency-Key was already used with another request body")]
    KeyReused,
}

/// An argument that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A mute that is over already, or lasts too long.
    #[error("{0}")]
    MuteEnd(Refusal),
    /// A mute without an end.
    #[error(
        "give a duration, as in {{\"for\": \"1h\"}}, or an end, as in {{\"until\": \"2026-01-31T18:00:00Z\"}}"
    )]
    NoMuteEnd,
    /// A mute with two ends.
    #[error("give either `for` or `until`, not both")]
    TwoMuteEnds,
    /// A repair without an action.
    #[error("action must not be empty")]
    EmptyAction,
    /// A repair that took less than no time.
    #[error("duration_ms must be between 0 and {}", RecordRepair::LONGEST_MS)]
    DurationOutOfRange,
    /// A repair of which neither its outcome nor its start is reported, or an end without an outcome.
    #[error(
        "success must say whether the repair helped; or give started_at alone, if it has only started"
    )]
    NoOutcome,
    /// A take-over by nobody.
    #[error("operator must say who has the incident from now on")]
    NoOperator,
    /// A repair that is still to come.
    #[error("{field} must not be in the future")]
    RepairInFuture {
        /// Which time.
        field: &'static str,
    },
    /// A repair that finished before it started.
    #[error("started_at must not be after finished_at")]
    RepairEndsBeforeStart,
    /// A report that names no alert.
    #[error("labels must have an alert name ({name})")]
    NoAlertName {
        /// The label that names an alert.
        name: String,
    },
    /// A playbook that is not right.
    #[error("{0}")]
    Playbook(#[from] Wrong),
    /// A playbook whose own name is not that under which it is to be kept.
    #[error("name must be {name}, as in the address; or leave it out")]
    PlaybookName {
        /// The name in the address.
        name: String,
    },
    /// A playbook in TOML that cannot be read.
    #[error("cannot read the playbook: {why}")]
    PlaybookText {
        /// Why.
        why: String,
    },
    /// A change of a playbook without a reason.
    #[error("why must say why the playbook changes")]
    NoWhy,
    /// Incidents that are resolved were to be resolved.
    #[error("status must not be RESOLVED: those incidents are resolved already")]
    StatusResolved,
    /// A number of replays that no dead letter has.
    #[error("replay must be a whole number, as the API returned it")]
    ReplayNumber,
    /// A queue that does not exist, as a filter.
    #[error("unknown queue {name:?}; known: {}", QUEUES.join(", "))]
    UnknownQueue {
        /// Its name.
        name: String,
    },
    /// A channel that is not set up where it was to be tested.
    #[error("unknown channel {name:?}; the process that answers has: {}", .known.join(", "))]
    UnknownChannel {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A source that there is not.
    #[error("unknown source {name:?}: see the list of sources")]
    UnknownSource {
        /// Its name.
        name: String,
    },
    /// A canary that cannot be made for a source.
    #[error("no canary can be made for {name}: {why}")]
    NoCanary {
        /// The source.
        name: String,
        /// Why.
        why: String,
    },
    /// A maintenance window that cannot be planned so.
    #[error("{field}: {why}")]
    Window {
        /// The field of the request.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// A note that says nothing.
    #[error("note must not be empty")]
    EmptyNote,
    /// Incidents were named, and selected by a filter, too.
    #[error(
        "ids name the incidents, a filter selects them (with all, as_of, cursor and dry_run): give one or the other"
    )]
    IdsAndFilter,
    /// More incidents were named than one request changes.
    #[error("ids must be at most {limit}")]
    TooManyIds {
        /// How many there may be.
        limit: usize,
    },
    /// Neither a filter nor everything was selected.
    #[error("nothing selected: give a {}, or \"all\": true", or_list(.filters))]
    NothingSelected {
        /// The filters that there are.
        filters: &'static [&'static str],
    },
    /// Both a filter and everything were selected.
    #[error("\"all\" selects everything, a filter only some: give one or the other")]
    AllAndFilter,
}

impl Invalid {
    /// The argument, as the API calls it.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::MuteEnd(_) | Self::NoMuteEnd | Self::TwoMuteEnds => "until",
            Self::EmptyAction => "action",
            Self::DurationOutOfRange => "duration_ms",
            Self::NoOutcome => "success",
            Self::NoOperator => "operator",
            Self::RepairInFuture { field } => field,
            Self::RepairEndsBeforeStart => "started_at",
            Self::NoAlertName { .. } => "labels",
            Self::Playbook(_) | Self::PlaybookName { .. } | Self::PlaybookText { .. } => {
                "definition"
            }
            Self::NoWhy => "why",
            Self::StatusResolved => "status",
            Self::ReplayNumber => "replay",
            Self::UnknownQueue { .. } => "queue",
            Self::UnknownChannel { .. } => "channel",
            Self::UnknownSource { .. } | Self::NoCanary { .. } => "source",
            Self::Window { field, .. } => field,
            Self::EmptyNote => "note",
            Self::IdsAndFilter | Self::TooManyIds { .. } => "ids",
            Self::NothingSelected { .. } | Self::AllAndFilter => "all",
        }
    }
}

impl Invalid {
    /// Whether a selection of many is either by filters or of everything.
    pub(super) fn check_selection(
        has_filter: bool,
        all: bool,
        filters: &'static [&'static str],
    ) -> Result<(), Self> {
        match (has_filter, all) {
            (false, false) => Err(Self::NothingSelected { filters }),
            (true, true) => Err(Self::AllAndFilter),
            _ => Ok(()),
        }
    }
}

impl OperationError {
    /// The refusal: a code and facts, which pages translate into the reader's language. `None` for a
    /// failure, which is no refusal.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::NotFound(what) => Some(Refusal::not_found(what.name(), what.to_string())),
            Self::Conflict(conflict) => Some(conflict.refusal()),
            Self::Invalid(invalid) => Some(invalid.refusal()),
            Self::Store(_) | Self::Queue(_) | Self::Counter(_) => None,
        }
    }
}

impl Conflict {
    fn refusal(&self) -> Refusal {
        let with = |code| Refusal::new(code, self.to_string());
        match self {
            Self::IncidentResolved => with(Code::AlreadyResolved),
            Self::NotAcknowledged => with(Code::NotAcknowledged),
            Self::TakenOver { by } => with(Code::TakenOver).operator(by),
            Self::RepairFinished => with(Code::RepairFinished),
            Self::NotRecommended => with(Code::NotRecommended),
            Self::NoHook => with(Code::NoHook),
            Self::ExecutionRunning => with(Code::ExecutionRunning),
            Self::ExecutionBudget { per_hour } => {
                with(Code::ExecutionBudget).limit(u64::from(*per_hour))
            }
            Self::NotAsked => with(Code::NotAsked),
            Self::AlreadyReplayed {
                by,
                with_another_payload: false,
            } => with(Code::AlreadyReplayed).operator(by),
            Self::AlreadyReplayed { by, .. } => with(Code::ReplayedOtherwise).operator(by),
            Self::AlreadyDiscarded { by } => with(Code::AlreadyDiscarded).operator(by),
            Self::FailedAgain => with(Code::FailedAgain),
            Self::NotReplayable(futile) => Refusal::from(*futile),
            Self::InvalidPayload(refusal) => refusal.clone(),
            Self::PlaybookInSettings { name } => with(Code::PlaybookInSettings).value(name),
            Self::PlaybookChanged { by, .. } => with(Code::PlaybookChanged).operator(by),
            Self::ProposalDecided { by } => with(Code::ProposalDecided).operator(by),
            Self::InProgress => with(Code::RequestInProgress),
            Self::KeyReused => with(Code::IdempotencyConflict),
        }
    }
}

/// `a, b or c`.
fn or_list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

impl From<VerifyError> for OperationError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => Self::Store(error),
            VerifyError::Counter(error) => Self::Counter(error),
        }
    }
}

#[cfg(test)]
mod tests;
