//! One dead letter: what it is, every attempt, its payload, and what can be done about it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tocsin::text::acts_unseen;
use tocsin::time::Timestamp;

use super::super::age;
use super::super::fields::{number, or_dash, text, time};
use super::super::table::{self, Terminal, cell, dim, figure};

pub(super) fn render(letter: &Value, now: Timestamp, look: Terminal) -> String {
    let mut out = facts(letter, now);
    if let Some(attempts) = letter["errors"].as_array().filter(|list| !list.is_empty()) {
        let _ = write!(out, "\n{}\n", attempts_table(attempts, now, look));
    }
    let _ = write!(out, "\n{}", payload(letter));
    if text(letter, "/state") == "dead" {
        let _ = write!(out, "\n{}", ways(letter));
    }
    out
}

/// In the place of how many alerts the letter stands that cannot be used.
pub(super) fn rejected(letter: &Value) -> Option<i64> {
    letter.pointer("/payload/content/rejected")?;
    Some(number(letter, "/payload/content/rejected/alerts").unwrap_or(1))
}

/// What was sent and rejected, as a body for the webhook.
pub(super) fn sent(letter: &Value) -> Option<Value> {
    let raw = letter.pointer("/payload/content/rejected/raw")?.as_str()?;
    // What was cut by hand is shown as the text that it is.
    let sent: Value = serde_json::from_str(raw).unwrap_or_else(|_| raw.into());
    let is_list = rejected(letter) > Some(1) && sent.is_array();
    Some(match is_list {
        true => json!({"alerts": sent}),
        false => json!({"alerts": [sent]}),
    })
}

/// What can be done about a dead letter.
fn ways(letter: &Value) -> String {
    let id = text(letter, "/id");
    let ways = match rejected(letter) {
        None => format!(
            "Replay: tocsin dead replay {id}\nReplay with an edited payload: tocsin dead edit {id}"
        ),
        Some(1) => format!("Replay with an edited payload: tocsin dead edit {id}"),
        Some(_) => format!(
            "Show the content as received, to correct it and send it again: tocsin dead show {id} --sent"
        ),
    };
    format!("{ways}\nDiscard: tocsin dead discard {id}")
}

fn facts(letter: &Value, now: Timestamp) -> String {
    let moment = |pointer| time(letter, pointer).map(|at| age::moment(at, now));
    let replays = number(letter, "/replay").filter(|replays| *replays > 0);
    let owed = time(letter, "/push_owed_since")
        .map(|_| "pending; the job will be enqueued within minutes");
    let lines = [
        ("id", text(letter, "/id")),
        ("queue", text(letter, "/queue")),
        ("state", state(letter, now)),
        ("enqueued", moment("/enqueued_at").unwrap_or_default()),
        ("failed", moment("/died_at").unwrap_or_default()),
        (
            "replays",
            replays.map(|n| n.to_string()).unwrap_or_default(),
        ),
        ("push", owed.unwrap_or_default().to_owned()),
        ("trace", text(letter, "/trace_id")),
        (
            "attempts",
            number(letter, "/attempts")
                .map(|n| n.to_string())
                .unwrap_or_default(),
        ),
    ];
    let mut out = or_dash(text(letter, "/reason"));
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "\n  {name:<10}{value}");
    }
    out.push('\n');
    out
}

/// The state; and of one that was decided on, by whom and when.
fn state(letter: &Value, now: Timestamp) -> String {
    let state = text(letter, "/state");
    let by = match text(letter, "/decided_by") {
        by if by.is_empty() => String::new(),
        by => format!(" by {by}"),
    };
    match (state.as_str(), time(letter, "/decided_at")) {
        ("dead", Some(at)) => format!("dead again; last decision{by}, {}", age::moment(at, now)),
        (_, Some(at)) => format!("{state}{by}, {}", age::moment(at, now)),
        (_, None) => state,
    }
}

fn attempts_table(attempts: &[Value], now: Timestamp, look: Terminal) -> String {
    let replayed = attempts.iter().any(|attempt| attempt["replay"].is_number());
    let mut heads = vec!["WHEN", "AGO", "ERROR"];
    if replayed {
        heads.insert(2, "REPLAY");
    }
    let mut table = look.table(&heads);
    for attempt in attempts {
        let ago = time(attempt, "/at").map(|at| age::short(now.since(at)));
        let mut cells = vec![
            cell(&or_dash(text(attempt, "/at"))),
            dim(&or_dash(ago.unwrap_or_default())),
            cell(&or_dash(text(attempt, "/error"))),
        ];
        if replayed {
            cells.insert(2, figure(number(attempt, "/replay")));
        }
        // Errors are read whole, so they go on in the next line.
        table.add_row(cells);
    }
    if replayed {
        table::align_right(&mut table, [2]);
    }
    look.render(table, &[(heads.len() - 1, 30)])
}

fn payload(letter: &Value) -> String {
    let Some(payload) = letter.get("payload").filter(|payload| !payload.is_null()) else {
        let readable = printable(letter["payload_text"].as_str().unwrap_or_default());
        return format!("payload (not JSON; use --json for its bytes)\n{readable}\n");
    };
    let mut out = format!("payload\n{}\n", pretty(payload));
    let raw = payload
        .pointer("/content/rejected/raw")
        .and_then(Value::as_str);
    let sent = raw.and_then(|raw| serde_json::from_str::<Value>(raw).ok());
    if let Some(sent) = sent {
        let _ = write!(out, "\nreceived\n{}\n", pretty(&sent));
    }
    out
}

fn pretty(value: &Value) -> String {
    printable(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// What comes from anybody who can send an alert must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if acts_unseen(c) && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
