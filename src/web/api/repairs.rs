//! Repairs: what was tried on an incident, whether it helped, and what each action was worth.

mod allow;
mod past;
mod report;
mod worth;

use axum::Json;
use axum::extract;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::config::RepairSettings;
use crate::context::Context;
use crate::domain::repair_class::RepairClass;
use crate::domain::verdict::{Verdict, VerdictReason};
use crate::entity::repairs::Model;
use crate::store::views::timeline::{self, RepairFilter, RepairPosition};
use crate::store::views::top_anomalies::{ActionStats, by_action};
use crate::time::Timestamp;
use crate::web::bounded_text::BoundedText;
use crate::web::paging::{self, Page};
use crate::web::query::Query;
use crate::web::{Ingress, Problem};
pub(super) use allow::{__path_allow, allow};
pub(super) use past::{__path_last_time, last_time};
pub(super) use report::{
    __path_finish, __path_record, __path_record_of_alert, __path_record_of_anomaly, __path_show,
    Queued, finish, record, record_of_alert, record_of_anomaly, show,
};
pub(super) use worth::{__path_effectiveness, __path_of_anomaly, effectiveness, of_anomaly};

/// A repair as it is answered: its row, and what the settings say of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repair)]
pub(super) struct View {
    /// Its id; also that of the job that recorded it.
    id: Uuid,
    /// Its incident.
    incident_id: Uuid,
    /// Its anomaly.
    anomaly_key: String,
    /// What was done.
    action: String,
    /// The action's class (`repairs.actions`); null if none names it.
    class: Option<RepairClass>,
    /// Whether it is finished.
    state: State,
    /// Whether it helped, by the report (the claim); null while it is not finished.
    success: Option<bool>,
    /// What silence says of it; null until it is judged.
    verdict: Option<Verdict>,
    /// Why.
    verdict_reason: Option<VerdictReason>,
    /// When it was judged last; null if that is to be done, for the first time or again.
    judged_at: Option<Timestamp>,
    /// For how long its anomaly had to stay quiet, in milliseconds; null until it is judged.
    quiet_ms: Option<i64>,
    /// How long after it the last firing ended, in milliseconds; null unless it is verified.
    quiet_after_ms: Option<i64>,
    /// Who did it.
    operator: Option<String>,
    /// Note.
    note: Option<String>,
    /// How long it took, in milliseconds.
    #[schema(minimum = 0)]
    duration_ms: Option<i64>,
    /// When it started, if that was reported.
    started_at: Option<Timestamp>,
    /// When it finished.
    finished_at: Option<Timestamp>,
    /// When it finished; when it started, while it is not finished.
    repaired_at: Timestamp,
}

/// Whether a repair is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RepairState)]
pub(in crate::web) enum State {
    /// It was started.
    Started,
    /// It was started, and not finished for `repairs.unfinished`.
    Unfinished,
    /// It is finished.
    Finished,
}

impl State {
    /// Of a repair at `now`.
    pub(in crate::web) fn of(repair: &Model, settings: &RepairSettings, now: Timestamp) -> Self {
        let is_late = now.since(repair.repaired_at) >= settings.unfinished.0;
        match (repair.unfinished, is_late) {
            (false, _) => Self::Finished,
            (true, false) => Self::Started,
            (true, true) => Self::Unfinished,
        }
    }
}

impl View {
    pub(super) fn of(context: &Context, repair: Model, now: Timestamp) -> Self {
        let settings = &context.config.repairs;
        let is_finished = !repair.unfinished;
        Self {
            class: settings.actions.of(&repair.action),
            state: State::of(&repair, settings, now),
            success: is_finished.then_some(repair.success),
            finished_at: is_finished.then_some(repair.repaired_at),
            id: repair.id,
            incident_id: repair.incident_id,
            anomaly_key: repair.anomaly_key,
            action: repair.action,
            verdict: repair.verdict,
            verdict_reason: repair.verdict_reason,
            judged_at: repair.judged_at,
            quiet_ms: repair.quiet_ms,
            quiet_after_ms: repair.quiet_after_ms,
            operator: repair.operator,
            note: repair.note,
            duration_ms: repair.duration_ms,
            started_at: repair.started_at,
            repaired_at: repair.repaired_at,
        }
    }
}

/// Query of the repairs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RepairQuery {
    /// On this anomaly, by its key.
    anomaly: Option<BoundedText>,
    /// With this action, for example `restart_pod`; as it is recorded, or in another spelling of that.
    action: Option<BoundedText>,
    /// Whether it helped, by the report.
    success: Option<bool>,
    /// With this verdict.
    verdict: Option<Verdict>,
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9]{1,15}\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists repairs, newest first.
#[utoipa::path(
    get,
    path = "/repairs",
    operation_id = "list_repairs",
    tag = "repairs",
    params(RepairQuery),
    responses((status = OK, description = "A page of repairs", body = Page<View>)),
)]
pub(super) async fn list(
    extract::State(ingress): extract::State<Ingress>,
    Query(query): Query<RepairQuery>,
) -> Result<Json<Page<View>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let before = paging::cursor(query.cursor.as_deref(), position)?;
    let filter = RepairFilter {
        anomaly: query.anomaly.map(String::from),
        action: query.action.map(String::from),
        success: query.success,
        verdict: query.verdict,
    };
    let db = ingress.context.db.view();
    let found = timeline::newest_repairs(db, &filter, before, limit + 1).await?;
    let (context, now) = (&ingress.context, ingress.context.clock.now());
    let page = Page::new(found, limit, cursor);
    Ok(Json(page.map(|repair| View::of(context, repair, now))))
}

/// Where a list of repairs goes on after this one.
pub(crate) fn cursor(repair: &Model) -> String {
    format!("{}.{}", repair.repaired_at.0, repair.id)
}

/// Reads what [`cursor`] wrote.
pub(crate) fn position(text: &str) -> Option<RepairPosition> {
    let (at, id) = text.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}

/// Query of the actions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActionQuery {
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^([0-9]{1,18}\\.[^\\x00]+)?$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists how effective each action is over all anomalies, most tried first.
#[utoipa::path(
    get,
    path = "/repairs/actions",
    operation_id = "list_repair_actions",
    tag = "repairs",
    params(ActionQuery),
    responses((status = OK, description = "A page of actions", body = Page<ActionStats>)),
)]
pub(super) async fn actions(
    extract::State(ingress): extract::State<Ingress>,
    Query(query): Query<ActionQuery>,
) -> Result<Json<Page<ActionStats>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let place = |text: &str| {
        let (attempts, action) = text.split_once('.')?;
        (!action.is_empty()).then_some(())?;
        Some((attempts.parse().ok()?, action.to_owned()))
    };
    let before = paging::cursor(query.cursor.as_deref(), place)?;
    let found = by_action(ingress.context.db.view(), before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, |worth| {
        format!("{}.{}", worth.attempts, worth.action)
    })))
}
