//! Filters, search and order of the list of incidents, in its address.

use serde::Deserialize;

use super::{PageError, address, parts};
use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::escalation::Level;
use crate::domain::id::IncidentRef;
use crate::store::views::incident_list::{Mark, Sort};
use crate::store::views::lists::Filter;
use crate::time::Timestamp;
use crate::web::moment::Moment;

/// The query of the incident list, unparsed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IncidentQuery {
    pub(super) status: String,
    pub(super) level: String,
    pub(super) severity: String,
    pub(super) service: String,
    pub(super) namespace: String,
    pub(super) q: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) sort: String,
    pub(super) after: String,
    /// Of an operation on several: how many it changed, of how many.
    pub(super) changed: String,
    pub(super) asked: String,
    /// Those that it did not change, as `bulk` writes them.
    pub(super) refused: String,
}

pub(super) const STATUSES: [Status; 4] = [
    Status::Open,
    Status::Analyzing,
    Status::Acknowledged,
    Status::Resolved,
];

pub(super) const LEVELS: [Level; 4] = [
    Level::PermanentFix,
    Level::Escalate,
    Level::Repeat,
    Level::None,
];

/// Instead of a state: stale ones.
pub(super) const UNHEARD: &str = "unheard";
/// And those that were closed for that.
pub(super) const UNSEEN: &str = "unseen";

pub(super) const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::Analyzing => "analyzing",
        Status::Acknowledged => "acknowledged",
        Status::Resolved => "resolved",
    }
}

impl IncidentQuery {
    pub(super) fn status(&self) -> Option<Status> {
        STATUSES
            .into_iter()
            .find(|status| status_name(*status).eq_ignore_ascii_case(&self.status))
    }

    /// Whether it asks for stale incidents.
    pub(super) fn says_unheard(&self) -> bool {
        self.status.eq_ignore_ascii_case(UNHEARD)
    }

    /// Whether it asks for what was closed as unseen.
    pub(super) fn says_unseen(&self) -> bool {
        self.status.eq_ignore_ascii_case(UNSEEN)
    }

    /// Whether it says that it asks for all states.
    pub(super) fn says_all(&self) -> bool {
        self.status.eq_ignore_ascii_case("all")
    }

    /// Whether it asks for all states. Who asks for one by its id wants that one, resolved or not.
    fn is_of_all(&self) -> bool {
        let is_of_one = || self.status.is_empty() && IncidentRef::read(&self.q).is_some();
        self.says_all() || is_of_one()
    }

    pub(super) fn level(&self) -> Option<Level> {
        let named = |level: &Level| level.name().eq_ignore_ascii_case(&self.level);
        LEVELS.into_iter().find(named)
    }

    pub(super) fn sort(&self) -> Option<Sort> {
        let named = |sort: &Sort| sort.name().eq_ignore_ascii_case(&self.sort);
        Sort::ALL.into_iter().find(named)
    }

    /// Refuses a value that there is not.
    pub(super) fn check(&self) -> Result<(), PageError> {
        let is_instead = self.says_all() || self.says_unheard() || self.says_unseen();
        let (status, level) = (self.status().is_some(), self.level().is_some());
        address::check([
            ("status", &*self.status, status || is_instead),
            ("level", &self.level, level),
            ("sort", &self.sort, self.sort().is_some()),
            ("after", &self.after, Mark::read(&self.after).is_some()),
            address::text("severity", &self.severity),
            address::text("service", &self.service),
            address::text("namespace", &self.namespace),
            address::text("q", &self.q),
            ("since", &self.since, moment(&self.since).is_some()),
            ("until", &self.until, moment(&self.until).is_some()),
        ])
    }

    pub(super) fn filter(&self, now: Timestamp) -> Filter {
        let some = |text: &str| {
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Filter {
            status: self.status(),
            level: self.level(),
            service: some(&self.service),
            namespace: some(&self.namespace),
            text: some(&self.q),
            severity: some(&self.severity),
            unresolved: self.status().is_none() && !self.is_of_all() && !self.says_unseen(),
            unheard: self.says_unheard().then_some(true),
            resolved_by: self.says_unseen().then_some(ResolvedBy::Unseen),
            opened_since: moment(&self.since).map(|since| since.at(now)),
            opened_until: moment(&self.until).map(|until| until.at(now)),
            ..Filter::default()
        }
    }

    /// Whether it asks for something other than what is unresolved.
    pub(super) fn is_narrow(&self) -> bool {
        let texts = [
            &self.status,
            &self.level,
            &self.severity,
            &self.service,
            &self.namespace,
            &self.q,
            &self.since,
            &self.until,
        ];
        texts.into_iter().any(|text| !text.trim().is_empty())
    }

    /// Whether it asks for something that is folded away otherwise.
    pub(super) fn is_in_detail(&self) -> bool {
        let texts = [
            &self.severity,
            &self.service,
            &self.namespace,
            &self.since,
            &self.until,
        ];
        texts.into_iter().any(|text| !text.trim().is_empty())
    }

    /// The address of the same list from another place on.
    pub(super) fn from(&self, after: &str) -> String {
        self.with(&[("after", after)])
    }

    /// The address of the same list from its beginning, filtered otherwise by `name`; by nothing if `value` is empty.
    pub(super) fn by(&self, name: &str, value: &str) -> String {
        self.with(&[(name, value), ("after", "")])
    }

    /// The address of the same list.
    pub(super) fn here(&self) -> String {
        self.with(&[])
    }

    /// The same after an operation on several.
    pub(super) fn done(&self, changed: usize, asked: usize, refused: &str) -> String {
        let here = self.here();
        let and = if here.contains('?') { '&' } else { '?' };
        let refused = match refused {
            "" => String::new(),
            refused => format!("&refused={refused}"),
        };
        format!("{here}{and}changed={changed}&asked={asked}{refused}")
    }

    fn with(&self, others: &[(&str, &str)]) -> String {
        let pairs = [
            ("status", &self.status),
            ("level", &self.level),
            ("severity", &self.severity),
            ("service", &self.service),
            ("namespace", &self.namespace),
            ("q", &self.q),
            ("since", &self.since),
            ("until", &self.until),
            ("sort", &self.sort),
            ("after", &self.after),
        ];
        let query: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| {
                let other = others.iter().find(|(other, _)| *other == name);
                (
                    name,
                    other.map_or(value.as_str(), |(_, value)| *value).trim(),
                )
            })
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", parts::encoded(value)))
            .collect();
        if query.is_empty() {
            "/incidents".to_owned()
        } else {
            format!("/incidents?{}", query.join("&"))
        }
    }
}

fn moment(text: &str) -> Option<Moment> {
    Moment::read(text.trim()).ok()
}
