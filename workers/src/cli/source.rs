//! `tocsin source`: what sends alerts, and what would come out of what it sends.

mod list;
mod preview;

use std::io::Read as _;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use tocsin::config::Config;
use tocsin::time::Timestamp;

use super::client::{Client, Remote};
use super::lists::{List, WatchArgs, limit};
use super::output::{print, print_json};
use super::table::Terminal;
use preview::Preview;

/// List sources; try a mapping
#[derive(Debug, Args)]
pub struct SourceArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List sources: their addresses, and what they delivered in the last 24 hours
    List(ListArgs),
    /// Print what would come out of a body on the standard input, by the settings alone; exit with 1 if nothing could
    /// be used
    Try(Try),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

#[derive(Debug, Args)]
struct Try {
    /// Mapping in [sources.generic.NAME], or another source: alertmanager, grafana
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl SourceArgs {
    /// Asks the instance, or tries a body.
    ///
    /// # Errors
    /// The instance does not answer; the settings are refused or have no such source; or nothing could be used.
    pub async fn run(
        self,
        remote: Remote,
        config: impl Fn() -> Result<Config, tocsin::config::ConfigError>,
    ) -> anyhow::Result<()> {
        match self.command {
            Command::List(args) => args.run(&remote.found_by(config)?).await,
            Command::Try(args) => args.run(&config()?),
        }
    }
}

impl ListArgs {
    async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let sources = List {
            client: &client,
            path: &["sources"],
            query: &[],
            limit: self.limit,
            none: "No sources.",
        };
        sources.show(self.json, &self.again, list::render).await
    }
}

impl Try {
    fn run(self, config: &Config) -> anyhow::Result<()> {
        let mut body = Vec::new();
        let most = config.limits.body;
        let input = std::io::stdin().take(most as u64 + 1);
        let read = std::io::BufReader::new(input).read_to_end(&mut body);
        read.context("cannot read the standard input")?;
        if body.len() > most {
            bail!("the body is larger than limits.body = {most} bytes: it would be refused");
        }
        let preview = Preview::of(config, &self.name, body, Timestamp::now())?;
        if self.json {
            print_json(&preview.to_json())?;
        } else {
            print(&preview.render(Terminal::of_stdout()))?;
        }
        match preview.is_usable() {
            true => Ok(()),
            false => bail!("nothing of it can be used"),
        }
    }
}
