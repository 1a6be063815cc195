//! The webhooks of the sources: translate, push everything in one round trip, answer.

mod elsewhere;
mod noted;

use std::time::{Duration, Instant};

use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::path::{HttpMethod, Operation, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, RefOr, Required};
use utoipa::{PartialSchema as _, Path as _, ToSchema as _};
use utoipa_axum::router::UtoipaMethodRouter;

use super::refusals::Refusals;
use super::{Ingress, Problem, body, confirmation, problem};
use crate::config::{Config, Expected};
use crate::context::Context;
use crate::domain::alert::AlertStatus;
use crate::domain::canary;
use crate::domain::refusal::{Code, Refusal};
use crate::jobs::{Content, IngestAlert};
use crate::operations::own::watch_name;
use crate::queue::Push;
use crate::sources::{Delivery, Refused, Source, Verb, WebhookAnswer, cluster, rejected_together};
use crate::telemetry::metrics::{BySource, Metrics, Outcome};
use crate::telemetry::task_context;
use crate::telemetry::trace_context::Trace;
use noted::Noted;

/// How long a push may take. A sender that hears nothing for longer gives up on us.
const PUSH: Duration = Duration::from_secs(8);

/// The routes of a source, and their descriptions.
pub(super) fn routes(source: Source) -> impl Iterator<Item = UtoipaMethodRouter<Ingress>> {
    let paths = source.paths.iter().enumerate();
    paths.map(move |(n, path)| {
        let mut schemas = vec![(WebhookAnswer::name().into_owned(), WebhookAnswer::schema())];
        WebhookAnswer::schemas(&mut schemas);
        let mut paths = Paths::new();
        let mut router = MethodRouter::new();
        for method in source.methods {
            let mut operation = described(source, path);
            operation.operation_id = Some(match (n, method) {
                (0, Verb::Post) => format!("send_{}", source.name),
                (0, _) => format!(
                    "send_{}_by_{}",
                    source.name,
                    method_name(*method).to_lowercase()
                ),
                (_, _) => format!(
                    "send_{}_{}_{n}",
                    source.name,
                    method_name(*method).to_lowercase()
                ),
            });
            let method = *method;
            let (described, filter) = match method {
                Verb::Post => (HttpMethod::Post, MethodFilter::POST),
                Verb::Put => (HttpMethod::Put, MethodFilter::PUT),
            };
            paths.add_path_operation(*path, vec![described], operation);
            let take = move |state, request| take(source, method, state, request);
            router = router.merge(on(filter, take));
        }
        (schemas, paths, router)
    })
}

/// What is said of a source's webhook in the description.
fn described(source: Source, path: &str) -> Operation {
    let mut operation = __path_take::operation();
    if path.contains("{name}") {
        let name = ParameterBuilder::new()
            .name("name")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("What the address names: for Prometheus its cluster, for any other sender of JSON its mapping in the settings"))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .example(Some("eu".into()))
            .build();
        operation
            .parameters
            .get_or_insert_default()
            .push(RefOr::T(name));
    }
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
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200")
        && !source.answer.has_counts
    {
        answer.content.clear();
    }
    operation
}

const fn method_name(method: Verb) -> &'static str {
    match method {
        Verb::Post => "POST",
        Verb::Put => "PUT",
    }
}

/// What is said of a method that an address does not take. Somebody may open a webhook's address in a
/// browser, or have it probed.
pub(super) async fn not_posted(
    refusals: &Refusals,
    sources: &[Source],
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let Some((source, name)) = source_at(sources, &path) else {
        return problem::method_not_allowed().await.into_response();
    };
    let methods: Vec<&str> = source.methods.iter().copied().map(method_name).collect();
    let what = format!(
        "this is the webhook for {}: use {}",
        source.sender,
        methods.join(" or ")
    );
    let answer = Problem::new(Code::MethodNotAllowed, what).into_response();
    let called = refusals.called(source, name);
    refusals.note(source.name, &called, refusals.client(&request), &answer);
    answer
}

/// Whose webhook is at this path, and what stands for `{name}` in it.
pub(super) fn source_at<'s, 'p>(
    sources: &'s [Source],
    path: &'p str,
) -> Option<(&'s Source, &'p str)> {
    let mut at = sources
        .iter()
        .filter_map(|source| Some((source, source.at(path)?.1)));
    at.next()
}

