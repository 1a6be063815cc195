//! The settings by section, with their defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::value::text;
use super::{Secret, Span};
use crate::domain::aggregation::{Unit, Until};
use crate::domain::escalation::{Rule, default_rules};
use crate::domain::family::Families;
use crate::domain::flapping;
use crate::domain::stale::StaleLimits;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// As text on a terminal, as JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

/// What counts as one occurrence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counting {
    /// What is counted: firings (`episode`), deliveries (`delivery`) or incidents (`incident`).
    pub unit: Unit,
    /// How far apart two reported starts of the same firing may be.
    pub skew: Span,
    /// Time without a delivery after which an open firing is marked as stale.
    pub unheard: Span,
    /// Time without a delivery after which it is closed as expired.
    pub unseen: Span,
    /// Where its source gives leases: the number without a delivery after which it is stale.
    pub unheard_leases: u32,
    /// The number after which it is expired.
    pub unseen_leases: u32,
    /// Sources that speak of the same series under the same fingerprints: of each family, one firing is counted
    /// once.
    pub families: Families,
}

impl Counting {
    /// How long an open firing may be without news.
    #[must_use]
    pub const fn stale_limits(&self) -> StaleLimits {
        StaleLimits {
            unheard: self.unheard.0,
            unseen: self.unseen.0,
            unheard_leases: self.unheard_leases,
            unseen_leases: self.unseen_leases,
        }
    }
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            unit: Unit::Episode,
            skew: Span::secs(60),
            unheard: Span::secs(12 * 3600),
            unseen: Span::secs(48 * 3600),
            unheard_leases: 3,
            unseen_leases: 10,
            families: Families::default(),
        }
    }
}

/// What becomes one incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aggregation {
    /// How long an incident can be joined, from its first alert.
    pub window: Span,
    /// `window`, or `resolved`: it can be joined for as long as it is open, too.
    pub until: Until,
    /// Whether an incident resolves when all its episodes are closed.
    pub auto_resolve: bool,
}

impl Default for Aggregation {
    fn default() -> Self {
        Self {
            window: Span::secs(600),
            until: Until::Window,
            auto_resolve: true,
        }
    }
}

/// When an anomaly flaps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlappingSettings {
    /// It begins to flap when it began and ended so often within the window. 0: nothing flaps.
    pub start: u32,
    /// It flaps until it did so that often, or less.
    pub end: u32,
    /// The window.
    pub window: Span,
}

impl FlappingSettings {
    /// As the decision takes them.
    #[must_use]
    pub const fn limits(&self) -> flapping::Limits {
        flapping::Limits {
            start: self.start,
            end: self.end,
            window: self.window.0,
        }
    }
}

impl Default for FlappingSettings {
    fn default() -> Self {
        Self {
            start: 6,
            end: 2,
            window: Span::secs(3600),
        }
    }
}

/// When a level holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Escalation {
    /// Each gives a level for a number of firings in a window; the highest that applies wins.
    pub rules: Vec<Rule>,
    /// A level falls when its rule has not held for this part of its window: the window divided by this. 0: at
    /// once.
    pub hysteresis: u32,
    /// Where more firings of an open incident cannot raise the level, their number in each window is shown this much
    /// later at most.
    pub figures: Span,
    /// An alert that still fires this long after its incident opened makes it at least `ESCALATE`.
    pub open_for: Span,
    /// Time without a delivery after which that no longer holds.
    pub unseen_for: Span,
}

impl Default for Escalation {
    fn default() -> Self {
        Self {
            rules: default_rules(),
            hysteresis: 12,
            figures: Span::secs(10),
            open_for: Span::secs(4 * 3600),
            unseen_for: Span::secs(24 * 3600),
        }
    }
}

