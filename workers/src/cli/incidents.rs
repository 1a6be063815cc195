//! `tocsin incidents`: the list, one incident, and what is done about it.

mod background;
mod done;
mod list;
pub(super) mod occurrences;
mod resolve;
mod show;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tocsin::domain::id::IncidentRef;
use tocsin::time::Timestamp;

use super::client::{Client, Remote};
use super::fields::text;
use super::lists::{List, WatchArgs, limit};
use super::output::{print, print_json};
use super::paused;
use super::which::IncidentArg;

const RESOLVED_BY: [&str; 3] = ["itself", "person", "unseen"];
const STATUSES: [&str; 4] = ["OPEN", "ANALYZING", "ACKNOWLEDGED", "RESOLVED"];
const SORTS: [&str; 6] = ["worst", "level", "newest", "oldest", "often", "fired"];
pub(super) const LEVELS: [&str; 4] = ["NONE", "REPEAT", "ESCALATE", "PERMANENT_FIX"];

/// List unresolved incidents, worst first; show, acknowledge, analyze or resolve incidents
#[derive(Debug, Args)]
pub struct IncidentsArgs {
    #[command(subcommand)]
    command: Option<IncidentsCommand>,
    #[command(flatten)]
    filters: Filters,
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

#[derive(Debug, Subcommand)]
enum IncidentsCommand {
    /// Show one incident: level and tier with their reasons, repairs, latest firings
    Show {
        /// Incident ID or short ID (the last 8 characters)
        id: IncidentArg,
    },
    /// List firings of one incident, newest first
    Occurrences {
        /// Incident ID or short ID (the last 8 characters)
        id: IncidentArg,
        /// Maximum number of results
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
        limit: usize,
        #[command(flatten)]
        again: WatchArgs,
    },
    /// Acknowledge an incident
    Acknowledge(OperationArgs),
    /// Analyze an incident again: how often and when it happens, and what happens with it
    Analyze(OperationArgs),
    /// Resolve an incident, or all that match filters
    Resolve(resolve::ResolveArgs),
}

#[derive(Debug, Args)]
struct OperationArgs {
    /// Incident ID or short ID (the last 8 characters)
    id: IncidentArg,
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

#[derive(Debug, Args)]
struct Filters {
    /// Incidents of every status, resolved ones too
    #[arg(long, conflicts_with = "status")]
    all: bool,
    /// Only incidents with this status; OPEN includes ANALYZING
    #[arg(long, ignore_case = true, value_parser = STATUSES)]
    status: Option<String>,
    /// Only at this level
    #[arg(long, ignore_case = true, value_parser = LEVELS)]
    level: Option<String>,
    /// Only of this service
    #[arg(long)]
    service: Option<String>,
    /// Only in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Only of this severity, in whatever word for it: critical finds page and P1, too
    #[arg(long)]
    severity: Option<String>,
    /// Only incidents that opened at this time or later: a time, or how long ago, for example 24h
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only incidents that opened at this time or earlier
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// In this order: worst is open before acknowledged, then by severity, level and age
    #[arg(long, value_name = "ORDER", default_value = "worst", value_parser = SORTS)]
    sort: String,
    /// Only stale incidents: unresolved, and no longer sent by their source
    #[arg(long, conflicts_with = "resolved_by")]
    unheard: bool,
    /// Only incidents resolved in this way: itself (the alert ended), person, or unseen (expired)
    #[arg(long, value_parser = RESOLVED_BY)]
    resolved_by: Option<String>,
    /// Only with this text in title, alert name, service or namespace, or with this ID
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
}

impl IncidentsArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such incident.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            Some(IncidentsCommand::Show { id }) => {
                show::show(&client, id.id(&client).await?, self.json).await
            }
            Some(IncidentsCommand::Occurrences { id, limit, again }) => {
                let id = id.id(&client).await?;
                occurrences::list(&client, id, limit, self.json, &again).await
            }
            Some(IncidentsCommand::Acknowledge(args)) => {
                args.send(&client, "acknowledge", self.json).await
            }
            Some(IncidentsCommand::Analyze(args)) => args.analyze(&client, self.json).await,
            Some(IncidentsCommand::Resolve(resolve)) => resolve.run(&client, self.json).await,
            None => {
                let query = self.filters.query();
                let (none, head) = (self.filters.none(), self.filters.head());
                let list = List {
                    client: &client,
                    path: &["incidents"],
                    query: &query,
                    limit: self.limit,
                    none: &none,
                };
                let table = |items: &[Value], now, look| {
                    format!("{head}\n\n{}", list::render(items, now, look))
                };
                list.show(self.json, &self.again, table).await?;
                if !self.json
                    && let Some(waits) = paused::notifications(&client).await
                {
                    print(&format!("\n{waits}"))?;
                }
                Ok(())
            }
        }
    }
}

impl Filters {
    /// Whether resolved incidents are left out, as they are where nothing asks for them. Who asks for one by its
    /// ID wants that one, resolved or not.
    fn is_of_unresolved(&self) -> bool {
        let is_of_one = self
            .q
            .as_deref()
            .is_some_and(|q| IncidentRef::read(q).is_some());
        !self.all && self.status.is_none() && self.resolved_by.is_none() && !is_of_one
    }

    /// Whether it asks for something else than a status.
    const fn is_narrow(&self) -> bool {
        self.level.is_some()
            || self.service.is_some()
            || self.namespace.is_some()
            || self.severity.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.unheard
            || self.resolved_by.is_some()
            || self.q.is_some()
    }

