//! Resolving one incident, or all that match.

use anyhow::ensure;
use clap::Args;
use serde_json::{Value, json};

use super::super::age;
use super::super::client::Client;
use super::super::confirm::is_wanted;
use super::super::fields::number;
use super::super::many::Many;
use super::super::output::{print, print_json};
use super::super::which::IncidentArg;
use super::{LEVELS, OperationArgs};

/// Which incidents.
#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// Incident ID or short ID (the last 8 characters); or use filters
    id: Option<IncidentArg>,
    /// All unresolved incidents with this status; OPEN includes ANALYZING
    #[arg(long, ignore_case = true, value_parser = ["OPEN", "ANALYZING", "ACKNOWLEDGED"])]
    status: Option<String>,
    /// All unresolved incidents at this level
    #[arg(long, ignore_case = true, value_parser = LEVELS)]
    level: Option<String>,
    /// All unresolved incidents of this service
    #[arg(long)]
    service: Option<String>,
    /// All unresolved incidents in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// All stale incidents: no longer sent by their source
    #[arg(long)]
    unheard: bool,
    /// All unresolved incidents with this text in title, alert name, service, namespace or error type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// All unresolved incidents that opened longer ago than this, for example 7d
    #[arg(long, value_name = "AGE", value_parser = age::given)]
    older_than: Option<String>,
    /// All unresolved incidents
    #[arg(long)]
    all: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

impl ResolveArgs {
    pub(super) async fn run(self, client: &Client, json: bool) -> anyhow::Result<()> {
        let which = self.which();
        if let Some(id) = self.id {
            ensure!(
                which.is_empty() && !self.all,
                "give an ID or filters, not both"
            );
            let args = OperationArgs {
                id,
                operator: self.operator,
            };
            return args.send(client, "resolve", json).await;
        }
        ensure!(
            self.all || !which.is_empty(),
            "nothing selected: give an ID (see tocsin incidents), a filter such as --service checkout, or --all"
        );
        let named: Vec<&str> = which.keys().map(String::as_str).collect();
        ensure!(
            !self.all || named.is_empty(),
            "--all selects every unresolved incident, --{} only some: give one or the other",
            named.join(", --").replace('_', "-")
        );
        let mut body = Value::Object(which);
        body["operator"] = self.operator.into();
        body["all"] = self.all.into();
        resolve_many(client, body, self.yes, json).await
    }

    /// As the API spells it.
    fn which(&self) -> serde_json::Map<String, Value> {
        let upper = |text: &Option<String>| text.as_deref().map(|text| text.to_uppercase().into());
        let text = |text: &Option<String>| text.clone().map(Value::from);
        [
            ("status", upper(&self.status)),
            ("level", upper(&self.level)),
            ("service", text(&self.service)),
            ("namespace", text(&self.namespace)),
            ("unheard", self.unheard.then_some(Value::Bool(true))),
            ("q", text(&self.q)),
            ("older_than", text(&self.older_than)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

async fn resolve_many(client: &Client, body: Value, yes: bool, json: bool) -> anyhow::Result<()> {
    let many = Many {
        client,
        path: &["incidents", "resolve"],
        body,
    };
    let found = many.find().await?;
    let (matching, mut changed) = (found.matching, 0);
    if matching == 0 {
        eprintln!("No unresolved incidents match.");
    } else if !yes && !is_wanted("resolve", &incidents(matching))? {
        eprintln!("Nothing was resolved.");
        return Ok(());
    } else {
        let note = |done: &Value| {
            changed += number(done, "/changed").unwrap_or_default();
            format!("{} resolved", incidents(changed))
        };
        many.finish(found, note).await?;
    }
    if json {
        return print_json(&json!({"changed": changed}));
    }
    if matching > 0 {
        print(&format!("{} resolved.", incidents(changed)))?;
    }
    Ok(())
}

fn incidents(n: i64) -> String {
    match n {
        1 => "1 incident".to_owned(),
        n => format!("{n} incidents"),
    }
}
