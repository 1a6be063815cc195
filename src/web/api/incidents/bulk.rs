//! One operation on several incidents.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::Span;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::domain::refusal::Code;
use crate::operations::incident::{
    self, Asked, BulkAction, Changes, Item, NewNote, Outcome, Selection, Which,
};
use crate::operations::mute::{self, NewMute};
use crate::operations::{Invalid, OperationError, Resource};
use crate::store::incidents::StatusChange;
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body, idempotency};

/// What to do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BulkAction)]
pub(in crate::web) enum Action {
    /// Acknowledge the incidents.
    Acknowledge,
    /// Resolve them.
    Resolve,
    /// Mute their anomalies.
    Mute,
    /// Write a note about each.
    Note,
}

/// What to do, and to which incidents.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkOperation)]
pub(in crate::web) struct BulkRequest {
    /// What to do.
    action: Action,
    /// The incidents, at most 1,000; or give filters, which select unresolved ones.
    #[serde(default)]
    #[schema(max_items = 1000)]
    ids: Vec<Uuid>,
    /// With this status, other than `RESOLVED`.
    status: Option<Status>,
    /// Whose anomaly is at this level.
    level: Option<Level>,
    /// Of this severity, in whatever word for it.
    severity: Option<BoundedText>,
    /// Of this service.
    service: Option<BoundedText>,
    /// In this namespace.
    namespace: Option<BoundedText>,
    /// With this text in title, alert name, service, namespace or error type, in whatever case.
    q: Option<BoundedText>,
    /// Muted now, or not.
    muted: Option<bool>,
    /// Stale (not received within `counting.unheard`), or not.
    unheard: Option<bool>,
    /// Opened longer ago than this, for instance `7d`.
    #[schema(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    older_than: Option<Span>,
    /// Every unresolved incident, if neither ids nor a filter are given.
    #[serde(default)]
    all: bool,
    /// A note about each; of a mute also why.
    note: Option<BoundedText>,
    /// How long a mute lasts, at most 30 days; or give `until`.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,6}(ms|s|m|h|d|w)$")]
    r#for: Option<Span>,
    /// When a mute ends; or give `for`.
    until: Option<Timestamp>,
    /// Operator name, for the audit entries.
    operator: Option<BoundedText>,
    /// Incidents that opened later are skipped, where filters select them.
    as_of: Option<Timestamp>,
    /// Where filters select more than 1,000: `next_cursor` of the response before.
    cursor: Option<Uuid>,
    /// Only count the matches of filters.
    #[serde(default)]
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BulkResult)]
pub(in crate::web) struct Done {
    /// Incidents that match, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<u64>,
    /// How many this request changed.
    changed: u64,
    /// What became of each, in the order of `ids`; of those that match, newest first.
    results: Vec<Answer>,
    /// If more may match, repeat the request with it, and with `as_of`; null otherwise.
    next_cursor: Option<Uuid>,
    /// Incidents that opened later are skipped, where filters select them.
    as_of: Timestamp,
}

/// What became of one incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BulkItem)]
pub(in crate::web) struct Answer {
    /// The incident.
    id: Uuid,
    /// Whether the request changed it.
    result: Became,
    /// Why it was refused, for programs.
    code: Option<Code>,
    /// Why it was refused, for a person.
    detail: Option<String>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BulkOutcome)]
pub(in crate::web) enum Became {
    /// It is changed.
    Changed,
    /// It was so already.
    Unchanged,
    /// It cannot be done.
    Refused,
    /// It was not tried, because what came before it failed: ask again.
    Failed,
}

