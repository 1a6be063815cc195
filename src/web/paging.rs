//! Lists: which part of one is asked for, and how it is answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Problem;
use crate::domain::refusal::{Code, Refusal};

/// Entries of a page where none are asked for, and at most.
const LIMITS: (u64, u64) = (50, 200);

/// Which part of a list is asked for, where nothing else can be.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

impl PageParams {
    pub(super) fn limit(&self) -> Result<u64, Problem> {
        limit(self.limit)
    }

    pub(super) fn cursor(&self) -> Result<Option<Uuid>, Problem> {
        cursor(self.cursor.as_deref(), uuid)
    }
}

/// How many entries a page is to have.
pub(super) fn limit(requested: Option<u64>) -> Result<u64, Problem> {
    match requested {
        None => Ok(LIMITS.0),
        Some(limit) if (1..=LIMITS.1).contains(&limit) => Ok(limit),
        Some(limit) => {
            let detail = format!("limit must be from 1 to {}", LIMITS.1);
            let refusal = Refusal::new(Code::InvalidParameter, detail).parameter("limit");
            Err(refusal.value(limit.to_string()).limit(LIMITS.1).into())
        }
    }
}

/// Where a page is to begin.
pub(super) fn cursor<T>(
    requested: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let requested = requested.filter(|cursor| !cursor.is_empty());
    requested
        .map(|cursor| {
            read(cursor).ok_or_else(|| {
                let detail = "invalid cursor: use next_cursor of the previous page";
                let refusal = Refusal::new(Code::InvalidParameter, detail);
                refusal.parameter("cursor").value(cursor).into()
            })
        })
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
    /// The same page of what is made of its entries.
    pub(super) fn map<U>(self, make: impl Fn(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(make).collect(),
            next_cursor: self.next_cursor,
        }
    }

    /// A page of at most `limit`, made from one more than that if there are.
    pub(super) fn new(mut items: Vec<T>, limit: u64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(cursor);
        Self { items, next_cursor }
    }
}

/// Bytes of what entries carry, after which a page ends.
const BYTES: usize = 4 << 20;
/// Entries that are read at once.
const AT_ONCE: u64 = 64;

/// Entries on their way to a page, read a few at a time: what they carry may be large.
/// `C` says where a page begins.
pub(super) struct Gathered<T, C = Uuid> {
    items: Vec<T>,
    limit: u64,
    bytes: usize,
    last: Option<C>,
    is_all: bool,
}

impl<T, C: Copy + ToString> Gathered<T, C> {
    /// None yet, of at most `limit`, behind the entry `before`.
    pub(super) const fn new(limit: u64, before: Option<C>) -> Self {
        Self {
            items: Vec::new(),
            limit,
            bytes: 0,
            last: before,
            is_all: false,
        }
    }

    /// Behind which entry to read on, and how many; nothing if that is all.
    pub(super) fn wants(&self) -> Option<(Option<C>, u64)> {
        let missing = (self.limit + 1).saturating_sub(self.items.len() as u64);
        let goes_on = !self.is_all && missing > 0 && self.bytes < BYTES;
        goes_on.then_some((self.last, missing.min(AT_ONCE)))
    }

    /// Adds the items found by a query for `requested` of them; `of` gives an item's place and size in bytes.
    pub(super) fn add(&mut self, requested: u64, found: Vec<T>, of: impl Fn(&T) -> (C, usize)) {
        self.is_all = (found.len() as u64) < requested;
        for item in found {
            let (place, bytes) = of(&item);
            self.last = Some(place);
            self.bytes += bytes;
            self.items.push(item);
        }
    }

    /// The page that they are.
    pub(super) fn page<V>(
        mut self,
        view: impl FnMut(T) -> V,
        of: impl Fn(&T) -> (C, usize),
    ) -> Page<V> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (mut kept, mut bytes) = (0, 0);
        for item in self.items.iter().take(limit) {
            if kept > 0 && bytes >= BYTES {
                break;
            }
            bytes += of(item).1;
            kept += 1;
        }
        let more = kept < self.items.len() || !self.is_all;
        self.items.truncate(kept);
        let last = self.items.last().map(|item| of(item).0.to_string());
        Page {
            items: self.items.into_iter().map(view).collect(),
            next_cursor: last.filter(|_| more),
        }
    }
}

/// About how many bytes a value takes as JSON.
pub(super) fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| bytes(item) + 1).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, of)| name.len() + bytes(of) + 4)
            .sum(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a list of `entries` of `bytes` each, page by page; returns the length of each page.
    fn pages(entries: usize, bytes: usize, limit: u64) -> Vec<usize> {
        let all: Vec<Uuid> = (0..entries)
            .map(|n| Uuid::from_u128(n as u128 + 1))
            .collect();
        let of = |id: &Uuid| (*id, bytes);
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let mut gathered = Gathered::new(limit, before);
            let mut read = 0;
            while let Some((after, some)) = gathered.wants() {
                let behind = all
                    .iter()
                    .filter(|id| after.is_none_or(|after| **id > after));
                let found: Vec<Uuid> = behind
                    .take(usize::try_from(some).unwrap())
                    .copied()
                    .collect();
                read += found.len() * bytes;
                gathered.add(some, found, of);
            }
            assert!(read <= BYTES + 64 * bytes, "{read} bytes were read");
            let page = gathered.page(|id| id, of);
            pages.push(page.items.len());
            match page.next_cursor {
                Some(cursor) => before = Some(cursor.parse().unwrap()),
                None => return pages,
            }
        }
    }

    #[test]
    fn a_page_ends_at_its_limit_or_where_it_has_many_bytes() {
        assert_eq!(pages(0, 10, 50), [0]);
        assert_eq!(pages(50, 10, 50), [50]);
        assert_eq!(pages(51, 10, 50), [50, 1]);
        assert_eq!(pages(300, 10, 200), [200, 100]);
        assert_eq!(pages(20, 1 << 20, 200), [4, 4, 4, 4, 4]);
        assert_eq!(
            pages(3, 8 << 20, 200),
            [1, 1, 1],
            "an entry is on a page whatever it carries"
        );
    }
}