/// What a source is given of a request.
async fn delivery(
    source: &Source,
    method: Verb,
    request: Request,
    context: &Context,
) -> Result<Delivery, Problem> {
    let (parts, body) = request.into_parts();
    let (path, name) = source.at(parts.uri.path()).unwrap_or_default();
    let name = name.to_owned();
    // Unknown names are ignored, unlike elsewhere: no person reads the answer, and the alerts would be
    // lost. So is what cannot be read.
    let query = Query::try_from_uri(&parts.uri).map(|Query(query)| query);
    Ok(Delivery {
        method,
        path,
        name,
        headers: parts.headers,
        query: query.unwrap_or_default(),
        body: body::read(body, context.config.limits.body).await?,
        received_at: context.clock.now(),
    })
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
    method: Verb,
    State(ingress): State<Ingress>,
    request: Request,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let context = &ingress.context;
    if ingress.gate.is_full() && source.answer.within.is_none() {
        return Err(Problem::new(
            Code::QueueFull,
            "the queue is full: retry later",
        ));
    }
    let config = &context.config;
    let delivery = delivery(&source, method, request, context).await?;
    let translated = (source.translate)(&delivery, config);
    let translated = translated.and_then(|translated| {
        let sources = &ingress.sources;
        match elsewhere::is_misdirected(&source, sources, &delivery, &translated, config) {
            true => Err(Refused::Malformed(String::new())),
            false => Ok(translated),
        }
    });
    let translated = translated
        .map_err(|refused| refuse(refused, &source, &ingress.sources, &delivery, config))?;

    let received_at = delivery.received_at;
    let noted = Noted::of(&translated, received_at.after(config.counting.skew.0));
    let said = noted::said(&translated);
    let cluster = delivery.parameter("cluster").and_then(cluster::named);
    let cluster = cluster.or(translated.cluster);
    let called = source.called(config, &delivery.name);
    let stored = cluster::with_cluster(&called, cluster.as_deref());
    let (tests, unused) = (translated.tests, translated.unused);
    let canaries = canaries(&translated.alerts);
    let seen = expected(config, &stored, &translated.alerts);
    let processed = translated.alerts.len() as u64;
    let jobs: Vec<IngestAlert> = rejected_together(translated.alerts)
        .into_iter()
        .map(|content| IngestAlert {
            source: stored.clone(),
            received_at,
            content,
        })
        .collect();
    let is_usable = |job: &&IngestAlert| matches!(job.content, Content::Alert(_));
    let enqueued = jobs.iter().filter(is_usable).count() as u64;
    let trace = task_context::trace();
    match source.answer.within {
        Some(within) => {
            let size = delivery.body.len();
            ingress.late.push(jobs, trace, size, within).await?;
        }
        None => push(context, &jobs, trace).await?,
    }
    noted.report(&ingress, source.name);
    let taken = WebhookAnswer {
        status: "ok",
        processed: processed + tests + unused,
        enqueued,
        rejected: processed - enqueued,
        tests,
        unused,
    };
    count(
        &context.metrics,
        source.name,
        (&taken, canaries),
        began.elapsed(),
    );
    let tallies = ingress.refusals.tallies();
    for name in seen {
        tallies.seen(name, received_at);
    }
    // What Tocsin sent itself says nothing of who sends there otherwise.
    if canaries == 0 || canaries < taken.processed {
        tallies.taken(&called, &taken, said);
    }
    if let Some(asked) = translated.confirmation {
        confirmation::take(tallies, &called, asked);
    }
    Ok((source.answer.give)(&taken))
}

/// Pushes jobs in one round trip.
pub(super) async fn push(
    context: &Context,
    jobs: &[IngestAlert],
    trace: Option<Trace>,
) -> Result<(), Problem> {
    let pushes = jobs.iter().map(|job| Push::new(job).trace(trace));
    let push = context.queues.push_all(pushes);
    let pushed = tokio::time::timeout(PUSH, push).await;
    let silent = "the queue does not respond: retry later";
    pushed.map_err(|_| Problem::new(Code::QueueUnavailable, silent))??;
    Ok(())
}

/// Which of the alerts that are expected are here and fire.
fn expected(config: &Config, source: &str, alerts: &[Content]) -> Vec<String> {
    let fires = |expected: &&Expected| {
        alerts.iter().any(|content| match content {
            Content::Alert(alert) => {
                alert.status == AlertStatus::Firing && expected.is(source, &alert.labels)
            }
            Content::Rejected { .. } => false,
        })
    };
    let here = config.expected.iter().filter(fires);
    here.map(|expected| watch_name(&expected.name())).collect()
}

/// How many of these are marked as canaries.
fn canaries(alerts: &[Content]) -> u64 {
    let is_marked = |content: &&Content| match content {
        Content::Alert(alert) => canary::marked(&alert.labels).is_some(),
        Content::Rejected { .. } => false,
    };
    alerts.iter().filter(is_marked).count() as u64
}

/// Counts a delivery that was taken, and the canaries in it, which are of no source.
fn count(
    metrics: &Metrics,
    source: &'static str,
    (taken, canaries): (&WebhookAnswer, u64),
    took: Duration,
) {
    let by = BySource { source };
    let of_source = taken.processed.saturating_sub(canaries);
    metrics.received.get_or_create(&by).inc_by(of_source);
    if canaries > 0 {
        let source = canary::SOURCE;
        let of_canaries = metrics.received.get_or_create(&BySource { source });
        of_canaries.inc_by(canaries);
    }
    for (outcome, n) in [
        (Outcome::Test, taken.tests),
        (Outcome::Unused, taken.unused),
    ] {
        if n > 0 {
            metrics.alerts.add_many(source, outcome, n);
        }
    }
    metrics
        .accept_seconds
        .get_or_create(&by)
        .observe(took.as_secs_f64());
}

/// Why a delivery is not taken. One that another source knows is refused with that one's address.
fn refuse(
    refused: Refused,
    source: &Source,
    sources: &[Source],
    delivery: &Delivery,
    config: &Config,
) -> Problem {
    let detail = refused.to_string();
    match refused {
        Refused::Malformed(_) => {
            let refusal = match elsewhere::address(source, sources, delivery, config) {
                Some((sender, path)) => {
                    let detail = format!("this is what {sender} sends: its webhook is {path}");
                    Refusal::new(Code::WrongSource, detail).value(path)
                }
                None => Refusal::new(Code::InvalidBody, detail),
            };
            Problem::from(refusal).of_body(delivery.body.clone())
        }
        Refused::TooMany { count, most } => {
            let refusal = Refusal::new(Code::TooManyAlerts, detail);
            refusal.limit(most as u64).alerts(count as u64).into()
        }
        Refused::NotSetUp { setting, .. } => not_set_up(setting, detail),
        Refused::Gone(_) => Problem::new(Code::Gone, detail),
    }
}

/// A source is off, or what it should do is not set.
pub(super) fn not_set_up(setting: String, detail: String) -> Problem {
    Refusal::new(Code::SourceNotSetUp, detail)
        .parameter(setting)
        .into()
}
