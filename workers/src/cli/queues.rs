//! `tocsin queues`: how full they are and who works on them; stopping and starting that.

mod list;
mod processes;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tocsin::text::EN;
use tocsin::text::words::paused_effect;

use super::client::{Client, Remote};
use super::lists::{List, WatchArgs};
use super::output::{print, print_json};

/// List queues and their workers; pause and resume queues
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct QueuesArgs {
    #[command(subcommand)]
    command: Option<QueuesCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum QueuesCommand {
    /// List queues: jobs, lag and workers
    List(ListArgs),
    /// Pause a queue: new jobs are accepted, but wait
    Pause(PauseArgs),
    /// Resume a queue
    Resume(PauseArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

/// There are few queues, and all are asked for.
const ALL: usize = 200;

#[derive(Debug, Args)]
struct PauseArgs {
    /// Queue name, for example notify
    name: String,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl QueuesArgs {
    /// Sends the request, and prints the answer.
    ///
    /// # Errors
    /// The instance does not answer, or has no such queue; or there is no terminal to watch it on.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            None => self.list.run(&client).await,
            Some(QueuesCommand::List(list)) => list.run(&client).await,
            Some(QueuesCommand::Pause(queue)) => {
                let view = queue.send(&client, "pause").await?;
                if queue.json {
                    return print_json(&view);
                }
                let name = queue.name;
                print(&format!(
                    "{name} is paused: {} To resume: tocsin queues resume {name}",
                    paused_effect(&EN, &name)
                ))?;
                Ok(())
            }
            Some(QueuesCommand::Resume(queue)) => {
                let view = queue.send(&client, "resume").await?;
                if queue.json {
                    return print_json(&view);
                }
                print(&format!("{} is resumed.", queue.name))?;
                Ok(())
            }
        }
    }
}

impl ListArgs {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let queues = List {
            client,
            path: &["queues"],
            query: &[],
            limit: ALL,
            none: "No queues.",
        };
        queues.show(self.json, &self.again, list::render).await
    }
}

impl PauseArgs {
    /// Returns the queue as it is then.
    async fn send(&self, client: &Client, what: &str) -> anyhow::Result<Value> {
        let operator = self.operator.as_deref().unwrap_or_default();
        let body = json!({"operator": operator});
        let path = ["queues", self.name.as_str(), what];
        Ok(client.post(&path, Some(&body), None).await?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        queues: QueuesArgs,
    }

    fn parse(words: &[&str]) -> Result<QueuesArgs, String> {
        let words = ["queues"].iter().chain(words);
        let parsed = Cli::try_parse_from(words).map_err(|error| error.to_string());
        parsed.map(|cli| cli.queues)
    }

    #[test]
    fn the_list_is_what_queues_alone_means() {
        assert!(parse(&[]).unwrap().command.is_none());
        assert!(parse(&["--json"]).unwrap().list.json);
        assert_eq!(parse(&["--watch"]).unwrap().list.again.watch, Some(2));
        assert_eq!(parse(&["--watch", "5"]).unwrap().list.again.watch, Some(5));
        let command = parse(&["pause", "notify", "--json"]).unwrap().command;
        assert!(matches!(command, Some(QueuesCommand::Pause(pause)) if pause.json));
        let list = parse(&["list", "--json"]).unwrap().command;
        assert!(matches!(list, Some(QueuesCommand::List(list)) if list.json));
    }

    #[test]
    fn conflicting_arguments_are_refused() {
        for words in [
            &["--watch", "0"][..],
            &["--watch", "--json"],
            &["--json", "pause", "notify"],
            &["pause"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
