//! Anomalies: listed, shown, and marked as fixed for good.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::incidents::By;
use crate::context::Context;
use crate::domain::escalation::Level;
use crate::domain::frequency::Counts;
use crate::entity::anomalies::Model;
use crate::operations::{OperationError, Resource, fix};
use crate::store::views::lists;
use crate::store::views::lists::Filter;
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::paging::{self, Page};
use crate::web::query::Query;
use crate::web::{Ingress, Problem, body};

/// Query of the anomalies.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AnomalyQuery {
    /// At this level.
    level: Option<Level>,
    /// Of this service.
    service: Option<BoundedText>,
    /// In this namespace.
    namespace: Option<BoundedText>,
    /// With this text in alert name, service, namespace or error type, in whatever case.
    q: Option<BoundedText>,
    /// Muted now, or not.
    muted: Option<bool>,
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9]{1,15}\\.[0-9a-f]{32})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// An anomaly as it is listed and shown: its row, and how often it fired lately.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CountedAnomaly)]
pub(super) struct View {
    #[serde(flatten)]
    anomaly: Model,
    /// What was counted up to now; null if the counter does not answer.
    counts: Option<RecentCounts>,
}

/// What was counted of an anomaly: firings, unless `counting.unit` says otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecentCounts {
    /// In the last hour.
    count_1h: i64,
    /// In the last 24 hours.
    count_24h: i64,
    /// In the last seven days.
    count_7d: i64,
    /// In the last thirty days.
    count_30d: i64,
}

impl From<Counts> for RecentCounts {
    fn from(counts: Counts) -> Self {
        Self {
            count_1h: counts.hour,
            count_24h: counts.day,
            count_7d: counts.week,
            count_30d: counts.month,
        }
    }
}

/// Anomalies with what was counted of each up to now.
async fn counted(context: &Context, anomalies: Vec<Model>, now: Timestamp) -> Vec<View> {
    let keys: Vec<String> = anomalies.iter().map(|one| one.key.clone()).collect();
    let counts = context.counter.counts(&keys, now).await;
    let counts = counts.unwrap_or_else(|error| {
        tracing::warn!("a request failed at the counter: {error}");
        Vec::new()
    });
    let counts = counts.into_iter().map(|counts| Some(counts.into()));
    let counts = counts.chain(std::iter::repeat_with(|| None));
    let view = |(anomaly, counts): (Model, _)| View {
        anomaly: anomaly.as_of(now),
        counts,
    };
    anomalies.into_iter().zip(counts).map(view).collect()
}

/// Lists anomalies, most recently seen first.
#[utoipa::path(
    get,
    path = "/anomalies",
    operation_id = "list_anomalies",
    tag = "anomalies",
    params(AnomalyQuery),
    responses((status = OK, description = "A page of anomalies", body = Page<View>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<AnomalyQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let before = paging::cursor(query.cursor.as_deref(), read_cursor)?;
    let now = ingress.context.clock.now();
    let filter = Filter {
        muted: query.muted.map(|muted| (muted, now)),
        level: query.level,
        service: query.service.map(String::from),
        namespace: query.namespace.map(String::from),
        text: query.q.and_then(BoundedText::said),
        ..Filter::default()
    };
    let db = ingress.context.db.view_for(filter.text.is_some()).await?;
    let found = lists::anomalies(&*db, &filter, before, limit + 1).await?;
    let found = counted(&ingress.context, found, now).await;
    Ok(Json(Page::new(found, limit, cursor)))
}

fn cursor(View { anomaly, .. }: &View) -> String {
    format!(
        "{}.{}",
        anomaly.last_seen.unwrap_or_default().0,
        anomaly.key
    )
}

fn read_cursor(text: &str) -> Option<(Timestamp, String)> {
    let (seen, key) = text.split_once('.')?;
    is_key(key).then_some(())?;
    Some((Timestamp(seen.parse().ok()?), key.to_owned()))
}

/// Whether it looks like an anomaly's key: 16 bytes in hex.
pub(super) fn is_key(key: &str) -> bool {
    key.len() == 32 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Shows one anomaly.
#[utoipa::path(
    get,
    path = "/anomalies/{key}",
    operation_id = "show_anomaly",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    responses((status = OK, description = "The anomaly", body = View)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
) -> Result<Json<View>, Problem> {
    let found = lists::anomaly(ingress.context.db.view(), &key).await?;
    let now = ingress.context.clock.now();
    let found = vec![found.ok_or_else(unknown)?];
    let mut found = counted(&ingress.context, found, now).await;
    found.pop().map(Json).ok_or_else(unknown)
}

/// A permanent fix.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Fix {
    /// Where it is described, for instance a pull request's address.
    reference: Option<BoundedText>,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
}

/// Marks a permanent fix of an anomaly.
///
/// A firing that begins later makes it tier 4 (architecture). Marked again before such a firing, the mark keeps its
/// time (`changed` is false), but takes another `reference`. Marked again after one, it is a new fix: the earlier one
/// did not hold, and `earlier_fix_at` says when that was.
#[utoipa::path(
    post,
    path = "/anomalies/{key}/permanent-fix",
    operation_id = "set_permanent_fix",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    request_body = Option<Fix>,
    responses((status = OK, description = "The anomaly as it is now", body = Marked)),
)]
pub(super) async fn fix(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<Marked>, Problem> {
    let request: Fix = body::json(body).await?;
    let actor = caller.named(request.operator);
    let reference = request.reference.and_then(BoundedText::said);
    let marked = fix::fix(&ingress.context, &actor, &key, reference).await?;
    Ok(Json(Marked::from(marked)))
}

/// Withdraws a permanent fix.
///
/// Has no effect if there is none; then `changed` is false.
#[utoipa::path(
    delete,
    path = "/anomalies/{key}/permanent-fix",
    operation_id = "unset_permanent_fix",
    tag = "anomalies",
    params(("key" = String, Path, pattern = "^[0-9a-f]{32}$", description = "The anomaly's key")),
    request_body = Option<By>,
    responses((status = OK, description = "The anomaly as it is now", body = Marked)),
)]
pub(super) async fn unfix(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<Marked>, Problem> {
    let By { operator } = body::json(body).await?;
    let actor = caller.named(operator);
    let marked = fix::withdraw(&ingress.context, &actor, &key).await?;
    Ok(Json(Marked::from(marked)))
}

/// An anomaly whose fix was marked or withdrawn.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MarkedAnomaly)]
pub(super) struct Marked {
    /// As it is now.
    #[serde(flatten)]
    anomaly: Model,
    /// Whether this request changed it.
    changed: bool,
    /// When the fix was marked that this one replaces, because a firing began after it.
    earlier_fix_at: Option<Timestamp>,
}

impl From<fix::Marked> for Marked {
    fn from(marked: fix::Marked) -> Self {
        Self {
            anomaly: marked.anomaly,
            changed: marked.changed,
            earlier_fix_at: marked.earlier_fix_at,
        }
    }
}

fn unknown() -> Problem {
    OperationError::NotFound(Resource::Anomaly).into()
}
