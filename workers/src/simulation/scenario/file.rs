//! A scenario as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use tocsin::config::Span;
use tocsin::domain::aggregation::Status;
use tocsin::domain::level::Level;
use tocsin::domain::routing::List;
use tocsin::domain::verdict::Verdict;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) title: String,
    #[serde(default)]
    pub(super) about: String,
    pub(super) begins: Option<Spanned<String>>,
    /// How long it goes on after its last step.
    pub(super) then: Option<Span>,
    pub(super) settings: Option<Spanned<toml::Table>>,
    pub(super) alerts: BTreeMap<String, Spanned<FileAlert>>,
    #[serde(rename = "step")]
    pub(super) steps: Vec<Spanned<FileStep>>,
}

/// An alert that fires and ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileAlert {
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) summary: Option<String>,
    /// How many copies of it there are, `{n}` in their labels being 1, 2, …
    pub(super) copies: Option<u32>,
    /// How often it is sent again while it fires.
    pub(super) resend: Option<Span>,
}

/// What happens at a moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileStep {
    pub(super) at: Option<Span>,
    pub(super) after: Option<Span>,
    pub(super) note: Option<String>,
    pub(super) fires: Option<Spanned<List<String>>>,
    pub(super) lasts: Option<Span>,
    pub(super) times: Option<u32>,
    pub(super) every: Option<Span>,
    pub(super) ends: Option<Spanned<List<String>>>,
    pub(super) goes_silent: Option<Spanned<List<String>>>,
    pub(super) repair: Option<Spanned<FileRepair>>,
    pub(super) repair_starts: Option<Spanned<FileRepair>>,
    pub(super) repair_finishes: Option<Spanned<FileRepair>>,
    pub(super) fix: Option<Spanned<FileFix>>,
    pub(super) acknowledge: Option<Spanned<FileBy>>,
    pub(super) resolve: Option<Spanned<FileBy>>,
    pub(super) mute: Option<Spanned<FileMute>>,
    pub(super) expect: Option<Spanned<FileExpect>>,
}

/// What was tried.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRepair {
    pub(super) alert: Option<String>,
    pub(super) action: String,
    pub(super) success: Option<bool>,
    pub(super) operator: Option<String>,
    pub(super) note: Option<String>,
    pub(super) took: Option<Span>,
}

/// What was fixed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileFix {
    pub(super) alert: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) operator: Option<String>,
}

/// Who does something about an alert.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileBy {
    pub(super) alert: Option<String>,
    pub(super) operator: Option<String>,
}

/// What is muted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileMute {
    pub(super) alert: Option<String>,
    pub(super) operator: Option<String>,
    pub(super) r#for: Span,
}

/// Something that is expected, where it is written.
pub(in crate::simulation) type Expected<T> = Option<Spanned<T>>;

/// What must hold. Only what it names is checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::simulation) struct FileExpect {
    /// Of this alert's anomaly.
    pub(in crate::simulation) alert: Option<String>,
    /// How many incidents opened so far, of all alerts; of `alert`, where that is named.
    pub(in crate::simulation) incidents: Expected<usize>,
    /// How many of them are not resolved.
    pub(in crate::simulation) unresolved: Expected<usize>,
    /// How many messages were sent so far, to all channels.
    pub(in crate::simulation) messages: Expected<usize>,
    /// What the last of them says, in its first line.
    pub(in crate::simulation) last_message: Expected<String>,
    /// The newest incident's status.
    pub(in crate::simulation) status: Expected<Status>,
    /// Its number of firings.
    pub(in crate::simulation) firings: Expected<i64>,
    /// The anomaly's level.
    pub(in crate::simulation) level: Expected<Level>,
    /// What its reason says.
    pub(in crate::simulation) level_reason: Expected<String>,
    /// The newest incident's tier.
    pub(in crate::simulation) tier: Expected<i64>,
    /// What its reason says.
    pub(in crate::simulation) tier_reason: Expected<String>,
    /// The action that is recommended for the newest incident; `wait` if waiting is, `none` if nothing is.
    pub(in crate::simulation) recommended: Expected<String>,
    /// The verdict on the newest repair.
    pub(in crate::simulation) verdict: Expected<Verdict>,
    /// How often actions held.
    pub(in crate::simulation) held: Expected<String>,
    /// Whether actions are better than doing nothing.
    #[serde(default)]
    pub(in crate::simulation) effective: BTreeMap<String, Spanned<bool>>,
}
