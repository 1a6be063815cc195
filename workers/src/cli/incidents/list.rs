//! The table of incidents: two lines each, three on a narrow terminal. An id is short, as in messages and
//! as the next command takes it.

use comfy_table::{Cell, Row};
use serde_json::Value;
use tocsin::domain::frequency::figure;
use tocsin::time::Timestamp;

use super::super::age;
use super::super::fields::{level, number, or_dash, text, tier, time};
use super::super::table::{self, Terminal, cell, dim};
use super::super::which::short_id;

const HEADS: [&str; 6] = [
    "TITLE\nID",
    "STATUS\nAGE",
    "SEVERITY\nFIRINGS",
    "LEVEL\nTIER",
    "SERVICE\nNAMESPACE",
    "1h/24h/7d/30d",
];
/// Title, service and severity give way.
const SHRINK: [(usize, u16); 3] = [(0, 28), (4, 9), (2, 8)];
/// What the six columns take at least.
const LEAST: u16 = 100;

const NARROW_HEADS: [&str; 3] = [
    "TITLE\nID · AGE\nSERVICE IN NAMESPACE",
    "STATUS\nLEVEL\nTIER",
    "SEVERITY\n1h/24h/7d/30d\nFIRINGS",
];
const NARROW_SHRINK: [(usize, u16); 2] = [(0, 30), (2, 13)];

/// The table, as wide as `look` at most (from 66 columns on).
pub(super) fn render(incidents: &[Value], now: Timestamp, look: Terminal) -> String {
    if look.width < LEAST {
        return narrow(incidents, now, look);
    }
    let mut table = look.table(&HEADS);
    for incident in incidents {
        table.add_row(first_line(incident));
        table.add_row(second_line(incident, now));
    }
    look.render(table, &SHRINK)
}

fn narrow(incidents: &[Value], now: Timestamp, look: Terminal) -> String {
    let mut table = look.table(&NARROW_HEADS);
    for incident in incidents {
        table.add_row(table::line(vec![
            cell(&or_dash(text(incident, "/title"))),
            table::status(&or_dash(text(incident, "/status"))),
            cell(&or_dash(text(incident, "/severity"))),
        ]));
        let id = or_dash(short_id(incident));
        table.add_row(table::line(vec![
            cell(&format!("{id} · {}", age(incident, now))),
            table::level(&or_dash(level(incident, "/escalation_level"))),
            counts(incident),
        ]));
        table.add_row(table::line(vec![
            cell(&place(incident)),
            cell(&or_dash(tier(incident))),
            dim(&episodes(incident)),
        ]));
    }
    look.render(table, &NARROW_SHRINK)
}

/// Where it happens, in one cell.
fn place(incident: &Value) -> String {
    let (service, namespace) = (text(incident, "/service"), text(incident, "/namespace"));
    match namespace.is_empty() {
        true => or_dash(service),
        false => format!("{} in {namespace}", or_dash(service)),
    }
}

fn first_line(incident: &Value) -> Row {
    table::line(vec![
        cell(&or_dash(text(incident, "/title"))),
        table::status(&or_dash(text(incident, "/status"))),
        cell(&or_dash(text(incident, "/severity"))),
        table::level(&or_dash(level(incident, "/escalation_level"))),
        cell(&or_dash(text(incident, "/service"))),
        counts(incident),
    ])
}

fn second_line(incident: &Value, now: Timestamp) -> Row {
    table::line(vec![
        cell(&or_dash(short_id(incident))),
        dim(&age(incident, now)),
        dim(&episodes(incident)),
        cell(&or_dash(tier(incident))),
        dim(&or_dash(text(incident, "/namespace"))),
        cell(""),
    ])
}

fn age(incident: &Value, now: Timestamp) -> String {
    let age = time(incident, "/opened_at").map(|at| age::short(now.since(at)));
    let age = or_dash(age.unwrap_or_default());
    match time(incident, "/unheard_since") {
        Some(since) => format!("{age}, stale {}", age::short(now.since(since))),
        None if text(incident, "/resolved_by") == "unseen" => format!("{age}, expired"),
        None => age,
    }
}

