//! What is known of a new incident's past, and which of that is worth a sentence. Each sentence is data: what
//! kind it is, its figures, and where its evidence is. Where there is too little to say something, one of them
//! says that.
//!
//! Everything is as of the moment at which the incident opened, so that the same incident is analyzed alike
//! whenever that happens; repairs alone are those that are known by now.

mod calendar;
mod chance;
mod frequency;
pub mod neighbours;
pub mod prompt;
pub mod redaction;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Timestamp;
pub use calendar::{Hours, Weekday};
pub use frequency::{Direction, Frequency, Pace, Share, Trend};
pub use neighbours::{Before, Together};

/// What came about by chance less often than this is said: a thousand incidents are to have about one sentence
/// that means nothing.
const BY_CHANCE: f64 = 0.001;
/// Fewer incidents than this say nothing about when an anomaly happens or whether it becomes more frequent.
const FEW: usize = 5;
/// The most incidents of an anomaly that are read.
pub const OPENINGS: usize = 1_000;
/// Maximum number of actions in the analysis.
const ACTIONS: usize = 3;
/// The longest text that a model may contribute, in characters.
pub const GENERATED: usize = 1_500;

/// What an analysis found out, as it is stored and as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Analysis {
    /// When it was made.
    pub at: Timestamp,
    /// What follows from what is stored here, in the order in which it is read.
    pub findings: Vec<Finding>,
    /// What a language model made of that, if one is configured and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// Why no language model contributed, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_generated: Option<NotGenerated>,
}

impl Analysis {
    /// Whether a card shows something of it.
    #[must_use]
    pub fn is_on_cards(&self) -> bool {
        self.generated.is_some() || self.findings.iter().any(Finding::is_on_cards)
    }
}

/// A text that a language model wrote. It may be wrong, and is shown as generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Generated {
    /// The text, without control characters, at most 1,500 characters.
    pub text: String,
    /// The model's name in the settings.
    pub model: String,
}

/// Why a language model contributed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotGenerated {
    /// As many requests as an hour may have (`analysis.model.per_hour`) were made.
    Budget,
    /// It did not answer in time.
    Timeout,
    /// It could not be reached.
    Unreachable,
    /// It answered with a status other than 2xx.
    Refused,
    /// Its answer could not be read, or was empty.
    Unusable,
}

impl NotGenerated {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::Budget,
        Self::Timeout,
        Self::Unreachable,
        Self::Refused,
        Self::Unusable,
    ];

    /// As it is stored and counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
        }
    }
}

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// It is the anomaly's first incident: there is nothing to compare it with.
    First,
    /// There are too few incidents to say more about when they happen.
    Thin {
        /// How many there are.
        incidents: i64,
    },
    /// How often the anomaly has incidents, and since when.
    Frequency(Frequency),
    /// Whether that changes.
    Trend(Trend),
    /// The time of day at which it usually happens.
    Hours(Hours),
    /// The day of the week on which it usually happens.
    Weekday(Weekday),
    /// Another anomaly that opens incidents together with it.
    Together(Together),
    /// An incident that opened shortly before.
    Before(Before),
    /// What was tried on the anomaly.
    Repairs {
        /// Actions, most successful first.
        tried: Vec<Tried>,
    },
    /// The alert's runbook.
    Runbook {
        /// Its address.
        url: String,
    },
}

impl Finding {
    /// Whether a card shows it: it says something, and the card does not say it elsewhere.
    #[must_use]
    pub const fn is_on_cards(&self) -> bool {
        match self {
            Self::First | Self::Thin { .. } | Self::Repairs { .. } | Self::Runbook { .. } => false,
            Self::Frequency(_)
            | Self::Trend(_)
            | Self::Hours(_)
            | Self::Weekday(_)
            | Self::Together(_)
            | Self::Before(_) => true,
        }
    }

    /// The path of the page that shows what it is drawn from, of an incident of this anomaly. A runbook is
    /// elsewhere, and its finding has the address.
    #[must_use]
    pub fn evidence(&self, anomaly_key: &str) -> Option<String> {
        match self {
            Self::First | Self::Thin { .. } | Self::Runbook { .. } => None,
            Self::Frequency(_)
            | Self::Trend(_)
            | Self::Hours(_)
            | Self::Weekday(_)
            | Self::Repairs { .. } => Some(format!("/anomalies/{anomaly_key}")),
            Self::Together(together) => Some(format!("/anomalies/{}", together.anomaly_key)),
            Self::Before(before) => Some(format!("/incidents/{}", before.incident)),
        }
    }
}

/// One action's outcomes on an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tried {
    /// The action.
    pub action: String,
    /// How often it was tried.
    pub attempts: i64,
    /// How often it was reported to have helped.
    pub successes: i64,
    /// How often it was verified or disproved.
    #[serde(default)]
    pub judged: i64,
    /// How often it was verified.
    #[serde(default)]
    pub held: i64,
}

/// What is stored about an incident's past.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The incident's number within its anomaly.
    pub number: i64,
    /// When the anomaly's incidents opened, this one first, then the others from new to old; at most
    /// [`OPENINGS`].
    pub openings: Vec<Timestamp>,
    /// When the anomaly was first seen, which may have been pruned.
    pub first_seen: Option<Timestamp>,
    /// The incidents of the service in 30 days, if they were counted.
    pub service: Option<Share>,
    /// Anomalies that may open together with it.
    pub neighbours: neighbours::Counted,
    /// Incidents of other anomalies that opened shortly before, from new to old.
    pub before: Vec<neighbours::Earlier>,
    /// Where this one is.
    pub place: Place,
    /// What was tried on the anomaly.
    pub tried: Vec<Tried>,
    /// The address in its annotation `runbook_url`, if that can be followed.
    pub runbook: Option<String>,
}

/// Where an incident is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The service.
    pub service: String,
    /// The namespace.
    pub namespace: String,
}

/// Works out what is worth a sentence.
#[must_use]
pub fn findings(history: &History) -> Vec<Finding> {
    let mut found = Vec::new();
    let known = history.openings.len();
    if history.number <= 1 {
        found.push(Finding::First);
    } else {
        found.extend(frequency::frequency(history).map(Finding::Frequency));
        if known < FEW {
            let incidents = i64::try_from(known).unwrap_or(i64::MAX);
            found.push(Finding::Thin { incidents });
        } else {
            found.extend(frequency::trend(history).map(Finding::Trend));
            found.extend(calendar::hours(&history.openings).map(Finding::Hours));
            found.extend(calendar::weekday(&history.openings).map(Finding::Weekday));
        }
    }
    let together: Vec<_> = neighbours::together(history).collect();
    let before = neighbours::before(history, &together);
    found.extend(together.into_iter().map(Finding::Together));
    found.extend(before.into_iter().map(Finding::Before));
    found.extend(repairs(&history.tried));
    let runbook = history.runbook.clone();
    found.extend(runbook.map(|url| Finding::Runbook { url }));
    found
}

fn repairs(tried: &[Tried]) -> Option<Finding> {
    let mut tried: Vec<Tried> = tried.iter().filter(|t| t.attempts > 0).cloned().collect();
    // By how often it held, then by how often it is said to have helped, then by how seldom it did not.
    tried.sort_by(|one, other| {
        let key = |t: &Tried| (-t.held, t.judged, -t.successes, t.attempts);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.action.cmp(&other.action))
    });
    tried.truncate(ACTIONS);
    (!tried.is_empty()).then_some(Finding::Repairs { tried })
}
