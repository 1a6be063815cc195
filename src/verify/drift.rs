//! Drifts: figures that are not what the rows say.

use std::fmt;

use serde::Serialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::domain::figure::Figure;
use crate::domain::frequency::{COUNTED_AT_MOST, Counts, FrequencyStats, Window};
use crate::store::verify::{Figures, IncidentFigures};

/// A stored figure that differs from the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Drift {
    /// Which figure.
    pub what: Figure,
    /// Of which window, where there are several.
    pub window: Option<Window>,
    /// Of which anomaly.
    pub anomaly: String,
    /// Of which of its incidents, if it is one's.
    pub incident: Option<Uuid>,
    /// The stored value.
    #[schema(value_type = Value)]
    pub stored: Json,
    /// The value computed from the rows.
    #[schema(value_type = Value)]
    pub expected: Json,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what.name())?;
        if let Some(window) = self.window {
            write!(f, " {}", window.name())?;
        }
        match self.incident {
            Some(incident) => write!(f, " of incident {incident}")?,
            None => write!(f, " of anomaly {}", self.anomaly)?,
        }
        write!(f, " is {}, and the rows say {}", self.stored, self.expected)
    }
}

impl Drift {
    pub(super) fn new(what: Figure, anomaly: &str, stored: Json, expected: Json) -> Self {
        Self {
            what,
            window: None,
            anomaly: anomaly.to_owned(),
            incident: None,
            stored,
            expected,
        }
    }

    fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    pub(super) fn incident(mut self, incident: Uuid) -> Self {
        self.incident = Some(incident);
        self
    }
}

/// What an anomaly's figures should be. First and last are known exactly only while all rows are
/// there; what was pruned can have been earlier than all that is left.
pub(super) fn expected(found: &Figures) -> Figures {
    let all_there = found.pruned_before.is_none();
    let first_seen = match (found.first_seen, found.first) {
        (_, first) if all_there => first,
        (Some(stored), Some(first)) => Some(stored.min(first)),
        (stored, first) => stored.or(first),
    };
    // An episode's first delivery can turn out to be earlier than it was thought, and then the
    // anomaly was last seen between that and the episode's last one.
    let last_seen = match (found.last_seen, found.last) {
        (_, None) if all_there => None,
        (Some(stored), Some(last)) => {
            let latest = found.heard.filter(|_| all_there).unwrap_or(stored);
            Some(stored.min(latest).max(last))
        }
        (stored, last) => stored.or(last),
    };
    Figures {
        total: found.counted + found.pruned_total,
        first_seen,
        last_seen,
        ..found.clone()
    }
}

/// How an anomaly's figures differ from what they should be.
pub(super) fn of_anomaly(found: &Figures, expected: &Figures) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let mut compare = |what, stored: Json, expected: Json| {
        if stored != expected {
            drifts.push(Drift::new(what, &found.key, stored, expected));
        }
    };
    compare(Figure::Total, json!(found.total), json!(expected.total));
    for (what, stored, expected) in [
        (Figure::FirstSeen, found.first_seen, expected.first_seen),
        (Figure::LastSeen, found.last_seen, expected.last_seen),
    ] {
        compare(what, json!(stored), json!(expected));
    }
    drifts
}

/// How an incident's figures differ from what they should be.
pub(super) fn of_incident(found: &IncidentFigures) -> Vec<Drift> {
    let figures = [
        (
            Figure::AggregatedCount,
            found.aggregated_count,
            found.episodes,
        ),
        (Figure::OpenEpisodes, found.open_episodes, found.open),
    ];
    let differs = figures
        .into_iter()
        .filter(|(_, stored, rows)| stored != rows);
    let drift = |(what, stored, rows)| {
        Drift::new(what, &found.anomaly_key, json!(stored), json!(rows)).incident(found.id)
    };
    differs.map(drift).collect()
}

/// How a counter differs from the rows that were read between `before` and `after`, when it said this. It
/// follows the rows: it can never have been ahead of them, and must have come to them. Above the most
/// that a counter tells apart it need not agree.
pub(super) fn of_counter(
    key: &str,
    (before, after): (&Counts, &Counts),
    rows: &Counts,
) -> Vec<Drift> {
    let drift = |window| {
        let (first, last) = (capped(before, window), capped(after, window));
        let exact = capped(rows, window);
        let stored = if first > exact {
            first
        } else if last < exact {
            last
        } else {
            return None;
        };
        let (stored, expected) = (json!(stored), json!(rows.of(window)));
        Some(Drift::new(Figure::Counter, key, stored, expected).window(window))
    };
    Window::ALL.into_iter().filter_map(drift).collect()
}

fn capped(counts: &Counts, window: Window) -> i64 {
    counts.of(window).min(COUNTED_AT_MOST)
}

/// What an incident may say of its anomaly's counts: it is refreshed once a minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// What was there for longer than a refresh is old.
    pub(super) least: Counts,
    /// What the rows say now.
    pub(super) exact: Counts,
    /// And what has slid out of a window since then.
    pub(super) most: Counts,
}

/// How an incident's figures differ from what its anomaly's may have been when they were written.
pub(super) fn of_stats(incident: Uuid, stats: &FrequencyStats, bounds: &Bounds) -> Vec<Drift> {
    let stored = counts_of(stats);
    let differs = |window: &Window| {
        let stored = capped(&stored, *window);
        stored < capped(&bounds.least, *window) || stored > capped(&bounds.most, *window)
    };
    let drift = |window| {
        let (stored, expected) = (json!(stored.of(window)), json!(bounds.exact.of(window)));
        Drift::new(Figure::FrequencyStats, &stats.anomaly_key, stored, expected)
            .window(window)
            .incident(incident)
    };
    Window::ALL.into_iter().filter(differs).map(drift).collect()
}

pub(super) const fn counts_of(stats: &FrequencyStats) -> Counts {
    Counts {
        hour: stats.count_1h,
        day: stats.count_24h,
        week: stats.count_7d,
        month: stats.count_30d,
    }
}

#[cfg(test)]
mod tests;
