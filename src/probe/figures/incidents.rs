//! Figures of incidents and sources: how many are unresolved, and when each source last delivered.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbErr};

use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::domain::severity;
use crate::sources::{SOURCES, cluster, kind_of};
use crate::store::source_tallies;
use crate::store::views::stats::{self, Unresolved};
use crate::telemetry::metrics::{ByIncident, BySource, Metrics};
use crate::time::Timestamp;

/// The statuses that are counted; `open` includes incidents that are being analyzed.
const STATUSES: [&str; 2] = ["open", "acknowledged"];
const LEVELS: [(Level, &str); 4] = [
    (Level::None, "none"),
    (Level::Repeat, "repeat"),
    (Level::Escalate, "escalate"),
    (Level::PermanentFix, "permanent_fix"),
];

/// What was read.
pub(super) struct Read {
    unresolved: Vec<Unresolved>,
    delivered: Vec<(String, Timestamp)>,
}

pub(super) async fn read(db: &impl ConnectionTrait, now: Timestamp) -> Result<Read, DbErr> {
    Ok(Read {
        unresolved: stats::unresolved(db).await?,
        delivered: source_tallies::delivered(db, now).await?,
    })
}

/// Puts it into the metrics: each combination of what is counted, also where it is zero.
pub(super) fn put(metrics: &Metrics, read: &Read) {
    let mut counts: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for row in &read.unresolved {
        let status = STATUSES[usize::from(row.status == Status::Acknowledged)];
        let level = LEVELS.iter().find(|(level, _)| *level == row.level);
        let level = level.map_or("none", |(_, name)| name);
        *counts
            .entry((status, level, severity::name(row.severity_order)))
            .or_default() += row.n;
    }
    for by in all() {
        let key = (by.status, by.level, by.severity);
        let n = counts.get(&key).copied().unwrap_or_default();
        metrics.incidents.get_or_create(&by).set(n);
    }
    let mut newest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for (name, at) in &read.delivered {
        let kind = kind_of(cluster::name_of(name));
        if let Some(source) = SOURCES.iter().find(|source| source.name == kind) {
            let known = newest.entry(source.name).or_insert(*at);
            *known = (*known).max(*at);
        }
    }
    for source in SOURCES {
        // 0, where there was none within a week.
        let by = BySource {
            source: source.name,
        };
        let at = newest.get(source.name).map_or(0, |at| at.0 / 1000);
        metrics.last_alert.get_or_create(&by).set(at);
    }
}

/// Leaves them out of `/metrics`.
pub(super) fn forget(metrics: &Metrics) {
    for by in all() {
        metrics.incidents.remove(&by);
    }
    for source in SOURCES {
        metrics.last_alert.remove(&BySource {
            source: source.name,
        });
    }
}

fn all() -> impl Iterator<Item = ByIncident> {
    STATUSES.into_iter().flat_map(|status| {
        LEVELS.into_iter().flat_map(move |(_, level)| {
            severity::NAMES.into_iter().map(move |severity| ByIncident {
                status,
                level,
                severity,
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_told_and_words_for_one_severity_are_counted_together() {
        let unresolved = |status, severity, n| Unresolved {
            status,
            level: Level::Repeat,
            severity_order: severity::order(severity),
            n,
        };
        let at = |ms| Timestamp(ms);
        let read = Read {
            unresolved: vec![
                unresolved(Status::Open, "critical", 2),
                unresolved(Status::Analyzing, "critical", 1),
                unresolved(Status::Acknowledged, "purple", 4),
            ],
            delivered: vec![
                ("alertmanager".to_owned(), at(5000)),
                ("alertmanager@eu".to_owned(), at(9999)),
            ],
        };
        let metrics = Metrics::new();
        put(&metrics, &read);
        let text = metrics.encode();
        for line in [
            "tocsin_incidents{status=\"open\",level=\"repeat\",severity=\"critical\"} 3\n",
            "tocsin_incidents{status=\"acknowledged\",level=\"repeat\",severity=\"other\"} 4\n",
            "tocsin_incidents{status=\"open\",level=\"none\",severity=\"info\"} 0\n",
            "tocsin_last_alert_timestamp_seconds{source=\"alertmanager\"} 9\n",
            "tocsin_last_alert_timestamp_seconds{source=\"grafana\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} of {text}");
        }
        forget(&metrics);
        let text = metrics.encode();
        assert!(!text.contains("tocsin_incidents{"), "{text}");
    }
}
