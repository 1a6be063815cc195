//! `tocsin trace`: what became of an alert, as a story.

mod story;

use clap::Args;

use super::client::{Client, Remote};
use super::output::{print, print_json};

/// Tell what became of an alert: its deliveries, firings, incidents, messages, jobs and dead letters
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The alert's fingerprint; or an incident's id, or an anomaly's key
    name: String,
    /// The source whose fingerprint it is
    #[arg(long)]
    source: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl TraceArgs {
    /// Asks the instance and tells what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or knows nothing of it.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let query: Vec<_> = self
            .source
            .map(|source| ("source", source))
            .into_iter()
            .collect();
        let trace = client.get(&["trace", &self.name], &query).await?;
        if self.json {
            return print_json(&trace);
        }
        print(&story::tell(&trace))?;
        Ok(())
    }
}
