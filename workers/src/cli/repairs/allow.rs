//! `tocsin repairs allow`: allows an action again that is stopped.

use clap::Args;
use serde_json::json;

use crate::cli::client::Client;
use crate::cli::fields::{number, text};
use crate::cli::output::{print, print_json};

/// Allow an action again that is stopped
///
/// An action that did not hold several times in a row, on any anomalies, is neither recommended nor run by hooks.
#[derive(Debug, Args)]
pub(super) struct AllowArgs {
    /// Action, for example restart_pod
    action: String,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl AllowArgs {
    pub(super) async fn run(self, client: &Client) -> anyhow::Result<()> {
        let body = json!({"operator": self.operator.unwrap_or_default()});
        let path = ["actions", self.action.as_str(), "allow"];
        let allowed = client.post(&path, Some(&body), None).await?;
        if self.json {
            return print_json(&allowed);
        }
        let action = text(&allowed, "/action");
        let told = match number(&allowed, "/was_stopped/in_a_row") {
            Some(times) => {
                format!("{action} is allowed again. It had not held {times} times in a row.")
            }
            None => format!("{action} is not stopped."),
        };
        Ok(print(&told)?)
    }
}
