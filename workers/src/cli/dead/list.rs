//! The table of dead letters. The whole id is in it, so that it can be copied.

use comfy_table::Row;
use serde_json::Value;
use tocsin::time::Timestamp;

use super::super::age;
use super::super::fields::{number, or_dash, text, time};
use super::super::table::{self, Terminal, cell, dim, figure};

/// The reason's least width; everything else is never cut.
const REASON: u16 = 16;

/// The table, as wide as `look` at most (from 80 columns on). With `states` it has a column for them.
pub(super) fn render(letters: &[Value], now: Timestamp, states: bool, look: Terminal) -> String {
    let mut heads = vec!["FAILED", "QUEUE", "ATTEMPTS", "REASON", "ID"];
    if states {
        heads.insert(1, "STATE");
    }
    let mut table = look.table(&heads);
    let reason = heads.len() - 2;
    table::align_right(&mut table, [reason - 1]);
    for letter in letters {
        table.add_row(row(letter, now, states));
    }
    look.render(table, &[(reason, REASON)])
}

fn row(letter: &Value, now: Timestamp, states: bool) -> Row {
    let died = time(letter, "/died_at").map(|at| age::short(now.since(at)));
    let mut cells = vec![
        cell(&or_dash(died.unwrap_or_default())),
        cell(&or_dash(text(letter, "/queue"))),
        figure(number(letter, "/attempts")),
        cell(&or_dash(why(letter))),
        dim(&text(letter, "/id")),
    ];
    if states {
        let state = text(letter, "/state");
        let state = match state.as_str() {
            "dead" => table::attention(&state),
            _ => cell(&or_dash(state)),
        };
        cells.insert(1, state);
    }
    table::line(cells)
}

/// The reason without how often it was tried, which a column of its own says.
fn why(letter: &Value) -> String {
    let reason = text(letter, "/reason");
    let tries = number(letter, "/attempts").unwrap_or_default();
    let known = format!("failed {tries} times, the last time: ");
    match reason.strip_prefix(&known) {
        Some(error) => error.to_owned(),
        None => reason,
    }
}
