//! `tocsin queues`: how full they are, and stopping and starting what works on them.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Row;
use serde_json::Value;

use super::age;
use super::client::{Client, Remote};
use super::fields::{number, or_dash, text};
use super::output::{print, print_json};
use super::table::{self, Look, cell, dim, figure};

/// Look at the queues, pause and resume them
#[derive(Debug, Args)]
pub struct QueuesArgs {
    #[command(subcommand)]
    command: QueuesCommand,
}

#[derive(Debug, Subcommand)]
enum QueuesCommand {
    /// How many jobs each queue holds, how old the oldest is, and who works on it
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop working on a queue: jobs are still accepted, and wait
    Pause {
        /// The queue, for instance notify
        name: String,
    },
    /// Work on a queue again
    Resume {
        /// The queue, for instance notify
        name: String,
    },
}

impl QueuesArgs {
    /// Asks the instance, or tells it.
    ///
    /// # Errors
    /// The instance does not answer, or has no such queue.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            QueuesCommand::List { json } => list(&client, json).await?,
            QueuesCommand::Pause { name } => {
                client.post(&["queues", &name, "pause"], None, None).await?;
                print(&format!(
                    "{name} is paused: its jobs wait. Go on with: tocsin queues resume {name}"
                ))?;
            }
            QueuesCommand::Resume { name } => {
                client
                    .post(&["queues", &name, "resume"], None, None)
                    .await?;
                print(&format!("{name} is worked on again."))?;
            }
        }
        Ok(())
    }
}

async fn list(client: &Client, json: bool) -> anyhow::Result<()> {
    let items = client.whole(&["queues"]).await?;
    if json {
        return print_json(&items);
    }
    if items.is_empty() {
        eprintln!("No queues.");
        return Ok(());
    }
    print(&render(&items, Look::of_stdout()))?;
    Ok(())
}

fn render(queues: &[Value], look: Look) -> String {
    let mut table = look.table(&[
        "QUEUE",
        "READY",
        "DELAYED",
        "IN FLIGHT",
        "DEAD",
        "OLDEST",
        "WORKERS",
        "STATE",
    ]);
    table::align_right(&mut table, [1, 2, 3, 4, 6]);
    for queue in queues {
        table.add_row(row(queue));
    }
    look.render(table, &[])
}

fn row(queue: &Value) -> Row {
    let oldest = number(queue, "/oldest_age_ms").and_then(|ms| u64::try_from(ms).ok());
    let oldest = oldest.map(|ms| age::short(Duration::from_millis(ms)));
    let is_paused = queue["paused"].as_bool().unwrap_or_default();
    table::line(vec![
        cell(&text(queue, "/name")),
        figure(number(queue, "/ready")),
        figure(number(queue, "/delayed")),
        figure(number(queue, "/in_flight")),
        figure(number(queue, "/dead")),
        cell(&or_dash(oldest.unwrap_or_default())),
        figure(number(queue, "/workers")),
        if is_paused {
            table::attention("paused")
        } else {
            dim("running")
        },
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queues_are_told_with_what_is_wrong_with_them() {
        let queues = [
            json!({
                "name": "ingest", "ready": 120_500, "delayed": 0, "in_flight": 2000, "dead": 0,
                "oldest_age_ms": 61_000, "workers": 2, "paused": false,
            }),
            json!({
                "name": "notify", "ready": 3, "delayed": 1, "in_flight": 0, "dead": 4,
                "oldest_age_ms": null, "workers": 1, "paused": true, "new": "field",
            }),
        ];
        let look = Look {
            width: 100,
            colour: false,
        };
        insta::assert_snapshot!(render(&queues, look), @"
        QUEUE    READY  DELAYED  IN FLIGHT  DEAD  OLDEST  WORKERS  STATE
        ──────────────────────────────────────────────────────────────────
        ingest  120500        0       2000     0  1m            2  running
        notify       3        1          0     4  -             1  paused
        ");
    }
}
