//! `tocsin dead`: lists, shows, replays, edits, discards and exports dead letters.

mod decide;
mod edit;
mod filters;
mod list;
mod show;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tocsin::time::Timestamp;
use uuid::Uuid;

use self::decide::{Decision, LetterSelection};
use self::filters::{Filters, State};
use super::client::{Client, Remote};
use super::lists::{List, WatchArgs, limit};
use super::output::{print, print_json, stream};
use super::table::Terminal;

/// List, show, replay, edit and discard dead letters (jobs that failed for good)
#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    command: DeadCommand,
}

#[derive(Debug, Subcommand)]
enum DeadCommand {
    /// List dead letters, most recently failed first
    List {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        state: State,
        /// Maximum number of results
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        again: WatchArgs,
    },
    /// Show a dead letter: its payload, and each attempt with its error
    Show {
        /// Dead letter ID
        #[arg(value_parser = letter_id)]
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print only what was sent and rejected, as a body for the webhook
        #[arg(long, conflicts_with = "json")]
        sent: bool,
    },
    /// Replay jobs under their original IDs: nothing is counted twice, and alerts count at the time
    /// they were first received
    Replay {
        #[command(flatten)]
        which: LetterSelection,
        #[command(flatten)]
        by: OperatorArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Edit a job's payload in $VISUAL or $EDITOR, and replay it
    Edit {
        /// Dead letter ID
        #[arg(value_parser = letter_id)]
        id: Uuid,
        /// Read the payload from this file, or from standard input (-), instead of opening an editor
        #[arg(long, value_name = "FILE")]
        payload: Option<PathBuf>,
        #[command(flatten)]
        by: OperatorArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Discard dead letters; they stay listed with --state discarded
    Discard {
        #[command(flatten)]
        which: LetterSelection,
        #[command(flatten)]
        by: OperatorArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Export dead letters in full, as JSON lines
    Export {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        state: State,
    },
}

#[derive(Debug, Args)]
struct OperatorArgs {
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

impl DeadArgs {
    /// Sends the request, and prints the answer.
    ///
    /// # Errors
    /// The instance does not answer, has no such letter, or cannot do what is asked for.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            DeadCommand::List {
                filters,
                state,
                limit,
                json,
                again,
            } => {
                let query = [filters.query(), state.query()].concat();
                let list = List {
                    client: &client,
                    path: &["dead-letters"],
                    query: &query,
                    limit,
                    none: if query.is_empty() {
                        "No dead letters."
                    } else {
                        "No dead letters match."
                    },
                };
                let mixed = state.is_mixed();
                let render = |items: &[_], now, look| list::render(items, now, mixed, look);
                list.show(json, &again, render).await
            }
            DeadCommand::Show { id, json, sent } => show(&client, id, json, sent).await,
            DeadCommand::Replay { which, by, json } => {
                let name = by.name();
                which.decide(&client, Decision::Replay, name, json).await
            }
            DeadCommand::Discard { which, by, json } => {
                let name = by.name();
                which.decide(&client, Decision::Discard, name, json).await
            }
            DeadCommand::Edit {
                id,
                payload,
                by,
                json,
            } => edit::edit(&client, id, payload.as_deref(), by.name(), json).await,
            DeadCommand::Export { filters, state } => {
                let query = [filters.query(), state.query()].concat();
                let path = ["dead-letters", "export"];
                let answer = client.download(&path, &query).await?;
                stream(answer).await.context("the export was interrupted")
            }
        }
    }
}

fn letter_id(text: &str) -> Result<Uuid, &'static str> {
    let id = text.parse();
    id.map_err(|_| "not a dead letter's ID: see tocsin dead list")
}

impl OperatorArgs {
    fn name(self) -> Option<String> {
        self.operator.filter(|name| !name.is_empty())
    }
}

async fn show(client: &Client, id: Uuid, json: bool, sent: bool) -> anyhow::Result<()> {
    let letter = client.get(&["dead-letters", &id.to_string()], &[]).await?;
    if sent {
        let sent =
            show::sent(&letter).context("it holds nothing that was rejected when it came in")?;
        return print_json(&sent);
    }
    if json {
        return print_json(&letter);
    }
    print(&show::render(
        &letter,
        Timestamp::now(),
        Terminal::of_stdout(),
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests;
