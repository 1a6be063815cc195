//! Repairs of an incident's anomaly: how often each action held, and what helped last time.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value};
use tocsin::time::Timestamp;

use super::super::age;
use super::super::client::Client;
use super::super::fields::{number, text, time};
use super::super::repairs::sentences;
use super::super::which::short_id;

/// What an instance says; null where it does not: one of an older version knows none of this.
pub(super) struct Background {
    effectiveness: Value,
    last_time: Value,
}

/// Asks for it.
pub(super) async fn ask(client: &Client, incident: &Value) -> Background {
    let (id, key) = (text(incident, "/id"), text(incident, "/anomaly_key"));
    let effectiveness = client.get(&["anomalies", &key, "effectiveness"], &[]).await;
    let last_time = client.get(&["incidents", &id, "last-time"], &[]).await;
    Background {
        effectiveness: effectiveness.unwrap_or_default(),
        last_time: last_time.unwrap_or_default(),
    }
}

impl Background {
    /// Adds it to what is printed as JSON.
    pub(super) fn insert_into(self, incident: &mut Map<String, Value>) {
        incident.insert("effectiveness".to_owned(), self.effectiveness);
        incident.insert("last_time".to_owned(), self.last_time["items"].clone());
    }

    /// As lines below the facts of the incident; empty if there is nothing to say.
    pub(super) fn told(&self, now: Timestamp) -> String {
        let mut out = String::new();
        let has_actions = self.effectiveness["actions"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if has_actions || !text(&self.effectiveness, "/stand_in/summary").is_empty() {
            for (at, sentence) in sentences(&self.effectiveness).iter().enumerate() {
                let name = if at == 0 { "what held" } else { "" };
                let _ = writeln!(out, "  {name:<16}{sentence}");
            }
        }
        let items = self.last_time["items"].as_array();
        let lines = items
            .into_iter()
            .flatten()
            .flat_map(|item| lines(item, now));
        for (at, line) in lines.enumerate() {
            let name = if at == 0 { "last time" } else { "" };
            let _ = writeln!(out, "  {name:<16}{line}");
        }
        out
    }
}

/// An earlier incident, and each repair of it below.
fn lines(item: &Value, now: Timestamp) -> Vec<String> {
    let opened = time(item, "/opened_at").map(|at| age::short(now.since(at)));
    let lasted = number(item, "/lasted_ms").map(|ms| format!(", lasted {}", span(ms)));
    let repairs = item["repairs"].as_array();
    let nothing = repairs.is_none_or(Vec::is_empty);
    let named = serde_json::json!({"id": item["incident_id"]});
    let head = format!(
        "{}: {} ago{}{}",
        short_id(&named),
        opened.unwrap_or_default(),
        lasted.unwrap_or_default(),
        if nothing { ", nothing tried" } else { "" },
    );
    let repairs = repairs.into_iter().flatten().map(repair);
    std::iter::once(head).chain(repairs).collect()
}

fn repair(repair: &Value) -> String {
    let outcome = match (
        text(repair, "/verdict").as_str(),
        repair["success"].as_bool(),
    ) {
        ("verified", _) => "held",
        ("disproved", _) => "did not hold",
        ("superseded", _) => "superseded by another repair",
        ("unknown", _) => "not known whether it held",
        (_, Some(true)) => "reported to have helped, not judged yet",
        (_, Some(false)) => "reported not to have helped, not judged yet",
        (_, None) => "not finished",
    };
    let mut line = format!("  {}: {outcome}", text(repair, "/action"));
    if let Some(ms) = number(repair, "/quiet_after_ms") {
        let _ = write!(line, ", quiet after {}", span(ms));
    }
    if let Some(ms) = number(repair, "/duration_ms") {
        let _ = write!(line, ", took {}", span(ms));
    }
    let note = text(repair, "/note");
    if !note.is_empty() {
        let _ = write!(line, " ({note})");
    }
    line
}

fn span(ms: i64) -> String {
    age::short(Duration::from_millis(ms.max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_helped_last_time_is_told_line_by_line() {
        let background = Background {
            effectiveness: json!({
                "summary": "rollback held 4 of 4 times",
                "nothing": {"held": 0, "episodes": 3},
                "actions": [{}],
            }),
            last_time: json!({"items": [
                {"incident_id": "019aad2e-6d5e-7000-8000-00000000000a", "lasted_ms": 300_000,
                 "opened_at": "2026-11-22T19:28:29.102Z", "repairs": [
                    {"action": "restart_pod", "verdict": "disproved", "success": true, "duration_ms": 4000},
                    {"action": "rollback", "verdict": "verified", "success": true, "quiet_after_ms": 120_000,
                     "note": "to v41"}]},
                {"incident_id": "019aad2e-6d5e-7000-8000-00000000000b",
                 "opened_at": "2026-11-20T21:28:29.102Z", "repairs": []},
            ]}),
        };
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        insta::assert_snapshot!(background.told(now), @"
          what held       rollback held 4 of 4 times.
                          With nothing done it stayed quiet 0 of 3 times.
          last time       0000000a: 2h ago, lasted 5m
                            restart_pod: did not hold, took 4s
                            rollback: held, quiet after 2m (to v41)
                          0000000b: 2d ago, nothing tried
        ");
    }
}
