//! The firings of an incident.

use serde_json::Value;
use tocsin::domain::alert::series_name;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::super::age;
use super::super::client::Client;
use super::super::fields::{number, or_dash, text, time};
use super::super::lists::{List, WatchArgs};
use super::super::table::{self, Terminal, cell, figure};

/// Lists them, newest first.
pub(super) async fn list(
    client: &Client,
    id: Uuid,
    limit: usize,
    json: bool,
    again: &WatchArgs,
) -> anyhow::Result<()> {
    let id = id.to_string();
    let list = List {
        client,
        path: &["incidents", &id, "occurrences"],
        query: &[],
        limit,
        none: "No firings stored: retention has pruned them.",
    };
    list.show(json, again, render).await
}

/// The table, as wide as `look` at most (from 80 columns on).
pub(super) fn render(occurrences: &[Value], now: Timestamp, look: Terminal) -> String {
    let mut table = look.table(&["RECEIVED", "STARTED", "ENDED", "DELIVERIES", "SERIES"]);
    table::align_right(&mut table, [3]);
    for occurrence in occurrences {
        let seen = time(occurrence, "/occurred_at").map(|at| age::short(now.since(at)));
        let ended = text(occurrence, "/ended_at");
        let ended_by = text(occurrence, "/ended_by");
        let is_unheard = occurrence.get("unheard").and_then(Value::as_bool) == Some(true);
        table.add_row(table::line(vec![
            cell(&or_dash(seen.unwrap_or_default())),
            cell(&or_dash(text(occurrence, "/starts_at"))),
            cell(match (ended.as_str(), ended_by.as_str()) {
                ("", _) if is_unheard => "stale",
                ("", _) => "firing",
                (_, "unseen") => "expired",
                _ => &ended,
            }),
            figure(number(occurrence, "/deliveries")),
            cell(&series(occurrence)),
        ]));
    }
    look.render(table, &[(4, 12)])
}

fn series(occurrence: &Value) -> String {
    let label = |name: &str| occurrence["labels"].get(name)?.as_str();
    series_name(label, &text(occurrence, "/fingerprint"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_102);

    #[test]
    fn occurrences_are_listed_with_their_differing_labels() {
        let occurrences = [
            json!({
                "occurred_at": "2026-11-22T21:25:29.102Z",
                "starts_at": "2026-11-22T21:25:28.000Z",
                "ended_at": null,
                "deliveries": 3,
                "labels": {"pod": "checkout-api-6c9f7d-x2x", "container": "api"},
            }),
            json!({
                "occurred_at": "2026-11-22T20:25:29.102Z",
                "starts_at": "2026-11-22T20:25:28.000Z",
                "ended_at": "2026-11-22T20:30:00.000Z",
                "deliveries": 1,
                "fingerprint": "d819c8248226542f",
            }),
            json!({
                "occurred_at": "2026-11-20T20:25:29.102Z",
                "starts_at": "2026-11-20T20:25:28.000Z",
                "ended_at": null,
                "unheard": true,
                "deliveries": 1,
                "fingerprint": "c819c8248226542f",
            }),
            json!({
                "occurred_at": "2026-11-19T20:25:29.102Z",
                "starts_at": "2026-11-19T20:25:28.000Z",
                "ended_at": "2026-11-19T20:25:29.102Z",
                "ended_by": "unseen",
                "deliveries": 1,
                "fingerprint": "b819c8248226542f",
            }),
        ];
        let look = Terminal {
            width: 100,
            colour: false,
        };
        insta::assert_snapshot!(render(&occurrences, NOW, look), @"
        RECEIVED  STARTED                   ENDED                     DELIVERIES  SERIES
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        3m        2026-11-22T21:25:28.000Z  firing                             3  pod=checkout-api-6c9f7d-x…
        1h        2026-11-22T20:25:28.000Z  2026-11-22T20:30:00.000Z           1  d819c8248226542f
        2d        2026-11-20T20:25:28.000Z  stale                              1  c819c8248226542f
        3d        2026-11-19T20:25:28.000Z  expired                            1  b819c8248226542f
        ");
    }
}
