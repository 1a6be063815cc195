//! Lists: which part of one is asked for, and how it is answered.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Problem;

/// Entries of a page where none are asked for, and at most.
const LIMITS: (u64, u64) = (50, 200);

/// Which part of a list is asked for, where nothing else can be.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Where the page begins: `next_cursor` of the one before it.
    #[param(pattern = "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
    /// Entries of the page, at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

impl Part {
    pub(super) fn limit(&self) -> Result<u64, Problem> {
        limit(self.limit)
    }

    pub(super) fn cursor(&self) -> Result<Option<Uuid>, Problem> {
        cursor(self.cursor.as_deref(), uuid)
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
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let asked = asked.filter(|cursor| !cursor.is_empty());
    asked
        .map(|cursor| read(cursor).ok_or_else(|| Problem::bad_request("cursor is not one of ours")))
        .transpose()
}

/// A cursor that is an id.
pub(super) fn uuid(cursor: &str) -> Option<Uuid> {
    cursor.parse().ok()
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The entries.
    items: Vec<T>,
    /// Where the next page begins; null if this is the last.
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
}
