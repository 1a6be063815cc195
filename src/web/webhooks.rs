//! `POST /api/v1/{source}`: translate, push everything in one round trip, answer.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::Serialize;
use utoipa::openapi::path::{HttpMethod, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{ContentBuilder, RefOr, Required};
use utoipa::{PartialSchema as _, Path as _, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use super::refusals::Refusals;
use super::{Ingress, Problem, body, problem};
use crate::domain::refusal::{Code, Refusal};
use crate::jobs::{Content, IngestAlert};
use crate::queue::Push;
use crate::sources::{Refused, SOURCES, Source, Translated, cluster, rejected_together};
use crate::telemetry::metrics::{BySource, Metrics};
use crate::telemetry::task_context;
use crate::time::Timestamp;

/// How long a push may take. A sender that hears nothing for longer gives up on us.
const PUSH: Duration = Duration::from_secs(8);

/// What became of a request.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct WebhookAnswer {
    /// Always `ok`.
    status: &'static str,
    /// Alerts in the body.
    processed: usize,
    /// Jobs enqueued for usable alerts.
    enqueued: usize,
    /// Unusable alerts, which are kept as one dead letter.
    rejected: usize,
}

/// The route of a source, and its description.
pub(super) fn route(source: Source) -> UtoipaMethodRouter<Ingress> {
    let mut schemas = vec![(WebhookAnswer::name().into_owned(), WebhookAnswer::schema())];
    WebhookAnswer::schemas(&mut schemas);
    let mut operation = __path_take::operation();
    operation.operation_id = Some(format!("send_{}", source.name));
    operation.tags = Some(vec!["webhooks".to_owned()]);
    operation.summary = Some(format!("Receives alerts from {}.", source.sender));
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
    let take = move |state, query: Result<_, _>, body| take(source, state, query.ok(), body);
    (schemas, paths, post(take))
}

/// What is said of a method that an address does not take. Somebody may open a webhook's address in a
/// browser, or have it probed.
pub(super) async fn not_posted(refusals: Refusals, request: Request) -> Response {
    let Some(source) = source_at(request.uri().path()) else {
        return problem::method_not_allowed().await.into_response();
    };
    let what = format!("this is the webhook for {}: use POST", source.sender);
    let answer = Problem::new(Code::MethodNotAllowed, what).into_response();
    refusals.note(source.name, refusals.client(&request), &answer);
    answer
}

/// Whose webhook is at this address, which may be what is left of it beneath the API's.
pub(super) fn source_at(path: &str) -> Option<&'static Source> {
    let name = path.strip_prefix(super::API).unwrap_or(path);
    let name = name.strip_prefix('/')?;
    SOURCES.iter().find(|source| source.name == name)
}

/// What stands behind the `?` of a webhook's address. Names that are not known are passed over, unlike
/// elsewhere: nobody reads the answer, and the alerts would be lost.
type WebhookQuery = Query<Vec<(String, String)>>;

/// The cluster that the webhook's address names.
fn named_cluster(query: Option<WebhookQuery>) -> Option<String> {
    let Query(query) = query?;
    let last = query.iter().rev().find(|(name, _)| name == "cluster");
    last.and_then(|(_, name)| cluster::named(name))
}