    /// What the list shows, and how to see others.
    fn head(&self) -> String {
        let which = match (&self.status, &self.resolved_by) {
            (Some(status), _) => format!("Incidents with status {}", status.to_uppercase()),
            (None, Some(_)) => "Resolved incidents".to_owned(),
            (None, None) if self.is_of_unresolved() => "Unresolved incidents".to_owned(),
            (None, None) => "Incidents of every status".to_owned(),
        };
        let matching = if self.is_narrow() { " that match" } else { "" };
        let others = if self.is_of_unresolved() {
            "With resolved ones: --all. Filters: --help."
        } else {
            "Filters: --help."
        };
        let order = match self.sort.as_str() {
            "level" => "highest level first",
            "newest" => "newest first",
            "oldest" => "oldest first",
            "often" => "most often first",
            "fired" => "last fired first",
            _ => "worst first",
        };
        format!("{which}{matching}, {order}. {others}")
    }

    /// What is said where there are none.
    fn none(&self) -> String {
        let unresolved = if self.is_of_unresolved() {
            "unresolved "
        } else {
            ""
        };
        let matching = if self.is_narrow() || self.status.is_some() {
            " match"
        } else {
            ""
        };
        let others = if self.is_of_unresolved() {
            " With resolved ones: --all."
        } else {
            ""
        };
        format!("No {unresolved}incidents{matching}.{others}")
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let upper = |text: &Option<String>| text.as_deref().map(str::to_uppercase);
        [
            ("status", upper(&self.status)),
            (
                "unresolved",
                self.is_of_unresolved().then(|| "true".to_owned()),
            ),
            ("level", upper(&self.level)),
            ("service", self.service.clone()),
            ("namespace", self.namespace.clone()),
            ("severity", self.severity.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("sort", Some(self.sort.clone())),
            ("unheard", self.unheard.then(|| "true".to_owned())),
            ("resolved_by", self.resolved_by.clone()),
            ("q", self.q.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl OperationArgs {
    async fn analyze(self, client: &Client, json: bool) -> anyhow::Result<()> {
        let id = self.id.id(client).await?.to_string();
        let body = json!({"operator": self.operator.unwrap_or_default()});
        let path = ["incidents", id.as_str(), "analyze"];
        let incident = client.post(&path, Some(&body), None).await?;
        if json {
            return print_json(&incident);
        }
        let title = text(&incident, "/title");
        print(&format!(
            "{title}\n  analysis requested: see tocsin incidents show {id}"
        ))?;
        Ok(())
    }

    async fn send(self, client: &Client, what: &str, json: bool) -> anyhow::Result<()> {
        let id = self.id.id(client).await?.to_string();
        let operator = self.operator.unwrap_or_default();
        let body = json!({"operator": operator});
        let path = ["incidents", id.as_str(), what];
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
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        args: IncidentsArgs,
    }

    #[test]
    fn the_instance_and_the_format_can_be_given_anywhere() {
        let id = "01940000-0000-7000-8000-000000000001";
        for line in [
            vec!["incidents", "show", id, "--url", "http://there", "--json"],
            vec!["incidents", "--url", "http://there", "--json", "show", id],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert!(cli.args.json);
            assert!(cli.args.command.is_some());
            assert!(format!("{:?}", cli.remote).contains("http://there"));
        }
    }

    #[test]
    fn filters_become_the_query_as_the_api_spells_it() {
        let line = ["incidents", "--status", "open", "--q", "disk full"];
        let cli = Cli::try_parse_from(line).unwrap();
        let query = cli.args.filters.query();
        assert_eq!(
            query,
            [
                ("status", "OPEN".to_owned()),
                ("sort", "worst".to_owned()),
                ("q", "disk full".to_owned())
            ]
        );
    }

    #[test]
    fn unresolved_incidents_are_listed_unless_others_are_asked_for() {
        let table = [
            (
                &[][..],
                true,
                "Unresolved incidents, worst first. With resolved ones: --all. Filters: --help.",
                "No unresolved incidents. With resolved ones: --all.",
            ),
            (
                &["--q", "disk"],
                true,
                "Unresolved incidents that match, worst first. With resolved ones: --all. Filters: --help.",
                "No unresolved incidents match. With resolved ones: --all.",
            ),
            (
                &["--all"],
                false,
                "Incidents of every status, worst first. Filters: --help.",
                "No incidents.",
            ),
            (
                &["--q", "7fb309c4"],
                false,
                "Incidents of every status that match, worst first. Filters: --help.",
                "No incidents match.",
            ),
            (
                &["--status", "resolved"],
                false,
                "Incidents with status RESOLVED, worst first. Filters: --help.",
                "No incidents match.",
            ),
            (
                &["--resolved-by", "unseen"],
                false,
                "Resolved incidents that match, worst first. Filters: --help.",
                "No incidents match.",
            ),
        ];
        for (line, unresolved, head, none) in table {
            let line = ["incidents"].iter().chain(line);
            let filters = Cli::try_parse_from(line).unwrap().args.filters;
            let asked = ("unresolved", "true".to_owned());
            assert_eq!(filters.query().contains(&asked), unresolved, "{head}");
            assert_eq!(
                (filters.head(), filters.none()),
                (head.to_owned(), none.to_owned())
            );
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let cli = Cli::try_parse_from(["incidents", "--api-token", "planted"]).unwrap();
        assert!(!format!("{:?}", cli.remote).contains("planted"));
    }
}
