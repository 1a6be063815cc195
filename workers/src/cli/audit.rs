//! `tocsin audit`: what operators did.

use clap::Args;
use serde_json::Value;
use tocsin::domain::id::ShortId;
use tocsin::time::Timestamp;

use super::age;
use super::client::{Client, Remote};
use super::fields::{or_dash, plain, text, time};
use super::lists::{List, WatchArgs, limit};
use super::table::{Terminal, cell, dim};
use super::which::{ending_with, the_one};

/// Detail and target give way.
const SHRINK: [(usize, u16); 2] = [(5, 24), (4, 36)];

/// Maximum length of a detail in one line, in characters.
const ONE_LINE: usize = 30;
/// Characters of a part of it that are shown; `--json` has all.
const LONGEST: usize = 300;

/// List audit entries, newest first
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only entries of this operator, or of this token as shown in the list
    #[arg(long)]
    actor: Option<String>,
    /// Only entries of this action, for example incident.resolve
    #[arg(long)]
    action: Option<String>,
    /// Only entries with this target: an incident's ID or short ID, an anomaly's key, a queue's
    /// name
    #[arg(long)]
    target: Option<String>,
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

impl AuditArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or refuses the token.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let target = match self.target.as_deref().and_then(ShortId::read) {
            Some(short) => Some(the_one(short, &ending_with(&client, short).await?)?.to_string()),
            None => self.target,
        };
        let query: Vec<_> = [
            ("actor", self.actor),
            ("action", self.action),
            ("target", target),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let list = List {
            client: &client,
            path: &["audit"],
            query: &query,
            limit: self.limit,
            none: "No audit entries.",
        };
        list.show(self.json, &self.again, render).await
    }
}

fn render(operations: &[Value], now: Timestamp, look: Terminal) -> String {
    let mut table = look.table(&["AGE", "TOKEN", "OPERATOR", "ACTION", "TARGET", "DETAIL"]);
    for entry in operations {
        let age = time(entry, "/at").map(|at| age::short(now.since(at)));
        // An operation is read whole, so it goes on in the next line.
        table.add_row(vec![
            cell(&or_dash(age.unwrap_or_default())),
            dim(&text(entry, "/actor")),
            cell(&or_dash(text(entry, "/operator"))),
            cell(&text(entry, "/action")),
            cell(&text(entry, "/target")),
            dim(&or_dash(detail(entry))),
        ]);
    }
    look.render(table, &SHRINK)
}

/// What else there is to know: in one line if it is short, else a line for each part. That an operation could be done
/// and changed something goes without saying.
fn detail(entry: &Value) -> String {
    let all = entry["detail"].as_object().into_iter().flatten();
    let parts = all.flat_map(|(name, value)| match value.as_object() {
        // What is within is what many were chosen by.
        Some(within) => within.iter().collect(),
        None => vec![(name, value)],
    });
    let is_possible = entry["detail"]["possible"].as_bool() != Some(false);
    let parts: Vec<String> = parts
        .filter(|(name, _)| is_possible || name.as_str() != "changed")
        .filter_map(|(name, value)| part(name, value))
        .collect();
    let line = parts.join(" ");
    match line.chars().count() <= ONE_LINE {
        true => line,
        false => parts.join("\n"),
    }
}

fn part(name: &str, value: &Value) -> Option<String> {
    let said = match value {
        Value::Null => return None,
        Value::Bool(true) if matches!(name, "possible" | "changed") => return None,
        Value::Bool(false) if name == "possible" => return Some("not possible".to_owned()),
        Value::Bool(false) if name == "changed" => return Some("nothing changed".to_owned()),
        Value::Array(list) => format!("{} of them", list.len()),
        Value::String(text) => plain(text),
        other => other.to_string(),
    };
    let mut shown: String = said.chars().take(LONGEST).collect();
    if shown.len() < said.len() {
        shown.push('…');
    }
    Some(format!("{}={shown}", plain(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn audit_entries_show_operator_action_and_target() {
        let operations = [
            json!({
                "at": "2026-11-22T21:25:29.102Z", "actor": "operate:1a2b3c4d", "operator": "ann",
                "action": "incident.repair", "target": "019aad2e-6d5e-7000-8000-00000000000a",
                "detail": {"action": "restart_pod", "success": false}, "request_id": "r",
            }),
            json!({
                "at": "2026-11-22T20:28:29.102Z", "actor": "anyone", "operator": null,
                "action": "queue.pause", "target": "notify", "detail": {}, "request_id": null,
            }),
            json!({
                "at": "2026-11-22T19:28:29.102Z", "actor": "operate:1a2b3c4d", "operator": "ann",
                "action": "incident.resolve", "target": "019aad2e-6d5e-7000-8000-00000000000b",
                "detail": {"possible": true, "changed": true, "together": {
                    "service": "checkout-api", "namespace": "production", "unheard": true, "older_than": "7d",
                }},
                "request_id": null,
            }),
        ];
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        let look = Terminal {
            width: 120,
            colour: false,
        };
        insta::assert_snapshot!(render(&operations, now, look), @"
        AGE  TOKEN             OPERATOR  ACTION            TARGET                                DETAIL
        ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
        3m   operate:1a2b3c4d  ann       incident.repair   019aad2e-6d5e-7000-8000-00000000000a  action=restart_pod
                                                                                                 success=false
        1h   anyone            -         queue.pause       notify                                -
        2h   operate:1a2b3c4d  ann       incident.resolve  019aad2e-6d5e-7000-8000-00000000000b  service=checkout-api
                                                                                                 namespace=production
                                                                                                 unheard=true
                                                                                                 older_than=7d
        ");
    }

    #[test]
    fn a_detail_is_bounded_and_omits_empty_fields() {
        let entry = json!({"detail": {"queue": null, "reason": "x", "letters": ["a", "b"], "changed": true}});
        assert_eq!(detail(&entry), "reason=x letters=2 of them");
        let entry = json!({"detail": {"changed": false, "payload_before": "y".repeat(1000)}});
        let details = detail(&entry);
        assert!(
            details.starts_with("nothing changed\npayload_before=yyy"),
            "{details}"
        );
        assert!(
            details.ends_with("y…") && details.chars().count() < 340,
            "{details}"
        );
        let late = json!({"detail": {"possible": false, "changed": false}});
        assert_eq!(detail(&late), "not possible");
    }
}
