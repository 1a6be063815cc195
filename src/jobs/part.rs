//! The parts of recount. Each is a job of its own with a period and a time limit of its own, so that one that fails or
//! hangs delays none of the others.
//!
//! ADD A PART HERE, and its pass in `workers/src/recount.rs`.

use std::time::Duration;

use super::Schedule;

/// Makes [`Part`] of a table: each part's name, how often it is done, and how long one pass may take.
macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident: $name:literal, every $every:literal s, within $within:literal s;)*) => {
        /// A part of recount.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Part {
            $($(#[$doc])* $part,)*
        }

        impl Part {
            /// All of them, pending work first.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$part),*];

            /// As it is written everywhere.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$part => $name,)*
                }
            }

            /// When it is done.
            #[must_use]
            pub const fn schedule(self) -> Schedule {
                match self {
                    $(Self::$part => Schedule {
                        name: concat!("recount ", $name),
                        every: Duration::from_secs($every),
                    },)*
                }
            }

            /// How long one pass may take; the next one goes on.
            #[must_use]
            pub const fn within(self) -> Duration {
                match self {
                    $(Self::$part => Duration::from_secs($within),)*
                }
            }
        }
    };
}

// What is pending is overdue after a minute, so it is looked for several times in one. What the analysis of an incident
// waits for can be set to seconds. Rows may stay some minutes longer. All else changes by the minute.
parts! {
    /// Tiers that are due for long.
    Tiers: "tiers", every 15 s, within 30 s;
    /// Messages that have been pending for long.
    Messages: "messages", every 15 s, within 30 s;
    /// Edits of cards that are due for long.
    Edits: "edits", every 30 s, within 30 s;
    /// Analyses that are due for long, and incidents that waited for theirs.
    Analyses: "analyses", every 15 s, within 30 s;
    /// Requests to executors that are due for long.
    Executions: "executions", every 15 s, within 30 s;
    /// Replays that may never have been pushed.
    Replays: "replays", every 60 s, within 30 s;
    /// Firings that were received soon after they were said to be over.
    Doubts: "doubts", every 30 s, within 30 s;
    /// Levels, and what is said of windows.
    Levels: "levels", every 60 s, within 30 s;
    /// Verdicts on repairs.
    Verdicts: "verdicts", every 60 s, within 30 s;
    /// What playbooks should be by what held.
    Proposals: "proposals", every 60 s, within 30 s;
    /// Firings that their source no longer sends.
    Unseen: "unseen", every 60 s, within 30 s;
    /// Mutes that are over.
    Mutes: "mutes", every 60 s, within 30 s;
    /// Flapping that is over.
    Flapping: "flapping", every 60 s, within 30 s;
    /// The counter's memory.
    Counter: "counter", every 60 s, within 30 s;
    /// The report of the week.
    Report: "report", every 60 s, within 60 s;
    /// Rows that are old. They are pruned once an hour, or as soon as the clock is steady.
    Pruning: "pruning", every 300 s, within 60 s;
    /// Alerts that are expected and do not come.
    Expected: "expected", every 60 s, within 30 s;
    /// Warnings about sources: quiet, alerts left out, resolves missing.
    Sources: "sources", every 60 s, within 30 s;
    /// Silences in Alertmanager for mutes.
    Silences: "silences", every 15 s, within 30 s;
    /// Whether each link of the chain works.
    Canary: "canary", every 60 s, within 40 s;
    /// Saying outwards that all is well.
    Heartbeat: "heartbeat", every 60 s, within 30 s;
    /// What Alertmanager has, compared with what was received.
    Reconcile: "reconcile", every 60 s, within 60 s;
}

impl Part {
    /// The part of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// The name of the mark that says when the last pass began that ended.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        self.schedule().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{Job as _, Recount};

    #[test]
    fn a_part_is_found_by_its_name_and_ends_before_its_job_does() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.name()), Some(part));
            assert_eq!(part.schedule().name, format!("recount {}", part.name()));
            assert!(part.within() < Recount::POLICY.timeout, "{part:?}");
            assert!(!part.schedule().every.is_zero());
        }
        assert_eq!(Part::named("level"), None);
    }
}
