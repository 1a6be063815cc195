//! Simulations: a described history is played through the real ingress, workers and recount, on a clock that stands
//! still between the steps, in a temporary SQLite file. Nothing is sent anywhere. What was decided at each step, and
//! why, is what the API answers and the messages that would have been sent.

mod changes;
mod expect;
mod instance;
mod player;
mod report;
mod scenario;
mod state;

use serde::Serialize;
use tocsin::time::Timestamp;

pub use instance::{Folder, alone};
pub use player::{play, play_into};
pub use report::line;
pub use scenario::{Scenario, ScenarioError};

/// What kind of thing an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The scenario: something happens.
    Step,
    /// An incident opened.
    Opened,
    /// Firings joined an incident.
    Joined,
    /// An incident that was resolved is open again.
    Reopened,
    /// The severity of an incident rose.
    Severity,
    /// The level of an anomaly changed.
    Level,
    /// The tier of an incident, or its reason, changed.
    Tier,
    /// Another action is recommended for an incident, or none.
    Recommendation,
    /// Somebody took an incident.
    Acknowledged,
    /// An incident was resolved.
    Resolved,
    /// An incident is stale, or is not any more.
    Stale,
    /// An anomaly is muted, or is not any more.
    Mute,
    /// A repair has a verdict.
    Verdict,
    /// What actions were worth on an anomaly.
    Effectiveness,
    /// A message was sent.
    Message,
    /// The headline of a message was changed.
    Edit,
    /// A job failed for good.
    DeadLetter,
    /// What the scenario expects is so.
    Met,
    /// What the scenario expects is not so.
    Failed,
}

/// One line of what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// When, by the simulation's clock.
    pub at: Timestamp,
    /// What kind of thing it is.
    pub kind: Kind,
    /// The incidents that it is about, as `#1`: by the order in which they opened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<String>,
    /// What happened.
    pub what: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The line of the scenario that says so; none of what was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// How a simulation went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What the scenario expects and is so.
    pub met: usize,
    /// What it expects and is not so.
    pub failed: usize,
}
