//! Incidents: listed, shown, acknowledged and resolved.

mod bulk;
mod executions;
mod list;
mod many;
mod notes;
mod recommendation;
mod take_over;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::alertmanager::Silence;
use crate::config::Counting;
use crate::domain::escalation::Level;
use crate::domain::reason::{LevelReason, LevelRule, TierRule};
use crate::domain::stale::Heard;
use crate::entity::{incidents, occurrences};
use crate::operations::incident::{Changed, NewNote, reopens_after};
use crate::operations::{self, OperationError, Resource};
use crate::recommendations::of_incident;
use crate::store::audit::Actor;
use crate::store::executions::of_incident as executions_of;
use crate::store::incidents::find;
use crate::store::views::incident_list::Entry;
use crate::store::views::lists;
use crate::text::EN;
use crate::text::analysis::sentences;
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::paging::{self, Gathered, Page, PageParams};
use crate::web::query::Query;
use crate::web::{Ingress, Problem, body, idempotency};
pub(super) use bulk::{__path_change_many, change_many};
pub(super) use executions::View as ExecutionView;
pub(super) use list::{__path_list, list};
pub(super) use many::{__path_resolve_many, resolve_many};
pub(super) use notes::{__path_list_notes, __path_note, list_notes, note};
pub(super) use take_over::{__path_take_over, take_over};

/// An incident as it is answered: its row, and what its anomaly says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub struct View {
    #[serde(flatten)]
    incident: incidents::Model,
    /// The alert's name.
    alert_name: String,
    /// The service it is about.
    service: String,
    /// The namespace it is in.
    namespace: String,
    /// The kind of error.
    error_type: String,
    /// The anomaly's level.
    escalation_level: Level,
    /// Why that level holds, with the figure that it had when the level was set.
    escalation_reason: Option<String>,
    /// The same as data; null where it is not known as such.
    escalation_rule: Option<LevelRule>,
    /// Why the tier holds (`tier_reason`), as data; null where it is not known as such.
    tier_rule: Option<TierRule>,
    /// The findings of its analysis as sentences; empty before it is made.
    analysis_sentences: Vec<String>,
    /// Muted until; null if not muted.
    muted_until: Option<Timestamp>,
    /// Who muted it.
    muted_by: Option<String>,
    /// Why.
    muted_why: Option<String>,
    /// Since when its anomaly flaps: begins and ends again and again; null if it does not.
    flapping_since: Option<Timestamp>,
}

impl View {
    /// As it is at `now`.
    pub(super) fn of(now: Timestamp, (incident, anomaly): Entry) -> Self {
        Self::from((incident, anomaly.as_of(now)))
    }
}

/// As its rows have it: a mute that is over must have been taken from them.
impl From<Entry> for View {
    fn from((incident, anomaly): Entry) -> Self {
        let rule = |reason: &LevelReason| reason.rule().copied();
        let tier_rule = incident.tier_reason.as_ref();
        let analysis = incident.analysis.as_ref();
        let analysis_sentences = analysis.map(|made| sentences(&EN, made));
        Self {
            analysis_sentences: analysis_sentences.unwrap_or_default(),
            tier_rule: tier_rule.and_then(|reason| reason.rule().copied()),
            incident,
            alert_name: anomaly.alert_name,
            service: anomaly.service,
            namespace: anomaly.namespace,
            error_type: anomaly.error_type,
            escalation_level: anomaly.level,
            escalation_rule: anomaly.reason.as_ref().and_then(rule),
            escalation_reason: anomaly.reason.map(|reason| reason.to_string()),
            muted_until: anomaly.muted_until,
            muted_by: anomaly.muted_by,
            muted_why: anomaly.muted_why,
            flapping_since: anomaly.flapping_since,
        }
    }
}

/// One incident in detail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentDetail)]
pub(super) struct Detail {
    #[serde(flatten)]
    incident: View,
    /// The silences in Alertmanager that match its labels and hold now; null if Alertmanager does not
    /// answer, or none is asked (`alertmanager_url`).
    silences: Option<Vec<Silence>>,
    /// What to do next; null if it is resolved, or its tier is not calculated yet.
    recommendation: Option<recommendation::View>,
    /// What people wrote about it, the newest first, at most 50.
    notes: Vec<crate::entity::notes::Model>,
    /// What executors are asked to run on it, the oldest first.
    executions: Vec<ExecutionView>,
}

/// An incident after an operation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedIncident)]
pub(super) struct After {
    #[serde(flatten)]
    incident: View,
    /// Whether the request changed it; false if its status was so already.
    changed: bool,
    /// If its alert is still received after this time, it reopens; null unless a person resolved it and some of
    /// its firings have not ended.
    reopens_after: Option<Timestamp>,
}

impl After {
    fn of(ingress: &Ingress, done: Changed) -> Self {
        let window = ingress.context.config.aggregation.window.0;
        Self {
            changed: done.changed,
            reopens_after: reopens_after(&done.entry.0, window),
            incident: View::of(done.now, done.entry),
        }
    }
}

/// A firing as it is answered: its row, and whether it is heard of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Firing)]
pub(super) struct Firing {
    #[serde(flatten)]
    row: occurrences::Model,
    /// Whether it is stale: open, and not received for `counting.unheard`, or for `counting.unheard_leases` leases of
    /// its source.
    unheard: bool,
}

