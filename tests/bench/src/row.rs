//! One figure: what was measured, what it should be, and what it is compared with.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::figures::written;

/// A measured figure, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The subcommand that measures it.
    pub(crate) name: &'static str,
    /// Which of its figures.
    pub(crate) what: String,
    /// On what.
    pub(crate) combination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<&'static str>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_measured: Option<String>,
    /// What it must not be worse than.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) floor: Vec<Judged>,
    /// What it is to become.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) goal: Vec<Judged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compared: Option<Compared>,
    pub(crate) details: Map<String, Value>,
}

/// A bound of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    /// At least so many times what it is compared with.
    Times(f64),
}

/// A bound, and whether it holds; null if there is nothing to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    pub(crate) bound: Bound,
    pub(crate) met: Option<bool>,
}

/// The same on something else, in the same run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) with: String,
    pub(crate) value: f64,
    /// So many times as much.
    pub(crate) ratio: f64,
}

impl Row {
    pub(crate) fn new(name: &'static str, what: impl Into<String>, on: &str) -> Self {
        Self {
            name,
            what: what.into(),
            combination: on.to_owned(),
            value: None,
            unit: None,
            not_measured: None,
            floor: Vec::new(),
            goal: Vec::new(),
            compared: None,
            details: Map::new(),
        }
    }

    pub(crate) fn value(mut self, value: f64, unit: &'static str) -> Self {
        (self.value, self.unit) = (Some(value), Some(unit));
        self
    }

    pub(crate) fn not_measured(mut self, why: String) -> Self {
        self.not_measured = Some(why);
        self
    }

    /// Compares it, if there is something to compare with. Before the bounds.
    pub(crate) fn compared(mut self, with: &str, other: Option<f64>) -> Self {
        if let Some((value, ours)) = other.filter(|other| *other > 0.0).zip(self.value) {
            self.compared = Some(Compared {
                with: with.to_owned(),
                value,
                ratio: ours / value,
            });
        }
        self
    }

    pub(crate) fn floor(mut self, bounds: &[Bound]) -> Self {
        self.floor = bounds.iter().map(|bound| self.judge(*bound)).collect();
        self
    }

    pub(crate) fn goal(mut self, bounds: &[Bound]) -> Self {
        self.goal = bounds.iter().map(|bound| self.judge(*bound)).collect();
        self
    }

    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    fn judge(&self, bound: Bound) -> Judged {
        let met = match bound {
            Bound::AtLeast(least) => self.value.map(|value| value >= least),
            Bound::AtMost(most) => self.value.map(|value| value <= most),
            Bound::Below(limit) => self.value.map(|value| value < limit),
            Bound::Times(least) => self.compared.as_ref().map(|c| c.ratio >= least),
        };
        Judged { bound, met }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {}", written(*least)),
            Self::AtMost(most) => write!(f, "≤ {}", written(*most)),
            Self::Below(limit) => write!(f, "< {}", written(*limit)),
            Self::Times(least) => write!(f, "≥ {least} ×"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_by_its_value_and_by_what_it_is_compared_with() {
        let row = Row::new("queue", "push to ack", "fleet")
            .value(120_000.0, "jobs/s")
            .compared("RedisStorage", Some(50_000.0))
            .floor(&[Bound::AtLeast(120_000.0), Bound::Times(2.5)])
            .goal(&[Bound::AtMost(80.0), Bound::Below(120_000.0)]);
        let met = |judged: &[Judged]| judged.iter().map(|j| j.met).collect::<Vec<_>>();
        assert_eq!(met(&row.floor), [Some(true), Some(false)]);
        assert_eq!(met(&row.goal), [Some(false), Some(false)]);
    }

    #[test]
    fn a_figure_without_a_comparison_shows_none() {
        let row = Row::new("queue", "", "fleet")
            .value(1.0, "jobs/s")
            .compared("RedisStorage", None)
            .floor(&[Bound::Times(2.0)]);
        assert_eq!(row.floor[0].met, None);
        assert!(row.compared.is_none());
    }
}
