//! Taking an incident over from who acknowledged it.

use clap::Args;
use serde_json::json;
use tocsin::time::Timestamp;

use super::super::client::Client;
use super::super::output::{print, print_json};
use super::super::which::IncidentArg;
use super::done;

/// Which incident, and by whom.
#[derive(Debug, Args)]
pub(super) struct TakeOverArgs {
    /// Incident ID or short ID (the last 8 characters)
    id: IncidentArg,
    /// Note about the incident
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Operator name, which the incident has from now on
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

impl TakeOverArgs {
    /// Takes it from who has it when it is read: if somebody else does so in between, that is said.
    pub(super) async fn run(self, client: &Client, json: bool) -> anyhow::Result<()> {
        let id = self.id.id(client).await?.to_string();
        let path = ["incidents", id.as_str(), "take-over"];
        let read = client.get(&path[..2], &[]).await?;
        let body = json!({
            "from": read["operator"],
            "operator": self.operator,
            "note": self.note,
        });
        let incident = client.post(&path, Some(&body), None).await?;
        if json {
            return print_json(&incident);
        }
        print(&done::outcome(&incident, Timestamp::now()))?;
        Ok(())
    }
}