/// Acknowledges, resolves, mutes or notes several incidents.
///
/// Each is changed whole or not at all, whatever becomes of the others, and has a result. Give `ids`, or filters of the
/// list, an age, or `all`. With the same `Idempotency-Key`, a note is written once.
#[utoipa::path(
    post,
    path = "/incidents/bulk",
    operation_id = "change_incidents",
    tag = "incidents",
    request_body = BulkRequest,
    responses(
        (status = OK, description = "What became of each", body = Done),
        (status = CONFLICT, description = "A mute without an end, with two, or with one that cannot be"),
    ),
)]
pub(in crate::web) async fn change_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let mut request: BulkRequest = body::json(body).await?;
    let key = idempotency::key(&headers)?;
    let actor = caller.named(request.operator.take());
    let note = request.note.take().map(String::from);
    let asked = Asked {
        action: request.action(note.as_deref())?,
        note: NewNote::said(note.as_deref(), key),
        which: request.which()?,
    };
    let changes = Box::pin(incident::apply(&ingress.context, &actor, asked)).await?;
    Ok(Json(Done::from(changes)))
}

impl BulkRequest {
    fn action(&self, note: Option<&str>) -> Result<BulkAction, Invalid> {
        Ok(match self.action {
            Action::Acknowledge => BulkAction::Change(StatusChange::Acknowledge),
            Action::Resolve => BulkAction::Change(StatusChange::Resolve),
            Action::Note => BulkAction::Note,
            Action::Mute => {
                let why = note.map(str::trim).filter(|why| !why.is_empty());
                BulkAction::Mute(NewMute {
                    ends: mute::ends(self.r#for.map(|span| span.0), self.until)?,
                    why: why.map(str::to_owned),
                })
            }
        })
    }

    fn which(self) -> Result<Which, Invalid> {
        let has_filter = self.status.is_some()
            || self.level.is_some()
            || self.severity.is_some()
            || self.service.is_some()
            || self.namespace.is_some()
            || self.q.is_some()
            || self.muted.is_some()
            || self.unheard.is_some()
            || self.older_than.is_some()
            || self.as_of.is_some()
            || self.cursor.is_some()
            || self.dry_run
            || self.all;
        if !self.ids.is_empty() {
            return match has_filter {
                true => Err(Invalid::IdsAndFilter),
                false => Ok(Which::Ids(self.ids)),
            };
        }
        let selection = Selection {
            status: self.status,
            level: self.level,
            severity: self.severity.and_then(BoundedText::said),
            service: self.service.map(String::from),
            namespace: self.namespace.map(String::from),
            text: self.q.map(String::from),
            muted: self.muted,
            unheard: self.unheard,
            older_than: self.older_than,
            all: self.all,
            as_of: self.as_of,
            dry_run: self.dry_run,
        };
        Ok(Which::Matching(Box::new(selection), self.cursor))
    }
}

impl From<Changes> for Done {
    fn from(changes: Changes) -> Self {
        let is_changed = |item: &&Item| item.outcome == Outcome::Changed;
        Self {
            matching: changes.matching,
            changed: changes.items.iter().filter(is_changed).count() as u64,
            results: changes.items.into_iter().map(Answer::from).collect(),
            next_cursor: changes.next,
            as_of: changes.as_of,
        }
    }
}

impl From<Item> for Answer {
    fn from(Item { id, outcome }: Item) -> Self {
        let (result, error) = match outcome {
            Outcome::Changed => (Became::Changed, None),
            Outcome::Unchanged => (Became::Unchanged, None),
            Outcome::Refused(conflict) => (Became::Refused, Some(conflict.into())),
            Outcome::Failed => {
                return Self {
                    id,
                    result: Became::Failed,
                    code: None,
                    detail: Some("not tried: what came before it failed; ask again".to_owned()),
                };
            }
            Outcome::NotFound => {
                let none = OperationError::NotFound(Resource::Incident);
                (Became::Refused, Some(none))
            }
        };
        let refusal = error.as_ref().and_then(OperationError::refusal);
        Self {
            id,
            result,
            code: refusal.as_ref().map(|refusal| refusal.code),
            detail: refusal.map(|refusal| refusal.detail().to_owned()),
        }
    }
}
