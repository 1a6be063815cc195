//! `tocsin smoke`: a synthetic alert by each source, followed from link to link until its incident resolves.

mod chain;
mod junit;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use tocsin::config::{Secret, Span};

use super::client::{Client, Remote};
use super::fields::text;
use super::output::{print, print_json};
use super::token;
use chain::Chain;
use report::Report;

/// Sources that are asked for at most.
const SOURCES: usize = 200;
/// The shortest bound: less than a few round trips proves nothing.
const LEAST: Duration = Duration::from_millis(100);

/// Send a synthetic alert as each source does, and check each link of its way: ingress, queue, incident, tier, message,
/// resolve. It is not counted, its incident is not kept, and no message is sent unless --chat names a channel. Exit with 1
/// if a link fails or is late
#[derive(Debug, Args)]
pub struct SmokeArgs {
    /// Source to try, such as alertmanager or generic/backups; may be repeated; default: each that is on
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Channel to send the message to, such as telegram:-1001234567890; default: it is only rendered
    #[arg(long, value_name = "CHANNEL")]
    chat: Option<String>,
    /// How long each link may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = span)]
    within: Span,
    /// Write a JUnit report, for pipelines
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Operator name, for the audit entry
    #[arg(long, env = "USER", value_name = "NAME")]
    operator: Option<String>,
    /// Webhook token, if the instance needs one
    #[arg(
        long,
        env = "TOCSIN_WEBHOOK_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Instance"
    )]
    webhook_token: Option<Secret>,
}

impl SmokeArgs {
    /// Tries the sources, one after the other, and prints what came out.
    ///
    /// # Errors
    /// The instance does not answer, the report cannot be written, or a link failed or was late.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let token = token::of("TOCSIN_WEBHOOK_TOKEN", self.webhook_token.as_ref())?;
        let chain = Chain {
            client: &client,
            token: token.as_ref(),
            chat: self.chat.as_deref(),
            operator: self.operator.as_deref().filter(|name| !name.is_empty()),
            within: self.within.0,
        };
        let sources = match self.sources.is_empty() {
            true => enabled(&client).await?,
            false => self.sources.clone(),
        };
        let mut report = Report::new(client.instance(), self.within.0);
        for source in &sources {
            report.sources.push(chain.follow(source).await);
        }
        if let Some(file) = &self.junit {
            let written = std::fs::write(file, junit::xml(&report));
            written.with_context(|| format!("cannot write {}", file.display()))?;
        }
        if self.json {
            print_json(&report)?;
        } else {
            print(&report.to_string())?;
        }
        let failed = report.failed();
        ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
        Ok(())
    }
}

/// The sources that are on.
async fn enabled(client: &Client) -> anyhow::Result<Vec<String>> {
    let sources = client.list(&["sources"], &[], SOURCES).await?;
    let on = sources.iter().filter(|source| source["enabled"] == true);
    let names: Vec<String> = on.map(|source| text(source, "/name")).collect();
    ensure!(
        !names.is_empty(),
        "no source is on: see [sources] in the settings"
    );
    Ok(names)
}

/// A duration as the settings write it: 500ms, 10s, 2m.
fn span(text: &str) -> Result<Span, String> {
    let parsed: Result<Span, serde::de::value::Error> = Span::deserialize(text.into_deserializer());
    let parsed = parsed.map_err(|error| error.to_string())?;
    match parsed.0 >= LEAST {
        true => Ok(parsed),
        false => Err(format!("must be at least {LEAST:?}")),
    }
}

#[cfg(test)]
mod tests;
