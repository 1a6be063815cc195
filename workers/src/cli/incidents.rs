//! `tocsin incidents`: the list, one incident, and what is done about it.

mod background;
mod change;
mod done;
mod filters;
mod list;
pub(super) mod occurrences;
mod show;
mod take_over;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Remote};
use super::fields::text;
use super::lists::{List, WatchArgs, limit};
use super::output::{print, print_json};
use super::paused;
use super::which::IncidentArg;
use change::{ChangeArgs, MuteArgs, Verb};
use filters::Filters;
use take_over::TakeOverArgs;

pub(super) const LEVELS: [&str; 4] = ["NONE", "REPEAT", "ESCALATE", "PERMANENT_FIX"];

/// List unresolved incidents, worst first; show, acknowledge, take over, analyze, resolve, mute or note incidents
#[derive(Debug, Args)]
pub struct IncidentsArgs {
    #[command(subcommand)]
    command: Option<IncidentsCommand>,
    #[command(flatten)]
    filters: Filters,
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

#[derive(Debug, Subcommand)]
enum IncidentsCommand {
    /// Show one incident: level and tier with their reasons, repairs, latest firings
    Show {
        /// Incident ID or short ID (the last 8 characters)
        id: IncidentArg,
    },
    /// List firings of one incident, newest first
    Occurrences {
        /// Incident ID or short ID (the last 8 characters)
        id: IncidentArg,
        /// Maximum number of results
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
        limit: usize,
        #[command(flatten)]
        again: WatchArgs,
    },
    /// Acknowledge incidents: by ID, or all that match filters
    Acknowledge(ChangeArgs),
    /// Take an acknowledged incident over from who has it
    TakeOver(TakeOverArgs),
    /// Analyze an incident again: how often and when it happens, and what happens with it
    Analyze(OperationArgs),
    /// Resolve incidents: by ID, or all that match filters
    Resolve(ChangeArgs),
    /// Mute the anomalies of incidents: by ID, or all that match filters
    Mute(MuteArgs),
    /// Write a note about incidents: by ID, or all that match filters
    Note(ChangeArgs),
}

#[derive(Debug, Args)]
struct OperationArgs {
    /// Incident ID or short ID (the last 8 characters)
    id: IncidentArg,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

impl IncidentsArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such incident.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            Some(IncidentsCommand::Show { id }) => {
                show::show(&client, id.id(&client).await?, self.json).await
            }
            Some(IncidentsCommand::Occurrences { id, limit, again }) => {
                let id = id.id(&client).await?;
                occurrences::list(&client, id, limit, self.json, &again).await
            }
            Some(IncidentsCommand::Acknowledge(args)) => {
                args.run(&client, Verb::Acknowledge, self.json).await
            }
            Some(IncidentsCommand::TakeOver(args)) => args.run(&client, self.json).await,
            Some(IncidentsCommand::Analyze(args)) => args.analyze(&client, self.json).await,
            Some(IncidentsCommand::Resolve(args)) => {
                args.run(&client, Verb::Resolve, self.json).await
            }
            Some(IncidentsCommand::Mute(args)) => args.run(&client, self.json).await,
            Some(IncidentsCommand::Note(args)) => args.run(&client, Verb::Note, self.json).await,
            None => {
                let query = self.filters.query();
                let (none, head) = (self.filters.none(), self.filters.head());
                let list = List {
                    client: &client,
                    path: &["incidents"],
                    query: &query,
                    limit: self.limit,
                    none: &none,
                };
                let table = |items: &[Value], now, look| {
                    format!("{head}\n\n{}", list::render(items, now, look))
                };
                list.show(self.json, &self.again, table).await?;
                if !self.json
                    && let Some(waits) = paused::notifications(&client).await
                {
                    print(&format!("\n{waits}"))?;
                }
                Ok(())
            }
        }
    }
}

impl OperationArgs {
    async fn analyze(self, client: &Client, json: bool) -> anyhow::Result<()> {
        let id = self.id.id(client).await?.to_string();
        let body = json!({"operator": self.operator.unwrap_or_default()});
        let path = ["incidents", id.as_str(), "analyze"];
        let incident = client.post(&path, Some(&body), None).await?;
        if json {
            return print_json(&incident);
        }
        let title = text(&incident, "/title");
        print(&format!(
            "{title}\n  analysis requested: see tocsin incidents show {id}"
        ))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        args: IncidentsArgs,
    }

    #[test]
    fn the_instance_and_the_format_can_be_given_anywhere() {
        let id = "01940000-0000-7000-8000-000000000001";
        for line in [
            vec!["incidents", "show", id, "--url", "http://there", "--json"],
            vec!["incidents", "--url", "http://there", "--json", "show", id],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert!(cli.args.json);
            assert!(cli.args.command.is_some());
            assert!(format!("{:?}", cli.remote).contains("http://there"));
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let cli = Cli::try_parse_from(["incidents", "--api-token", "planted"]).unwrap();
        assert!(!format!("{:?}", cli.remote).contains("planted"));
    }
}
