//! A statement's plan, and what is wrong with it.

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::Value;

use crate::harness::Harness;

/// Pages of 8 KB that one statement may read on PostgreSQL: a hundred anomalies are looked at together, of
/// each of which twenty occurrences are stored.
const PAGES: i64 = 5_000;
/// Rows that one step of it may read and pass over.
const PASSED_OVER: f64 = 2_000.0;
/// Tables that it may not read as a whole.
const LARGE: [&str; 3] = ["occurrences", "notifications", "incidents"];
/// Tables that a statement may read as a whole: they are as large as what people configured, or as the
/// anomalies are many, which the look for changes reads once a minute.
const MAY_SCAN: [&str; 21] = [
    "made_silences",
    "canaries",
    "maintenance_windows",
    "playbook_versions",
    "playbook_proposals",
    "watches",
    "jsonb_each",
    "r",
    "anomalies",
    "a",
    "marks",
    "channels",
    "schedules",
    "reports",
    "losses",
    "outages",
    "silent_sources",
    "refusals",
    "source_tallies",
    "ended_sessions",
    "alert_rules",
];

impl Harness {
    /// The plan of a statement: of SQLite its lines, of PostgreSQL what running it read.
    pub(super) async fn explain(&self, statement: &Statement) -> Vec<String> {
        let db = &self.context.db;
        let explained = Statement {
            sql: match db.backend() {
                DbBackend::Postgres => {
                    format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}", statement.sql)
                }
                _ => format!("EXPLAIN QUERY PLAN {}", statement.sql),
            },
            ..statement.clone()
        };
        let tx = db.begin().await.unwrap();
        let rows = tx.query_all_raw(explained).await.unwrap();
        tx.rollback().await.unwrap();
        match db.backend() {
            DbBackend::Postgres => {
                let plan: Value = rows[0].try_get_by_index(0).unwrap();
                let top = &plan[0]["Plan"];
                let read = top["Shared Hit Blocks"].as_i64().unwrap()
                    + top["Shared Read Blocks"].as_i64().unwrap();
                vec![read.to_string(), plan.to_string()]
            }
            _ => rows
                .iter()
                .map(|row| row.try_get("", "detail").unwrap())
                .collect(),
        }
    }
}

/// The first step of a plan of PostgreSQL, from the top, that reads a large table as a whole, or passes
/// over many rows.
fn step_that_is_wrong(step: &Value) -> Option<String> {
    let of = step["Relation Name"].as_str().unwrap_or_default();
    let kind = step["Node Type"].as_str().unwrap_or_default();
    if kind == "Seq Scan" && LARGE.contains(&of) {
        return Some(format!("scans {of}"));
    }
    let passed = step["Rows Removed by Filter"].as_f64().unwrap_or_default()
        * step["Actual Loops"].as_f64().unwrap_or(1.0);
    if LARGE.contains(&of) && passed > PASSED_OVER {
        return Some(format!("passes over {passed} rows of {of}"));
    }
    let below = step["Plans"].as_array();
    below.into_iter().flatten().find_map(step_that_is_wrong)
}

/// What is wrong with a plan, if anything is.
pub(super) fn wrong(backend: DbBackend, plan: &[String]) -> Option<String> {
    if backend == DbBackend::Postgres {
        let read: i64 = plan[0].parse().unwrap();
        let explained: Value = serde_json::from_str(&plan[1]).unwrap();
        let wrong = step_that_is_wrong(&explained[0]["Plan"]);
        let pages = (read > PAGES).then(|| format!("reads {read} pages"));
        return wrong.or(pages);
    }
    // A query within the query is what its own lines say.
    let is_within = |what: &str| {
        let names = ["CO-ROUTINE", "MATERIALIZE"].map(|how| format!("{how} {what}"));
        plan.iter().any(|line| names.contains(line))
    };
    let scans = |line: &&String| {
        let what = line
            .strip_prefix("SCAN ")
            .map(|rest| rest.split(' ').next().unwrap_or(""));
        let is_all = what.is_some_and(|what| {
            !MAY_SCAN.contains(&what)
                && !what.starts_with('(')
                && !is_within(what)
                // Of what is not resolved alone.
                && !line.contains("USING INDEX incidents_unresolved")
                && !line.contains("VIRTUAL TABLE")
        });
        // One channel is all messages there are, and all of them are from before now.
        let is_channel = ["(channel=?)", "(channel=? AND owed_since<?)"]
            .iter()
            .any(|read| line.ends_with(read))
            && !line.contains("notifications_waiting")
            && !line.contains("channels");
        (is_all && !line.contains("CONSTANT ROW")) || is_channel
    };
    plan.iter().find(scans).cloned()
}
