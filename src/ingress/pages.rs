//! Lists: which part of one is asked for, and how it is answered.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::store::lists::Filter;
use crate::time::Timestamp;

/// Entries of a page where none are asked for, and at most.
const LIMITS: (u64, u64) = (50, 200);

/// What a list can be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) status: Option<Status>,
    pub(super) level: Option<Level>,
    pub(super) service: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) q: Option<String>,
    pub(super) muted: Option<bool>,
    pub(super) cursor: Option<String>,
    pub(super) limit: Option<u64>,
}

/// What axum makes of a query string.
pub(super) type Asking = Result<Query<Asked>, QueryRejection>;

impl Asked {
    pub(super) fn of(asking: Asking) -> Result<Self, Problem> {
        let Query(asked) = asking.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(asked)
    }

    pub(super) fn limit(&self) -> Result<u64, Problem> {
        limit(self.limit)
    }

    pub(super) fn cursor<T>(&self, read: fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        cursor(self.cursor.as_deref(), read)
    }

    pub(super) fn filter(&self, now: Timestamp) -> Filter {
        Filter {
            status: self.status,
            level: self.level,
            service: self.service.clone(),
            namespace: self.namespace.clone(),
            text: self.q.clone().filter(|text| !text.is_empty()),
            muted: self.muted.map(|muted| (muted, now)),
            ..Filter::default()
        }
    }
}

/// How many entries a page is to have.
pub(super) fn limit(asked: Option<u64>) -> Result<u64, Problem> {
    match asked {
        None => Ok(LIMITS.0),
        Some(limit) if (1..=LIMITS.1).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::bad_request(format!(
            "limit must be 1 to {}",
            LIMITS.1
        ))),
    }
}

/// Where a page is to begin.
pub(super) fn cursor<T>(
    asked: Option<&str>,
    read: fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let asked = asked.filter(|cursor| !cursor.is_empty());
    asked
        .map(|cursor| read(cursor).ok_or_else(|| Problem::bad_request("cursor is not one of ours")))
        .transpose()
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit`, made from one more than that if there are.
    pub(super) fn new(mut items: Vec<T>, limit: u64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }

    /// A list that is all there is.
    pub(super) const fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }
}