/// How what Alertmanager and Prometheus have is compared with what was received.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reconcile {
    /// The receiver in Alertmanager that posts here: alerts of other receivers are not for us. Unset: Alertmanager is
    /// not asked. Needs `alertmanager_url`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub receiver: Option<String>,
    /// The cluster that the deliveries of this Alertmanager have, if one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub cluster: Option<String>,
    /// How long an alert must fire there, or be gone from there, before something is done about it: longer than
    /// `group_wait` and `group_interval` together.
    pub after: Span,
    /// Every Prometheus whose alerts come here, directly or by an Alertmanager. Empty: none is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prometheus: Vec<PrometheusServer>,
}

/// A Prometheus that is asked which alerts fire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusServer {
    /// Where it is.
    pub url: Secret,
    /// The cluster that deliveries of its alerts have, if one.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub cluster: Option<String>,
    /// Its `external_labels`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The labels that its `alert_relabel_configs` drop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            receiver: None,
            cluster: None,
            after: Span::secs(600),
            prometheus: Vec::new(),
        }
    }
}

/// How alerts are taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Alerts of these names are accounted for and not counted.
    pub ignore: Vec<String>,
    /// Alerts that are committed together at most.
    pub batch: usize,
    /// Batches that are committed at once, each for its own part of the anomalies. SQLite has one.
    pub batchers: usize,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            ignore: vec!["Watchdog".to_owned(), "InfoInhibitor".to_owned()],
            batch: 1000,
            batchers: 2,
        }
    }
}

/// The Model Context Protocol by HTTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct McpSettings {
    /// Whether the ingress serves it at `/mcp`.
    pub enabled: bool,
}

impl Default for McpSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// What one request may hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Alerts of a request.
    pub alerts: usize,
    /// Labels, and annotations, of an alert. More are left out, and that is marked.
    pub labels: usize,
    /// Bytes of a label's name or value. Longer ones are cut, and that is marked.
    pub label_bytes: usize,
    /// Bytes of an annotation's name or value. Longer ones are cut, and that is marked.
    pub annotation_bytes: usize,
    /// Connections at once. More wait until one ends.
    pub connections: usize,
    /// Connections at once from one address whose senders have shown no token. Those beyond are cut unless they
    /// show one within two seconds.
    pub anonymous: usize,
    /// How long the database may work on one statement of what a page or the API asks.
    pub query: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            alerts: 10_000,
            labels: 64,
            label_bytes: 1024,
            annotation_bytes: 1024,
            connections: 900,
            anonymous: 100,
            query: Span::secs(10),
        }
    }
}

/// The queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// The number of queued alerts above which the ingress answers 503.
    pub max_depth: u64,
    /// The most bytes of payload that one process holds of a queue. A larger job runs alone.
    pub in_flight_bytes: usize,
    /// How long a stopping process lets running jobs finish.
    pub drain: Span,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_depth: 1_000_000,
            in_flight_bytes: 32 << 20,
            drain: Span::secs(30),
        }
    }
}

/// How a process stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// How long an ingress that got SIGTERM says that it is not ready, and goes on taking requests.
    pub delay: Span,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            delay: Span::secs(2),
        }
    }
}

/// How long rows are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Occurrences, past their end.
    pub occurrences: Span,
    /// Dead letters, past their death and what was decided about them.
    pub dead_letters: Span,
    /// Everything else.
    pub rest: Span,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            occurrences: Span::secs(30 * DAY),
            dead_letters: Span::secs(400 * DAY),
            rest: Span::secs(400 * DAY),
        }
    }
}

/// Recount and the consistency check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecountSettings {
    /// Whether figures that drifted from the rows are repaired as soon as that is noticed.
    pub repair: bool,
}

/// How many new anomalies there may be. What is beyond is counted under one anomaly for each alert name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnomalySettings {
    /// In a minute, by one process that works.
    pub per_minute: u32,
    /// In all.
    pub total: u64,
}

impl Default for AnomalySettings {
    fn default() -> Self {
        Self {
            per_minute: 5_000,
            total: 1_000_000,
        }
    }
}

/// What the counter in Redis may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CounterSettings {
    /// While so much of Redis' `maxmemory` is used, in percent, nothing more is kept for counting.
    pub memory: u64,
}

impl Default for CounterSettings {
    fn default() -> Self {
        Self { memory: 70 }
    }
}