fn episodes(incident: &Value) -> String {
    let episodes = number(incident, "/aggregated_count").map(|count| count.to_string());
    or_dash(episodes.unwrap_or_default())
}

fn counts(incident: &Value) -> Cell {
    let count = |window: &str| number(incident, &format!("/frequency_stats/count_{window}"));
    let counts: Option<Vec<String>> = ["1h", "24h", "7d", "30d"]
        .into_iter()
        .map(|window| count(window).map(figure))
        .collect();
    cell(&or_dash(counts.unwrap_or_default().join("/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn incidents() -> Vec<Value> {
        vec![
            json!({
                "id": "019aad2e-6d5e-7000-8000-00000000000a",
                "title": "Pod checkout-api-6c9f7d-x2x of checkout-api is crash looping",
                "status": "OPEN",
                "severity": "critical",
                "escalation_level": "PERMANENT_FIX",
                "tier": 3,
                "service": "checkout-api",
                "namespace": "shop-production-europe",
                "frequency_stats":
                    {"count_1h": 4, "count_24h": 12, "count_7d": 31, "count_30d": 120},
                "aggregated_count": 4,
                "opened_at": "2026-11-22T21:25:29.102Z",
            }),
            json!({
                "id": "019aad2e-6d5e-7000-8000-00000000000b",
                "title": "Disk is full",
                "status": "ACKNOWLEDGED",
                "severity": "",
                "escalation_level": "NONE",
                "tier": null,
                "service": "",
                "frequency_stats": null,
                "aggregated_count": 1,
                "opened_at": "2026-11-20T19:28:29.102Z",
                "unheard_since": "2026-11-22T06:28:29.102Z",
                "unheard_of": {},
            }),
        ]
    }

    fn render_at(width: u16) -> String {
        let look = Terminal {
            width,
            colour: false,
        };
        render(&incidents(), Timestamp(1_795_382_909_102), look)
    }

    #[test]
    fn the_output_fits_80_columns() {
        insta::assert_snapshot!(render_at(80), @"
        TITLE                                         STATUS               SEVERITY
        ID · AGE                                      LEVEL                1h/24h/7d/30d
        SERVICE IN NAMESPACE                          TIER                 FIRINGS
        ────────────────────────────────────────────────────────────────────────────────
        Pod checkout-api-6c9f7d-x2x of checkout-api…  OPEN                 critical
        0000000a · 3m                                 NEEDS PERMANENT FIX  4/12/31/120
        checkout-api in shop-production-europe        3 root cause         4
        Disk is full                                  ACKNOWLEDGED         -
        0000000b · 2d, stale 15h                      NONE                 -
        -                                             -                    1
        ");
    }

    #[test]
    fn the_output_fits_100_columns() {
        insta::assert_snapshot!(render_at(100), @"
        TITLE                         STATUS         SEVERITY  LEVEL                SERVICE    1h/24h/7d/30d
        ID                            AGE            FIRINGS   TIER                 NAMESPACE
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        Pod checkout-api-6c9f7d-x2x…  OPEN           critical  NEEDS PERMANENT FIX  checkout…  4/12/31/120
        0000000a                      3m             4         3 root cause         shop-pro…
        Disk is full                  ACKNOWLEDGED   -         NONE                 -          -
        0000000b                      2d, stale 15h  1         -                    -
        ");
    }

    #[test]
    fn the_output_fits_120_columns() {
        insta::assert_snapshot!(render_at(120), @"
        TITLE                                STATUS         SEVERITY  LEVEL                SERVICE                 1h/24h/7d/30d
        ID                                   AGE            FIRINGS   TIER                 NAMESPACE
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        Pod checkout-api-6c9f7d-x2x of che…  OPEN           critical  NEEDS PERMANENT FIX  checkout-api            4/12/31/120
        0000000a                             3m             4         3 root cause         shop-production-europe
        Disk is full                         ACKNOWLEDGED   -         NONE                 -                       -
        0000000b                             2d, stale 15h  1         -                    -
        ");
    }
}
