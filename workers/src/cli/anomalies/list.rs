//! The table of anomalies: two lines each, so that the whole key fits and can be copied.

use comfy_table::Row;
use serde_json::Value;
use tocsin::time::Timestamp;

use super::super::age;
use super::super::fields::{level, number, or_dash, text, time};
use super::super::table::{self, Terminal, cell, dim};

const HEADS: [&str; 5] = [
    "ALERT\nKEY",
    "LEVEL\nFIXED",
    "SERVICE\nNAMESP.",
    "TOTAL\nINCIDENTS",
    "LAST\nFIRST",
];
/// Service and name give way; a key takes 32 columns and is never cut.
const SHRINK: [(usize, u16); 2] = [(2, 7), (0, 32)];

/// The table, as wide as `look` at most (from 80 columns on).
pub(super) fn render(anomalies: &[Value], now: Timestamp, look: Terminal) -> String {
    let mut table = look.table(&HEADS);
    table::align_right(&mut table, [3]);
    for anomaly in anomalies {
        table.add_row(first_line(anomaly, now));
        table.add_row(second_line(anomaly, now));
    }
    look.render(table, &SHRINK)
}

fn ago(anomaly: &Value, pointer: &str, now: Timestamp) -> String {
    let age = time(anomaly, pointer).map(|at| age::short(now.since(at)));
    or_dash(age.unwrap_or_default())
}

fn first_line(anomaly: &Value, now: Timestamp) -> Row {
    table::line(vec![
        cell(&or_dash(text(anomaly, "/alert_name"))),
        table::level(&or_dash(level(anomaly, "/level"))),
        cell(&or_dash(text(anomaly, "/service"))),
        table::figure(number(anomaly, "/total")),
        cell(&ago(anomaly, "/last_seen", now)),
    ])
}

fn second_line(anomaly: &Value, now: Timestamp) -> Row {
    table::line(vec![
        dim(&text(anomaly, "/key")),
        dim(&ago(anomaly, "/permanent_fix_at", now)),
        dim(&or_dash(text(anomaly, "/namespace"))),
        table::figure(number(anomaly, "/newest_number")),
        dim(&ago(anomaly, "/first_seen", now)),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render_at(width: u16) -> String {
        let anomalies = [
            json!({
                "key": "00112233445566778899aabbccddeeff", "alert_name": "KubePodCrashLooping",
                "service": "checkout-api", "namespace": "shop-production-europe",
                "level": "PERMANENT_FIX", "total": 120, "newest_number": 31,
                "first_seen": "2026-11-01T21:28:29.102Z", "last_seen": "2026-11-22T21:25:29.102Z",
                "permanent_fix_at": "2026-11-20T21:28:29.102Z",
            }),
            json!({
                "key": "ffeeddccbbaa99887766554433221100",
                "alert_name": "ADiskOfOneOfTheMachinesThatKeepBackupsIsAlmostFull",
                "level": "NONE", "total": 1, "newest_number": 1,
                "last_seen": "2026-11-22T21:28:29.102Z",
            }),
        ];
        let look = Terminal {
            width,
            colour: false,
        };
        render(&anomalies, Timestamp(1_795_382_909_102), look)
    }

    #[test]
    fn the_list_fits_80_columns_and_uses_wider_terminals() {
        insta::assert_snapshot!(render_at(80), @"
        ALERT                             LEVEL                SERVICE      TOTAL  LAST
        KEY                               FIXED                NAMESP.  INCIDENTS  FIRST
        ────────────────────────────────────────────────────────────────────────────────
        KubePodCrashLooping               NEEDS PERMANENT FIX  checko…        120  3m
        00112233445566778899aabbccddeeff  2d                   shop-p…         31  21d
        ADiskOfOneOfTheMachinesThatKeep…  NONE                 -                1  0s
        ffeeddccbbaa99887766554433221100  -                    -                1  -
        ");
        insta::assert_snapshot!(render_at(120), @"
        ALERT                                               LEVEL                SERVICE                     TOTAL  LAST
        KEY                                                 FIXED                NAMESP.                 INCIDENTS  FIRST
        ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        KubePodCrashLooping                                 NEEDS PERMANENT FIX  checkout-api                  120  3m
        00112233445566778899aabbccddeeff                    2d                   shop-production-europe         31  21d
        ADiskOfOneOfTheMachinesThatKeepBackupsIsAlmostFull  NONE                 -                               1  0s
        ffeeddccbbaa99887766554433221100                    -                    -                               1  -
        ");
    }
}
