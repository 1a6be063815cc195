//! Mutes: an anomaly that tells nothing for a while.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::auth::Caller;
use super::incidents::By;
use super::{Ingress, Problem, body};
use crate::config::Span;
use crate::deeds::mute;
use crate::domain::mute::Ends;
use crate::entity::anomalies::Model;
use crate::time::Timestamp;

/// Bytes of a reason, and of a name.
const TEXT_BYTES: usize = 4096;

/// A mute, as it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    r#for: Option<Span>,
    until: Option<Timestamp>,
    why: Option<String>,
    operator: Option<String>,
}

impl Asked {
    fn ends(&self) -> Result<Ends, Problem> {
        match (self.r#for, self.until) {
            (Some(span), None) => Ok(Ends::After(span.0)),
            (None, Some(moment)) => Ok(Ends::At(moment)),
            (None, None) => Err(Problem::bad_request(
                "say for how long, as in {\"for\": \"1h\"}, or until when, as in \
                 {\"until\": \"2026-01-31T18:00:00Z\"}",
            )),
            (Some(_), Some(_)) => Err(Problem::bad_request("say either `for` or `until`")),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        for text in [&self.why, &self.operator].into_iter().flatten() {
            if text.len() > TEXT_BYTES || text.contains('\0') {
                let detail = format!("a text must be at most {TEXT_BYTES} bytes, without NUL");
                return Err(Problem::bad_request(detail));
            }
        }
        Ok(())
    }
}

pub(super) async fn mute(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    Caller(mut actor): Caller,
    body: Body,
) -> Result<Json<Model>, Problem> {
    let asked: Asked = body::json(body).await?;
    asked.check()?;
    let ends = asked.ends()?;
    let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    actor.operator = some(asked.operator);
    let context = &ingress.context;
    let tx = context.db.begin().await?;
    let what = (ends, some(asked.why));
    let (anomaly, due) = mute::mute(&tx, context, &key, what, &actor).await?;
    tx.commit().await?;
    due.push(context).await;
    Ok(Json(anomaly))
}

pub(super) async fn unmute(
    State(ingress): State<Ingress>,
    Path(key): Path<String>,
    Caller(mut actor): Caller,
    body: Body,
) -> Result<Json<Model>, Problem> {
    let By { operator } = body::json(body).await?;
    actor.operator = operator;
    let context = &ingress.context;
    let tx = context.db.begin().await?;
    let (anomaly, due) = mute::unmute(&tx, context, &key, &actor).await?;
    tx.commit().await?;
    due.push(context).await;
    Ok(Json(anomaly))
}
