//! `tocsin dead`: jobs that could not be done; looked at, replayed, edited, discarded, exported.

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

use self::decide::{Decision, Which};
use self::filters::{Filters, State};
use super::client::{Client, Remote};
use super::lists::{Again, List};
use super::output::{print, print_json, stream};
use super::table::Look;

/// Look at jobs that could not be done, and decide what becomes of them
#[derive(Debug, Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    command: DeadCommand,
}

#[derive(Debug, Subcommand)]
enum DeadCommand {
    /// List dead letters, newest death first
    List {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        state: State,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        again: Again,
    },
    /// Show one: its payload, and every attempt with its error
    Show {
        /// The letter's id
        id: Uuid,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print only what was sent and rejected, as a body for the webhook
        #[arg(long, conflicts_with = "json")]
        sent: bool,
    },
    /// Run jobs again, under their own ids: what was counted already counts nothing twice, and what
    /// was not counts when it was first received
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        by: By,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a job's payload in $VISUAL or $EDITOR, and run it with that
    Edit {
        /// The letter's id
        id: Uuid,
        /// Take the payload from this file instead, or from the standard input (-)
        #[arg(long, value_name = "FILE")]
        payload: Option<PathBuf>,
        #[command(flatten)]
        by: By,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let jobs stay dead; they are listed with --state discarded
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        by: By,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print dead letters whole, as lines of JSON
    Export {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        state: State,
    },
}

#[derive(Debug, Args)]
struct By {
    /// Who does it
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

impl DeadArgs {
    /// Asks the instance, or tells it.
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
                stream(answer).await.context("the export broke off")
            }
        }
    }
}

impl By {
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
    print(&show::render(&letter, Timestamp::now(), Look::of_stdout()))?;
    Ok(())
}

#[cfg(test)]
mod tests;