impl Firing {
    fn of(counting: &Counting, now: Timestamp, row: occurrences::Model) -> Self {
        let patience = counting.stale_limits();
        let is_open = row.ended_at.is_none() && row.series.is_some();
        Self {
            unheard: is_open && patience.is_unheard(&Heard::from(&row), now),
            row,
        }
    }
}

/// Shows one incident.
#[utoipa::path(
    get,
    path = "/incidents/{id}",
    operation_id = "show_incident",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    responses((status = OK, description = "The incident", body = Detail)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, Problem> {
    let (id, context) = (parse(&id)?, &ingress.context);
    let found = lists::incident(context.db.view(), id).await?;
    let entry = found.ok_or_else(unknown)?;
    let silences = match &context.alertmanager {
        Some(alertmanager) => alertmanager.silences(&entry.0.labels).await,
        None => None,
    };
    let now = context.clock.now();
    let db = context.db.view();
    let recommended = of_incident(context, db, (&entry.0, &entry.1), now).await?;
    let executions = executions_of(db, id).await?.into_iter();
    Ok(Json(Detail {
        notes: crate::store::notes::of(db, id, notes::SHOWN).await?,
        executions: executions.map(|row| ExecutionView::of(row, now)).collect(),
        recommendation: recommended.map(recommendation::View::from),
        incident: View::of(now, entry),
        silences,
    }))
}

/// Lists the firings of an incident, newest first.
///
/// One entry for each firing; where `counting.unit` is `delivery`, one for each delivery, too.
#[utoipa::path(
    get,
    path = "/incidents/{id}/occurrences",
    operation_id = "list_occurrences",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id"), PageParams),
    responses((status = OK, description = "A page of firings", body = Page<Firing>)),
)]
pub(super) async fn occurrences(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    Query(query): Query<PageParams>,
) -> Result<Json<Page<Firing>>, Problem> {
    let (limit, before) = (query.limit()?, query.cursor()?);
    let context = &ingress.context;
    let db = context.db.view();
    let incident = find(db, parse(&id)?).await?.ok_or_else(unknown)?;
    let of = |row: &occurrences::Model| (row.id, paging::bytes(&row.labels));
    let mut found = Gathered::new(limit, before);
    while let Some((before, some)) = found.wants() {
        let rows = lists::occurrences(db, &incident, before, some).await?;
        found.add(some, rows, of);
    }
    let (counting, now) = (&context.config.counting, context.clock.now());
    Ok(Json(found.page(|row| Firing::of(counting, now, row), of)))
}

/// Who does it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct By {
    /// Operator name, for the audit entry.
    pub(super) operator: Option<BoundedText>,
}

/// Who does it, and what there is to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ByWithNote {
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
    /// A note about the incident.
    note: Option<BoundedText>,
}

/// Acknowledges an incident.
///
/// Has no effect if it is acknowledged already, but for the note.
#[utoipa::path(
    post,
    path = "/incidents/{id}/acknowledge",
    operation_id = "acknowledge_incident",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = Option<ByWithNote>,
    responses(
        (status = OK, description = "The incident as it is now", body = After),
        (status = CONFLICT, description = "It is resolved and cannot be acknowledged"),
    ),
)]
pub(super) async fn acknowledge(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<After>, Problem> {
    let ByWithNote { operator, note } = body::json(body).await?;
    let (id, actor) = (parse(&id)?, caller.named(operator));
    let note = note.map(String::from);
    let note = NewNote::said(note.as_deref(), idempotency::key(&headers)?);
    let changed = operations::incident::acknowledge(&ingress.context, &actor, id, note).await?;
    Ok(Json(After::of(&ingress, changed)))
}

/// Resolves an incident.
///
/// Has no effect if it is resolved already, but for the note. If its alert still fires more than `aggregation.window` later,
/// it reopens.
#[utoipa::path(
    post,
    path = "/incidents/{id}/resolve",
    operation_id = "resolve_incident",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = Option<ByWithNote>,
    responses((status = OK, description = "The incident as it is now", body = After)),
)]
pub(super) async fn resolve(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<After>, Problem> {
    let ByWithNote { operator, note } = body::json(body).await?;
    let (id, actor) = (parse(&id)?, caller.named(operator));
    let note = note.map(String::from);
    let note = NewNote::said(note.as_deref(), idempotency::key(&headers)?);
    let changed = operations::incident::resolve(&ingress.context, &actor, id, note).await?;
    Ok(Json(After::of(&ingress, changed)))
}

/// Has an incident analyzed again.
///
/// Its status stays as it is. `analyze_due_since` is null again when the analysis is made. Has no effect while
/// the incident waits to be analyzed.
#[utoipa::path(
    post,
    path = "/incidents/{id}/analyze",
    operation_id = "analyze_incident",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = Option<By>,
    responses((status = OK, description = "The incident as it is now", body = View)),
)]
pub(super) async fn analyze(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<View>, Problem> {
    let (id, actor) = read(&id, caller, body).await?;
    let asked = operations::analysis::request(&ingress.context, &actor, id).await?;
    Ok(Json(View::of(asked.now, asked.entry)))
}

/// Which incident, and who acts.
async fn read(id: &str, caller: Caller, body: Body) -> Result<(Uuid, Actor), Problem> {
    let By { operator } = body::json(body).await?;
    Ok((parse(id)?, caller.named(operator)))
}

pub(super) fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    OperationError::NotFound(Resource::Incident).into()
}
