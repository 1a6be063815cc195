//! Which dead letters are asked for.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;

use super::super::Problem;
use super::super::pages;
use crate::config::Span;
use crate::jobs::QUEUES;
use crate::store::dead_letters::{DEAD, Filter, Position, STATES};
use crate::time::Timestamp;

/// What a list can be asked for. Ages are since a letter's death.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::ingress) struct Asked {
    state: Option<String>,
    queue: Option<String>,
    reason: Option<String>,
    q: Option<String>,
    older_than: Option<Span>,
    #[serde(alias = "since")]
    younger_than: Option<Span>,
    cursor: Option<String>,
    limit: Option<u64>,
}

/// What axum makes of a query string.
pub(in crate::ingress) type Asking = Result<Query<Asked>, QueryRejection>;

impl Asked {
    pub(super) fn of(asking: Asking) -> Result<Self, Problem> {
        let Query(asked) = asking.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(asked)
    }

    pub(super) fn limit(&self) -> Result<u64, Problem> {
        pages::limit(self.limit)
    }

    pub(super) fn cursor(&self) -> Result<Option<Position>, Problem> {
        pages::cursor(self.cursor.as_deref(), |text| {
            let (at, id) = text.split_once('.')?;
            Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
        })
    }

    /// An export has no pages.
    pub(super) fn is_whole(&self) -> Result<(), Problem> {
        if self.limit.is_some() || self.cursor.is_some() {
            let detail = "an export is all there is: it takes neither limit nor cursor";
            return Err(Problem::bad_request(detail));
        }
        Ok(())
    }

    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        let state = match self.state.as_deref() {
            None => Some(DEAD),
            Some("all") => None,
            Some(state) => Some(known("state", state, &STATES)?),
        };
        let which = Which {
            queue: self.queue,
            reason: self.reason,
            q: self.q,
            older_than: self.older_than,
            younger_than: self.younger_than,
        };
        Ok(Filter {
            state: state.map(str::to_owned),
            ..which.filter(now)?
        })
    }
}

/// What tells letters apart.
#[derive(Debug, Default)]
pub(super) struct Which {
    pub(super) queue: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) q: Option<String>,
    pub(super) older_than: Option<Span>,
    pub(super) younger_than: Option<Span>,
}

impl Which {
    /// The letters as of `now`, in whatever state.
    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        if let Some(queue) = &self.queue {
            known("queue", queue, &QUEUES)?;
        }
        Ok(Filter {
            state: None,
            queue: self.queue,
            reason: text("reason", self.reason)?,
            text: text("q", self.q)?,
            since: self.younger_than.map(|age| now.before(age.0)),
            until: self.older_than.map(|age| now.before(age.0)),
            as_of: None,
        })
    }
}

fn known<'a>(what: &str, name: &str, all: &[&'a str]) -> Result<&'a str, Problem> {
    let found = all.iter().find(|known| **known == name);
    found.copied().ok_or_else(|| {
        let all = all.join(", ");
        Problem::bad_request(format!("there is no {what} {name:?}; there are {all}"))
    })
}

/// A text to look for; an empty one is none.
fn text(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) if text.contains('\0') => {
            Err(Problem::bad_request(format!("{name} must be without NUL")))
        }
        text => Ok(text),
    }
}
