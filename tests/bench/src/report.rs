//! All figures of a run, for people and for programs.

use std::collections::BTreeMap;

use comfy_table::Cell;
use serde::Serialize;

use crate::figures::written;
use crate::machine::Machine;
use crate::row::{Compared, Judged, Row};
use tocsin_workers::cli::table::{Terminal, align_right, attention, cell, dim, line};

/// What was measured, and on what.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// How this program was built.
    pub(crate) profile: &'static str,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// How this program was built: only a release build is meaningful.
    pub(crate) const PROFILE: &str = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };

    /// Whether there is at least one figure.
    pub(crate) fn has_figures(&self) -> bool {
        self.rows.iter().any(|row| row.value.is_some())
    }

    pub(crate) fn render(&self, look: Terminal) -> String {
        let mut table = look.table(&[
            "MEASURED",
            "",
            "ON",
            "RESULT",
            "UNIT",
            "FLOOR",
            "GOAL",
            "COMPARED WITH",
        ]);
        align_right(&mut table, [3]);
        for row in &self.rows {
            table.add_row(line(vec![
                cell(row.name),
                cell(&row.what),
                cell(&row.combination),
                match row.value {
                    Some(value) => cell(&written(value)),
                    None => dim("not measured"),
                },
                cell(row.unit.unwrap_or_default()),
                bounds(&row.floor),
                bounds(&row.goal),
                compared(row.compared.as_ref()),
            ]));
        }
        let mut text = look.render(table, &[(7, 14), (1, 20)]);
        let reasons: Vec<String> = self.rows.iter().filter_map(reason).collect();
        if !reasons.is_empty() {
            text += &format!("\n\n{}", reasons.join("\n"));
        }
        let versions = self.versions.iter();
        let versions: Vec<String> = versions.map(|(name, v)| format!("{name} {v}")).collect();
        text += &format!("\n\n{}\n{}", self.machine, versions.join(", "));
        if Self::PROFILE == "debug" {
            text += "\nThis is a debug build: measure with `cargo build --release`.";
        }
        text
    }
}

/// Why there is no figure.
fn reason(row: &Row) -> Option<String> {
    let why = row.not_measured.as_ref()?;
    Some(format!(
        "{} on {}: not measured: {why}",
        row.name, row.combination
    ))
}

fn bounds(judged: &[Judged]) -> Cell {
    let words: Vec<String> = judged.iter().map(words).collect();
    let words = words.join(", ");
    if judged.iter().any(|judged| judged.met == Some(false)) {
        attention(&words)
    } else {
        cell(&words)
    }
}

fn words(judged: &Judged) -> String {
    let mark = match judged.met {
        Some(true) => " ✓",
        Some(false) => " ✗",
        None => "",
    };
    format!("{}{mark}", judged.bound)
}

fn compared(compared: Option<&Compared>) -> Cell {
    let Some(compared) = compared else {
        return cell("");
    };
    cell(&format!("{} × {}", written(compared.ratio), compared.with))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::row::Bound;

    fn report() -> Report {
        Report {
            machine: Machine {
                cores: 2,
                cpu: "A CPU".to_owned(),
                memory_bytes: 8 << 30,
            },
            versions: BTreeMap::from([("redis", "7.0.15".to_owned())]),
            profile: "release",
            rows: vec![
                Row::new("queue", "push to ack", "fleet")
                    .value(150_123.4, "jobs/s")
                    .compared("RedisStorage", Some(80_000.0))
                    .floor(&[Bound::AtLeast(120_000.0), Bound::Times(2.0)])
                    .detail("jobs", 300_000),
                Row::new("accept", "10 alerts a request", "postgres").not_measured(
                    "PostgreSQL is not installed (apt-get install postgresql)".to_owned(),
                ),
            ],
        }
    }

    #[test]
    fn the_page_shows_figures_thresholds_and_reasons() {
        let look = Terminal {
            width: 120,
            colour: false,
        };
        let text = report().render(look);
        let text = text.split("\nThis is a debug build").next().unwrap();
        insta::assert_snapshot!(text, @"
        MEASURED                       ON              RESULT  UNIT    FLOOR                 GOAL  COMPARED WITH
        ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
        queue     push to ack          fleet          150,123  jobs/s  ≥ 120,000 ✓, ≥ 2 × ✗        1.88 × RedisStorage
        accept    10 alerts a request  postgres  not measured

        accept on postgres: not measured: PostgreSQL is not installed (apt-get install postgresql)

        2 cores of A CPU, 8.0 GiB
        redis 7.0.15
        ");
    }

    #[test]
    fn programs_get_the_same() {
        let report = serde_json::to_value(report()).unwrap();
        let (measured, not_measured) = (&report["rows"][0], &report["rows"][1]);
        assert_eq!(measured["value"], 150_123.4);
        assert_eq!(measured["compared"]["ratio"], 150_123.4 / 80_000.0);
        let floor = json!([{"at_least": 120_000.0, "met": true}, {"times": 2.0, "met": false}]);
        assert_eq!(measured["floor"], floor);
        assert_eq!(measured["details"], json!({"jobs": 300_000}));
        assert_eq!(not_measured.get("value"), None);
        assert!(not_measured["not_measured"].is_string());
    }
}
