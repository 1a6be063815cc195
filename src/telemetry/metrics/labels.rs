//! The labels that metrics have.

use prometheus_client::encoding::EncodeLabelSet;

/// Labels by source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySource {
    /// The source.
    pub source: &'static str,
}

/// Labels of incidents that are not resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByIncident {
    /// `open` or `acknowledged`.
    pub status: &'static str,
    /// The level's name.
    pub level: &'static str,
    /// The severity's name.
    pub severity: &'static str,
}

/// Labels by who resolved incidents.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResolver {
    /// `itself` or `person`.
    pub by: &'static str,
}

/// Labels by kind of channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByChannel {
    /// What its channels begin with, such as `telegram`.
    pub channel: &'static str,
}

/// Labels by source and reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySourceAndReason {
    /// The source.
    pub source: &'static str,
    /// Why a delivery was refused.
    pub reason: &'static str,
}

/// Labels by link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByLink {
    /// The link of an alert's way.
    pub link: &'static str,
}

/// Labels by what is told of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByWarning {
    /// `quiet`, `truncated` or `unresolved`.
    pub warning: &'static str,
}

/// Labels by queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByQueue {
    /// The queue.
    pub queue: &'static str,
}

/// Labels by queue and outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOutcome {
    /// The queue.
    pub queue: &'static str,
    /// `done`, `failed`, `delayed`, `dead` or `stale`.
    pub outcome: &'static str,
}

/// Labels by what drifted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByFigure {
    /// The figure's name.
    pub what: &'static str,
}

/// Labels by verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByVerdict {
    /// The verdict's name.
    pub verdict: &'static str,
}

/// Labels by what became of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByExecution {
    /// Its state.
    pub outcome: &'static str,
    /// Why the executor was not asked, or did not take the request; else empty.
    pub reason: &'static str,
}

/// Labels by part of recount.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByPart {
    /// The part's name.
    pub part: &'static str,
}

/// Labels by where figures are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByFigureStore {
    /// `store` or `queue`.
    pub part: &'static str,
}

/// Labels by schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySchedule {
    /// What it brings back.
    pub schedule: &'static str,
}

/// Labels by channel kind and outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByMessage {
    /// What its channel begins with; empty for messages that were suppressed before one was asked.
    pub channel: &'static str,
    /// `sent`, `delayed`, `failed`, `given_up`, `muted`, `on_card`, `flapping` or
    /// `maintenance`.
    pub outcome: &'static str,
}

/// Labels by what became of an analysis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByAnalysis {
    /// `built_in`, `generated`, or why a language model contributed nothing.
    pub outcome: &'static str,
}

/// Labels by queue and what was decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByDecision {
    /// The queue.
    pub queue: &'static str,
    /// `replayed` or `discarded`.
    pub decision: &'static str,
}

/// Labels by what a token was needed for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByRole {
    /// `webhook`, `read`, `operate`, `page` or `telegram`.
    pub role: &'static str,
}
