//! The shape of a report.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::aggregation::Unit;
use crate::domain::escalation::Level;
use crate::time::Timestamp;

/// The report of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The first moment of the period: a full hour.
    pub from: Timestamp,
    /// The first moment after it: a full hour.
    pub to: Timestamp,
    /// When the report was made.
    pub made_at: Timestamp,
    /// What is counted as an occurrence (`counting.unit`): `episode` (a firing), `delivery` or `incident`.
    pub unit: Unit,
    /// Alerts that senders delivered, repetitions among them.
    pub alerts: Compared,
    /// Occurrences.
    pub occurrences: Compared,
    /// Incidents that opened.
    pub incidents: Compared,
    /// Messages that were sent, digests among them.
    pub messages: Compared,
    /// Messages that were kept away from people.
    pub kept_away: KeptAway,
    /// The period by 24 hours, from its begin; the last may be shorter.
    pub days: Vec<Day>,
    /// The ten anomalies that came back most, those with the most occurrences first.
    pub returning: Vec<ReturningAnomaly>,
    /// How many anomalies were seen for the first time.
    pub new_anomalies: i64,
    /// The ten of them with the most occurrences.
    pub newest: Vec<NewAnomaly>,
    /// Repairs.
    pub repairs: Repairs,
    /// Permanent fixes that were found not to hold: at most ten, the first found first.
    pub failed_fixes: Vec<FailedFix>,
    /// How long it took until incidents that opened were acknowledged.
    pub acknowledge: Took,
    /// How long it took until incidents that opened were resolved; those that expired are left out.
    pub resolve: Took,
    /// Jobs that failed for good.
    pub dead_letters: DeadLetters,
    /// Figures whose rows are not kept for the whole period; all others are complete.
    pub incomplete: Vec<Incomplete>,
}

/// A figure, beside the period before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Compared {
    /// In the period.
    pub count: i64,
    /// In the period before, which is as long; null if its rows are not kept any more.
    pub before: Option<i64>,
}

/// Messages that were kept away from people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = KeptAwayMessages)]
pub struct KeptAway {
    /// Sent together with others in a digest.
    pub digested: i64,
    /// Never sent, because their anomalies were muted.
    pub muted: i64,
    /// Never sent, because their incidents went on on the card of an earlier one.
    pub on_card: i64,
    /// Never sent, because their anomalies were flapping.
    pub flapping: i64,
    /// Could not be sent, and are not retried any more.
    pub failed: i64,
    /// Not sent yet.
    pub pending: i64,
}

/// 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportDay)]
pub struct Day {
    /// Their begin.
    pub from: Timestamp,
    /// Alerts.
    pub alerts: i64,
    /// Occurrences.
    pub occurrences: i64,
    /// Incidents.
    pub incidents: i64,
    /// Messages that were sent.
    pub messages: i64,
}

/// An anomaly that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReturningAnomaly {
    /// Its key.
    pub key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// Its level when the report was made.
    pub level: Level,
    /// Its occurrences.
    #[serde(flatten)]
    pub occurrences: Compared,
    /// Those of each day.
    pub days: Vec<i64>,
}

/// An anomaly that was not known before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewAnomaly {
    /// Its key.
    pub key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// Its occurrences since then.
    pub count: i64,
}

/// Repairs of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportedRepairs)]
pub struct Repairs {
    /// All together.
    #[serde(flatten)]
    pub all: Outcomes,
    /// With the ten actions that were tried most.
    pub actions: Vec<ActionOutcomes>,
}

/// What became of repairs, by the verdicts that were given when the report was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RepairOutcomes)]
pub struct Outcomes {
    /// How many there were.
    pub attempts: i64,
    /// How many held.
    pub verified: i64,
    /// How many did not hold.
    pub disproved: i64,
    /// After how many another repair came first.
    pub superseded: i64,
    /// Of how many it cannot be known.
    pub unknown: i64,
}

/// What became of repairs with one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionOutcomes {
    /// The action.
    pub action: String,
    /// What became of them.
    #[serde(flatten)]
    pub outcomes: Outcomes,
}

/// A permanent fix that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedFix {
    /// The anomaly's key.
    pub key: String,
    /// Its alert's name.
    pub alert_name: String,
    /// Its service.
    pub service: String,
    /// Its namespace.
    pub namespace: String,
    /// When it was marked as fixed.
    pub fixed_at: Timestamp,
    /// Where the fix is described.
    pub reference: Option<String>,
    /// When it fired again.
    pub failed_at: Timestamp,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MedianTime)]
pub struct Took {
    /// How many incidents it is known of.
    pub incidents: i64,
    /// The median in milliseconds; null if there is none.
    pub median_ms: Option<i64>,
}

/// Jobs that failed for good in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportedDeadLetters)]
pub struct DeadLetters {
    /// How many there were.
    pub count: i64,
    /// How many of them nobody had replayed or discarded when the report was made.
    pub undecided: i64,
    /// By queue, those with the most first.
    pub queues: Vec<DeadLettersOf>,
}

/// Jobs of one queue that failed for good in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportedDeadLettersOf)]
pub struct DeadLettersOf {
    /// The queue.
    pub queue: String,
    /// How many there were.
    pub count: i64,
}

/// A figure that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = IncompleteFigures)]
pub struct Incomplete {
    /// Which figures.
    pub figures: Figures,
    /// From when on they are complete.
    pub since: Timestamp,
}

/// Which rows figures are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportedFigures)]
pub enum Figures {
    /// Those of alerts.
    Alerts,
    /// Those of occurrences, and which anomalies came back most.
    Occurrences,
    /// Those of incidents, messages and repairs.
    Rest,
    /// Those of dead letters.
    DeadLetters,
}
