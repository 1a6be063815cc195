//! `POST /api/v1/{source}`: translate, push everything in one round trip, answer.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, RefOr, Required};
use utoipa::{PartialSchema as _, Path as _, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use super::{Ingress, Problem, body};
use crate::jobs::{Content, IngestAlert};
use crate::metrics::{BySource, Metrics};
use crate::queue::Push;
use crate::sources::{Refused, Source, Translated};
use crate::trail;

/// How long a push may take. A sender that hears nothing for longer gives up on us.
const PUSH: Duration = Duration::from_secs(8);

/// What became of a request.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Always `ok`.
    status: &'static str,
    /// Alerts in the body.
    processed: usize,
    /// Jobs pushed for usable ones.
    enqueued: usize,
    /// Unusable ones; each is kept as a dead letter.
    rejected: usize,
}

/// The route of a source, and its description.
pub(super) fn route(source: Source) -> UtoipaMethodRouter<Ingress> {
    let mut schemas = vec![(Taken::name().into_owned(), Taken::schema())];
    Taken::schemas(&mut schemas);
    let mut operation = __path_take::operation();
    operation.operation_id = Some(format!("send_{}", source.name));
    operation.tags = Some(vec!["webhooks".to_owned()]);
    operation.summary = Some(format!("Takes what {} sends.", source.sender));
    let content = ContentBuilder::new()
        .schema(Some((source.schema)()))
        .example(serde_json::from_str(source.example).ok())
        .build();
    let body = RequestBodyBuilder::new()
        .content("application/json", content)
        .required(Some(Required::True))
        .build();
    operation.request_body = Some(RefOr::T(body));
    let mut paths = Paths::new();
    let path = format!("/{}", source.name);
    paths.add_path_operation(path, vec![HttpMethod::Post], operation);
    let take = move |state, body| take(source, state, body);
    (schemas, paths, post(take))
}

/// Takes alerts.
///
/// It is answered once every alert is stored. An alert that cannot be used is kept as a dead letter, with
/// the reason, and does not harm the others of its request.
#[utoipa::path(
    post,
    path = "/",
    responses((status = OK, description = "Every alert is stored", body = Taken)),
)]
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
    let translated = (source.translate)(&body, limits);
    let Translated {
        alerts,
        truncated,
        misdated,
    } = translated.map_err(|refused| refuse(&refused))?;

    let received_at = context.clock.now();
    let jobs: Vec<IngestAlert> = alerts
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
    note(&context.metrics, &by, truncated, misdated);

    let is_usable = |job: &&IngestAlert| matches!(job.content, Content::Alert(_));
    let enqueued = jobs.iter().filter(is_usable).count();
    let rejected = jobs.len() - enqueued;
    context
        .metrics
        .received
        .get_or_create(&by)
        .inc_by(jobs.len() as u64);
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

/// Says what was taken and is not as it should be.
fn note(metrics: &Metrics, by: &BySource, truncated: u64, misdated: u64) {
    let source = by.source;
    if truncated > 0 {
        tracing::warn!(
            source,
            alerts = truncated,
            "the sender left alerts out: raise its max_alerts"
        );
        metrics.truncated.get_or_create(by).inc_by(truncated);
    }
    if misdated > 0 {
        tracing::warn!(
            source,
            alerts = misdated,
            "startsAt or endsAt is no RFC 3339 time: it is as if it were missing"
        );
        metrics.misdated.get_or_create(by).inc_by(misdated);
    }
}
