//! Alerts by outcome: every alert of every accepted request has exactly one outcome.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::domain::canary;
use crate::jobs::{Brief, BriefContent};
use crate::sources::{SOURCES, cluster, kind_of};

/// What an alert comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored as a firing of its own; where deliveries count, as a delivery of its own.
    Counted,
    /// It repeats a firing that is stored. Approximate: an alert delivered again after a crash is counted
    /// again.
    Resent,
    /// It is not to be counted. Informative likewise.
    Ignored,
    /// It could not be used, and is a dead letter.
    Rejected,
    /// It could be used and was not entered in the end, and is a dead letter.
    Dead,
    /// It only tried whether we can be reached. It was never queued.
    Test,
    /// It is no alert but an event that is not used. It was never queued.
    Unused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Counted,
        Self::Resent,
        Self::Ignored,
        Self::Rejected,
        Self::Dead,
        Self::Test,
        Self::Unused,
    ];

    /// Those that an ingress knows of, without a worker.
    pub const OF_INGRESS: [Self; 2] = [Self::Test, Self::Unused];

    const fn label(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Resent => "resent",
            Self::Ignored => "ignored",
            Self::Rejected => "rejected",
            Self::Dead => "dead",
            Self::Test => "test",
            Self::Unused => "unused",
        }
    }
}

/// Labels by source and outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySourceAndOutcome {
    /// The source, or `other`: a job may name one that this program does not know.
    pub source: &'static str,
    /// See [`Outcome`].
    pub outcome: &'static str,
}

/// Alerts by source and outcome. All of them are there from the start, so that counting looks
/// nothing up.
#[derive(Clone, Debug)]
pub struct Alerts {
    pub(super) family: Family<BySourceAndOutcome, Counter>,
    counters: Arc<[[Counter; Outcome::ALL.len()]]>,
}

/// How many alerts of each source had each outcome, for a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally([[u64; Outcome::ALL.len()]; SOURCES.len() + 2]);

impl Tally {
    /// One more.
    pub fn add(&mut self, source: &str, outcome: Outcome) {
        self.0[number(source)][outcome as usize] += 1;
    }
}

/// The sources' numbers; the last is that of all others. Clusters have no labels of their own, nor have the senders of a
/// kind: any sender may name one.
fn number(source: &str) -> usize {
    let source = kind_of(cluster::name_of(source));
    let known = SOURCES.iter().position(|known| known.name == source);
    let beside = usize::from(source != canary::SOURCE);
    known.unwrap_or(SOURCES.len() + beside)
}

impl Default for Alerts {
    fn default() -> Self {
        let family = Family::default();
        let sources = SOURCES.iter().map(|source| source.name);
        let counters = sources.chain([canary::SOURCE, "other"]).map(|source| {
            Outcome::ALL.map(|outcome| {
                let outcome = outcome.label();
                family.get_or_create_owned(&BySourceAndOutcome { source, outcome })
            })
        });
        Self {
            counters: counters.collect(),
            family,
        }
    }
}

impl Alerts {
    /// Counts one alert.
    pub fn add(&self, source: &str, outcome: Outcome) {
        self.counters[number(source)][outcome as usize].inc();
    }

    /// Counts several.
    pub fn add_many(&self, source: &str, outcome: Outcome, alerts: u64) {
        self.counters[number(source)][outcome as usize].inc_by(alerts);
    }

    /// Counts a batch.
    pub fn add_all(&self, tally: &Tally) {
        for (counters, alerts) in self.counters.iter().zip(&tally.0) {
            for (counter, n) in counters.iter().zip(alerts) {
                counter.inc_by(*n);
            }
        }
    }

    /// How many alerts of all sources had this outcome.
    #[must_use]
    pub fn total(&self, outcome: Outcome) -> u64 {
        let of_source = |counters: &[Counter; Outcome::ALL.len()]| counters[outcome as usize].get();
        self.counters.iter().map(of_source).sum()
    }

    /// Counts the alerts whose job is a dead letter, by its payload.
    pub fn add_buried(&self, payload: &[u8]) {
        match serde_json::from_slice::<Brief<'_>>(payload) {
            Ok(Brief { source, content }) => match content {
                BriefContent::Alert(_) => self.add(&source, Outcome::Dead),
                BriefContent::Rejected { alerts } => {
                    self.add_many(&source, Outcome::Rejected, alerts);
                }
            },
            Err(_) => self.add("", Outcome::Dead),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{Content, IngestAlert};
    use crate::time::Timestamp;

    fn figures(alerts: &Alerts) -> Vec<Vec<u64>> {
        let of_source =
            |counters: &[Counter; Outcome::ALL.len()]| counters.iter().map(Counter::get).collect();
        alerts.counters.iter().map(of_source).collect()
    }

    #[test]
    fn a_batch_is_counted_as_its_alerts_are() {
        let (batch, each) = (Alerts::default(), Alerts::default());
        let mut tally = Tally::default();
        for (source, outcome) in [
            ("alertmanager", Outcome::Counted),
            ("alertmanager", Outcome::Counted),
            ("alertmanager@eu", Outcome::Resent),
            ("long gone", Outcome::Counted),
        ] {
            tally.add(source, outcome);
            each.add(source, outcome);
        }
        batch.add_all(&tally);
        assert_eq!(figures(&batch), figures(&each));
        assert_eq!(
            figures(&each)[number("alertmanager")],
            [2, 1, 0, 0, 0, 0, 0]
        );
        assert_eq!(figures(&each)[SOURCES.len() + 1], [1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_dead_letter_is_rejected_only_if_it_never_was_an_alert() {
        let job = |alerts| IngestAlert {
            source: "alertmanager".to_owned(),
            received_at: Timestamp(0),
            content: Content::Rejected {
                reason: "the alert has no alertname".to_owned(),
                raw: "{\"alert\":1}".to_owned(),
                alerts,
            },
        };
        let alerts = Alerts::default();
        for n in [1, 30] {
            alerts.add_buried(serde_json::to_string(&job(n)).unwrap().as_bytes());
        }
        alerts.add_buried(br#"{"source":"alertmanager","content":{"alert":{"x":[1]}}}"#);
        alerts.add_buried(b"not JSON");
        assert_eq!(
            figures(&alerts)[number("alertmanager")],
            [0, 0, 0, 31, 1, 0, 0]
        );
        assert_eq!(figures(&alerts)[SOURCES.len() + 1], [0, 0, 0, 0, 1, 0, 0]);
    }
}
