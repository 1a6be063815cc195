//! `tocsin simulate`: a storm of made-up alerts, and whether each of them was counted once; or a described history, and
//! what is decided in it.

mod bar;
mod catalog;
mod delivery;
mod interrupt;
mod ledger;
mod pace;
mod payload;
mod report;
mod scenario;
mod settle;
mod stored;
mod storm;
mod tally;

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use tocsin::config::{Config, ConfigError, Secret, Span};
use tocsin::time::Timestamp;

use super::client::{Client, Remote};
use super::output::{print, print_json};
use super::token;
use delivery::Sender;
use report::{Report, Run};
use stored::Stored;
use storm::{Plan, Storm};

/// Send generated alerts to a running instance, and verify that each is counted once; or play a scenario
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Play the history in this file instead, without an instance: print what is decided at each step, and why. Nothing
    /// is sent
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "duration", "alerts", "anomalies", "batch", "resolve", "resend", "seed", "yes", "webhook_token"])]
    scenario: Option<PathBuf>,
    /// Alerts per second
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    rate: f64,
    /// Duration
    #[arg(long, default_value = "30s", value_parser = span)]
    duration: Span,
    /// Number of alerts, instead of a duration
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    alerts: Option<u64>,
    /// Number of anomalies; some fire far more often than others
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    anomalies: u32,
    /// Alerts per request
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Share of the firings that resolve later
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, value_parser = share)]
    resolve: f64,
    /// Share of the alerts that are sent twice
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    resend: f64,
    /// Random seed: the same seed generates the same alerts
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Allow a remote instance: it may send real notifications for these alerts
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
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

impl SimulateArgs {
    /// Plays the scenario, if there is one; else posts the storm. `config` reads the settings, with others over them.
    ///
    /// # Errors
    /// An alert is missing or counted twice; or the scenario cannot be played, or what it expects is not so.
    pub async fn run(
        self,
        remote: Remote,
        config: impl FnOnce(&toml::Table) -> Result<Config, ConfigError>,
    ) -> anyhow::Result<()> {
        if let Some(file) = &self.scenario {
            return Box::pin(scenario::run(file, config, self.json)).await;
        }
        let remote = remote.found_by(|| config(&toml::Table::new()))?;
        self.storm(&remote).await
    }

    /// Posts the storm, waits until it is processed, and prints what came out.
    ///
    /// # Errors
    /// The instance is on another computer and that was not confirmed, alerts were not accepted,
    /// or what it counted is not what was sent.
    async fn storm(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        ensure!(
            client.is_local() || self.yes,
            "{} is not on this computer: the generated alerts may send real notifications to the people \
             on call. To proceed, pass --yes",
            client.instance()
        );
        let run = Run {
            namespace: unused_namespace(&client).await?,
            seed: self.seed.unwrap_or_else(rand::random),
            instance: client.instance(),
        };
        let mut storm = Storm::new(self.plan(), &run.namespace, run.seed, Timestamp::now());
        let stop = interrupt::on_ctrl_c();
        let token = token::of("TOCSIN_WEBHOOK_TOKEN", self.webhook_token.as_ref())?;
        let sender = Sender::new(client.clone(), token, stop.clone());
        let tally = pace::post(&mut storm, &sender, &stop).await?;
        if tally.accepted == 0 {
            let why = tally.failure.as_deref().unwrap_or("no request was sent");
            bail!("no alert was accepted: {why}");
        }
        let settled = settle::wait(&client, &stop).await?;
        let found = Stored::read(&client, &run.namespace)
            .await
            .context("cannot get the results")?;
        let report = Report::new(run, &storm, &tally, &settled, &found);
        if self.json {
            print_json(&report)?;
        } else {
            print(&report.to_string())?;
        }
        ensure!(
            report.ok,
            "the counts do not match the alerts that were sent"
        );
        Ok(())
    }

    fn plan(&self) -> Plan {
        let by_time = (self.rate * self.duration.0.as_secs_f64()).round().max(1.0);
        Plan {
            // Bounded by the parsers; a cast of a float saturates.
            alerts: self.alerts.unwrap_or(by_time as u64),
            rate: self.rate,
            batch: self.batch as usize,
            anomalies: self.anomalies as usize,
            resolve: self.resolve,
            resend: self.resend,
        }
    }
}

/// A namespace that no alert was in: the storm's anomalies are new, and are found by it.
async fn unused_namespace(client: &Client) -> anyhow::Result<String> {
    for _ in 0..5 {
        let namespace = format!("sim-{:04x}", rand::random::<u16>());
        let query = [("namespace", namespace.clone())];
        if client.list(&["anomalies"], &query, 1).await?.is_empty() {
            return Ok(namespace);
        }
    }
    bail!(
        "{} has anomalies in every namespace that was tried: check that /api/v1/anomalies filters by \
         namespace",
        client.instance()
    )
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.01, 1_000_000.0)
}

fn share(text: &str) -> Result<f64, String> {
    number(text, 0.0, 1.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("not a number from {least} to {most}"))
}

/// A duration as the settings write it: 90s, 10m, 4h.
fn span(text: &str) -> Result<Span, String> {
    let parsed: Result<Span, serde::de::value::Error> = Span::deserialize(text.into_deserializer());
    parsed.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
