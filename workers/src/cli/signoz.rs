//! `tocsin signoz`: the notification channel and the rules that SigNoz needs for Tocsin.

mod channel;
mod difference;
mod report;
mod rules;
mod server;

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand};
use reqwest::Url;
use tocsin::config::{Config, ConfigError, Secret};

use super::output::print;
use super::token;
use channel::Channel;
use report::{Report, Step};
use server::Server;

/// Where the ingress takes SigNoz's webhook.
const SOURCE: &str = "/api/v1/signoz";

/// Set up SigNoz: its notification channel and rules
#[derive(Debug, Args)]
pub struct SignozArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create or update the notification channel and the rules. What is the same is left, what is not Tocsin's is not
    /// touched. The key is SIGNOZ_API_KEY, or in the file that SIGNOZ_API_KEY_FILE names
    Apply(ApplyArgs),
}

#[derive(Debug, Args)]
struct ApplyArgs {
    /// URL of SigNoz (0.142 or newer)
    #[arg(long, env = "SIGNOZ_URL")]
    url: String,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// URL to which SigNoz sends alerts; default: public_url of the settings, and /api/v1/signoz
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Name of the notification channel
    #[arg(long, value_name = "NAME", default_value = "tocsin", value_parser = channel::name)]
    channel: String,
    /// Folder with rules (*.json) to apply instead of those that are shipped
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
    /// Take over rules of the same names that were made without this command
    #[arg(long)]
    adopt: bool,
    /// Webhook token, if the instance needs one: SigNoz presents it
    #[arg(
        long,
        env = "TOCSIN_WEBHOOK_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    webhook_token: Option<Secret>,
}

impl SignozArgs {
    /// Compares SigNoz with what it should have, and changes it unless it is a dry run.
    ///
    /// # Errors
    /// The settings or the rules cannot be read, SigNoz does not answer or refuses something, or the name of the
    /// channel is another channel's.
    pub async fn run(
        self,
        config: impl FnOnce() -> Result<Config, ConfigError>,
    ) -> anyhow::Result<()> {
        let Command::Apply(args) = self.command;
        args.run(config).await
    }
}

impl ApplyArgs {
    async fn run(self, config: impl FnOnce() -> Result<Config, ConfigError>) -> anyhow::Result<()> {
        // No option: what a command is given is visible to everybody on the computer.
        let environment = std::env::var("SIGNOZ_API_KEY").ok();
        let environment = environment.map(|key| Secret::from(key.as_str()));
        let key = token::of("SIGNOZ_API_KEY", environment.as_ref())?;
        let key = key.context(
            "no key: set SIGNOZ_API_KEY, or SIGNOZ_API_KEY_FILE to a file with the key, of a service account in SigNoz",
        )?;
        let token = token::of("TOCSIN_WEBHOOK_TOKEN", self.webhook_token.as_ref())?;
        let url = match &self.webhook {
            Some(url) => url.clone(),
            None => ingress(config)?,
        };
        let wanted = Channel {
            name: &self.channel,
            url: webhook(&url)?,
            token: token.as_ref(),
        };
        let rules = rules::read(self.rules.as_deref(), &self.channel)?;
        let server = Server::new(&self.url, key, token.clone())?;

        let mut report = Report::new(self.dry_run);
        let step = wanted.plan(&server).await?;
        if let Step::Foreign(why) = &step.step
            && !self.dry_run
        {
            return Err(anyhow!(
                "{why}: rename it in SigNoz, or pass --channel with another name"
            ));
        }
        apply(&server, step, &mut report).await?;
        let there = server.rules().await?;
        for rule in &rules {
            let step = rules::plan(&server, rule, &there, self.adopt).await?;
            apply(&server, step, &mut report).await?;
        }
        print(&report.summary())?;
        Ok(())
    }
}

/// Does one step, unless it is a dry run, and prints it.
async fn apply(
    server: &Server,
    planned: report::Planned,
    report: &mut Report,
) -> anyhow::Result<()> {
    if !report.dry_run {
        match &planned.step {
            Step::Create(request) | Step::Update(request) => server.send(request).await?,
            Step::Same | Step::Foreign(_) => {}
        }
    }
    print(&report.add(&planned))?;
    Ok(())
}

/// The address of the source below `public_url`.
fn ingress(config: impl FnOnce() -> Result<Config, ConfigError>) -> anyhow::Result<String> {
    let config = config().context("cannot read the settings for public_url; pass --webhook")?;
    let base = config.public_url.context(
        "SigNoz must know where Tocsin is: pass --webhook http://HOST:9099/api/v1/signoz, or set public_url",
    )?;
    Ok(format!("{}{SOURCE}", base.trim_end_matches('/')))
}

fn webhook(url: &str) -> anyhow::Result<String> {
    let parsed = Url::parse(url).with_context(|| format!("--webhook {url:?} is not a URL"))?;
    ensure!(
        matches!(parsed.scheme(), "http" | "https") && is_source(url),
        "--webhook {url:?} must be http:// or https:// and contain {SOURCE}"
    );
    Ok(parsed.to_string())
}

/// Whether this is the address of a SigNoz source of a Tocsin.
fn is_source(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.path().contains(SOURCE))
}

#[cfg(test)]
mod tests;
