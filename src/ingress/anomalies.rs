//! Anomalies: listed, shown, and marked as fixed for good.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;
use uuid::Uuid;

use super::auth::Caller;
use super::pages::{Asked, Asking, Page};
use super::{Ingress, Problem, body};
use crate::domain::mute::as_of;
use crate::entity::anomalies::Model;
use crate::jobs::CalculateTier;
use crate::queue::Push;
use crate::store::audit::{self, Actor, Deed};
use crate::store::{anomalies, incidents, lists};
use crate::time::Timestamp;
use crate::trail;

pub(super) async fn list(
    State(ingress): State<Ingress>,
    asking: Asking,
) -> Result<Json<Page<Model>>, Problem> {
    let asked = Asked::of(asking)?;
    if asked.status.is_some() {
        return Err(Problem::bad_request(
            "anomalies have no status; incidents do",
        ));
    }
    let (limit, before) = (asked.limit()?, asked.cursor(read_cursor)?);
    let db = ingress.context.db.read();
    let now = ingress.context.clock.now();
    let found = lists::anomalies(db, &asked.filter(now), before, limit + 1).await?;
    let found = found.into_iter().map(|anomaly| as_of(now, anomaly));
    Ok(Json(Page::new(found.collect(), limit, cursor)))
}

fn cursor(anomaly: &Model) -> String {
    format!(
        "{}.{}",
        anomaly.last_seen.unwrap_or_default().0,
        anomaly.key
    )
}

fn read_cursor(text: &str) -> Option<(Timestamp, String)> {
    let (seen, key) = text.split_once('.')?;
    Some((Timestamp(seen.parse().ok()?), key.to_owned()))
}

pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
) -> Result<Json<Model>, Problem> {
    let found = lists::anomaly(ingress.context.db.read(), &key).await?;
    let now = ingress.context.clock.now();
    Ok(Json(as_of(now, found.ok_or_else(unknown)?)))
}

/// A permanent fix.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fix {
    reference: Option<String>,
    operator: Option<String>,
}

pub(super) async fn fix(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    Caller(mut actor): Caller,
    body: Body,
) -> Result<Json<Model>, Problem> {
    let fix: Fix = body::json(body).await?;
    if fix
        .reference
        .as_ref()
        .is_some_and(|text| text.len() > 4096 || text.contains('\0'))
    {
        return Err(Problem::bad_request(
            "reference must be at most 4096 bytes, without NUL",
        ));
    }
    actor.operator.clone_from(&fix.operator);
    set(&ingress, &key, Some(fix), &actor).await
}

pub(super) async fn unfix(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    Caller(actor): Caller,
) -> Result<Json<Model>, Problem> {
    set(&ingress, &key, None, &actor).await
}

/// A fix changes the tier, so the newest incident is due for one.
async fn set(
    ingress: &Ingress,
    key: &str,
    fix: Option<Fix>,
    actor: &Actor,
) -> Result<Json<Model>, Problem> {
    let context = &ingress.context;
    let tx = context.db.begin().await?;
    let (anomaly, now) = anomalies::lock(&tx, key).await?.ok_or_else(unknown)?;
    let now = context.clock.of_store(now);
    let (action, detail) = match &fix {
        Some(fix) => (
            "anomaly.fix",
            serde_json::json!({"reference": fix.reference}),
        ),
        None => ("anomaly.unfix", serde_json::json!({})),
    };
    let deed = Deed {
        action,
        target: key,
        detail,
    };
    audit::record(&tx, actor, deed, now).await?;
    anomalies::set_permanent_fix(&tx, key, fix.map(|fix| (now, fix.reference))).await?;
    let newest: Vec<Uuid> = anomaly.newest_incident.into_iter().collect();
    let due = incidents::mark_due(&tx, &newest, now).await?;
    tx.commit().await?;
    let jobs: Vec<_> = due
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    let pushes = jobs.iter().map(|job| Push::new(job).trace(trail::trace()));
    if let Err(error) = context.queues.push_all(pushes).await {
        tracing::warn!("the mark stays, and recount will push it: {error}");
    }
    let anomaly = lists::anomaly(context.db.read(), key).await?;
    Ok(Json(as_of(now, anomaly.ok_or_else(unknown)?)))
}

fn unknown() -> Problem {
    Problem::not_found("there is no such anomaly")
}
