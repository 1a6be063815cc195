//! Which dead letters.

use clap::Args;
use tocsin::jobs::QUEUES;

use super::super::age;

/// Filters of dead letters.
#[derive(Debug, Default, Args)]
pub(super) struct Filters {
    /// Only from this queue
    #[arg(long, value_parser = QUEUES)]
    queue: Option<String>,
    /// Only with this text in the reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only with this text in the payload or the reason
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only jobs that failed within this time, for example 1h or 7d
    #[arg(long, value_name = "AGE", value_parser = age::given)]
    since: Option<String>,
    /// Only jobs that failed longer ago than this
    #[arg(long, value_name = "AGE", value_parser = age::given)]
    older_than: Option<String>,
}

impl Filters {
    /// As the API spells them.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        [
            ("queue", &self.queue),
            ("reason", &self.reason),
            ("q", &self.text),
            ("younger_than", &self.since),
            ("older_than", &self.older_than),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}

/// What a filter is called on the command line.
pub(super) fn flag(name: &str) -> &'static str {
    match name {
        "queue" => "--queue",
        "reason" => "--reason",
        "q" => "--text",
        "younger_than" => "--since",
        _ => "--older-than",
    }
}

/// In which state letters are looked for.
#[derive(Debug, Args)]
pub(super) struct State {
    /// Only in this state
    #[arg(long, default_value = "dead", value_parser = ["dead", "replayed", "discarded", "all"])]
    state: String,
}

impl State {
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        match self.state.as_str() {
            "dead" => Vec::new(),
            state => vec![("state", state.to_owned())],
        }
    }

    /// Whether letters in several states are looked for.
    pub(super) fn is_mixed(&self) -> bool {
        self.state == "all"
    }
}
