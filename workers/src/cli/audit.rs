//! `tocsin audit`: what operators did.

use clap::Args;
use serde_json::Value;
use tocsin::domain::id::ShortId;
use tocsin::time::Timestamp;

use super::age;
use super::client::{Client, Remote};
use super::fields::{members, or_dash, text, time};
use super::lists::{Again, List};
use super::table::{Look, cell, dim};
use super::which::{ending_with, the_one};

/// Detail and target give way.
const SHRINK: [(usize, u16); 2] = [(5, 24), (4, 36)];

/// List what operators did, newest first
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only by this token (as the list shows it), or by whoever called themselves so
    #[arg(long)]
    actor: Option<String>,
    /// Only of this kind, for instance incident.resolve
    #[arg(long)]
    action: Option<String>,
    /// Only done to this: an incident's id, or the end of it that messages have; an anomaly's key; a
    /// queue's name
    #[arg(long)]
    target: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    again: Again,
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
            none: "No deeds.",
        };
        list.show(self.json, &self.again, render).await
    }
}

fn render(deeds: &[Value], now: Timestamp, look: Look) -> String {
    let mut table = look.table(&["AGE", "TOKEN", "OPERATOR", "ACTION", "TARGET", "DETAIL"]);
    for deed in deeds {
        let age = time(deed, "/at").map(|at| age::short(now.since(at)));
        // What somebody did is read whole, so it goes on in the next line.
        table.add_row(vec![
            cell(&or_dash(age.unwrap_or_default())),
            dim(&text(deed, "/actor")),
            cell(&or_dash(text(deed, "/operator"))),
            cell(&text(deed, "/action")),
            cell(&text(deed, "/target")),
            dim(&or_dash(detail(deed))),
        ]);
    }
    look.render(table, &SHRINK)
}

/// What else there is to know, one part after the other. That a deed could be done and changed something goes
/// without saying.
fn detail(deed: &Value) -> String {
    let goes_unsaid =
        |name: &str, value: &str| matches!(name, "possible" | "changed") && value == "true";
    let parts = members(deed, "/detail")
        .into_iter()
        .flat_map(|(name, value)| {
            let within = members(deed, &format!("/detail/{name}"));
            match within.is_empty() {
                true => vec![(name, value)],
                false => within,
            }
        });
    let parts = parts.filter(|(name, value)| !goes_unsaid(name, value));
    let parts: Vec<String> = parts
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn deeds_are_told_with_who_did_what_to_what() {
        let deeds = [
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
        let look = Look {
            width: 120,
            colour: false,
        };
        insta::assert_snapshot!(render(&deeds, now, look), @"
        AGE  TOKEN             OPERATOR  ACTION           TARGET                                DETAIL
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        3m   operate:1a2b3c4d  ann       incident.repair  019aad2e-6d5e-7000-8000-00000000000a  action=restart_pod success=false
        1h   anyone            -         queue.pause      notify                                -
        ");
    }
}
