//! `tocsin repairs`: what was tried, newest first; and what each action was worth.

mod allow;
mod worth;

use clap::{Args, Subcommand};
use serde_json::Value;
use tocsin::time::Timestamp;

use super::age;
use super::client::{Client, Remote};
use super::fields::{number, or_dash, text, time};
use super::lists::{List, WatchArgs, limit};
use super::table::{self, Terminal, cell, dim, figure};
use super::which;
use allow::AllowArgs;
use worth::WorthArgs;
pub(super) use worth::sentences;

/// Note, who did it and action give way.
const SHRINK: [(usize, u16); 3] = [(7, 10), (4, 8), (1, 14)];

/// List repairs, newest first, and how effective each action is
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RepairsArgs {
    #[command(subcommand)]
    command: Option<RepairsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum RepairsCommand {
    /// List actions by how often they were tried, with their success rates
    Actions(Shown),
    /// Show how often each action held, beside what happens with nothing done
    Effectiveness(WorthArgs),
    /// Allow an action again that is stopped because it did not hold several times in a row
    Allow(AllowArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only repairs of this anomaly: its key, or the ID or short ID of an incident
    /// of it
    #[arg(long, value_name = "KEY")]
    anomaly: Option<String>,
    /// Only this action, for example restart_pod
    #[arg(long)]
    action: Option<String>,
    /// Only repairs that helped (true), or did not (false), by the report
    #[arg(long, value_name = "BOOL")]
    success: Option<bool>,
    /// Only repairs with this verdict: verified, disproved, superseded or unknown
    #[arg(long, value_name = "VERDICT")]
    verdict: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Args)]
struct Shown {
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

impl RepairsArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or refuses the token.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        if let Some(RepairsCommand::Effectiveness(args)) = &self.command {
            return args.run(&client).await;
        }
        if let Some(RepairsCommand::Allow(args)) = self.command {
            return args.run(&client).await;
        }
        if let Some(RepairsCommand::Actions(shown)) = self.command {
            let actions = List {
                client: &client,
                path: &["repairs", "actions"],
                query: &[],
                limit: shown.limit,
                none: "No repairs yet.",
            };
            return actions.show(shown.json, &shown.again, render_actions).await;
        }
        let anomaly = match &self.list.anomaly {
            Some(name) => Some(which::anomaly(&client, name).await?),
            None => None,
        };
        let query = self.list.query(anomaly);
        let repairs = List {
            client: &client,
            path: &["repairs"],
            query: &query,
            limit: self.list.shown.limit,
            none: if query.is_empty() {
                "No repairs yet."
            } else {
                "No repairs match."
            },
        };
        let shown = &self.list.shown;
        repairs.show(shown.json, &shown.again, render).await
    }
}

impl ListArgs {
    fn query(&self, anomaly: Option<String>) -> Vec<(&'static str, String)> {
        let success = self.success.map(|success| success.to_string());
        [
            ("anomaly", anomaly),
            ("action", self.action.clone()),
            ("success", success),
            ("verdict", self.verdict.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

fn render(repairs: &[Value], now: Timestamp, look: Terminal) -> String {
    let heads = [
        "AGE", "ACTION", "HELPED", "VERDICT", "BY", "TOOK", "INCIDENT", "NOTE",
    ];
    let mut table = look.table(&heads);
    table::align_right(&mut table, [5]);
    for repair in repairs {
        let age = time(repair, "/repaired_at").map(|at| age::short(now.since(at)));
        let took = number(repair, "/duration_ms");
        let took = took.map(|ms| format!("{:.1} s", ms as f64 / 1000.0));
        table.add_row(table::line(vec![
            cell(&or_dash(age.unwrap_or_default())),
            cell(&text(repair, "/action")),
            match repair["success"].as_bool() {
                Some(true) => cell("yes"),
                Some(false) => table::attention("no"),
                None => cell(&or_dash(text(repair, "/state"))),
            },
            match text(repair, "/verdict").as_str() {
                "disproved" => table::attention("disproved"),
                verdict => cell(&or_dash(verdict.to_owned())),
            },
            cell(&or_dash(text(repair, "/operator"))),
            cell(&or_dash(took.unwrap_or_default())),
            dim(&text(repair, "/incident_id")),
            cell(&or_dash(text(repair, "/note"))),
        ]));
    }
    look.render(table, &SHRINK)
}

fn render_actions(actions: &[Value], now: Timestamp, look: Terminal) -> String {
    let heads = ["ACTION", "TRIED", "HELPED", "RATE", "ANOMALIES", "LAST"];
    let mut table = look.table(&heads);
    table::align_right(&mut table, [1, 2, 3, 4]);
    for action in actions {
        let count = |pointer| number(action, pointer);
        let rate = match (count("/attempts"), count("/successes")) {
            (Some(tried @ 1..), Some(helped)) => format!("{} %", helped * 100 / tried),
            _ => String::new(),
        };
        let last = time(action, "/last_at").map(|at| age::short(now.since(at)));
        table.add_row(table::line(vec![
            cell(&text(action, "/action")),
            figure(count("/attempts")),
            figure(count("/successes")),
            cell(&or_dash(rate)),
            figure(count("/anomalies")),
            cell(&or_dash(last.unwrap_or_default())),
        ]));
    }
    look.render(table, &[(0, 16)])
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: RepairsArgs,
    }

    fn parse(words: &[&str]) -> Result<RepairsArgs, String> {
        let parsed = Cli::try_parse_from(["repairs"].iter().chain(words));
        parsed
            .map(|cli| cli.args)
            .map_err(|error| error.to_string())
    }

    const LOOK: Terminal = Terminal {
        width: 100,
        colour: false,
    };

    #[test]
    fn filters_become_the_query_as_the_api_spells_it() {
        let list = parse(&["--action", "restart_pod", "--success", "false"]).unwrap();
        let expected = [
            ("action", "restart_pod".to_owned()),
            ("success", "false".to_owned()),
        ];
        assert_eq!(list.list.query(list.list.anomaly.clone()), expected);
        assert!(parse(&["actions", "--json"]).unwrap().command.is_some());
        for words in [
            &["--success", "maybe"][..],
            &["--watch", "--json"],
            &["--json", "actions"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn repairs_are_shown_with_their_outcomes() {
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        let repair = json!({
            "incident_id": "019aad2e-6d5e-7000-8000-00000000000a", "action": "restart_pod",
            "success": false, "verdict": "disproved", "operator": "ann", "note": "by the book", "duration_ms": 1874,
            "repaired_at": "2026-11-22T21:25:29.102Z",
        });
        let table = render(&[repair], now, LOOK);
        for part in [
            "3m",
            "restart_pod",
            "no",
            "disproved",
            "ann",
            "1.9 s",
            "00000000000a",
            "by the book",
        ] {
            assert!(table.contains(part), "{part}: {table}");
        }
        let action = json!({
            "action": "restart_pod", "attempts": 3, "successes": 1, "anomalies": 2,
            "last_at": "2026-11-22T21:25:29.102Z",
        });
        let table = render_actions(&[action], now, LOOK);
        for part in ["restart_pod", "3", "1", "33 %", "2", "3m"] {
            assert!(table.contains(part), "{part}: {table}");
        }
    }
}
