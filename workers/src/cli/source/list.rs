//! The list of sources.

use serde_json::Value;
use tocsin::time::Timestamp;

use crate::cli::age;
use crate::cli::fields::{number, or_dash, text, time};
use crate::cli::table::{self, Terminal, attention, cell, dim, figure};

/// The error and the address give way.
const SHRINK: [(usize, u16); 2] = [(7, 12), (1, 24)];

pub(super) fn render(sources: &[Value], now: Timestamp, look: Terminal) -> String {
    let heads = [
        "SOURCE", "ADDRESS", "LAST", "ALERTS", "REFUSED", "TESTS", "UNUSED", "ERROR",
    ];
    let mut table = look.table(&heads);
    table::align_right(&mut table, [3, 4, 5, 6]);
    for source in sources {
        let name = text(source, "/name");
        let ago = |pointer: &str| time(source, pointer).map(|at| age::short(now.since(at)));
        let refused =
            ["/refused", "/rejected"].map(|field| number(source, field).unwrap_or_default());
        let error = text(source, "/error");
        let error = match ago("/error_at") {
            Some(ago) => format!("{ago} ago: {error}"),
            None => error,
        };
        table.add_row(table::line(vec![
            match source["enabled"] == false {
                true => dim(&format!("{name} (off)")),
                false => cell(&name),
            },
            dim(&or_dash(text(source, "/addresses/0"))),
            cell(&or_dash(ago("/delivered_at").unwrap_or_default())),
            figure(number(source, "/alerts")),
            figure(Some(refused.iter().sum())),
            figure(number(source, "/tests")),
            figure(number(source, "/unused")),
            match error.is_empty() {
                true => cell("-"),
                false => attention(&error),
            },
        ]));
    }
    let mut parts = vec![look.render(table, &SHRINK)];
    let asked = sources.iter().filter_map(|source| {
        let url = text(source, "/confirm_url");
        let name = text(source, "/name");
        (!url.is_empty()).then(|| {
            format!("{name}: the sender asks for a confirmation. If you subscribed it, open {url}")
        })
    });
    let asked: Vec<String> = asked.collect();
    if !asked.is_empty() {
        parts.push(asked.join("\n"));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_shown_with_what_it_delivered() {
        let sources = [
            json!({
                "name": "alertmanager", "enabled": true, "addresses": ["https://ops.example.org/api/v1/alertmanager"],
                "delivered_at": "2026-11-22T21:28:00Z", "alerts": 1200, "rejected": 2, "refused": 1, "tests": 0,
                "unused": 0, "error": "the alert has no alertname", "error_at": "2026-11-22T20:28:29Z",
            }),
            json!({
                "name": "generic/aws", "enabled": true, "addresses": ["https://ops.example.org/api/v1/generic/aws"],
                "delivered_at": null, "alerts": 0, "rejected": 0, "refused": 0, "tests": 0, "unused": 1, "error": null,
                "error_at": null, "confirm_url": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
            }),
            json!({"name": "signoz", "enabled": false}),
        ];
        let now = Timestamp::parse("2026-11-22T21:28:29Z").unwrap();
        let look = Terminal {
            width: 120,
            colour: false,
        };
        insta::assert_snapshot!(render(&sources, now, look), @"
        SOURCE        ADDRESS                                      LAST  ALERTS  REFUSED  TESTS  UNUSED  ERROR
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        alertmanager  https://ops.example.org/api/v1/alertmanager  29s     1200        3      0       0  1h ago: the alert has …
        generic/aws   https://ops.example.org/api/v1/generic/aws   -          0        0      0       1  -
        signoz (off)  -                                            -          -        0      -       -  -

        generic/aws: the sender asks for a confirmation. If you subscribed it, open https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription
        ");
    }
}
