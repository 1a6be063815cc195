//! Taking an incident over from who acknowledged it.

use clap::Args;
use serde_json::{Value, json};
use tocsin::time::Timestamp;

use super::super::client::Client;
use super::super::output::{print, print_json};
use super::super::which::IncidentArg;
use super::done;
use crate::cli::fields::{operator, text};

/// Which incident, and by whom.
#[derive(Debug, Args)]
pub(super) struct TakeOverArgs {
    /// Incident ID or short ID (the last 8 characters)
    id: IncidentArg,
    /// Who has it: refused if somebody else does. Without it, whoever has it now
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Note about the incident
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Operator name, which the incident has from now on
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: String,
}

impl TakeOverArgs {
    /// Takes it from who is named, else from who has it when it is read: if somebody else does so in between, that is
    /// said.
    pub(super) async fn run(self, client: &Client, json: bool) -> anyhow::Result<()> {
        let id = self.id.id(client).await?.to_string();
        let path = ["incidents", id.as_str(), "take-over"];
        let from = match self.from {
            Some(name) => Value::from(name),
            None => client.get(&path[..2], &[]).await?["operator"].take(),
        };
        let body = json!({
            "from": from,
            "operator": self.operator,
            "note": self.note,
        });
        let incident = client.post(&path, Some(&body), None).await?;
        if json {
            return print_json(&incident);
        }
        let mut said = done::outcome(&incident, Timestamp::now());
        if incident["changed"] == true {
            let before = text(&body, "/from");
            said = format!("{said}\n  taken over from {}", operator(&before));
        }
        print(&said)?;
        Ok(())
    }
}
