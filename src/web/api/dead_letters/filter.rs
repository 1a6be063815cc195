//! Which dead letters are asked for.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::config::Span;
use crate::domain::refusal::{Code, Refusal};
use crate::jobs::QUEUES;
use crate::store::dead_letters::{DEAD, Filter, Position, STATES};
use crate::time::Timestamp;
use crate::web::Problem;
use crate::web::api::queue_name::QueueName;
use crate::web::bounded_text::BoundedText;
use crate::web::paging;

/// Query of the dead letters. Ages count from a letter's death.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct ListQuery {
    /// In this state.
    #[param(pattern = "^(dead|replayed|discarded|all)$", default = "dead")]
    state: Option<String>,
    /// Of this queue.
    #[param(value_type = Option<QueueName>, inline)]
    queue: Option<String>,
    /// With this text in the reason, in whatever case.
    reason: Option<BoundedText>,
    /// With this text in payload or reason, in whatever case.
    q: Option<BoundedText>,
    /// Failed longer ago than this, for example `7d`.
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    older_than: Option<Span>,
    /// Failed within this time, for example `1h`.
    #[serde(alias = "since")]
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    younger_than: Option<Span>,
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9]{1,15}\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// What an export can be asked for: it has no pages.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::web) struct Exported {
    /// In this state.
    #[param(pattern = "^(dead|replayed|discarded|all)$", default = "dead")]
    state: Option<String>,
    /// Of this queue.
    #[param(value_type = Option<QueueName>, inline)]
    queue: Option<String>,
    /// With this text in the reason, in whatever case.
    reason: Option<BoundedText>,
    /// With this text in payload or reason, in whatever case.
    q: Option<BoundedText>,
    /// Failed longer ago than this, for example `7d`.
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    older_than: Option<Span>,
    /// Failed within this time, for example `1h`.
    #[serde(alias = "since")]
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    younger_than: Option<Span>,
}

impl ListQuery {
    pub(super) fn limit(&self) -> Result<u64, Problem> {
        paging::limit(self.limit)
    }

    pub(super) fn cursor(&self) -> Result<Option<Position>, Problem> {
        paging::cursor(self.cursor.as_deref(), |text| {
            let (at, id) = text.split_once('.')?;
            Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
        })
    }

    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        let which = LetterFilter {
            queue: self.queue,
            reason: self.reason,
            q: self.q,
            older_than: self.older_than,
            younger_than: self.younger_than,
        };
        which.in_state(self.state.as_deref(), now)
    }
}

impl Exported {
    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        let which = LetterFilter {
            queue: self.queue,
            reason: self.reason,
            q: self.q,
            older_than: self.older_than,
            younger_than: self.younger_than,
        };
        which.in_state(self.state.as_deref(), now)
    }
}

/// Filter of dead letters.
#[derive(Debug, Default)]
pub(super) struct LetterFilter {
    pub(super) queue: Option<String>,
    pub(super) reason: Option<BoundedText>,
    pub(super) q: Option<BoundedText>,
    pub(super) older_than: Option<Span>,
    pub(super) younger_than: Option<Span>,
}

impl LetterFilter {
    /// The letters in a state; in that of the dead, if none is said.
    fn in_state(self, state: Option<&str>, now: Timestamp) -> Result<Filter, Problem> {
        let state = match state {
            None => Some(DEAD),
            Some("all") => None,
            Some(state) => Some(known("state", state, &STATES)?),
        };
        Ok(Filter {
            state: state.map(str::to_owned),
            ..self.filter(now)?
        })
    }

    /// The letters as of `now`, in whatever state.
    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        if let Some(queue) = &self.queue {
            known("queue", queue, &QUEUES)?;
        }
        Ok(Filter {
            state: None,
            queue: self.queue,
            reason: self.reason.and_then(BoundedText::said),
            text: self.q.and_then(BoundedText::said),
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
        let detail = format!("unknown {what} {name:?}; known: {all}");
        let refusal = Refusal::new(Code::InvalidParameter, detail);
        refusal.parameter(what).value(name).into()
    })
}