/// Takes alerts.
///
/// It is answered once every alert is stored. What cannot be used is kept as a dead letter, one for the
/// request, with the reasons, and does not harm the others.
#[utoipa::path(
    post,
    path = "/",
    params((
        "cluster" = Option<String>, Query,
        description = "The cluster that sends these alerts, for example `eu`: equal alerts of two clusters \
                       are different series. Default: from the sender's external URL, if one is \
                       configured. Other parameters are ignored.",
    )),
    responses((status = OK, description = "Every alert is stored", body = WebhookAnswer)),
)]
pub(super) async fn take(
    source: Source,
    State(ingress): State<Ingress>,
    query: Option<WebhookQuery>,
    body: Body,
) -> Result<Json<WebhookAnswer>, Problem> {
    let began = Instant::now();
    let (context, by) = (
        &ingress.context,
        BySource {
            source: source.name,
        },
    );
    if ingress.gate.is_full() {
        return Err(Problem::new(
            Code::QueueFull,
            "the queue is full: retry later",
        ));
    }
    let config = &context.config;
    let body = body::read(body, config.limits.body).await?;
    let translated = (source.translate)(&body, config);
    let Translated {
        alerts,
        truncated,
        misdated,
        unknown_status,
        cluster,
    } = translated.map_err(|refused| refuse(&refused, &body))?;

    let received_at = context.clock.now();
    let latest = received_at.after(config.counting.skew.0);
    let ahead = alerts.iter().filter(|alert| starts_after(alert, latest));
    let ahead = ahead.count() as u64;
    let stored = cluster::with_cluster(source.name, named_cluster(query).or(cluster).as_deref());
    let processed = alerts.len();
    let jobs: Vec<IngestAlert> = rejected_together(alerts)
        .into_iter()
        .map(|content| IngestAlert {
            source: stored.clone(),
            received_at,
            content,
        })
        .collect();
    let trace = task_context::trace();
    let pushes = jobs.iter().map(|job| Push::new(job).trace(trace));
    let push = context.queues.push_all(pushes);
    let pushed = tokio::time::timeout(PUSH, push).await;
    let silent = "the queue does not respond: retry later";
    pushed.map_err(|_| Problem::new(Code::QueueUnavailable, silent))??;
    note(&context.metrics, &by, truncated, misdated, ahead);
    if unknown_status > 0
        && let Some(more) = ingress.unknown_statuses.says(source.name)
    {
        tracing::warn!(
            source = source.name,
            alerts = unknown_status,
            more,
            "an alert's status is neither firing nor resolved: treated as firing"
        );
    }

    let is_usable = |job: &&IngestAlert| matches!(job.content, Content::Alert(_));
    let enqueued = jobs.iter().filter(is_usable).count();
    context
        .metrics
        .received
        .get_or_create(&by)
        .inc_by(processed as u64);
    let took = began.elapsed().as_secs_f64();
    context
        .metrics
        .accept_seconds
        .get_or_create(&by)
        .observe(took);
    Ok(Json(WebhookAnswer {
        status: "ok",
        processed,
        enqueued,
        rejected: processed - enqueued,
    }))
}

fn refuse(refused: &Refused, body: &Bytes) -> Problem {
    match refused {
        Refused::Malformed(_) => {
            Problem::new(Code::InvalidBody, refused.to_string()).of_body(body.clone())
        }
        Refused::TooMany { count, most } => {
            let refusal = Refusal::new(Code::TooManyAlerts, refused.to_string());
            refusal.limit(*most as u64).alerts(*count as u64).into()
        }
    }
}

/// Whether an alert says that it began later than that.
fn starts_after(content: &Content, latest: Timestamp) -> bool {
    match content {
        Content::Alert(alert) => alert.starts_at.is_some_and(|at| at > latest),
        Content::Rejected { .. } => false,
    }
}

/// Says what was taken and is not as it should be.
fn note(metrics: &Metrics, by: &BySource, truncated: u64, misdated: u64, ahead: u64) {
    let source = by.source;
    if truncated > 0 {
        tracing::warn!(
            source,
            alerts = truncated,
            "the sender omitted alerts: raise max_alerts in its webhook_configs"
        );
        metrics.truncated.get_or_create(by).inc_by(truncated);
    }
    if misdated > 0 {
        tracing::warn!(
            source,
            alerts = misdated,
            "startsAt or endsAt is not an RFC 3339 time: treated as missing"
        );
        metrics.misdated.get_or_create(by).inc_by(misdated);
    }
    if ahead > 0 {
        tracing::warn!(
            source,
            alerts = ahead,
            "startsAt is in the future: check the clocks of the sender and of this computer"
        );
        metrics.misdated.get_or_create(by).inc_by(ahead);
    }
}
