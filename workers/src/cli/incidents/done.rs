//! The result of acknowledging or resolving incidents.

use std::fmt::Write as _;

use serde_json::Value;
use tocsin::time::Timestamp;

use crate::cli::age;
use crate::cli::fields::{number, operator, or_dash, text, time};

/// The incident as the operation left it: whether that changed anything, and what may come of it.
pub(super) fn outcome(incident: &Value, now: Timestamp) -> String {
    // An older instance does not say whether it changed anything.
    let changed = incident["changed"].as_bool().unwrap_or(true);
    let mut lines = or_dash(text(incident, "/title"));
    let standing = standing(incident, now);
    let _ = match changed {
        true => write!(lines, "\n  {standing}"),
        false => write!(lines, "\n  nothing changed: already {standing}"),
    };
    if let Some(warning) = still_firing(incident, now) {
        let _ = write!(lines, "\n  {warning}");
    }
    lines
}

/// Its status, by whom, and when.
pub(super) fn standing(incident: &Value, now: Timestamp) -> String {
    let status = text(incident, "/status");
    let by = format!("by {}", operator(&text(incident, "/operator")));
    let by = match &*text(incident, "/resolved_by") {
        "itself" => "automatically: the alert ended".to_owned(),
        "unseen" => "as expired: its source stopped sending the alert".to_owned(),
        _ => by,
    };
    let at = match &*status {
        "RESOLVED" => time(incident, "/resolved_at"),
        _ => time(incident, "/acknowledged_at"),
    };
    let at = at.map_or_else(String::new, |at| format!(", {}", age::moment(at, now)));
    format!("{status} {by}{at}")
}

/// That a resolved incident has firings that have not ended, and what happens then.
fn still_firing(incident: &Value, now: Timestamp) -> Option<String> {
    let open = number(incident, "/open_episodes").filter(|open| *open > 0)?;
    if text(incident, "/resolved_by") != "person" {
        return None;
    }
    let (firings, they, are) = match open {
        1 => ("1 firing has not ended".to_owned(), "it", "is"),
        n => (format!("{n} firings have not ended"), "they", "are"),
    };
    let after = match time(incident, "/reopens_after") {
        Some(at) if at > now => format!("{at} (in {})", age::left(at.since(now))),
        Some(at) => age::moment(at, now),
        None => "aggregation.window".to_owned(),
    };
    Some(format!(
        "{firings}. If {they} {are} still received after {after}, the incident reopens."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_says_whether_it_changed_anything_and_what_still_fires() {
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        let (at, before) = ("2026-11-22T21:28:29.000Z", "2026-11-22T21:16:00.000Z");
        let window = "2026-11-22T21:33:29.000Z";
        let resolved = |changed: bool, at: &str, open: i64, by: &str| {
            json!({"title": "Disk is full", "status": "RESOLVED", "resolved_by": by, "operator": "ann",
                   "resolved_at": at, "open_episodes": open, "changed": changed,
                   "reopens_after": if open > 0 { json!(window) } else { json!(null) }})
        };
        let table = [
            (
                json!({"title": "Disk is full", "status": "ACKNOWLEDGED", "operator": "ann",
                       "acknowledged_at": at, "open_episodes": 2, "changed": true}),
                "ACKNOWLEDGED by ann, 2026-11-22T21:28:29.000Z (0s ago)",
            ),
            (
                json!({"title": "Disk is full", "status": "ACKNOWLEDGED", "operator": null,
                       "acknowledged_at": before, "open_episodes": 2, "changed": false}),
                "nothing changed: already ACKNOWLEDGED by an unnamed operator, 2026-11-22T21:16:00.000Z (12m \
                 ago)",
            ),
            (
                resolved(true, at, 0, "person"),
                "RESOLVED by ann, 2026-11-22T21:28:29.000Z (0s ago)",
            ),
            (
                resolved(true, at, 1, "person"),
                "RESOLVED by ann, 2026-11-22T21:28:29.000Z (0s ago)\n  1 firing has not ended. If it is still \
                 received after 2026-11-22T21:33:29.000Z (in 5m), the incident reopens.",
            ),
            (
                resolved(false, before, 2, "person"),
                "nothing changed: already RESOLVED by ann, 2026-11-22T21:16:00.000Z (12m ago)\n  2 \
                 firings have not ended. If they are still received after 2026-11-22T21:33:29.000Z (in 5m), \
                 the incident reopens.",
            ),
            (
                resolved(false, before, 0, "itself"),
                "nothing changed: already RESOLVED automatically: the alert ended, \
                 2026-11-22T21:16:00.000Z (12m ago)",
            ),
        ];
        for (incident, expected) in table {
            assert_eq!(
                outcome(&incident, now),
                format!("Disk is full\n  {expected}")
            );
        }
    }
}
