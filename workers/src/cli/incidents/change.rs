//! Acknowledging, resolving, muting and noting incidents: one, several, or all that match.

use anyhow::{bail, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::super::age;
use super::super::client::Client;
use super::super::confirm::is_wanted;
use super::super::fields::{number, text};
use super::super::output::{print, print_json};
use super::super::which::{IncidentArg, short_id};
use super::{LEVELS, done};

/// The most incidents of one request.
const AT_ONCE: usize = 1_000;

/// Which incidents, and who changes them.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Incident IDs or short IDs (the last 8 characters); or use filters
    ids: Vec<IncidentArg>,
    /// All unresolved incidents with this status; OPEN includes ANALYZING
    #[arg(long, ignore_case = true, value_parser = ["OPEN", "ANALYZING", "ACKNOWLEDGED"])]
    status: Option<String>,
    /// All unresolved incidents at this level
    #[arg(long, ignore_case = true, value_parser = LEVELS)]
    level: Option<String>,
    /// All unresolved incidents of this severity, in whatever word for it
    #[arg(long)]
    severity: Option<String>,
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
    /// Note about each incident
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

/// Which incidents, and how long their anomalies are muted.
#[derive(Debug, Args)]
pub(super) struct MuteArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Duration, for example 30m, 4h or 3d; at most 30d
    #[arg(long, value_name = "SPAN", required_unless_present = "until")]
    r#for: Option<String>,
    /// End time, for example 2026-01-31T18:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "for")]
    until: Option<String>,
}

/// What is done, as the API spells it, and as it is said afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Acknowledge,
    Resolve,
    Mute,
    Note,
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Mute => "mute",
            Self::Note => "note",
        }
    }

    const fn past(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Resolve => "resolved",
            Self::Mute => "muted",
            Self::Note => "noted",
        }
    }
}

impl MuteArgs {
    pub(super) async fn run(self, client: &Client, json: bool) -> anyhow::Result<()> {
        let ends = json!({"for": self.r#for, "until": self.until});
        self.change.send(client, Verb::Mute, &ends, json).await
    }
}

impl ChangeArgs {
    pub(super) async fn run(self, client: &Client, verb: Verb, json: bool) -> anyhow::Result<()> {
        let has_note = self
            .note
            .as_deref()
            .is_some_and(|note| !note.trim().is_empty());
        ensure!(verb != Verb::Note || has_note, "give the note: --note TEXT");
        self.send(client, verb, &json!({}), json).await
    }

    async fn send(
        self,
        client: &Client,
        verb: Verb,
        more: &Value,
        json: bool,
    ) -> anyhow::Result<()> {
        let which = self.which();
        let mut body = json!({"action": verb.name(), "operator": self.operator, "note": self.note});
        let more = more.as_object().into_iter().flatten();
        for (name, value) in more.filter(|(_, value)| !value.is_null()) {
            body[name] = value.clone();
        }
        if !self.ids.is_empty() {
            ensure!(
                which.is_empty() && !self.all,
                "give an ID or filters, not both"
            );
            let mut ids = Vec::with_capacity(self.ids.len());
            for id in &self.ids {
                ids.push(id.id(client).await?);
            }
            return match (&ids[..], verb) {
                ([id], Verb::Acknowledge | Verb::Resolve) => {
                    one(client, verb, *id, &body, json).await
                }
                _ => these(client, verb, &ids, body, json).await,
            };
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
        body["all"] = self.all.into();
        for (name, value) in which {
            body[name] = value;
        }
        matching(client, verb, body, self.yes, json).await
    }

    /// As the API spells it.
    fn which(&self) -> Map<String, Value> {
        let upper = |text: &Option<String>| text.as_deref().map(|text| text.to_uppercase().into());
        let text = |text: &Option<String>| text.clone().map(Value::from);
        [
            ("status", upper(&self.status)),
            ("level", upper(&self.level)),
            ("severity", text(&self.severity)),
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

/// One incident.
async fn one(
    client: &Client,
    verb: Verb,
    id: Uuid,
    asked: &Value,
    json: bool,
) -> anyhow::Result<()> {
    let id = id.to_string();
    let body = json!({"operator": asked["operator"], "note": asked["note"]});
    let path = ["incidents", id.as_str(), verb.name()];
    let done = client.post(&path, Some(&body), None).await;
    if let Err(error) = &done
        && error.is_already_resolved()
        && let Ok(incident) = client.get(&path[..2], &[]).await
    {
        bail!("{error}: {}", done::standing(&incident, Timestamp::now()));
    }
    let incident = done?;
    if json {
        return print_json(&incident);
    }
    print(&done::outcome(&incident, Timestamp::now()))?;
    Ok(())
}

/// Several that are named.
async fn these(
    client: &Client,
    verb: Verb,
    ids: &[Uuid],
    mut body: Value,
    json: bool,
) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        body["ids"] = json!(some);
        let mut done = client
            .post(&["incidents", "bulk"], Some(&body), None)
            .await?;
        results.append(done["results"].as_array_mut().unwrap_or(&mut Vec::new()));
    }
    say(verb, &results, json)
}

/// All that match, after a person has said so.
async fn matching(
    client: &Client,
    verb: Verb,
    mut body: Value,
    yes: bool,
    json: bool,
) -> anyhow::Result<()> {
    let path = ["incidents", "bulk"];
    let mut asking = body.clone();
    asking["dry_run"] = true.into();
    let found = client.post(&path, Some(&asking), None).await?;
    let count = number(&found, "/matching").unwrap_or_default();
    if count == 0 {
        eprintln!("No unresolved incidents match.");
        return match json {
            true => say(verb, &[], json),
            false => Ok(()),
        };
    }
    if !yes && !is_wanted(verb.name(), &incidents(count))? {
        eprintln!("Nothing was {}.", verb.past());
        return Ok(());
    }
    body["as_of"] = found["as_of"].clone();
    let mut results = Vec::new();
    loop {
        let mut done = client.post(&path, Some(&body), None).await?;
        results.append(done["results"].as_array_mut().unwrap_or(&mut Vec::new()));
        if done["next_cursor"].is_null() {
            return say(verb, &results, json);
        }
        body["cursor"] = done["next_cursor"].take();
        eprintln!("{} so far, going on …", results.len());
    }
}

/// What came of it: one line for each that was refused, and the sum.
fn say(verb: Verb, results: &[Value], json: bool) -> anyhow::Result<()> {
    let of = |result: &'static str| results.iter().filter(move |item| item["result"] == result);
    let changed = i64::try_from(of("changed").count()).unwrap_or(i64::MAX);
    let refused: Vec<String> = of("refused")
        .chain(of("failed"))
        .map(|item| format!("{}: {}", short_id(item), text(item, "/detail")))
        .collect();
    if json {
        print_json(&json!({"changed": changed, "results": results}))?;
    } else {
        let unchanged = match of("unchanged").count() {
            0 => String::new(),
            n => format!(
                " {} already {}.",
                incidents(i64::try_from(n).unwrap_or(i64::MAX)),
                verb.past()
            ),
        };
        print(&format!(
            "{} {}.{unchanged}",
            incidents(changed),
            verb.past()
        ))?;
    }
    ensure!(
        refused.is_empty(),
        "{} refused:\n  {}",
        incidents(i64::try_from(refused.len()).unwrap_or(i64::MAX)),
        refused.join("\n  ")
    );
    Ok(())
}

fn incidents(n: i64) -> String {
    match n {
        1 => "1 incident".to_owned(),
        n => format!("{n} incidents"),
    }
}
