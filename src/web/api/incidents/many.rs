//! Resolving many incidents: in bounded steps.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::config::Span;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::domain::refusal::{Code, Refusal};
use crate::operations::incident::resolve_some;
use crate::store::incidents::Still;
use crate::store::maintenance;
use crate::store::views::lists::{self, Filter};
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::{ALL_OR_SOME, BoundedText};
use crate::web::{Ingress, Problem, body};

/// Incidents in one transaction, and in one request.
const AT_ONCE: (usize, u64) = (200, 10_000);
/// How long a request goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which incidents, and what else there is to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Incidents)]
pub(in crate::web) struct Asked {
    /// With this status, other than `RESOLVED`.
    status: Option<Status>,
    /// Whose anomaly is at this level.
    level: Option<Level>,
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
    /// Every unresolved incident, if no filter is given.
    all: bool,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
    /// Incidents that opened later are skipped.
    as_of: Option<Timestamp>,
    /// Only count the matches.
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resolved)]
pub(in crate::web) struct Done {
    /// Incidents that match, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<u64>,
    /// Incidents that this request resolved.
    changed: u64,
    /// Whether there may be more: repeat the request with `as_of`.
    more: bool,
    /// Incidents that opened later are skipped.
    as_of: Timestamp,
}

/// Resolves all unresolved incidents that match, up to 10,000 in one request.
///
/// Needs a filter of the list, an age, or `all`. If there may be more, `more` is true: repeat the request
/// with `as_of` of the response. Incidents that still fire more than `aggregation.window` later
/// reopen, as after any resolve.
#[utoipa::path(
    post,
    path = "/incidents/resolve",
    operation_id = "resolve_incidents",
    tag = "incidents",
    request_body = Asked,
    responses((status = OK, description = "How many were resolved", body = Done)),
)]
pub(in crate::web) async fn resolve_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let context = &ingress.context;
    let mut asked: Asked = body::json(body).await?;
    let (is_dry, actor) = (asked.dry_run, caller.named(asked.operator.take()));
    let now = context
        .clock
        .of_store(maintenance::now(context.db.view()).await?);
    let as_of = asked.as_of.unwrap_or(now).min(now);
    let why = asked.why();
    let still = Still {
        status: asked.status,
        unheard: asked.unheard,
    };
    let filter = asked.filter(now, as_of)?;
    let mut done = Done {
        matching: None,
        changed: 0,
        more: false,
        as_of,
    };
    if is_dry {
        let db = context.db.view_for(filter.text.is_some()).await?;
        done.matching = Some(lists::count_incidents(&*db, &filter).await?);
        return Ok(Json(done));
    }
    let began = Instant::now();
    let db = context.db.view_for(filter.text.is_some()).await?;
    let found = lists::incident_ids(&*db, &filter, AT_ONCE.1).await?;
    drop(db);
    let mut steps = found.chunks(AT_ONCE.0);
    for ids in steps.by_ref() {
        let tx = context.db.begin().await?;
        let (resolved, due) = resolve_some(context, &tx, ids, &still, &actor, &why).await?;
        tx.commit().await?;
        due.push(context).await;
        done.changed += resolved.len() as u64;
        if began.elapsed() >= PATIENCE {
            break;
        }
    }
    done.more = steps.len() > 0 || found.len() as u64 == AT_ONCE.1;
    Ok(Json(done))
}

impl Asked {
    /// How the incidents were found, for the audit.
    fn why(&self) -> serde_json::Value {
        let text = |words: &Option<BoundedText>| words.clone().map(String::from);
        let which = json!({
            "status": self.status, "level": self.level, "service": text(&self.service),
            "namespace": text(&self.namespace), "q": text(&self.q), "muted": self.muted,
            "unheard": self.unheard, "older_than": self.older_than,
            "all": self.all.then_some(true),
        });
        let said = which.as_object().into_iter().flatten();
        let said = said.filter(|(_, value)| !value.is_null());
        let said: serde_json::Map<_, _> = said.map(|(k, v)| (k.clone(), v.clone())).collect();
        json!({"possible": true, "changed": true, "together": said})
    }

    fn filter(self, now: Timestamp, as_of: Timestamp) -> Result<Filter, Problem> {
        let says_nothing = self.status.is_none()
            && self.level.is_none()
            && self.service.is_none()
            && self.namespace.is_none()
            && self.muted.is_none()
            && self.unheard.is_none()
            && self.older_than.is_none();
        // Nothing but space is in every text.
        let text = self.q.and_then(BoundedText::said);
        let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
        let text = text.filter(|text| !text.chars().all(is_space));
        if says_nothing && text.is_none() && !self.all {
            return Err(Problem::new(
                Code::NothingSelected,
                "nothing selected: give a status, level, service, namespace, q, muted, unheard or older_than, or \
                 \"all\": true",
            ));
        }
        if self.all && !(says_nothing && text.is_none()) {
            return Err(Problem::new(Code::AmbiguousSelection, ALL_OR_SOME));
        }
        if self.status == Some(Status::Resolved) {
            let detail = "status must not be RESOLVED: those incidents are resolved already";
            let refusal = Refusal::new(Code::InvalidBody, detail).parameter("status");
            return Err(refusal.value("RESOLVED").into());
        }
        let oldest = self.older_than.map_or(as_of, |age| as_of.before(age.0));
        Ok(Filter {
            status: self.status,
            level: self.level,
            service: self.service.map(String::from),
            namespace: self.namespace.map(String::from),
            text,
            muted: self.muted.map(|muted| (muted, now)),
            unheard: self.unheard,
            unresolved: true,
            opened_until: Some(oldest),
            ..Filter::default()
        })
    }
}
