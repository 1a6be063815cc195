//! `tocsin execute`: has an executor run the recommended action of an incident.

use clap::Args;
use serde_json::json;

use super::client::{Client, Remote};
use super::fields::text;
use super::output::{print, print_json};
use super::which::IncidentArg;

/// Have an executor run the recommended action of an incident
///
/// The hook that matches is asked (repairs.hooks), at most once for each incident and action.
#[derive(Debug, Args)]
pub struct ExecuteArgs {
    /// Incident ID or short ID (the last 8 characters)
    incident: IncidentArg,
    /// Action that is recommended now, for example restart_pod
    action: String,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ExecuteArgs {
    /// Sends it and prints how far it is.
    ///
    /// # Errors
    /// The instance does not answer, or the action cannot be run now.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let id = self.incident.id(&client).await?.to_string();
        let body = json!({"action": self.action, "operator": self.operator.unwrap_or_default()});
        let path = ["incidents", id.as_str(), "executions"];
        let execution = client.post(&path, Some(&body), None).await?;
        if self.json {
            return print_json(&execution);
        }
        let (action, hook) = (text(&execution, "/action"), text(&execution, "/hook"));
        let state = text(&execution, "/state");
        Ok(print(&format!(
            "{action} by hook {hook}: {state} (execution {}).\nSee the result: tocsin incidents show {id}",
            text(&execution, "/id")
        ))?)
    }
}
