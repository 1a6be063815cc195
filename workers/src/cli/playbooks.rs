//! `tocsin playbooks`: what to do about alerts; versions, and how they differ.

mod change;
mod show;

use clap::{Args, Subcommand};
use serde_json::Value;
use tocsin::time::Timestamp;

use super::age;
use super::client::{Client, Remote};
use super::fields::{number, or_dash, text, time};
use super::lists::{List, WatchArgs, limit};
use super::table::{self, Terminal, cell};
use change::{DecideArgs, ImportArgs, RestoreArgs, SetArgs, WithdrawArgs};
use show::{DiffArgs, ShowArgs};

/// What it is for, why it changed and its actions give way.
const SHRINK: [(usize, u16); 3] = [(1, 14), (6, 10), (2, 16)];

/// List playbooks, show and change stored ones
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PlaybooksArgs {
    #[command(subcommand)]
    command: Option<PlaybooksCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum PlaybooksCommand {
    /// List playbooks by name
    List(ListArgs),
    /// Show a playbook with its versions
    Show(ShowArgs),
    /// Show what changed from one version to another
    Diff(DiffArgs),
    /// Set a stored playbook to what is in a TOML file
    Set(SetArgs),
    /// Set all playbooks of a TOML file, such as a settings file
    Import(ImportArgs),
    /// Restore a version of a stored playbook
    Restore(RestoreArgs),
    /// Withdraw a stored playbook; its versions stay
    Withdraw(WithdrawArgs),
    /// Accept the change that is proposed for a stored playbook
    Accept(DecideArgs),
    /// Reject the change that is proposed for a playbook
    Reject(DecideArgs),
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

impl PlaybooksArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or refuses; a file cannot be read.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            None => self.list.run(&client).await,
            Some(PlaybooksCommand::List(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Show(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Diff(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Set(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Import(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Restore(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Withdraw(args)) => args.run(&client).await,
            Some(PlaybooksCommand::Accept(args)) => args.run(&client, "accept").await,
            Some(PlaybooksCommand::Reject(args)) => args.run(&client, "reject").await,
        }
    }
}

impl ListArgs {
    async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let playbooks = List {
            client,
            path: &["playbooks"],
            query: &[],
            limit: self.limit,
            none: "No playbooks.",
        };
        playbooks.show(self.json, &self.again, render).await
    }
}

fn render(playbooks: &[Value], now: Timestamp, look: Terminal) -> String {
    let heads = ["NAME", "FOR", "ACTIONS", "KEPT IN", "CHANGED", "BY", "WHY"];
    let mut table = look.table(&heads);
    for one in playbooks {
        let changed = time(one, "/changed_at").map(|at| age::short(now.since(at)));
        table.add_row(table::line(vec![
            cell(&text(one, "/name")),
            cell(&conditions(one)),
            cell(&actions(one)),
            match text(one, "/state").as_str() {
                "withdrawn" => table::attention("withdrawn"),
                _ => cell(&place(one)),
            },
            cell(&or_dash(changed.unwrap_or_default())),
            cell(&or_dash(text(one, "/changed_by"))),
            cell(&or_dash(text(one, "/why"))),
        ]));
    }
    look.render(table, &SHRINK)
}

/// Where a playbook is kept.
fn place(one: &Value) -> String {
    let proposed = match one["proposal"].is_object() {
        true => ", change proposed",
        false => "",
    };
    match number(one, "/version") {
        Some(version) => format!("version {version}{proposed}"),
        None => text(one, "/source") + proposed,
    }
}

/// The texts of a list.
fn texts(one: &Value, pointer: &str) -> Vec<String> {
    let list = one.pointer(pointer).and_then(Value::as_array);
    let list = list.into_iter().flatten();
    list.filter_map(Value::as_str)
        .map(super::fields::plain)
        .collect()
}

/// Which alerts it is for.
fn conditions(one: &Value) -> String {
    let fields = ["alert_name", "service", "namespace", "error_type"];
    let given = fields.into_iter().filter_map(|field| {
        let list = texts(one, &format!("/definition/{field}"));
        (!list.is_empty()).then(|| format!("{field} {}", list.join(", ")))
    });
    let given: Vec<String> = given.collect();
    match given.is_empty() {
        true => "all alerts".to_owned(),
        false => given.join("; "),
    }
}

/// Its actions by tier.
fn actions(one: &Value) -> String {
    let tiers = (1..=4).filter_map(|tier| {
        let list = texts(one, &format!("/definition/tier_{tier}"));
        (!list.is_empty()).then(|| format!("{tier}: {}", list.join(", ")))
    });
    tiers.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn playbooks_are_listed_with_where_they_are_kept() {
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        let all = [
            json!({
                "name": "pods", "source": "stored", "state": "active", "version": 3,
                "definition": {"alert_name": ["KubePod*"], "tier_1": ["restart_pod"], "tier_2": ["rollback", "scale_up"]},
                "changed_at": "2026-11-22T21:25:29.102Z", "changed_by": "ann", "why": "held more",
            }),
            json!({
                "name": "all", "source": "settings", "state": "active", "version": null,
                "definition": {"tier_4": ["redesign"]}, "changed_at": null, "changed_by": null, "why": null,
            }),
        ];
        let look = Terminal {
            width: 130,
            colour: false,
        };
        let told = render(&all, now, look);
        for part in [
            "alert_name KubePod*",
            "1: restart_pod; 2: rollback, scale_up",
            "version 3",
            "3m",
            "ann",
            "held more",
            "all alerts",
            "settings",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
