//! `tocsin playbooks set`, `import`, `restore` and `withdraw`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};
use tocsin::domain::playbook::{Playbook, read, read_all};

use super::super::client::Client;
use super::super::fields::{number, text};
use super::super::output::{print, print_json};

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The playbook's name
    #[arg(value_name = "NAME")]
    name: String,
    /// TOML file with the playbook: as in the settings, or without [[playbooks]]; - for the standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    with: WithArgs,
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// TOML file with [[playbooks]]; what else it has is passed over
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Operator name, recorded with the versions
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The playbook's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The version to restore
    #[arg(long, value_name = "N")]
    version: i64,
    #[command(flatten)]
    with: WithArgs,
}

#[derive(Debug, Args)]
pub(super) struct WithdrawArgs {
    /// The playbook's name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    with: WithArgs,
}

#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// The playbook's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Operator name, recorded with the decision
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What each change comes with.
#[derive(Debug, Args)]
pub(super) struct WithArgs {
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Refuse if the newest version is another one; 0: if there is one
    #[arg(long, value_name = "N")]
    expect: Option<i64>,
    /// Operator name, recorded with the version
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WithArgs {
    /// A request with these.
    fn body(&self, rest: &Value) -> Value {
        let mut body = rest.clone();
        body["why"] = json!(self.why);
        body["operator"] = json!(said(self.operator.as_ref()));
        body["expected_version"] = json!(self.expect);
        body
    }

    fn print(&self, answer: &Value, done: &str) -> anyhow::Result<()> {
        match self.json {
            true => print_json(answer),
            false => Ok(print(&outcome(answer, done))?),
        }
    }
}

fn said(operator: Option<&String>) -> Option<&String> {
    operator.filter(|name| !name.is_empty())
}

/// What became of it, in a line.
fn outcome(answer: &Value, done: &str) -> String {
    let (name, version) = (
        text(answer, "/name"),
        number(answer, "/version").unwrap_or_default(),
    );
    match answer["changed"].as_bool() {
        Some(true) => format!("{name} is {done}: version {version}."),
        _ => format!("{name} is so already: version {version}."),
    }
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).context("cannot read the standard input");
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn in_file(file: &Path) -> impl Fn(String) -> anyhow::Error + '_ {
    |why| anyhow::anyhow!("{}: {}", file.display(), why.trim_end())
}

impl SetArgs {
    /// Sets it and says which version it is.
    ///
    /// # Errors
    /// The file cannot be read; the instance does not answer, or refuses.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let playbook = read(&text_of(&self.file)?).map_err(in_file(&self.file))?;
        let body = self
            .with
            .body(&json!({"definition": playbook, "origin": "cli"}));
        let answer = client.put(&["playbooks", &self.name], &body).await?;
        self.with.print(&answer, "set")
    }
}

impl ImportArgs {
    /// Sets each, and says what became of it.
    ///
    /// # Errors
    /// The file cannot be read; the instance does not answer; or it refuses some.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let all = read_all(&text_of(&self.file)?).map_err(in_file(&self.file))?;
        ensure!(
            !all.is_empty(),
            "{}: there are no playbooks",
            self.file.display()
        );
        let mut refused = 0;
        for playbook in &all {
            match self.import(client, playbook).await {
                Ok(said) => print(&said)?,
                Err(error) => {
                    refused += 1;
                    eprintln!("{}: {error}", playbook.name);
                }
            }
        }
        ensure!(refused == 0, "{refused} of {} are not imported", all.len());
        Ok(())
    }

    async fn import(&self, client: &Client, playbook: &Playbook) -> anyhow::Result<String> {
        // What has no name has no address, either.
        playbook.check()?;
        let body = json!({
            "definition": playbook, "why": self.why, "origin": "imported",
            "operator": said(self.operator.as_ref()),
        });
        let answer = client.put(&["playbooks", &playbook.name], &body).await?;
        Ok(outcome(&answer, "imported"))
    }
}

impl RestoreArgs {
    /// Restores it and says which version it is.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such version.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let body = self.with.body(&json!({"version": self.version}));
        let path = ["playbooks", self.name.as_str(), "restore"];
        let answer = client.post(&path, Some(&body), None).await?;
        self.with.print(&answer, "restored")
    }
}

impl WithdrawArgs {
    /// Withdraws it and says so.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such playbook.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let body = self.with.body(&json!({"origin": "cli"}));
        let answer = client.delete(&["playbooks", &self.name], &body).await?;
        self.with.print(&answer, "withdrawn")
    }
}

impl DecideArgs {
    /// Accepts or rejects what is proposed now, and says so.
    ///
    /// # Errors
    /// The instance does not answer, nothing is proposed, or it was decided meanwhile.
    pub(super) async fn run(&self, client: &Client, decision: &str) -> anyhow::Result<()> {
        let found = client.get(&["playbooks", &self.name], &[]).await?;
        let id = found.pointer("/proposal/id").and_then(Value::as_str);
        let id = id.with_context(|| format!("nothing is proposed for {} now", self.name))?;
        let body = json!({"why": self.why, "operator": said(self.operator.as_ref())});
        let path = ["playbooks", self.name.as_str(), "proposals", id, decision];
        let answer = client.post(&path, Some(&body), None).await?;
        if self.json {
            return print_json(&answer);
        }
        let told = text(&found, "/proposal/said");
        print(&match decision {
            "accept" => format!("{} ({told})", outcome(&answer, "changed as proposed")),
            _ => format!("The change of {} is rejected ({told}).", self.name),
        })?;
        Ok(())
    }
}
