//! `POST /api/v1/{source}`: translate, push everything in one round trip, answer.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::{Ingress, Problem, body};
use crate::jobs::{Content, IngestAlert};
use crate::metrics::BySource;
use crate::queue::Push;
use crate::sources::{Refused, Source, Translated};
use crate::trail;

/// How long a push may take. A sender that hears nothing for longer gives up on us.
const PUSH: Duration = Duration::from_secs(8);

/// What became of a request.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Taken {
    status: &'static str,
    /// Alerts in the body.
    processed: usize,
    /// Jobs pushed for usable ones.
    enqueued: usize,
    /// Unusable ones; each is kept as a dead letter.
    rejected: usize,
}

pub(super) async fn take(
    source: Source,
    State(ingress): State<Ingress>,
    body: Body,
) -> Result<Json<Taken>, Problem> {
    let began = Instant::now();
    let (context, by) = (
        &ingress.context,
        BySource {
            source: source.name,
        },
    );
    if ingress.gate.is_full() {
        return Err(Problem::unavailable("the queue is full"));
    }
    let limits = &context.config.limits;
    let body = body::read(body, limits.body).await?;
    let translated = (source.translate)(&body, limits).map_err(|refused| refuse(&refused))?;
    note_truncated(&ingress, &by, &translated);

    let received_at = context.clock.now();
    let jobs: Vec<IngestAlert> = translated
        .alerts
        .into_iter()
        .map(|content| IngestAlert {
            source: source.name.to_owned(),
            received_at,
            content,
        })
        .collect();
    let trace = trail::trace();
    let pushes = jobs.iter().map(|job| Push::new(job).trace(trace));
    let push = context.queues.push_all(pushes);
    let pushed = tokio::time::timeout(PUSH, push).await;
    pushed.map_err(|_| Problem::unavailable("the queue does not answer"))??;

    let is_usable = |job: &&IngestAlert| matches!(job.content, Content::Alert(_));
    let enqueued = jobs.iter().filter(is_usable).count();
    let rejected = jobs.len() - enqueued;
    context
        .metrics
        .accepted
        .get_or_create(&by)
        .inc_by(enqueued as u64);
    context
        .metrics
        .rejected
        .get_or_create(&by)
        .inc_by(rejected as u64);
    let took = began.elapsed().as_secs_f64();
    context
        .metrics
        .accept_seconds
        .get_or_create(&by)
        .observe(took);
    Ok(Json(Taken {
        status: "ok",
        processed: jobs.len(),
        enqueued,
        rejected,
    }))
}

fn refuse(refused: &Refused) -> Problem {
    match refused {
        Refused::Malformed(_) => Problem::bad_request(refused.to_string()),
        Refused::TooMany { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, refused.to_string()),
    }
}

fn note_truncated(ingress: &Ingress, by: &BySource, translated: &Translated) {
    if translated.truncated > 0 {
        let alerts = translated.truncated;
        tracing::warn!(
            source = by.source,
            alerts,
            "the sender left alerts out: raise its max_alerts"
        );
        ingress
            .context
            .metrics
            .truncated
            .get_or_create(by)
            .inc_by(alerts);
    }
}
