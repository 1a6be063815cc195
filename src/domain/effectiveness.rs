//! Effectiveness of repairs.

mod figures;
mod times;
mod wilson;

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};

use super::tier::Tier;
use super::verdict::Verdict;
use crate::time::Timestamp;
pub use figures::{Counted, Kept, PERIOD_MS, Worth, first_period, period};
pub use times::{bucket, middle_ms};
pub use wilson::lower_bound;

/// How one action did on one anomaly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effectiveness {
    /// What was done.
    pub action: String,
    /// How often.
    pub attempts: i64,
    /// How often it helped.
    pub successes: i64,
}

/// One repair as an incident's history shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RepairEntry {
    /// What was done.
    pub action: String,
    /// Whether it helped, by the report.
    pub success: bool,
    /// When.
    pub timestamp: Timestamp,
    /// The operator's name, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What silence said of it, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// How long it took, in milliseconds, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// How long after it the last firing ended, in milliseconds, if it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after_ms: Option<i64>,
    /// The note, if given, cut to [`NOTE`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The longest note in an incident's history, in characters: twenty of them are in every incident's row.
pub const NOTE: usize = 160;

/// The beginning of a note: on one line, at most `longest` characters, cut between words where they have spaces.
#[must_use]
pub fn excerpt(note: &str, longest: usize) -> String {
    let line = note.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= longest {
        return line;
    }
    let kept: String = line.chars().take(longest.saturating_sub(1)).collect();
    let is_between = line[kept.len()..].starts_with(' ');
    // A link, or a language without spaces, is cut where it must be.
    let words = kept
        .rfind(' ')
        .filter(|at| !is_between && at * 2 > kept.len());
    let kept = words.map_or(&*kept, |at| &kept[..at]);
    format!("{}…", kept.trim_end())
}

/// An action as it is recorded, so that "Restart Pod" and `restart-pod` are `restart_pod`: in lower case, with one
/// `_` for spaces, dashes and `_` in a row. What has nothing else in it stays as it is.
#[must_use]
pub fn action_name(action: &str) -> String {
    let words = action.split(|c: char| c.is_whitespace() || matches!(c, '-' | '_'));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => action.trim().to_owned(),
        false => words.join("_").to_lowercase(),
    }
}

/// How many repairs an incident's history shows.
pub const HISTORY: usize = 20;

/// An anomaly's repairs as an incident carries them, readable without another query.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult, utoipa::ToSchema,
)]
pub struct RepairStats {
    /// Repairs recorded on this anomaly.
    pub total_attempts: i64,
    /// Those that helped.
    pub successful_attempts: i64,
    /// The newest repair's action.
    pub last_repair_action: Option<String>,
    /// The newest repair's time.
    pub last_repair_time: Option<Timestamp>,
    /// The newest repairs, newest first, at most [`HISTORY`].
    pub repair_history: Vec<RepairEntry>,
    /// The tier that this history and the level call for, 1 to 4.
    pub recommended_tier: i32,
}

impl RepairStats {
    /// Summarises an anomaly's repairs; `newest` comes newest first.
    #[must_use]
    pub fn summarise(totals: &[Effectiveness], newest: Vec<RepairEntry>, tier: Tier) -> Self {
        Self {
            total_attempts: totals.iter().map(|entry| entry.attempts).sum(),
            successful_attempts: totals.iter().map(|entry| entry.successes).sum(),
            last_repair_action: newest.first().map(|entry| entry.action.clone()),
            last_repair_time: newest.first().map(|entry| entry.timestamp),
            repair_history: newest,
            recommended_tier: tier.number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_ends_with_a_whole_word() {
        for (note, longest, expected) in [
            ("to v41", 20, "to v41"),
            ("  to\n v41 ", 20, "to v41"),
            ("the old pool was full", 21, "the old pool was full"),
            ("the old pool was full", 20, "the old pool was…"),
            ("the old pool was full", 17, "the old pool was…"),
            ("the old pool was full", 16, "the old pool…"),
            (
                "see https://wiki.example.com/a/long/page",
                20,
                "see https://wiki.ex…",
            ),
            ("連線池已滿，先擴充再觀察", 6, "連線池已滿…"),
            ("🔥🔥🔥", 2, "🔥…"),
            ("", 5, ""),
        ] {
            assert_eq!(excerpt(note, longest), expected, "{note:?}");
            assert!(excerpt(note, longest).chars().count() <= longest);
        }
    }

    #[test]
    fn an_action_has_one_name_however_it_is_written() {
        for (written, name) in [
            ("restart_pod", "restart_pod"),
            ("Restart Pod", "restart_pod"),
            (" restart - pod\n", "restart_pod"),
            ("RESTART-POD", "restart_pod"),
            ("scale up: 3→5", "scale_up:_3→5"),
            ("重啟 Pod", "重啟_pod"),
            (" - ", "-"),
        ] {
            assert_eq!(action_name(written), name, "{written:?}");
            assert_eq!(action_name(&action_name(written)), name);
        }
    }
}
