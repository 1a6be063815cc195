//! Filters of the list of incidents, and what is said of what they leave.

use clap::Args;
use tocsin::domain::id::IncidentRef;

use super::LEVELS;

const SORTS: [&str; 6] = ["worst", "level", "newest", "oldest", "often", "fired"];
const STATUSES: [&str; 4] = ["OPEN", "ANALYZING", "ACKNOWLEDGED", "RESOLVED"];
const RESOLVED_BY: [&str; 3] = ["itself", "person", "unseen"];

/// Which incidents are listed, and in which order.
#[derive(Debug, Args)]
pub(super) struct Filters {
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
    pub(super) fn head(&self) -> String {
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
    pub(super) fn none(&self) -> String {
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

    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        filters: Filters,
    }

    #[test]
    fn filters_become_the_query_as_the_api_spells_it() {
        let line = ["incidents", "--status", "open", "--q", "disk full"];
        let cli = Cli::try_parse_from(line).unwrap();
        let query = cli.filters.query();
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
            let filters = Cli::try_parse_from(line).unwrap().filters;
            let asked = ("unresolved", "true".to_owned());
            assert_eq!(filters.query().contains(&asked), unresolved, "{head}");
            assert_eq!(
                (filters.head(), filters.none()),
                (head.to_owned(), none.to_owned())
            );
        }
    }
}
